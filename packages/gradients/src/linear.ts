import * as tf from '@tensorflow/tfjs-core';
import { sumToShape } from './broadcasting';
import { type GradientTable, gradient } from './table';

type Pads = 'valid' | 'same' | number | [[number, number], [number, number], [number, number], [number, number]];
interface Convolution {
  strides: number | [number, number];
  pad: Pads;
  dataFormat: 'NHWC' | 'NCHW';
  dilations?: number | [number, number];
  dimRoundingMode?: 'floor' | 'round' | 'ceil';
}
interface Pooling {
  filterSize: number | [number, number];
  strides: number | [number, number];
  pad: Pads;
  dimRoundingMode?: 'floor' | 'round' | 'ceil';
}

const run = (name: string, inputs: object, attributes: object) =>
  tf.engine().runKernel(name, inputs as tf.NamedTensorMap, attributes as tf.NamedAttrMap) as tf.Tensor;

export const linear: GradientTable = {
  // C = op(A) op(B); each gradient is again one product, with the transposition that avoids transposing memory.
  BatchMatMul: gradient<{ transposeA: boolean; transposeB: boolean }>({
    save: ['a', 'b'],
    of: (dy, [a, b], { transposeA, transposeB }) => {
      const A = a!;
      const B = b!;
      return {
        a: () =>
          sumToShape(transposeA ? tf.matMul(B, dy, transposeB, true) : tf.matMul(dy, B, false, !transposeB), A.shape),
        b: () =>
          sumToShape(transposeB ? tf.matMul(dy, A, true, transposeA) : tf.matMul(A, dy, !transposeA, false), B.shape),
      };
    },
  }),
  Conv2D: gradient<Convolution>({
    save: ['x', 'filter'],
    of: (dy, [x, filter], { strides, pad, dataFormat, dimRoundingMode }) => ({
      x: () =>
        run(
          'Conv2DBackpropInput',
          { dy, filter: filter! },
          { strides, pad, dataFormat, dimRoundingMode, inputShape: x!.shape },
        ),
      filter: () =>
        run(
          'Conv2DBackpropFilter',
          { x: x!, dy },
          { strides, pad, dataFormat, dimRoundingMode, filterShape: filter!.shape },
        ),
    }),
  }),
  Conv2DBackpropInput: gradient<Convolution>({
    save: ['dy', 'filter'],
    of: (ddx, [dy, filter], { strides, pad, dataFormat, dimRoundingMode }) => ({
      dy: () =>
        tf.conv2d(ddx as tf.Tensor4D, filter as tf.Tensor4D, strides, pad as 'same', dataFormat, 1, dimRoundingMode),
      filter: () =>
        run(
          'Conv2DBackpropFilter',
          { x: ddx, dy: dy! },
          { strides, pad, dataFormat, dimRoundingMode, filterShape: filter!.shape },
        ),
    }),
  }),
  DepthwiseConv2dNative: gradient<Convolution>({
    save: ['x', 'filter'],
    of: (dy, [x, filter], { strides, pad, dilations, dimRoundingMode }) => ({
      x: () =>
        run(
          'DepthwiseConv2dNativeBackpropInput',
          { dy, filter: filter! },
          { strides, pad, dilations, dimRoundingMode, inputShape: x!.shape },
        ),
      filter: () =>
        run(
          'DepthwiseConv2dNativeBackpropFilter',
          { x: x!, dy },
          { strides, pad, dilations, dimRoundingMode, filterShape: filter!.shape },
        ),
    }),
  }),
  AvgPool: gradient<Pooling>({
    save: ['x'],
    of: (dy, [x], { filterSize, strides, pad }) => ({
      x: () => run('AvgPoolGrad', { dy, input: x! }, { filterSize, strides, pad }),
    }),
  }),
  MaxPool: gradient<Pooling>({
    save: ['x'],
    saveOutput: true,
    of: (dy, [x, y], { filterSize, strides, pad }) => ({
      x: () => run('MaxPoolGrad', { dy, input: x!, output: y! }, { filterSize, strides, pad }),
    }),
  }),
  ResizeNearestNeighbor: gradient<{ alignCorners: boolean }>({
    save: ['images'],
    of: (dy, [images], attributes) => ({
      images: () => run('ResizeNearestNeighborGrad', { images: images!, dy }, attributes),
    }),
  }),
  ResizeBilinear: gradient<{ alignCorners: boolean }>({
    save: ['images'],
    of: (dy, [images], attributes) => ({
      images: () => run('ResizeBilinearGrad', { images: images!, dy }, attributes),
    }),
  }),
};
