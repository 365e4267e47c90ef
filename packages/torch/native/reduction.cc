// Sums, extremes and what is built on them. Axes are not negative; none means a scalar, which is its own sum.
#include "call.h"

namespace cm {
namespace {

Tensor counted(const Tensor &x) { return x.scalar_type() == at::kBool ? x.to(at::kInt) : x; }

/** A reduction of x over axes, kept or not: `over` gets x and a list of axes that is not empty. */
template <typename F>
void reduce(Arguments &in, Results &out, F over) {
  const Tensor x = counted(in.tensor());
  const auto axes = in.integers();
  const bool keep = in.flag();
  out.tensor(axes.empty() ? x : over(x, axes, keep));
}

KERNEL(Sum) {
  reduce(in, out, [](const Tensor &x, at::IntArrayRef axes, bool keep) { return at::sum(x, axes, keep, x.scalar_type()); });
}
KERNEL(Mean) {
  reduce(in, out, [](const Tensor &x, at::IntArrayRef axes, bool keep) { return at::mean(x.to(at::kFloat), axes, keep); });
}
KERNEL(Max) {
  reduce(in, out, [](const Tensor &x, at::IntArrayRef axes, bool keep) { return at::amax(x, axes, keep); });
}
KERNEL(Min) {
  reduce(in, out, [](const Tensor &x, at::IntArrayRef axes, bool keep) { return at::amin(x, axes, keep); });
}

/** Axes one by one, for what ATen reduces over a single axis. */
template <typename F>
Tensor one_by_one(Tensor x, at::IntArrayRef axes, bool keep, F over) {
  auto shape = x.sizes().vec();
  for (const auto axis : axes) {
    x = over(x, axis);
    shape[axis] = 1;
  }
  if (!keep) {
    std::vector<int64_t> rest;
    for (int64_t i = 0; i < static_cast<int64_t>(shape.size()); i++)
      if (std::find(axes.begin(), axes.end(), i) == axes.end()) rest.push_back(shape[i]);
    shape = rest;
  }
  return x.reshape(shape);
}

KERNEL(Prod) {
  reduce(in, out, [](const Tensor &x, at::IntArrayRef axes, bool keep) {
    return one_by_one(x, axes, keep, [&](const Tensor &y, int64_t axis) { return at::prod(y, axis, true, y.scalar_type()); });
  });
}

#define LOGICAL(name, f)                                                                                              \
  KERNEL(name) {                                                                                                      \
    const Tensor x = in.tensor().to(at::kBool);                                                                       \
    const auto axes = in.integers();                                                                                  \
    const bool keep = in.flag();                                                                                      \
    out.tensor(one_by_one(x, axes, keep, [](const Tensor &y, int64_t axis) { return f(y, axis, true); }));            \
  }
LOGICAL(All, at::all)
LOGICAL(Any, at::any)

constexpr double INFINITE = std::numeric_limits<double>::infinity();

/** Without NaN, which tfjs passes over: `instead` takes its place. */
Tensor comparable(const Tensor &x, double instead) {
  return at::isFloatingType(x.scalar_type()) ? at::where(at::isnan(x), at::full({}, instead, x.options()), x) : counted(x);
}

KERNEL(ArgMax) {
  const Tensor x = comparable(in.tensor(), -INFINITE);
  out.tensor(at::argmax(x, in.integer()));
}
KERNEL(ArgMin) {
  const Tensor x = comparable(in.tensor(), INFINITE);
  out.tensor(at::argmin(x, in.integer()));
}

/** Running sums or products, without the element itself where exclusive, from the end where reverse. */
template <typename F>
void scan(Arguments &in, Results &out, double neutral, F running) {
  Tensor x = counted(in.tensor());
  const auto axis = in.integer();
  const bool exclusive = in.flag(), reverse = in.flag();
  if (x.dim() == 0) return out.tensor(exclusive ? at::full_like(x, neutral) : x);
  if (reverse) x = x.flip({axis});
  Tensor y = running(x, axis);
  if (exclusive && x.size(axis) > 0) {
    y = at::cat({at::full_like(y.narrow(axis, 0, 1), neutral), y.narrow(axis, 0, y.size(axis) - 1)}, axis);
  }
  out.tensor(reverse ? y.flip({axis}) : y);
}

KERNEL(Cumsum) {
  scan(in, out, 0, [](const Tensor &x, int64_t axis) { return at::cumsum(x, axis, x.scalar_type()); });
}
KERNEL(Cumprod) {
  scan(in, out, 1, [](const Tensor &x, int64_t axis) { return at::cumprod(x, axis, x.scalar_type()); });
}

KERNEL(Softmax) {
  const Tensor x = in.tensor().to(at::kFloat);
  out.tensor(at::softmax(x, in.integer()));
}
KERNEL(LogSoftmax) {
  const Tensor x = in.tensor().to(at::kFloat);
  out.tensor(at::log_softmax(x, in.integer()));
}

/** Values and indices of the k greatest of the last axis; of equals, the one that comes first. */
KERNEL(TopK) {
  const Tensor x = counted(in.tensor());
  const auto k = in.integer();
  const auto sorted = at::sort(x, /*stable=*/true, /*dim=*/-1, /*descending=*/true);
  out.tensor(std::get<0>(sorted).narrow(-1, 0, k).contiguous());
  out.tensor(std::get<1>(sorted).narrow(-1, 0, k).contiguous());
}

KERNEL(SearchSorted) {
  const Tensor sorted = in.tensor().contiguous(), values = in.tensor().contiguous();
  out.tensor(at::searchsorted(sorted, values, /*out_int32=*/true, /*right=*/in.flag()));
}

/** x's rows summed by segment; a negative segment is nobody's. */
KERNEL(UnsortedSegmentSum) {
  const Tensor x = counted(in.tensor());
  const Tensor segments = in.tensor().reshape({-1});
  const auto count = in.integer();
  auto shape = x.sizes().vec();
  shape[0] = count + 1;
  // Negative ones go to a row of their own, which is left out.
  const Tensor rows = at::where(segments < 0, at::full_like(segments, count), segments).to(at::kLong);
  out.tensor(at::zeros(shape, x.options()).index_add(0, rows, x).narrow(0, 0, count).contiguous());
}

KERNEL(FFT) { out.tensor(at::fft_fft(in.tensor())); }
KERNEL(IFFT) { out.tensor(at::fft_ifft(in.tensor())); }

}  // namespace
}  // namespace cm
