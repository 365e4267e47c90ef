// Self-attention, softmax(q·kᵀ/√d)·v for each image and head, of queries, keys and values that lie together as a convolution makes them:
// [batch, pixels, (q, k, v), heads, d]. On the CPU no matrix of pixels × pixels is ever whole in memory: queries go through in blocks, and the
// gradient computes the weights anew. Elsewhere, and in bfloat16, whose matrix products are oneDNN's, it is a composition of ATen's.
#include <ATen/Parallel.h>

#include <cmath>
#include <memory>

#include "call.h"
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

/** Memory of a thread, aligned, its values undefined. */
class Scratch {
 public:
  explicit Scratch(int64_t count) : data_(static_cast<float *>(std::aligned_alloc(64, (count * 4 + 63) / 64 * 64))) {
    TORCH_CHECK(data_ != nullptr, "out of memory: cannot allocate ", count * 4, " bytes");
  }
  float *take(int64_t count) {
    float *at = data_.get() + used_;
    used_ += (count + 15) / 16 * 16;
    return at;
  }

 private:
  struct Free {
    void operator()(float *at) const { std::free(at); }
  };
  std::unique_ptr<float, Free> data_;
  int64_t used_ = 0;
};

/** x [pixels, size] with rows `row` apart, as [size, pixels]. */
void transpose(const float *x, int64_t row, int64_t pixels, int64_t size, float *to) {
  for (int64_t first = 0; first < pixels; first += 16)
    for (int64_t c = 0; c < size; c++)
      for (int64_t p = first; p < std::min(first + 16, pixels); p++) to[c * pixels + p] = x[p * row + c];
}

/** Rows of scores become softmax(scale·scores). */
void softmax(float *scores, int64_t rows, int64_t size, float scale) {
  for (float *row = scores; row < scores + rows * size; row += size) {
    float highest = row[0];
#pragma omp simd reduction(max : highest)
    for (int64_t j = 0; j < size; j++) highest = row[j] > highest ? row[j] : highest;
    float sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t j = 0; j < size; j++) {
      row[j] = exponential(scale * (row[j] - highest));
      sum += row[j];
    }
    const float share = 1 / sum;
#pragma omp simd
    for (int64_t j = 0; j < size; j++) row[j] *= share;
  }
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

bool composed(const Tensor &qkv) { return !qkv.is_cpu() || qkv.scalar_type() == at::kBFloat16; }

KERNEL(Attention) {
  const Tensor qkv = in.held().contiguous();
  const Shape s = shape_of(qkv, in.integer());
  if (composed(qkv)) {
    const auto [q, k, v] = parts(qkv, s);
    const Tensor weights = at::softmax(at::matmul(q * s.scale(), k.transpose(-1, -2)), -1);
    return out.tensor(at::matmul(weights, v).transpose(1, 2).reshape({s.batch, s.pixels, s.channels()}));
  }
  const Tensor y = at::empty({s.batch, s.pixels, s.channels()}, qkv.options());
  const float *from = qkv.data_ptr<float>();
  float *to = y.data_ptr<float>();
  over_heads(s, [&](int64_t image, int64_t head) {
    const int64_t row = s.row(), n = s.pixels, d = s.size;
    Scratch scratch(d * n + BLOCK * n + 32);
    float *keys = scratch.take(d * n), *weights = scratch.take(BLOCK * n);
    const float *q = from + image * n * row + head * d, *k = q + s.channels(), *v = k + s.channels();
    float *mixed = to + image * n * s.channels() + head * d;
    transpose(k, row, n, d, keys);
    for (int64_t first = 0; first < n; first += BLOCK) {
      const int64_t block = std::min(BLOCK, n - first);
      small_product({q + first * row, row, 1}, keys, n, weights, n, block, d, n, false);
      softmax(weights, block, n, s.scale());
      small_product({weights, n, 1}, v, row, mixed + first * s.channels(), s.channels(), block, n, d, false);
    }
  });
  out.tensor(y);
}

/** With P the weights and dP = dy·vᵀ: dv = Pᵀ·dy, dS = P∘(dP − Σ_j P∘dP)/√d, dq = dS·k, dk = dSᵀ·q. */
KERNEL(AttentionGrad) {
  const Tensor qkv = in.held().contiguous(), dy = in.held().to(qkv.scalar_type()).contiguous();
  const Shape s = shape_of(qkv, in.integer());
  TORCH_CHECK(dy.numel() == s.batch * s.pixels * s.channels(), "dy has shape ", dy.sizes(), ", expected [", s.batch, ", ",
              s.pixels, ", ", s.channels(), "]");
  if (composed(qkv)) {
    const auto [q, k, v] = parts(qkv, s);
    const Tensor weights = at::softmax(at::matmul(q * s.scale(), k.transpose(-1, -2)), -1);
    const Tensor g = dy.reshape({s.batch, s.pixels, s.heads, s.size}).transpose(1, 2);
    const Tensor dv = at::matmul(weights.transpose(-1, -2), g);
    const Tensor dweights = at::matmul(g, v.transpose(-1, -2));
    const Tensor dscores = weights * (dweights - (weights * dweights).sum(-1, true)) * s.scale();
    const Tensor all = at::stack({at::matmul(dscores, k), at::matmul(dscores.transpose(-1, -2), q), dv});
    return out.tensor(all.permute({1, 3, 0, 2, 4}).reshape(qkv.sizes()));
  }
  const Tensor dqkv = at::zeros_like(qkv);
  const float *from = qkv.data_ptr<float>(), *gradient = dy.data_ptr<float>();
  float *to = dqkv.data_ptr<float>();
  over_heads(s, [&](int64_t image, int64_t head) {
    const int64_t row = s.row(), n = s.pixels, d = s.size, c = s.channels();
    Scratch scratch(2 * (d * n + BLOCK * n + 32));
    float *keys = scratch.take(d * n), *values = scratch.take(d * n);
    float *weights = scratch.take(BLOCK * n), *slopes = scratch.take(BLOCK * n);
    const int64_t start = image * n * row + head * d;
    const float *q = from + start, *k = q + c, *v = k + c, *g = gradient + image * n * c + head * d;
    float *dq = to + start, *dk = dq + c, *dv = dk + c;
    transpose(k, row, n, d, keys);
    transpose(v, row, n, d, values);
    for (int64_t first = 0; first < n; first += BLOCK) {
      const int64_t block = std::min(BLOCK, n - first);
      small_product({q + first * row, row, 1}, keys, n, weights, n, block, d, n, false);
      softmax(weights, block, n, s.scale());
      small_product({g + first * c, c, 1}, values, n, slopes, n, block, d, n, false);
      small_product({weights, 1, n}, g + first * c, c, dv, row, n, block, d, true);
      for (int64_t i = 0; i < block; i++) {
        const float *p = weights + i * n;
        float *ds = slopes + i * n, inner = 0;
#pragma omp simd reduction(+ : inner)
        for (int64_t j = 0; j < n; j++) inner += p[j] * ds[j];
        const float scale = s.scale();
#pragma omp simd
        for (int64_t j = 0; j < n; j++) ds[j] = scale * p[j] * (ds[j] - inner);
      }
      small_product({slopes, n, 1}, k, row, dq + first * row, row, block, n, d, false);
      small_product({slopes, 1, n}, q + first * row, row, dk, row, n, block, d, true);
    }
  });
  out.tensor(dqkv);
}

}  // namespace
}  // namespace cm
