import * as tf from '@tensorflow/tfjs-core';
import type { Argument, TorchBackend } from '../backend';
import { define, listOf } from './define';

const ACTIVATIONS = ['linear', 'relu', 'relu6', 'elu', 'prelu', 'leakyrelu', 'sigmoid'];

interface Finish {
  readonly activation?: string;
  readonly leakyreluAlpha?: number;
}

/** What follows a fused product's other arguments: bias, activation, its weights, its slope. */
function finish(
  kernel: string,
  bias: tf.TensorInfo | undefined,
  weights: tf.TensorInfo | undefined,
  { activation = 'linear', leakyreluAlpha = 0.2 }: Finish,
): Argument[] {
  const code = ACTIVATIONS.indexOf(activation);
  if (code < 0) throw new Error(`${kernel}: activation is ${activation}, expected one of ${ACTIVATIONS.join(', ')}`);
  return [bias, code, weights, leakyreluAlpha];
}

interface ConvolutionAttributes {
  readonly strides: number | [number, number];
  readonly pad: 'valid' | 'same' | number | tf.backend_util.ExplicitPadding;
  readonly dataFormat?: 'NHWC' | 'NCHW';
  readonly dilations?: number | [number, number];
  readonly dimRoundingMode?: 'floor' | 'round' | 'ceil';
}

/** Stride, dilation, padding before and after of a window: after is what the given output size needs. */
type Window = [stride: number[], dilation: number[], before: number[], after: number[]];

interface WindowInfo {
  readonly sizes: readonly [
    input: number,
    output: number,
    reach: number,
    stride: number,
    dilation: number,
    before: number,
  ][];
}

const windowOf = ({ sizes }: WindowInfo): Window => [
  sizes.map((s) => s[3]),
  sizes.map((s) => s[4]),
  sizes.map((s) => s[5]),
  sizes.map(([input, output, reach, stride, , before]) => (output - 1) * stride + reach - input - before),
];

const window2d = (info: tf.backend_util.Conv2DInfo): Window =>
  windowOf({
    sizes: [
      [
        info.inHeight,
        info.outHeight,
        info.effectiveFilterHeight,
        info.strideHeight,
        info.dilationHeight,
        info.padInfo.top,
      ],
      [info.inWidth, info.outWidth, info.effectiveFilterWidth, info.strideWidth, info.dilationWidth, info.padInfo.left],
    ],
  });

const window3d = (info: tf.backend_util.Conv3DInfo): Window =>
  windowOf({
    sizes: [
      [
        info.inDepth,
        info.outDepth,
        info.effectiveFilterDepth,
        info.strideDepth,
        info.dilationDepth,
        info.padInfo.front,
      ],
      [
        info.inHeight,
        info.outHeight,
        info.effectiveFilterHeight,
        info.strideHeight,
        info.dilationHeight,
        info.padInfo.top,
      ],
      [info.inWidth, info.outWidth, info.effectiveFilterWidth, info.strideWidth, info.dilationWidth, info.padInfo.left],
    ],
  });

type Shape4 = [number, number, number, number];
type Shape5 = [number, number, number, number, number];

const TO_NHWC = [0, 2, 3, 1];
const TO_NCHW = [0, 3, 1, 2];
const permuted = <T>(list: readonly T[], order: readonly number[]): T[] => order.map((i) => list[i]!);

/** Runs f on images brought to NHWC, and brings its result back. */
function inNhwc(
  backend: TorchBackend,
  format: 'NHWC' | 'NCHW' | undefined,
  images: readonly tf.TensorInfo[],
  f: (images: tf.TensorInfo[]) => tf.TensorInfo,
  back = true,
): tf.TensorInfo {
  if (format !== 'NCHW') return f([...images]);
  const moved = images.map((x) => backend.call('Transpose', x, TO_NHWC));
  const y = f(moved);
  for (const { dataId } of moved) backend.disposeData(dataId);
  if (!back) return y;
  const result = backend.call('Transpose', y, TO_NCHW);
  backend.disposeData(y.dataId);
  return result;
}

/** Padding given for every axis of NCHW, in the order of NHWC. */
const padOf = ({ pad, dataFormat }: ConvolutionAttributes) =>
  dataFormat === 'NCHW' && Array.isArray(pad)
    ? (permuted(pad as readonly [number, number][], TO_NHWC) as unknown as tf.backend_util.ExplicitPadding)
    : pad;

const convolutionWindow = (
  x: readonly number[],
  filter: readonly number[],
  attrs: ConvolutionAttributes,
  depthwise: boolean,
) =>
  window2d(
    tf.backend_util.computeConv2DInfo(
      x as Shape4,
      filter as Shape4,
      attrs.strides,
      attrs.dilations ?? 1,
      padOf(attrs),
      attrs.dimRoundingMode,
      depthwise,
    ),
  );

function convolutions(depthwise: boolean, names: { forward: string; fused: string; input: string; filter: string }) {
  return [
    define<'x' | 'filter', ConvolutionAttributes>(names.forward, ({ inputs: { x, filter }, attrs, backend }) =>
      inNhwc(backend, attrs.dataFormat, [x], ([x]) =>
        backend.call(
          'Convolution',
          x,
          filter,
          depthwise,
          ...convolutionWindow(x!.shape, filter.shape, attrs, depthwise),
        ),
      ),
    ),
    define<'x' | 'filter' | 'bias' | 'preluActivationWeights', ConvolutionAttributes & Finish>(
      names.fused,
      ({ inputs: { x, filter, bias, preluActivationWeights }, attrs, backend }) => {
        // What is given for every channel or pixel of NCHW, [channels, height, width], moves with the images.
        const moves = (p: tf.TensorInfo | undefined) => attrs.dataFormat === 'NCHW' && p?.shape.length === 3;
        const last = (p: tf.TensorInfo | undefined) => (p && moves(p) ? backend.call('Transpose', p, [1, 2, 0]) : p);
        const moved = [last(bias), last(preluActivationWeights)];
        const y = inNhwc(backend, attrs.dataFormat, [x], ([x]) =>
          backend.call(
            'FusedConvolution',
            x,
            filter,
            depthwise,
            ...convolutionWindow(x!.shape, filter.shape, attrs, depthwise),
            ...finish(names.fused, moved[0], moved[1], attrs),
          ),
        );
        for (const p of moved) if (p && moves(p)) backend.disposeData(p.dataId);
        return y;
      },
    ),
    define<'dy' | 'filter', ConvolutionAttributes & { inputShape: Shape4 }>(
      names.input,
      ({ inputs: { dy, filter }, attrs, backend }) => {
        const shape = attrs.dataFormat === 'NCHW' ? permuted(attrs.inputShape, TO_NHWC) : attrs.inputShape;
        const window = convolutionWindow(shape, filter.shape, attrs, depthwise);
        return inNhwc(backend, attrs.dataFormat, [dy], ([dy]) =>
          backend.call('ConvolutionInputGradient', dy, filter, shape, depthwise, ...window),
        );
      },
    ),
    define<'x' | 'dy', ConvolutionAttributes & { filterShape: Shape4 }>(
      names.filter,
      ({ inputs: { x, dy }, attrs, backend }) =>
        inNhwc(
          backend,
          attrs.dataFormat,
          [x, dy],
          ([x, dy]) =>
            backend.call(
              'ConvolutionFilterGradient',
              x,
              dy,
              attrs.filterShape,
              depthwise,
              ...convolutionWindow(x!.shape, attrs.filterShape, attrs, depthwise),
            ),
          false,
        ),
    ),
  ];
}

/** A product's factors and transpositions, its inner sizes checked. */
function factors(a: tf.TensorInfo, b: tf.TensorInfo, { transposeA, transposeB }: tf.BatchMatMulAttrs): Argument[] {
  const [rankA, rankB] = [a.shape.length, b.shape.length];
  const innerA = a.shape[transposeA ? rankA - 2 : rankA - 1];
  const innerB = b.shape[transposeB ? rankB - 1 : rankB - 2];
  tf.util.assert(
    rankA >= 2 && rankB >= 2 && innerA === innerB,
    () =>
      `matMul: inner sizes differ: ${innerA} of a [${a.shape}]${transposeA ? ' transposed' : ''} and ` +
      `${innerB} of b [${b.shape}]${transposeB ? ' transposed' : ''}`,
  );
  return [a, b, transposeA, transposeB];
}

interface Pool {
  readonly filterSize: number | number[];
  readonly strides: number | number[];
  readonly pad: 'valid' | 'same' | number;
  readonly dimRoundingMode?: 'floor' | 'round' | 'ceil';
  readonly dataFormat?: 'NDHWC' | 'NCDHW';
}

/** Size and window of a pool over images or volumes. */
function poolWindow(x: tf.TensorInfo, { filterSize, strides, pad, dimRoundingMode, dataFormat }: Pool) {
  if (x.shape.length === 4) {
    const info = tf.backend_util.computePool2DInfo(
      x.shape as Shape4,
      filterSize as [number, number],
      strides as [number, number],
      1,
      pad,
      dimRoundingMode,
    );
    const window: [number[], ...Window] = [[info.filterHeight, info.filterWidth], ...window2d(info)];
    return { outShape: info.outShape, window };
  }
  const info = tf.backend_util.computePool3DInfo(
    x.shape as Shape5,
    filterSize as [number, number, number],
    strides as [number, number, number],
    1,
    pad,
    dimRoundingMode,
    dataFormat,
  );
  const window: [number[], ...Window] = [[info.filterDepth, info.filterHeight, info.filterWidth], ...window3d(info)];
  return { outShape: info.outShape, window };
}

const pool = (name: string, kernel: string) =>
  define<'x', Pool>(name, ({ inputs: { x }, attrs, backend }) => {
    const { outShape, window } = poolWindow(x, attrs);
    const isEmpty = tf.util.sizeFromShape(outShape) === 0;
    if (isEmpty) return backend.make(new Float32Array(0), outShape, x.dtype);
    // As in tfjs's own backends, whatever the stride and padding.
    if (window[0].every((n) => n === 1) && tf.util.arraysEqual(x.shape, outShape)) return backend.call('Identity', x);
    return backend.call(kernel, x, ...window);
  });

const poolGradient = (name: string, kernel: string) =>
  define<'dy' | 'input', Pool>(name, ({ inputs: { dy, input }, attrs, backend }) =>
    backend.call(kernel, dy, input, ...poolWindow(input, attrs).window),
  );

const window5 = (x: readonly number[], filter: readonly number[], { strides, pad, dilations = 1 }: tf.Conv3DAttrs) =>
  window3d(tf.backend_util.computeConv3DInfo(x as Shape5, filter as Shape5, strides, dilations, pad));

/** Matrix products, convolutions and pools. */
export const products: tf.KernelConfig[] = [
  define<'a' | 'b', tf.BatchMatMulAttrs>(tf.BatchMatMul, ({ inputs: { a, b }, attrs, backend }) =>
    backend.call('BatchMatMul', ...factors(a, b, attrs)),
  ),
  define<'a' | 'b' | 'bias' | 'preluActivationWeights', tf.BatchMatMulAttrs & Finish>(
    tf._FusedMatMul,
    ({ inputs: { a, b, bias, preluActivationWeights }, attrs, backend }) =>
      backend.call(
        '_FusedMatMul',
        ...factors(a, b, attrs),
        ...finish(tf._FusedMatMul, bias, preluActivationWeights, attrs),
      ),
  ),
  define<never, tf.EinsumAttrs>(tf.Einsum, ({ inputs, attrs: { equation }, backend }) => {
    const list = listOf(inputs);
    const { allDims, idDims } = tf.backend_util.decodeEinsumEquation(equation, list.length);
    tf.backend_util.checkEinsumDimSizes(allDims.length, idDims, list as tf.Tensor[]);
    const letters = Array.from(equation.replaceAll(' ', ''), (letter) => letter.charCodeAt(0));
    return backend.call('Einsum', letters, list);
  }),
  ...convolutions(false, {
    forward: tf.Conv2D,
    fused: tf.FusedConv2D,
    input: tf.Conv2DBackpropInput,
    filter: tf.Conv2DBackpropFilter,
  }),
  ...convolutions(true, {
    forward: tf.DepthwiseConv2dNative,
    fused: tf.FusedDepthwiseConv2D,
    input: tf.DepthwiseConv2dNativeBackpropInput,
    filter: tf.DepthwiseConv2dNativeBackpropFilter,
  }),
  define<'x' | 'filter', tf.Conv3DAttrs>(tf.Conv3D, ({ inputs: { x, filter }, attrs, backend }) =>
    backend.call('Convolution', x, filter, false, ...window5(x.shape, filter.shape, attrs)),
  ),
  define<'dy' | 'filter', tf.Conv3DAttrs & { inputShape: Shape5 }>(
    tf.Conv3DBackpropInputV2,
    ({ inputs: { dy, filter }, attrs, backend }) =>
      backend.call(
        'ConvolutionInputGradient',
        dy,
        filter,
        attrs.inputShape,
        false,
        ...window5(attrs.inputShape, filter.shape, attrs),
      ),
  ),
  define<'x' | 'dy', tf.Conv3DAttrs & { filterShape: Shape5 }>(
    tf.Conv3DBackpropFilterV2,
    ({ inputs: { x, dy }, attrs, backend }) =>
      backend.call(
        'ConvolutionFilterGradient',
        x,
        dy,
        attrs.filterShape,
        false,
        ...window5(x.shape, attrs.filterShape, attrs),
      ),
  ),
  pool(tf.AvgPool, 'AveragePool'),
  pool(tf.AvgPool3D, 'AveragePool'),
  pool(tf.MaxPool, 'MaxPooling'),
  pool(tf.MaxPool3D, 'MaxPooling'),
  poolGradient(tf.AvgPoolGrad, 'AveragePoolGradient'),
  poolGradient(tf.AvgPool3DGrad, 'AveragePoolGradient'),
  poolGradient(tf.MaxPoolGrad, 'MaxPoolGradient'),
  poolGradient(tf.MaxPool3DGrad, 'MaxPoolGradient'),
];
