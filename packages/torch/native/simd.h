// What the CPU's own loops share: an exponential that vectorises, and a small matrix product of float32 or of pairs of bfloat16.
#pragma once
#include <algorithm>
#include <cstdint>

#ifdef __AVX512F__
#include <immintrin.h>
#endif

#include "loops.h"

namespace cm {

// exp(x) to about 1e-7 relative within float32's normal range: 2^n·e^r, n the nearest whole number to x/ln 2, ln 2 in two parts; Cephes'
// polynomial. Without branches, so that compilers vectorise what calls it.
inline float exponential(float x) {
  x = x < -87.0f ? -87.0f : x > 88.0f ? 88.0f : x;
  const float shifted = x * 1.44269504088896341f + 12582912.0f;
  const float n = shifted - 12582912.0f;
  const float r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  const float power = p * r * r + r + 1.0f;
  return __builtin_bit_cast(float, __builtin_bit_cast(int32_t, power) +
                                       (static_cast<int32_t>(__builtin_bit_cast(uint32_t, shifted) << 23)));
}

#ifdef __AVX512F__
constexpr int64_t LANES = 16;
constexpr int TILE_ROWS = 6, TILE_VECTORS = 4;  // 24 sums, of 32 registers
#else
constexpr int64_t LANES = 8;
constexpr int TILE_ROWS = 6, TILE_VECTORS = 2;  // 12 sums, of 16 registers
#endif
typedef float Lanes __attribute__((vector_size(LANES * 4)));
/** The same at any address. Sums are Lanes: compilers keep those in registers. */
typedef float LanesInMemory __attribute__((vector_size(LANES * 4), aligned(4), may_alias));

// LANES numbers in memory, as float32.
inline Lanes load(const float *at) { return *reinterpret_cast<const LanesInMemory *>(at); }
inline void store(float *at, Lanes x) { *reinterpret_cast<LanesInMemory *>(at) = x; }

/** The sum of all, by halves. */
inline float total(Lanes x) {
#ifdef __AVX512F__
  return _mm512_reduce_add_ps((__m512)x);
#else
  float parts[LANES];
  store(parts, x);
  for (int64_t half = LANES / 2; half > 0; half /= 2)
    for (int64_t i = 0; i < half; i++) parts[i] += parts[i + half];
  return parts[0];
#endif
}

inline Lanes multiply_add(float a, Lanes b, Lanes sum) { return sum + a * b; }

/** Two bfloat16 numbers that follow each other along the sum, the first one below: what a product of bfloat16 multiplies at a time. */
struct Pair16 {
  uint32_t bits;
};
#ifdef __AVX512BF16__
constexpr bool HAS_PAIRS = true;
using Pairs = __m512i;
inline Pairs load(const Pair16 *at) { return _mm512_loadu_si512(at); }
inline void store(Pair16 *at, Pairs x) { _mm512_storeu_si512(at, x); }
inline Lanes multiply_add(Pair16 a, Pairs b, Lanes sum) {
  return _mm512_dpbf16_ps(sum, (__m512bh)_mm512_set1_epi32(static_cast<int>(a.bits)), (__m512bh)b);
}

inline Lanes load(const BFloat16 *at) {
  const __m256i bits = _mm256_loadu_si256(reinterpret_cast<const __m256i *>(at));
  return (Lanes)_mm512_slli_epi32(_mm512_cvtepu16_epi32(bits), 16);
}
inline void store(BFloat16 *at, Lanes x) {
  _mm256_storeu_si256(reinterpret_cast<__m256i *>(at), (__m256i)_mm512_cvtneps_pbh(x));
}
/** LANES numbers rounded to bfloat16. */
using Halves = __m256i;
inline Halves halved(Lanes x) { return (__m256i)_mm512_cvtneps_pbh(x); }
/** LANES numbers in the lower halves, and as many in the upper ones. */
inline Pairs paired(Halves low, Halves high) {
  const __m512i order = _mm512_set_epi16(47, 15, 46, 14, 45, 13, 44, 12, 43, 11, 42, 10, 41, 9, 40, 8, 39, 7, 38, 6, 37, 5, 36, 4, 35, 3, 34, 2, 33, 1, 32, 0);
  return _mm512_permutex2var_epi16(_mm512_castsi256_si512(low), order, _mm512_castsi256_si512(high));
}
inline Pairs paired(Lanes low, Lanes high) {
  const __m512i order = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6, 21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
  return _mm512_permutexvar_epi16(order, (__m512i)_mm512_cvtne2ps_pbh(high, low));
}

/** exp(x), its 2^r to 3e-6 relative: more than enough for what is rounded to bfloat16. 2^n·2^r, n the nearest whole number; ∞ and 0 beyond float32's range. */
inline Lanes rough_exponential(Lanes x) {
  const Lanes t = x * 1.44269504088896341f;
  const Lanes n = (Lanes)_mm512_roundscale_ps((__m512)t, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  const Lanes r = t - n;
  Lanes p = 9.6003955e-3f * r + 5.5916894e-2f;
  p = p * r + 2.4023718e-1f;
  p = p * r + 6.9312199e-1f;
  p = p * r + 1.0f;
  return (Lanes)_mm512_scalef_ps((__m512)p, (__m512)n);
}
/** 1/x to 2⁻¹⁴ relative. */
inline Lanes rough_reciprocal(Lanes x) { return (Lanes)_mm512_rcp14_ps((__m512)x); }
inline Lanes least(Lanes a, float b) { return (Lanes)_mm512_min_ps((__m512)a, _mm512_set1_ps(b)); }
#else
constexpr bool HAS_PAIRS = false;
#endif

/** Whether numbers of E are computed LANES at a time by this package: compilers vectorise loops over float32 themselves. */
template <typename E>
constexpr bool IN_LANES = HAS_PAIRS && std::is_same_v<E, BFloat16>;

/** Numbers in memory as a kernel's formula reads them, one by one or LANES at a time: it is written once for both. */
struct NumberAt {
  int64_t i;
  template <typename E>
  float operator()(const E *from) const { return from[i]; }
};
struct LanesAt {
  int64_t i;
  template <typename E>
  Lanes operator()(const E *from) const { return load(from + i); }
};

/** to[i] = f(a reader at i) for i below count. */
template <typename E, typename F>
inline void fill_row_from(E *to, int64_t count, F f) {
#ifdef __AVX512BF16__
  if constexpr (IN_LANES<E>) {
    int64_t i = 0;
    for (; i + LANES <= count; i += LANES) store(to + i, f(LanesAt{i}));
    for (; i < count; i++) to[i] = f(NumberAt{i});
    return;
  }
#endif
  fill_row(to, count, [=](int64_t i) { return f(NumberAt{i}); });
}
/** The same on libtorch's threads. */
template <typename E, typename F>
void fill_from(E *to, int64_t count, F f) {
  at::parallel_for(0, count, GRAIN, [&](int64_t from, int64_t end) {
    fill_row_from(to + from, end - from, [&](auto at) { return f(decltype(at){from + at.i}); });
  });
}

/** What products of tensors of E multiply: numbers, or pairs of them. */
template <typename E>
struct Factor {
  using type = float;
  /** Numbers in one. */
  static constexpr int64_t width = 1;
};
template <>
struct Factor<BFloat16> {
  using type = Pair16;
  static constexpr int64_t width = 2;
};

/** A matrix that is seen through strides: element (i, j) lies at i·row + j·column. */
template <typename T>
struct Strided {
  const T *at;
  int64_t row, column;
};
template <typename T>
Strided(const T *, int64_t, int64_t) -> Strided<T>;

// Every short loop is unrolled at once: else GCC keeps the sums on the stack before and after the long one. Not inlined: where strides are known it
// would gather the first factor into vectors.
template <int ROWS, int VECTORS, bool ADD, typename T>
[[gnu::noinline]] void product_tile(const Strided<T> &a, const T *b, int64_t ldb, float *c, int64_t ldc, int64_t depth) {
  Lanes sum[ROWS][VECTORS];
#pragma GCC unroll 8
  for (int i = 0; i < ROWS; i++)
#pragma GCC unroll 8
    for (int j = 0; j < VECTORS; j++) {
      if constexpr (ADD) sum[i][j] = load(c + i * ldc + j * LANES);
      else sum[i][j] = Lanes{};
    }
  const T *from = a.at;
  for (int64_t p = 0; p < depth; p++, from += a.column, b += ldb) {
    decltype(load(b)) row[VECTORS];
#pragma GCC unroll 8
    for (int j = 0; j < VECTORS; j++) row[j] = load(b + j * LANES);
#pragma GCC unroll 8
    for (int i = 0; i < ROWS; i++)
#pragma GCC unroll 8
      for (int j = 0; j < VECTORS; j++) sum[i][j] = multiply_add(from[i * a.row], row[j], sum[i][j]);
  }
#pragma GCC unroll 8
  for (int i = 0; i < ROWS; i++)
#pragma GCC unroll 8
    for (int j = 0; j < VECTORS; j++) store(c + i * ldc + j * LANES, sum[i][j]);
}

template <int VECTORS, bool ADD, typename T>
inline void product_columns(Strided<T> a, const T *b, int64_t ldb, float *c, int64_t ldc, int64_t rows, int64_t depth) {
  for (; rows >= TILE_ROWS; rows -= TILE_ROWS, a.at += TILE_ROWS * a.row, c += TILE_ROWS * ldc)
    product_tile<TILE_ROWS, VECTORS, ADD>(a, b, ldb, c, ldc, depth);
  for (; rows >= 2; rows -= 2, a.at += 2 * a.row, c += 2 * ldc)
    product_tile<2, VECTORS, ADD>(a, b, ldb, c, ldc, depth);
  if (rows > 0) product_tile<1, VECTORS, ADD>(a, b, ldb, c, ldc, depth);
}

template <bool ADD, typename T>
inline void product_of_columns(Strided<T> a, const T *b, int64_t ldb, float *c, int64_t ldc, int64_t rows, int64_t depth, int64_t columns) {
  int64_t j = 0;
  for (; j + TILE_VECTORS * LANES <= columns; j += TILE_VECTORS * LANES)
    product_columns<TILE_VECTORS, ADD>(a, b + j, ldb, c + j, ldc, rows, depth);
  for (; j + LANES <= columns; j += LANES) product_columns<1, ADD>(a, b + j, ldb, c + j, ldc, rows, depth);
  if constexpr (std::is_same_v<T, float>)
    for (; j < columns; j++)
      for (int64_t i = 0; i < rows; i++) {
        float sum = ADD ? c[i * ldc + j] : 0;
        for (int64_t p = 0; p < depth; p++) sum += a.at[i * a.row + p * a.column] * b[p * ldb + j];
        c[i * ldc + j] = sum;
      }
}

/**
 * c [rows, columns] = a [rows, depth] · b [depth, columns], or c += it; b and c have dense rows ldb and ldc apart. For small matrices that
 * lie in cache. Of pairs, `depth` and the strides count pairs, and `columns` is a multiple of LANES.
 */
template <typename T>
inline void small_product(Strided<T> a, const T *b, int64_t ldb, float *c, int64_t ldc, int64_t rows, int64_t depth,
                          int64_t columns, bool add) {
  if (add) product_of_columns<true>(a, b, ldb, c, ldc, rows, depth, columns);
  else product_of_columns<false>(a, b, ldb, c, ldc, rows, depth, columns);
}

}  // namespace cm
