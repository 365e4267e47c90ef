import { edm2Denoiser, normalizeWeights } from '@cm/edm2-unet';
import { sampleHeun, sampleOneStep } from '@cm/samplers';
import type * as tf from '@tensorflow/tfjs-core';
import { benchConfig, stepInputs } from '../../packages/torch/bench/step';
import { useBackend } from '../backend';
import { serve, timed } from '../serve';
import { samplingOptions } from './sampling-settings';

const [name, precision = 'float32'] = process.argv.slice(2);
const { about } = await useBackend(name!, precision);
const { weights } = normalizeWeights(benchConfig, stepInputs(benchConfig, 1).params);
const model = edm2Denoiser(benchConfig, weights);
const found: number[] = [];
const drawn = (sample: () => tf.Tensor4D) => {
  let first = true;
  return async () => {
    const images = sample();
    const values = await images.data();
    if (first) found.push(...values.slice(0, 16));
    first = false;
    images.dispose();
  };
};
await serve(
  {
    [`one step, ${precision}`]: timed(() => drawn(() => sampleOneStep(model, samplingOptions))),
    [`18 Heun steps, ${precision}`]: timed(
      () => drawn(() => sampleHeun(model, { ...samplingOptions, steps: 18, sigmaMin: 0.002 })),
      { warm: true },
    ),
  },
  { about, check: () => found },
);
