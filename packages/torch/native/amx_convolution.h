// 3 × 3 convolutions of stride 1 in bfloat16 where the CPU has tiles (AMX): direct, since with products that fast a transform would cost more than
// it saves.
#pragma once
#include <ATen/ATen.h>

namespace cm {

/**
 * Images [batch, height, width, channels], zero-padded by 1, convolved by a filter [3, 3, channels, outputs]; they are held as images are. Undefined
 * where this way does not serve: it takes channels by sixteens, where bfloat16 is the precision.
 */
at::Tensor amx_convolution(const at::Tensor &x, const at::Tensor &filter);

/** The images' gradient from that of the outputs, likewise. */
at::Tensor amx_input_gradient(const at::Tensor &dy, const at::Tensor &filter);

/** The filter's gradient, [3, 3, channels, outputs], from images and the outputs' gradients, likewise. */
at::Tensor amx_filter_gradient(const at::Tensor &x, const at::Tensor &dy);

}  // namespace cm
