// Depthwise convolutions of any geometry; filters three wide have functions of their own.
#include "depthwise.h"
#include "tile.h"

/** A tap that a pixel sees: its values, and the filter's. */
typedef struct {
  const float *values, *weights;
} Tap;

enum {
  MAX_TAPS = 1024,
  // Pixels that share the loads of weights.
  PIXELS = 4,
  // Results of the filter's gradient that share a pass over the pixels, and stretches of the batch that are summed apart.
  RESULTS = 16,
  MOST_STRETCHES = 8,
  // Multiply-adds that are worth a piece of their own.
  ENOUGH = 32768,
};

/** Taps of a run of pixels: those of the p-th lie `shift + p·step` values on, and its results p·out_step. */
typedef struct {
  const Tap *taps;
  int count, shift, step, out_step;
} Window;

/** sum_taps for `pixels` pixels and, from channel c on, `vectors` times four, numbers that the compiler knows. */
INLINE void sum_block(Window w, int c, float *out, int pixels, int vectors) {
  f32x4 sums[PIXELS][4];
  UNROLL
  for (int p = 0; p < pixels; p++)
    UNROLL
    for (int v = 0; v < vectors; v++) sums[p][v] = splat4(0);
  for (int t = 0; t < w.count; t++) {
    const float *values = w.taps[t].values + w.shift + c, *weights = w.taps[t].weights + c;
    UNROLL
    for (int v = 0; v < vectors; v++) {
      const f32x4 weight = load4(weights + 4 * v);
      UNROLL
      for (int p = 0; p < pixels; p++) sums[p][v] = multiply_add4(load4(values + p * w.step + 4 * v), weight, sums[p][v]);
    }
  }
  UNROLL
  for (int p = 0; p < pixels; p++)
    UNROLL
    for (int v = 0; v < vectors; v++) store4(out + p * w.out_step + c + 4 * v, sums[p][v]);
}

/** out[p][c] = Σ_taps values[shift + p·step + c] · weights[c], for one or PIXELS pixels. */
INLINE void sum_taps(Window w, float *out, int channels, int pixels) {
  int c = 0;
  if (pixels == PIXELS) {
    for (; c + 4 <= channels; c += 4) sum_block(w, c, out, PIXELS, 1);
  } else {
    for (; c + 16 <= channels; c += 16) sum_block(w, c, out, 1, 4);
    for (; c + 4 <= channels; c += 4) sum_block(w, c, out, 1, 1);
  }
  for (; c < channels; c++)
    for (int p = 0; p < pixels; p++) {
      float sum = 0;
      for (int t = 0; t < w.count; t++) sum += w.taps[t].values[w.shift + p * w.step + c] * w.taps[t].weights[c];
      out[p * w.out_step + c] = sum;
    }
}

/** Items are rows of y. */
static void forward_body(const void *arguments, int from, int to, int thread) {
  const Depthwise *job = arguments;
  const Geometry g = job->g;
  const int results = g.channels * g.multiplier, reach = (g.taps_x - 1) * g.dilation_x - g.pad_left;
  // Pixels that see all the columns of taps: they have those of the pixel before, a step on.
  const int inner = first_inside(-g.pad_left, g.stride_x), outer = last_inside(reach, g.stride_x, g.width, g.out_width);
  Tap taps[MAX_TAPS];
  for (int row = from; row < to; row++) {
    const float *image = job->a + row / g.out_height * g.height * g.width * g.channels;
    const int y0 = row % g.out_height * g.stride_y - g.pad_top;
    float *out = job->out + row * g.out_width * results;
    Window window = {taps, 0, 0, g.stride_x * g.channels, results};
    int first = 0, many;
    for (int ox = 0; ox < g.out_width; ox += many, out += many * results) {
      many = g.multiplier == 1 && ox >= inner && ox + PIXELS <= outer ? PIXELS : 1;
      if (ox <= inner || ox >= outer) {
        int count = 0;
        for (int ty = 0; ty < g.taps_y; ty++)
          for (int tx = 0; tx < g.taps_x; tx++) {
            const int y = y0 + ty * g.dilation_y, x = ox * g.stride_x + tx * g.dilation_x - g.pad_left;
            if ((unsigned)y >= (unsigned)g.height || (unsigned)x >= (unsigned)g.width) continue;
            taps[count++] = (Tap){image + (y * g.width + x) * g.channels, job->b + (ty * g.taps_x + tx) * results};
          }
        window.count = count, first = ox;
      }
      window.shift = (ox - first) * window.step;
      if (g.multiplier == 1) {
        sum_taps(window, out, g.channels, many);
        continue;
      }
      for (int r = 0; r < results; r++) {
        float sum = 0;
        for (int t = 0; t < window.count; t++)
          sum += taps[t].values[window.shift + r / g.multiplier] * taps[t].weights[r];
        out[r] = sum;
      }
    }
  }
}

static void threes_forward_body(const void *arguments, int from, int to, int thread) {
  for (int row = from; row < to; row++) threes_forward(arguments, row);
}

static void threes_input_body(const void *arguments, int from, int to, int thread) {
  for (int row = from; row < to; row++) threes_input(arguments, row);
}

/** Items are rows of dx, for each residue class. Pixels of one residue class modulo the stride see the same columns of taps, a pixel of dy on. */
static void input_body(const void *arguments, int from, int to, int thread) {
  const Depthwise *job = arguments;
  const Geometry g = job->g;
  const int results = g.channels * g.multiplier;
  Tap taps[MAX_TAPS];
  for (int item = from; item < to; item++) {
    const int row = item / g.stride_x, first_x = item % g.stride_x, pixels = (g.width - first_x + g.stride_x - 1) / g.stride_x;
    const float *image = job->a + row / g.height * g.out_height * g.out_width * results;
    float *out = job->out + (row * g.width + first_x) * g.channels;
    // As forward: the pixels [inner, outer) see all the columns of taps.
    int inner = 0, outer = pixels;
    for (int tx = 0; tx < g.taps_x; tx++) {
      const int x = first_x + g.pad_left - tx * g.dilation_x;
      if (x % g.stride_x) continue;
      inner = max_int(inner, -x / g.stride_x), outer = min_int(outer, g.out_width - x / g.stride_x);
    }
    Window window = {taps, 0, 0, results, g.stride_x * g.channels};
    int first = 0, many;
    for (int i = 0; i < pixels; i += many, out += many * window.out_step) {
      many = g.multiplier == 1 && i >= inner && i + PIXELS <= outer ? PIXELS : 1;
      if (i <= inner || i >= outer) {
        int count = 0;
        for (int ty = 0; ty < g.taps_y; ty++)
          for (int tx = 0; tx < g.taps_x; tx++) {
            const int y = row % g.height + g.pad_top - ty * g.dilation_y;
            const int x = first_x + i * g.stride_x + g.pad_left - tx * g.dilation_x;
            if (y < 0 || x < 0 || y % g.stride_y || x % g.stride_x) continue;
            if (y / g.stride_y >= g.out_height || x / g.stride_x >= g.out_width) continue;
            const int pixel = y / g.stride_y * g.out_width + x / g.stride_x;
            taps[count++] = (Tap){image + pixel * results, job->b + (ty * g.taps_x + tx) * results};
          }
        window.count = count, first = i;
      }
      window.shift = (i - first) * results;
      if (g.multiplier == 1) {
        sum_taps(window, out, g.channels, many);
        continue;
      }
      for (int c = 0; c < g.channels; c++) {
        float sum = 0;
        for (int t = 0; t < window.count; t++)
          for (int r = c * g.multiplier; r < (c + 1) * g.multiplier; r++)
            sum += taps[t].values[window.shift + r] * taps[t].weights[r];
        out[c] = sum;
      }
    }
  }
}

INLINE int stretches_of(int batch) { return min_int(batch, MOST_STRETCHES); }

/** Items are RESULTS results of a stretch of the batch, for which `out` has as many filters. A few rows of y are summed apart, which keeps
 *  float32's rounding small. */
static void filter_body(const void *arguments, int from, int to, int thread) {
  const Depthwise *job = arguments;
  const Geometry g = job->g;
  const int results = g.channels * g.multiplier, taps = g.taps_y * g.taps_x;
  const int groups = (results + RESULTS - 1) / RESULTS, stretches = stretches_of(g.batch);
  for (int item = from; item < to; item++) {
    const int stretch = item / groups, first = item % groups * RESULTS, count = min_int(RESULTS, results - first);
    const int whole = count == RESULTS && g.multiplier == 1;
    float *filter = job->out + stretch * taps * results + first;
    for (int t = 0; t < taps; t++)
      for (int r = 0; r < count; r++) filter[t * results + r] = 0;
    const int begin = g.batch * stretch / stretches, end = g.batch * (stretch + 1) / stretches;
    // Fewer than four channels would overlap others, of another thread's.
    if (threes_fit(&g, g.out_width) && count >= 4) {
      threes_filter(job, begin, end, first, count, filter);
      continue;
    }
    for (int row = begin * g.out_height; row < end * g.out_height; row++)
      for (int t = 0; t < taps; t++) {
        const int iy = row % g.out_height * g.stride_y + t / g.taps_x * g.dilation_y - g.pad_top;
        if ((unsigned)iy >= (unsigned)g.height) continue;
        const int offset = t % g.taps_x * g.dilation_x - g.pad_left;
        const int x0 = first_inside(offset, g.stride_x), x1 = last_inside(offset, g.stride_x, g.width, g.out_width);
        const float *x = job->a + ((row / g.out_height * g.height + iy) * g.width + x0 * g.stride_x + offset) * g.channels;
        const float *dy = job->b + (row * g.out_width + x0) * results + first;
        float *out = filter + t * results;
        if (whole) {
          f32x4 s0 = splat4(0), s1 = s0, s2 = s0, s3 = s0;
          x += first;
          for (int ox = x0; ox < x1; ox++, x += g.stride_x * g.channels, dy += results) {
            s0 = multiply_add4(load4(x), load4(dy), s0), s1 = multiply_add4(load4(x + 4), load4(dy + 4), s1);
            s2 = multiply_add4(load4(x + 8), load4(dy + 8), s2), s3 = multiply_add4(load4(x + 12), load4(dy + 12), s3);
          }
          store4(out, wasm_f32x4_add(load4(out), s0)), store4(out + 4, wasm_f32x4_add(load4(out + 4), s1));
          store4(out + 8, wasm_f32x4_add(load4(out + 8), s2)), store4(out + 12, wasm_f32x4_add(load4(out + 12), s3));
        } else {
          float sums[RESULTS] = {0};
          for (int ox = x0; ox < x1; ox++, x += g.stride_x * g.channels, dy += results)
            for (int r = 0; r < count; r++) sums[r] += x[(first + r) / g.multiplier] * dy[r];
          for (int r = 0; r < count; r++) out[r] += sums[r];
        }
      }
  }
}

#define GEOMETRY                                                                                                        \
  int batch, int height, int width, int channels, int out_height, int out_width, int multiplier, int taps_y, int taps_x, \
      int stride_y, int stride_x, int dilation_y, int dilation_x, int pad_top, int pad_left
#define GIVEN                                                                                                           \
  (Geometry) {                                                                                                          \
    batch, height, width, channels, out_height, out_width, multiplier, taps_y, taps_x, stride_y, stride_x, dilation_y,  \
        dilation_x, pad_top, pad_left                                                                                   \
  }

/** y = the convolution of x by w. */
void EXPORT(depthwise_forward)(const float *x, const float *w, float *y, GEOMETRY) {
  Depthwise job = {x, w, y, GIVEN};
  parallel(threes_fit(&job.g, out_width) ? threes_forward_body : forward_body, &job, batch * out_height,
           grain_of(out_width * channels * multiplier * taps_y * taps_x, ENOUGH));
}

/** dx = ∂⟨y, dy⟩/∂x. */
void EXPORT(depthwise_input_gradient)(const float *dy, const float *w, float *dx, GEOMETRY) {
  Depthwise job = {dy, w, dx, GIVEN};
  const int work = out_width * channels * multiplier * taps_y * taps_x;
  if (threes_fit(&job.g, width / stride_x)) parallel(threes_input_body, &job, batch * height, grain_of(work, ENOUGH));
  else parallel(input_body, &job, batch * height * stride_x, grain_of(work / stride_x, ENOUGH));
}

/** Bytes of scratch for depthwise_filter_gradient. */
int EXPORT(depthwise_filter_gradient_scratch_bytes)(int batch, int size) { return 4 * stretches_of(batch) * size; }

/** dw = ∂⟨y, dy⟩/∂w. */
void EXPORT(depthwise_filter_gradient)(const float *x, const float *dy, float *dw, GEOMETRY, float *scratch) {
  Depthwise job = {x, dy, scratch, GIVEN};
  int results = channels * multiplier, size = taps_y * taps_x * results;
  int groups = (results + RESULTS - 1) / RESULTS, stretches = stretches_of(batch);
  int rows = batch * out_height / max_int(1, stretches);
  if (batch == 0) __builtin_memset(dw, 0, size * sizeof(float));
  parallel(filter_body, &job, groups * stretches, grain_of(RESULTS * rows * out_width * taps_y * taps_x, ENOUGH));
  if (batch > 0) sum_parts(scratch, stretches, size, dw);
}
