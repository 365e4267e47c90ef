// The register tile on which matrix products and convolutions rest: 4 rows × 8 columns in eight vector registers.
//
// The right operand is packed into panels of PANEL columns, panel[k][8]. The left operand is either read where it lies
// (four rows, each contiguous in k: tile_rows) or packed likewise, quad[k][4] (tile_quads).
#pragma once
#include "common.h"

enum { ROWS = 4, PANEL = 8 };

/** Before a loop whose bounds the compiler knows, over values that are to stay in registers. */
#define UNROLL _Pragma("clang loop unroll(full)")

typedef struct {
  f32x4 v[ROWS][2];
} Tile;

/** Writes (or adds) a tile to four rows; rows may repeat, so all are read before any is written. */
INLINE void put_tile(Tile t, float *const *out, int column, int columns, int add) {
  float *r0 = out[0] + column, *r1 = out[1] + column, *r2 = out[2] + column, *r3 = out[3] + column;
  if (columns >= PANEL) {
    if (add) {
      f32x4 a0 = load4(r0), b0 = load4(r0 + 4), a1 = load4(r1), b1 = load4(r1 + 4);
      f32x4 a2 = load4(r2), b2 = load4(r2 + 4), a3 = load4(r3), b3 = load4(r3 + 4);
      t.v[0][0] = wasm_f32x4_add(t.v[0][0], a0), t.v[0][1] = wasm_f32x4_add(t.v[0][1], b0);
      t.v[1][0] = wasm_f32x4_add(t.v[1][0], a1), t.v[1][1] = wasm_f32x4_add(t.v[1][1], b1);
      t.v[2][0] = wasm_f32x4_add(t.v[2][0], a2), t.v[2][1] = wasm_f32x4_add(t.v[2][1], b2);
      t.v[3][0] = wasm_f32x4_add(t.v[3][0], a3), t.v[3][1] = wasm_f32x4_add(t.v[3][1], b3);
    }
    store4(r0, t.v[0][0]), store4(r0 + 4, t.v[0][1]);
    store4(r1, t.v[1][0]), store4(r1 + 4, t.v[1][1]);
    store4(r2, t.v[2][0]), store4(r2 + 4, t.v[2][1]);
    store4(r3, t.v[3][0]), store4(r3 + 4, t.v[3][1]);
    return;
  }
  float sums[ROWS][PANEL];
  for (int i = 0; i < ROWS; i++) {
    store4(sums[i], t.v[i][0]);
    store4(sums[i] + 4, t.v[i][1]);
  }
  float *rows[ROWS] = {r0, r1, r2, r3};
  if (add)
    for (int i = 0; i < ROWS; i++)
      for (int j = 0; j < columns; j++) sums[i][j] += rows[i][j];
  for (int i = 0; i < ROWS; i++)
    for (int j = 0; j < columns; j++) rows[i][j] = sums[i][j];
}

/**
 * out[i][column + j] (+)= Σ_s Σ_p rows[s][i][p] · panel[s·k + p][j].
 * Segments s are the taps of a convolution (each with its own four rows), or one for a matrix product.
 */
void tile_rows(const float *const *rows, int segments, int k, const float *panel, float *const *out, int column,
               int columns, int add);

/**
 * out[i][j] = Σ_s Σ_p rows[s][i][p] · w[j][s·k + p], k a multiple of 4, for j < columns: one to four columns, whose panel would be
 * mostly zeros. Column j of w begins at w + j·stride.
 */
void tile_columns(const float *const *rows, int segments, int k, const float *w, int stride, float *const *out,
                  int columns);

/** out[i][column + j] (+)= Σ_p quad[p][i] · panel[p][j]. */
void tile_quads(const float *quad, int k, const float *panel, float *const *out, int column, int columns, int add);

/** Packs b[p][j] (strides b_row, b_col), p < k, j < n, into panels of 8 columns, the last padded with zeros. */
void pack_panels(const float *b, int b_row, int b_col, int k, int n, float *panels);
