// Self-attention, softmax(q·kᵀ/√d)·v for each image and head, of queries, keys and values that lie together as a convolution makes them:
// [batch, pixels, (q, k, v), heads, d]. On the CPU no matrix of pixels × pixels is ever whole in memory: queries go through in blocks, and the
// gradient computes the weights anew. In bfloat16 the factors of products are rounded, sums and weights are float32. Elsewhere, and where the
// CPU has no products of bfloat16, it is a composition of ATen's.
#include <ATen/Parallel.h>

#include <cmath>

#include "call.h"
#include "scratch.h"
#include "simd.h"

namespace cm {
namespace {

/** Queries at a time: with 256 pixels and d = 64 all that a block needs stays in the second-level cache. */
constexpr int64_t BLOCK = 48;

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

/** x [rows, size] with rows `step` apart, as [size, rows]. */
template <typename T>
void transpose(const T *x, int64_t step, int64_t rows, int64_t size, T *to) {
  for (int64_t first = 0; first < rows; first += 16)
    for (int64_t c = 0; c < size; c++)
      for (int64_t r = first; r < std::min(first + 16, rows); r++) to[c * rows + r] = x[r * step + c];
}

// The factors of products, of float32 where they lie, of bfloat16 laid out in pairs along the sum. `room` has as many numbers as the matrix.

/** A second factor [rows, size] whose rows are summed over. */
template <typename T>
struct Dense {
  const T *at;
  int64_t row;
};
inline Dense<float> summed_rows(const float *x, int64_t step, int64_t, int64_t, float *) { return {x, step}; }
/** A first factor: the transpose of float32 numbers [rows, size]. */
inline Strided<float> transposed(const float *x, int64_t, int64_t size, float *) { return {x, 1, size}; }
/** Rows of results [rows, size], each times its factor where there are any, to where they belong, `step` apart. */
inline void put(const float *x, int64_t rows, int64_t size, float *to, int64_t step, const float *factors = nullptr) {
  for (int64_t r = 0; r < rows; r++) {
    const float *from = x + r * size, by = factors ? factors[r] : 1.0f;
    float *row = to + r * step;
#pragma omp simd
    for (int64_t c = 0; c < size; c++) row[c] = by * from[c];
  }
}
#ifdef __AVX512BF16__
template <typename E>
void pair_rows(const E *x, int64_t step, int64_t rows, int64_t size, Pair16 *to) {
  for (int64_t r = 0; r < rows; r += 2)
    for (int64_t c = 0; c < size; c += LANES)
      store(to + r / 2 * size + c, paired(load(x + r * step + c), load(x + (r + 1) * step + c)));
}
inline Dense<Pair16> summed_rows(const BFloat16 *x, int64_t step, int64_t rows, int64_t size, Pair16 *room) {
  pair_rows(x, step, rows, size, room);
  return {room, size};
}
inline Strided<Pair16> transposed(const float *x, int64_t rows, int64_t size, Pair16 *room) {
  pair_rows(x, size, rows, size, room);
  return {room, 1, size};
}
inline void put(const float *x, int64_t rows, int64_t size, BFloat16 *to, int64_t step, const float *factors = nullptr) {
  for (int64_t r = 0; r < rows; r++) {
    const float by = factors ? factors[r] : 1.0f;
    for (int64_t c = 0; c < size; c += LANES) store(to + r * step + c, by * load(x + r * size + c));
  }
}
#endif

/** A row's largest number. */
inline float largest(const float *row, int64_t size) {
  float highest = row[0];
#pragma omp simd reduction(max : highest)
  for (int64_t j = 0; j < size; j++) highest = row[j] > highest ? row[j] : highest;
  return highest;
}

// Not inlined: within the loops around them GCC does not vectorise these.

/** A row of scores becomes exp(scale·(score − the largest)) at `to`, in place or, rounded, elsewhere; gives one over their sum. */
template <typename E, typename N>
[[gnu::noinline]] float weigh(float *row, int64_t size, float scale, N *to) {
  const float highest = largest(row, size);
#ifdef __AVX512BF16__
  if constexpr (IN_LANES<E>) {
    Lanes sums{};
    for (int64_t j = 0; j < size; j += LANES) {
      const Lanes weights = rough_exponential(scale * (load(row + j) - highest));
      store(to + j, weights);
      sums += weights;
    }
    return 1 / total(sums);
  }
#endif
  float sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t j = 0; j < size; j++) {
    row[j] = exponential(scale * (row[j] - highest));
    sum += row[j];
  }
  return 1 / sum;
}

/** Weights p, still to be divided by their sum, and their slopes ds become p and scale·p∘(ds − Σ p∘ds), the latter at `to`, too. */
template <typename E>
[[gnu::noinline]] void slope(float *p, float *ds, int64_t size, float share, float scale, E *to) {
#ifdef __AVX512BF16__
  if constexpr (IN_LANES<E>) {
    Lanes sums{};
    for (int64_t j = 0; j < size; j += LANES) sums += load(p + j) * load(ds + j);
    const float inner = share * total(sums);
    for (int64_t j = 0; j < size; j += LANES) {
      const Lanes weight = share * load(p + j), slope = scale * weight * (load(ds + j) - inner);
      store(p + j, weight), store(ds + j, slope), store(to + j, slope);
    }
    return;
  }
#endif
  float inner = 0;
#pragma omp simd reduction(+ : inner)
  for (int64_t j = 0; j < size; j++) inner += p[j] * ds[j];
  inner *= share;
#pragma omp simd
  for (int64_t j = 0; j < size; j++) {
    p[j] *= share;
    ds[j] = scale * p[j] * (ds[j] - inner);
  }
}

/** Where numbers go when they are rounded to E: float32 ones stay in place. */
template <typename E>
E *in_place(float *numbers, Scratch &scratch, int64_t count) {
  if constexpr (std::is_same_v<E, float>) return numbers;
  else return scratch.take<E>(count);
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
  const bool paired = HAS_PAIRS && s.pixels % LANES == 0 && s.size % LANES == 0;
  return qkv.scalar_type() == at::kBFloat16 && !paired;
}

template <typename E>
void attend(const Shape &s, const E *from, E *to) {
  using T = typename Factor<E>::type;
  constexpr int64_t width = Factor<E>::width;
  over_heads(s, [=](int64_t image, int64_t head) {
    const int64_t row = s.row(), n = s.pixels, d = s.size;
    Scratch scratch(4 * (2 * d * n + 2 * BLOCK * n + BLOCK * d + 80));
    T *keys = scratch.take<T>(d * n / width);
    float *weights = scratch.take(BLOCK * n), *mixed = scratch.take(BLOCK * d), shares[BLOCK];
    E *narrow = in_place<E>(weights, scratch, BLOCK * n);
    const E *q = from + image * n * row + head * d, *k = q + s.channels(), *v = k + s.channels();
    transpose(reinterpret_cast<const T *>(k), row / width, n, d / width, keys);
    const Dense<T> values = summed_rows(v, row, n, d, scratch.take<T>(d * n / width));
    for (int64_t first = 0; first < n; first += BLOCK) {
      const int64_t block = std::min(BLOCK, n - first);
      small_product(Strided<T>{reinterpret_cast<const T *>(q + first * row), row / width, 1}, keys, n, weights, n, block, d / width, n, false);
      for (int64_t i = 0; i < block; i++) shares[i] = weigh<E>(weights + i * n, n, s.scale(), narrow + i * n);
      small_product(Strided<T>{reinterpret_cast<const T *>(narrow), n / width, 1}, values.at, values.row, mixed, d, block, n / width, d, false);
      put(mixed, block, d, to + (image * n + first) * s.channels() + head * d, s.channels(), shares);
    }
  });
}

/** With P the weights and dP = dy·vᵀ: dv = Pᵀ·dy, dS = P∘(dP − Σ_j P∘dP)/√d, dq = dS·k, dk = dSᵀ·q. */
template <typename E>
void attend_gradient(const Shape &s, const E *from, const E *gradient, E *to) {
  using T = typename Factor<E>::type;
  constexpr int64_t width = Factor<E>::width;
  over_heads(s, [=](int64_t image, int64_t head) {
    const int64_t row = s.row(), n = s.pixels, d = s.size, c = s.channels();
    Scratch scratch(4 * (5 * d * n + 4 * BLOCK * n + 3 * BLOCK * d + 176));
    T *keys = scratch.take<T>(d * n / width), *values = scratch.take<T>(d * n / width), *room = scratch.take<T>(BLOCK * d / width);
    float *weights = scratch.take(BLOCK * n), *slopes = scratch.take(BLOCK * n), *dq = scratch.take(BLOCK * d);
    float *dk = scratch.take(d * n), *dv = scratch.take(d * n);
    T *narrow = scratch.take<T>(BLOCK * n / width);
    E *sloped = in_place<E>(slopes, scratch, BLOCK * n);
    float shares[BLOCK];
    const int64_t start = image * n * row + head * d;
    const E *q = from + start, *k = q + c, *v = k + c, *g = gradient + image * n * c + head * d;
    E *result = to + start;
    transpose(reinterpret_cast<const T *>(k), row / width, n, d / width, keys);
    transpose(reinterpret_cast<const T *>(v), row / width, n, d / width, values);
    const Dense<T> summed_keys = summed_rows(k, row, n, d, scratch.take<T>(d * n / width));
    for (int64_t first = 0; first < n; first += BLOCK) {
      const int64_t block = std::min(BLOCK, n - first);
      const E *queries = q + first * row, *dy = g + first * c;
      small_product(Strided<T>{reinterpret_cast<const T *>(queries), row / width, 1}, keys, n, weights, n, block, d / width, n, false);
      for (int64_t i = 0; i < block; i++) shares[i] = weigh<E>(weights + i * n, n, s.scale(), weights + i * n);
      small_product(Strided<T>{reinterpret_cast<const T *>(dy), c / width, 1}, values, n, slopes, n, block, d / width, n, false);
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
#ifdef __AVX512BF16__
  if (qkv.scalar_type() == at::kBFloat16) attend(s, values<BFloat16>(qkv), room<BFloat16>(y));
  else
#endif
    attend(s, values<float>(qkv), room<float>(y));
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
#ifdef __AVX512BF16__
  if (qkv.scalar_type() == at::kBFloat16)
    attend_gradient(s, values<BFloat16>(qkv), values<BFloat16>(dy), room<BFloat16>(dqkv));
  else
#endif
    attend_gradient(s, values<float>(qkv), values<float>(dy), room<float>(dqkv));
  out.tensor(dqkv);
}

}  // namespace
}  // namespace cm
