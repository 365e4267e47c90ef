// Group normalisation of images, with the activation that follows it: y = f((x − μ)·r·gain + bias), r = 1/√(σ² + ε).
// x [batch, pixels, channels]; μ and σ² are those of an image's group of channels. Items are images: each one's sums are one thread's.
#include "lanes.h"
#include "parallel.h"
#include "silu.h"

enum {
  // Pixels that are summed apart, which keeps float32's rounding small.
  BLOCK = 64,
  // Rows of `channels` floats that an image needs.
  ROWS_OF_SCRATCH = 4,
};

/** Bytes that group_norm and group_norm_grad need. */
int EXPORT(group_norm_scratch_bytes)(int channels) { return 4 * ROWS_OF_SCRATCH * channels * threads(); }

typedef struct {
  const float *x, *gain, *bias, *dy;
  float *y, *dgain, *dbias, *scratch;
  // Values from one image's gain and bias to the next one's: 0 where all share them.
  int pixels, channels, groups, parameter_stride, silu;
  float epsilon;
} Norm;

// sums[c] = Σ value(load, i, c) over pixels, i being the channel's place in the image. Sixteen channels at a time.
#define SUM_OVER_PIXELS(sums, value)                                                                                   \
  {                                                                                                                    \
    int c = 0;                                                                                                         \
    for (; c + 16 <= channels; c += 16) {                                                                              \
      f32x4 t0 = splat4(0), t1 = t0, t2 = t0, t3 = t0;                                                                 \
      for (int first = 0; first < pixels; first += BLOCK) {                                                            \
        f32x4 s0 = splat4(0), s1 = s0, s2 = s0, s3 = s0;                                                               \
        for (int p = first; p < min_int(pixels, first + BLOCK); p++) {                                                 \
          const int i = p * channels + c;                                                                              \
          s0 = wasm_f32x4_add(s0, value(load4, i, c)), s1 = wasm_f32x4_add(s1, value(load4, i + 4, c + 4));            \
          s2 = wasm_f32x4_add(s2, value(load4, i + 8, c + 8)), s3 = wasm_f32x4_add(s3, value(load4, i + 12, c + 12));  \
        }                                                                                                              \
        t0 = wasm_f32x4_add(t0, s0), t1 = wasm_f32x4_add(t1, s1);                                                      \
        t2 = wasm_f32x4_add(t2, s2), t3 = wasm_f32x4_add(t3, s3);                                                      \
      }                                                                                                                \
      store4((sums) + c, t0), store4((sums) + c + 4, t1), store4((sums) + c + 8, t2), store4((sums) + c + 12, t3);     \
    }                                                                                                                  \
    for (; c < channels; c += 4) {                                                                                     \
      const int left = min_int(4, channels - c);                                                                       \
      f32x4 total = splat4(0);                                                                                         \
      for (int first = 0; first < pixels; first += BLOCK) {                                                            \
        f32x4 sum = splat4(0);                                                                                         \
        for (int p = first; p < min_int(pixels, first + BLOCK); p++)                                                   \
          sum = wasm_f32x4_add(sum, value(LOAD_LEFT, p * channels + c, c));                                            \
        total = wasm_f32x4_add(total, sum);                                                                            \
      }                                                                                                                \
      store_some((sums) + c, total, left);                                                                             \
    }                                                                                                                  \
  }

/** Replaces the channels' sums by the mean over their group, which has `count` values. */
INLINE void means_of_groups(float *sums, int channels, int groups, float count) {
  const int size = channels / groups;
  for (int first = 0; first < channels; first += size) {
    float total = 0;
    for (int c = first; c < first + size; c++) total += sums[c];
    for (int c = first; c < first + size; c++) sums[c] = total / count;
  }
}

/** μ and r of each channel. */
static void moments(const Norm *norm, const float *x, float *mean, float *r) {
  const int pixels = norm->pixels, channels = norm->channels;
  const float count = (float)pixels * (float)(channels / norm->groups);
#define VALUE(load, i, c) load(x + (i))
  SUM_OVER_PIXELS(mean, VALUE)
#undef VALUE
  means_of_groups(mean, channels, norm->groups, count);
#define CENTRED(load, i, c) wasm_f32x4_sub(load(x + (i)), load(mean + (c)))
#define VALUE(load, i, c) wasm_f32x4_mul(CENTRED(load, i, c), CENTRED(load, i, c))
  SUM_OVER_PIXELS(r, VALUE)
#undef VALUE
  means_of_groups(r, channels, norm->groups, count);
  for (int c = 0; c < channels; c++) r[c] = 1.0f / __builtin_sqrtf(r[c] + norm->epsilon);
}

static void forward_body(const void *arguments, int from, int to, int thread) {
  const Norm *norm = arguments;
  const int pixels = norm->pixels, channels = norm->channels;
  float *mean = norm->scratch + thread * ROWS_OF_SCRATCH * channels, *factor = mean + channels;
  for (int image = from; image < to; image++) {
    const float *x = norm->x + image * pixels * channels;
    const float *gain = norm->gain + image * norm->parameter_stride, *bias = norm->bias + image * norm->parameter_stride;
    float *y = norm->y + image * pixels * channels;
    moments(norm, x, mean, factor);
    for (int c = 0; c < channels; c++) factor[c] *= gain[c];
    for (int p = 0; p < pixels; p++, x += channels, y += channels) {
#define NORMALISED(load, c) multiply_add4(CENTRED(load, c, c), load(factor + (c)), load(bias + (c)))
#define VALUE(load, c) silu4(NORMALISED(load, c), 1.0f)
      if (norm->silu) MAP(channels, y, VALUE)
      else MAP(channels, y, NORMALISED)
#undef VALUE
#undef NORMALISED
    }
  }
}

/** x [batch, pixels, channels]; gain and bias [channels], or where `of_images`, [batch, channels]. */
void EXPORT(group_norm)(const float *x, const float *gain, const float *bias, float *y, int batch, int pixels, int channels,
                        int groups, float epsilon, int silu, int of_images, float *scratch) {
  Norm norm = {.x = x, .gain = gain, .bias = bias, .y = y, .scratch = scratch, .pixels = pixels, .channels = channels,
               .groups = groups, .parameter_stride = of_images ? channels : 0, .silu = silu, .epsilon = epsilon};
  parallel(forward_body, &norm, batch, grain_of(pixels * channels, SILU_GRAIN));
}

// With d = x − μ, g = dy·f′(d·r·gain + bias) and m the mean over a group: dbias = Σ g and dgain = Σ g·d·r over the pixels, and
// dx = g·r·gain − d·slope − shift with slope = r²·m(gain·g·d·r) and shift = r·m(gain·g). g is kept where dx goes.
static void gradient_body(const void *arguments, int from, int to, int thread) {
  const Norm *norm = arguments;
  const int pixels = norm->pixels, channels = norm->channels;
  const float count = (float)pixels * (float)(channels / norm->groups);
  float *mean = norm->scratch + thread * ROWS_OF_SCRATCH * channels, *r = mean + channels;
  float *slope = r + channels, *shift = slope + channels;
  for (int image = from; image < to; image++) {
    const float *x = norm->x + image * pixels * channels, *dy = norm->dy + image * pixels * channels;
    const float *gain = norm->gain + image * norm->parameter_stride, *bias = norm->bias + image * norm->parameter_stride;
    float *dx = norm->y + image * pixels * channels;
    float *dgain = norm->dgain + image * channels, *dbias = norm->dbias + image * channels;
    moments(norm, x, mean, r);
    const float *g = dy;
    if (norm->silu) {
      float *factor = slope;
      for (int c = 0; c < channels; c++) factor[c] = r[c] * gain[c];
      for (int p = 0; p < pixels; p++) {
        const float *x = norm->x + (image * pixels + p) * channels;
#define NORMALISED(load, c) multiply_add4(CENTRED(load, c, c), load(factor + (c)), load(bias + (c)))
#define VALUE(load, c) wasm_f32x4_mul(load(dy + p * channels + (c)), silu_slope4(NORMALISED(load, c), 1.0f))
        MAP(channels, dx + p * channels, VALUE)
#undef VALUE
#undef NORMALISED
      }
      g = dx;
    }
#define VALUE(load, i, c) load(g + (i))
    SUM_OVER_PIXELS(dbias, VALUE)
#undef VALUE
#define VALUE(load, i, c) wasm_f32x4_mul(load(g + (i)), CENTRED(load, i, c))
    SUM_OVER_PIXELS(dgain, VALUE)
#undef VALUE
    for (int c = 0; c < channels; c++) {
      dgain[c] *= r[c];
      slope[c] = gain[c] * dgain[c], shift[c] = gain[c] * dbias[c];
    }
    means_of_groups(slope, channels, norm->groups, count);
    means_of_groups(shift, channels, norm->groups, count);
    for (int c = 0; c < channels; c++) slope[c] *= r[c] * r[c], shift[c] *= r[c], r[c] *= gain[c];
    for (int p = 0; p < pixels; p++) {
      const int first = p * channels;
      // In place, so nothing may be done twice.
#define PULLED(load, i, c) multiply_add4(CENTRED(load, i, c), load(slope + (c)), load(shift + (c)))
#define VALUE(load, i, c) wasm_f32x4_sub(wasm_f32x4_mul(load(g + (i)), load(r + (c))), PULLED(load, i, c))
      int c = 0;
      for (; c + 4 <= channels; c += 4) store4(dx + first + c, VALUE(load4, first + c, c));
      const int left = channels - c;
      if (left > 0) store_some(dx + first + c, VALUE(LOAD_LEFT, first + c, c), left);
#undef VALUE
#undef PULLED
    }
  }
}

/** dx as x; dgain and dbias [batch, channels]. */
void EXPORT(group_norm_grad)(const float *x, const float *gain, const float *bias, const float *dy, float *dx, float *dgain,
                             float *dbias, int batch, int pixels, int channels, int groups, float epsilon, int silu,
                             int of_images, float *scratch) {
  Norm norm = {.x = x, .gain = gain, .bias = bias, .dy = dy, .y = dx, .dgain = dgain, .dbias = dbias, .scratch = scratch,
               .pixels = pixels, .channels = channels, .groups = groups, .parameter_stride = of_images ? channels : 0,
               .silu = silu, .epsilon = epsilon};
  parallel(gradient_body, &norm, batch, grain_of(pixels * channels, SILU_GRAIN));
}
