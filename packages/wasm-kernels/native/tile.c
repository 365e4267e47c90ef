#include "tile.h"

#define NO_UNROLL _Pragma("clang loop unroll(disable)")

#define SUMS f32x4 c00 = splat4(0), c01 = c00, c10 = c00, c11 = c00, c20 = c00, c21 = c00, c30 = c00, c31 = c00
#define TILE ((Tile){{{c00, c01}, {c10, c11}, {c20, c21}, {c30, c31}}})

/** The i-th step from `panel` on; VALUE(r, i) is where its factor of row r is. */
#define STEP(i, VALUE)                                                                              \
  {                                                                                                 \
    f32x4 b0 = load4(panel + PANEL * i), b1 = load4(panel + PANEL * i + 4), a;                      \
    a = splat_load4(VALUE(0, i)), c00 = multiply_add4(a, b0, c00), c01 = multiply_add4(a, b1, c01); \
    a = splat_load4(VALUE(1, i)), c10 = multiply_add4(a, b0, c10), c11 = multiply_add4(a, b1, c11); \
    a = splat_load4(VALUE(2, i)), c20 = multiply_add4(a, b0, c20), c21 = multiply_add4(a, b1, c21); \
    a = splat_load4(VALUE(3, i)), c30 = multiply_add4(a, b0, c30), c31 = multiply_add4(a, b1, c31); \
  }

/**
 * k steps, four to a turn. A branch parts one from the next, and ends those that are not a multiple of four: V8 moves arithmetic behind loads as far
 * as a straight line goes, and spills registers where it is longer than a step.
 */
#define STEPS(k, VALUE, advance)            \
  NO_UNROLL                                 \
  for (int left = k; left > 0; left -= 4) { \
    STEP(0, VALUE)                          \
    if (left == 1) break;                   \
    STEP(1, VALUE)                          \
    if (left == 2) break;                   \
    STEP(2, VALUE)                          \
    if (left == 3) break;                   \
    STEP(3, VALUE)                          \
    panel += 4 * PANEL, advance;            \
  }

#define IN_ROW(r, i) (a##r + i)
#define IN_QUAD(r, i) (quad + ROWS * i + r)

__attribute__((noinline)) void tile_rows(const float *const *rows, int segments, int k, const float *panels,
                                         float *const *out, int column, int columns, int add) {
  SUMS;
  NO_UNROLL
  for (int s = 0; s < segments; s++) {
    const float *a0 = rows[0], *a1 = rows[1], *a2 = rows[2], *a3 = rows[3], *panel = panels;
    STEPS(k, IN_ROW, (a0 += 4, a1 += 4, a2 += 4, a3 += 4))
    rows += ROWS, panels += k * PANEL;
  }
  put_tile(TILE, out, column, columns, add);
}

__attribute__((noinline)) void tile_quads(const float *quad, int k, const float *panel, float *const *out, int column,
                                          int columns, int add) {
  SUMS;
  STEPS(k, IN_QUAD, quad += 4 * ROWS)
  put_tile(TILE, out, column, columns, add);
}

INLINE float lanes_sum(f32x4 v) {
  return (wasm_f32x4_extract_lane(v, 0) + wasm_f32x4_extract_lane(v, 1)) +
         (wasm_f32x4_extract_lane(v, 2) + wasm_f32x4_extract_lane(v, 3));
}

/** tile_columns for columns from `first` on, as many as the compiler knows. */
INLINE void columns_of(const float *const *rows, int segments, int k, const float *w, int stride, float *const *out,
                       int first, int columns) {
  w += first * stride;
  f32x4 c[2][ROWS];
  UNROLL
  for (int j = 0; j < columns; j++) c[j][0] = c[j][1] = c[j][2] = c[j][3] = splat4(0);
  NO_UNROLL
  for (int s = 0; s < segments; s++) {
    const float *a0 = rows[0], *a1 = rows[1], *a2 = rows[2], *a3 = rows[3];
    rows += ROWS;
    NO_UNROLL
    for (int p = 0; p < k; p += 4) {
      f32x4 r0 = load4(a0), r1 = load4(a1), r2 = load4(a2), r3 = load4(a3);
      UNROLL
      for (int j = 0; j < columns; j++) {
        f32x4 b = load4(w + j * stride);
        c[j][0] = multiply_add4(r0, b, c[j][0]), c[j][1] = multiply_add4(r1, b, c[j][1]);
        c[j][2] = multiply_add4(r2, b, c[j][2]), c[j][3] = multiply_add4(r3, b, c[j][3]);
      }
      w += 4, a0 += 4, a1 += 4, a2 += 4, a3 += 4;
    }
  }
  UNROLL
  for (int j = 0; j < columns; j++)
    UNROLL
    for (int r = 0; r < ROWS; r++) out[r][first + j] = lanes_sum(c[j][r]);
}

__attribute__((noinline)) void tile_columns(const float *const *rows, int segments, int k, const float *w, int stride,
                                            float *const *out, int columns) {
  if (columns == 1)
    columns_of(rows, segments, k, w, stride, out, 0, 1);
  else
    // Of three, the second is summed twice: sums of three at once do not fit the registers.
    for (int first = 0; first < columns; first += 2)
      columns_of(rows, segments, k, w, stride, out, min_int(first, columns - 2), 2);
}

void pack_panels(const float *b, int b_row, int b_col, int k, int n, float *panels) {
  for (int j = 0; j < n; j += PANEL, panels += k * PANEL) {
    const float *from = b + j * b_col;
    int columns = min_int(PANEL, n - j);
    if (columns < PANEL) {
      for (int p = 0; p < k; p++)
        for (int c = 0; c < PANEL; c++) panels[p * PANEL + c] = c < columns ? from[p * b_row + c * b_col] : 0;
    } else if (b_col == 1) {
      for (int p = 0; p < k; p++) {
        store4(panels + p * PANEL, load4(from + p * b_row));
        store4(panels + p * PANEL + 4, load4(from + p * b_row + 4));
      }
    } else if (b_row == 1) {
      int p = 0;
      for (; p + 4 <= k; p += 4)
        for (int half = 0; half < PANEL; half += 4) {
          const float *at = from + half * b_col + p;
          f32x4 r0 = load4(at), r1 = load4(at + b_col), r2 = load4(at + 2 * b_col), r3 = load4(at + 3 * b_col);
          f32x4 t0 = wasm_i32x4_shuffle(r0, r1, 0, 4, 1, 5), t1 = wasm_i32x4_shuffle(r2, r3, 0, 4, 1, 5);
          f32x4 t2 = wasm_i32x4_shuffle(r0, r1, 2, 6, 3, 7), t3 = wasm_i32x4_shuffle(r2, r3, 2, 6, 3, 7);
          float *to = panels + p * PANEL + half;
          store4(to, wasm_i64x2_shuffle(t0, t1, 0, 2));
          store4(to + PANEL, wasm_i64x2_shuffle(t0, t1, 1, 3));
          store4(to + 2 * PANEL, wasm_i64x2_shuffle(t2, t3, 0, 2));
          store4(to + 3 * PANEL, wasm_i64x2_shuffle(t2, t3, 1, 3));
        }
      for (; p < k; p++)
        for (int c = 0; c < PANEL; c++) panels[p * PANEL + c] = from[p + c * b_col];
    } else {
      for (int p = 0; p < k; p++)
        for (int c = 0; c < PANEL; c++) panels[p * PANEL + c] = from[p * b_row + c * b_col];
    }
  }
}
