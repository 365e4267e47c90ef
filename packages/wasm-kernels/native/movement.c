// Kernels that move values of four bytes (float32, int32) without changing them, and sums over rows with equal ids.
#include "parallel.h"

/** A copy's rows of n[3] elements, and each side's strides. */
typedef struct {
  const uint32_t *x;
  uint32_t *y;
  int n1, n2, n3, x0, x1, x2, x3, y0, y1, y2, y3;
} Copy;

static void copy_body(const void *arguments, int from, int to, int thread) {
  const Copy g = *(const Copy *)arguments;
  int k = from % g.n2, j = from / g.n2 % g.n1, i = from / g.n2 / g.n1;
  for (int r = from; r < to; r++) {
    const uint32_t *x = g.x + i * g.x0 + j * g.x1 + k * g.x2;
    uint32_t *y = g.y + i * g.y0 + j * g.y1 + k * g.y2;
    if (++k == g.n2) {
      k = 0;
      if (++j == g.n1) j = 0, i++;
    }
    int l = 0;
    if (g.x3 == 1 && g.y3 == 1) {
      // memory.copy costs a call: worth it for long runs alone.
      if (g.n3 >= 256) {
        __builtin_memcpy(y, x, (size_t)g.n3 * 4);
        continue;
      }
      for (; l + 4 <= g.n3; l += 4) wasm_v128_store(y + l, wasm_v128_load(x + l));
      for (; l < g.n3; l++) y[l] = x[l];
    } else if (g.x3 == 0 && g.y3 == 1) {
      v128_t value = wasm_v128_load32_splat(x);
      for (; l + 4 <= g.n3; l += 4) wasm_v128_store(y + l, value);
      for (; l < g.n3; l++) y[l] = *x;
    } else {
      for (; l < g.n3; l++, x += g.x3, y += g.y3) *y = *x;
    }
  }
}

/**
 * y[i][j][k][l] = x[i][j][k][l] with each side's strides in elements, of any sign. Covers concatenation,
 * slices, tiling and broadcasting (strides of 0), and reversal (negative strides).
 */
void EXPORT(copy)(const uint32_t *x, uint32_t *y, int n0, int n1, int n2, int n3, int x0, int x1, int x2, int x3, int y0,
                  int y1, int y2, int y3) {
  Copy job = {x, y, n1, n2, n3, x0, x1, x2, x3, y0, y1, y2, y3};
  parallel(copy_body, &job, n0 * n1 * n2, grain_of(n3, GRAIN));
}

/** Items are four rows of one matrix of the batch. */
static void transpose_body(const void *arguments, int from, int to, int thread) {
  const Job *job = arguments;
  const int rows = job->n[0], columns = job->n[1], groups = (rows + 3) / 4;
  for (int item = from; item < to; item++) {
    const int r = item % groups * 4;
    const uint32_t *x = (const uint32_t *)job->in[0] + (item / groups * rows + r) * columns;
    uint32_t *y = (uint32_t *)job->out[0] + item / groups * rows * columns + r;
    int c = 0;
    if (r + 4 <= rows) {
      for (; c + 4 <= columns; c += 4, x += 4, y += 4 * rows) {
        v128_t r0 = wasm_v128_load(x), r1 = wasm_v128_load(x + columns);
        v128_t r2 = wasm_v128_load(x + 2 * columns), r3 = wasm_v128_load(x + 3 * columns);
        v128_t t0 = wasm_i32x4_shuffle(r0, r1, 0, 4, 1, 5), t1 = wasm_i32x4_shuffle(r2, r3, 0, 4, 1, 5);
        v128_t t2 = wasm_i32x4_shuffle(r0, r1, 2, 6, 3, 7), t3 = wasm_i32x4_shuffle(r2, r3, 2, 6, 3, 7);
        wasm_v128_store(y, wasm_i64x2_shuffle(t0, t1, 0, 2));
        wasm_v128_store(y + rows, wasm_i64x2_shuffle(t0, t1, 1, 3));
        wasm_v128_store(y + 2 * rows, wasm_i64x2_shuffle(t2, t3, 0, 2));
        wasm_v128_store(y + 3 * rows, wasm_i64x2_shuffle(t2, t3, 1, 3));
      }
    }
    for (; c < columns; c++, x++, y += rows)
      for (int i = 0; i < min_int(4, rows - r); i++) y[i] = x[i * columns];
  }
}

/** y[b][c][r] = x[b][r][c] */
void EXPORT(transpose)(const uint32_t *x, uint32_t *y, int batch, int rows, int columns) {
  Job job = {.in = {x}, .out = {y}, .n = {rows, columns}};
  parallel(transpose_body, &job, batch * ((rows + 3) / 4), grain_of(4 * columns, GRAIN));
}

/** y[b][o][i] = x[b][o][indices[b][i]], rows of `slice` elements, `extent` rows on x's indexed axis. */
void EXPORT(gather_rows)(const uint32_t *x, const int *indices, uint32_t *y, int batch, int outer, int extent, int count,
                         int slice) {
  for (int b = 0; b < batch; b++)
    for (int o = 0; o < outer; o++)
      for (int i = 0; i < count; i++, y += slice) {
        const uint32_t *from = x + ((b * outer + o) * extent + indices[b * count + i]) * slice;
        if (slice == 1)
          *y = *from;
        else
          __builtin_memcpy(y, from, (size_t)slice * 4);
      }
}

/** y[ids[i]] += x[i], rows of `slice`; y starts as zeros, ids outside [0, segments) are dropped. */
void EXPORT(segment_sum)(const float *x, const int *ids, float *y, int count, int segments, int slice) {
  __builtin_memset(y, 0, (size_t)segments * slice * sizeof(float));
  for (int i = 0; i < count; i++, x += slice) {
    if ((unsigned)ids[i] >= (unsigned)segments) continue;
    float *to = y + ids[i] * slice;
    int j = 0;
    for (; j + 4 <= slice; j += 4) store4(to + j, wasm_f32x4_add(load4(to + j), load4(x + j)));
    for (; j < slice; j++) to[j] += x[j];
  }
}
