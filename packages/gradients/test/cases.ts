import { unit } from '@cm/testing';
import * as tf from '@tensorflow/tfjs-core';

/** A differentiable function of float32 tensors, and where to differentiate it. */
export interface Case {
  readonly name: string;
  readonly f: (x: readonly tf.Tensor[]) => tf.Tensor;
  /** Shapes of the inputs, filled with numbers of variance 1; or the inputs' values. */
  readonly inputs: readonly (number[] | { readonly shape: number[]; readonly values: ArrayLike<number> })[];
}

const of = (name: string, f: Case['f'], ...inputs: Case['inputs']): Case => ({ name, f, inputs });

const map = (name: string, shape: number[], value: (unit: number) => number) => ({
  shape,
  values: unit(name, shape).map(value),
});
/** Numbers at least `gap` away from zero, where some functions have a corner. */
const apart = (name: string, shape: number[], gap = 0.1) => map(name, shape, (value) => value + Math.sign(value) * gap);
const positive = (name: string, shape: number[]) => map(name, shape, (value) => Math.abs(value) + 0.5);
const within1 = (name: string, shape: number[]) => map(name, shape, (value) => value / 2);

const nameOf = (f: { name: string }) => f.name.replace(/_*op$/, '');
/** Numbers at least 0.05 apart from each other, in no order. */
const distinct = (name: string, shape: number[]) => {
  const numbers = unit(name, shape);
  const sorted = numbers.toSorted();
  return { shape, values: numbers.map((number) => sorted.indexOf(number) / 20) };
};
const unary = (f: (x: tf.Tensor) => tf.Tensor, input: Case['inputs'][number] = apart('x', [2, 3])): Case =>
  of(nameOf(f), ([x]) => f(x!), input);

const elementwise: Case[] = [
  ...[tf.abs, tf.atan, tf.cos, tf.cosh, tf.elu, tf.erf, tf.exp, tf.expm1, tf.neg, tf.reciprocal].map((f) => unary(f)),
  ...[tf.relu, tf.sigmoid, tf.sin, tf.sinh, tf.softplus, tf.square, tf.tanh].map((f) => unary(f)),
  ...[tf.log, tf.log1p, tf.rsqrt, tf.sqrt].map((f) => unary(f, positive('x', [2, 3]))),
  ...[tf.acos, tf.asin, tf.tan].map((f) => unary(f, within1('x', [2, 3]))),
  of('relu6', ([x]) => tf.relu6(x!), { shape: [4], values: [-1, 2, 5.5, 7] }),
  of('leaky relu', ([x]) => tf.leakyRelu(x!, 0.3), apart('x', [2, 3])),
  of('clip by value', ([x]) => tf.clipByValue(x!, -0.6, 0.7), { shape: [4], values: [-2, -0.5, 0.4, 1] }),
];

type Two = (a: tf.Tensor, b: tf.Tensor) => tf.Tensor;
const broadcasts: [string, number[], number[]][] = [
  ['equal shapes', [2, 3], [2, 3]],
  ['a row', [2, 3], [3]],
  ['a column by a row', [2, 1], [1, 3]],
  ['a scalar', [], [2, 3]],
  ['extents of one', [2, 1, 3], [2, 1, 1]],
];
const binary: Case[] = (
  [
    ['add', tf.add],
    ['subtract', tf.sub],
    ['multiply', tf.mul],
    ['squared difference', tf.squaredDifference],
    ['maximum', tf.maximum],
    ['minimum', tf.minimum],
    ['divide', (a, b) => tf.div(a, tf.add(tf.square(b), 1))],
    ['power', (a, b) => tf.pow(tf.add(tf.square(a), 0.5), b)],
  ] satisfies [string, Two][]
).flatMap(([name, f]) =>
  broadcasts.map(([how, a, b]) =>
    of(`${name}, ${how}`, (x) => f(x[0]!, x[1]!), apart(`a ${name}`, a, 0.2), apart(`b ${name}`, b, 0.2)),
  ),
);

const sums: Case[] = [
  of('a square by power, also of negative numbers and 0', ([x]) => tf.pow(x!, 2), { shape: [3], values: [-1, 0, 2] }),
  of('add of a tensor to itself', ([x]) => tf.add(x!, x!), [3]),
  of('add of many', (x) => tf.addN([...x]), [2, 3], [2, 3], [2, 3]),
  of('sum', ([x]) => tf.sum(x!), [2, 3]),
  of('sum along axes', ([x]) => tf.sum(x!, [0, -1]), [2, 3, 4]),
  of('sum along an axis, kept', ([x]) => tf.sum(x!, 1, true), [2, 3, 4]),
  of('mean', ([x]) => tf.mean(x!), [2, 3]),
  of('mean along axes', ([x]) => tf.mean(x!, [0, 2]), [2, 3, 4]),
  of('mean along an axis, kept', ([x]) => tf.mean(x!, -1, true), [2, 3, 4]),
  of('moments', ([x]) => tf.moments(x!, [1]).variance, [2, 5]),
  of('max', ([x]) => tf.max(x!), distinct('max', [2, 3])),
  of('max along axes', ([x]) => tf.max(x!, [0, 2]), distinct('max', [2, 3, 4])),
  of('min along an axis, kept', ([x]) => tf.min(x!, 1, true), distinct('min', [2, 3, 4])),
  of('softmax', ([x]) => tf.softmax(x!), [2, 3, 4]),
  of('log-softmax', ([x]) => tf.logSoftmax(x!), [2, 4]),
  of('log-sum-exp', ([x]) => tf.logSumExp(x!, 1), [2, 4]),
  of('euclidean norm', ([x]) => tf.norm(x!, 2, 1), [2, 4]),
  ...[false, true].flatMap((exclusive) =>
    [false, true].map((reverse) =>
      of(`cumulative sum, ${exclusive} ${reverse}`, ([x]) => tf.cumsum(x!, 1, exclusive, reverse), [2, 4, 2]),
    ),
  ),
];

const products: Case[] = [
  ...[false, true].flatMap((transposeA) =>
    [false, true].flatMap((transposeB) =>
      [
        [[], []],
        [[2], [2]],
        [[2], [1]],
        [[1], [2]],
        [[3], [2, 3]],
      ].map(([batchA, batchB]) =>
        of(
          `matrix product, transposed ${transposeA} ${transposeB}, batches [${batchA}] [${batchB}]`,
          ([a, b]) => tf.matMul(a!, b!, transposeA, transposeB),
          [...batchA!, ...(transposeA ? [4, 3] : [3, 4])],
          [...batchB!, ...(transposeB ? [2, 4] : [4, 2])],
        ),
      ),
    ),
  ),
  of('dot', ([a, b]) => tf.dot(a!, b!), [4], [4]),
];

type Conv = { stride: number; pad: 'same' | 'valid' | number; size: number[]; channels?: number };
const convolutions: Case[] = (
  [
    { stride: 1, pad: 'same', size: [4, 5] },
    { stride: 1, pad: 'valid', size: [4, 5] },
    { stride: 2, pad: 'same', size: [4, 5] },
    { stride: 2, pad: 1, size: [5, 3] },
    { stride: 1, pad: 2, size: [3, 3] },
  ] satisfies Conv[]
).flatMap(({ stride, pad, size }) => [
  of(
    `convolution, stride ${stride}, pad ${pad}`,
    ([x, w]) => tf.conv2d(x as tf.Tensor4D, w as tf.Tensor4D, stride, pad),
    [2, ...size, 2],
    [3, 3, 2, 3],
  ),
  of(
    `depthwise convolution, stride ${stride}, pad ${pad}`,
    ([x, w]) => tf.depthwiseConv2d(x as tf.Tensor4D, w as tf.Tensor4D, stride, pad),
    [2, ...size, 2],
    [3, 3, 2, 2],
  ),
]);

const images: Case[] = [
  ...convolutions,
  of(
    'pointwise convolution',
    ([x, w]) => tf.conv2d(x as tf.Tensor4D, w as tf.Tensor4D, 1, 'same'),
    [2, 3, 2, 3],
    [1, 1, 3, 4],
  ),
  of(
    'convolution of one image',
    ([x, w]) => tf.conv2d(x as tf.Tensor3D, w as tf.Tensor4D, 1, 'same'),
    [3, 4, 2],
    [3, 3, 2, 1],
  ),
  of(
    'convolution, explicit pads',
    ([x, w]) =>
      tf.conv2d(x as tf.Tensor4D, w as tf.Tensor4D, 2, [
        [0, 0],
        [0, 1],
        [1, 2],
        [0, 0],
      ]),
    [1, 4, 3, 2],
    [3, 3, 2, 2],
  ),
  of(
    'transposed convolution',
    ([x, w]) => tf.conv2dTranspose(x as tf.Tensor4D, w as tf.Tensor4D, [2, 5, 6, 2], 2, 'same'),
    [2, 3, 3, 4],
    [3, 3, 2, 4],
  ),
  ...(['valid', 'same'] as const).flatMap((pad) => [
    of(`average pooling, ${pad}`, ([x]) => tf.avgPool(x as tf.Tensor4D, 2, 2, pad), [2, 5, 4, 2]),
    of(`max pooling, ${pad}`, ([x]) => tf.maxPool(x as tf.Tensor4D, 3, 2, pad), distinct('pool', [1, 5, 4, 2])),
  ]),
  ...[
    { align: false, half: false },
    { align: true, half: false },
    { align: false, half: true },
  ].flatMap(({ align, half }) =>
    [
      [6, 8],
      [5, 7],
      [2, 3],
    ].flatMap((size) => [
      of(
        `nearest neighbours to ${size}, corners ${align}, centres ${half}`,
        ([x]) => tf.image.resizeNearestNeighbor(x as tf.Tensor4D, size as [number, number], align, half),
        [2, 3, 4, 2],
      ),
      of(
        `bilinear to ${size}, corners ${align}, centres ${half}`,
        ([x]) => tf.image.resizeBilinear(x as tf.Tensor4D, size as [number, number], align, half),
        [2, 3, 4, 2],
      ),
    ]),
  ),
];

const indices = (values: number[], shape = [values.length]) => tf.tensor(values, shape, 'int32');
const mask = () => tf.tensor2d([1, 0, 1, 0, 1, 1], [2, 3], 'bool');

const layout: Case[] = [
  of('reshape', ([x]) => tf.reshape(x!, [4, 3]), [3, 4]),
  of('expand dims', ([x]) => tf.expandDims(x!, -1), [3, 4]),
  of('squeeze', ([x]) => tf.squeeze(x!), [3, 1, 4]),
  of('transpose', ([x]) => tf.transpose(x!, [2, 0, 1]), [2, 3, 4]),
  of('transpose of a matrix', ([x]) => tf.transpose(x!), [2, 3]),
  of('concatenation', (x) => tf.concat([...x], 1), [2, 3], [2, 1], [2, 2]),
  of('concatenation along the last axis', (x) => tf.concat([...x], -1), [2, 3], [2, 1]),
  of('slice', ([x]) => tf.slice(x!, [1, 0], [2, 3]), [4, 5]),
  of('slice of rows', ([x]) => tf.slice(x!, 1), [4, 2]),
  of('slice to the end', ([x]) => tf.slice(x!, [0, 2], [-1, -1]), [2, 5]),
  of('strided slice', ([x]) => tf.stridedSlice(x!, [0, 1], [4, 6], [2, 3]), [4, 7]),
  of('strided slice, backwards', ([x]) => tf.stridedSlice(x!, [3, 5], [0, 0], [-1, -2]), [4, 7]),
  of('strided slice, masks', ([x]) => tf.stridedSlice(x!, [1, 0], [2, 3], [1, 1], 0, 0b10, 0, 0, 0b01), [3, 4]),
  of('strided slice, new axis', ([x]) => tf.stridedSlice(x!, [0, 1], [0, 3], [1, 1], 0, 0, 0, 0b01), [3, 4]),
  of('split', ([x]) => tf.mul(...(tf.split(x!, 2, 1) as [tf.Tensor, tf.Tensor])), [3, 4]),
  of('split, one part used', ([x]) => tf.split(x!, [1, 3], -1)[1]!, [3, 4]),
  of('stack', (x) => tf.stack([...x], 1), [3, 2], [3, 2]),
  of('stack along the last axis', (x) => tf.stack([...x], -1), [3, 2], [3, 2]),
  of('unstack', ([x]) => tf.mul(...(tf.unstack(x!, 1) as [tf.Tensor, tf.Tensor])), [3, 2]),
  of('unstack of one', ([x]) => tf.unstack(x!)[0]!, [1, 3]),
  of(
    'pad',
    ([x]) =>
      tf.pad(
        x!,
        [
          [1, 0],
          [0, 2],
        ],
        3,
      ),
    [2, 3],
  ),
  of('tile', ([x]) => tf.tile(x!, [2, 1, 3]), [2, 3, 2]),
  of('tile of ones', ([x]) => tf.tile(x!, [2, 3, 2, 1]), [2, 1, 1, 3]),
  of('tile once', ([x]) => tf.tile(x!, [1, 1]), [2, 3]),
  of('broadcast', ([x]) => tf.broadcastTo(x!, [2, 4, 5, 3]), [2, 1, 1, 3]),
  of('broadcast to more axes', ([x]) => tf.broadcastTo(x!, [4, 2, 3]), [2, 1]),
  of('reverse', ([x]) => tf.reverse(x!, 1), [2, 3]),
  of('reverse of all axes', ([x]) => tf.reverse(x!), [2, 3]),
  of('gather with repeats', ([x]) => tf.gather(x!, indices([2, 0, 2, 2])), [3, 2]),
  of('gather along an inner axis', ([x]) => tf.gather(x!, indices([2, 0, 2]), 1), [2, 3, 4]),
  of('gather along the last axis', ([x]) => tf.gather(x!, indices([1, 0, 1, 1], [2, 2]), -1), [2, 3]),
  of('gather by batch', ([x]) => tf.gather(x!, indices([1, 1, 0, 2], [2, 2]), 2, 1), [2, 4, 3, 2]),
  of('clone', ([x]) => tf.clone(x!), [3]),
  of('mirrored sum of a part and the whole', ([x]) => tf.add(x!, tf.reverse(x!)), [3]),
];

const choice: Case[] = [
  of('where', ([a, b]) => tf.where(mask(), a!, b!), [2, 3], [2, 3]),
  of('where, broadcast', ([a, b]) => tf.where(mask(), a!, b!), [], [3]),
  of('cast', ([x]) => tf.cast(x!, 'float32'), [3]),
  ...[tf.ceil, tf.floor, tf.round, tf.sign, tf.step, tf.zerosLike, tf.onesLike].map((f) =>
    of(nameOf(f), ([x]) => tf.add(x!, f(x!)), { shape: [3], values: [-0.7, 0.2, 1.3] }),
  ),
  of('cast to int32', ([x]) => tf.add(x!, tf.cast(x!, 'int32')), { shape: [3], values: [-0.7, 0.2, 1.3] }),
  ...[tf.greater, tf.greaterEqual, tf.less, tf.lessEqual, tf.equal, tf.notEqual].map((f) =>
    of(nameOf(f), ([a, b]) => tf.mul(tf.cast(f(a!, b!), 'float32'), b!), apart('a', [3]), apart('b', [3], 0.3)),
  ),
];

/** Every function whose gradient is held against differences. */
export const cases: readonly Case[] = [
  ...elementwise,
  ...binary,
  ...sums,
  ...products,
  ...images,
  ...layout,
  ...choice,
];
