// The normalisation of weights, once a step for every layer: in two passes, of which the first finds the norm, instead of a dozen small kernels.
#include "parallel.h"

// A matrix w [rows, columns] with room for columns' sums; g, where it is, another matrix of that shape.
typedef struct {
  const float *w, *g;
  float *norms, *inners;
  int rows, columns;
} Columns;

// Items are four columns: norms[c] = |w's column c|, inners[c] = (w·g)'s.
static void column_sums_body(const void *arguments, int from, int to, int thread) {
  const Columns *job = arguments;
  const int columns = job->columns, first = 4 * from, last = min_int(4 * to, columns);
  float *norms = job->norms, *inners = job->inners;
  for (int c = first; c < last; c++) norms[c] = 0;
  for (int r = 0; r < job->rows; r++) {
    const float *w = job->w + r * columns;
    int c = first;
    for (; c + 4 <= last; c += 4) store4(norms + c, multiply_add4(load4(w + c), load4(w + c), load4(norms + c)));
    for (; c < last; c++) norms[c] += w[c] * w[c];
  }
  for (int c = first; c < last; c++) norms[c] = __builtin_sqrtf(norms[c]);
  if (!job->g) return;
  for (int c = first; c < last; c++) inners[c] = 0;
  for (int r = 0; r < job->rows; r++) {
    const float *w = job->w + r * columns, *g = job->g + r * columns;
    int c = first;
    for (; c + 4 <= last; c += 4) store4(inners + c, multiply_add4(load4(w + c), load4(g + c), load4(inners + c)));
    for (; c < last; c++) inners[c] += w[c] * g[c];
  }
}

static void column_sums(Columns job) {
  // Sixteen columns at least: a line of memory.
  parallel(column_sums_body, &job, (job.columns + 3) / 4, max_int(4, grain_of(4 * job.rows, GRAIN)));
}

// Items are rows: y = a w, or a g - b w, with a factor a column.
static void scale_columns_body(const void *arguments, int from, int to, int thread) {
  const Job *job = arguments;
  const int columns = job->n[0];
  const float *a = job->in[2], *b = job->in[3];
  for (int r = from; r < to; r++) {
    const float *w = (const float *)job->in[0] + r * columns, *g = (const float *)job->in[1] + r * columns;
    float *y = (float *)job->out[0] + r * columns;
    int c = 0;
    if (b) {
      for (; c + 4 <= columns; c += 4) {
        const f32x4 along = wasm_f32x4_mul(load4(w + c), load4(b + c));
        store4(y + c, wasm_f32x4_sub(wasm_f32x4_mul(load4(g + c), load4(a + c)), along));
      }
      for (; c < columns; c++) y[c] = g[c] * a[c] - w[c] * b[c];
    } else {
      for (; c + 4 <= columns; c += 4) store4(y + c, wasm_f32x4_mul(load4(w + c), load4(a + c)));
      for (; c < columns; c++) y[c] = w[c] * a[c];
    }
  }
}

// y = scale w/(epsilon + |w|/sqrt(rows)) by columns. `norms` has room for one row.
void EXPORT(unit_columns)(const float *w, float *y, int rows, int columns, float epsilon, float scale, float *norms) {
  column_sums((Columns){w, 0, norms, 0, rows, columns});
  const float inverse_root = 1.0f / __builtin_sqrtf((float)rows);
  for (int c = 0; c < columns; c++) norms[c] = scale / (epsilon + norms[c] * inverse_root);
  Job job = {.in = {w, 0, norms}, .out = {y}, .n = {columns}};
  parallel(scale_columns_body, &job, rows, grain_of(columns, GRAIN));
}

// The gradient of unit_columns: with m = epsilon + |w|/sqrt(rows), dw = scale (dy/m - w (w·dy)/(m² |w| sqrt(rows))), the second term
// 0 for a column of zeros. Returns the sum of w·dy/m over the columns: the derivative by scale. `scratch` has room for two rows.
float EXPORT(unit_columns_grad)(const float *w, const float *dy, float *dw, int rows, int columns, float epsilon,
                                float scale, float *scratch) {
  float *a = scratch, *b = scratch + columns;
  column_sums((Columns){w, dy, a, b, rows, columns});
  const float inverse_root = 1.0f / __builtin_sqrtf((float)rows);
  float total = 0;
  for (int c = 0; c < columns; c++) {
    const float norm = a[c], m = epsilon + norm * inverse_root, inner = b[c] / m;
    total += inner;
    a[c] = scale / m;
    b[c] = norm > 0 ? scale * inner * inverse_root / (m * norm) : 0;
  }
  Job job = {.in = {w, dy, a, b}, .out = {dw}, .n = {columns}};
  parallel(scale_columns_body, &job, rows, grain_of(columns, GRAIN));
  return total;
}
