// Philox 4x32-10 (Salmon et al., Parallel Random Numbers: As Easy as 1, 2, 3, 2011) and what is made of its words,
// four blocks to a vector and two vectors at a time. Only operations that IEEE 754 rounds exactly (+, -, *, sqrt) are used,
// none fused, in one fixed order: the numbers are the same on every machine.
#include <stdint.h>
#include <wasm_simd128.h>

#define EXPORT(name) __attribute__((export_name(#name))) void name

// Numbers that one call can make; kept in step with `capacity` in src/kernel.ts.
#define CAPACITY 16384
static _Alignas(16) float out[CAPACITY];

__attribute__((export_name("address"))) float *address(void) { return out; }

typedef struct { v128_t word[4]; } Blocks; // word j of four consecutive blocks, one a lane

static inline void multiply(v128_t a, uint32_t factor, v128_t *high, v128_t *low) {
  v128_t b = wasm_u32x4_splat(factor);
  v128_t first = wasm_u64x2_extmul_low_u32x4(a, b);
  v128_t second = wasm_u64x2_extmul_high_u32x4(a, b);
  *low = wasm_i32x4_shuffle(first, second, 0, 2, 4, 6);
  *high = wasm_i32x4_shuffle(first, second, 1, 3, 5, 7);
}

static inline void round_of(Blocks *x, uint32_t key0, uint32_t key1) {
  v128_t high0, low0, high1, low1;
  multiply(x->word[0], 0xD2511F53u, &high0, &low0);
  multiply(x->word[2], 0xCD9E8D57u, &high1, &low1);
  x->word[0] = wasm_v128_xor(wasm_v128_xor(high1, x->word[1]), wasm_u32x4_splat(key0));
  x->word[1] = low1;
  x->word[2] = wasm_v128_xor(wasm_v128_xor(high0, x->word[3]), wasm_u32x4_splat(key1));
  x->word[3] = low0;
}

// Blocks `counter0` to `counter0 + 7`.
static inline void philox(Blocks x[2], uint32_t key0, uint32_t key1, uint32_t counter0, uint32_t counter1,
                          uint32_t counter2, uint32_t counter3) {
  for (int half = 0; half < 2; half++) {
    x[half].word[0] = wasm_i32x4_add(wasm_u32x4_splat(counter0 + 4 * half), wasm_u32x4_const(0, 1, 2, 3));
    x[half].word[1] = wasm_u32x4_splat(counter1);
    x[half].word[2] = wasm_u32x4_splat(counter2);
    x[half].word[3] = wasm_u32x4_splat(counter3);
  }
#pragma unroll
  for (int i = 0; i < 10; i++) {
    round_of(&x[0], key0, key1);
    round_of(&x[1], key0, key1);
    key0 += 0x9E3779B9u;
    key1 += 0xBB67AE85u;
  }
}

// From a word of four blocks a vector to a block's four words a vector, then to memory.
static inline void store(float *to, const Blocks *x) {
  v128_t a = wasm_i32x4_shuffle(x->word[0], x->word[1], 0, 4, 1, 5);
  v128_t b = wasm_i32x4_shuffle(x->word[0], x->word[1], 2, 6, 3, 7);
  v128_t c = wasm_i32x4_shuffle(x->word[2], x->word[3], 0, 4, 1, 5);
  v128_t d = wasm_i32x4_shuffle(x->word[2], x->word[3], 2, 6, 3, 7);
  wasm_v128_store(to, wasm_i64x2_shuffle(a, c, 0, 2));
  wasm_v128_store(to + 4, wasm_i64x2_shuffle(a, c, 1, 3));
  wasm_v128_store(to + 8, wasm_i64x2_shuffle(b, d, 0, 2));
  wasm_v128_store(to + 12, wasm_i64x2_shuffle(b, d, 1, 3));
}

static inline v128_t constant(float x) { return wasm_f32x4_splat(x); }
static inline v128_t add(v128_t a, v128_t b) { return wasm_f32x4_add(a, b); }
static inline v128_t times(v128_t a, v128_t b) { return wasm_f32x4_mul(a, b); }

// -2 ln((w + ½) / 2^32), from -2 ln(2^e (1 + f)) = e·(-2 ln 2) - 2 f + f² Q(f). Words in the upper half are counted from the
// other end, so that the logarithm keeps its digits next to 0 as well.
static inline v128_t minus_twice_log(v128_t w) {
  v128_t upper = wasm_i32x4_shr(w, 31);
  v128_t distance = times(add(wasm_f32x4_convert_i32x4(wasm_v128_xor(w, upper)), constant(0.5f)), constant(0x1p-32f));
  v128_t u = wasm_v128_bitselect(wasm_f32x4_sub(constant(1), distance), distance, upper);
  v128_t offset = wasm_i32x4_sub(u, wasm_i32x4_splat(0x3F3504F3)); // √½
  v128_t exponent = wasm_i32x4_shr(offset, 23);
  v128_t mantissa = wasm_i32x4_sub(u, wasm_i32x4_shl(exponent, 23));
  v128_t near = wasm_v128_andnot(upper, wasm_i32x4_ne(exponent, wasm_i32x4_splat(0)));
  v128_t f = wasm_v128_bitselect(wasm_f32x4_neg(distance), wasm_f32x4_sub(mantissa, constant(1)), near);
  v128_t q = constant(0.153472826f);
  q = add(times(q, f), constant(-0.254453450f));
  q = add(times(q, f), constant(0.262551099f));
  q = add(times(q, f), constant(-0.284097105f));
  q = add(times(q, f), constant(0.332532912f));
  q = add(times(q, f), constant(-0.400024682f));
  q = add(times(q, f), constant(0.500015616f));
  q = add(times(q, f), constant(-0.666666627f));
  q = add(times(q, f), constant(0.999999940f));
  v128_t tail = times(add(times(q, f), constant(-2)), f);
  return add(times(wasm_f32x4_convert_i32x4(exponent), constant(-1.38629436f)), tail);
}

// Box and Muller: radius √(-2 ln u) from the word a, direction from the word b. Bits 0 to 29 of b are an angle π/4·y in
// [-π/4, π/4), bit 30 swaps the axes and bit 31 mirrors: four cones, one circle.
static inline void box_muller(v128_t *a, v128_t *b) {
  v128_t radius = wasm_f32x4_sqrt(minus_twice_log(*a));
  v128_t y = times(wasm_f32x4_convert_i32x4(wasm_i32x4_shl(*b, 2)), constant(0x1p-31f));
  v128_t z = times(y, y);
  v128_t s = constant(-0.0000359542901f);
  s = add(times(s, z), constant(0.00249000685f));
  s = add(times(s, z), constant(-0.0807454363f));
  s = add(times(s, z), constant(0.785398185f));
  v128_t c = constant(0.00000352979714f);
  c = add(times(c, z), constant(-0.000325938599f));
  c = add(times(c, z), constant(0.0158543251f));
  c = add(times(c, z), constant(-0.308425128f));
  c = add(times(c, z), constant(1));
  v128_t sine = times(times(s, y), radius);
  v128_t cosine = wasm_v128_xor(times(c, radius), wasm_v128_and(*b, wasm_u32x4_splat(0x80000000u)));
  v128_t swap = wasm_i32x4_shr(wasm_i32x4_shl(*b, 1), 31);
  *a = wasm_v128_bitselect(sine, cosine, swap);
  *b = wasm_v128_bitselect(cosine, sine, swap);
}

#define PARAMETERS uint32_t key0, uint32_t key1, uint32_t counter0, uint32_t counter1, uint32_t counter2, uint32_t counter3
#define FOR_EACH_BLOCKS(body)                                                   \
  for (float *to = out, *end = out + count; to < end; to += 32, counter0 += 8) { \
    Blocks x[2];                                                                \
    philox(x, key0, key1, counter0, counter1, counter2, counter3);              \
    for (int half = 0; half < 2; half++) {                                      \
      v128_t *word = x[half].word;                                              \
      body;                                                                     \
      store(to + 16 * half, &x[half]);                                          \
    }                                                                           \
  }

// Each fills the buffer with at least `count` numbers (a multiple of 32 of them is written), four from each block.

EXPORT(bits)(PARAMETERS, int32_t count) {
  FOR_EACH_BLOCKS((void)word)
}

// (w >> 8) / 2^24, in [0, 1).
EXPORT(uniforms)(PARAMETERS, int32_t count) {
  FOR_EACH_BLOCKS(for (int i = 0; i < 4; i++) word[i] = times(
                      wasm_f32x4_convert_i32x4(wasm_u32x4_shr(word[i], 8)), constant(0x1p-24f)))
}

EXPORT(normals)(PARAMETERS, int32_t count) {
  FOR_EACH_BLOCKS(box_muller(&word[0], &word[1]); box_muller(&word[2], &word[3]))
}

// `value` where w < threshold, else 0.
EXPORT(masks)(PARAMETERS, int32_t count, uint32_t threshold, float value) {
  FOR_EACH_BLOCKS(for (int i = 0; i < 4; i++) word[i] =
                      wasm_v128_and(wasm_u32x4_lt(word[i], wasm_u32x4_splat(threshold)), constant(value)))
}
