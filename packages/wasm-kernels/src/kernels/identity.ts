import { defineKernel } from '../kernel';

/**
 * A clone that shares its data, as on every other backend; the stock kernel copies it. tfjs clones each tensor that it saves for
 * a gradient, so the copies would be half of a training step's memory.
 */
export const identity = defineKernel<'x'>('Identity', ({ inputs: { x }, module, stock }) => {
  if (x.dtype === 'string') return stock();
  module.backend.incRef(x.dataId);
  return { dataId: x.dataId, shape: x.shape, dtype: x.dtype };
});
