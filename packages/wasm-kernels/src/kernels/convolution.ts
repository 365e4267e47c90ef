import * as tf from '@tensorflow/tfjs-core';
import { defineKernel, type KernelCall } from '../kernel';
import type { KernelModule } from '../module';
import { multiply } from './multiply';

type ConvInfo = tf.backend_util.Conv2DInfo;
type Shape4D = [number, number, number, number];
type Tensor = tf.TensorInfo;

/** What the three kernels share of their attributes. */
interface Attributes {
  readonly strides: [number, number] | number;
  readonly pad: 'valid' | 'same' | number | tf.backend_util.ExplicitPadding;
  readonly dataFormat: 'NHWC' | 'NCHW';
  readonly dilations?: [number, number] | number;
  readonly dimRoundingMode?: 'floor' | 'round' | 'ceil';
}

/** y = x ∗ w, x [B, H, W, Ci], w [h, w, Ci, Co]. */
const forward = defineKernel<'x' | 'filter', Attributes>(tf.Conv2D, (call) => {
  const { inputs, attrs, module } = call;
  const { x, filter } = inputs;
  const info = convInfo(x.shape, filter.shape, attrs);
  if (!supported(call, info)) return call.stock();
  const y = module.output(info.outShape, 'float32');
  if (isPointwise(info)) {
    const pixels = info.batchSize * info.outHeight * info.outWidth;
    multiply(module, module.offset(x), false, module.offset(filter), false, module.offset(y), [
      pixels,
      info.outChannels,
      info.inChannels,
    ]);
    return y;
  }
  const bytes = module.native.conv_scratch_bytes(taps(info), info.inChannels, info.outChannels);
  run(module, 'conv_forward', x, filter, y, info, bytes);
  return y;
});

/** ∂⟨x ∗ w, dy⟩/∂x. */
const inputGradient = defineKernel<'dy' | 'filter', Attributes & { readonly inputShape: Shape4D }>(
  tf.Conv2DBackpropInput,
  (call) => {
    const { inputs, attrs, module } = call;
    const { dy, filter } = inputs;
    const info = convInfo(attrs.inputShape, filter.shape, attrs);
    if (!supported(call, info)) return call.stock();
    expectShape(tf.Conv2DBackpropInput, dy, info.outShape);
    const dx = module.output(info.inShape, 'float32');
    if (isPointwise(info)) {
      const pixels = info.batchSize * info.outHeight * info.outWidth;
      multiply(module, module.offset(dy), false, module.offset(filter), true, module.offset(dx), [
        pixels,
        info.inChannels,
        info.outChannels,
      ]);
      return dx;
    }
    const bytes = module.native.conv_scratch_bytes(taps(info), info.outChannels, info.inChannels);
    run(module, 'conv_input_gradient', dy, filter, dx, info, bytes);
    return dx;
  },
);

/** ∂⟨x ∗ w, dy⟩/∂w. */
const filterGradient = defineKernel<'x' | 'dy', Attributes & { readonly filterShape: Shape4D }>(
  tf.Conv2DBackpropFilter,
  (call) => {
    const { inputs, attrs, module } = call;
    const { x, dy } = inputs;
    const info = convInfo(x.shape, attrs.filterShape, attrs);
    if (!supported(call, info)) return call.stock();
    expectShape(tf.Conv2DBackpropFilter, dy, info.outShape);
    const dw = module.output(attrs.filterShape, 'float32');
    const { inChannels, outChannels } = info;
    const pixels = info.batchSize * info.outHeight * info.outWidth;
    if (isPointwise(info)) {
      multiply(module, module.offset(x), true, module.offset(dy), false, module.offset(dw), [
        inChannels,
        outChannels,
        pixels,
      ]);
      return dw;
    }
    const bytes = module.native.conv_filter_gradient_scratch_bytes(pixels, taps(info), inChannels, outChannels);
    run(module, 'conv_filter_gradient', x, dy, dw, info, bytes);
    return dw;
  },
);

/** Two-dimensional convolution and its two gradients. */
export const convolutions = [forward, inputGradient, filterGradient];

function convInfo(inputShape: number[], filterShape: number[], attrs: Attributes): ConvInfo {
  return tf.backend_util.computeConv2DInfo(
    inputShape as Shape4D,
    filterShape as Shape4D,
    attrs.strides,
    attrs.dilations ?? 1,
    attrs.pad,
    attrs.dimRoundingMode,
    false,
    tf.backend_util.convertConv2DDataFormat(attrs.dataFormat ?? 'NHWC'),
  );
}

function supported({ inputs, module }: KernelCall<string, unknown>, info: ConvInfo): boolean {
  return (
    info.dataFormat === 'channelsLast' &&
    taps(info) <= module.native.conv_max_taps() &&
    Object.values(inputs).every(({ dtype }) => dtype === 'float32')
  );
}

const taps = (info: ConvInfo): number => info.filterHeight * info.filterWidth;

/** A 1×1 convolution of stride 1 without padding is a matrix product over the pixels. */
function isPointwise(info: ConvInfo): boolean {
  const { top, bottom, left, right } = info.padInfo;
  return taps(info) * info.strideHeight * info.strideWidth === 1 && !(top || bottom || left || right);
}

function expectShape(kernel: string, dy: Tensor, shape: readonly number[]): void {
  if (!tf.util.arraysEqual(dy.shape, [...shape])) {
    throw new Error(`${kernel}: dy has shape [${dy.shape}], expected [${shape}]`);
  }
}

function run(
  module: KernelModule,
  name: 'conv_forward' | 'conv_input_gradient' | 'conv_filter_gradient',
  a: Tensor,
  b: Tensor,
  out: Tensor,
  info: ConvInfo,
  scratchBytes: number,
): void {
  module.withScratch(scratchBytes, (scratch) =>
    module.native[name](
      module.offset(a),
      module.offset(b),
      module.offset(out),
      info.batchSize,
      info.inHeight,
      info.inWidth,
      info.inChannels,
      info.outHeight,
      info.outWidth,
      info.outChannels,
      info.filterHeight,
      info.filterWidth,
      info.strideHeight,
      info.strideWidth,
      info.dilationHeight,
      info.dilationWidth,
      info.padInfo.top,
      info.padInfo.left,
      scratch,
    ),
  );
}
