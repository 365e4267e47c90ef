import * as tf from '@tensorflow/tfjs-core';
import { defineKernel, type WasmKernel } from '../kernel';

const avgPoolGradient = defineKernel<'dy' | 'input', tf.AvgPoolGradAttrs>(
  tf.AvgPoolGrad,
  ({ inputs: { dy, input }, attrs: { filterSize, strides, pad }, module, stock }) => {
    if (dy.dtype !== 'float32' || input.dtype !== 'float32') return stock();
    const shape = input.shape as [number, number, number, number];
    const info = tf.backend_util.computePool2DInfo(shape, filterSize, strides, 1, pad);
    if (!tf.util.arraysEqual(dy.shape, info.outShape)) {
      throw new Error(`AvgPoolGrad: dy has shape [${dy.shape}], expected [${info.outShape}]`);
    }
    const dx = module.output(shape, 'float32');
    module.native.avg_pool_gradient(
      module.offset(dy),
      module.offset(dx),
      info.batchSize,
      info.inHeight,
      info.inWidth,
      info.inChannels,
      info.outHeight,
      info.outWidth,
      info.filterHeight,
      info.filterWidth,
      info.strideHeight,
      info.strideWidth,
      info.padInfo.top,
      info.padInfo.left,
    );
    return dx;
  },
);

/** The gradient of average pooling. */
export const pooling: WasmKernel[] = [avgPoolGradient];
