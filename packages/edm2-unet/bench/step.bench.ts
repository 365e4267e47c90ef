import { valueAndGrads } from '@cm/gradients';
import { key, normal } from '@cm/random';
import { useWasm } from '@cm/testing/wasm';
import * as tf from '@tensorflow/tfjs-core';
import {
  type Edm2Config,
  edm2Config,
  edm2Denoiser,
  edm2Flops,
  edm2ParameterCount,
  forceWeightNorm,
  initEdm2,
  normalizeWeights,
} from '../src';
import { profileKernels } from './profile-kernels';

// A training step's network work on the WebAssembly backend, and where its time goes by kernel.
// From the repository's root: npx tsx packages/edm2-unet/bench/step.bench.ts [batch]

const batch = Number(process.argv[2] ?? 64);
const networks: Record<string, Edm2Config> = {
  'three levels, no attention': edm2Config({
    resolution: 16,
    channels: 1,
    modelChannels: 16,
    channelMult: [1, 2, 3],
    numBlocks: 1,
    attnResolutions: [],
    channelsPerHead: 48,
  }),
  'two levels, attention at 8': edm2Config({
    resolution: 16,
    channels: 1,
    modelChannels: 32,
    channelMult: [1, 2],
    numBlocks: 2,
    attnResolutions: [8],
  }),
};

await useWasm();
for (const [name, config] of Object.entries(networks)) measure(name, config);

function measure(name: string, config: Edm2Config): void {
  const params = initEdm2(config, key(0));
  const x = normal(key(1), [batch, 16, 16, 1]) as tf.Tensor4D;
  const t = tf.fill([batch], 1) as tf.Tensor1D;
  const loss = (weights: tf.NamedTensorMap) =>
    tf.mean(tf.squaredDifference(edm2Denoiser(config, weights)(x, t), x)) as tf.Scalar;

  const { weights, pullback } = normalizeWeights(config, params);
  const gradients = () => {
    const { value, grads } = valueAndGrads(loss, weights);
    value.dataSync();
    tf.dispose([value, grads]);
  };
  const ones = Object.fromEntries(Object.entries(weights).map(([name, weight]) => [name, tf.onesLike(weight)]));
  const ms = {
    'forward alone': time(() => tf.dispose(edm2Denoiser(config, weights)(x, t))),
    'forward and backward': time(gradients),
    'forced normalisation': time(() => tf.dispose(forceWeightNorm(config, params))),
    'preparing weights': time(() => tf.dispose(normalizeWeights(config, params).weights)),
    'pulling gradients back': time(() => tf.dispose(pullback(ones))),
  };

  const flops = batch * edm2Flops(config);
  console.log(`\n${name}: ${edm2ParameterCount(config)} parameters, batch ${batch}`);
  const rate = (passes: number, value: number) => Number(((passes * flops) / value / 1e6).toFixed(1));
  const rates: Record<string, number> = {
    'forward alone': rate(1, ms['forward alone']),
    'forward and backward': rate(3, ms['forward and backward']),
  };
  console.table(
    Object.fromEntries(
      Object.entries(ms).map(([part, value]) => [part, { ms: Number(value.toFixed(1)), 'GFLOP/s': rates[part] ?? '' }]),
    ),
  );
  console.table(profileKernels(gradients));
}

/** Median milliseconds of nine runs. */
function time(f: () => void): number {
  f();
  const times = Array.from({ length: 9 }, () => {
    const start = performance.now();
    f();
    return performance.now() - start;
  });
  return times.sort((a, b) => a - b)[4]!;
}
