import * as tf from '@tensorflow/tfjs-core';
import { defineKernel, type WasmKernel } from '../kernel';
import type { KernelModule } from '../module';

/** softmax over the last axis */
const softmax = defineKernel<'logits', { dim: number }>(
  tf.Softmax,
  ({ inputs: { logits }, attrs: { dim }, module, stock }) => {
    const rank = logits.shape.length;
    if (logits.dtype !== 'float32' || (dim !== -1 && dim !== rank - 1)) return stock();
    const n = logits.shape[rank - 1] ?? 1;
    const size = tf.util.sizeFromShape(logits.shape);
    const y = module.output(logits.shape, 'float32');
    if (size > 0) module.native.softmax(module.offset(logits), module.offset(y), size / n, n);
    return y;
  },
);

type Sizes = readonly [batch: number, pixels: number, heads: number, size: number];

function sizesOf(kernel: string, qkv: tf.TensorInfo, heads: number): Sizes {
  if (qkv.dtype !== 'float32') throw new Error(`${kernel}: qkv is ${qkv.dtype}, expected float32`);
  const [batch, pixels, triple] = qkv.shape as [number, number, number];
  const size = triple / (3 * heads);
  if (qkv.shape.length !== 3 || !(Number.isInteger(size) && size > 0)) {
    throw new Error(`${kernel}: qkv has shape [${qkv.shape}], expected [batch, pixels, 3·heads·d] with ${heads} heads`);
  }
  return [batch, pixels, heads, size];
}

function run(module: KernelModule, gradient: boolean, tensors: readonly tf.TensorInfo[], sizes: Sizes): void {
  const [, pixels, , size] = sizes;
  const { native } = module;
  const at = tensors.map(module.offset);
  module.withScratch(native.attention_scratch_bytes(pixels, size, gradient ? 1 : 0), (scratch) =>
    native[gradient ? 'attention_grad' : 'attention'](...at, ...sizes, 1 / Math.sqrt(size), scratch),
  );
}

/** softmax(q·kᵀ/√d)·v of qkv [batch, pixels, 3·heads·d], ordered (which, head, channel): [batch, pixels, heads·d]. */
const attention = defineKernel<'qkv', { heads: number }>(
  'Attention',
  ({ inputs: { qkv }, attrs: { heads }, module }) => {
    const sizes = sizesOf('Attention', qkv, heads);
    const [batch, pixels, , size] = sizes;
    const y = module.output([batch, pixels, heads * size], 'float32');
    run(module, false, [qkv, y], sizes);
    return y;
  },
);

const attentionGrad = defineKernel<'qkv' | 'dy', { heads: number }>(
  'AttentionGrad',
  ({ inputs: { qkv, dy }, attrs: { heads }, module }) => {
    const sizes = sizesOf('AttentionGrad', qkv, heads);
    const [batch, pixels, , size] = sizes;
    if (dy.dtype !== 'float32' || !tf.util.arraysEqual(dy.shape, [batch, pixels, heads * size])) {
      throw new Error(
        `AttentionGrad: dy is ${dy.dtype} [${dy.shape}], expected float32 [${[batch, pixels, heads * size]}]`,
      );
    }
    const dqkv = module.output(qkv.shape, 'float32');
    run(module, true, [qkv, dy, dqkv], sizes);
    return dqkv;
  },
);

/** Softmax, and attention with its gradient. */
export const attentions: readonly WasmKernel[] = [softmax, attention, attentionGrad];
