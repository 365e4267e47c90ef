import * as tf from '@tensorflow/tfjs-core';
import { view } from '../backend';
import { axesOf, define } from './define';

interface Over {
  readonly axis?: number | number[];
  readonly reductionIndices?: number | number[];
  readonly keepDims: boolean;
}

const lastAxis = (x: tf.TensorInfo, dim: number) => (dim < 0 ? x.shape.length + dim : dim);

/** Many values to one, or to running ones. */
export const reductions: tf.KernelConfig[] = [
  ...['All', 'Any', 'Max', 'Mean', 'Min', 'Prod', 'Sum'].map((name) =>
    define<'x', Over>(name, ({ inputs: { x }, attrs: { axis, reductionIndices, keepDims }, backend }) =>
      backend.call(name, x, axesOf((axis ?? reductionIndices) as number[], x), keepDims),
    ),
  ),
  ...['ArgMax', 'ArgMin'].map((name) =>
    define<'x', { axis: number }>(name, ({ inputs: { x }, attrs: { axis }, backend }) =>
      backend.call(name, x, axesOf(axis, x)[0]!),
    ),
  ),
  ...['Cumsum', 'Cumprod'].map((name) =>
    define<'x', tf.CumsumAttrs>(name, ({ inputs: { x }, attrs: { axis, exclusive, reverse }, backend }) =>
      backend.call(name, x, x.shape.length === 0 ? 0 : axesOf(axis, x)[0]!, exclusive, reverse),
    ),
  ),
  define<'logits', tf.SoftmaxAttrs>(tf.Softmax, ({ inputs: { logits }, attrs: { dim }, backend }) =>
    backend.call('Softmax', logits, lastAxis(logits, dim)),
  ),
  define<'logits', tf.LogSoftmaxAttrs>(tf.LogSoftmax, ({ inputs: { logits }, attrs: { axis }, backend }) =>
    backend.call('LogSoftmax', logits, lastAxis(logits, axis)),
  ),
  define<'x', tf.TopKAttrs>(tf.TopK, ({ inputs: { x }, attrs: { k }, backend }) => backend.callMany(2, 'TopK', x, k)),
  define<'sortedSequence' | 'values', tf.SearchSortedAttrs>(
    tf.SearchSorted,
    ({ inputs: { sortedSequence, values }, attrs: { side }, backend }) =>
      backend.call('SearchSorted', sortedSequence, values, side === 'right'),
  ),
  define<'x' | 'segmentIds', tf.UnsortedSegmentSumAttrs>(
    tf.UnsortedSegmentSum,
    ({ inputs: { x, segmentIds }, attrs: { numSegments }, backend }) => {
      const rows = tf.util.sizeFromShape(segmentIds.shape);
      const inner = x.shape.slice(segmentIds.shape.length);
      return backend.call('UnsortedSegmentSum', view(x, [rows, ...inner]), segmentIds, numSegments);
    },
  ),
  define<'input'>(tf.FFT, ({ inputs: { input }, backend }) => backend.call('FFT', input)),
  define<'input'>(tf.IFFT, ({ inputs: { input }, backend }) => backend.call('IFFT', input)),
];
