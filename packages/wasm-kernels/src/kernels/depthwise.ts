import * as tf from '@tensorflow/tfjs-core';
import { defineKernel } from '../kernel';
import type { KernelModule } from '../module';

type ConvInfo = tf.backend_util.Conv2DInfo;
type Shape4D = [number, number, number, number];

/** What the three kernels share of their attributes. */
interface Attributes {
  readonly strides: [number, number] | number;
  readonly pad: 'valid' | 'same' | number | tf.backend_util.ExplicitPadding;
  readonly dilations?: [number, number] | number;
  readonly dimRoundingMode?: 'floor' | 'round' | 'ceil';
}

function infoOf(
  kernel: string,
  module: KernelModule,
  inputs: Readonly<Record<string, tf.TensorInfo>>,
  [x, filter]: readonly [number[], number[]],
  { strides, pad, dilations, dimRoundingMode }: Attributes,
): ConvInfo {
  for (const [name, { dtype }] of Object.entries(inputs)) {
    if (dtype !== 'float32') throw new Error(`${kernel}: ${name} is ${dtype}, expected float32`);
  }
  const [shape, filterShape] = [x as Shape4D, filter as Shape4D];
  const info = tf.backend_util.computeConv2DInfo(
    shape,
    filterShape,
    strides,
    dilations ?? 1,
    pad,
    dimRoundingMode,
    true,
  );
  const most = module.native.conv_max_taps();
  if (info.filterHeight * info.filterWidth > most) {
    throw new Error(
      `${kernel}: the filter has ${info.filterHeight} × ${info.filterWidth} taps, expected at most ${most}`,
    );
  }
  if (inputs.dy && !tf.util.arraysEqual(inputs.dy.shape, info.outShape)) {
    throw new Error(`${kernel}: dy has shape [${inputs.dy.shape}], expected [${info.outShape}]`);
  }
  return info;
}

function run(
  module: KernelModule,
  name: 'depthwise_forward' | 'depthwise_input_gradient' | 'depthwise_filter_gradient',
  tensors: readonly tf.TensorInfo[],
  info: ConvInfo,
  ...scratch: number[]
): void {
  module.native[name](
    ...tensors.map((tensor) => module.offset(tensor)),
    info.batchSize,
    info.inHeight,
    info.inWidth,
    info.inChannels,
    info.outHeight,
    info.outWidth,
    info.outChannels / info.inChannels,
    info.filterHeight,
    info.filterWidth,
    info.strideHeight,
    info.strideWidth,
    info.dilationHeight,
    info.dilationWidth,
    info.padInfo.top,
    info.padInfo.left,
    ...scratch,
  );
}

/** y = x ∗ w by channels: x [B, H, W, C], w [h, w, C, M], y [B, Ho, Wo, C·M]. */
const forward = defineKernel<'x' | 'filter', Attributes>(
  tf.DepthwiseConv2dNative,
  ({ inputs, inputs: { x, filter }, attrs, module }) => {
    const info = infoOf(tf.DepthwiseConv2dNative, module, inputs, [x.shape, filter.shape], attrs);
    const y = module.output(info.outShape, 'float32');
    run(module, 'depthwise_forward', [x, filter, y], info);
    return y;
  },
);

/** ∂⟨x ∗ w, dy⟩/∂x. */
const inputGradient = defineKernel<'dy' | 'filter', Attributes & { readonly inputShape: Shape4D }>(
  tf.DepthwiseConv2dNativeBackpropInput,
  ({ inputs, inputs: { dy, filter }, attrs, module }) => {
    const kernel = tf.DepthwiseConv2dNativeBackpropInput;
    const info = infoOf(kernel, module, inputs, [attrs.inputShape, filter.shape], attrs);
    const dx = module.output(info.inShape, 'float32');
    run(module, 'depthwise_input_gradient', [dy, filter, dx], info);
    return dx;
  },
);

/** ∂⟨x ∗ w, dy⟩/∂w. */
const filterGradient = defineKernel<'x' | 'dy', Attributes & { readonly filterShape: Shape4D }>(
  tf.DepthwiseConv2dNativeBackpropFilter,
  ({ inputs, inputs: { x, dy }, attrs, module }) => {
    const kernel = tf.DepthwiseConv2dNativeBackpropFilter;
    const info = infoOf(kernel, module, inputs, [x.shape, attrs.filterShape], attrs);
    const dw = module.output(attrs.filterShape, 'float32');
    const size = tf.util.sizeFromShape(dw.shape);
    const bytes = module.native.depthwise_filter_gradient_scratch_bytes(info.batchSize, size);
    module.withScratch(bytes, (scratch) => run(module, 'depthwise_filter_gradient', [x, dy, dw], info, scratch));
    return dw;
  },
);

/** Depthwise convolution and its two gradients. */
export const depthwise = [forward, inputGradient, filterGradient];
