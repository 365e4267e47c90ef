import '@tensorflow/tfjs-backend-cpu';
import { expectClose, unit } from '@cm/testing';
import { isInstalled, useTensorFlow } from '@cm/tfjs-node';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';

const convolutions = [
  tf.Conv2D,
  tf.Conv2DBackpropInput,
  tf.Conv2DBackpropFilter,
  tf.DepthwiseConv2dNative,
  tf.DepthwiseConv2dNativeBackpropInput,
  tf.DepthwiseConv2dNativeBackpropFilter,
];

const pads = [
  2,
  [
    [0, 0],
    [1, 1],
    [1, 0],
    [0, 0],
  ],
];

/** Runs a convolution's kernel on 5 × 6 images by a 3 × 3 filter, stride 2, on a backend. */
async function convolve(backend: string, name: string, pad: unknown): Promise<Float32Array> {
  await tf.setBackend(backend);
  const x = tf.tensor(unit('x', [2, 5, 6, 3]), [2, 5, 6, 3]);
  const channels = name.startsWith('Depthwise') ? 2 : 4;
  const filter = tf.tensor(unit('filter', [3, 3, 3, channels]), [3, 3, 3, channels]);
  const attributes = {
    ...{ strides: [2, 2], dilations: [1, 1], pad, dataFormat: 'NHWC' },
    ...(name.includes('Input') && { inputShape: x.shape }),
    ...(name.includes('Filter') && { filterShape: filter.shape }),
  };
  const out = name.startsWith('Depthwise') ? 6 : 4;
  const [height, width] = pad === 2 ? ([4, 4] as const) : ([3, 3] as const);
  const dy = tf.tensor(unit('dy', [2, height, width, out]), [2, height, width, out]);
  const inputs = { ...(!name.includes('Input') && { x }), ...(!name.includes('BackpropFilter') && { filter }), dy };
  const result: tf.Tensor = tf.engine().runKernel(name, inputs as never, attributes as never);
  return result.dataSync<'float32'>();
}

describe.skipIf(!isInstalled())('what tfjs-node leaves out (tested where `cm-tfjs-node setup` has been run)', () => {
  beforeAll(() => useTensorFlow());

  it.each(convolutions)('%s takes numeric and explicit padding', async (name) => {
    for (const pad of pads) {
      expectClose(await convolve('tensorflow', name, pad), await convolve('cpu', name, pad), 1e-5);
    }
  });

  it('gathers along an axis counted from the last', async () => {
    await useTensorFlow();
    const x = tf.tensor2d([1, 2, 3, 4, 5, 6], [2, 3]);
    expect([...tf.gather(x, tf.tensor1d([2, 0], 'int32'), -1).dataSync()]).toEqual([3, 1, 6, 4]);
  });
});
