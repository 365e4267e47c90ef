import * as tf from '@tensorflow/tfjs-core';
import { elementwise } from './elementwise';
import { fused } from './fused';
import { hostKernels } from './host';
import { image } from './image';
import { movement } from './movement';
import { products } from './products';
import { reductions } from './reductions';

/** Registers every kernel of this backend. */
export function registerKernels(): void {
  for (const kernel of [...elementwise, ...reductions, ...products, ...movement, ...image, ...fused, ...hostKernels]) {
    tf.registerKernel(kernel);
  }
}
