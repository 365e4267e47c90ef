// Resampling of images [batch, height, width, channels].
#include "call.h"

namespace cm {
namespace {

/** How output places map to input places: TensorFlow's three conventions. */
struct Mapping {
  bool align_corners, half_pixel_centers;
  double scale(int64_t from, int64_t to) const {
    return align_corners && to > 1 ? static_cast<double>(from - 1) / static_cast<double>(to - 1)
                                   : static_cast<double>(from) / static_cast<double>(to);
  }
};

/** For each output place its two neighbours in the input and the second's share. */
struct Taps {
  Tensor low, high, share;
};

Taps taps_of(const Mapping &mapping, int64_t from, int64_t to) {
  std::vector<int64_t> low, high;
  std::vector<float> share;
  const double scale = mapping.scale(from, to);
  for (int64_t i = 0; i < to; i++) {
    const double place = mapping.half_pixel_centers ? (i + 0.5) * scale - 0.5 : i * scale;
    const double floor = std::floor(std::max(0.0, place));
    low.push_back(std::min(from - 1, static_cast<int64_t>(floor)));
    high.push_back(std::min(from - 1, static_cast<int64_t>(std::ceil(std::max(0.0, place)))));
    share.push_back(static_cast<float>(std::max(0.0, place) - floor));
  }
  const auto device = settings().device;
  return {at::tensor(low).to(device), at::tensor(high).to(device), at::tensor(share).to(device)};
}

Tensor along(const Tensor &values, int64_t axis) {
  std::vector<int64_t> shape(4, 1);
  shape[axis] = -1;
  return values.view(shape);
}

Tensor interpolated(const Tensor &x, int64_t axis, const Taps &taps) {
  const Tensor low = x.index_select(axis, taps.low);
  return low + (x.index_select(axis, taps.high) - low) * along(taps.share, axis);
}

/** The transpose of `interpolated`. */
Tensor spread(const Tensor &dy, int64_t axis, const Taps &taps, int64_t size) {
  auto shape = dy.sizes().vec();
  shape[axis] = size;
  const Tensor high = dy * along(taps.share, axis);
  return at::zeros(shape, dy.options()).index_add(axis, taps.low, dy - high).index_add(axis, taps.high, high);
}

KERNEL(ResizeBilinear) {
  Tensor x = in.tensor().to(at::kFloat);
  const auto size = in.integers();
  const Mapping mapping{in.flag(), in.flag()};
  for (int64_t i = 0; i < 2; i++) x = interpolated(x, i + 1, taps_of(mapping, x.size(i + 1), size[i]));
  out.tensor(x);
}

KERNEL(ResizeBilinearGrad) {
  const Tensor images = in.tensor();
  Tensor dy = in.tensor();
  const Mapping mapping{in.flag(), false};
  for (int64_t axis = 1; axis <= 2; axis++)
    dy = spread(dy, axis, taps_of(mapping, images.size(axis), dy.size(axis)), images.size(axis));
  out.tensor(dy);
}

Tensor nearest(const Mapping &mapping, int64_t from, int64_t to) {
  std::vector<int64_t> places;
  const double scale = mapping.scale(from, to);
  for (int64_t i = 0; i < to; i++) {
    const double place = mapping.half_pixel_centers ? (i + 0.5) * scale : i * scale;
    const double whole = mapping.align_corners ? std::floor(place + 0.5) : std::floor(place);
    places.push_back(std::min(from - 1, std::max(int64_t{0}, static_cast<int64_t>(whole))));
  }
  return at::tensor(places).to(settings().device);
}

KERNEL(ResizeNearestNeighbor) {
  Tensor x = in.tensor();
  const auto size = in.integers();
  const Mapping mapping{in.flag(), in.flag()};
  for (int64_t i = 0; i < 2; i++) x = x.index_select(i + 1, nearest(mapping, x.size(i + 1), size[i]));
  out.tensor(x);
}

KERNEL(ResizeNearestNeighborGrad) {
  const Tensor images = in.tensor();
  Tensor dy = in.tensor();
  const Mapping mapping{in.flag(), false};
  for (int64_t axis = 1; axis <= 2; axis++) {
    auto shape = dy.sizes().vec();
    shape[axis] = images.size(axis);
    dy = at::zeros(shape, dy.options()).index_add(axis, nearest(mapping, images.size(axis), dy.size(axis)), dy);
  }
  out.tensor(dy);
}

KERNEL(FusedBatchNorm) {
  const Tensor x = in.tensor(), mean = in.tensor(), variance = in.tensor();
  const Tensor scale = in.optional(), offset = in.optional();
  Tensor factor = at::rsqrt(variance + in.number());
  if (scale.defined()) factor = factor * scale;
  const Tensor y = (x - mean) * factor;
  out.tensor(offset.defined() ? y + offset : y);
}

}  // namespace
}  // namespace cm
