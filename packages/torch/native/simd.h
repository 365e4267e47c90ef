// Small matrix products of float32 or of pairs of bfloat16.
#pragma once
#include <algorithm>
#include <utility>

#include "amx.h"
#include "lanes.h"

namespace cm {

#ifdef __AVX512F__
constexpr int TILE_ROWS = 6, TILE_VECTORS = 4;  // 24 sums, of 32 registers
#else
constexpr int TILE_ROWS = 6, TILE_VECTORS = 2;  // 12 sums, of 16 registers
#endif

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
/** LANES numbers in the lower halves, and as many in the upper ones. */
inline Pairs paired(Halves low, Halves high) {
  const __m512i order = _mm512_set_epi16(47, 15, 46, 14, 45, 13, 44, 12, 43, 11, 42, 10, 41, 9, 40, 8, 39, 7, 38, 6, 37, 5, 36, 4, 35, 3, 34, 2, 33, 1, 32, 0);
  return _mm512_permutex2var_epi16(_mm512_castsi256_si512(low), order, _mm512_castsi256_si512(high));
}
inline Pairs paired(Lanes low, Lanes high) {
  const __m512i order = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6, 21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
  return _mm512_permutexvar_epi16(order, (__m512i)_mm512_cvtne2ps_pbh(high, low));
}
#else
constexpr bool HAS_PAIRS = false;
#endif

/** What products of tensors of E multiply: numbers, or pairs of them where the CPU multiplies those; else bfloat16 ones are widened. */
template <typename E>
using Factor = std::conditional_t<HAS_PAIRS && std::is_same_v<E, BFloat16>, Pair16, float>;
/** Numbers in a factor. */
template <typename T>
constexpr int64_t WIDTH = std::is_same_v<T, float> ? 1 : 2;
/** What those numbers are. */
template <typename T>
using Number = std::conditional_t<std::is_same_v<T, float>, float, BFloat16>;

/** Lanes of x and y in turns of HALF: the first half of each 2·HALF of x's, then of y's; or the second halves. */
template <size_t HALF, bool SECOND, size_t... K>
inline Lanes woven(Lanes x, Lanes y, std::index_sequence<K...>) {
#if __has_builtin(__builtin_shufflevector)
  return __builtin_shufflevector(x, y, (K & HALF ? LANES + K - (SECOND ? 0 : HALF) : K + (SECOND ? HALF : 0))...);
#else
  return __builtin_shuffle(x, y, LaneBits{(K & HALF ? LANES + K - (SECOND ? 0 : HALF) : K + (SECOND ? HALF : 0))...});
#endif
}
/** Rows become columns: of all pairs of rows HALF apart, then twice as far. */
template <size_t HALF = 1>
inline void transpose(Lanes (&x)[LANES]) {
  constexpr std::make_index_sequence<LANES> all;
#pragma GCC unroll 16
  for (size_t i = 0; i < LANES; i++)
    if (!(i & HALF)) {
      const Lanes first = woven<HALF, false>(x[i], x[i + HALF], all), second = woven<HALF, true>(x[i], x[i + HALF], all);
      x[i] = first, x[i + HALF] = second;
    }
  if constexpr (2 * HALF < LANES) transpose<2 * HALF>(x);
}

/** A matrix that is seen through strides: element (i, j) lies at i·row + j·column. */
template <typename T>
struct Strided {
  const T *at;
  int64_t row, column;
};
template <typename T>
Strided(const T *, int64_t, int64_t) -> Strided<T>;

/** Steps along the sum in which a tile fetches a line of what is multiplied next: 16 tiles fetch as much as they multiply by. */
constexpr int64_t FETCH = 16 * 64 / (TILE_VECTORS * LANES * sizeof(float));

// Every short loop is unrolled at once: else GCC keeps the sums on the stack before and after the long one. Not inlined: where strides are known it
// would gather the first factor into vectors.
template <int ROWS, int VECTORS, bool ADD, bool FETCHES, typename T>
[[gnu::noinline]] void product_tile(const Strided<T> &a, const T *b, int64_t ldb, float *c, int64_t ldc, int64_t depth, const char *next) {
  Lanes sum[ROWS][VECTORS];
#pragma GCC unroll 8
  for (int i = 0; i < ROWS; i++)
#pragma GCC unroll 8
    for (int j = 0; j < VECTORS; j++) {
      if constexpr (ADD) sum[i][j] = load(c + i * ldc + j * LANES);
      else sum[i][j] = Lanes{};
    }
  const T *from = a.at;
  const auto steps = [&](int64_t count) __attribute__((always_inline)) {
#pragma GCC unroll 4
    for (int64_t p = 0; p < count; p++, from += a.column, b += ldb) {
      decltype(load(b)) row[VECTORS];
#pragma GCC unroll 8
      for (int j = 0; j < VECTORS; j++) row[j] = load(b + j * LANES);
#pragma GCC unroll 8
      for (int i = 0; i < ROWS; i++)
#pragma GCC unroll 8
        for (int j = 0; j < VECTORS; j++) sum[i][j] = multiply_add(from[i * a.row], row[j], sum[i][j]);
    }
  };
  if constexpr (FETCHES)
    for (; depth >= FETCH; depth -= FETCH, next += 64) {
      __builtin_prefetch(next, 0, 2);
      steps(FETCH);
    }
  steps(depth);
#pragma GCC unroll 8
  for (int i = 0; i < ROWS; i++)
#pragma GCC unroll 8
    for (int j = 0; j < VECTORS; j++) store(c + i * ldc + j * LANES, sum[i][j]);
}

template <int VECTORS, bool ADD, bool FETCHES, typename T>
inline void product_columns(Strided<T> a, const T *b, int64_t ldb, float *c, int64_t ldc, int64_t rows, int64_t depth, const char *next) {
  for (; rows >= TILE_ROWS; rows -= TILE_ROWS, a.at += TILE_ROWS * a.row, c += TILE_ROWS * ldc) {
    product_tile<TILE_ROWS, VECTORS, ADD, FETCHES>(a, b, ldb, c, ldc, depth, next);
    if constexpr (FETCHES) next += depth / FETCH * 64;
  }
  for (; rows >= 2; rows -= 2, a.at += 2 * a.row, c += 2 * ldc)
    product_tile<2, VECTORS, ADD, FETCHES>(a, b, ldb, c, ldc, depth, next);
  if (rows > 0) product_tile<1, VECTORS, ADD, FETCHES>(a, b, ldb, c, ldc, depth, next);
}

template <bool ADD, bool FETCHES, typename T>
inline void product_of_columns(Strided<T> a, const T *b, int64_t ldb, float *c, int64_t ldc, int64_t rows, int64_t depth, int64_t columns,
                               const char *next) {
  int64_t j = 0;
  for (; j + TILE_VECTORS * LANES <= columns; j += TILE_VECTORS * LANES)
    product_columns<TILE_VECTORS, ADD, FETCHES>(a, b + j, ldb, c + j, ldc, rows, depth, next);
  for (; j + LANES <= columns; j += LANES) product_columns<1, ADD, FETCHES>(a, b + j, ldb, c + j, ldc, rows, depth, next);
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
  if constexpr (!std::is_same_v<T, float>)
    if (AMX && a.column == 1 && depth % AMX_STEP == 0)
      return amx_product({reinterpret_cast<const BFloat16 *>(a.at), 2 * a.row}, ONE_TAP, b, ldb, c, ldc, rows, depth, columns, add);
  if (add) product_of_columns<true, false>(a, b, ldb, c, ldc, rows, depth, columns, nullptr);
  else product_of_columns<false, false>(a, b, ldb, c, ldc, rows, depth, columns, nullptr);
}
/** The same, while what lies at `next` is brought into the second-level cache: the b that is multiplied next. */
template <typename T>
inline void product_before(const T *next, Strided<T> a, const T *b, int64_t ldb, float *c, int64_t ldc, int64_t rows, int64_t depth,
                           int64_t columns, bool add) {
  const char *const lines = reinterpret_cast<const char *>(next);
  if (add) product_of_columns<true, true>(a, b, ldb, c, ldc, rows, depth, columns, lines);
  else product_of_columns<false, true>(a, b, ldb, c, ldc, rows, depth, columns, lines);
}

}  // namespace cm
