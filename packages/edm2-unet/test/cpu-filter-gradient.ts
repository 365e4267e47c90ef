import * as tf from '@tensorflow/tfjs-core';

interface Inputs {
  x: tf.TensorInfo;
  dy: tf.TensorInfo;
}

interface Backend {
  makeTensorInfo(shape: number[], dtype: 'float32', values: Float32Array): tf.TensorInfo;
  readSync(id: object): Float32Array;
}

/**
 * Puts plain loops over typed arrays in the place of the cpu backend's filter gradient, which takes most of the time of a
 * test of the network's gradients there. Stride 1, NHWC.
 */
export function speedUpCpuFilterGradient(): void {
  if (!tf.getKernel(tf.Conv2DBackpropFilter, 'cpu')) return;
  tf.unregisterKernel(tf.Conv2DBackpropFilter, 'cpu');
  tf.registerKernel({
    kernelName: tf.Conv2DBackpropFilter,
    backendName: 'cpu',
    kernelFunc: ({ inputs, backend, attrs }) => {
      const { x, dy } = inputs as unknown as Inputs;
      const { filterShape, strides, pad, dimRoundingMode } = attrs as unknown as tf.Conv2DBackpropFilterAttrs;
      const info = tf.backend_util.computeConv2DInfo(
        x.shape as [number, number, number, number],
        filterShape,
        strides,
        1,
        pad,
        dimRoundingMode,
      );
      if (info.strideHeight !== 1 || info.strideWidth !== 1) throw new Error('speedUpCpuFilterGradient: stride 1 only');
      const cpu = backend as Backend;
      const dw = filterGradient(info, cpu.readSync(x.dataId), cpu.readSync(dy.dataId));
      return cpu.makeTensorInfo([...filterShape], 'float32', dw);
    },
  });
}

function filterGradient(info: tf.backend_util.Conv2DInfo, x: Float32Array, dy: Float32Array): Float32Array {
  const { batchSize, inHeight, inWidth, inChannels, outHeight, outWidth, outChannels, filterHeight, filterWidth } =
    info;
  const dw = new Float32Array(filterHeight * filterWidth * inChannels * outChannels);
  for (let b = 0; b < batchSize; b++) {
    for (let oy = 0; oy < outHeight; oy++) {
      for (let ox = 0; ox < outWidth; ox++) {
        const dyAt = ((b * outHeight + oy) * outWidth + ox) * outChannels;
        for (let ky = 0; ky < filterHeight; ky++) {
          const iy = oy + ky - info.padInfo.top;
          if (iy < 0 || iy >= inHeight) continue;
          for (let kx = 0; kx < filterWidth; kx++) {
            const ix = ox + kx - info.padInfo.left;
            if (ix < 0 || ix >= inWidth) continue;
            const xAt = ((b * inHeight + iy) * inWidth + ix) * inChannels;
            let at = (ky * filterWidth + kx) * inChannels * outChannels;
            for (let i = 0; i < inChannels; i++) {
              const value = x[xAt + i]!;
              for (let o = 0; o < outChannels; o++) dw[at++]! += value * dy[dyAt + o]!;
            }
          }
        }
      }
    }
  }
  return dw;
}
