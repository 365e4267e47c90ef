import * as tf from '@tensorflow/tfjs-core';
import { defineKernel, type WasmKernel } from '../kernel';
import type { NativeName } from '../kernels.generated';
import { broadcastStrides, forFourAxes } from '../strides';

const isFloat = (...tensors: tf.TensorInfo[]): boolean => tensors.every(({ dtype }) => dtype === 'float32');

/** y = operation(a, b), operands broadcast against each other; float32 alone, other types are left to tfjs. */
function binary(name: string, native: NativeName, options: { dtype?: 'bool'; swapped?: boolean } = {}): WasmKernel {
  return defineKernel<'a' | 'b'>(name, ({ inputs: { a, b }, module, stock }) => {
    if (!isFloat(a, b)) return stock();
    const [first, second] = options.swapped ? [b, a] : [a, b];
    const operation = module.native[native];
    if (tf.util.arraysEqual(a.shape, b.shape)) {
      const y = module.output(a.shape, options.dtype ?? 'float32');
      const size = tf.util.sizeFromShape(a.shape);
      operation(module.offset(first), module.offset(second), module.offset(y), 1, 1, 1, size, 0, 0, 0, 1, 0, 0, 0, 1);
      return y;
    }
    const shape = tf.backend_util.assertAndGetBroadcastShape(a.shape, b.shape);
    const y = module.output(shape, options.dtype ?? 'float32');
    const [firstAt, secondAt, yAt] = [module.offset(first), module.offset(second), module.offset(y)];
    const bytes = tf.util.bytesPerElement(y.dtype);
    let done = 0;
    forFourAxes(
      { shape, strides: [broadcastStrides(first.shape, shape), broadcastStrides(second.shape, shape)] },
      (extents, [firstStrides, secondStrides], [firstFrom, secondFrom]) => {
        operation(
          firstAt + 4 * firstFrom!,
          secondAt + 4 * secondFrom!,
          yAt + bytes * done,
          ...extents,
          ...firstStrides!,
          ...secondStrides!,
        );
        done += tf.util.sizeFromShape([...extents]);
      },
    );
    return y;
  });
}

/** y = operation(x), float32. */
function unary(name: string, native: NativeName): WasmKernel {
  return defineKernel<'x'>(name, ({ inputs: { x }, module, stock }) => {
    if (!isFloat(x)) return stock();
    const y = module.output(x.shape, 'float32');
    module.native[native](module.offset(x), module.offset(y), tf.util.sizeFromShape(x.shape));
    return y;
  });
}

/** y = condition ? t : e where all three have one shape. */
const select = defineKernel<'condition' | 't' | 'e'>(tf.Select, ({ inputs: { condition, t, e }, module, stock }) => {
  if (!isFloat(t, e) || !tf.util.arraysEqual(condition.shape, t.shape)) return stock();
  const y = module.output(t.shape, 'float32');
  const size = tf.util.sizeFromShape(t.shape);
  module.native.select(module.offset(condition), module.offset(t), module.offset(e), module.offset(y), size);
  return y;
});

/** Arithmetic and comparisons that tfjs's own kernels broadcast, compare or select slower than memory moves. */
export const elementwise: WasmKernel[] = [
  binary(tf.Add, 'add'),
  binary(tf.Sub, 'subtract'),
  binary(tf.Multiply, 'multiply'),
  binary(tf.RealDiv, 'divide'),
  binary(tf.Maximum, 'maximum'),
  binary(tf.Minimum, 'minimum'),
  binary(tf.Greater, 'greater', { dtype: 'bool' }),
  binary(tf.GreaterEqual, 'greater_equal', { dtype: 'bool' }),
  binary(tf.Less, 'greater', { dtype: 'bool', swapped: true }),
  binary(tf.LessEqual, 'greater_equal', { dtype: 'bool', swapped: true }),
  binary(tf.Equal, 'equal', { dtype: 'bool' }),
  binary(tf.NotEqual, 'not_equal', { dtype: 'bool' }),
  unary(tf.Exp, 'exponential'),
  unary(tf.Sqrt, 'square_root'),
  unary(tf.Rsqrt, 'reciprocal_square_root'),
  select,
];
