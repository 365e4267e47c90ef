import * as tf from '@tensorflow/tfjs-core';

const BACKEND = 'tensorflow';

type Pair = readonly [number, number];

/** What convolutions of tfjs-core are given, as far as it is read here. */
interface ConvolutionAttributes {
  readonly strides: [number, number] | number;
  readonly pad: 'valid' | 'same' | number | tf.backend_util.ExplicitPadding;
  readonly dataFormat?: 'NHWC' | 'NCHW';
  readonly dilations?: [number, number] | number;
  readonly dimRoundingMode?: 'floor' | 'round' | 'ceil';
  /** Of gradients by the input. */
  readonly inputShape?: [number, number, number, number];
}

/** Replaces a kernel of tfjs-node by one that may call it. */
function correct(name: string, corrected: (original: tf.KernelFunc) => tf.KernelFunc): void {
  const config = tf.getKernel(name, BACKEND);
  if (!config) return;
  tf.unregisterKernel(name, BACKEND);
  tf.registerKernel({ ...config, kernelFunc: corrected(config.kernelFunc) });
}

/** The rows and columns that a numeric or explicit padding adds to NHWC images; undefined where tfjs-node can do without. */
function paddings({ pad, dataFormat, dimRoundingMode }: ConvolutionAttributes): Pair[] | undefined {
  if (typeof pad === 'string' || dataFormat === 'NCHW') return undefined;
  if (dimRoundingMode !== undefined && dimRoundingMode !== 'floor') return undefined;
  if (typeof pad !== 'number') return pad.map(([before, after]) => [before, after] as const);
  return [0, pad, pad, 0].map((each) => [each, each] as const);
}

/** Convolutions, where the images are padded and convolved without padding. */
const padded =
  (original: tf.KernelFunc): tf.KernelFunc =>
  ({ inputs, backend, attrs = {} }) => {
    const attributes = attrs as unknown as ConvolutionAttributes;
    const added = paddings(attributes);
    if (!added) return original({ inputs, backend, attrs });
    const valid = { ...attrs, pad: 'valid' } as tf.NamedAttrMap;
    const { inputShape } = attributes;
    if (inputShape) {
      // The gradient by the padded images, of which the images are a part.
      const shape = inputShape.map((extent, i) => extent + added[i]![0] + added[i]![1]);
      const whole = original({ inputs, backend, attrs: { ...valid, inputShape: shape } }) as tf.Tensor;
      const part = tf.slice(
        whole,
        added.map(([before]) => before),
        inputShape,
      );
      whole.dispose();
      return part;
    }
    const x = tf.pad(inputs.x as tf.Tensor, added as [number, number][]);
    const result = original({ inputs: { ...inputs, x }, backend, attrs: valid });
    x.dispose();
    return result;
  };

/** Gathering, where an axis may be counted from the last. */
const fromTheLast =
  (original: tf.KernelFunc): tf.KernelFunc =>
  ({ inputs, backend, attrs = {} }) => {
    const axis = (attrs as unknown as { axis: number }).axis;
    const rank = inputs.x!.shape.length;
    return original({ inputs, backend, attrs: { ...attrs, axis: axis < 0 ? axis + rank : axis } as tf.NamedAttrMap });
  };

/** Average pooling's gradient, divided by the whole window at the edge too: that of the padded images, of which the images are a part. */
const ofWholeWindows =
  (original: tf.KernelFunc): tf.KernelFunc =>
  ({ inputs, backend, attrs = {} }) => {
    const { filterSize, strides, pad, dimRoundingMode } = attrs as unknown as tf.AvgPoolAttrs;
    const shape = inputs.input!.shape as [number, number, number, number];
    const { padInfo } = tf.backend_util.computePool2DInfo(shape, filterSize, strides, 1, pad, dimRoundingMode);
    const { top, bottom, left, right } = padInfo;
    if (top + bottom + left + right === 0) return original({ inputs, backend, attrs });
    return tf.tidy(() => {
      const input = tf.pad(inputs.input as tf.Tensor4D, [
        [0, 0],
        [top, bottom],
        [left, right],
        [0, 0],
      ]);
      const whole = original({ inputs: { ...inputs, input }, backend, attrs: { ...attrs, pad: 'valid' } });
      return tf.slice(whole as tf.Tensor, [0, top, left, 0], shape);
    });
  };

/**
 * Makes kernels of tfjs-node do what tfjs's other backends do, where tfjs-node 4.22 throws or does another thing: convolutions and their gradients with
 * padding in numbers, gathering along an axis that is counted from the last, and average pooling's gradient over the edge.
 */
export function correctKernels(): void {
  for (const name of [
    tf.Conv2D,
    tf.Conv2DBackpropInput,
    tf.Conv2DBackpropFilter,
    tf.DepthwiseConv2dNative,
    tf.DepthwiseConv2dNativeBackpropInput,
    tf.DepthwiseConv2dNativeBackpropFilter,
  ]) {
    correct(name, padded);
  }
  correct(tf.GatherV2, fromTheLast);
  correct(tf.AvgPoolGrad, ofWholeWindows);
}
