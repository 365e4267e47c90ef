// The gradient of a convolution by its filter: dw = (x's patches)ᵀ · dy, a matrix product whose inner axis is the pixels.
//
// A piece of work is a stretch of pixels by a group of rows of dw. It finds and packs what it needs by itself, so that pieces never wait
// for each other; what the stretches give is added up at the end, in order. The division depends on the shape alone.
#include "parallel.h"
#include "tile.h"

enum {
  // Pixels packed at a time.
  BLOCK_PIXELS = 512,
  // Fours of channels packed at a time.
  QUADS = 2,
  QUADS_SIZE = QUADS * BLOCK_PIXELS * ROWS,
  // Pixels below which a stretch costs more to add up than it gains, and rows below which packing dy for a group does.
  STRETCH_PIXELS = 512,
  GROUP_ROWS = 64,
  MOST_STRETCHES = 16,
  PIECES = 32,
  // Floats of all stretches' results.
  MOST_PARTIAL = 1 << 20,
  // Up to this many results a pixel, panels of eight would be mostly padding.
  FEW_RESULTS = 4,
  // Multiply-adds that are worth a piece of their own.
  ENOUGH = 131072,
};

typedef struct {
  int stretches, pixels, groups, rows;
} Division;

/** Stretches of how many pixels, and groups of how many rows, the product of `m` rows and `n` columns is made of. */
static Division divide(int pixels, int m, int n) {
  Division d;
  int most = min_int(pixels / STRETCH_PIXELS, MOST_PARTIAL / max_int(1, m * n));
  d.stretches = max_int(1, min_int(most, MOST_STRETCHES));
  d.pixels = (pixels + d.stretches - 1) / d.stretches;
  d.stretches = (pixels + d.pixels - 1) / max_int(1, d.pixels);
  d.groups = max_int(1, min_int(PIECES / max_int(1, d.stretches), m / GROUP_ROWS));
  d.rows = round_up((m + d.groups - 1) / d.groups, 16);
  d.groups = (m + d.rows - 1) / d.rows;
  return d;
}

typedef struct {
  const float *x, *dy, *zeros;
  /** Where the results go, stretch by stretch. */
  float *out;
  int batch, height, width, channels, out_height, out_width, n;
  int taps_y, taps_x, stride_y, stride_x, dilation_y, dilation_x, pad_top, pad_left;
  Division division;
  /** Each thread's: inputs[tap][pixel], where a pixel's input at a tap has its channels; dy in panels of 8 columns; rows of x in fours. */
  const float **inputs;
  float *panels, *quads;
} FilterGradient;

INLINE int is_narrow(const FilterGradient *g) { return g->n <= FEW_RESULTS && g->channels % 4 == 0; }
INLINE int panels_size(int n) { return BLOCK_PIXELS * round_up(n, PANEL); }

/** inputs[tap][p] for the pixels start + p, p < depth, of taps [first_tap, last_tap]. */
static void find_inputs(const FilterGradient *g, const float **inputs, int first_tap, int last_tap, int start, int depth) {
  const int line = g->out_height * g->out_width, step = g->stride_x * g->channels;
  for (int p = 0, run; p < depth; p += run) {
    // A run lies in one row of the image.
    const int image = (start + p) / line, oy = (start + p) % line / g->out_width, ox = (start + p) % g->out_width;
    run = min_int(depth - p, g->out_width - ox);
    const float *x = g->x + image * g->height * g->width * g->channels;
    for (int t = first_tap; t <= last_tap; t++) {
      const int iy = oy * g->stride_y + t / g->taps_x * g->dilation_y - g->pad_top;
      const int offset = t % g->taps_x * g->dilation_x - g->pad_left;
      const int within = (unsigned)iy < (unsigned)g->height;
      const int last = within ? min_int(run, last_inside(offset, g->stride_x, g->width, g->out_width) - ox) : 0;
      const int first = min_int(run, first_inside(offset, g->stride_x) - ox);
      const float **to = inputs + t * BLOCK_PIXELS + p, *from = x + (iy * g->width + ox * g->stride_x + offset) * g->channels;
      int i = 0;
      for (; i < first; i++) to[i] = g->zeros;
      for (from += i * step; i < last; i++, from += step) to[i] = from;
      for (; i < run; i++) to[i] = g->zeros;
    }
  }
}

/** Packs the channels from `channel` on, eight where there are as many, the first four last. Returns how many fours. */
static int pack_quads(const float *const *inputs, int channel, int channels, int depth, float *quads) {
  if (channels < QUADS * ROWS) {
    for (int p = 0; p < depth; p++) store4(quads + p * ROWS, load4(inputs[p] + channel));
    return 1;
  }
  for (int p = 0; p < depth; p++) {
    const float *from = inputs[p] + channel;
    store4(quads + depth * ROWS + p * ROWS, load4(from)), store4(quads + p * ROWS, load4(from + ROWS));
  }
  return QUADS;
}

/** Rows [from, to) of the block's product, four at a time. */
static void add_rows(const FilterGradient *g, const float *const *inputs, const float *panels, float *quads, float *dw, int from, int to,
                     int depth, int add) {
  const int channels = g->channels, n = g->n;
  for (int i = from, packed = 0; i < to; i += ROWS) {
    float *out[ROWS];
    for (int r = 0; r < ROWS; r++) {
      const int row = min_int(i + r, to - 1), channel = row % channels;
      const float *const *tap = inputs + row / channels * BLOCK_PIXELS;
      out[r] = dw + row * n;
      if (channels % ROWS) {
        packed = 1;
        for (int p = 0; p < depth; p++) quads[p * ROWS + r] = tap[p][channel];
      } else if (packed == 0) {
        packed = pack_quads(tap, channel, min_int(channels - channel, to - i), depth, quads);
      }
    }
    const float *quad = quads + --packed * depth * ROWS;
    for (int q = 0; q < n; q += PANEL) tile_quads(quad, depth, panels + q * depth, out, q, n - q, add);
  }
}

/** dw[4·v + r][j] (+)= Σ_p inputs[p][channel + 4·v + r] · dy[p][j] for `vectors` and `n` that the compiler knows. */
INLINE void narrow_rows(const float *const *inputs, int channel, const float *dy, int depth, int vectors, int n, float *dw, int add) {
  f32x4 sums[4][FEW_RESULTS];
  UNROLL
  for (int v = 0; v < vectors; v++)
    UNROLL
    for (int j = 0; j < n; j++) sums[v][j] = splat4(0);
  for (int p = 0; p < depth; p++, dy += n) {
    const float *from = inputs[p] + channel;
    f32x4 factors[FEW_RESULTS];
    UNROLL
    for (int j = 0; j < n; j++) factors[j] = splat_load4(dy + j);
    UNROLL
    for (int v = 0; v < vectors; v++) {
      f32x4 input = load4(from + 4 * v);
      UNROLL
      for (int j = 0; j < n; j++) sums[v][j] = multiply_add4(input, factors[j], sums[v][j]);
    }
  }
  UNROLL
  for (int v = 0; v < vectors; v++)
    UNROLL
    for (int j = 0; j < n; j++) {
      float lanes[4];
      store4(lanes, sums[v][j]);
      UNROLL
      for (int r = 0; r < 4; r++) {
        float *to = dw + (4 * v + r) * n + j;
        *to = add ? *to + lanes[r] : lanes[r];
      }
    }
}

/** add_rows for few results: as many rows at a time as leave registers for the factors. */
static void add_narrow_rows(const FilterGradient *g, const float *const *inputs, const float *dy, float *dw, int from, int to, int depth,
                            int add) {
  const int channels = g->channels, n = g->n, most = n > 2 ? 8 : 16;
  for (int row = from, rows; row < to; row += rows) {
    const int channel = row % channels;
    rows = row + most <= to && channel + most <= channels ? most : 4;
    const float *const *tap = inputs + row / channels * BLOCK_PIXELS;
#define NARROW(vectors, n) narrow_rows(tap, channel, dy, depth, vectors, n, dw + row * n, add)
    if (rows == most) {
      if (n == 1) NARROW(4, 1);
      else if (n == 2) NARROW(4, 2);
      else if (n == 3) NARROW(2, 3);
      else NARROW(2, 4);
    } else {
      if (n == 1) NARROW(1, 1);
      else if (n == 2) NARROW(1, 2);
      else if (n == 3) NARROW(1, 3);
      else NARROW(1, 4);
    }
#undef NARROW
  }
}

/** Items are groups of rows of stretches. */
static void piece_body(const void *arguments, int first, int last, int thread) {
  const FilterGradient *g = arguments;
  const Division d = g->division;
  const int taps = g->taps_y * g->taps_x, m = taps * g->channels, n = g->n, pixels = g->batch * g->out_height * g->out_width;
  const float **inputs = g->inputs + thread * taps * BLOCK_PIXELS;
  float *panels = g->panels + thread * panels_size(n), *quads = g->quads + thread * QUADS_SIZE;
  for (int item = first; item < last; item++) {
    const int stretch = item / d.groups, row = item % d.groups * d.rows, end = min_int(m, row + d.rows);
    const int begin = stretch * d.pixels, many = min_int(d.pixels, pixels - begin);
    float *dw = g->out + stretch * m * n;
    for (int done = 0, blocks = (many + BLOCK_PIXELS - 1) / BLOCK_PIXELS, depth; done < many; done += depth) {
      depth = min_int((many + blocks - 1) / blocks, many - done);
      const float *dy = g->dy + (begin + done) * n;
      find_inputs(g, inputs, row / g->channels, (end - 1) / g->channels, begin + done, depth);
      if (is_narrow(g)) {
        add_narrow_rows(g, inputs, dy, dw, row, end, depth, done > 0);
      } else {
        pack_panels(dy, n, 1, depth, n, panels);
        add_rows(g, inputs, panels, quads, dw, row, end, depth, done > 0);
      }
    }
  }
}

/** Bytes of scratch for conv_filter_gradient of `pixels` outputs. */
int EXPORT(conv_filter_gradient_scratch_bytes)(int pixels, int taps, int in_channels, int out_channels) {
  const int m = taps * in_channels, stretches = divide(pixels, m, out_channels).stretches;
  const int own = panels_size(out_channels) + QUADS_SIZE + BLOCK_PIXELS * taps;
  return 4 * (threads() * own + round_up(in_channels, 4) + (stretches > 1 ? stretches * m * out_channels : 0));
}

/** dw = ∂⟨conv(x, w), dy⟩/∂w. */
void EXPORT(conv_filter_gradient)(const float *x, const float *dy, float *dw, int batch, int height, int width, int in_channels,
                                  int out_height, int out_width, int out_channels, int taps_y, int taps_x, int stride_y, int stride_x,
                                  int dilation_y, int dilation_x, int pad_top, int pad_left, float *scratch) {
  const int taps = taps_y * taps_x, m = taps * in_channels, n = out_channels, pixels = batch * out_height * out_width;
  if (pixels == 0) {
    __builtin_memset(dw, 0, (size_t)m * n * sizeof(float));
    return;
  }
  const Division d = divide(pixels, m, n);
  float *panels = scratch, *quads = panels + threads() * panels_size(n), *zeros = quads + threads() * QUADS_SIZE;
  const float **inputs = (const float **)(zeros + round_up(in_channels, 4));
  float *partial = (float *)(inputs + threads() * taps * BLOCK_PIXELS);
  __builtin_memset(zeros, 0, in_channels * sizeof(float));
  FilterGradient job = {x,         dy,        zeros,  d.stretches == 1 ? dw : partial, batch, height, width, in_channels,
                        out_height, out_width, n,      taps_y, taps_x, stride_y, stride_x, dilation_y, dilation_x, pad_top, pad_left,
                        d,         inputs,    panels, quads};
  parallel(piece_body, &job, d.stretches * d.groups, grain_of(d.pixels * d.rows * n, ENOUGH));
  if (d.stretches != 1) sum_parts(partial, d.stretches, m * n, dw);
}
