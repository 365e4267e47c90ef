// Kernels that move values of four bytes (float32, int32) without changing them, and sums over rows with equal ids.
#include "common.h"

/**
 * y[i][j][k][l] = x[i][j][k][l] with each side's strides in elements, of any sign. Covers concatenation,
 * slices, tiling and broadcasting (strides of 0), and reversal (negative strides).
 */
void EXPORT(copy)(const uint32_t *x, uint32_t *y, int n0, int n1, int n2, int n3, int x0, int x1, int x2, int x3, int y0,
                  int y1, int y2, int y3) {
  for (int i = 0; i < n0; i++)
    for (int j = 0; j < n1; j++)
      for (int k = 0; k < n2; k++) {
        const uint32_t *from = x + i * x0 + j * x1 + k * x2;
        uint32_t *to = y + i * y0 + j * y1 + k * y2;
        int l = 0;
        if (x3 == 1 && y3 == 1) {
          // memory.copy costs a call: worth it for long runs alone.
          if (n3 >= 256) {
            __builtin_memcpy(to, from, (size_t)n3 * 4);
            continue;
          }
          for (; l + 4 <= n3; l += 4) wasm_v128_store(to + l, wasm_v128_load(from + l));
          for (; l < n3; l++) to[l] = from[l];
        } else if (x3 == 0 && y3 == 1) {
          v128_t value = wasm_v128_load32_splat(from);
          for (; l + 4 <= n3; l += 4) wasm_v128_store(to + l, value);
          for (; l < n3; l++) to[l] = *from;
        } else {
          for (; l < n3; l++, from += x3, to += y3) *to = *from;
        }
      }
}

/** y[b][c][r] = x[b][r][c] */
void EXPORT(transpose)(const uint32_t *x, uint32_t *y, int batch, int rows, int columns) {
  for (int b = 0; b < batch; b++, x += rows * columns, y += rows * columns) {
    int r = 0;
    for (; r + 4 <= rows; r += 4) {
      const uint32_t *from = x + r * columns;
      uint32_t *to = y + r;
      int c = 0;
      for (; c + 4 <= columns; c += 4, from += 4, to += 4 * rows) {
        v128_t r0 = wasm_v128_load(from), r1 = wasm_v128_load(from + columns);
        v128_t r2 = wasm_v128_load(from + 2 * columns), r3 = wasm_v128_load(from + 3 * columns);
        v128_t t0 = wasm_i32x4_shuffle(r0, r1, 0, 4, 1, 5), t1 = wasm_i32x4_shuffle(r2, r3, 0, 4, 1, 5);
        v128_t t2 = wasm_i32x4_shuffle(r0, r1, 2, 6, 3, 7), t3 = wasm_i32x4_shuffle(r2, r3, 2, 6, 3, 7);
        wasm_v128_store(to, wasm_i64x2_shuffle(t0, t1, 0, 2));
        wasm_v128_store(to + rows, wasm_i64x2_shuffle(t0, t1, 1, 3));
        wasm_v128_store(to + 2 * rows, wasm_i64x2_shuffle(t2, t3, 0, 2));
        wasm_v128_store(to + 3 * rows, wasm_i64x2_shuffle(t2, t3, 1, 3));
      }
      for (; c < columns; c++, from++, to += rows)
        for (int i = 0; i < 4; i++) to[i] = from[i * columns];
    }
    for (; r < rows; r++)
      for (int c = 0; c < columns; c++) y[c * rows + r] = x[r * columns + c];
  }
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
