// Depthwise convolutions by filters three wide: neighbouring results share what they read.
#include "depthwise.h"
#include "lanes.h"
#include "tile.h"

enum {
  TAPS = 3,
  MOST_LINES = 8,
  MOST_PIXELS = 8,
  // Pixels that are summed before they are added to others: as many as leave a stretch of rows in the first-level cache.
  SUMMED = 64,
};

/** How neighbouring results read a line of pixels: forward, or as the gradient by the input, with strides of 1 or 2. */
typedef enum { FORWARD, INPUT, FORWARD_2, INPUT_2_EVEN, INPUT_2_ODD } Pattern;

/** Which column tap t of result p reads, from the first that any of them reads on; −1 for none. */
INLINE int column_of(Pattern pattern, int p, int t) {
  if (pattern == FORWARD) return p + t;
  if (pattern == FORWARD_2) return 2 * p + t;
  if (pattern == INPUT) return p - t + 2;
  const int twice = p - t + (pattern == INPUT_2_EVEN ? 2 : 1);
  return twice % 2 ? -1 : twice / 2;
}

/** How many results, and how many columns they read: what V8's registers hold. */
INLINE int pixels_of(Pattern pattern) { return pattern <= FORWARD_2 ? 4 : 8; }
INLINE int columns_of(Pattern pattern) { return pattern == FORWARD || pattern == INPUT ? 6 : pattern == FORWARD_2 ? 9 : 5; }

/** A row of pixels, and the three weights of each channel that go with it. */
typedef struct {
  const float *values, *weights;
} Line;

/** A few results: `first` is the column of the first pixel they read, `extent` how many there are. */
typedef struct {
  const Line *lines;
  int count, first, extent, channels;
  float *out;
} Run;

/** `edge` where not all columns are within the line. */
INLINE void sum_run(const Run *run, Pattern pattern, int edge) {
  const int channels = run->channels, count = run->count, first = run->first, extent = run->extent, start = first * channels;
  const Line *lines = run->lines;
  float *out = run->out;
  for (int block = 0; block < channels; block += 4) {
    const int c = min_int(block, channels - 4);
    const int pixels = pixels_of(pattern);
    f32x4 sums[MOST_PIXELS];
    UNROLL
    for (int p = 0; p < pixels; p++) sums[p] = splat4(0);
    for (int l = 0; l < count; l++) {
      const float *values = lines[l].values + start + c, *from = lines[l].weights + c;
      const f32x4 weights[TAPS] = {load4(from), load4(from + channels), load4(from + 2 * channels)};
      UNROLL
      for (int i = 0; i < columns_of(pattern); i++) {
        if (edge && (unsigned)(first + i) >= (unsigned)extent) continue;
        const f32x4 value = load4(values + i * channels);
        UNROLL
        for (int p = 0; p < pixels; p++)
          UNROLL
          for (int t = 0; t < TAPS; t++)
            if (column_of(pattern, p, t) == i) sums[p] = multiply_add4(value, weights[t], sums[p]);
      }
    }
    UNROLL
    for (int p = 0; p < pixels; p++) store4(out + p * channels + c, sums[p]);
  }
}

// Functions of their own, for their registers.
#define SUM_RUN(name, pattern)                                                                                      \
  static __attribute__((noinline)) void name##_within(const Run *run) { sum_run(run, pattern, 0); }             \
  static __attribute__((noinline)) void name##_edge(const Run *run) { sum_run(run, pattern, 1); }               \
  static void name(const Run *run) {                                                                            \
    if (run->first >= 0 && run->first + columns_of(pattern) <= run->extent) name##_within(run);                 \
    else name##_edge(run);                                                                                      \
  }
SUM_RUN(sum_forward, FORWARD)
SUM_RUN(sum_forward_2, FORWARD_2)
SUM_RUN(sum_input, INPUT)
SUM_RUN(sum_input_2_even, INPUT_2_EVEN)
SUM_RUN(sum_input_2_odd, INPUT_2_ODD)

int threes_fit(const Geometry *g, int pixels) {
  return g->multiplier == 1 && g->taps_x == TAPS && g->dilation_x == 1 && g->stride_x <= 2 && g->taps_y <= MOST_LINES &&
         g->channels >= 4 && pixels >= 4;
}

void threes_forward(const Depthwise *job, int row) {
  const Geometry g = job->g;
  const int image = row / g.out_height, y0 = row % g.out_height * g.stride_y - g.pad_top;
  Line lines[MOST_LINES];
  Run run = {.lines = lines, .extent = g.width, .channels = g.channels};
  for (int ty = 0; ty < g.taps_y; ty++) {
    const int y = y0 + ty * g.dilation_y;
    if ((unsigned)y >= (unsigned)g.height) continue;
    lines[run.count++] = (Line){job->a + (image * g.height + y) * g.width * g.channels, job->b + ty * TAPS * g.channels};
  }
  const int pixels = pixels_of(FORWARD);
  // The last run overlaps the one before.
  for (int start = 0; start < g.out_width; start += pixels) {
    const int x = min_int(start, g.out_width - pixels);
    run.first = x * g.stride_x - g.pad_left, run.out = job->out + (row * g.out_width + x) * g.channels;
    if (g.stride_x == 1) sum_forward(&run);
    else sum_forward_2(&run);
  }
}

void threes_input(const Depthwise *job, int row) {
  const Geometry g = job->g;
  const int image = row / g.height;
  Line lines[MOST_LINES];
  Run run = {.lines = lines, .extent = g.out_width, .channels = g.channels};
  for (int ty = 0; ty < g.taps_y; ty++) {
    const int y = row % g.height + g.pad_top - ty * g.dilation_y;
    if (y < 0 || y % g.stride_y || y / g.stride_y >= g.out_height) continue;
    lines[run.count++] = (Line){job->a + (image * g.out_height + y / g.stride_y) * g.out_width * g.channels,
                                job->b + ty * TAPS * g.channels};
  }
  const int pixels = pixels_of(g.stride_x == 1 ? INPUT : INPUT_2_EVEN);
  for (int start = 0; start < g.width; start += pixels) {
    const int x = min_int(start, g.width - pixels), at = x + g.pad_left;
    run.out = job->out + (row * g.width + x) * g.channels;
    if (g.stride_x == 1) run.first = at - 2, sum_input(&run);
    else if (at % 2 == 0) run.first = at / 2 - 1, sum_input_2_even(&run);
    else run.first = at / 2, sum_input_2_odd(&run);
  }
}

/** A rectangle of pixels of dy and what they see of x: `x` is where the first pixel's first tap is, or would be. */
typedef struct {
  const float *x, *dy;
  int rows, pixels, inner, outer, step, x_step, x_row, dy_row;
} Rectangle;

/** The sums of threes_filter for four channels, of which the last `channels` are not done yet. */
INLINE void add_pixels(const Rectangle *r, const Geometry *g, int c, int channels, float *filter, int stride) {
  const int step = r->step, x_step = r->x_step;
  f32x4 a0 = splat4(0), a1 = a0, a2 = a0, b0 = a0, b1 = a0, b2 = a0;
  for (int row = 0; row < r->rows; row++) {
    const float *x = r->x + row * r->x_row + c, *dy = r->dy + row * r->dy_row + c;
    int p = 0;
    for (;; p++, x += x_step, dy += step) {
      if (p == r->inner)
        for (; p + 2 <= r->outer; p += 2, x += 2 * x_step, dy += 2 * step) {
          const f32x4 d0 = load4(dy), d1 = load4(dy + step), v0 = load4(x), v1 = load4(x + step), v2 = load4(x + 2 * step);
          a0 = multiply_add4(v0, d0, a0), a1 = multiply_add4(v1, d0, a1), a2 = multiply_add4(v2, d0, a2);
          const f32x4 v3 = load4(x + 3 * step);
          b0 = multiply_add4(stride == 1 ? v1 : v2, d1, b0), b1 = multiply_add4(stride == 1 ? v2 : v3, d1, b1);
          b2 = multiply_add4(stride == 1 ? v3 : load4(x + 4 * step), d1, b2);
        }
      if (p >= r->pixels) break;
      const int ix = p * stride - g->pad_left;
      const f32x4 d = load4(dy);
      if ((unsigned)ix < (unsigned)g->width) a0 = multiply_add4(load4(x), d, a0);
      if ((unsigned)(ix + 1) < (unsigned)g->width) a1 = multiply_add4(load4(x + step), d, a1);
      if ((unsigned)(ix + 2) < (unsigned)g->width) a2 = multiply_add4(load4(x + 2 * step), d, a2);
    }
  }
  const f32x4 sums[TAPS] = {wasm_f32x4_add(a0, b0), wasm_f32x4_add(a1, b1), wasm_f32x4_add(a2, b2)};
  UNROLL
  for (int t = 0; t < TAPS; t++, filter += step)
    store4(filter, wasm_f32x4_add(load4(filter), wasm_v128_and(sums[t], last_lanes(channels))));
}

/** threes_filter for a stride that the compiler knows. */
INLINE void add_blocks(const Rectangle *r, const Geometry *g, int channels, float *filter, int stride) {
  for (int block = 0; block < channels; block += 4) {
    const int c = min_int(block, channels - 4);
    add_pixels(r, g, c, c + 4 - block, filter + c, stride);
  }
}

static __attribute__((noinline)) void add_stride_1(const Rectangle *r, const Geometry *g, int channels, float *filter) {
  add_blocks(r, g, channels, filter, 1);
}
static __attribute__((noinline)) void add_stride_2(const Rectangle *r, const Geometry *g, int channels, float *filter) {
  add_blocks(r, g, channels, filter, 2);
}

void threes_filter(const Depthwise *job, int from, int to, int first, int channels, float *filter) {
  const Geometry g = job->g;
  const int step = g.channels, rows = max_int(1, SUMMED / g.out_width);
  Rectangle r = {.pixels = g.out_width, .step = step, .x_step = g.stride_x * step};
  r.inner = min_int(first_inside(-g.pad_left, g.stride_x), g.out_width);
  r.outer = last_inside(TAPS - 1 - g.pad_left, g.stride_x, g.width, g.out_width);
  r.x_row = g.stride_y * g.width * step, r.dy_row = g.out_width * step;
  int begins[MOST_LINES], ends[MOST_LINES];
  for (int ty = 0; ty < g.taps_y; ty++) {
    const int offset = ty * g.dilation_y - g.pad_top;
    begins[ty] = first_inside(offset, g.stride_y), ends[ty] = last_inside(offset, g.stride_y, g.height, g.out_height);
  }
  for (int image = from; image < to; image++)
    for (int row = 0; row < g.out_height; row += rows)
      for (int ty = 0; ty < g.taps_y; ty++) {
        const int y = max_int(row, begins[ty]), iy = y * g.stride_y + ty * g.dilation_y - g.pad_top;
        r.rows = min_int(row + rows, ends[ty]) - y;
        if (r.rows <= 0) continue;
        r.x = job->a + ((image * g.height + iy) * g.width - g.pad_left) * step + first;
        r.dy = job->b + (image * g.out_height + y) * g.out_width * step + first;
        if (g.stride_x == 1) add_stride_1(&r, &g, channels, filter + ty * TAPS * step);
        else add_stride_2(&r, &g, channels, filter + ty * TAPS * step);
      }
}
