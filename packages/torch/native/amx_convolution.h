// 3 × 3 convolutions of stride 1 in bfloat16 where the CPU has tiles (AMX): direct, since with products that fast a transform would cost more than
// it saves.
#pragma once
#include <ATen/ATen.h>

namespace cm {

/** Whether convolutions of images [batch, height, width, channels] into as many outputs, zero-padded by 1, go this way. */
bool amx_convolution_fits(const at::Tensor &x, int64_t outputs);

/** Images convolved by a filter [3, 3, channels, outputs]; they are held as images are. */
at::Tensor amx_convolution(const at::Tensor &x, const at::Tensor &filter);

/** The images' gradient from that of the outputs. */
at::Tensor amx_input_gradient(const at::Tensor &dy, const at::Tensor &filter);

/** The filter's gradient, [3, 3, channels, outputs], from images and the outputs' gradients. */
at::Tensor amx_filter_gradient(const at::Tensor &x, const at::Tensor &dy);

}  // namespace cm
