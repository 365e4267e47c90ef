// Adam and its kin, with averages over training, over all parameters in one call: a network has a hundred small tensors.
#include "parallel.h"

// Bytes' offsets of a run of values: p, g, m and v, then their places afterwards, p′, m′ and v′, then each average's before and afterwards.
enum { COUNT, P, G, M, V, P1, M1, V1, AVERAGES };

typedef struct {
  const int *runs;
  // Of each average, β and 1 − β.
  const float *betas;
  int averages, adaptive;
  float beta1, rest1, beta2, rest2, factor, epsilon, keep;
} Step;

// One lane of four, for remainders.
#define STORE_ONE(q, value) *(q) = wasm_f32x4_extract_lane(value, 0)
#define FLOATS(i) ((float *)run[i])

/** Items are runs. */
static void adam_body(const void *arguments, int from, int to, int thread) {
  const Step *step = arguments;
  const f32x4 beta1 = splat4(step->beta1), rest1 = splat4(step->rest1), beta2 = splat4(step->beta2), rest2 = splat4(step->rest2);
  const f32x4 factor = splat4(step->factor), epsilon = splat4(step->epsilon), keep = splat4(step->keep);
  const int size = AVERAGES + 2 * step->averages;
  for (int item = from; item < to; item++) {
    const int *run = step->runs + item * size, count = run[COUNT];
    const float *p = FLOATS(P), *g = FLOATS(G), *m = FLOATS(M), *v = FLOATS(V);
    float *p1 = FLOATS(P1), *m1 = FLOATS(M1), *v1 = FLOATS(V1);
#define UPDATE(load, store)                                                                                         \
  {                                                                                                                 \
    const f32x4 grad = load(g + i);                                                                                 \
    const f32x4 mean = wasm_f32x4_add(wasm_f32x4_mul(load(m + i), beta1), wasm_f32x4_mul(grad, rest1));             \
    const f32x4 squares = wasm_f32x4_mul(wasm_f32x4_mul(grad, grad), rest2);                                        \
    const f32x4 square = wasm_f32x4_add(wasm_f32x4_mul(load(v + i), beta2), squares);                               \
    f32x4 direction = mean;                                                                                         \
    if (step->adaptive) direction = wasm_f32x4_div(mean, wasm_f32x4_add(wasm_f32x4_sqrt(square), epsilon));         \
    store(p1 + i, wasm_f32x4_sub(wasm_f32x4_mul(load(p + i), keep), wasm_f32x4_mul(direction, factor)));            \
    store(m1 + i, mean);                                                                                            \
    store(v1 + i, square);                                                                                          \
  }
    int i = 0;
    for (; i + 4 <= count; i += 4) UPDATE(load4, store4)
    for (; i < count; i++) UPDATE(splat_load4, STORE_ONE)
#undef UPDATE
    for (int j = 0; j < step->averages; j++) {
      const float *average = FLOATS(AVERAGES + 2 * j);
      float *moved = FLOATS(AVERAGES + 2 * j + 1);
      const f32x4 beta = splat_load4(step->betas + 2 * j), rest = splat_load4(step->betas + 2 * j + 1);
#define MOVE(load, store) store(moved + i, wasm_f32x4_add(wasm_f32x4_mul(load(average + i), beta), wasm_f32x4_mul(load(p1 + i), rest)))
      for (i = 0; i + 4 <= count; i += 4) MOVE(load4, store4);
      for (; i < count; i++) MOVE(splat_load4, STORE_ONE);
#undef MOVE
    }
  }
}

/**
 * m′ = β₁m + (1 − β₁)g, v′ = β₂v + (1 − β₂)g², p′ = keep·p − factor·d with d = m′/(√v′ + ε), or m′ where the step is not adaptive, and averages βa +
 * (1 − β)p′. The complements come from the caller, who has them in float64. A run's values lie together and number `run_values` at most.
 */
void EXPORT(adam_update_all)(const int *runs, int count, int run_values, const float *betas, int averages, float beta1, float rest1, float beta2, float rest2,
                             float factor, float epsilon, float keep, int adaptive) {
  Step step = {runs, betas, averages, adaptive, beta1, rest1, beta2, rest2, factor, epsilon, keep};
  parallel(adam_body, &step, count, grain_of(run_values, GRAIN / 4));
}
