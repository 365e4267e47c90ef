import { edm2Config } from '@cm/edm2-unet';
import { key, normal } from '@cm/random';
import { referenceSet, stableTarget } from '@cm/stable-target';
import * as tf from '@tensorflow/tfjs-core';
import { trainingStep } from '../../packages/torch/bench/step';
import { useBackend } from '../backend';
import type { Axis } from '../curves';
import { serve, timed } from '../serve';

// One point of a cost curve: which axis, and where on it. In a process of its own, so that its peak memory is its own.

const axis = process.argv[2] as Axis;
const value = Number(process.argv[3]);
const { about, wait } = await useBackend('torch');
const before = process.memoryUsage().rss / 2 ** 20;

function step() {
  const at = (name: Axis, otherwise: number) => (axis === name ? value : otherwise);
  const config = edm2Config({
    resolution: at('resolution', 32),
    channels: 3,
    modelChannels: at('channels', 64),
    channelMult: [1, 2],
    numBlocks: 1,
    attnResolutions: [],
  });
  return trainingStep(config, at('batch', 8));
}

function target() {
  const dims = 3072;
  const images = new Uint8Array(value * dims).map((_, i) => (i * 2_654_435_761) >>> 24);
  const references = referenceSet({ images, shape: [value, dims], keep: 'float32' });
  const [x0, noise] = [tf.mul(normal(key(2), [128, dims]), 0.3), normal(key(3), [128, dims])];
  const t = Array.from({ length: 128 }, (_, row) => Math.exp(row / 40 - 1.5));
  return async () => {
    const result = stableTarget({ references, x0, noise, t });
    await result.posteriorMean.data();
    tf.dispose({ ...result });
    await wait();
  };
}

await serve(
  {
    time: timed(axis === 'references' ? target : step),
    memory: () => process.resourceUsage().maxRSS / 1024 - before,
  },
  { about },
);
