import { edm2Denoiser, initEdm2, normalizeWeights } from '@cm/edm2-unet';
import { key } from '@cm/random';
import { sampleHeun, sampleOneStep } from '@cm/samplers';
import type * as tf from '@tensorflow/tfjs-core';
import { benchConfig } from '../../packages/torch/bench/step';
import { useBackend } from '../backend';
import { serve, timed } from '../serve';

await useBackend(process.argv[2]!, process.argv[3]);
const { weights } = normalizeWeights(benchConfig, initEdm2(benchConfig, key(0)));
const model = edm2Denoiser(benchConfig, weights);
const shape: [number, number, number, number] = [16, 32, 32, 3];
const drawn = (sample: () => tf.Tensor4D) => async () => {
  const images = sample();
  await images.data();
  images.dispose();
};
await serve({
  'one step': timed(() => drawn(() => sampleOneStep(model, { shape, key: key(1), sigmaMax: 80 }))),
  '18 Heun steps': timed(() =>
    drawn(() => sampleHeun(model, { shape, key: key(1), steps: 18, sigmaMin: 0.002, sigmaMax: 80 })),
  ),
});
