import * as tf from '@tensorflow/tfjs-core';
import { ofGradient, ofInput, type Rules, rule, sizeOf, sumTo } from './rule';

const axisOf = (axis: number, rank: number): number => (axis < 0 ? axis + rank : axis);

/** `whole` on every axis but one. */
const along = (axis: number, rank: number, part: number, whole: number): number[] =>
  Array.from({ length: rank }, (_, i) => (i === axis ? part : whole));

/** Sums the copies that tiling made: axis by axis, each as the middle axis of three. */
function untile(dy: tf.Tensor, shape: number[], reps: number[]): tf.Tensor {
  let dx = dy;
  let outer = 1;
  for (let axis = 0; axis < shape.length; axis++) {
    // Neighbouring axes that were of extent 1 (a broadcast) are summed as one.
    let copies = reps[axis]!;
    while (shape[axis] === 1 && axis + 1 < shape.length && shape[axis + 1] === 1) copies *= reps[++axis]!;
    if (copies > 1) dx = tf.sum(tf.reshape(dx, [outer, copies, -1]), 1);
    outer *= shape[axis]!;
  }
  return dx === dy ? tf.clone(dy) : tf.reshape(dx, shape);
}

/** Scatters dy back to the rows that were gathered; rows gathered more than once collect a sum. */
function ungather(dy: tf.Tensor, x: tf.Tensor, indices: tf.Tensor, axis: number, batchDims: number): tf.Tensor {
  const batch = sizeOf(x.shape.slice(0, batchDims));
  const before = sizeOf(x.shape.slice(batchDims, axis));
  const after = sizeOf(x.shape.slice(axis + 1));
  const extent = x.shape[axis]!;
  const count = indices.size / batch;
  const rowsFirst = (t: tf.Tensor) => (before === 1 ? t : tf.transpose(t, [0, 2, 1, 3]));

  const rows = tf.reshape(rowsFirst(tf.reshape(dy, [batch, before, count, after])), [batch * count, before * after]);
  const offsets = tf.range(0, batch * extent, extent, 'int32');
  const targets = tf.add(tf.reshape(indices, [batch, count]), tf.reshape(offsets, [batch, 1]));
  const scattered = tf.scatterND(tf.reshape(tf.cast(targets, 'int32'), [batch * count, 1]), rows, [
    batch * extent,
    before * after,
  ]);
  return tf.reshape(rowsFirst(tf.reshape(scattered, [batch, extent, before, after])), x.shape);
}

/** Puts `stride - 1` zeros between the elements along an axis. */
function spread(x: tf.Tensor, axis: number, stride: number): tf.Tensor {
  if (stride === 1) return x;
  const extent = x.shape[axis]!;
  const outer = sizeOf(x.shape.slice(0, axis));
  const inner = sizeOf(x.shape.slice(axis + 1));
  const padded = tf.pad(tf.reshape(x, [outer * extent, inner]), [
    [0, 0],
    [0, (stride - 1) * inner],
  ]);
  const length = (extent - 1) * stride + 1;
  const cut = tf.slice(tf.reshape(padded, [outer, extent * stride, inner]), [0, 0, 0], [outer, length, inner]);
  return tf.reshape(cut, [...x.shape.slice(0, axis), length, ...x.shape.slice(axis + 1)]);
}

/** Puts a strided slice's gradient back in place: undo the strides, the direction and the cut, in that order. */
function unslice(dy: tf.Tensor, x: tf.Tensor, attributes: tf.StridedSliceAttrs): tf.Tensor {
  const { begin, end, strides } = tf.slice_util.sliceInfo(
    x.shape,
    attributes.begin,
    attributes.end,
    attributes.strides,
    attributes.beginMask,
    attributes.endMask,
    attributes.ellipsisMask,
    attributes.newAxisMask,
    attributes.shrinkAxisMask,
  );
  if (dy.size === 0) return tf.zeros(x.shape);
  let dx = tf.reshape(
    dy,
    strides.map((stride, axis) => Math.ceil((end[axis]! - begin[axis]!) / stride)),
  );
  const backwards = strides.flatMap((stride, axis) => (stride < 0 ? [axis] : []));
  strides.forEach((stride, axis) => {
    dx = spread(dx, axis, Math.abs(stride));
  });
  if (backwards.length > 0) dx = tf.reverse(dx, backwards);
  const before = begin.map((start, axis) => (strides[axis]! < 0 ? start - dx.shape[axis]! + 1 : start));
  return tf.pad(
    dx,
    before.map((start, axis): [number, number] => [start, x.shape[axis]! - start - dx.shape[axis]!]),
  );
}

/** Kernels that move, repeat or choose elements: linear, so each gradient is the adjoint movement. */
export const layoutRules: Rules = {
  BroadcastTo: ofInput((dy, x) => (dy.size === x.size ? tf.reshape(dy, x.shape) : sumTo(dy, x.shape))),
  Concat: rule<tf.ConcatAttrs>({ allInputs: true }, ([dy], inputs, { axis }) => {
    const along_ = axisOf(axis, dy!.rank);
    let end = 0;
    return Object.fromEntries(
      inputs.map((input, i) => {
        const begin = end;
        end += input.shape[along_]!;
        return [i, () => tf.slice(dy!, along(along_, dy!.rank, begin, 0), input.shape)] as const;
      }),
    );
  }),
  ExpandDims: ofInput((dy, x) => tf.reshape(dy, x.shape), 'input'),
  GatherV2: rule<tf.GatherV2Attrs>({ inputs: ['x', 'indices'] }, ([dy], [x, indices], { axis, batchDims }) => ({
    x: () => ungather(dy!, x!, indices!, axisOf(axis, x!.rank), axisOf(batchDims, indices!.rank)),
    indices: () => tf.zeros(indices!.shape),
  })),
  Identity: ofGradient((dy) => tf.clone(dy)),
  Pack: rule<tf.PackAttrs>({ allInputs: true }, ([dy], inputs, { axis }) => {
    const along_ = axisOf(axis, dy!.rank);
    return Object.fromEntries(
      inputs.map((input, i) => {
        const one = () => tf.slice(dy!, along(along_, dy!.rank, i, 0), along(along_, dy!.rank, 1, -1));
        return [i, () => tf.reshape(one(), input.shape)] as const;
      }),
    );
  }),
  PadV2: ofInput<tf.PadV2Attrs>((dy, x, { paddings }) =>
    tf.slice(
      dy,
      paddings.map(([before]) => before),
      x.shape,
    ),
  ),
  Reshape: ofInput((dy, x) => tf.reshape(dy, x.shape)),
  Reverse: ofGradient<tf.ReverseAttrs>((dy, { dims }) => tf.reverse(dy, dims)),
  Slice: ofInput<tf.SliceAttrs>((dy, x, { begin, size }) => {
    const [start, extent] = tf.slice_util.parseSliceParams(x, begin, size) as [number[], number[]];
    return tf.pad(
      dy,
      start.map((first, axis): [number, number] => [first, x.shape[axis]! - first - extent[axis]!]),
    );
  }),
  SplitV: rule<tf.SplitVAttrs>({}, (dys, _, { axis }) => ({ x: () => tf.concat([...dys], axis) })),
  StridedSlice: ofInput<tf.StridedSliceAttrs>(unslice),
  Tile: ofInput<tf.TileAttrs>((dy, x, { reps }) => untile(dy, x.shape, reps)),
  Transpose: ofGradient<tf.TransposeAttrs>((dy, { perm }) =>
    tf.transpose(dy, tf.backend_util.getUndoAxesPermutation(perm)),
  ),
  Unpack: rule<tf.UnpackAttrs>({}, (dys, _, { axis }) => ({ value: () => tf.stack([...dys], axis) })),
};
