// Element-wise kernels over broadcast operands. A call covers up to four axes of the result, outermost first, with each
// operand's strides in elements; on the innermost axis a stride is 0 (broadcast) or 1.
#include "exp.h"
#include "parallel.h"

INLINE float first_lane(f32x4 v) { return wasm_f32x4_extract_lane(v, 0); }
INLINE f32x4 load_or_splat(const float *p, int i, int stride) { return stride ? load4(p + i) : splat_load4(p); }

/** Operands and result of a call: rows of n3 elements. */
typedef struct {
  const float *a, *b;
  void *y;
  int rows, n1, n2, n3, a0, a1, a2, a3, b0, b1, b2, b3;
} Broadcast;

typedef void Row(const float *a, int a3, const float *b, int b3, void *y, int at, int n);

/** row(…) for each of the rows [from, to), or for those elements of the only row. */
INLINE void each_row(const Broadcast *g, int from, int to, Row *row) {
  int skipped = 0, n = g->n3;
  if (g->rows == 1) skipped = from, n = to - from, from = 0, to = 1;
  int k = from % g->n2, j = from / g->n2 % g->n1, i = from / g->n2 / g->n1;
  for (int r = from; r < to; r++) {
    const float *a = g->a + i * g->a0 + j * g->a1 + k * g->a2 + skipped * g->a3;
    const float *b = g->b + i * g->b0 + j * g->b1 + k * g->b2 + skipped * g->b3;
    row(a, g->a3, b, g->b3, g->y, r * n + skipped, n);
    if (++k < g->n2) continue;
    k = 0;
    if (++j == g->n1) j = 0, i++;
  }
}

static void broadcast(Body *body, Broadcast g) {
  if (g.rows == 1)
    parallel(body, &g, g.n3, GRAIN);
  else
    parallel(body, &g, g.rows, grain_of(g.n3, GRAIN));
}

/** The exported kernel of a row's function. */
#define BROADCAST(name)                                                                                              \
  static void name##_body(const void *arguments, int from, int to, int thread) {                                     \
    each_row(arguments, from, to, name##_row);                                                                       \
  }                                                                                                                  \
  void EXPORT(name)(const float *a, const float *b, void *y, int n0, int n1, int n2, int n3, int a0, int a1, int a2, \
                    int a3, int b0, int b1, int b2, int b3) {                                                        \
    broadcast(name##_body, (Broadcast){a, b, y, n0 * n1 * n2, n1, n2, n3, a0, a1, a2, a3, b0, b1, b2, b3});          \
  }

#define BINARY(name, operation)                                                                                      \
  INLINE void name##_run(const float *a, int a3, const float *b, int b3, float *y, int n) {                          \
    const float *end = y + n;                                                                                        \
    /* Moving pointers leave the offsets to the instructions, which saves V8 their computation. */                   \
    for (; end - y >= 16; a += 16 * a3, b += 16 * b3, y += 16) {                                                     \
      f32x4 r0 = operation(load_or_splat(a, 0, a3), load_or_splat(b, 0, b3));                                        \
      f32x4 r1 = operation(load_or_splat(a, 4 * a3, a3), load_or_splat(b, 4 * b3, b3));                              \
      f32x4 r2 = operation(load_or_splat(a, 8 * a3, a3), load_or_splat(b, 8 * b3, b3));                              \
      f32x4 r3 = operation(load_or_splat(a, 12 * a3, a3), load_or_splat(b, 12 * b3, b3));                            \
      store4(y, r0), store4(y + 4, r1), store4(y + 8, r2), store4(y + 12, r3);                                       \
    }                                                                                                                \
    for (; end - y >= 4; a += 4 * a3, b += 4 * b3, y += 4)                                                           \
      store4(y, operation(load_or_splat(a, 0, a3), load_or_splat(b, 0, b3)));                                        \
    for (; y < end; a += a3, b += b3) *y++ = first_lane(operation(splat4(*a), splat4(*b)));                          \
  }                                                                                                                  \
  INLINE void name##_row(const float *a, int a3, const float *b, int b3, void *to, int at, int n) {                  \
    float *y = (float *)to + at;                                                                                     \
    if (a3 && b3)                                                                                                    \
      name##_run(a, 1, b, 1, y, n);                                                                                  \
    else if (a3)                                                                                                     \
      name##_run(a, 1, b, 0, y, n);                                                                                  \
    else                                                                                                             \
      name##_run(a, 0, b, b3, y, n);                                                                                 \
  }                                                                                                                  \
  BROADCAST(name)

BINARY(add, wasm_f32x4_add)
BINARY(subtract, wasm_f32x4_sub)
BINARY(multiply, wasm_f32x4_mul)
BINARY(divide, wasm_f32x4_div)
BINARY(maximum, maximum4)
BINARY(minimum, minimum4)

/** Four lanes' masks as four bytes of 0 or 1. */
INLINE v128_t mask_bytes(v128_t mask) {
  v128_t words = wasm_i16x8_narrow_i32x4(mask, mask);
  return wasm_v128_and(wasm_i8x16_narrow_i16x8(words, words), wasm_i8x16_splat(1));
}

#define COMPARISON(name, operation)                                                                                  \
  INLINE void name##_row(const float *a, int a3, const float *b, int b3, void *to, int at, int n) {                  \
    uint8_t *y = (uint8_t *)to + at;                                                                                 \
    int l = 0;                                                                                                       \
    for (; l + 4 <= n; l += 4)                                                                                       \
      wasm_v128_store32_lane(y + l, mask_bytes(operation(load_or_splat(a, l, a3), load_or_splat(b, l, b3))), 0);     \
    for (; l < n; l++)                                                                                               \
      y[l] = wasm_i8x16_extract_lane(mask_bytes(operation(splat4(a[l * a3]), splat4(b[l * b3]))), 0);                \
  }                                                                                                                  \
  BROADCAST(name)

COMPARISON(greater, wasm_f32x4_gt)
COMPARISON(greater_equal, wasm_f32x4_ge)
COMPARISON(equal, wasm_f32x4_eq)
COMPARISON(not_equal, wasm_f32x4_ne)

static void select_body(const void *arguments, int from, int to, int thread) {
  const Job *job = arguments;
  const uint8_t *condition = job->in[0];
  const float *t = job->in[1], *e = job->in[2];
  float *y = job->out[0];
  int i = from;
  for (; i + 4 <= to; i += 4) {
    v128_t words = wasm_u16x8_extend_low_u8x16(wasm_v128_load32_zero(condition + i));
    v128_t mask = wasm_i32x4_ne(wasm_u32x4_extend_low_u16x8(words), wasm_i32x4_splat(0));
    store4(y + i, wasm_v128_bitselect(load4(t + i), load4(e + i), mask));
  }
  for (; i < to; i++) y[i] = condition[i] ? t[i] : e[i];
}

/** y = condition ? t : e, all of n elements; condition is bytes. */
void EXPORT(select)(const uint8_t *condition, const float *t, const float *e, float *y, int n) {
  parallel(select_body, &(Job){.in = {condition, t, e}, .out = {y}}, n, GRAIN);
}

#define UNARY(name, operation, grain)                                                 \
  static void name##_body(const void *arguments, int from, int to, int thread) {      \
    const Job *job = arguments;                                                       \
    const float *x = job->in[0];                                                      \
    float *y = job->out[0];                                                           \
    int i = from;                                                                     \
    for (; i + 4 <= to; i += 4) store4(y + i, operation(load4(x + i)));               \
    for (; i < to; i++) y[i] = first_lane(operation(splat4(x[i])));                   \
  }                                                                                   \
  void EXPORT(name)(const float *x, float *y, int n) {                                \
    parallel(name##_body, &(Job){.in = {x}, .out = {y}}, n, grain);                   \
  }

/**
 * exp(x) over float32's whole range. Near and beyond the ends of exp4's range, exp(x/2)² overflows to infinity and
 * underflows to subnormal numbers and zero as it should.
 */
INLINE f32x4 exponential4(f32x4 x) {
  f32x4 y = exp4(x);
  v128_t far = wasm_f32x4_gt(wasm_f32x4_abs(x), splat4(87.0f));
  if (!wasm_v128_any_true(far)) return y;
  f32x4 half = exp4(wasm_f32x4_mul(x, splat4(0.5f)));
  return wasm_v128_bitselect(wasm_f32x4_mul(half, half), y, far);
}

INLINE f32x4 reciprocal_root4(f32x4 x) { return wasm_f32x4_div(splat4(1), wasm_f32x4_sqrt(x)); }

UNARY(exponential, exponential4, GRAIN / 4)
UNARY(square_root, wasm_f32x4_sqrt, GRAIN)
UNARY(reciprocal_square_root, reciprocal_root4, GRAIN)
