// C = op(A) op(B) for float32 matrices of any strides: blocked over k and the columns, B packed into panels,
// A read in place where its rows are contiguous and packed where its columns are.
#include "parallel.h"
#include "tile.h"

enum {
  BLOCK_K = 256,
  // Floats of a packed block of B: half of a 1 MiB second-level cache.
  PACKED_B = 131072,
  // Quads packed at a time: a line of memory of A where its columns are contiguous.
  QUADS = 4,
  // Multiply-adds that are worth a piece of their own.
  ENOUGH = 131072,
};

/** A block of the product: `depth` of the inner axis by `columns` of B's, with B packed into panels. */
typedef struct {
  const float *a, *b;
  float *c, *panels, *quads;
  int a_row, a_col, b_row, b_col, m, n, depth, columns, add;
} Block;

/** Packs panels [from, to) of B. */
static void pack_body(const void *arguments, int from, int to, int thread) {
  const Block *g = arguments;
  int first = from * PANEL, last = min_int(to * PANEL, g->columns);
  pack_panels(g->b + first * g->b_col, g->b_row, g->b_col, g->depth, last - first, g->panels + first * g->depth);
}

/** Packs quads[i][p][r] = a[min(4·i + r, rows − 1) + p·stride], i < count, p < k. */
static void pack_quads(const float *a, int stride, int rows, int k, int count, float *quads) {
  if (count == QUADS && rows >= QUADS * ROWS) {
    for (int p = 0; p < k; p++, a += stride, quads += ROWS) {
      store4(quads, load4(a)), store4(quads + k * ROWS, load4(a + 4));
      store4(quads + 2 * k * ROWS, load4(a + 8)), store4(quads + 3 * k * ROWS, load4(a + 12));
    }
    return;
  }
  for (int i = 0; i < count; i++, quads += k * ROWS)
    if ((i + 1) * ROWS <= rows)
      for (int p = 0; p < k; p++) store4(quads + p * ROWS, load4(a + i * ROWS + p * stride));
    else
      for (int p = 0; p < k; p++)
        for (int r = 0; r < ROWS; r++) quads[p * ROWS + r] = a[min_int(i * ROWS + r, rows - 1) + p * stride];
}

/** The rows 4·from to 4·to of the product. */
static void rows_body(const void *arguments, int from, int to, int thread) {
  const Block *g = arguments;
  float *quads = g->quads + thread * QUADS * BLOCK_K * ROWS;
  for (int item = from; item < to; item++) {
    const float *rows[ROWS];
    float *out[ROWS];
    for (int r = 0; r < ROWS; r++) {
      int row = min_int(item * ROWS + r, g->m - 1);
      rows[r] = g->a + row * g->a_row;
      out[r] = g->c + row * g->n;
    }
    int packed = (item - from) % QUADS, first = item * ROWS;
    if (g->a_col != 1 && packed == 0)
      pack_quads(g->a + first, g->a_col, g->m - first, g->depth, min_int(QUADS, to - item), quads);
    for (int q = 0; q < g->columns; q += PANEL)
      if (g->a_col == 1)
        tile_rows(rows, 1, g->depth, g->panels + q * g->depth, out, q, g->columns - q, g->add);
      else
        tile_quads(quads + packed * g->depth * ROWS, g->depth, g->panels + q * g->depth, out, q, g->columns - q, g->add);
  }
}

enum {
  OWN_SCRATCH = PACKED_B + BLOCK_K * PANEL,
  // Multiply-adds of a product that is not worth sharing where there are others.
  SMALL = 1 << 24,
};

typedef struct {
  const float *a, *b;
  float *c, *scratch;
  int a_row, a_col, a_batch, b_row, b_col, b_batch, m, n, k, batches;
} Product;

/** Product `i` of the batch, shared among the threads, or by this one alone. */
INLINE void multiply(const Product *g, int i, float *panels, float *quads, int shared) {
  const float *a = g->a + i * g->a_batch, *b = g->b + i * g->b_batch;
  float *c = g->c + i * g->m * g->n;
  int k_blocks = (g->k + BLOCK_K - 1) / BLOCK_K;
  int block_k = (g->k + k_blocks - 1) / k_blocks;
  int block_n = PACKED_B / block_k / PANEL * PANEL;
  for (int j = 0; j < g->n; j += block_n)
    for (int p = 0; p < g->k; p += block_k) {
      int columns = min_int(block_n, g->n - j), depth = min_int(block_k, g->k - p);
      Block block = {a + p * g->a_col, b + p * g->b_row + j * g->b_col, c + j, panels, quads,
                     g->a_row, g->a_col, g->b_row, g->b_col, g->m, g->n, depth, columns, p > 0};
      int packs = round_up(columns, PANEL) / PANEL, rows = round_up(g->m, ROWS) / ROWS;
      if (shared) {
        parallel(pack_body, &block, packs, grain_of(depth * PANEL, GRAIN));
        parallel(rows_body, &block, rows, grain_of(ROWS * columns * depth, ENOUGH));
      } else {
        pack_body(&block, 0, packs, 0);
        rows_body(&block, 0, rows, 0);
      }
    }
}

/** Items are products. */
static void products_body(const void *arguments, int from, int to, int thread) {
  const Product *g = arguments;
  float *panels = g->scratch + thread * (OWN_SCRATCH + QUADS * BLOCK_K * ROWS);
  for (int i = from; i < to; i++) multiply(g, i, panels, panels + OWN_SCRATCH, 0);
}

/** Bytes of scratch for gemm. */
int EXPORT(gemm_scratch_bytes)(int batches) {
  return 4 * ((batches < threads() ? 1 : threads()) * OWN_SCRATCH + QUADS * BLOCK_K * ROWS * threads());
}

/**
 * The next product of a batch has its factors a_batch and b_batch values on. One of a's strides must be 1. `scratch` holds
 * gemm_scratch_bytes(batches) bytes, aligned to 16.
 */
void EXPORT(gemm)(const float *a, int a_row, int a_col, int a_batch, const float *b, int b_row, int b_col, int b_batch, float *c,
                  int m, int n, int k, int batches, float *scratch) {
  if (k == 0) {
    __builtin_memset(c, 0, (size_t)batches * m * n * sizeof(float));
    return;
  }
  Product g = {a, b, c, scratch, a_row, a_col, a_batch, b_row, b_col, b_batch, m, n, k, batches};
  if (threads() > 1 && batches >= threads() && (int64_t)m * n * k <= SMALL)
    parallel(products_body, &g, batches, grain_of(m * n * k, ENOUGH));
  else
    for (int i = 0; i < batches; i++) multiply(&g, i, scratch, scratch + OWN_SCRATCH, 1);
}
