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
  int a_row, a_col, b_row, b_col, c_row, m, depth, columns, add;
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
      out[r] = g->c + row * g->c_row;
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
  PANELS = PACKED_B + BLOCK_K * PANEL,
  OWN_SCRATCH = PANELS + QUADS * BLOCK_K * ROWS,
  // Multiply-adds of a product that is not worth sharing where there are others.
  SMALL = 1 << 24,
  // A product is wide from this many columns, and this many a row, on; and these many columns are one item of it.
  WIDE = 256,
  WIDER_THAN_HIGH = 4,
  STRIP = 4 * PANEL,
  // The least inner axis of a part, and the most parts and floats of their results.
  PART = 1024,
  MOST_PARTS = 16,
  MOST_PARTIAL = 1 << 20,
};

typedef struct {
  const float *a, *b;
  float *c, *scratch;
  int a_row, a_col, a_batch, b_row, b_col, b_batch, c_row, m, n, k, batches;
} Product;

/** Computes a product, shared among the threads, or by this one alone, with OWN_SCRATCH floats from `scratch` on. */
INLINE void multiply(const Product *g, float *scratch, int shared) {
  int k_blocks = (g->k + BLOCK_K - 1) / BLOCK_K;
  int block_k = (g->k + k_blocks - 1) / k_blocks;
  int block_n = PACKED_B / block_k / PANEL * PANEL;
  for (int j = 0; j < g->n; j += block_n)
    for (int p = 0; p < g->k; p += block_k) {
      int columns = min_int(block_n, g->n - j), depth = min_int(block_k, g->k - p);
      Block block = {g->a + p * g->a_col, g->b + p * g->b_row + j * g->b_col, g->c + j, scratch, scratch + PANELS,
                     g->a_row, g->a_col, g->b_row, g->b_col, g->c_row, g->m, depth, columns, p > 0};
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

static __attribute__((noinline)) void multiply_alone(Product product, int thread) {
  multiply(&product, product.scratch + thread * OWN_SCRATCH, 0);
}

/** Items are products of a batch. */
static void products_body(const void *arguments, int from, int to, int thread) {
  const Product *g = arguments;
  for (int i = from; i < to; i++) {
    Product one = *g;
    one.a += i * g->a_batch, one.b += i * g->b_batch, one.c += i * g->m * g->n;
    multiply_alone(one, thread);
  }
}

/** Items are strips of columns: each packs its part of B by itself, while others multiply. */
static void strips_body(const void *arguments, int from, int to, int thread) {
  const Product *g = arguments;
  Product strip = *g;
  strip.b += from * STRIP * g->b_col, strip.c += from * STRIP, strip.n = min_int(to * STRIP, g->n) - from * STRIP;
  multiply_alone(strip, thread);
}

/** How many parts a product's inner axis is cut into: where results are few and it is long, it is all there is to share. */
INLINE int parts_of(int m, int n, int k, int batches) {
  return batches > 1 ? 1 : max_int(1, min_int(MOST_PARTS, min_int(k / PART, MOST_PARTIAL / 4 / max_int(1, m * n))));
}

/** Items are parts of the inner axis. */
static void parts_body(const void *arguments, int from, int to, int thread) {
  const Product *g = arguments;
  const int parts = parts_of(g->m, g->n, g->k, 1);
  for (int i = from; i < to; i++) {
    const int first = (int64_t)g->k * i / parts, last = (int64_t)g->k * (i + 1) / parts;
    Product part = *g;
    part.a += first * g->a_col, part.b += first * g->b_row, part.c += i * g->m * g->n, part.k = last - first;
    multiply_alone(part, thread);
  }
}

/** Bytes of scratch for gemm. */
int EXPORT(gemm_scratch_bytes)(int m, int n, int k, int batches) {
  const int parts = parts_of(m, n, k, batches);
  return 4 * (threads() * OWN_SCRATCH + (parts > 1 ? parts * m * n : 0));
}

/**
 * The next product of a batch has its factors a_batch and b_batch values on. One of a's strides must be 1. `scratch` holds
 * gemm_scratch_bytes(m, n, k, batches) bytes, aligned to 16.
 */
void EXPORT(gemm)(const float *a, int a_row, int a_col, int a_batch, const float *b, int b_row, int b_col, int b_batch, float *c,
                  int m, int n, int k, int batches, float *scratch) {
  if (k == 0) {
    __builtin_memset(c, 0, (size_t)batches * m * n * sizeof(float));
    return;
  }
  Product g = {a, b, c, scratch, a_row, a_col, a_batch, b_row, b_col, b_batch, n, m, n, k, batches};
  const int parts = parts_of(m, n, k, batches);
  if (parts > 1) {
    g.c = scratch + threads() * OWN_SCRATCH;
    parallel(parts_body, &g, parts, 1);
    sum_parts(g.c, parts, m * n, c);
    return;
  }
  if (threads() > 1 && batches >= threads() && (int64_t)m * n * k <= SMALL) {
    parallel(products_body, &g, batches, grain_of(m * n * k, ENOUGH));
    return;
  }
  for (int i = 0; i < batches; i++, g.a += a_batch, g.b += b_batch, g.c += m * n)
    if (threads() > 1 && n >= WIDE && n >= WIDER_THAN_HIGH * m)
      parallel(strips_body, &g, (n + STRIP - 1) / STRIP, grain_of(STRIP * m * k, ENOUGH));
    else
      multiply(&g, scratch, 1);
}
