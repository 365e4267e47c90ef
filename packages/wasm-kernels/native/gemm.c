// C = op(A) op(B) for float32 matrices of any strides: blocked over k and the columns, B packed into panels,
// A read in place where its rows are contiguous and packed where its columns are.
#include "tile.h"

enum {
  BLOCK_K = 256,
  // Floats of a packed block of B: half of a 1 MiB second-level cache.
  PACKED_B = 131072,
  // Rows of A packed at a time.
  BLOCK_M = 64,
};

int EXPORT(gemm_scratch_bytes)(void) { return 4 * (PACKED_B + BLOCK_K * (PANEL + BLOCK_M)); }

/** Packs a[i][p] = a[i + p·stride], i < m, p < k, into quads of 4 rows; the last repeats row m − 1. */
static void pack_quads(const float *a, int stride, int m, int k, float *quads) {
  for (int i = 0; i < m; i += ROWS, quads += k * ROWS)
    if (i + ROWS <= m)
      for (int p = 0; p < k; p++) store4(quads + p * ROWS, load4(a + i + p * stride));
    else
      for (int p = 0; p < k; p++)
        for (int r = 0; r < ROWS; r++) quads[p * ROWS + r] = a[min_int(i + r, m - 1) + p * stride];
}

/** One of a's strides must be 1. `scratch` holds gemm_scratch_bytes() bytes, aligned to 16. */
void EXPORT(gemm)(const float *a, int a_row, int a_col, const float *b, int b_row, int b_col, float *c, int m, int n,
                  int k, float *scratch) {
  if (k == 0) {
    __builtin_memset(c, 0, (size_t)m * n * sizeof(float));
    return;
  }
  int k_blocks = (k + BLOCK_K - 1) / BLOCK_K;
  int block_k = (k + k_blocks - 1) / k_blocks;
  int block_n = PACKED_B / block_k / PANEL * PANEL;
  float *panels = scratch, *quads = scratch + PACKED_B + BLOCK_K * PANEL;
  for (int j = 0; j < n; j += block_n) {
    int columns = min_int(block_n, n - j);
    for (int p = 0; p < k; p += block_k) {
      int depth = min_int(block_k, k - p);
      pack_panels(b + p * b_row + j * b_col, b_row, b_col, depth, columns, panels);
      for (int i0 = 0; i0 < m; i0 += BLOCK_M) {
        int rows = min_int(BLOCK_M, m - i0);
        if (a_col != 1) pack_quads(a + i0 + p * a_col, a_col, rows, depth, quads);
        for (int i = 0; i < rows; i += ROWS) {
          const float *from[ROWS];
          float *to[ROWS];
          for (int r = 0; r < ROWS; r++) {
            int row = i0 + min_int(i + r, rows - 1);
            from[r] = a + row * a_row + p;
            to[r] = c + row * n + j;
          }
          for (int q = 0; q < columns; q += PANEL)
            if (a_col == 1)
              tile_rows(from, 1, depth, panels + q * depth, to, q, columns - q, p > 0);
            else
              tile_quads(quads + i * depth, depth, panels + q * depth, to, q, columns - q, p > 0);
        }
      }
    }
  }
}
