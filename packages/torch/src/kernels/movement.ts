import * as tf from '@tensorflow/tfjs-core';
import { type TorchBackend, typeCode, view } from '../backend';
import { axesOf, define, listOf } from './define';

const size = (shape: readonly number[]) => tf.util.sizeFromShape([...shape]);

/** The same data under another shape. */
function shared(backend: TorchBackend, x: tf.TensorInfo, shape: readonly number[]): tf.TensorInfo {
  backend.incRef(x.dataId);
  return view(x, shape);
}

const sliced = (backend: TorchBackend, x: tf.TensorInfo, begin: readonly number[], sizes: readonly number[]) =>
  backend.call('Slice', x, begin, sizes);

function concatenated(backend: TorchBackend, inputs: readonly tf.TensorInfo[], axis: number): tf.TensorInfo {
  const shape = tf.backend_util.computeOutShape(
    inputs.map((x) => x.shape),
    axis,
  );
  const filled = inputs.filter((x) => size(x.shape) > 0);
  if (filled.length === 0) return backend.make(new Float32Array(0), shape, inputs[0]!.dtype);
  return filled.length === 1 ? shared(backend, filled[0]!, shape) : backend.call('Concat', axis, filled);
}

/** Reshape, transposition, reshape: what moves values between channels, pixels and the batch. */
function rearranged(
  backend: TorchBackend,
  x: tf.TensorInfo,
  split: readonly number[],
  order: readonly number[],
  joined: readonly number[],
): tf.TensorInfo {
  return view(backend.call('Transpose', view(x, split), order), joined);
}

/** The depth and the inner size of scattered or gathered rows, and the sizes of the axes that are indexed. */
function scatterSizes(updates: tf.TensorInfo, indices: tf.TensorInfo, shape: number[]) {
  const { sliceRank, numUpdates, sliceSize } = tf.backend_util.calculateShapes(
    updates as unknown as tf.Tensor,
    indices as unknown as tf.Tensor,
    shape,
  );
  return { depth: sliceRank, count: numUpdates, inner: sliceSize, sizes: shape.slice(0, sliceRank) };
}

/** What only moves values. */
export const movement: tf.KernelConfig[] = [
  {
    kernelName: tf.Identity,
    backendName: 'torch',
    kernelFunc: ({ inputs, backend }) => {
      const x = inputs.x as tf.TensorInfo;
      return shared(backend as TorchBackend, x, x.shape);
    },
  },
  {
    kernelName: tf.Reshape,
    backendName: 'torch',
    kernelFunc: ({ inputs, attrs, backend }) => {
      const x = inputs.x as tf.TensorInfo;
      const shape = tf.util.inferFromImplicitShape((attrs as unknown as tf.ReshapeAttrs).shape, size(x.shape));
      if (size(shape) !== size(x.shape)) {
        throw new Error(`Reshape: the new shape [${shape}] has ${size(shape)} values, expected those of [${x.shape}]`);
      }
      return shared(backend as TorchBackend, x, shape);
    },
  },
  {
    kernelName: tf.ExpandDims,
    backendName: 'torch',
    kernelFunc: ({ inputs, attrs, backend }) => {
      const input = inputs.input as tf.TensorInfo;
      const { dim } = attrs as unknown as tf.ExpandDimsAttrs;
      const rank = input.shape.length;
      tf.util.assert(
        -(rank + 1) <= dim && dim <= rank,
        () => `ExpandDims: axis is ${dim}, expected ${-rank - 1} to ${rank}`,
      );
      const shape = [...input.shape];
      shape.splice(dim < 0 ? rank + dim + 1 : dim, 0, 1);
      return shared(backend as TorchBackend, input, shape);
    },
  },
  define<'x', tf.SliceAttrs>(tf.Slice, ({ inputs: { x }, attrs, backend }) => {
    const [begin, sizes] = tf.slice_util.parseSliceParams(x as unknown as tf.Tensor, attrs.begin, attrs.size) as [
      number[],
      number[],
    ];
    tf.slice_util.assertParamsValid(x as unknown as tf.Tensor, begin, sizes);
    return sliced(backend, x, begin, sizes);
  }),
  define<'x', tf.StridedSliceAttrs>(tf.StridedSlice, ({ inputs: { x }, attrs, backend }) => {
    const { begin, end, strides, beginMask, endMask, ellipsisMask, newAxisMask, shrinkAxisMask } = attrs;
    const info = tf.slice_util.sliceInfo(
      x.shape,
      begin,
      end,
      strides,
      beginMask,
      endMask,
      ellipsisMask,
      newAxisMask,
      shrinkAxisMask,
    );
    if (info.isIdentity) return shared(backend, x, info.finalShape);
    return view(backend.call('StridedSlice', x, info.begin, info.end, info.strides), info.finalShape);
  }),
  define<never, tf.ConcatAttrs>(tf.Concat, ({ inputs, attrs, backend }) => {
    const list = listOf(inputs);
    const axis = axesOf(attrs.axis, list[0]!)[0]!;
    tf.backend_util.assertParamsConsistent(
      list.map((x) => x.shape),
      axis,
    );
    return concatenated(backend, list, axis);
  }),
  define<'x', tf.SplitVAttrs>(tf.SplitV, ({ inputs: { x }, attrs, backend }) => {
    const axis = axesOf(attrs.axis, x)[0]!;
    const sizes = tf.backend_util.prepareSplitSize(x as unknown as tf.Tensor, attrs.numOrSizeSplits, axis);
    return backend.callMany(sizes.length, 'SplitV', x, axis, sizes);
  }),
  define<never, tf.PackAttrs>(tf.Pack, ({ inputs, attrs, backend }) => {
    const list = listOf(inputs);
    const shape = [...list[0]!.shape];
    const axis = attrs.axis < 0 ? attrs.axis + shape.length + 1 : attrs.axis;
    for (const x of list) {
      tf.util.assertShapesMatch(x.shape, list[0]!.shape, 'Pack: all tensors must have one shape. ');
      tf.util.assert(x.dtype === list[0]!.dtype, () => `Pack: a tensor is ${x.dtype}, expected ${list[0]!.dtype}`);
    }
    shape.splice(axis, 0, 1);
    return concatenated(
      backend,
      list.map((x) => view(x, shape)),
      axis,
    );
  }),
  define<'value', tf.UnpackAttrs>(tf.Unpack, ({ inputs: { value }, attrs, backend }) => {
    const axis = axesOf(attrs.axis, value)[0]!;
    const count = value.shape[axis]!;
    const shape = value.shape.filter((_, i) => i !== axis);
    const ones = new Array<number>(count).fill(1);
    return backend.callMany(count, 'SplitV', value, axis, ones).map((part) => view(part, shape));
  }),
  define<'x', tf.PadV2Attrs>(tf.PadV2, ({ inputs: { x }, attrs: { paddings, constantValue }, backend }) =>
    backend.call('PadV2', x, paddings.flat(), constantValue),
  ),
  define<'x', tf.MirrorPadAttrs>(tf.MirrorPad, ({ inputs: { x }, attrs: { paddings, mode }, backend }) =>
    backend.call('MirrorPad', x, paddings.flat(), mode === 'reflect' ? 0 : 1),
  ),
  define<'x', tf.TransposeAttrs>(tf.Transpose, ({ inputs: { x }, attrs: { perm }, backend }) =>
    backend.call('Transpose', x, perm),
  ),
  define<'x', tf.ReverseAttrs>(tf.Reverse, ({ inputs: { x }, attrs: { dims }, backend }) =>
    backend.call('Reverse', x, axesOf(dims, x)),
  ),
  define<'image'>(tf.FlipLeftRight, ({ inputs: { image }, backend }) => backend.call('Reverse', image, [2])),
  define<'x', tf.TileAttrs>(tf.Tile, ({ inputs: { x }, attrs: { reps }, backend }) => backend.call('Tile', x, reps)),
  define<'x' | 'indices', tf.GatherV2Attrs>(
    tf.GatherV2,
    ({ inputs: { x, indices }, attrs: { axis, batchDims = 0 }, backend }) => {
      const info = tf.backend_util.segment_util.collectGatherOpShapeInfo(
        x as unknown as tf.Tensor,
        indices as unknown as tf.Tensor,
        axesOf(axis, x)[0]!,
        batchDims,
      );
      const gathered = backend.call(
        'GatherV2',
        view(x, [info.batchSize, info.outerSize, info.dimSize, info.sliceSize]),
        view(indices, [info.batchSize, size(indices.shape) / info.batchSize]),
      );
      return view(gathered, info.outputShape);
    },
  ),
  define<'params' | 'indices'>(tf.GatherNd, ({ inputs: { params, indices }, backend }) => {
    const [shape, count, inner] = tf.backend_util.prepareAndValidate(
      params as unknown as tf.Tensor,
      indices as unknown as tf.Tensor,
    );
    const depth = indices.shape[indices.shape.length - 1]!;
    const sizes = params.shape.slice(0, depth);
    const gathered = backend.call('GatherNd', view(params, [size(sizes), inner]), view(indices, [count, depth]), sizes);
    return view(gathered, shape);
  }),
  define<'indices' | 'updates', tf.ScatterNdAttrs>(
    tf.ScatterNd,
    ({ inputs: { indices, updates }, attrs: { shape }, backend }) => {
      const { depth, count, inner, sizes } = scatterSizes(updates, indices, shape);
      const scattered = backend.call('ScatterNd', view(indices, [count, depth]), view(updates, [count, inner]), sizes);
      return view(scattered, shape);
    },
  ),
  define<'tensor' | 'indices' | 'updates'>(
    tf.TensorScatterUpdate,
    ({ inputs: { tensor, indices, updates }, backend }) => {
      const { depth, count, inner, sizes } = scatterSizes(updates, indices, tensor.shape);
      const updated = backend.call(
        'TensorScatterUpdate',
        view(tensor, [size(sizes), inner]),
        view(indices, [count, depth]),
        view(updates, [count, inner]),
        sizes,
      );
      return view(updated, tensor.shape);
    },
  ),
  define<'indices', tf.OneHotAttrs>(
    tf.OneHot,
    ({ inputs: { indices }, attrs: { depth, onValue, offValue, dtype }, backend }) =>
      backend.call('OneHot', indices, depth, onValue, offValue, typeCode(dtype ?? 'int32')),
  ),
  define<'x'>(tf.Diag, ({ inputs: { x }, backend }) => backend.call('Diag', x)),
  define<'x', tf.DepthToSpaceAttrs>(
    tf.DepthToSpace,
    ({ inputs: { x }, attrs: { blockSize: b, dataFormat }, backend }) => {
      if (dataFormat === 'NCHW') {
        const [n, c, h, w] = x.shape as [number, number, number, number];
        const d = c / (b * b);
        return rearranged(backend, x, [n, b, b, d, h, w], [0, 3, 4, 1, 5, 2], [n, d, h * b, w * b]);
      }
      const [n, h, w, c] = x.shape as [number, number, number, number];
      const d = c / (b * b);
      return rearranged(backend, x, [n, h, w, b, b, d], [0, 1, 3, 2, 4, 5], [n, h * b, w * b, d]);
    },
  ),
  define<'x', tf.BatchToSpaceNDAttrs>(tf.BatchToSpaceND, ({ inputs: { x }, attrs: { blockShape, crops }, backend }) => {
    const block = blockShape.reduce((a, b) => a * b, 1);
    const split = tf.backend_util.getReshaped(x.shape, blockShape, block);
    const order = tf.backend_util.getPermuted(split.length, blockShape.length);
    const joined = tf.backend_util.getReshapedPermuted(x.shape, blockShape, block);
    const begin = tf.backend_util.getSliceBeginCoords(crops, blockShape.length);
    const sizes = tf.backend_util.getSliceSize(joined, crops, blockShape.length);
    const wide = rearranged(backend, x, split, order, joined);
    const result = sliced(backend, wide, begin, sizes);
    backend.disposeData(wide.dataId);
    return result;
  }),
  define<'x', tf.SpaceToBatchNDAttrs>(
    tf.SpaceToBatchND,
    ({ inputs: { x }, attrs: { blockShape, paddings }, backend }) => {
      const block = blockShape.reduce((a, b) => a * b, 1);
      const pairs = [[0, 0], ...paddings];
      while (pairs.length < x.shape.length) pairs.push([0, 0]);
      const padded = backend.call('PadV2', x, pairs.flat(), 0);
      const split = tf.backend_util.getReshaped(padded.shape, blockShape, block, false);
      const order = tf.backend_util.getPermuted(split.length, blockShape.length, false);
      const joined = tf.backend_util.getReshapedPermuted(padded.shape, blockShape, block, false);
      const result = rearranged(backend, padded, split, order, joined);
      backend.disposeData(padded.dataId);
      return result;
    },
  ),
];
