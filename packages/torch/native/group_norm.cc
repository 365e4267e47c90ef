// Group normalisation, with SiLU after it or without: on the CPU three passes over an image, which is in cache after the first; elsewhere a
// composition of ATen's.
#include <cmath>

#include "call.h"
#include "loops.h"

namespace cm {
namespace {

/** y = f(gain·(x − μ)·r + bias) with r = 1/√(σ² + ε), μ and σ² over a group's pixels and channels, f SiLU or nothing. */
struct Norm {
  Tensor x, gain, bias;  // gain and bias [batch, channels], or [1, channels]
  int64_t batch, pixels, channels, groups;
  float epsilon;
  bool silu;
  int64_t per_group() const { return channels / groups; }
  const float *of_image(const Tensor &rows, int64_t image) const {
    return values<float>(rows) + (rows.size(0) == 1 ? 0 : image * channels);
  }
};

Norm norm_of(Arguments &in) {
  Norm n;
  n.x = dense(in.held());
  n.gain = dense(in.tensor()), n.bias = dense(in.tensor());
  n.groups = in.integer(), n.epsilon = static_cast<float>(in.number()), n.silu = in.flag();
  n.batch = n.x.size(0), n.channels = n.x.size(-1);
  n.pixels = n.x.numel() / std::max<int64_t>(1, n.batch * n.channels);
  TORCH_CHECK(n.groups > 0 && n.channels % n.groups == 0, "groups is ", n.groups, ", expected a divisor of ", n.channels,
              " channels");
  for (Tensor *rows : {&n.gain, &n.bias}) {
    TORCH_CHECK(rows->size(-1) == n.channels && (rows->dim() == 1 || rows->size(0) == n.batch), "gain or bias has shape ",
                rows->sizes(), ", expected [", n.channels, "] or [", n.batch, ", ", n.channels, "]");
    *rows = rows->reshape({-1, n.channels});
  }
  return n;
}

/** Mean and r of an image's groups, each repeated for the group's channels. Sums are taken about the first pixel, so that they do not cancel. */
template <typename E>
void moments(const Norm &n, const E *x, float *mean, float *r) {
  const int64_t channels = n.channels, size = n.per_group();
  std::vector<float> sum(channels, 0), square(channels, 0), origin(channels);
  for (int64_t g = 0; g < channels; g += size)
    for (int64_t c = g; c < g + size; c++) origin[c] = x[g];
  float *s = sum.data(), *q = square.data();
  const float *o = origin.data();
  for (int64_t p = 0; p < n.pixels; p++) {
    const E *pixel = x + p * channels;
    over_numbers(channels, [=](auto at) {
      const auto d = at(pixel) - at(o);
      at.put(s, at(s) + d);
      at.put(q, at(q) + d * d);
    });
  }
  for (int64_t g = 0; g < channels; g += size) {
    double total = 0, squares = 0;
    for (int64_t c = g; c < g + size; c++) total += s[c], squares += q[c];
    const double count = static_cast<double>(n.pixels * size), m = total / count;
    const double variance = std::max(0.0, squares / count - m * m);
    for (int64_t c = g; c < g + size; c++) {
      mean[c] = static_cast<float>(o[g] + m);
      r[c] = static_cast<float>(1 / std::sqrt(variance + n.epsilon));
    }
  }
}

/** As precisely as E holds it. */
template <typename E, typename X>
inline X sigmoid(X x) { return reciprocal_for<E>(1.0f + exponential_for<E>(-x)); }

/** x as [batch, groups, …] and the like, for ATen's kernels. */
struct Composed {
  Tensor normalised, gain, bias, r;
};
Composed composed(const Norm &n) {
  const Tensor x = n.x.to(at::kFloat).reshape({n.batch, n.pixels, n.groups, n.per_group()});
  const Tensor mean = x.mean({1, 3}, true), centred = x - mean;
  const Tensor r = at::rsqrt(at::square(centred).mean({1, 3}, true) + n.epsilon);
  const auto rows = [&](const Tensor &t) { return t.view({-1, 1, n.groups, n.per_group()}); };
  return {centred * r, rows(n.gain), rows(n.bias), r};
}

KERNEL(GroupNorm) {
  const Norm n = norm_of(in);
  if (!own_loops(n.x)) {
    const Composed c = composed(n);
    const Tensor y = c.normalised * c.gain + c.bias;
    return out.tensor((n.silu ? at::silu(y) : y).reshape(n.x.sizes()).to(n.x.scalar_type()));
  }
  const Tensor y = like(n.x);
  by_type(n.x, [&](auto type) {
    using E = decltype(type);
    at::parallel_for(0, n.batch, 1, [&](int64_t first, int64_t end) {
      std::vector<float> mean(n.channels), r(n.channels);
      for (int64_t image = first; image < end; image++) {
        const E *x = values<E>(n.x) + image * n.pixels * n.channels;
        E *to = room<E>(y) + image * n.pixels * n.channels;
        const float *gain = n.of_image(n.gain, image), *bias = n.of_image(n.bias, image);
        moments(n, x, mean.data(), r.data());
        // As y = factor·x + shift.
        for (int64_t c = 0; c < n.channels; c++) r[c] *= gain[c], mean[c] = bias[c] - mean[c] * r[c];
        const float *factor = r.data(), *shift = mean.data();
        const int64_t channels = n.channels;
        for (int64_t p = 0; p < n.pixels; p++) {
          const E *a = x + p * channels;
          E *b = to + p * channels;
          const auto shifted = [=](auto at) { return at(factor) * at(a) + at(shift); };
          if (n.silu)
            fill_row(b, channels, [=](auto at) {
              const auto z = shifted(at);
              return z * sigmoid<E>(z);
            });
          else fill_row(b, channels, shifted);
        }
      }
    });
  });
  out.tensor(y);
}

/**
 * With n = (x − μ)·r, g = dy·f′(gain·n + bias) and m the mean over a group: dbias = Σ g and dgain = Σ g·n over an image's pixels, each
 * [batch, channels], and dx = r·(gain·g − m(gain·g) − n·m(gain·g·n)).
 */
KERNEL(GroupNormGrad) {
  const Norm n = norm_of(in);
  const Tensor dy = dense(in.held().to(n.x.scalar_type()));
  same_shape(n.x, dy);
  if (!own_loops(n.x)) {
    const Composed c = composed(n);
    Tensor g = dy.to(at::kFloat).reshape(c.normalised.sizes());
    if (n.silu) g = at::silu_backward(g, c.normalised * c.gain + c.bias);
    const Tensor slope = g * c.gain;
    const auto mean = [](const Tensor &x) { return x.mean({1, 3}, true); };
    const Tensor dx = c.r * (slope - mean(slope) - c.normalised * mean(slope * c.normalised));
    out.tensor(dx.reshape(n.x.sizes()).to(n.x.scalar_type()));
    out.tensor((g * c.normalised).sum(1).reshape({n.batch, n.channels}));
    return out.tensor(g.sum(1).reshape({n.batch, n.channels}));
  }
  const Tensor dx = like(n.x), dgain = at::zeros({n.batch, n.channels}, n.gain.options()), dbias = at::zeros_like(dgain);
  // Whether there is an activation is known where loops are compiled.
  const auto run = [&](auto type, auto silu) {
    using E = decltype(type);
    at::parallel_for(0, n.batch, 1, [&](int64_t first, int64_t end) {
      const int64_t channels = n.channels, size = n.per_group();
      std::vector<float> mean(channels), r(channels), along(channels), constant(channels);
      for (int64_t image = first; image < end; image++) {
        const int64_t start = image * n.pixels * channels;
        const E *x = values<E>(n.x) + start, *gradient = values<E>(dy) + start;
        E *to = room<E>(dx) + start;
        const float *gain = n.of_image(n.gain, image), *bias = n.of_image(n.bias, image);
        float *to_gain = room<float>(dgain) + image * channels, *to_bias = room<float>(dbias) + image * channels;
        moments(n, x, mean.data(), r.data());
        const float *m = mean.data(), *s = r.data();
        const auto slope = [=](auto at, const E *dy, auto normalised) {
          if constexpr (!decltype(silu)::value) return at(dy);
          const auto z = at(gain) * normalised + at(bias), share = sigmoid<E>(z);
          return at(dy) * share * (1.0f + z * (1.0f - share));
        };
        for (int64_t p = 0; p < n.pixels; p++) {
          const E *a = x + p * channels, *d = gradient + p * channels;
          over_numbers(channels, [=](auto at) {
            const auto normalised = (at(a) - at(m)) * at(s), g = slope(at, d, normalised);
            at.put(to_bias, at(to_bias) + g);
            at.put(to_gain, at(to_gain) + g * normalised);
          });
        }
        for (int64_t group = 0; group < channels; group += size) {
          float sum = 0, inner = 0;
          for (int64_t c = group; c < group + size; c++) sum += gain[c] * to_bias[c], inner += gain[c] * to_gain[c];
          const float share = 1.0f / static_cast<float>(n.pixels * size);
          for (int64_t c = group; c < group + size; c++) constant[c] = sum * share, along[c] = inner * share;
        }
        const float *k = constant.data(), *l = along.data();
        for (int64_t p = 0; p < n.pixels; p++) {
          const E *a = x + p * channels, *d = gradient + p * channels;
          fill_row(to + p * channels, channels, [=](auto at) {
            const auto normalised = (at(a) - at(m)) * at(s);
            return at(s) * (at(gain) * slope(at, d, normalised) - at(k) - normalised * at(l));
          });
        }
      }
    });
  };
  by_type(n.x, [&](auto type) { n.silu ? run(type, std::true_type{}) : run(type, std::false_type{}); });
  out.tensor(dx);
  out.tensor(dgain);
  out.tensor(dbias);
}

}  // namespace
}  // namespace cm
