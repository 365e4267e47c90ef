import * as tf from '@tensorflow/tfjs-core';
import { defineKernel, type WasmKernel } from '../kernel';
import type { KernelModule } from '../module';
import { collapse, forFourAxes, rowMajor } from '../strides';

type Tensor = tf.TensorInfo;

const isFourBytes = ({ dtype }: Tensor): boolean => dtype === 'float32' || dtype === 'int32';

/** Copies a box of `shape` between strided places of two tensors; offsets and strides count elements. */
function copyBox(
  module: KernelModule,
  shape: readonly number[],
  from: { tensor: Tensor; offset: number; strides: readonly number[] },
  to: { tensor: Tensor; offset: number; strides: readonly number[] },
): void {
  const [fromAt, toAt] = [module.offset(from.tensor), module.offset(to.tensor)];
  forFourAxes({ shape, strides: [from.strides, to.strides] }, (extents, [x, y], [xOffset, yOffset]) => {
    module.native.copy(
      fromAt + 4 * (from.offset + xOffset!),
      toAt + 4 * (to.offset + yOffset!),
      ...extents,
      ...x!,
      ...y!,
    );
  });
}

function sliceOf(module: KernelModule, x: Tensor, begin: readonly number[], size: readonly number[]): Tensor {
  const strides = rowMajor(x.shape);
  const y = module.output(size, x.dtype);
  const offset = begin.reduce((sum, start, axis) => sum + start * strides[axis]!, 0);
  copyBox(module, size, { tensor: x, offset, strides }, { tensor: y, offset: 0, strides: rowMajor(size) });
  return y;
}

const slice = defineKernel<'x', tf.SliceAttrs>(tf.Slice, ({ inputs: { x }, attrs, module, stock }) => {
  if (!isFourBytes(x)) return stock();
  const [begin, size] = tf.slice_util.parseSliceParams(x as tf.Tensor, attrs.begin, attrs.size) as [number[], number[]];
  tf.slice_util.assertParamsValid(x as tf.Tensor, begin, size);
  return sliceOf(module, x, begin, size);
});

const split = defineKernel<'x', tf.SplitVAttrs>(tf.SplitV, ({ inputs: { x }, attrs, module, stock }) => {
  if (!isFourBytes(x)) return stock();
  const axis = tf.util.parseAxisParam(attrs.axis, x.shape)[0]!;
  let start = 0;
  return tf.backend_util.prepareSplitSize(x as tf.Tensor, attrs.numOrSizeSplits, axis).map((extent) => {
    const at = (values: readonly number[], value: number) => values.map((own, i) => (i === axis ? value : own));
    const begin = at(new Array<number>(x.shape.length).fill(0), start);
    start += extent;
    return sliceOf(module, x, begin, at(x.shape, extent));
  });
});

const concat = defineKernel<string, tf.ConcatAttrs>(tf.Concat, ({ inputs, attrs, module, stock }) => {
  const tensors = Object.values(inputs);
  const first = tensors[0];
  if (!first || !isFourBytes(first) || tensors.some(({ dtype }) => dtype !== first.dtype)) return stock();
  const axis = tf.util.parseAxisParam(attrs.axis, first.shape)[0]!;
  const shapes = tensors.map(({ shape }) => shape);
  tf.backend_util.assertParamsConsistent(shapes, axis);
  const shape = tf.backend_util.computeOutShape(shapes, axis);
  const y = module.output(shape, first.dtype);
  const strides = rowMajor(shape);
  let offset = 0;
  for (const x of tensors) {
    copyBox(module, x.shape, { tensor: x, offset: 0, strides: rowMajor(x.shape) }, { tensor: y, offset, strides });
    offset += x.shape[axis]! * strides[axis]!;
  }
  return y;
});

const tile = defineKernel<'x', tf.TileAttrs>(tf.Tile, ({ inputs: { x }, attrs: { reps }, module, stock }) => {
  if (!isFourBytes(x)) return stock();
  const shape = x.shape.map((extent, axis) => extent * reps[axis]!);
  const y = module.output(shape, x.dtype);
  const [from, to] = [rowMajor(x.shape), rowMajor(shape)];
  copyBox(
    module,
    x.shape.flatMap((extent, axis) => [reps[axis]!, extent]),
    { tensor: x, offset: 0, strides: from.flatMap((stride) => [0, stride]) },
    { tensor: y, offset: 0, strides: to.flatMap((stride, axis) => [stride * x.shape[axis]!, stride]) },
  );
  return y;
});

const reverse = defineKernel<'x', tf.ReverseAttrs>(tf.Reverse, ({ inputs: { x }, attrs: { dims }, module, stock }) => {
  if (!isFourBytes(x) || x.shape.length === 0) return stock();
  const axes = new Set(tf.util.parseAxisParam(dims, x.shape));
  const y = module.output(x.shape, x.dtype);
  const to = rowMajor(x.shape);
  const strides = to.map((stride, axis) => (axes.has(axis) ? -stride : stride));
  const offset = to.reduce((sum, stride, axis) => sum + (axes.has(axis) ? stride * (x.shape[axis]! - 1) : 0), 0);
  copyBox(module, x.shape, { tensor: x, offset, strides }, { tensor: y, offset: 0, strides: to });
  return y;
});

const transpose = defineKernel<'x', tf.TransposeAttrs>(
  tf.Transpose,
  ({ inputs: { x }, attrs: { perm }, module, stock }) => {
    if (!isFourBytes(x)) return stock();
    const own = rowMajor(x.shape);
    const shape = perm.map((axis) => x.shape[axis]!);
    const strides = perm.map((axis) => own[axis]!);
    const walk = collapse({ shape, strides: [strides] });
    // Nothing moves: tfjs shares the values.
    if (walk.shape.length <= 1) return stock();
    const y = module.output(shape, x.dtype);
    const [columns, rows] = walk.shape.slice(-2) as [number, number];
    const [column, row] = walk.strides[0]!.slice(-2);
    if (walk.shape.length <= 3 && column === 1 && row === columns) {
      const batch = tf.util.sizeFromShape(walk.shape.slice(0, -2));
      module.native.transpose(module.offset(x), module.offset(y), batch, rows, columns);
    } else {
      copyBox(module, shape, { tensor: x, offset: 0, strides }, { tensor: y, offset: 0, strides: rowMajor(shape) });
    }
    return y;
  },
);

const pad = defineKernel<'x', tf.PadV2Attrs>(tf.PadV2, ({ inputs: { x }, attrs, module, stock }) => {
  if (!isFourBytes(x)) return stock();
  const { paddings, constantValue } = attrs;
  const shape = x.shape.map((extent, axis) => extent + paddings[axis]![0] + paddings[axis]![1]);
  const y = module.output(shape, x.dtype);
  module.backend.typedArrayFromHeap(y).fill(constantValue);
  const strides = rowMajor(shape);
  const offset = strides.reduce((sum, stride, axis) => sum + stride * paddings[axis]![0], 0);
  copyBox(module, x.shape, { tensor: x, offset: 0, strides: rowMajor(x.shape) }, { tensor: y, offset, strides });
  return y;
});

const gather = defineKernel<'x' | 'indices', tf.GatherV2Attrs>(
  tf.GatherV2,
  ({ inputs: { x, indices }, attrs, module, stock }) => {
    if (!isFourBytes(x) || indices.dtype !== 'int32') return stock();
    const axis = tf.util.parseAxisParam(attrs.axis, x.shape)[0]!;
    const extent = x.shape[axis]!;
    for (const index of module.backend.typedArrayFromHeap(indices)) {
      if (index < 0 || index >= extent) throw new Error(`GatherV2: index ${index} is not in [0, ${extent})`);
    }
    const info = tf.backend_util.segment_util.collectGatherOpShapeInfo(
      x as tf.Tensor,
      indices as tf.Tensor,
      axis,
      attrs.batchDims,
    );
    const y = module.output(info.outputShape, x.dtype);
    module.native.gather_rows(
      module.offset(x),
      module.offset(indices),
      module.offset(y),
      info.batchSize,
      info.outerSize,
      info.dimSize,
      tf.util.sizeFromShape(indices.shape) / info.batchSize,
      info.sliceSize,
    );
    return y;
  },
);

const segmentSum = defineKernel<'x' | 'segmentIds', tf.UnsortedSegmentSumAttrs>(
  tf.UnsortedSegmentSum,
  ({ inputs: { x, segmentIds }, attrs: { numSegments }, module }) => {
    const count = segmentIds.shape[0] ?? 1;
    if (x.dtype !== 'float32' || segmentIds.dtype !== 'int32') {
      throw new Error(
        `UnsortedSegmentSum: x is ${x.dtype} and segmentIds ${segmentIds.dtype}, expected float32 and int32`,
      );
    }
    if (segmentIds.shape.length !== 1 || x.shape[0] !== count) {
      throw new Error(`UnsortedSegmentSum: segmentIds has shape [${segmentIds.shape}], expected [${x.shape[0]}]`);
    }
    const rest = x.shape.slice(1);
    const y = module.output([numSegments, ...rest], 'float32');
    module.native.segment_sum(
      module.offset(x),
      module.offset(segmentIds),
      module.offset(y),
      count,
      numSegments,
      tf.util.sizeFromShape(rest),
    );
    return y;
  },
);

/** Cutting, joining, repeating and picking rows, which tfjs's backend does in JavaScript or a value at a time. */
export const movement: WasmKernel[] = [slice, split, concat, pad, tile, reverse, transpose, gather, segmentSum];
