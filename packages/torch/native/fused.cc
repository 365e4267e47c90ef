// Fused kernels that the @cm packages call by name: on the CPU one pass over memory each, on libtorch's threads; elsewhere compositions
// of ATen's. Their meaning is that of the packages' own compositions of tfjs operations, against which they are tested.
#include <ATen/Parallel.h>

#include <cmath>

#include "call.h"
#include "simd.h"

namespace cm {
namespace {

/** Numbers that a thread takes at a time. */
constexpr int64_t GRAIN = 16384;
constexpr float SILU_MAGNITUDE = 0.596f;

Tensor dense(const Tensor &x) {
  TORCH_CHECK(x.scalar_type() == at::kFloat, "expected float32, got ", at::toString(x.scalar_type()));
  return x.contiguous();
}

void same_shape(const Tensor &a, const Tensor &b) {
  TORCH_CHECK(a.sizes() == b.sizes(), "shapes ", a.sizes(), " and ", b.sizes(), " differ");
}

Tensor like(const Tensor &x) { return at::empty(x.sizes(), x.options()); }

/** f(from, to) over ranges of rows, each of `size` numbers. */
template <typename F>
void over_rows(int64_t rows, int64_t size, F f) {
  at::parallel_for(0, rows, std::max<int64_t>(1, GRAIN / std::max<int64_t>(1, size)), f);
}

/** y[i] = f(i) for all numbers of y. */
template <typename F>
void fill(const Tensor &y, F f) {
  float *to = y.data_ptr<float>();
  at::parallel_for(0, y.numel(), GRAIN, [&](int64_t from, int64_t end) {
#pragma omp simd
    for (int64_t i = from; i < end; i++) to[i] = f(i);
  });
}

/** silu(x)/0.596 */
inline float mp_silu(float x) { return x * (1.0f / SILU_MAGNITUDE) / (1.0f + exponential(-x)); }

/** Its derivative: s·(1 + x·(1 − s))/0.596, s = sigmoid(x). */
inline float mp_silu_slope(float x) {
  const float e = exponential(-x);
  const float s = 1.0f / (1.0f + e);
  return s * (1.0f + x * (e * s)) * (1.0f / SILU_MAGNITUDE);
}

KERNEL(MpSilu) {
  const Tensor x = dense(in.tensor());
  if (!x.is_cpu()) return out.tensor(at::silu(x) / SILU_MAGNITUDE);
  const Tensor y = like(x);
  const float *from = x.data_ptr<float>();
  fill(y, [=](int64_t i) { return mp_silu(from[i]); });
  out.tensor(y);
}

KERNEL(MpSiluGrad) {
  const Tensor x = dense(in.tensor()), dy = dense(in.tensor());
  same_shape(x, dy);
  if (!x.is_cpu()) return out.tensor(at::silu_backward(dy, x) / SILU_MAGNITUDE);
  const Tensor dx = like(x);
  const float *at = x.data_ptr<float>(), *g = dy.data_ptr<float>();
  fill(dx, [=](int64_t i) { return g[i] * mp_silu_slope(at[i]); });
  out.tensor(dx);
}

/** scale [batch, channels] as it broadcasts over x [batch, …, channels]. */
Tensor over_pixels(const Tensor &scale, const Tensor &x) {
  TORCH_CHECK(scale.dim() == 2 && scale.size(0) == x.size(0) && scale.size(1) == x.size(-1), "scale has shape ", scale.sizes(), ", expected [", x.size(0), ", ", x.size(-1), "]");
  std::vector<int64_t> shape(x.dim(), 1);
  shape.front() = x.size(0), shape.back() = x.size(-1);
  return scale.view(shape);
}

KERNEL(ModulatedMpSilu) {
  const Tensor x = dense(in.tensor()), scale = dense(in.tensor());
  const Tensor wide = over_pixels(scale, x);
  if (!x.is_cpu()) return out.tensor(at::silu(x * wide) / SILU_MAGNITUDE);
  const Tensor y = like(x);
  const int64_t channels = x.size(-1), rows = x.numel() / channels, pixels = rows / x.size(0);
  const float *from = x.data_ptr<float>(), *by = scale.data_ptr<float>();
  float *to = y.data_ptr<float>();
  over_rows(rows, channels, [=](int64_t first, int64_t end) {
    for (int64_t row = first; row < end; row++) {
      const float *a = from + row * channels, *s = by + row / pixels * channels;
      float *b = to + row * channels;
#pragma omp simd
      for (int64_t c = 0; c < channels; c++) b[c] = mp_silu(a[c] * s[c]);
    }
  });
  out.tensor(y);
}

/** With g = dy·mp_silu'(x·scale): dx = g·scale and dscale = Σ g·x over an image's pixels. */
KERNEL(ModulatedMpSiluGrad) {
  const Tensor x = dense(in.tensor()), scale = dense(in.tensor()), dy = dense(in.tensor());
  same_shape(x, dy);
  const Tensor wide = over_pixels(scale, x);
  if (!x.is_cpu()) {
    const Tensor g = at::silu_backward(dy, x * wide) / SILU_MAGNITUDE;
    out.tensor(g * wide);
    return out.tensor((g * x).reshape({x.size(0), -1, x.size(-1)}).sum(1));
  }
  const int64_t channels = x.size(-1), rows = x.numel() / channels, pixels = rows / x.size(0);
  // Images are split into parts, each with sums of its own, so that a small batch keeps every thread at work.
  const int64_t parts = std::max<int64_t>(1, std::min<int64_t>(pixels, 8));
  const Tensor dx = like(x), sums = at::zeros({x.size(0), parts, channels}, x.options());
  const float *from = x.data_ptr<float>(), *by = scale.data_ptr<float>(), *g = dy.data_ptr<float>();
  float *to = dx.data_ptr<float>(), *total = sums.data_ptr<float>();
  at::parallel_for(0, x.size(0) * parts, 1, [=](int64_t first, int64_t end) {
    for (int64_t part = first; part < end; part++) {
      const int64_t image = part / parts, index = part % parts;
      const float *s = by + image * channels;
      float *sum = total + part * channels;
      for (int64_t pixel = pixels * index / parts; pixel < pixels * (index + 1) / parts; pixel++) {
        const int64_t at = (image * pixels + pixel) * channels;
#pragma omp simd
        for (int64_t c = 0; c < channels; c++) {
          const float slope = g[at + c] * mp_silu_slope(from[at + c] * s[c]);
          to[at + c] = slope * s[c];
          sum[c] += slope * from[at + c];
        }
      }
    }
  });
  out.tensor(dx);
  out.tensor(sums.sum(1));
}

/** scale·x/(ε + |x|/√n) over the last axis, of n numbers. */
Tensor normalised(const Tensor &x, float epsilon, float scale) {
  const int64_t n = x.size(-1), rows = n > 0 ? x.numel() / n : 0;
  const float root = 1.0f / std::sqrt(static_cast<float>(n));
  if (!x.is_cpu()) return x * (scale / (at::linalg_vector_norm(x, 2, -1, true) * root + epsilon));
  const Tensor y = like(x);
  const float *from = x.data_ptr<float>();
  float *to = y.data_ptr<float>();
  over_rows(rows, n, [=](int64_t first, int64_t end) {
    for (int64_t row = first; row < end; row++) {
      const float *a = from + row * n;
      float *b = to + row * n;
      float squared = 0;
#pragma omp simd reduction(+ : squared)
      for (int64_t c = 0; c < n; c++) squared += a[c] * a[c];
      const float factor = scale / (epsilon + std::sqrt(squared) * root);
#pragma omp simd
      for (int64_t c = 0; c < n; c++) b[c] = a[c] * factor;
    }
  });
  return y;
}

struct NormGradient {
  Tensor dx;
  /** Σ x·dy/m: the derivative by `scale`. */
  Tensor dscale;
};

/** With m = ε + |x|/√n: dx = scale·(dy/m − x·(x·dy)/(m²·|x|·√n)), the second term 0 at x = 0. */
NormGradient normalised_gradient(const Tensor &x, const Tensor &dy, float epsilon, float scale) {
  same_shape(x, dy);
  const int64_t n = x.size(-1), rows = n > 0 ? x.numel() / n : 0;
  const float root = 1.0f / std::sqrt(static_cast<float>(n));
  if (!x.is_cpu()) {
    const Tensor norm = at::linalg_vector_norm(x, 2, -1, true), m = norm * root + epsilon;
    const Tensor inner = (x * dy).sum(-1, true) / m;
    return {scale * (dy - x * (inner * root / norm.clamp_min(1e-30))) / m, inner.sum()};
  }
  const Tensor dx = like(x), inner = at::empty({rows}, x.options());
  const float *from = x.data_ptr<float>(), *g = dy.data_ptr<float>();
  float *to = dx.data_ptr<float>(), *kept = inner.data_ptr<float>();
  over_rows(rows, n, [=](int64_t first, int64_t end) {
    for (int64_t row = first; row < end; row++) {
      const float *a = from + row * n, *d = g + row * n;
      float *b = to + row * n;
      float squared = 0, dot = 0;
#pragma omp simd reduction(+ : squared, dot)
      for (int64_t c = 0; c < n; c++) squared += a[c] * a[c], dot += a[c] * d[c];
      const float norm = std::sqrt(squared), m = epsilon + norm * root;
      kept[row] = dot / m;
      const float straight = scale / m, along = norm > 0 ? scale * dot * root / (m * m * norm) : 0;
#pragma omp simd
      for (int64_t c = 0; c < n; c++) b[c] = d[c] * straight - a[c] * along;
    }
  });
  return {dx, inner.sum()};
}

KERNEL(PixelNorm) {
  const Tensor x = dense(in.tensor());
  out.tensor(normalised(x, static_cast<float>(in.number()), 1));
}

KERNEL(PixelNormGrad) {
  const Tensor x = dense(in.tensor()), dy = dense(in.tensor());
  out.tensor(normalised_gradient(x, dy, static_cast<float>(in.number()), 1).dx);
}

/** Outputs along the first axis, or along the last, when the weights are seen transposed. */
KERNEL(UnitMagnitude) {
  const Tensor w = dense(in.tensor());
  const bool last = in.flag();
  const auto epsilon = static_cast<float>(in.number()), scale = static_cast<float>(in.number());
  if (!last) return out.tensor(normalised(w.reshape({w.size(0), -1}), epsilon, scale).view(w.sizes()));
  const Tensor matrix = w.reshape({-1, w.size(-1)});
  const double root = 1 / std::sqrt(static_cast<double>(matrix.size(0)));
  out.tensor((matrix * (scale / (at::linalg_vector_norm(matrix, 2, 0, true) * root + epsilon))).view(w.sizes()));
}

KERNEL(UnitMagnitudeGrad) {
  const Tensor w = dense(in.tensor()), dy = dense(in.tensor());
  same_shape(w, dy);
  const bool last = in.flag();
  const auto epsilon = static_cast<float>(in.number()), scale = static_cast<float>(in.number());
  if (!last) {
    const NormGradient g =
        normalised_gradient(w.reshape({w.size(0), -1}), dy.reshape({w.size(0), -1}), epsilon, scale);
    out.tensor(g.dx.view(w.sizes()));
    return out.tensor(g.dscale);
  }
  const Tensor a = w.reshape({-1, w.size(-1)}), d = dy.reshape({-1, w.size(-1)});
  const double root = 1 / std::sqrt(static_cast<double>(a.size(0)));
  const Tensor norm = at::linalg_vector_norm(a, 2, 0, true), m = norm * root + epsilon;
  const Tensor inner = (a * d).sum(0, true) / m;
  out.tensor(at::addcmul(d * (scale / m), a, inner * (root * scale) / (norm.clamp_min(1e-30) * m), -1).view(w.sizes()));
  out.tensor(inner.sum());
}

/** α·a + β·b, within [−clip, clip]. */
Tensor combined(const Tensor &a, const Tensor &b, float alpha, float beta, float clip) {
  same_shape(a, b);
  if (!a.is_cpu()) {
    const Tensor y = at::add(a * alpha, b, beta);
    return std::isfinite(clip) ? at::clamp(y, -clip, clip) : y;
  }
  const Tensor y = like(a);
  const float *p = a.data_ptr<float>(), *q = b.data_ptr<float>();
  fill(y, [=](int64_t i) {
    const float v = alpha * p[i] + beta * q[i];
    return v > clip ? clip : v < -clip ? -clip : v;
  });
  return y;
}

struct Shares {
  float a, b;
};
/** Factors of the magnitude-preserving sum. */
Shares sum_shares(double t) {
  const double length = std::hypot(1 - t, t);
  return {static_cast<float>((1 - t) / length), static_cast<float>(t / length)};
}

KERNEL(MpSum) {
  const Tensor a = dense(in.tensor()), b = dense(in.tensor());
  const Shares share = sum_shares(in.number());
  out.tensor(combined(a, b, share.a, share.b, static_cast<float>(in.number())));
}

KERNEL(MpSumGrad) {
  const Tensor y = dense(in.tensor()), dy = dense(in.tensor());
  same_shape(y, dy);
  const Shares share = sum_shares(in.number());
  const auto clip = static_cast<float>(in.number());
  if (!y.is_cpu()) {
    const Tensor g = at::where(at::abs(y) < clip, dy, at::zeros_like(dy));
    out.tensor(g * share.a);
    return out.tensor(g * share.b);
  }
  const Tensor da = like(y), db = like(y);
  const float *value = y.data_ptr<float>(), *g = dy.data_ptr<float>();
  float *p = da.data_ptr<float>(), *q = db.data_ptr<float>();
  at::parallel_for(0, y.numel(), GRAIN, [=](int64_t from, int64_t end) {
#pragma omp simd
    for (int64_t i = from; i < end; i++) {
      const float kept = std::fabs(value[i]) < clip ? g[i] : 0.0f;
      p[i] = share.a * kept;
      q[i] = share.b * kept;
    }
  });
  out.tensor(da);
  out.tensor(db);
}

KERNEL(LinearCombination) {
  const Tensor a = dense(in.tensor()), b = dense(in.tensor());
  const auto alpha = static_cast<float>(in.number()), beta = static_cast<float>(in.number());
  out.tensor(combined(a, b, alpha, beta, std::numeric_limits<float>::infinity()));
}

KERNEL(Scale) {
  const Tensor x = dense(in.tensor());
  out.tensor(x * in.number());
}

/** Factors of the magnitude-preserving concatenation. */
Shares cat_shares(int64_t channels_a, int64_t channels_b, double t) {
  const double c = std::sqrt(static_cast<double>(channels_a + channels_b) / ((1 - t) * (1 - t) + t * t));
  return {static_cast<float>(c / std::sqrt(static_cast<double>(channels_a)) * (1 - t)),
          static_cast<float>(c / std::sqrt(static_cast<double>(channels_b)) * t)};
}

KERNEL(MpCat) {
  const Tensor a = dense(in.tensor()), b = dense(in.tensor());
  const int64_t na = a.size(-1), nb = b.size(-1), rows = a.numel() / na;
  TORCH_CHECK(b.numel() / nb == rows, "shapes ", a.sizes(), " and ", b.sizes(), " differ before their channels");
  const Shares share = cat_shares(na, nb, in.number());
  if (!a.is_cpu()) return out.tensor(at::cat({a * share.a, b * share.b}, -1));
  auto shape = a.sizes().vec();
  shape.back() = na + nb;
  const Tensor y = at::empty(shape, a.options());
  const float *p = a.data_ptr<float>(), *q = b.data_ptr<float>();
  float *to = y.data_ptr<float>();
  over_rows(rows, na + nb, [=](int64_t first, int64_t end) {
    for (int64_t row = first; row < end; row++) {
      float *left = to + row * (na + nb), *right = left + na;
#pragma omp simd
      for (int64_t c = 0; c < na; c++) left[c] = share.a * p[row * na + c];
#pragma omp simd
      for (int64_t c = 0; c < nb; c++) right[c] = share.b * q[row * nb + c];
    }
  });
  out.tensor(y);
}

KERNEL(MpCatGrad) {
  const Tensor dy = dense(in.tensor());
  const double t = in.number();
  const int64_t na = in.integer(), nb = dy.size(-1) - na, rows = dy.numel() / dy.size(-1);
  TORCH_CHECK(nb > 0, "channelsA is ", na, ", expected less than dy's ", dy.size(-1), " channels");
  const Shares share = cat_shares(na, nb, t);
  if (!dy.is_cpu()) {
    out.tensor(dy.narrow(-1, 0, na) * share.a);
    return out.tensor(dy.narrow(-1, na, nb) * share.b);
  }
  auto shape = dy.sizes().vec();
  shape.back() = na;
  const Tensor da = at::empty(shape, dy.options());
  shape.back() = nb;
  const Tensor db = at::empty(shape, dy.options());
  const float *from = dy.data_ptr<float>();
  float *p = da.data_ptr<float>(), *q = db.data_ptr<float>();
  over_rows(rows, na + nb, [=](int64_t first, int64_t end) {
    for (int64_t row = first; row < end; row++) {
      const float *left = from + row * (na + nb), *right = left + na;
#pragma omp simd
      for (int64_t c = 0; c < na; c++) p[row * na + c] = share.a * left[c];
#pragma omp simd
      for (int64_t c = 0; c < nb; c++) q[row * nb + c] = share.b * right[c];
    }
  });
  out.tensor(da);
  out.tensor(db);
}

/** factor · mean over 2 × 2 blocks */
KERNEL(Downsample2x) {
  const Tensor x = dense(in.tensor());
  const auto factor = static_cast<float>(in.number());
  const int64_t batch = x.size(0), height = x.size(1), width = x.size(2), channels = x.size(3);
  TORCH_CHECK(height % 2 == 0 && width % 2 == 0, "x has shape ", x.sizes(), ", expected even height and width");
  const Tensor y = at::empty({batch, height / 2, width / 2, channels}, x.options());
  if (!x.is_cpu()) return out.tensor(at::avg_pool2d(x.permute({0, 3, 1, 2}), {2, 2}).permute({0, 2, 3, 1}).contiguous() * factor);
  const float *from = x.data_ptr<float>();
  float *to = y.data_ptr<float>();
  const float quarter = factor / 4;
  over_rows(batch * height / 2, width * channels, [=](int64_t first, int64_t end) {
    for (int64_t row = first; row < end; row++)
      for (int64_t column = 0; column < width / 2; column++) {
        const float *a = from + (2 * row * width + 2 * column) * channels, *b = a + width * channels;
        float *mean = to + (row * (width / 2) + column) * channels;
#pragma omp simd
        for (int64_t c = 0; c < channels; c++) mean[c] = quarter * ((a[c] + a[c + channels]) + (b[c] + b[c + channels]));
      }
  });
  out.tensor(y);
}

/** factor · each value repeated over a 2 × 2 block */
KERNEL(Upsample2x) {
  const Tensor x = dense(in.tensor());
  const auto factor = static_cast<float>(in.number());
  const int64_t batch = x.size(0), height = x.size(1), width = x.size(2), channels = x.size(3);
  if (!x.is_cpu()) return out.tensor((x * factor).repeat_interleave(2, 1).repeat_interleave(2, 2));
  const Tensor y = at::empty({batch, 2 * height, 2 * width, channels}, x.options());
  const float *from = x.data_ptr<float>();
  float *to = y.data_ptr<float>();
  over_rows(batch * height, 4 * width * channels, [=](int64_t first, int64_t end) {
    for (int64_t row = first; row < end; row++)
      for (int64_t column = 0; column < width; column++) {
        const float *value = from + (row * width + column) * channels;
        float *a = to + (4 * row * width + 2 * column) * channels, *b = a + 2 * width * channels;
#pragma omp simd
        for (int64_t c = 0; c < channels; c++)
          a[c] = a[c + channels] = b[c] = b[c + channels] = factor * value[c];
      }
  });
  out.tensor(y);
}

}  // namespace
}  // namespace cm
