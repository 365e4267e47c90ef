// Self-attention, softmax(q·kᵀ/√d)·v for each image and head, of queries, keys and values that lie together as a convolution makes them:
// [batch, pixels, (q, k, v), heads, d]. On the CPU no matrix of pixels × pixels is ever whole in memory: queries go through in blocks, and the
// gradient computes the weights anew. Where the CPU multiplies bfloat16 the factors of products are rounded to that, sums and weights are float32.
// Elsewhere it is a composition of ATen's.
#include <cmath>

#include "call.h"
#include "factors.h"
#include "scratch.h"

namespace cm {
namespace {

/** Queries at a time: with 256 pixels and d = 64 all that a block needs stays in the second-level cache. Pairs of tiles take 32. */
constexpr int64_t BLOCK = 64;

struct Shape {
  int64_t batch, pixels, heads, size;
  /** Numbers from one pixel of qkv to the next. */
  int64_t row() const { return 3 * channels(); }
  int64_t channels() const { return heads * size; }
  float scale() const { return 1.0f / std::sqrt(static_cast<float>(size)); }
};

Shape shape_of(const Tensor &qkv, int64_t heads) {
  TORCH_CHECK(qkv.dim() == 3 && heads > 0 && qkv.size(2) % (3 * heads) == 0, "qkv has shape ", qkv.sizes(), ", expected [batch, pixels, 3·heads·d] with ", heads, " heads");
  return {qkv.size(0), qkv.size(1), heads, qkv.size(2) / (3 * heads)};
}

// The factors of products: float32 ones where they lie, bfloat16 ones where they lie as pairs along the sum or laid out in them, or widened where
// the CPU multiplies no pairs. `room` has as many numbers as the matrix.

/** A second factor whose rows are summed over. */
template <typename T>
struct Dense {
  const T *at;
  int64_t row;
};

inline const float *widened(const BFloat16 *x, int64_t step, int64_t rows, int64_t size, float *room) {
  for (int64_t r = 0; r < rows; r++) fill_row(room + r * size, size, [from = x + r * step](auto at) { return at(from); });
  return room;
}

/** x [rows, size], rows `step` apart, as a first factor. */
inline Strided<float> rows_of(const float *x, int64_t step, int64_t, int64_t, float *) { return {x, step, 1}; }
inline Strided<float> rows_of(const BFloat16 *x, int64_t step, int64_t rows, int64_t size, float *room) { return {widened(x, step, rows, size, room), size, 1}; }
/** Its transpose as a first factor. */
inline Strided<float> transposed(const float *x, int64_t, int64_t size, float *) { return {x, 1, size}; }
/** It as a second factor. */
inline Dense<float> summed_rows(const float *x, int64_t step, int64_t, int64_t, float *) { return {x, step}; }
inline Dense<float> summed_rows(const BFloat16 *x, int64_t step, int64_t rows, int64_t size, float *room) { return {widened(x, step, rows, size, room), size}; }

#ifdef __AVX512BF16__
inline Strided<Pair16> rows_of(const BFloat16 *x, int64_t step, int64_t, int64_t, Pair16 *) { return {reinterpret_cast<const Pair16 *>(x), step / 2, 1}; }
inline Strided<Pair16> transposed(const float *x, int64_t rows, int64_t size, Pair16 *room) { return lay_transposed(x, size, room, rows, size, rows / 2); }
inline Dense<Pair16> summed_rows(const BFloat16 *x, int64_t step, int64_t rows, int64_t size, Pair16 *room) {
  lay_columns(x, step, room, rows, size);
  return {room, size};
}
#endif

/** x [rows, size], rows `step` apart, as a second factor [size, rows]. */
template <typename T, typename E>
void columns_of(const E *x, int64_t step, int64_t rows, int64_t size, T *to) {
  if (WIDTH<T> == 2 || rows % LANES == 0) return lay_rows(x, step, to, size, rows);
  if constexpr (WIDTH<T> == 1)
    for (int64_t c = 0; c < size; c++)
      for (int64_t r = 0; r < rows; r++) to[c * rows + r] = x[r * step + c];
}

/** Rows of results [rows, size], each times its factor where there are any, to where they belong, `step` apart. */
template <typename E>
void put(const float *x, int64_t rows, int64_t size, E *to, int64_t step, const float *factors = nullptr) {
  for (int64_t r = 0; r < rows; r++) {
    const float *from = x + r * size, by = factors ? factors[r] : 1.0f;
    fill_row(to + r * step, size, [=](auto at) { return by * at(from); });
  }
}

/** A row's largest number. */
inline float largest(const float *row, int64_t size) {
  Lanes high = Lanes{} + row[0];
  float highest = row[0];
  over_numbers(size, [&](auto at) {
    const auto x = at(row);
    if constexpr (std::is_same_v<decltype(at), LanesAt>) high = x > high ? x : high;
    else highest = std::max(highest, x);
  });
  for (int64_t i = 0; i < LANES; i++) highest = std::max(highest, high[i]);
  return highest;
}

/** A row of scores becomes exp(scale·(score − the largest)) at `to`, in place or, rounded, elsewhere; gives one over their sum. */
template <typename E, typename N>
float weigh(const float *row, int64_t size, float scale, N *to) {
  const float highest = largest(row, size);
  Lanes sums{};
  float rest = 0;
  over_numbers(size, [&, to](auto at) {
    const auto weight = exponential_for<E>(scale * (at(row) - highest));
    at.put(to, weight);
    if constexpr (std::is_same_v<decltype(at), LanesAt>) sums += weight;
    else rest += weight;
  });
  return 1 / (total(sums) + rest);
}

/** Weights p, still to be divided by their sum, and their slopes ds become p and scale·p∘(ds − Σ p∘ds), the latter at `to`, too. */
template <typename N>
void slope(float *p, float *ds, int64_t size, float share, float scale, N *to) {
  const float mean = share * inner(p, ds, size);
  over_numbers(size, [=](auto at) {
    const auto weight = share * at(p), slope = scale * weight * (at(ds) - mean);
    at.put(p, weight), at.put(ds, slope), at.put(to, slope);
  });
}

/** Where numbers go when they are rounded to N: float32 ones stay in place. */
template <typename N>
N *in_place(float *numbers, Scratch &scratch, int64_t count) {
  if constexpr (std::is_same_v<N, float>) return numbers;
  else return scratch.take<N>(count);
}

/** f(image, head) on libtorch's threads. */
template <typename F>
void over_heads(const Shape &s, F f) {
  at::parallel_for(0, s.batch * s.heads, 1, [&](int64_t first, int64_t end) {
    for (int64_t i = first; i < end; i++) f(i / s.heads, i % s.heads);
  });
}

struct Parts {
  Tensor q, k, v;
};
/** Each [batch, heads, pixels, d]. */
Parts parts(const Tensor &qkv, const Shape &s) {
  const auto all = qkv.view({s.batch, s.pixels, 3, s.heads, s.size}).permute({2, 0, 3, 1, 4}).unbind(0);
  return {all[0], all[1], all[2]};
}

bool composed(const Tensor &qkv, const Shape &s) {
  if (!own_loops(qkv)) return true;
  const bool in_pairs = HAS_PAIRS && qkv.scalar_type() == at::kBFloat16;
  return in_pairs && (s.pixels % LANES != 0 || s.size % LANES != 0);
}

template <typename E>
void attend(const Shape &s, const E *from, E *to) {
  using T = Factor<E>;
  using N = Number<T>;
  constexpr int64_t width = WIDTH<T>;
  over_heads(s, [=](int64_t image, int64_t head) {
    const int64_t row = s.row(), n = s.pixels, d = s.size;
    Scratch scratch(4 * (2 * d * n + 2 * BLOCK * n + 2 * BLOCK * d + 96));
    T *keys = scratch.take<T>(d * n / width), *queries = scratch.take<T>(BLOCK * d / width);
    float *weights = scratch.take(BLOCK * n), *mixed = scratch.take(BLOCK * d), shares[BLOCK];
    N *narrow = in_place<N>(weights, scratch, BLOCK * n);
    const E *q = from + image * n * row + head * d, *k = q + s.channels(), *v = k + s.channels();
    columns_of(k, row, n, d, keys);
    const Dense<T> values = summed_rows(v, row, n, d, scratch.take<T>(d * n / width));
    for (int64_t first = 0; first < n; first += BLOCK) {
      const int64_t block = std::min(BLOCK, n - first);
      small_product(rows_of(q + first * row, row, block, d, queries), keys, n, weights, n, block, d / width, n, false);
      for (int64_t i = 0; i < block; i++) shares[i] = weigh<E>(weights + i * n, n, s.scale(), narrow + i * n);
      small_product(Strided<T>{reinterpret_cast<const T *>(narrow), n / width, 1}, values.at, values.row, mixed, d, block, n / width, d, false);
      put(mixed, block, d, to + (image * n + first) * s.channels() + head * d, s.channels(), shares);
    }
  });
}

/** With P the weights and dP = dy·vᵀ: dv = Pᵀ·dy, dS = P∘(dP − Σ_j P∘dP)/√d, dq = dS·k, dk = dSᵀ·q. */
template <typename E>
void attend_gradient(const Shape &s, const E *from, const E *gradient, E *to) {
  using T = Factor<E>;
  using N = Number<T>;
  constexpr int64_t width = WIDTH<T>;
  over_heads(s, [=](int64_t image, int64_t head) {
    const int64_t row = s.row(), n = s.pixels, d = s.size, c = s.channels();
    Scratch scratch(4 * (5 * d * n + 4 * BLOCK * n + 3 * BLOCK * d + 176));
    T *keys = scratch.take<T>(d * n / width), *values = scratch.take<T>(d * n / width), *room = scratch.take<T>(BLOCK * d / width);
    float *weights = scratch.take(BLOCK * n), *slopes = scratch.take(BLOCK * n), *dq = scratch.take(BLOCK * d);
    float *dk = scratch.take(d * n), *dv = scratch.take(d * n);
    T *narrow = scratch.take<T>(BLOCK * n / width);
    N *sloped = in_place<N>(slopes, scratch, BLOCK * n);
    float shares[BLOCK];
    const int64_t start = image * n * row + head * d;
    const E *q = from + start, *k = q + c, *v = k + c, *g = gradient + image * n * c + head * d;
    E *result = to + start;
    columns_of(k, row, n, d, keys);
    columns_of(v, row, n, d, values);
    const Dense<T> summed_keys = summed_rows(k, row, n, d, scratch.take<T>(d * n / width));
    for (int64_t first = 0; first < n; first += BLOCK) {
      const int64_t block = std::min(BLOCK, n - first);
      const E *queries = q + first * row, *dy = g + first * c;
      small_product(rows_of(queries, row, block, d, room), keys, n, weights, n, block, d / width, n, false);
      for (int64_t i = 0; i < block; i++) shares[i] = weigh<E>(weights + i * n, n, s.scale(), weights + i * n);
      small_product(rows_of(dy, c, block, d, room), values, n, slopes, n, block, d / width, n, false);
      for (int64_t i = 0; i < block; i++) slope(weights + i * n, slopes + i * n, n, shares[i], s.scale(), sloped + i * n);
      Dense<T> rows = summed_rows(dy, c, block, d, room);
      small_product(transposed(weights, block, n, narrow), rows.at, rows.row, dv, d, n, block / width, d, first > 0);
      small_product(Strided<T>{reinterpret_cast<const T *>(sloped), n / width, 1}, summed_keys.at, summed_keys.row, dq, d, block, n / width, d, false);
      put(dq, block, d, result + first * row, row);
      rows = summed_rows(queries, row, block, d, room);
      small_product(transposed(slopes, block, n, narrow), rows.at, rows.row, dk, d, n, block / width, d, first > 0);
    }
    put(dk, n, d, result + c, row);
    put(dv, n, d, result + 2 * c, row);
  });
}

KERNEL(Attention) {
  const Tensor qkv = in.held().contiguous();
  const Shape s = shape_of(qkv, in.integer());
  if (composed(qkv, s)) {
    const auto [q, k, v] = parts(qkv, s);
    const Tensor weights = at::softmax(at::matmul(q * s.scale(), k.transpose(-1, -2)), -1);
    return out.tensor(at::matmul(weights, v).transpose(1, 2).reshape({s.batch, s.pixels, s.channels()}));
  }
  const Tensor y = at::empty({s.batch, s.pixels, s.channels()}, qkv.options());
  by_type(qkv, [&](auto type) {
    using E = decltype(type);
    attend(s, values<E>(qkv), room<E>(y));
  });
  out.tensor(y);
}

KERNEL(AttentionGrad) {
  const Tensor qkv = in.held().contiguous(), dy = in.held().to(qkv.scalar_type()).contiguous();
  const Shape s = shape_of(qkv, in.integer());
  TORCH_CHECK(dy.numel() == s.batch * s.pixels * s.channels(), "dy has shape ", dy.sizes(), ", expected [", s.batch, ", ",
              s.pixels, ", ", s.channels(), "]");
  if (composed(qkv, s)) {
    const auto [q, k, v] = parts(qkv, s);
    const Tensor weights = at::softmax(at::matmul(q * s.scale(), k.transpose(-1, -2)), -1);
    const Tensor g = dy.reshape({s.batch, s.pixels, s.heads, s.size}).transpose(1, 2);
    const Tensor dv = at::matmul(weights.transpose(-1, -2), g);
    const Tensor dweights = at::matmul(g, v.transpose(-1, -2));
    const Tensor dscores = weights * (dweights - (weights * dweights).sum(-1, true)) * s.scale();
    const Tensor all = at::stack({at::matmul(dscores, k), at::matmul(dscores.transpose(-1, -2), q), dv});
    return out.tensor(all.permute({1, 3, 0, 2, 4}).reshape(qkv.sizes()));
  }
  const Tensor dqkv = at::empty_like(qkv);
  by_type(qkv, [&](auto type) {
    using E = decltype(type);
    attend_gradient(s, values<E>(qkv), values<E>(dy), room<E>(dqkv));
  });
  out.tensor(dqkv);
}

}  // namespace
}  // namespace cm
