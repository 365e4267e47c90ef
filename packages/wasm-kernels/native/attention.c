// Self-attention, softmax(q·kᵀ/√d)·v for each image and head, of queries, keys and values that lie together as a convolution makes them:
// [batch, pixels, (q, k, v), heads, d]. Queries go through in blocks, so that no matrix of pixels × pixels is ever whole in memory, and the gradient
// computes the weights anew.
#include "parallel.h"
#include "softmax.h"
#include "tile.h"

enum {
  // Queries at a time: their weights and a head's keys and values stay in the second-level cache.
  QUERIES = 64,
  // Multiply-adds that are worth a piece of their own.
  ENOUGH = 131072,
};

typedef struct {
  const float *qkv, *dy;
  float *to, *scratch;
  int pixels, heads, size, scratch_floats;
  float scale;
} Attention;

INLINE int blocks_of(int pixels) { return (pixels + QUERIES - 1) / QUERIES; }

/** Floats of a thread's scratch. */
INLINE int forward_floats(int n, int d) { return round_up(n, PANEL) * d + n * round_up(d, PANEL) + QUERIES * n; }
INLINE int gradient_floats(int n, int d) {
  return 2 * round_up(n, PANEL) * d + n * round_up(d, PANEL) + QUERIES * (2 * n + round_up(d, PANEL) + ROWS);
}

// The parts of a block; a call is nothing beside one, and a copy for each caller would be.
#define PART static __attribute__((noinline)) void

PART weigh(float *rows, int count, int n, float scale) {
  for (int i = 0; i < count; i++) softmax_row(rows + i * n, rows + i * n, n, scale);
}

/** c [rows, columns] = a [rows, depth] · packed; a's and c's rows lie a_row and c_row apart. */
PART multiply_rows(const float *a, int a_row, const float *panels, float *c, int c_row, int rows, int depth, int columns) {
  for (int i = 0; i < rows; i += ROWS) {
    const float *from[ROWS];
    float *to[ROWS];
    for (int r = 0; r < ROWS; r++) {
      const int row = min_int(i + r, rows - 1);
      from[r] = a + row * a_row, to[r] = c + row * c_row;
    }
    for (int j = 0; j < columns; j += PANEL) tile_rows(from, 1, depth, panels + j * depth, to, j, columns - j, 0);
  }
}

/** c [columns of a, columns] = aᵀ · packed, or c += it, for a [depth, rows] with dense rows. */
PART multiply_transposed(const float *a, const float *panels, float *c, int c_row, int rows, int depth, int columns, int add, float *quad) {
  for (int i = 0; i < rows; i += ROWS) {
    float *to[ROWS];
    for (int r = 0; r < ROWS; r++) to[r] = c + min_int(i + r, rows - 1) * c_row;
    if (i + ROWS <= rows)
      for (int p = 0; p < depth; p++) store4(quad + p * ROWS, load4(a + p * rows + i));
    else
      for (int p = 0; p < depth; p++)
        for (int r = 0; r < ROWS; r++) quad[p * ROWS + r] = a[p * rows + min_int(i + r, rows - 1)];
    for (int j = 0; j < columns; j += PANEL) tile_quads(quad, depth, panels + j * depth, to, j, columns - j, add);
  }
}

/** Items are blocks of queries of a head of an image. */
static void forward_body(const void *arguments, int from, int to, int thread) {
  const Attention *g = arguments;
  const int n = g->pixels, d = g->size, channels = g->heads * d, row = 3 * channels, blocks = blocks_of(n);
  float *keys = g->scratch + thread * g->scratch_floats, *values = keys + round_up(n, PANEL) * d, *weights = values + n * round_up(d, PANEL);
  for (int item = from; item < to; item++) {
    const int of = item / blocks, first = item % blocks * QUERIES, block = min_int(QUERIES, n - first);
    const int image = of / g->heads, head = of % g->heads;
    const float *q = g->qkv + image * n * row + head * d;
    if (item == from || first == 0) {
      pack_panels(q + channels, 1, row, d, n, keys);
      pack_panels(q + 2 * channels, row, 1, n, d, values);
    }
    multiply_rows(q + first * row, row, keys, weights, n, block, d, n);
    weigh(weights, block, n, g->scale);
    multiply_rows(weights, n, values, g->to + (image * n + first) * channels + head * d, channels, block, n, d);
  }
}

/** dS = scale·P∘(dP − Σ P∘dP), in dP's place. */
INLINE void softmax_slope(const float *p, float *slopes, int n, float scale) {
  float inner;
#define VALUE(load, i) wasm_f32x4_mul(load(p + (i)), load(slopes + (i)))
  SUM(n, inner, VALUE)
#undef VALUE
  const f32x4 inner4 = splat4(inner), scale4 = splat4(scale);
  int i = 0;
  for (; i + 4 <= n; i += 4)
    store4(slopes + i, wasm_f32x4_mul(wasm_f32x4_mul(load4(p + i), scale4), wasm_f32x4_sub(load4(slopes + i), inner4)));
  for (; i < n; i++) slopes[i] = p[i] * scale * (slopes[i] - inner);
}

// Items are heads of images. With P the weights and dP = dy·vᵀ: dv = Pᵀ·dy, dS as above, dq = dS·k, dk = dSᵀ·q.
static void gradient_body(const void *arguments, int from, int to, int thread) {
  const Attention *g = arguments;
  const int n = g->pixels, d = g->size, channels = g->heads * d, row = 3 * channels;
  float *keys = g->scratch + thread * g->scratch_floats, *values = keys + round_up(n, PANEL) * d, *summed_keys = values + round_up(n, PANEL) * d;
  float *weights = summed_keys + n * round_up(d, PANEL), *slopes = weights + QUERIES * n, *panels = slopes + QUERIES * n;
  float *quad = panels + QUERIES * round_up(d, PANEL);
  for (int item = from; item < to; item++) {
    const int image = item / g->heads, head = item % g->heads, start = image * n * row + head * d;
    const float *q = g->qkv + start, *k = q + channels, *v = k + channels, *dy = g->dy + image * n * channels + head * d;
    float *dq = g->to + start, *dk = dq + channels, *dv = dk + channels;
    pack_panels(k, 1, row, d, n, keys);
    pack_panels(v, 1, row, d, n, values);
    pack_panels(k, row, 1, n, d, summed_keys);
    for (int first = 0; first < n; first += QUERIES) {
      const int block = min_int(QUERIES, n - first), add = first > 0;
      multiply_rows(q + first * row, row, keys, weights, n, block, d, n);
      weigh(weights, block, n, g->scale);
      multiply_rows(dy + first * channels, channels, values, slopes, n, block, d, n);
      pack_panels(dy + first * channels, channels, 1, block, d, panels);
      multiply_transposed(weights, panels, dv, row, n, block, d, add, quad);
      for (int i = 0; i < block; i++) softmax_slope(weights + i * n, slopes + i * n, n, g->scale);
      multiply_rows(slopes, n, summed_keys, dq + first * row, row, block, n, d);
      pack_panels(q + first * row, row, 1, block, d, panels);
      multiply_transposed(slopes, panels, dk, row, n, block, d, add, quad);
    }
  }
}

/** Bytes of scratch for attention and its gradient. */
int EXPORT(attention_scratch_bytes)(int pixels, int size, int gradient) {
  return 4 * threads() * (gradient ? gradient_floats(pixels, size) : forward_floats(pixels, size));
}

/** y [batch, pixels, heads·size] of qkv [batch, pixels, 3·heads·size]. */
void EXPORT(attention)(const float *qkv, float *y, int batch, int pixels, int heads, int size, float scale, float *scratch) {
  Attention g = {qkv, 0, y, scratch, pixels, heads, size, forward_floats(pixels, size), scale};
  parallel(forward_body, &g, batch * heads * blocks_of(pixels), grain_of(2 * QUERIES * pixels * size, ENOUGH));
}

/** dqkv as qkv, of dy [batch, pixels, heads·size]. */
void EXPORT(attention_grad)(const float *qkv, const float *dy, float *dqkv, int batch, int pixels, int heads, int size, float scale, float *scratch) {
  Attention g = {qkv, dy, dqkv, scratch, pixels, heads, size, gradient_floats(pixels, size), scale};
  parallel(gradient_body, &g, batch * heads, grain_of(5 * pixels * pixels * size, ENOUGH));
}
