// Fused kernels that the @cm packages call by name: on the CPU one pass over memory each, on libtorch's threads; elsewhere compositions
// of ATen's. Their meaning is that of the packages' own compositions of tfjs operations, against which they are tested.
#include <cmath>

#include "call.h"
#include "loops.h"

namespace cm {
namespace {

constexpr float SILU_MAGNITUDE = 0.596f;

/** silu(x)/0.596, as precisely as E holds it. */
template <typename E, typename X>
inline X mp_silu(X x) { return x * (1.0f / SILU_MAGNITUDE) * reciprocal_for<E>(1.0f + exponential_for<E>(-x)); }

/** Its derivative: s·(1 + x·(1 − s))/0.596, s = sigmoid(x). */
template <typename E, typename X>
inline X mp_silu_slope(X x) {
  const X e = at_most(exponential_for<E>(-x), 1e30f), s = reciprocal_for<E>(1.0f + e);
  return s * (1.0f + x * (e * s)) * (1.0f / SILU_MAGNITUDE);
}

KERNEL(MpSilu) {
  const Tensor x = dense(in.held());
  if (!own_loops(x)) return out.tensor(at::silu(x) / SILU_MAGNITUDE);
  const Tensor y = like(x);
  by_type(x, [&](auto type) {
    using E = decltype(type);
    const E *from = values<E>(x);
    fill(room<E>(y), x.numel(), [=](auto at) { return mp_silu<E>(at(from)); });
  });
  out.tensor(y);
}

KERNEL(MpSiluGrad) {
  const Tensor &held = in.held();
  const auto [x, dy] = pair(held, in.held());
  same_shape(x, dy);
  if (!own_loops(x)) return out.tensor(at::silu_backward(dy, x) / SILU_MAGNITUDE);
  const Tensor dx = like(x);
  const Tensor &of = x, &gradient = dy;
  by_type(x, [&](auto type) {
    using E = decltype(type);
    const E *from = values<E>(of), *g = values<E>(gradient);
    fill(room<E>(dx), dx.numel(), [=](auto at) { return at(g) * mp_silu_slope<E>(at(from)); });
  });
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
  const Tensor x = dense(in.held()), scale = dense(in.tensor());
  const Tensor wide = over_pixels(scale, x);
  if (!own_loops(x)) return out.tensor(at::silu(x * wide.to(x.scalar_type())) / SILU_MAGNITUDE);
  const Tensor y = like(x);
  const int64_t channels = x.size(-1), rows = x.numel() / channels, pixels = rows / x.size(0);
  const float *by = values<float>(scale);
  by_type(x, [&](auto type) {
    using E = decltype(type);
    const E *from = values<E>(x);
    E *to = room<E>(y);
    over_rows(rows, channels, [=](int64_t first, int64_t end) {
      for (int64_t row = first; row < end; row++) {
        const E *a = from + row * channels;
        const float *s = by + row / pixels * channels;
        fill_row(to + row * channels, channels, [=](auto at) { return mp_silu<E>(at(a) * at(s)); });
      }
    });
  });
  out.tensor(y);
}

/** With g = dy·mp_silu'(x·scale): dx = g·scale and dscale = Σ g·x over an image's pixels. */
KERNEL(ModulatedMpSiluGrad) {
  const Tensor &held = in.held();
  const Tensor scale = dense(in.tensor());
  const auto [x, dy] = pair(held, in.held());
  same_shape(x, dy);
  const Tensor wide = over_pixels(scale, x);
  if (!own_loops(x)) {
    const Tensor by = wide.to(x.scalar_type()), g = at::silu_backward(dy, x * by) / SILU_MAGNITUDE;
    out.tensor(g * by);
    return out.tensor((g * x).reshape({x.size(0), -1, x.size(-1)}).sum(1, false, at::kFloat));
  }
  const int64_t channels = x.size(-1), rows = x.numel() / channels, pixels = rows / x.size(0);
  // Images are split into parts, each with sums of its own, so that a small batch keeps every thread at work.
  const int64_t parts = std::max<int64_t>(1, std::min<int64_t>(pixels, 8));
  const Tensor dx = like(x), sums = at::zeros({x.size(0), parts, channels}, scale.options());
  const float *by = values<float>(scale);
  float *total = room<float>(sums);
  const Tensor &of = x, &gradient = dy;
  by_type(x, [&](auto type) {
    using E = decltype(type);
    const E *from = values<E>(of), *g = values<E>(gradient);
    E *to = room<E>(dx);
    at::parallel_for(0, of.size(0) * parts, 1, [=](int64_t first, int64_t end) {
      for (int64_t part = first; part < end; part++) {
        const int64_t image = part / parts, index = part % parts;
        const float *s = by + image * channels;
        float *sum = total + part * channels;
        for (int64_t pixel = pixels * index / parts; pixel < pixels * (index + 1) / parts; pixel++) {
          const int64_t start = (image * pixels + pixel) * channels;
          const E *a = from + start, *d = g + start;
          fill_row(to + start, channels, [=](auto at) {
            const auto x = at(a), by = at(s), slope = at(d) * mp_silu_slope<E>(x * by);
            at.put(sum, at(sum) + slope * x);
            return slope * by;
          });
        }
      }
    });
  });
  out.tensor(dx);
  out.tensor(sums.sum(1));
}

/** scale·x/(ε + |x|/√n) over the last axis, of n numbers. */
Tensor normalised(const Tensor &x, float epsilon, float scale) {
  const int64_t n = x.size(-1), rows = n > 0 ? x.numel() / n : 0;
  const float root = 1.0f / std::sqrt(static_cast<float>(n));
  if (!own_loops(x)) return x * (scale / (at::linalg_vector_norm(x, 2, -1, true) * root + epsilon));
  const Tensor y = like(x);
  by_type(x, [&](auto type) {
    using E = decltype(type);
    const E *from = values<E>(x);
    E *to = room<E>(y);
    over_rows(rows, n, [=](int64_t first, int64_t end) {
      for (int64_t row = first; row < end; row++) {
        const E *a = from + row * n;
        E *b = to + row * n;
        const float factor = scale / (epsilon + std::sqrt(inner(a, a, n)) * root);
        fill_row(b, n, [=](auto at) { return at(a) * factor; });
      }
    });
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
  if (!own_loops(x)) {
    const Tensor norm = at::linalg_vector_norm(x, 2, -1, true), m = norm * root + epsilon;
    const Tensor inner = (x * dy).sum(-1, true) / m;
    return {scale * (dy - x * (inner * root / norm.clamp_min(1e-30))) / m, inner.sum()};
  }
  const Tensor dx = like(x), inners = at::empty({rows}, x.options().dtype(at::kFloat));
  float *kept = room<float>(inners);
  by_type(x, [&](auto type) {
    using E = decltype(type);
    const E *from = values<E>(x), *g = values<E>(dy);
    E *to = room<E>(dx);
    over_rows(rows, n, [=](int64_t first, int64_t end) {
      for (int64_t row = first; row < end; row++) {
        const E *a = from + row * n, *d = g + row * n;
        E *b = to + row * n;
        const float norm = std::sqrt(inner(a, a, n)), dot = inner(a, d, n), m = epsilon + norm * root;
        kept[row] = dot / m;
        const float straight = scale / m, along = norm > 0 ? scale * dot * root / (m * m * norm) : 0;
        fill_row(b, n, [=](auto at) { return at(d) * straight - at(a) * along; });
      }
    });
  });
  return {dx, inners.sum()};
}

KERNEL(PixelNorm) {
  const Tensor x = dense(in.held());
  out.tensor(normalised(x, static_cast<float>(in.number()), 1));
}

KERNEL(PixelNormGrad) {
  const Tensor &held = in.held();
  const auto [x, dy] = pair(held, in.held());
  out.tensor(normalised_gradient(x, dy, static_cast<float>(in.number()), 1).dx);
}

/** add(row, sums) over all rows, sums being N numbers of each column: in parts, one a thread, whose sums are added in order. */
template <int N, typename Add>
std::vector<float> column_sums(int64_t rows, int64_t columns, Add add) {
  const int64_t parts = std::max<int64_t>(1, std::min<int64_t>(at::get_num_threads(), rows * columns / GRAIN));
  std::vector<float> sums(parts * N * columns, 0.0f);
  at::parallel_for(0, parts, 1, [&](int64_t first, int64_t end) {
    for (int64_t part = first; part < end; part++)
      for (int64_t row = rows * part / parts; row < rows * (part + 1) / parts; row++) add(row, sums.data() + part * N * columns);
  });
  for (int64_t i = N * columns; i < static_cast<int64_t>(sums.size()); i++) sums[i % (N * columns)] += sums[i];
  return sums;
}

/** `normalised` over the columns of w [n, columns]. */
Tensor normalised_columns(const Tensor &w, float epsilon, float scale) {
  const int64_t n = w.size(0), columns = w.size(1);
  const float root = 1.0f / std::sqrt(static_cast<float>(n));
  if (!own_loops(w)) return w * (scale / (at::linalg_vector_norm(w, 2, 0, true) * root + epsilon));
  const Tensor y = like(w);
  const float *from = values<float>(w);
  float *to = room<float>(y);
  auto factors = column_sums<1>(n, columns, [=](int64_t row, float *squared) {
    const float *a = from + row * columns;
#pragma omp simd
    for (int64_t c = 0; c < columns; c++) squared[c] += a[c] * a[c];
  });
  for (int64_t c = 0; c < columns; c++) factors[c] = scale / (epsilon + std::sqrt(factors[c]) * root);
  const float *factor = factors.data();
  over_rows(n, columns, [=](int64_t first, int64_t end) {
    for (int64_t row = first; row < end; row++) {
      const float *a = from + row * columns;
      float *b = to + row * columns;
#pragma omp simd
      for (int64_t c = 0; c < columns; c++) b[c] = a[c] * factor[c];
    }
  });
  return y;
}

/** `normalised_gradient` over the columns of w [n, columns]. */
NormGradient normalised_columns_gradient(const Tensor &w, const Tensor &dy, float epsilon, float scale) {
  same_shape(w, dy);
  const int64_t n = w.size(0), columns = w.size(1);
  const float root = 1.0f / std::sqrt(static_cast<float>(n));
  if (!own_loops(w)) {
    const Tensor norm = at::linalg_vector_norm(w, 2, 0, true), m = norm * root + epsilon;
    const Tensor inner = (w * dy).sum(0, true) / m;
    return {scale * (dy - w * (inner * root / norm.clamp_min(1e-30))) / m, inner.sum()};
  }
  const Tensor dx = like(w);
  const float *from = values<float>(w), *gradient = values<float>(dy);
  float *to = room<float>(dx);
  auto sums = column_sums<2>(n, columns, [=](int64_t row, float *squared) {
    const float *a = from + row * columns, *d = gradient + row * columns;
    float *dot = squared + columns;
#pragma omp simd
    for (int64_t c = 0; c < columns; c++) squared[c] += a[c] * a[c], dot[c] += a[c] * d[c];
  });
  float *straight = sums.data(), *along = straight + columns;
  double dscale = 0;
  for (int64_t c = 0; c < columns; c++) {
    const float norm = std::sqrt(straight[c]), dot = along[c], m = epsilon + norm * root;
    dscale += dot / m;
    straight[c] = scale / m;
    along[c] = norm > 0 ? scale * dot * root / (m * m * norm) : 0;
  }
  over_rows(n, columns, [=](int64_t first, int64_t end) {
    for (int64_t row = first; row < end; row++) {
      const float *a = from + row * columns, *d = gradient + row * columns;
      float *b = to + row * columns;
#pragma omp simd
      for (int64_t c = 0; c < columns; c++) b[c] = d[c] * straight[c] - a[c] * along[c];
    }
  });
  return {dx, at::full({}, dscale, at::dtype(at::kFloat))};
}

KERNEL(UnitMagnitude) {
  const Tensor w = dense(in.tensor());
  const bool last = in.flag();
  const auto epsilon = static_cast<float>(in.number()), scale = static_cast<float>(in.number());
  const Tensor y = last ? normalised_columns(w.reshape({-1, w.size(-1)}), epsilon, scale)
                        : normalised(w.reshape({w.size(0), -1}), epsilon, scale);
  out.tensor(y.view(w.sizes()));
}

KERNEL(UnitMagnitudeGrad) {
  const Tensor w = dense(in.tensor()), dy = dense(in.tensor());
  same_shape(w, dy);
  const bool last = in.flag();
  const auto epsilon = static_cast<float>(in.number()), scale = static_cast<float>(in.number());
  const std::vector<int64_t> shape = last ? std::vector<int64_t>{-1, w.size(-1)} : std::vector<int64_t>{w.size(0), -1};
  const Tensor a = w.reshape(shape), d = dy.reshape(shape);
  const NormGradient g = last ? normalised_columns_gradient(a, d, epsilon, scale) : normalised_gradient(a, d, epsilon, scale);
  out.tensor(g.dx.view(w.sizes()));
  out.tensor(g.dscale);
}

/** α·a + β·b, within [−clip, clip]. */
Tensor combined(const Tensor &a, const Tensor &b, float alpha, float beta, float clip) {
  same_shape(a, b);
  if (!own_loops(a)) {
    const Tensor y = at::add(a * alpha, b, beta);
    return std::isfinite(clip) ? at::clamp(y, -clip, clip) : y;
  }
  const Tensor y = like(a);
  by_type(a, [&](auto type) {
    using E = decltype(type);
    const E *p = values<E>(a), *q = values<E>(b);
    fill(room<E>(y), a.numel(), [=](auto at) { return at_most(at_least(alpha * at(p) + beta * at(q), -clip), clip); });
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
  const Tensor &held = in.held();
  const auto [a, b] = pair(held, in.held());
  const Shares share = sum_shares(in.number());
  out.tensor(combined(a, b, share.a, share.b, static_cast<float>(in.number())));
}

KERNEL(MpSumGrad) {
  const Tensor &held = in.held();
  const auto [y, dy] = pair(held, in.held());
  same_shape(y, dy);
  const Shares share = sum_shares(in.number());
  const auto clip = static_cast<float>(in.number());
  if (!own_loops(y)) {
    const Tensor g = at::where(at::abs(y) < clip, dy, at::zeros_like(dy));
    out.tensor(g * share.a);
    return out.tensor(g * share.b);
  }
  const Tensor da = like(y), db = like(y);
  const Tensor &sum = y, &gradient = dy;
  by_type(y, [&](auto type) {
    using E = decltype(type);
    const E *value = values<E>(sum), *g = values<E>(gradient);
    E *p = room<E>(da), *q = room<E>(db);
    at::parallel_for(0, sum.numel(), GRAIN, [&](int64_t from, int64_t end) {
      // In small pieces, so that what is read a second time is in cache.
      for (int64_t at = from; at < end; at += 1024) {
        const E *v = value + at, *slope = g + at;
        const auto kept = [=, limit = clip](float by) {
          return [=](auto at) {
            const auto x = at(v);
            return (x < limit) & (x > -limit) ? by * at(slope) : decltype(by * x){};
          };
        };
        const int64_t count = std::min<int64_t>(1024, end - at);
        fill_row(p + at, count, kept(share.a));
        fill_row(q + at, count, kept(share.b));
      }
    });
  });
  out.tensor(da);
  out.tensor(db);
}

KERNEL(LinearCombination) {
  const Tensor &held = in.held();
  const auto [a, b] = pair(held, in.held());
  const auto alpha = static_cast<float>(in.number()), beta = static_cast<float>(in.number());
  out.tensor(combined(a, b, alpha, beta, std::numeric_limits<float>::infinity()));
}

KERNEL(Scale) {
  const Tensor x = dense(in.held());
  out.tensor(x * in.number());
}

/** Factors of the magnitude-preserving concatenation. */
Shares cat_shares(int64_t channels_a, int64_t channels_b, double t) {
  const double c = std::sqrt(static_cast<double>(channels_a + channels_b) / ((1 - t) * (1 - t) + t * t));
  return {static_cast<float>(c / std::sqrt(static_cast<double>(channels_a)) * (1 - t)),
          static_cast<float>(c / std::sqrt(static_cast<double>(channels_b)) * t)};
}

KERNEL(MpCat) {
  const Tensor &held = in.held();
  const auto [a, b] = pair(held, in.held());
  const int64_t na = a.size(-1), nb = b.size(-1), rows = a.numel() / na;
  TORCH_CHECK(b.numel() / nb == rows, "shapes ", a.sizes(), " and ", b.sizes(), " differ before their channels");
  const Shares share = cat_shares(na, nb, in.number());
  if (!own_loops(a)) return out.tensor(at::cat({a * share.a, b * share.b}, -1));
  auto shape = a.sizes().vec();
  shape.back() = na + nb;
  const Tensor y = at::empty(shape, a.options()), &first_part = a, &second_part = b;
  by_type(a, [&](auto type) {
    using E = decltype(type);
    const E *p = values<E>(first_part), *q = values<E>(second_part);
    E *to = room<E>(y);
    over_rows(rows, na + nb, [=](int64_t first, int64_t end) {
      const float by_a = share.a, by_b = share.b;
      for (int64_t row = first; row < end; row++) {
        E *left = to + row * (na + nb), *right = left + na;
        fill_row(left, na, [=, a = p + row * na](auto at) { return by_a * at(a); });
        fill_row(right, nb, [=, b = q + row * nb](auto at) { return by_b * at(b); });
      }
    });
  });
  out.tensor(y);
}

KERNEL(MpCatGrad) {
  const Tensor dy = dense(in.held());
  const double t = in.number();
  const int64_t na = in.integer(), nb = dy.size(-1) - na, rows = dy.numel() / dy.size(-1);
  TORCH_CHECK(nb > 0, "channelsA is ", na, ", expected less than dy's ", dy.size(-1), " channels");
  const Shares share = cat_shares(na, nb, t);
  if (!own_loops(dy)) {
    out.tensor(dy.narrow(-1, 0, na) * share.a);
    return out.tensor(dy.narrow(-1, na, nb) * share.b);
  }
  auto shape = dy.sizes().vec();
  shape.back() = na;
  const Tensor da = at::empty(shape, dy.options());
  shape.back() = nb;
  const Tensor db = at::empty(shape, dy.options());
  by_type(dy, [&](auto type) {
    using E = decltype(type);
    const E *from = values<E>(dy);
    E *p = room<E>(da), *q = room<E>(db);
    over_rows(rows, na + nb, [=](int64_t first, int64_t end) {
      const float by_a = share.a, by_b = share.b;
      for (int64_t row = first; row < end; row++) {
        const E *left = from + row * (na + nb), *right = left + na;
        fill_row(p + row * na, na, [=](auto at) { return by_a * at(left); });
        fill_row(q + row * nb, nb, [=](auto at) { return by_b * at(right); });
      }
    });
  });
  out.tensor(da);
  out.tensor(db);
}

/** factor · mean over 2 × 2 blocks */
KERNEL(Downsample2x) {
  const Tensor x = dense(in.held());
  const auto factor = static_cast<float>(in.number());
  const int64_t batch = x.size(0), height = x.size(1), width = x.size(2), channels = x.size(3);
  TORCH_CHECK(height % 2 == 0 && width % 2 == 0, "x has shape ", x.sizes(), ", expected even height and width");
  const Tensor y = at::empty({batch, height / 2, width / 2, channels}, x.options());
  if (!own_loops(x)) {
    return out.tensor(at::avg_pool2d(x.permute({0, 3, 1, 2}), {2, 2}).permute({0, 2, 3, 1}).contiguous() * factor);
  }
  by_type(x, [&](auto type) {
    using E = decltype(type);
    const E *from = values<E>(x);
    E *to = room<E>(y);
    over_rows(batch * height / 2, width * channels, [=](int64_t first, int64_t end) {
      const float quarter = factor / 4;
      for (int64_t row = first; row < end; row++)
        for (int64_t column = 0; column < width / 2; column++) {
          const E *a = from + (2 * row * width + 2 * column) * channels, *b = a + width * channels;
          E *mean = to + (row * (width / 2) + column) * channels;
          fill_row(mean, channels, [=](auto at) { return quarter * ((at(a) + at(a + channels)) + (at(b) + at(b + channels))); });
        }
    });
  });
  out.tensor(y);
}

/** factor · each value repeated over a 2 × 2 block */
KERNEL(Upsample2x) {
  const Tensor x = dense(in.held());
  const auto factor = static_cast<float>(in.number());
  const int64_t batch = x.size(0), height = x.size(1), width = x.size(2), channels = x.size(3);
  if (!own_loops(x)) return out.tensor((x * factor).repeat_interleave(2, 1).repeat_interleave(2, 2));
  const Tensor y = at::empty({batch, 2 * height, 2 * width, channels}, x.options());
  by_type(x, [&](auto type) {
    using E = decltype(type);
    const E *from = values<E>(x);
    E *to = room<E>(y);
    over_rows(batch * height, 4 * width * channels, [=](int64_t first, int64_t end) {
      const float by = factor;
      for (int64_t row = first; row < end; row++)
        for (int64_t column = 0; column < width; column++) {
          const E *value = from + (row * width + column) * channels;
          E *a = to + (4 * row * width + 2 * column) * channels, *b = a + 2 * width * channels;
          fill_row(a, channels, [=](auto at) { return by * at(value); });
          for (E *copy : {a + channels, b, b + channels}) std::copy_n(a, channels, copy);
        }
    });
  });
  out.tensor(y);
}

}  // namespace
}  // namespace cm
