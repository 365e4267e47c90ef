// Element-wise operations of magnitude-preserving networks, each in one pass over memory.
// Tensors are dense float32, channels last. "rows" counts pixels, "channels" the values of one. Outputs never overlap inputs.
#include "lanes.h"
#include "parallel.h"
#include "silu.h"

#define SILU_GAIN (1.0f / 0.596f)

static void mp_silu_body(const void* arguments, int from, int to, int thread) {
  const Job* job = arguments;
  const float* x = INPUT(0) + from;
#define VALUE(load, i) silu4(load(x + (i)), SILU_GAIN)
  MAP(to - from, OUTPUT(0) + from, VALUE)
#undef VALUE
}

void EXPORT(mp_silu)(const float* x, float* y, int n) {
  parallel(mp_silu_body, &(Job){.in = {x}, .out = {y}}, n, SILU_GRAIN);
}

static void mp_silu_grad_body(const void* arguments, int from, int to, int thread) {
  const Job* job = arguments;
  const float *x = INPUT(0) + from, *dy = INPUT(1) + from;
#define VALUE(load, i) wasm_f32x4_mul(load(dy + (i)), silu_slope4(load(x + (i)), SILU_GAIN))
  MAP(to - from, OUTPUT(0) + from, VALUE)
#undef VALUE
}

void EXPORT(mp_silu_grad)(const float* x, const float* dy, float* dx, int n) {
  parallel(mp_silu_grad_body, &(Job){.in = {x, dy}, .out = {dx}}, n, SILU_GRAIN);
}

static void modulated_mp_silu_body(const void* arguments, int from, int to, int thread) {
  const Job* job = arguments;
  const int pixels = job->n[0], channels = job->n[1];
  for (int p = from; p < to; p++) {
    const float *x = INPUT(0) + p * channels, *scale = INPUT(1) + p / pixels * channels;
    float* y = OUTPUT(0) + p * channels;
#define VALUE(load, i) silu4(wasm_f32x4_mul(load(x + (i)), load(scale + (i))), SILU_GAIN)
    MAP(channels, y, VALUE)
#undef VALUE
  }
}

// y = mp_silu(x * scale), scale [batch, channels], x [batch, pixels, channels].
void EXPORT(modulated_mp_silu)(const float* x, const float* scale, float* y, int batch, int pixels, int channels) {
  Job job = {.in = {x, scale}, .out = {y}, .n = {pixels, channels}};
  parallel(modulated_mp_silu_body, &job, batch * pixels, grain_of(channels, SILU_GRAIN));
}

// With g = dy·mp_silu'(x·scale): dx = g·scale, dscale = Σ g·x over an image's pixels. A pixel at a time in two loops, the
// second over what the first has just written, which is faster than one loop for both. Items are images, whose sums are one's alone.
static void modulated_mp_silu_grad_body(const void* arguments, int from, int to, int thread) {
  const Job* job = arguments;
  const int pixels = job->n[0], channels = job->n[1];
  for (int b = from; b < to; b++) {
    const float *x = INPUT(0) + b * pixels * channels, *scale = INPUT(1) + b * channels;
    const float* dy = INPUT(2) + b * pixels * channels;
    float *dx = OUTPUT(0) + b * pixels * channels, *dscale = OUTPUT(1) + b * channels;
    for (int c = 0; c < channels; c++) dscale[c] = 0;
    for (int p = 0; p < pixels; p++, x += channels, dy += channels, dx += channels) {
#define VALUE(load, i) \
  wasm_f32x4_mul(load(dy + (i)), silu_slope4(wasm_f32x4_mul(load(x + (i)), load(scale + (i))), SILU_GAIN))
      MAP(channels, dx, VALUE)
#undef VALUE
      int c = 0;
      for (; c + 4 <= channels; c += 4) {
        const f32x4 g = load4(dx + c);
        store4(dx + c, wasm_f32x4_mul(g, load4(scale + c)));
        store4(dscale + c, multiply_add4(g, load4(x + c), load4(dscale + c)));
      }
      for (; c < channels; c++) {
        const float g = dx[c];
        dx[c] = g * scale[c];
        dscale[c] += g * x[c];
      }
    }
  }
}

void EXPORT(modulated_mp_silu_grad)(const float* x, const float* scale, const float* dy, float* dx, float* dscale,
                                    int batch, int pixels, int channels) {
  Job job = {.in = {x, scale, dy}, .out = {dx, dscale}, .n = {pixels, channels}};
  parallel(modulated_mp_silu_grad_body, &job, batch, grain_of(pixels * channels, SILU_GRAIN));
}

#define SQUARE(load, i) wasm_f32x4_mul(load(x + (i)), load(x + (i)))

static void pixel_norm_body(const void* arguments, int from, int to, int thread) {
  const Job* job = arguments;
  const int channels = job->n[0];
  const float epsilon = job->f[0], scale = job->f[1], inverse_root = 1.0f / __builtin_sqrtf((float)channels);
  for (int r = from; r < to; r++) {
    const float* x = INPUT(0) + r * channels;
    float squared;
    SUM(channels, squared, SQUARE)
    const f32x4 factor = splat4(scale / (epsilon + __builtin_sqrtf(squared) * inverse_root));
#define VALUE(load, i) wasm_f32x4_mul(load(x + (i)), factor)
    MAP(channels, OUTPUT(0) + r * channels, VALUE)
#undef VALUE
  }
}

// y = scale x / (epsilon + |x| / sqrt(channels)) for each pixel.
void EXPORT(pixel_norm)(const float* x, float* y, int rows, int channels, float epsilon, float scale) {
  Job job = {.in = {x}, .out = {y}, .f = {epsilon, scale}, .n = {channels}};
  parallel(pixel_norm_body, &job, rows, grain_of(channels, GRAIN));
}

enum { SECTIONS = 32 };

// Items are sections of the rows, whose part of the derivative by scale is summed apart: so the sum does not depend on the threads.
static void pixel_norm_grad_body(const void* arguments, int from, int to, int thread) {
  const Job* job = arguments;
  const int rows = job->n[0], channels = job->n[1], section = (rows + SECTIONS - 1) / SECTIONS;
  const float epsilon = job->f[0], scale = job->f[1], inverse_root = 1.0f / __builtin_sqrtf((float)channels);
  for (int s = from; s < to; s++) {
    float total = 0;
    for (int r = s * section; r < min_int(rows, (s + 1) * section); r++) {
      const float *x = INPUT(0) + r * channels, *dy = INPUT(1) + r * channels;
      float squared, dot;
      SUM(channels, squared, SQUARE)
#define PRODUCT(load, i) wasm_f32x4_mul(load(x + (i)), load(dy + (i)))
      SUM(channels, dot, PRODUCT)
#undef PRODUCT
      const float norm = __builtin_sqrtf(squared);
      const float m = epsilon + norm * inverse_root;
      total += dot / m;
      const f32x4 a = splat4(scale / m);
      const f32x4 b = splat4(norm > 0 ? scale * dot * inverse_root / (m * m * norm) : 0);
#define VALUE(load, i) wasm_f32x4_sub(wasm_f32x4_mul(load(dy + (i)), a), wasm_f32x4_mul(load(x + (i)), b))
      MAP(channels, OUTPUT(0) + r * channels, VALUE)
#undef VALUE
    }
    OUTPUT(1)[s] = total;
  }
}

// With m = epsilon + |x|/sqrt(C): dx = scale (dy/m - x (dy·x) / (m² |x| sqrt(C))); the second term is 0 at x = 0. Returns the sum of
// x·dy/m: the derivative by scale.
float EXPORT(pixel_norm_grad)(const float* x, const float* dy, float* dx, int rows, int channels, float epsilon,
                              float scale) {
  float totals[SECTIONS], total = 0;
  Job job = {.in = {x, dy}, .out = {dx, totals}, .f = {epsilon, scale}, .n = {rows, channels}};
  parallel(pixel_norm_grad_body, &job, SECTIONS, grain_of(rows * channels / SECTIONS, GRAIN));
  for (int s = 0; s < SECTIONS; s++) total += totals[s];
  return total;
}

static void clipped_sum_body(const void* arguments, int from, int to, int thread) {
  const Job* job = arguments;
  const float *a = INPUT(0) + from, *b = INPUT(1) + from;
  const f32x4 va = splat4(job->f[0]), vb = splat4(job->f[1]), high = splat4(job->f[2]), low = splat4(-job->f[2]);
#define COMBINED(load, i) multiply_add4(load(a + (i)), va, wasm_f32x4_mul(load(b + (i)), vb))
#define VALUE(load, i) wasm_f32x4_pmin(wasm_f32x4_pmax(COMBINED(load, i), low), high)
  MAP(to - from, OUTPUT(0) + from, VALUE)
#undef VALUE
#undef COMBINED
}

// y = alpha a + beta b, clipped to [-clip, clip].
void EXPORT(clipped_sum)(const float* a, const float* b, float* y, int n, float alpha, float beta, float clip) {
  parallel(clipped_sum_body, &(Job){.in = {a, b}, .out = {y}, .f = {alpha, beta, clip}}, n, GRAIN);
}

static void clipped_sum_grad_body(const void* arguments, int from, int to, int thread) {
  const Job* job = arguments;
  const float *y = INPUT(0), *dy = INPUT(1);
  float *da = OUTPUT(0), *db = OUTPUT(1);
  const f32x4 va = splat4(job->f[0]), vb = splat4(job->f[1]), bound = splat4(job->f[2]);
#define KEPT(load, i) wasm_v128_and(load(dy + (i)), wasm_f32x4_lt(wasm_f32x4_abs(load(y + (i))), bound))
  int i = from;
  for (; i + 4 <= to; i += 4) {
    const f32x4 g = KEPT(load4, i);
    store4(da + i, wasm_f32x4_mul(g, va));
    store4(db + i, wasm_f32x4_mul(g, vb));
  }
  const int left = to - i;
  if (left > 0) {
    const f32x4 g = KEPT(LOAD_LEFT, i);
    store_some(da + i, wasm_f32x4_mul(g, va), left);
    store_some(db + i, wasm_f32x4_mul(g, vb), left);
  }
#undef KEPT
}

// da = alpha dy and db = beta dy where y is within the clip, else 0.
void EXPORT(clipped_sum_grad)(const float* y, const float* dy, float* da, float* db, int n, float alpha, float beta,
                              float clip) {
  parallel(clipped_sum_grad_body, &(Job){.in = {y, dy}, .out = {da, db}, .f = {alpha, beta, clip}}, n, GRAIN);
}

INLINE void scale_into(const float* x, float* y, int n, float factor) {
  const f32x4 f = splat4(factor);
#define VALUE(load, i) wasm_f32x4_mul(load(x + (i)), f)
  MAP(n, y, VALUE)
#undef VALUE
}

static void scale_body(const void* arguments, int from, int to, int thread) {
  const Job* job = arguments;
  scale_into(INPUT(0) + from, OUTPUT(0) + from, to - from, job->f[0]);
}

void EXPORT(scale)(const float* x, float* y, int n, float factor) {
  parallel(scale_body, &(Job){.in = {x}, .out = {y}, .f = {factor}}, n, GRAIN);
}

static void scaled_concat_body(const void* arguments, int from, int to, int thread) {
  const Job* job = arguments;
  const int channels_a = job->n[0], channels_b = job->n[1], channels = channels_a + channels_b;
  for (int r = from; r < to; r++) {
    scale_into(INPUT(0) + r * channels_a, OUTPUT(0) + r * channels, channels_a, job->f[0]);
    scale_into(INPUT(1) + r * channels_b, OUTPUT(0) + r * channels + channels_a, channels_b, job->f[1]);
  }
}

// y = [alpha a, beta b] along channels.
void EXPORT(scaled_concat)(const float* a, const float* b, float* y, int rows, int channels_a, int channels_b,
                          float alpha, float beta) {
  Job job = {.in = {a, b}, .out = {y}, .f = {alpha, beta}, .n = {channels_a, channels_b}};
  parallel(scaled_concat_body, &job, rows, grain_of(channels_a + channels_b, GRAIN));
}

static void scaled_split_body(const void* arguments, int from, int to, int thread) {
  const Job* job = arguments;
  const int channels_a = job->n[0], channels_b = job->n[1], channels = channels_a + channels_b;
  for (int r = from; r < to; r++) {
    scale_into(INPUT(0) + r * channels, OUTPUT(0) + r * channels_a, channels_a, job->f[0]);
    scale_into(INPUT(0) + r * channels + channels_a, OUTPUT(1) + r * channels_b, channels_b, job->f[1]);
  }
}

void EXPORT(scaled_split)(const float* y, float* a, float* b, int rows, int channels_a, int channels_b, float alpha,
                         float beta) {
  Job job = {.in = {y}, .out = {a, b}, .f = {alpha, beta}, .n = {channels_a, channels_b}};
  parallel(scaled_split_body, &job, rows, grain_of(channels_a + channels_b, GRAIN));
}

static void downsample_body(const void* arguments, int from, int to, int thread) {
  const Job* job = arguments;
  const int width = job->n[0], channels = job->n[1], line = width * channels;
  const f32x4 f = splat4(0.25f * job->f[0]);
  for (int r = from; r < to; r++) {
    const float* x = INPUT(0) + 2 * r * line;
    for (int c = 0; c < width / 2; c++) {
      float* y = OUTPUT(0) + (r * (width / 2) + c) * channels;
      const float* p = x + 2 * c * channels;
#define PAIR(load, q) wasm_f32x4_add(load(q), load((q) + channels))
#define VALUE(load, i) wasm_f32x4_mul(f, wasm_f32x4_add(PAIR(load, p + (i)), PAIR(load, p + line + (i))))
      MAP(channels, y, VALUE)
#undef VALUE
#undef PAIR
    }
  }
}

// y = factor * mean over 2x2 blocks; y has half the height and width of x.
void EXPORT(downsample_2x)(const float* x, float* y, int batch, int height, int width, int channels, float factor) {
  Job job = {.in = {x}, .out = {y}, .f = {factor}, .n = {width, channels}};
  parallel(downsample_body, &job, batch * height / 2, grain_of(2 * width * channels, GRAIN));
}

static void upsample_body(const void* arguments, int from, int to, int thread) {
  const Job* job = arguments;
  const int width = job->n[0], channels = job->n[1], line = 2 * width * channels;
  for (int r = from; r < to; r++) {
    float* y = OUTPUT(0) + 2 * r * line;
    for (int c = 0; c < width; c++) {
      float* q = y + 2 * c * channels;
      scale_into(INPUT(0) + (r * width + c) * channels, q, channels, job->f[0]);
      __builtin_memcpy(q + channels, q, channels * sizeof(float));
    }
    __builtin_memcpy(y + line, y, line * sizeof(float));
  }
}

// y = factor * each value of x repeated over a 2x2 block; height and width are those of x.
void EXPORT(upsample_2x)(const float* x, float* y, int batch, int height, int width, int channels, float factor) {
  Job job = {.in = {x}, .out = {y}, .f = {factor}, .n = {width, channels}};
  parallel(upsample_body, &job, batch * height, grain_of(4 * width * channels, GRAIN));
}
