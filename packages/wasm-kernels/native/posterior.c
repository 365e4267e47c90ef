// The stable target's weights over a chunk of references, between the two matrix products (gemm's) that a chunk takes, and references from bytes.
// Rows for which every weight of the chunk vanishes beside what they have are left out of the second product: at small noise levels
// that is most of them.
#include "exp.h"
#include "lanes.h"
#include "parallel.h"

enum {
  // Values whose squares are summed in float32 before they join a float64 total.
  BLOCK = 128,
};

// Weights below exp(this) of the largest count as 0: even 10⁹ of them would not change a float32 total, which is 1 or more.
#define NEGLIGIBLE -40.0f
#define NONE -__builtin_inff()

/** exp(x), x ≤ 0, and 0 where that is negligible. A NaN stays one. */
INLINE f32x4 weight4(f32x4 x) { return wasm_v128_andnot(exp4(x), wasm_f32x4_lt(x, splat4(NEGLIGIBLE))); }
INLINE float weight(float x) { return wasm_f32x4_extract_lane(weight4(splat4(x)), 0); }

// A chunk of `size` references that begins at `begin` among all: own samples and priors are told by index in all of them.
typedef struct {
  float *logits;
  // Log-priors, `prior_step` apart from row to row, 0 where all rows share them; or none.
  const float *prior;
  const int *own;
  const float *max, *squares;
  float *top, *top_squares;
  // Of each row, whether it has weight in this chunk; then the rows that have.
  int *active;
  int prior_step, begin, size;
} Chunk;

INLINE float factor(const Chunk *chunk, int row) {
  return chunk->max[row] == chunk->top[row] ? 1.0f : weight(chunk->max[row] - chunk->top[row]);
}

/** Items are rows: finishes their logits and finds the largest. */
static void top_body(const void *arguments, int from, int to, int thread) {
  const Chunk *chunk = arguments;
  const int size = chunk->size;
  for (int row = from; row < to; row++) {
    float *logits = chunk->logits + row * size;
    if (chunk->prior) {
      const float *prior = chunk->prior + row * chunk->prior_step + chunk->begin;
      int j = 0;
      for (; j + 4 <= size; j += 4) store4(logits + j, wasm_f32x4_add(load4(logits + j), load4(prior + j)));
      for (; j < size; j++) logits[j] += prior[j];
    }
    const int own = chunk->own[row] - chunk->begin;
    if (own >= 0 && own < size) logits[own] = NONE;
    // maximum4 gives NaN where there is one, which then is larger than all, and counts.
    f32x4 even = splat4(NONE), odd = even;
    int j = 0;
    for (; j + 8 <= size; j += 8) even = maximum4(even, load4(logits + j)), odd = maximum4(odd, load4(logits + j + 4));
    for (; j < size; j++) even = maximum4(even, splat_load4(logits + j));
    even = maximum4(even, odd);
    even = maximum4(even, wasm_i32x4_shuffle(even, even, 2, 3, 0, 1));
    const float highest = wasm_f32x4_extract_lane(maximum4(even, wasm_i32x4_shuffle(even, even, 1, 0, 3, 2)), 0);
    const float top = highest <= chunk->max[row] ? chunk->max[row] : highest;
    chunk->top[row] = top;
    chunk->top_squares[row] = chunk->squares[row];
    chunk->active[row] = !(highest == NONE || highest - top < NEGLIGIBLE);
  }
}

/** Items are active rows: their logits become weights relative to exp(top). */
static void weight_body(const void *arguments, int from, int to, int thread) {
  const Chunk *chunk = arguments;
  const int size = chunk->size;
  for (int i = from; i < to; i++) {
    const int row = chunk->active[i];
    float *logits = chunk->logits + i * size;
    const f32x4 top = splat4(chunk->top[row]);
    f32x4 even = splat4(0), odd = even;
    int j = 0;
    for (; j + 8 <= size; j += 8) {
      const f32x4 first = weight4(wasm_f32x4_sub(load4(logits + j), top)), second = weight4(wasm_f32x4_sub(load4(logits + j + 4), top));
      store4(logits + j, first), store4(logits + j + 4, second);
      even = multiply_add4(first, first, even), odd = multiply_add4(second, second, odd);
    }
    float squares = sum4(wasm_f32x4_add(even, odd));
    for (; j < size; j++) {
      logits[j] = weight(logits[j] - chunk->top[row]);
      squares += logits[j] * logits[j];
    }
    const float rescale = factor(chunk, row);
    chunk->top_squares[row] = chunk->squares[row] * rescale * rescale + squares;
  }
}

/**
 * Of logits [batch, size], own samples' excepted: the running maximum `top`, the weights exp(logit − top) of rows that have any, one after the other in
 * logits' place, with these rows' numbers in `active`, and the sums of squares. Gives how many there are.
 */
int EXPORT(posterior_weights)(float *logits, const float *prior, int prior_step, const int *own, int begin, const float *max, const float *squares,
                              float *top, float *top_squares, int *active, int batch, int size) {
  Chunk chunk = {logits, prior, own, max, squares, top, top_squares, active, prior_step, begin, size};
  parallel(top_body, &chunk, batch, grain_of(size, GRAIN));
  int count = 0;
  for (int row = 0; row < batch; row++) {
    if (!active[row]) continue;
    if (count < row) __builtin_memcpy(logits + count * size, logits + row * size, (size_t)size * sizeof(float));
    active[count++] = row;
  }
  parallel(weight_body, &chunk, count, grain_of(size, GRAIN / 4));
  return count;
}

/** Items are active rows, whose sums are rescaled and have their product added. */
static void add_body(const void *arguments, int from, int to, int thread) {
  const Job *job = arguments;
  const float *max = INPUT(2), *top = INPUT(3);
  const int *active = (const int *)job->out[1];
  const int width = job->n[0];
  for (int i = from; i < to; i++) {
    const int row = active[i];
    const float *had = INPUT(0) + row * width, *more = INPUT(1) + i * width;
    float *sums = OUTPUT(0) + row * width;
    const float rescale = max[row] == top[row] ? 1.0f : weight(max[row] - top[row]);
    const f32x4 rescale4 = splat4(rescale);
    int d = 0;
    for (; d + 4 <= width; d += 4) store4(sums + d, wasm_f32x4_add(wasm_f32x4_mul(load4(had + d), rescale4), load4(more + d)));
    for (; d < width; d++) sums[d] = had[d] * rescale + more[d];
  }
}

/** sums' [batch, width]: those before, and of active rows exp(max − top)·sums + added. */
void EXPORT(posterior_add)(const float *sums, const float *added, const float *max, const float *top, int *active, int count, float *after, int batch,
                           int width) {
  __builtin_memcpy(after, sums, (size_t)batch * width * sizeof(float));
  Job job = {.in = {sums, added, max, top}, .out = {after, active}, .n = {width}};
  parallel(add_body, &job, count, grain_of(width, GRAIN));
}

static void bytes_body(const void *arguments, int from, int to, int thread) {
  const Job *job = arguments;
  const float *shift = INPUT(1);
  const int n = job->n[0];
  const f32x4 scale = splat4(1 / 127.5f);
  for (int i = from; i < to; i++) {
    const uint8_t *v = (const uint8_t *)job->in[0] + i * n;
    float *x = OUTPUT(0) + i * (n + 2);
    double total = 0;
    for (int first = 0; first < n; first += BLOCK) {
      const int last = min_int(n, first + BLOCK);
      f32x4 even = splat4(0), odd = even;
      int d = first;
      for (; d + 8 <= last; d += 8) {
        const v128_t words = wasm_u16x8_load8x8(v + d);
        const f32x4 low = wasm_f32x4_convert_u32x4(wasm_u32x4_extend_low_u16x8(words));
        const f32x4 high = wasm_f32x4_convert_u32x4(wasm_u32x4_extend_high_u16x8(words));
        const f32x4 x0 = multiply_add4(low, scale, load4(shift + d)), x1 = multiply_add4(high, scale, load4(shift + d + 4));
        store4(x + d, x0), store4(x + d + 4, x1);
        even = multiply_add4(x0, x0, even), odd = multiply_add4(x1, x1, odd);
      }
      float squares = sum4(wasm_f32x4_add(even, odd));
      for (; d < last; d++) {
        x[d] = v[d] * (1 / 127.5f) + shift[d];
        squares += x[d] * x[d];
      }
      total += squares;
    }
    x[n] = (float)total;
    x[n + 1] = 1;
  }
}

/** Bytes v [count, n] as rows [v/127.5 + shift, Σ of their squares, 1]. */
void EXPORT(reference_rows)(const uint8_t *bytes, const float *shift, float *rows, int count, int n) {
  Job job = {.in = {(const float *)bytes, shift}, .out = {rows}, .n = {n}};
  parallel(bytes_body, &job, count, grain_of(n, GRAIN));
}
