// Loops of our own over what tensors hold, on libtorch's threads: for float32 and for bfloat16.
#pragma once
#include <ATen/Parallel.h>

#include <algorithm>

#ifdef __AVX512BF16__
#include <immintrin.h>
#endif

#include "call.h"

namespace cm {

/** Numbers that a thread takes at a time. */
constexpr int64_t GRAIN = 16384;

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

/** f(number of the type that x holds): a kernel's loop, written once for float32 and for bfloat16. */
template <typename F>
void by_type(const Tensor &x, F f) {
  if (x.scalar_type() == at::kBFloat16) f(BFloat16{});
  else f(float{});
}

template <typename E>
const E *values(const Tensor &x) {
  return static_cast<const E *>(x.data_ptr());
}
template <typename E>
E *room(const Tensor &x) {
  return static_cast<E *>(x.data_ptr());
}

inline Tensor dense(const Tensor &x) {
  TORCH_CHECK(x.scalar_type() == at::kFloat || x.scalar_type() == at::kBFloat16, "expected float32, got ",
              at::toString(x.scalar_type()));
  return x.contiguous();
}

/** Both as they are held where that is the same, else both as float32. */
struct Pair {
  Tensor a, b;
};
inline Pair pair(const Tensor &a, const Tensor &b) {
  if (a.scalar_type() == b.scalar_type()) return {dense(a), dense(b)};
  return {dense(Arguments::widened(a)), dense(Arguments::widened(b))};
}

inline void same_shape(const Tensor &a, const Tensor &b) {
  TORCH_CHECK(a.sizes() == b.sizes(), "shapes ", a.sizes(), " and ", b.sizes(), " differ");
}

inline Tensor like(const Tensor &x) { return at::empty(x.sizes(), x.options()); }

/** f(from, to) over ranges of rows, each of `size` numbers. */
template <typename F>
void over_rows(int64_t rows, int64_t size, F f) {
  at::parallel_for(0, rows, std::max<int64_t>(1, GRAIN / std::max<int64_t>(1, size)), f);
}

inline void narrow(const float *from, BFloat16 *to, int64_t count) {
  int64_t i = 0;
#ifdef __AVX512BF16__
  for (; i + 16 <= count; i += 16)
    _mm256_storeu_si256(reinterpret_cast<__m256i *>(to + i), (__m256i)_mm512_cvtneps_pbh(_mm512_loadu_ps(from + i)));
#endif
  for (; i < count; i++) to[i] = from[i];
}

/** to[i] = f(i) for i below count. */
template <typename F>
void fill_row(float *to, int64_t count, F f) {
#pragma omp simd
  for (int64_t i = 0; i < count; i++) to[i] = f(i);
}
// Compilers know no instruction that rounds to bfloat16: numbers are computed as float32 and rounded many at a time.
template <typename F>
void fill_row(BFloat16 *to, int64_t count, F f) {
  constexpr int64_t room = 512;
  float whole[room];
  for (int64_t first = 0; first < count; first += room) {
    const int64_t end = std::min(room, count - first);
#pragma omp simd
    for (int64_t i = 0; i < end; i++) whole[i] = f(first + i);
    narrow(whole, to + first, end);
  }
}

/** The same on libtorch's threads. */
template <typename E, typename F>
void fill(E *to, int64_t count, F f) {
  at::parallel_for(0, count, GRAIN, [&](int64_t from, int64_t end) { fill_row(to + from, end - from, [&](int64_t i) { return f(from + i); }); });
}

}  // namespace cm
