// 3 × 3 convolutions of stride 1 by Winograd's minimal filtering, F(2 × 2, 3 × 3) (Lavin and Gray, arXiv 1509.09308): 16 products for four
// outputs instead of 36. In float32 its error is that of the sums themselves, about 1e-6 relative.
#pragma once
#include <ATen/ATen.h>

namespace cm {

/** Tiles of 2 × 2 from which the transforms of filters, or of their gradients, are worth their time. */
constexpr int64_t TILES_FOR_FILTER = 128, TILES_FOR_FILTER_GRADIENT = 512;

/** Whether convolutions of images [batch, height, width, channels] by filters [3, 3, channels, outputs], zero-padded by 1, go this way. */
bool winograd_fits(const at::Tensor &x, int64_t outputs, int64_t least_tiles);

/** Images [batch, height, width, channels] convolved by a filter [3, 3, channels, outputs]; they are held as images are. */
at::Tensor winograd(const at::Tensor &x, const at::Tensor &filter);

/** The filter's gradient, [3, 3, channels, outputs], from images and the outputs' gradients. */
at::Tensor winograd_filter_gradient(const at::Tensor &x, const at::Tensor &dy);

}  // namespace cm
