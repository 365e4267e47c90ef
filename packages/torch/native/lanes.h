// Numbers many at a time: vectors as wide as the CPU's, of float32, from and to memory that holds float32 or bfloat16.
#pragma once
#include <cstdint>
#include <type_traits>

#ifdef __AVX2__
#include <immintrin.h>
#endif

namespace cm {

/** Two bytes that count as a number: the upper half of a float32, rounded to the nearest. */
struct BFloat16 {
  uint16_t bits;
  operator float() const { return __builtin_bit_cast(float, static_cast<uint32_t>(bits) << 16); }
  BFloat16 &operator=(float value) {
    const auto whole = __builtin_bit_cast(uint32_t, value);
    bits = static_cast<uint16_t>((whole + 0x7fff + ((whole >> 16) & 1)) >> 16);
    return *this;
  }
};

#ifdef __AVX512F__
constexpr int64_t LANES = 16;
#else
constexpr int64_t LANES = 8;
#endif
typedef float Lanes __attribute__((vector_size(LANES * 4)));
typedef uint32_t LaneBits __attribute__((vector_size(LANES * 4)));
typedef uint16_t HalfBits __attribute__((vector_size(LANES * 2)));
/** The same at any address. Sums are Lanes: compilers keep those in registers. */
typedef float LanesInMemory __attribute__((vector_size(LANES * 4), aligned(4), may_alias));
typedef uint16_t HalvesInMemory __attribute__((vector_size(LANES * 2), aligned(2), may_alias));

// LANES numbers in memory, as float32.
inline Lanes load(const float *at) { return *reinterpret_cast<const LanesInMemory *>(at); }
inline void store(float *at, Lanes x) { *reinterpret_cast<LanesInMemory *>(at) = x; }
inline Lanes load(const BFloat16 *at) {
  const HalfBits upper = *reinterpret_cast<const HalvesInMemory *>(at);
  // What compilers make of the general way is four instructions.
#if defined(__AVX512F__)
  const LaneBits whole = (LaneBits)_mm512_cvtepu16_epi32((__m256i)upper);
#elif defined(__AVX2__)
  const LaneBits whole = (LaneBits)_mm256_cvtepu16_epi32((__m128i)upper);
#else
  const LaneBits whole = __builtin_convertvector(upper, LaneBits);
#endif
  return (Lanes)(whole << 16);
}

#ifdef __AVX512BF16__
/** LANES numbers rounded to bfloat16. */
using Halves = __m256i;
inline Halves halved(Lanes x) { return (__m256i)_mm512_cvtneps_pbh(x); }
#else
using Halves = HalfBits;
inline Halves halved(Lanes x) {
  const LaneBits whole = (LaneBits)x, upper = (whole + 0x7fff + ((whole >> 16) & 1)) >> 16;
#if defined(__AVX2__) && !defined(__AVX512F__)
  return (Halves)_mm_packus_epi32(_mm256_castsi256_si128((__m256i)upper), _mm256_extracti128_si256((__m256i)upper, 1));
#else
  return __builtin_convertvector(upper, Halves);
#endif
}
#endif
inline void store(BFloat16 *at, Lanes x) { *reinterpret_cast<HalvesInMemory *>(at) = (HalfBits)halved(x); }
// 2·LANES numbers, a whole line of the cache at once where that is one.
inline void store(float *at, Lanes first, Lanes second) { store(at, first), store(at + LANES, second); }
inline void store(BFloat16 *at, Lanes first, Lanes second) {
#ifdef __AVX512BF16__
  _mm512_storeu_si512(at, (__m512i)_mm512_cvtne2ps_pbh((__m512)second, (__m512)first));
#else
  store(at, first), store(at + LANES, second);
#endif
}

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

// What follows is of one number or of LANES.

// A NaN stays one.
template <typename X>
inline X at_least(X x, float bound) {
  const X all = X{} + bound;
  return x < all ? all : x;
}
template <typename X>
inline X at_most(X x, float bound) {
  const X all = X{} + bound;
  return x > all ? all : x;
}

// exp(x) to about 1e-7 relative within float32's normal range: 2^n·e^r, n the nearest whole number to x/ln 2, ln 2 in two parts; Cephes'
// polynomial. Without branches, so that compilers vectorise what calls it with one number.
template <typename X>
inline X exponential(X x) {
  using Bits = std::conditional_t<std::is_same_v<X, float>, uint32_t, LaneBits>;
  x = at_most(at_least(x, -87.0f), 88.0f);
  const X shifted = x * 1.44269504088896341f + 12582912.0f;
  const X n = shifted - 12582912.0f;
  const X r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
  X p = 1.9875691500e-4f * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  const X power = p * r * r + r + 1.0f;
  return __builtin_bit_cast(X, __builtin_bit_cast(Bits, power) + (__builtin_bit_cast(Bits, shifted) << 23));
}

/** exp(x) and 1/x as precisely as numbers are that are stored as E. */
template <typename E, typename X>
inline X exponential_for(X x) {
#ifdef __AVX512F__
  // 2^n·2^r, n the nearest whole number, 2^r to 3e-6 relative; ∞ and 0 beyond float32's range.
  if constexpr (std::is_same_v<E, BFloat16> && std::is_same_v<X, Lanes>) {
    const Lanes t = x * 1.44269504088896341f;
    const Lanes n = (Lanes)_mm512_roundscale_ps((__m512)t, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    const Lanes r = t - n;
    Lanes p = 9.6003955e-3f * r + 5.5916894e-2f;
    p = p * r + 2.4023718e-1f;
    p = p * r + 6.9312199e-1f;
    p = p * r + 1.0f;
    return (Lanes)_mm512_scalef_ps((__m512)p, (__m512)n);
  }
#endif
  return exponential(x);
}
template <typename E, typename X>
inline X reciprocal_for(X x) {
#ifdef __AVX512F__
  if constexpr (std::is_same_v<E, BFloat16> && std::is_same_v<X, Lanes>) return (Lanes)_mm512_rcp14_ps((__m512)x);
#endif
  return 1.0f / x;
}

}  // namespace cm
