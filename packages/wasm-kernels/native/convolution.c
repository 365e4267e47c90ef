// Convolutions over NHWC images and HWIO filters as matrix products that never build the patches matrix.
#include "parallel.h"
#include "tile.h"

enum {
  // Floats of packed filter at a time: a quarter of a 1 MiB second-level cache.
  PACKED_FILTER = 65536,
  // Below this many channels a tap's inner loop is too short: patches are gathered into rows.
  FEW_CHANNELS = 8,
  // Up to this many results a pixel are dot products, one by one: eight columns would be mostly padding.
  FEW_RESULTS = 4,
  MAX_TAPS = 1024,
  // Multiply-adds that are worth a piece of their own.
  ENOUGH = 131072,
};

INLINE int is_narrow(int channels, int results) { return results <= FEW_RESULTS && channels % 4 == 0; }

/** Geometry: an output grid whose pixel (y, x) reads the input at (y·stride + tap.y, x·stride + tap.x). */
typedef struct {
  int batch, in_height, in_width, in_channels;
  int out_height, out_width, out_channels;
  int stride_y, stride_x;
} Grid;

/** Where an output pixel lies: ((image·rows + y·step_y + first_y)·columns + x·step_x + first_x)·channels. */
typedef struct {
  int rows, columns, step_y, step_x, first_y, first_x;
} Placement;

/** Copies n < 8 values. */
INLINE void copy_few(float *to, const float *from, int n) {
  if (n & 4) store4(to, load4(from)), to += 4, from += 4;
  if (n & 2) __builtin_memcpy(to, from, 2 * sizeof(float)), to += 2, from += 2;
  if (n & 1) *to = *from;
}

/** A convolution by a block of the filter's columns. */
typedef struct {
  const float *x;
  float *y;
  Grid g;
  Placement place;
  /** `count` pairs (y, x), and the same as offsets into the image. */
  const int *taps, *offsets;
  int count, top, bottom, left, right;
  /** Packed [panel][tap][channel][8], or [column][tap][channel] where the results are few. */
  const float *filter;
  int column, columns;
  /** At least 8 and in_channels zeros. */
  const float *zeros;
  /** For each thread: 4·count pointers, and 4·count·in_channels floats. */
  const float **rows;
  float *patches;
} Convolution;

/** y[pixel] = Σ_taps x[pixel's input at tap] · W_tap for the pixels 4·from to 4·to. */
static void convolve_body(const void *arguments, int from, int to, int thread) {
  const Convolution *job = arguments;
  const Grid g = job->g;
  const Placement place = job->place;
  const int *taps = job->taps, *offsets = job->offsets;
  const int count = job->count, top = job->top, bottom = job->bottom, left = job->left, right = job->right;
  const int column = job->column, columns = job->columns;
  const float *x = job->x, *filter = job->filter, *zeros = job->zeros;
  float *y = job->y;
  int depth = count * g.in_channels, line = g.out_height * g.out_width;
  int pixels = min_int(to * ROWS, g.batch * line);
  int narrow = is_narrow(g.in_channels, g.out_channels);
  int gather = count > 1 && g.in_channels < FEW_CHANNELS && !narrow;
  const float **rows = job->rows + thread * ROWS * count;
  float *patches = job->patches + thread * ROWS * depth;
  const float *patch_rows[ROWS] = {patches, patches + depth, patches + 2 * depth, patches + 3 * depth};
  int image = from * ROWS / line, oy = from * ROWS % line / g.out_width, ox = from * ROWS % g.out_width;
  for (int pixel = from * ROWS; pixel < pixels; pixel += ROWS) {
    float *out[ROWS];
    for (int r = 0; r < ROWS; r++) {
      if (pixel + r >= pixels) {
        out[r] = out[r - 1];
        for (int t = 0; t < count; t++) rows[t * ROWS + r] = rows[t * ROWS + r - 1];
        continue;
      }
      out[r] = y + ((image * place.rows + oy * place.step_y + place.first_y) * place.columns + ox * place.step_x +
                    place.first_x) *
                       g.out_channels;
      const float *input = x + image * g.in_height * g.in_width * g.in_channels;
      int y0 = oy * g.stride_y, x0 = ox * g.stride_x;
      if (y0 + top >= 0 && y0 + bottom < g.in_height && x0 + left >= 0 && x0 + right < g.in_width) {
        const float *centre = input + (y0 * g.in_width + x0) * g.in_channels;
        for (int t = 0; t < count; t++) rows[t * ROWS + r] = centre + offsets[t];
      } else {
        for (int t = 0; t < count; t++) {
          int iy = y0 + taps[2 * t], ix = x0 + taps[2 * t + 1];
          int inside = (unsigned)iy < (unsigned)g.in_height && (unsigned)ix < (unsigned)g.in_width;
          rows[t * ROWS + r] = inside ? input + (iy * g.in_width + ix) * g.in_channels : zeros;
        }
      }
      if (++ox == g.out_width) {
        ox = 0;
        if (++oy == g.out_height) oy = 0, image++;
      }
    }
    if (narrow) {
      tile_columns(rows, count, g.in_channels, filter, depth, out, g.out_channels);
      continue;
    }
    if (gather) {
      for (int r = 0; r < ROWS; r++)
        for (int t = 0; t < count; t++)
          copy_few(patches + r * depth + t * g.in_channels, rows[t * ROWS + r], g.in_channels);
    }
    for (int q = 0; q < columns; q += PANEL)
      if (gather)
        tile_rows(patch_rows, 1, depth, filter + q * depth, out, column + q, columns - q, 0);
      else
        tile_rows(rows, count, g.in_channels, filter + q * depth, out, column + q, columns - q, 0);
  }
}

/** Bytes of scratch for conv_forward and conv_input_gradient: `k` channels are summed over `taps` taps, `n` result. */
int EXPORT(conv_scratch_bytes)(int taps, int k, int n) {
  int depth = taps * k;
  int filter = max_int(PACKED_FILTER, depth * PANEL);
  int own = ROWS * depth + ROWS * taps;
  return 4 * (min_int(filter, depth * round_up(n, PANEL)) + round_up(k + 8, 4) + threads() * own) + 64;
}

/** Packing of the filter's panels: where the block's first column is, and the strides. */
typedef struct {
  const float *w;
  float *panels;
  const int *filter_taps;
  int count, k, columns, tap_stride, k_stride, n_stride;
} Packing;

static void pack_filter_body(const void *arguments, int from, int to, int thread) {
  const Packing *job = arguments;
  for (int q = from * PANEL; q < min_int(to * PANEL, job->columns); q += PANEL)
    for (int t = 0; t < job->count; t++)
      pack_panels(job->w + job->filter_taps[t] * job->tap_stride + q * job->n_stride, job->k_stride, job->n_stride, job->k,
                  min_int(PANEL, job->columns - q), job->panels + (q * job->count + t * PANEL) * job->k);
}

/** Splits scratch into its parts, packs the filter a block of columns at a time, and convolves. */
static void convolve_blocks(const float *x, float *y, Grid g, Placement place, const int *taps, const int *filter_taps,
                            int count, const float *w, int tap_stride, int k_stride, int n_stride, float *panels) {
  int k = g.in_channels, n = g.out_channels, depth = count * k;
  int most = max_int(PACKED_FILTER / max_int(depth, 1) / PANEL, 1) * PANEL;
  // Blocks of one size.
  int block = round_up((n + (n + most - 1) / most - 1) / ((n + most - 1) / most), PANEL);
  int offsets[MAX_TAPS], top = 0, bottom = 0, left = 0, right = 0;
  for (int t = 0; t < count; t++) {
    offsets[t] = (taps[2 * t] * g.in_width + taps[2 * t + 1]) * k;
    top = min_int(top, taps[2 * t]), bottom = max_int(bottom, taps[2 * t]);
    left = min_int(left, taps[2 * t + 1]), right = max_int(right, taps[2 * t + 1]);
  }
  float *zeros = panels + depth * min_int(block, round_up(n, PANEL));
  float *patches = zeros + round_up(k + 8, 4);
  const float **rows = (const float **)(patches + threads() * ROWS * depth);
  __builtin_memset(zeros, 0, (k + 8) * sizeof(float));
  for (int column = 0; column < n; column += block) {
    int columns = min_int(block, n - column);
    if (is_narrow(k, n)) {
      float *to = panels;
      for (int c = 0; c < n; c++)
        for (int t = 0; t < count; t++)
          for (int p = 0; p < k; p++) *to++ = w[filter_taps[t] * tap_stride + p * k_stride + c * n_stride];
    } else {
      Packing packing = {w + column * n_stride, panels, filter_taps, count, k, columns, tap_stride, k_stride, n_stride};
      parallel(pack_filter_body, &packing, round_up(columns, PANEL) / PANEL, grain_of(depth * PANEL, GRAIN));
    }
    Convolution job = {x, y, g, place, taps, offsets, count, top, bottom, left, right, panels, column, columns, zeros, rows,
                       patches};
    int pixels = g.batch * g.out_height * g.out_width;
    parallel(convolve_body, &job, round_up(pixels, ROWS) / ROWS, grain_of(ROWS * depth * columns, ENOUGH));
  }
}

/** The greatest number of taps (filter height × width) that the convolutions accept. */
int EXPORT(conv_max_taps)(void) { return MAX_TAPS; }

/** y = conv(x, w): x [B, H, W, Ci], w [taps_y, taps_x, Ci, Co], y [B, Ho, Wo, Co]. */
void EXPORT(conv_forward)(const float *x, const float *w, float *y, int batch, int height, int width, int in_channels,
                          int out_height, int out_width, int out_channels, int taps_y, int taps_x, int stride_y,
                          int stride_x, int dilation_y, int dilation_x, int pad_top, int pad_left, float *scratch) {
  int taps[2 * MAX_TAPS], filter_taps[MAX_TAPS], count = 0;
  for (int ty = 0; ty < taps_y; ty++)
    for (int tx = 0; tx < taps_x; tx++, count++) {
      filter_taps[count] = count;
      taps[2 * count] = ty * dilation_y - pad_top;
      taps[2 * count + 1] = tx * dilation_x - pad_left;
    }
  Grid g = {batch, height, width, in_channels, out_height, out_width, out_channels, stride_y, stride_x};
  Placement place = {out_height, out_width, 1, 1, 0, 0};
  convolve_blocks(x, y, g, place, taps, filter_taps, count, w, in_channels * out_channels, out_channels, 1, scratch);
}

/**
 * dx = ∂⟨conv(x, w), dy⟩/∂x. Input pixels of one residue class modulo the stride see the same taps, so each class is a
 * convolution of dy with stride 1 by those taps' transposes.
 */
void EXPORT(conv_input_gradient)(const float *dy, const float *w, float *dx, int batch, int height, int width,
                                 int in_channels, int out_height, int out_width, int out_channels, int taps_y,
                                 int taps_x, int stride_y, int stride_x, int dilation_y, int dilation_x, int pad_top,
                                 int pad_left, float *scratch) {
  int taps[2 * MAX_TAPS], filter_taps[MAX_TAPS];
  for (int first_y = 0; first_y < min_int(stride_y, height); first_y++)
    for (int first_x = 0; first_x < min_int(stride_x, width); first_x++) {
      int count = 0;
      for (int ty = 0; ty < taps_y; ty++)
        for (int tx = 0; tx < taps_x; tx++) {
          int from_y = first_y + pad_top - ty * dilation_y, from_x = first_x + pad_left - tx * dilation_x;
          if (from_y % stride_y || from_x % stride_x) continue;
          filter_taps[count] = ty * taps_x + tx;
          taps[2 * count] = from_y / stride_y;
          taps[2 * count + 1] = from_x / stride_x;
          count++;
        }
      Grid g = {batch,
                out_height,
                out_width,
                out_channels,
                (height - first_y + stride_y - 1) / stride_y,
                (width - first_x + stride_x - 1) / stride_x,
                in_channels,
                1,
                1};
      Placement place = {height, width, stride_y, stride_x, first_y, first_x};
      convolve_blocks(dy, dx, g, place, taps, filter_taps, count, w, in_channels * out_channels, 1, out_channels,
                      scratch);
    }
}
