// What happens to every parameter once a step: the optimizer's update and the normalisation of weights, each in one pass (or two,
// where a norm is needed first) instead of a dozen small kernels.
#include "common.h"

// One lane of four, for remainders.
#define FIRST(v) wasm_f32x4_extract_lane(v, 0)

// m' = beta1 m + (1 - beta1) g, v' = beta2 v + (1 - beta2) g², p' = keep p - factor d with d = m'/(sqrt(v') + epsilon), or m' where
// the step is not adaptive. The complements come from the caller, who has them in float64.
void EXPORT(adam_update)(const float *p, const float *g, const float *m, const float *v, float *p1, float *m1, float *v1,
                         int n, float beta1, float rest1, float beta2, float rest2, float factor, float epsilon,
                         float keep, int adaptive) {
#define UPDATE(load, store)                                                                                  \
  {                                                                                                          \
    const f32x4 grad = load(g + i);                                                                          \
    const f32x4 mean = wasm_f32x4_add(wasm_f32x4_mul(load(m + i), splat4(beta1)), wasm_f32x4_mul(grad, splat4(rest1))); \
    const f32x4 square = wasm_f32x4_add(wasm_f32x4_mul(load(v + i), splat4(beta2)),                          \
                                        wasm_f32x4_mul(wasm_f32x4_mul(grad, grad), splat4(rest2)));          \
    f32x4 direction = mean;                                                                                  \
    if (adaptive) direction = wasm_f32x4_div(mean, wasm_f32x4_add(wasm_f32x4_sqrt(square), splat4(epsilon))); \
    const f32x4 kept = wasm_f32x4_mul(load(p + i), splat4(keep));                                            \
    const f32x4 moved = wasm_f32x4_sub(kept, wasm_f32x4_mul(direction, splat4(factor)));                     \
    store(p1 + i, moved);                                                                                    \
    store(m1 + i, mean);                                                                                     \
    store(v1 + i, square);                                                                                   \
  }
#define STORE_ONE(q, value) *(q) = FIRST(value)
  int i = 0;
  for (; i + 4 <= n; i += 4) UPDATE(load4, store4)
  for (; i < n; i++) UPDATE(splat_load4, STORE_ONE)
#undef STORE_ONE
#undef UPDATE
}

// norms[c] = |w's column c|
static void column_norms(const float *w, float *norms, int rows, int columns) {
  for (int c = 0; c < columns; c++) norms[c] = 0;
  for (int r = 0; r < rows; r++, w += columns) {
    int c = 0;
    for (; c + 4 <= columns; c += 4) store4(norms + c, multiply_add4(load4(w + c), load4(w + c), load4(norms + c)));
    for (; c < columns; c++) norms[c] += w[c] * w[c];
  }
  for (int c = 0; c < columns; c++) norms[c] = __builtin_sqrtf(norms[c]);
}

// y = scale w/(epsilon + |w|/sqrt(rows)) by columns. `norms` has room for one row.
void EXPORT(unit_columns)(const float *w, float *y, int rows, int columns, float epsilon, float scale, float *norms) {
  column_norms(w, norms, rows, columns);
  const float inverse_root = 1.0f / __builtin_sqrtf((float)rows);
  for (int c = 0; c < columns; c++) norms[c] = scale / (epsilon + norms[c] * inverse_root);
  for (int r = 0; r < rows; r++, w += columns, y += columns) {
    int c = 0;
    for (; c + 4 <= columns; c += 4) store4(y + c, wasm_f32x4_mul(load4(w + c), load4(norms + c)));
    for (; c < columns; c++) y[c] = w[c] * norms[c];
  }
}

// The gradient of unit_columns: with m = epsilon + |w|/sqrt(rows), dw = scale (dy/m - w (w·dy)/(m² |w| sqrt(rows))), the second term
// 0 for a column of zeros. Returns the sum of w·dy/m over the columns: the derivative by scale. `scratch` has room for two rows.
float EXPORT(unit_columns_grad)(const float *w, const float *dy, float *dw, int rows, int columns, float epsilon,
                                float scale, float *scratch) {
  float *a = scratch, *b = scratch + columns;
  column_norms(w, a, rows, columns);
  for (int c = 0; c < columns; c++) b[c] = 0;
  for (int r = 0; r < rows; r++) {
    const float *u = w + r * columns, *g = dy + r * columns;
    int c = 0;
    for (; c + 4 <= columns; c += 4) store4(b + c, multiply_add4(load4(u + c), load4(g + c), load4(b + c)));
    for (; c < columns; c++) b[c] += u[c] * g[c];
  }
  const float inverse_root = 1.0f / __builtin_sqrtf((float)rows);
  float total = 0;
  for (int c = 0; c < columns; c++) {
    const float norm = a[c], m = epsilon + norm * inverse_root, inner = b[c] / m;
    total += inner;
    a[c] = scale / m;
    b[c] = norm > 0 ? scale * inner * inverse_root / (m * norm) : 0;
  }
  for (int r = 0; r < rows; r++, w += columns, dy += columns, dw += columns) {
    int c = 0;
    for (; c + 4 <= columns; c += 4) {
      const f32x4 along = wasm_f32x4_mul(load4(w + c), load4(b + c));
      store4(dw + c, wasm_f32x4_sub(wasm_f32x4_mul(load4(dy + c), load4(a + c)), along));
    }
    for (; c < columns; c++) dw[c] = dy[c] * a[c] - w[c] * b[c];
  }
  return total;
}
