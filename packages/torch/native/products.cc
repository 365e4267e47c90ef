// Matrix products and convolutions. Images are NHWC and filters HWIO, dense; ATen gets permuted views of them, which have the
// channels-last strides that oneDNN and cuDNN are fastest in.
#include "amx_convolution.h"
#include "call.h"
#include "gemm.h"
#include "loops.h"
#include "winograd.h"

namespace cm {
namespace {

/** tfjs's fused activations, by their place in this list. */
enum class Activation : int64_t { linear, relu, relu6, elu, prelu, leakyrelu, sigmoid };

Tensor activated(const Tensor &x, Activation activation, const Tensor &prelu_weights, double slope) {
  switch (activation) {
    case Activation::linear: return x;
    case Activation::relu: return at::relu(x);
    case Activation::relu6: return at::clamp(x, 0, 6);
    case Activation::elu: return at::elu(x);
    case Activation::prelu: return at::where(x < 0, prelu_weights * x, x);
    case Activation::leakyrelu: return at::leaky_relu(x, slope);
    case Activation::sigmoid: return at::sigmoid(x);
  }
  TORCH_CHECK(false, "unknown activation");
}

/** Bias, activation, its weights and slope: what follows a fused product's other arguments. */
Tensor finished(Arguments &in, Tensor y) {
  const Tensor bias = in.optional();
  const auto activation = static_cast<Activation>(in.integer());
  const Tensor prelu_weights = in.optional();
  const double slope = in.number();
  if (bias.defined()) y = y + bias;
  return activated(y, activation, prelu_weights, slope);
}

/** op(a) · op(b) where products of our own serve: of matrices, or of many and one, which is not given again for each; else undefined. */
Tensor own_product(const Tensor &a, const Tensor &b, bool transpose_a, bool transpose_b) {
  const int64_t depth = a.size(transpose_a ? -2 : -1), columns = b.size(transpose_b ? -2 : -1);
  if (depth == 0 || a.dim() < b.dim() || b.numel() != depth * columns || (transpose_a && a.numel() != depth * a.size(-1))) return {};
  const int64_t rows = a.numel() / depth;
  if (!gemm_fits(a, transpose_a, b, rows, depth, columns)) return {};
  auto shape = a.sizes().vec();
  shape.end()[-2] = a.size(transpose_a ? -1 : -2), shape.back() = columns;
  const Tensor matrix = b.reshape({b.size(-2), b.size(-1)}).contiguous();
  const Tensor seen = (transpose_a ? a.reshape({depth, rows}) : a.reshape({rows, depth})).contiguous();
  if (transpose_a && !transpose_b && gemm_over_rows_fits(seen, matrix)) return gemm_over_rows(seen, matrix).view(shape);
  return gemm(seen, transpose_a, matrix, transpose_b, at::kFloat).view(shape);
}

/** op(a) · op(b) over the last two axes; those before broadcast. */
Tensor product(Arguments &in) {
  const Tensor &left = in.held(), &right = in.held();
  const bool transpose_a = in.flag(), transpose_b = in.flag();
  if (const Tensor y = own_product(left, right, transpose_a, transpose_b); y.defined()) return y;
  Tensor a = narrowed(left), b = narrowed(right);
  const bool whole = at::isIntegralType(a.scalar_type(), true) && at::isIntegralType(b.scalar_type(), true);
  // Whole numbers: float64 has every product and sum of theirs that int32 can hold.
  if (whole) a = a.to(at::kDouble), b = b.to(at::kDouble);
  else if (a.scalar_type() != b.scalar_type()) a = a.to(at::kFloat), b = b.to(at::kFloat);
  if (transpose_a) a = a.transpose(-1, -2);
  if (transpose_b) b = b.transpose(-1, -2);
  const Tensor y = at::matmul(a, b);
  return whole ? y.to(at::kInt) : result(y);
}

KERNEL(BatchMatMul) { out.tensor(product(in)); }
KERNEL(_FusedMatMul) {
  const Tensor y = product(in);
  out.tensor(finished(in, y));
}

/** A window that moves over n spatial axes: stride, dilation and padding before and after. */
struct Window {
  std::vector<int64_t> stride, dilation, before, after;
  /** Padding that ATen takes, the same on both sides; `explicit_padding` has been laid around the input where there is any. */
  std::vector<int64_t> padding;
  /** As constant_pad_nd takes it for NHWC; empty where `padding` serves. */
  std::vector<int64_t> explicit_padding;
};

Window window_of(Arguments &in) {
  Window w;
  w.stride = in.integers();
  w.dilation = in.integers();
  w.before = in.integers();
  w.after = in.integers();
  return w;
}

/** Chooses between symmetric padding and padding of our own, for an input whose spatial sizes and window are given. */
void plan(Window &w, at::IntArrayRef sizes, at::IntArrayRef window, bool at_most_half = false) {
  const auto axes = w.stride.size();
  bool symmetric = true;
  for (size_t i = 0; i < axes; i++) {
    const auto reach = (window[i] - 1) * w.dilation[i] + 1;
    const auto asked = (sizes[i] + w.before[i] + w.after[i] - reach) / w.stride[i];
    const auto given = (sizes[i] + 2 * w.before[i] - reach) / w.stride[i];
    symmetric = symmetric && asked == given && (!at_most_half || 2 * w.before[i] <= window[i]);
  }
  if (symmetric) {
    w.padding = w.before;
    return;
  }
  w.padding.assign(axes, 0);
  w.explicit_padding = {0, 0};
  for (size_t i = axes; i-- > 0;) {
    w.explicit_padding.push_back(w.before[i]);
    w.explicit_padding.push_back(w.after[i]);
  }
}

Tensor padded(const Window &w, const Tensor &x, double value = 0) {
  return w.explicit_padding.empty() ? x : at::constant_pad_nd(x, w.explicit_padding, value);
}

/** Takes away from a gradient what `padded` laid around its input. */
Tensor unpadded(const Window &w, const Tensor &dx, at::IntArrayRef sizes) {
  if (w.explicit_padding.empty()) return dx;
  std::vector<int64_t> back;
  for (const auto n : w.explicit_padding) back.push_back(-n);
  TORCH_INTERNAL_ASSERT(sizes.size() == static_cast<size_t>(dx.dim()));
  return at::constant_pad_nd(dx, back, 0);
}

/** [batch, …, channels] as a view [batch, channels, …], and back. */
Tensor channels_second(const Tensor &x) { return x.movedim(-1, 1); }
Tensor channels_last(const Tensor &x) { return x.movedim(1, -1).contiguous(); }

std::vector<int64_t> spatial(at::IntArrayRef nhwc) { return {nhwc.begin() + 1, nhwc.end() - 1}; }

/** HWIO as OIHW; of a depthwise filter [h, w, in, multiplier] as [in·multiplier, 1, h, w]. */
Tensor filter_view(const Tensor &filter, bool depthwise) {
  const auto axes = filter.dim() - 2;
  if (depthwise) {
    const auto h = filter.size(0), w = filter.size(1);
    return filter.permute({2, 3, 0, 1}).reshape({-1, 1, h, w});
  }
  std::vector<int64_t> order{axes + 1, axes};
  for (int64_t i = 0; i < axes; i++) order.push_back(i);
  return filter.permute(order);
}

Tensor filter_gradient(const Tensor &dw, at::IntArrayRef shape, bool depthwise) {
  if (depthwise) return dw.reshape({shape[2], shape[3], shape[0], shape[1]}).permute({2, 3, 0, 1}).contiguous();
  const auto axes = static_cast<int64_t>(shape.size()) - 2;
  std::vector<int64_t> order;
  for (int64_t i = 0; i < axes; i++) order.push_back(i + 2);
  order.push_back(1);
  order.push_back(0);
  return dw.permute(order).contiguous();
}

/** Whether it is one of those convolutions that this package has ways of its own for: 3 × 3, stride 1, padded by 1 all around. */
bool is_three_by_three(const Window &w, at::IntArrayRef filter, bool depthwise) {
  if (depthwise || w.stride.size() != 2) return false;
  for (size_t i = 0; i < 2; i++)
    if (filter[i] != 3 || w.stride[i] != 1 || w.dilation[i] != 1 || w.before[i] != 1 || w.after[i] != 1) return false;
  return true;
}

/** Whether it is a product of every pixel with a matrix: a window of one pixel that moves by one. */
bool is_pointwise(const Window &w, at::IntArrayRef filter, bool depthwise) {
  if (depthwise) return false;
  for (size_t i = 0; i < w.stride.size(); i++)
    if (filter[i] != 1 || w.stride[i] != 1 || w.before[i] != 0 || w.after[i] != 0) return false;
  return true;
}

/** [pixels, channels] of an image. */
Tensor pixels_of(const Tensor &x) { return x.contiguous().view({-1, x.size(-1)}); }

/** Images x, each pixel multiplied by a matrix or its transpose, as [batch, …, outputs]; undefined where products of our own do not serve. */
Tensor pointwise(const Tensor &x, const Tensor &filter, bool transpose, int64_t outputs) {
  if (x.numel() == 0 || !gemm_fits(x, false, filter, x.numel() / x.size(-1), x.size(-1), outputs)) return {};
  auto shape = x.sizes().vec();
  shape.back() = outputs;
  return gemm(pixels_of(x), false, pixels_of(filter), transpose, image_type(x)).view(shape);
}

Tensor convolution(Arguments &in) {
  const Tensor held = in.held(), whole = in.held();
  const bool depthwise = in.flag();
  Window w = window_of(in);
  if (is_pointwise(w, whole.sizes(), depthwise))
    if (const Tensor y = pointwise(held, whole, false, whole.size(-1)); y.defined()) return y;
  if (is_three_by_three(w, whole.sizes(), depthwise)) {
    if (const Tensor y = amx_convolution(held, whole); y.defined()) return y;
    if (winograd_fits(held, whole.size(-1), TILES_FOR_FILTER)) return winograd(held.contiguous(), whole);
  }
  const Tensor x = narrowed(held), filter = narrowed(whole);
  plan(w, spatial(x.sizes()), filter.sizes());
  const std::vector<int64_t> none(w.stride.size(), 0);
  const Tensor y = at::convolution(channels_second(padded(w, x)), filter_view(filter, depthwise), {}, w.stride, w.padding,
                                   w.dilation, false, none, depthwise ? x.size(-1) : 1);
  return channels_last(y).to(image_type(held));
}

// Images stay in bfloat16 between kernels where that precision is chosen; gradients of filters are float32.
KERNEL(Convolution) { out.tensor(convolution(in)); }
KERNEL(FusedConvolution) {
  const Tensor y = convolution(in);
  out.tensor(finished(in, y));
}

KERNEL(ConvolutionInputGradient) {
  Tensor dy = in.held();
  const Tensor whole = in.held();
  const auto shape = in.integers();
  const bool depthwise = in.flag();
  Window w = window_of(in);
  // A transposed convolution may be given more than the input's shape has outputs for: tfjs reads the first ones.
  for (size_t i = 0; i < w.stride.size(); i++) {
    const auto reach = (whole.size(i) - 1) * w.dilation[i] + 1;
    dy = dy.narrow(i + 1, 0, std::min(dy.size(i + 1), (shape[i + 1] + w.before[i] + w.after[i] - reach) / w.stride[i] + 1));
  }
  dy = dy.contiguous();
  if (is_pointwise(w, whole.sizes(), depthwise))
    if (const Tensor dx = pointwise(dy, whole, true, shape.back()); dx.defined()) return out.tensor(dx);
  if (is_three_by_three(w, whole.sizes(), depthwise) && dy.size(1) == shape[1] && dy.size(2) == shape[2]) {
    if (const Tensor dx = amx_input_gradient(dy, whole); dx.defined()) return out.tensor(dx);
    // The same convolution with the filter turned by half a turn, inputs and outputs exchanged.
    if (winograd_fits(dy, shape.back(), TILES_FOR_FILTER)) return out.tensor(winograd(dy, whole.flip({0, 1}).transpose(2, 3).contiguous()));
  }
  const auto type = image_type(dy);
  dy = narrowed(dy);
  const Tensor filter = narrowed(whole);
  plan(w, spatial(shape), filter.sizes());
  // ATen wants an input of the right shape and strides; its values do not matter.
  auto padded_shape = shape;
  for (size_t i = 0; i < w.before.size() && !w.explicit_padding.empty(); i++) padded_shape[i + 1] += w.before[i] + w.after[i];
  const Tensor like = at::empty(padded_shape, dy.options());
  const std::vector<int64_t> none(w.stride.size(), 0);
  const auto gradients =
      at::convolution_backward(channels_second(dy), channels_second(like), filter_view(filter, depthwise), c10::nullopt,
                               w.stride, w.padding, w.dilation, false, none, depthwise ? shape.back() : 1,
                               {true, false, false});
  out.tensor(unpadded(w, channels_last(std::get<0>(gradients)), shape).contiguous().to(type));
}

KERNEL(ConvolutionFilterGradient) {
  const Tensor images = in.held(), gradient = in.held();
  const auto shape = in.integers();
  const bool depthwise = in.flag();
  Window w = window_of(in);
  if (is_pointwise(w, shape, depthwise) && images.numel() > 0) {
    const Tensor a = pixels_of(images), b = pixels_of(gradient);
    if (gemm_over_rows_fits(a, b)) return out.tensor(gemm_over_rows(a, b).view(shape));
  }
  if (is_three_by_three(w, shape, depthwise)) {
    if (const Tensor dw = amx_filter_gradient(images, gradient); dw.defined()) return out.tensor(dw);
    if (winograd_fits(images, shape.back(), TILES_FOR_FILTER_GRADIENT) && is_typed(gradient))
      return out.tensor(winograd_filter_gradient(images.contiguous(), gradient.contiguous()));
  }
  const Tensor x = narrowed(images), dy = narrowed(gradient);
  plan(w, spatial(x.sizes()), shape);
  // The filter's values do not matter, its layout does: it is the gradient's.
  const Tensor filter = filter_view(at::empty(shape, x.options()), depthwise).contiguous();
  const std::vector<int64_t> none(w.stride.size(), 0);
  const auto gradients =
      at::convolution_backward(channels_second(dy), channels_second(padded(w, x)), filter, c10::nullopt, w.stride, w.padding, w.dilation, false, none, depthwise ? x.size(-1) : 1,
                               {false, true, false});
  out.tensor(filter_gradient(result(std::get<1>(gradients)), shape, depthwise));
}

/** Number of pixels of the input under each window. */
Tensor counts(const Window &w, const Tensor &x, at::IntArrayRef size) {
  auto shape = x.sizes().vec();
  shape.front() = shape.back() = 1;
  const Tensor ones = channels_second(padded(w, at::ones(shape, x.options())));
  const Tensor sums = size.size() == 2 ? at::avg_pool2d(ones, size, w.stride, w.padding, false, true, 1)
                                       : at::avg_pool3d(ones, size, w.stride, w.padding, false, true, 1);
  return channels_last(sums);
}

/** Sums of windows are averages with a divisor of 1; means are sums over the number of pixels that a window covers. */
KERNEL(AveragePool) {
  const Tensor x = in.tensor().to(at::kFloat);
  const auto size = in.integers();
  Window w = window_of(in);
  plan(w, spatial(x.sizes()), size, true);
  const Tensor view = channels_second(padded(w, x));
  const Tensor sums = size.size() == 2 ? at::avg_pool2d(view, size, w.stride, w.padding, false, true, 1)
                                       : at::avg_pool3d(view, size, w.stride, w.padding, false, true, 1);
  // A window that covers padding alone has the mean 0.
  out.tensor(channels_last(sums) / counts(w, x, size).clamp_min(1));
}

KERNEL(AveragePoolGradient) {
  const Tensor dy = in.tensor(), x = in.tensor();
  const auto size = in.integers();
  Window w = window_of(in);
  plan(w, spatial(x.sizes()), size, true);
  // tfjs's own gradient gives every pixel its share of a whole window, also at the border.
  double whole = 1;
  for (const auto n : size) whole *= static_cast<double>(n);
  const Tensor view = channels_second(padded(w, x)), shares = channels_second(dy / whole);
  const Tensor dx = size.size() == 2
                        ? at::avg_pool2d_backward(shares, view, size, w.stride, w.padding, false, true, 1)
                        : at::avg_pool3d_backward(shares, view, size, w.stride, w.padding, false, true, 1);
  out.tensor(unpadded(w, channels_last(dx), x.sizes()).contiguous());
}

constexpr double LOWEST = -std::numeric_limits<double>::infinity();

struct Pooled {
  Window window;
  Tensor view, values, places;
};

Pooled max_pool(const Tensor &x, at::IntArrayRef size, Window w) {
  plan(w, spatial(x.sizes()), size, true);
  // A NaN is passed over, as by tfjs's own backends.
  const Tensor numbers = at::where(at::isnan(x), at::full({}, LOWEST, x.options()), x);
  const Tensor view = channels_second(padded(w, numbers, LOWEST));
  auto [values, places] = size.size() == 2 ? at::max_pool2d_with_indices(view, size, w.stride, w.padding, w.dilation)
                                           : at::max_pool3d_with_indices(view, size, w.stride, w.padding, w.dilation);
  return {w, view, values, places};
}

KERNEL(MaxPooling) {
  const Tensor x = in.tensor().to(at::kFloat);
  const auto size = in.integers();
  out.tensor(channels_last(max_pool(x, size, window_of(in)).values));
}

KERNEL(MaxPoolGradient) {
  const Tensor dy = in.tensor(), x = in.tensor();
  const auto size = in.integers();
  const Pooled p = max_pool(x, size, window_of(in));
  const Window &w = p.window;
  const Tensor view = channels_second(dy);
  const Tensor dx =
      size.size() == 2
          ? at::max_pool2d_with_indices_backward(view, p.view, size, w.stride, w.padding, w.dilation, false, p.places)
          : at::max_pool3d_with_indices_backward(view, p.view, size, w.stride, w.padding, w.dilation, false, p.places);
  out.tensor(unpadded(w, channels_last(dx), x.sizes()).contiguous());
}

}  // namespace
}  // namespace cm
