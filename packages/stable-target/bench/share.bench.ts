import '@cm/gradients';
import { edm2Config, edm2Denoiser, edm2ParameterCount, initEdm2, normalizeWeights } from '@cm/edm2-unet';
import { valueAndGrads } from '@cm/gradients';
import { key, normal, normalArray } from '@cm/random';
import { isInstalled } from '@cm/torch';
import * as tf from '@tensorflow/tfjs-core';
import { useBackend } from '../../../bench/backend';
import { tableOf } from '../../../tools/testing/src/markdown';
import { type KeptAs, referenceSet, stableTarget } from '../src';

// The stable target's cost as a share of a training step on CIFAR-10: whole set as references, batch 128, a network of the recipe's size. The
// network's part is measured on few rows and scaled by their number: it is all but proportional to them.
// From the repository's root: npx tsx packages/stable-target/bench/share.bench.ts

const [batch, count, shape] = [128, 50_000, [32, 32, 3]] as const;
const ROWS = 2;
const dims = 32 * 32 * 3;
const median = (times: number[]) => times.sort((a, b) => a - b)[times.length >> 1]!;
const time = (f: () => void, repeats: number) =>
  median(
    Array.from({ length: repeats }, () => {
      const start = performance.now();
      f();
      return performance.now() - start;
    }),
  );

const pattern = Uint8Array.from(normalArray(key(1), 999_983), (z) => 128 + 40 * z);
const images = new Uint8Array(count * dims);
for (let at = 0; at < images.length; at += pattern.length) images.set(pattern.subarray(0, images.length - at), at);
const network = edm2Config({
  resolution: 32,
  channels: 3,
  modelChannels: 128,
  channelMult: [2, 2, 2],
  numBlocks: 4,
  attnResolutions: [16],
});

/** Milliseconds of a target with each kind of references. */
function targets(): Record<string, number> {
  return tf.tidy(() => {
    const x0 = tf.mul(normal(key(2), [batch, ...shape]), 0.3);
    const noise = normal(key(3), [batch, ...shape]);
    const t = Array.from(normalArray(key(4), batch), (z) => Math.exp(2 * z - 1.1));
    const target = (references: Parameters<typeof stableTarget>[0]['references']) => () => {
      const result = stableTarget({ references, x0, noise, t });
      result.posteriorMean.dataSync();
      tf.dispose({ ...result });
    };
    const whole = (keep: KeptAs) => {
      const references = referenceSet({ images, shape: [count, ...shape], keep });
      target(references)();
      const ms = time(target(references), 3);
      references.dispose();
      return ms;
    };
    target('batch')();
    return {
      'the batch': time(target('batch'), 5),
      'all 50,000, converted from bytes': whole('none'),
      'all 50,000, kept as bytes': whole('bytes'),
      'all 50,000, kept in float32': whole('float32'),
    };
  });
}

/** Milliseconds of a step's network: a student with its gradient and a teacher without. */
function step(): number {
  const params = initEdm2(network, key(0));
  const { weights } = normalizeWeights(network, params);
  const x = normal(key(5), [ROWS, ...shape]) as tf.Tensor4D;
  const level = tf.fill([ROWS], 1) as tf.Tensor1D;
  const student = () => {
    const { value, grads } = valueAndGrads(
      (w) => tf.mean(tf.squaredDifference(edm2Denoiser(network, w)(x, level), x)) as tf.Scalar,
      weights,
    );
    value.dataSync();
    tf.dispose([value, grads]);
  };
  const teacher = () => {
    const y = edm2Denoiser(network, weights)(x, level);
    y.dataSync();
    y.dispose();
  };
  student();
  const ms = ((time(student, 3) + time(teacher, 3)) * batch) / ROWS;
  tf.dispose([params, weights, x, level]);
  return ms;
}

const table: Record<string, Record<string, string>> = {};
const digits = (value: number) => Number(value.toPrecision(2)).toLocaleString('en-US', { maximumFractionDigits: 4 });
for (const backend of isInstalled() ? ['wasm', 'torch'] : ['wasm']) {
  const { about } = await useBackend(backend);
  const whole = step();
  const share = `of a step of ${digits(whole / 1000)} s`;
  for (const [references, ms] of Object.entries(targets())) {
    table[references] = {
      ...table[references],
      [`${about}, ms`]: digits(ms),
      [share]: `${digits((100 * ms) / (whole + ms))} %`,
    };
  }
}
const parameters = (edm2ParameterCount(network) / 1e6).toFixed(1);
console.log(tableOf(`references, beside an EDM2 network of ${parameters} M parameters, batch ${batch}`, table));
