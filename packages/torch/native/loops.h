// Loops of our own over what tensors hold, on libtorch's threads: for float32 and for bfloat16.
#pragma once
#include <ATen/Parallel.h>

#include <algorithm>

#include "call.h"
#include "lanes.h"

namespace cm {

/** Numbers that a thread takes at a time. */
constexpr int64_t GRAIN = 16384;

/** f(number of the type that x holds): a kernel's loop, written once for float32 and for bfloat16. */
template <typename F>
void by_type(const Tensor &x, F f) {
  if (x.scalar_type() == at::kBFloat16) f(BFloat16{});
  else f(float{});
}

/** Whether they compute with what x holds. */
inline bool is_typed(const Tensor &x) { return own_loops(x) && (x.scalar_type() == at::kFloat || x.scalar_type() == at::kBFloat16); }

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

/** Where a kernel's formula reads and writes numbers, one by one or LANES at a time: it is written once for both. */
struct NumberAt {
  int64_t i;
  template <typename E>
  float operator()(const E *from) const { return from[i]; }
  template <typename E>
  void put(E *to, float x) const { to[i] = x; }
};
struct LanesAt {
  int64_t i;
  template <typename E>
  Lanes operator()(const E *from) const { return load(from + i); }
  template <typename E>
  void put(E *to, Lanes x) const { store(to + i, x); }
};

/** f(where) over count numbers. */
template <typename F>
inline void over_numbers(int64_t count, F f) {
  int64_t i = 0;
  for (; i + LANES <= count; i += LANES) f(LanesAt{i});
  for (; i < count; i++) f(NumberAt{i});
}
/** to = f(where), for count numbers. */
template <typename E, typename F>
inline void fill_row(E *to, int64_t count, F f) {
  over_numbers(count, [=](auto at) { at.put(to, f(at)); });
}
/** The same on libtorch's threads. */
template <typename E, typename F>
void fill(E *to, int64_t count, F f) {
  at::parallel_for(0, count, GRAIN, [&](int64_t from, int64_t end) {
    fill_row(to + from, end - from, [=](auto at) { return f(decltype(at){from + at.i}); });
  });
}

/** Σ a·b over n numbers. */
template <typename E>
inline float inner(const E *a, const E *b, int64_t n) {
  int64_t i = 0;
  Lanes sums{};
  for (; i + LANES <= n; i += LANES) sums += load(a + i) * load(b + i);
  float sum = total(sums);
  for (; i < n; i++) sum += a[i] * b[i];
  return sum;
}

}  // namespace cm
