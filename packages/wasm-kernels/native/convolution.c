// Convolutions over NHWC images and HWIO filters as matrix products that never build the patches matrix.
#include "tile.h"

enum {
  // Floats of packed filter that stay in the second-level cache.
  PACKED_FILTER = 131072,
  // Output pixels whose patches the filter's gradient packs at a time.
  BLOCK_PIXELS = 256,
  // Below this many channels a tap's inner loop is too short: patches are gathered into rows.
  FEW_CHANNELS = 8,
  // Up to this many results a pixel are dot products, one by one: eight columns would be mostly padding.
  FEW_RESULTS = 3,
  MAX_TAPS = 1024,
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

/**
 * y[pixel] = Σ_taps x[pixel's input at tap] · W_tap. The packed filter is [panel][tap][channel][8], or
 * [column][tap][channel] where the results are few. taps: `count` pairs (y, x). zeros: at least 8 and in_channels zeros.
 * rows: 4·count pointers. patches: 4·count·in_channels floats.
 */
static void convolve(const float *x, float *y, Grid g, Placement place, const int *taps, int count, const float *filter,
                     int column, int columns, const float *zeros, const float **rows, float *patches) {
  int pixels = g.batch * g.out_height * g.out_width;
  int narrow = is_narrow(g.in_channels, g.out_channels);
  int gather = count > 1 && g.in_channels < FEW_CHANNELS && !narrow;
  int depth = count * g.in_channels;
  const float *patch_rows[ROWS] = {patches, patches + depth, patches + 2 * depth, patches + 3 * depth};
  int offsets[MAX_TAPS], top = 0, bottom = 0, left = 0, right = 0;
  for (int t = 0; t < count; t++) {
    offsets[t] = (taps[2 * t] * g.in_width + taps[2 * t + 1]) * g.in_channels;
    top = min_int(top, taps[2 * t]), bottom = max_int(bottom, taps[2 * t]);
    left = min_int(left, taps[2 * t + 1]), right = max_int(right, taps[2 * t + 1]);
  }
  int image = 0, oy = 0, ox = 0;
  for (int pixel = 0; pixel < pixels; pixel += ROWS) {
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
      for (int c = 0; c < columns; c++) tile_column(rows, count, g.in_channels, filter + c * depth, out, column + c);
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
  return 4 * (min_int(filter, depth * round_up(n, PANEL)) + ROWS * depth + round_up(k + 8, 4) + ROWS * taps) + 64;
}

/** Splits scratch into its parts, packs the filter a block of columns at a time, and convolves. */
static void convolve_blocks(const float *x, float *y, Grid g, Placement place, const int *taps, const int *filter_taps,
                            int count, const float *w, int tap_stride, int k_stride, int n_stride, float *panels) {
  int k = g.in_channels, n = g.out_channels, depth = count * k;
  int block = max_int(PACKED_FILTER / max_int(depth, 1) / PANEL, 1) * PANEL;
  float *patches = panels + depth * min_int(block, round_up(n, PANEL));
  float *zeros = patches + ROWS * depth;
  const float **rows = (const float **)(zeros + round_up(k + 8, 4));
  __builtin_memset(zeros, 0, (k + 8) * sizeof(float));
  for (int column = 0; column < n; column += block) {
    int columns = min_int(block, n - column);
    if (is_narrow(k, n)) {
      float *to = panels;
      for (int c = 0; c < n; c++)
        for (int t = 0; t < count; t++)
          for (int p = 0; p < k; p++) *to++ = w[filter_taps[t] * tap_stride + p * k_stride + c * n_stride];
    } else {
      for (int q = 0; q < columns; q += PANEL)
        for (int t = 0; t < count; t++)
          pack_panels(w + filter_taps[t] * tap_stride + (column + q) * n_stride, k_stride, n_stride, k,
                      min_int(PANEL, columns - q), panels + q * depth + t * k * PANEL);
    }
    convolve(x, y, g, place, taps, count, panels, column, columns, zeros, rows, patches);
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

/** Floats between the packed quads: off a power of two, so that they do not share a cache set. */
enum { QUAD_STRIDE = BLOCK_PIXELS * ROWS + 16 };

/** Bytes of scratch for conv_filter_gradient. */
int EXPORT(conv_filter_gradient_scratch_bytes)(int taps, int in_channels, int out_channels) {
  int quads = in_channels % ROWS == 0 ? in_channels / ROWS : (taps * in_channels + ROWS - 1) / ROWS;
  return 4 * (BLOCK_PIXELS * (round_up(out_channels, PANEL) + taps) + quads * QUAD_STRIDE + round_up(in_channels, 4)) +
         64;
}

/** Adds (or writes) m rows' products of packed quads and panels into dw, whose rows are `n` long. */
static void accumulate(const float *quads, int m, int depth, const float *panels, int n, float *dw, int add) {
  for (int i = 0; i < m; i += ROWS) {
    float *out[ROWS];
    for (int r = 0; r < ROWS; r++) out[r] = dw + min_int(i + r, m - 1) * n;
    for (int q = 0; q < n; q += PANEL)
      tile_quads(quads + i / ROWS * QUAD_STRIDE, depth, panels + q * depth, out, q, n - q, add);
  }
}

/** accumulate for few columns: dw[c][j] (+)= Σ_p inputs[p][c] · dy[p][j], the m rows being the vectors' lanes. */
static void accumulate_narrow(const float *const *inputs, const float *dy, int m, int depth, int n, float *dw, int add) {
  for (int c = 0; c < m; c += 4)
    for (int j = 0; j < n; j++) {
      f32x4 even = splat4(0), odd = even;
      int p = 0;
      for (; p + 2 <= depth; p += 2) {
        even = multiply_add4(load4(inputs[p] + c), splat_load4(dy + p * n + j), even);
        odd = multiply_add4(load4(inputs[p + 1] + c), splat_load4(dy + (p + 1) * n + j), odd);
      }
      if (p < depth) even = multiply_add4(load4(inputs[p] + c), splat_load4(dy + p * n + j), even);
      float sums[4];
      store4(sums, wasm_f32x4_add(even, odd));
      for (int r = 0; r < 4; r++) {
        float *to = dw + (c + r) * n + j;
        *to = add ? *to + sums[r] : sums[r];
      }
    }
}

/** dw = ∂⟨conv(x, w), dy⟩/∂w: for each tap, (x at that tap)ᵀ · dy, summed over blocks of pixels. */
void EXPORT(conv_filter_gradient)(const float *x, const float *dy, float *dw, int batch, int height, int width,
                                  int in_channels, int out_height, int out_width, int out_channels, int taps_y,
                                  int taps_x, int stride_y, int stride_x, int dilation_y, int dilation_x, int pad_top,
                                  int pad_left, float *panels) {
  int count = taps_y * taps_x, pixels = batch * out_height * out_width;
  int narrow = is_narrow(in_channels, out_channels);
  int by_tap = in_channels % ROWS == 0, m = count * in_channels;
  if (pixels == 0) {
    __builtin_memset(dw, 0, (size_t)m * out_channels * sizeof(float));
    return;
  }
  float *quads = panels + BLOCK_PIXELS * round_up(out_channels, PANEL);
  float *zeros = quads + (by_tap ? in_channels / ROWS : (m + ROWS - 1) / ROWS) * QUAD_STRIDE;
  const float **inputs = (const float **)(zeros + round_up(in_channels, 4));
  __builtin_memset(zeros, 0, in_channels * sizeof(float));
  int image = 0, oy = 0, ox = 0;
  for (int start = 0; start < pixels; start += BLOCK_PIXELS) {
    int depth = min_int(BLOCK_PIXELS, pixels - start);
    if (!narrow) pack_panels(dy + start * out_channels, out_channels, 1, depth, out_channels, panels);
    for (int p = 0; p < depth; p++) {
      const float *input = x + image * height * width * in_channels;
      for (int ty = 0, t = 0; ty < taps_y; ty++)
        for (int tx = 0; tx < taps_x; tx++, t++) {
          int iy = oy * stride_y + ty * dilation_y - pad_top, ix = ox * stride_x + tx * dilation_x - pad_left;
          int inside = (unsigned)iy < (unsigned)height && (unsigned)ix < (unsigned)width;
          inputs[t * BLOCK_PIXELS + p] = inside ? input + (iy * width + ix) * in_channels : zeros;
        }
      if (++ox == out_width) {
        ox = 0;
        if (++oy == out_height) oy = 0, image++;
      }
    }
    if (narrow) {
      for (int t = 0; t < count; t++)
        accumulate_narrow(inputs + t * BLOCK_PIXELS, dy + start * out_channels, in_channels, depth, out_channels,
                          dw + t * in_channels * out_channels, start > 0);
    } else if (by_tap) {
      for (int t = 0; t < count; t++) {
        for (int p = 0; p < depth; p++) {
          const float *from = inputs[t * BLOCK_PIXELS + p];
          float *to = quads + p * ROWS;
          for (int c = 0; c < in_channels; c += ROWS, to += QUAD_STRIDE) store4(to, load4(from + c));
        }
        accumulate(quads, in_channels, depth, panels, out_channels, dw + t * in_channels * out_channels, start > 0);
      }
    } else {
      for (int p = 0; p < depth; p++) {
        float *to = quads + p * ROWS;
        int lane = 0;
        for (int t = 0; t < count; t++)
          for (int c = 0; c < in_channels; c++) {
            to[lane] = inputs[t * BLOCK_PIXELS + p][c];
            if (++lane == ROWS) lane = 0, to += QUAD_STRIDE;
          }
        // The rows beyond the last repeat it, as accumulate has it.
        if (lane)
          for (; lane < ROWS; lane++) to[lane] = to[lane - 1];
      }
      accumulate(quads, m, depth, panels, out_channels, dw, start > 0);
    }
  }
}
