import '@cm/gradients';
import { edm2Config, edm2Denoiser, edm2Flops, edm2ParameterCount, initEdm2, normalizeWeights } from '@cm/edm2-unet';
import { valueAndGrads } from '@cm/gradients';
import { key, normal, normalArray } from '@cm/random';
import { useWasm } from '@cm/testing/wasm';
import * as tf from '@tensorflow/tfjs-core';
import { type KeptAs, referenceSet, stableTarget } from '../src';

// The stable target's cost as a share of a training step on CIFAR-10: whole set as references, batch 128, a network of the recipe's size. The
// network's part is measured on few rows and scaled by their number: it is all but proportional to them.
// One thread on either backend. From the repository's root: npx tsx packages/stable-target/bench/share.bench.ts wasm|torch [rows]

const [backend = 'wasm', rowsGiven = '2'] = process.argv.slice(2);
if (backend === 'torch') {
  const { configureTorch } = await import('@cm/torch');
  await tf.setBackend('torch');
  configureTorch({ threads: 1 });
} else await useWasm();

const [batch, count, shape] = [128, 50_000, [32, 32, 3]] as const;
const rows = Number(rowsGiven);
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
const x0 = tf.mul(normal(key(2), [batch, ...shape]), 0.3);
const noise = normal(key(3), [batch, ...shape]);
const t = Array.from(normalArray(key(4), batch), (z) => Math.exp(2 * z - 1.1));
const target = (references: Parameters<typeof stableTarget>[0]['references']) => () => {
  const result = stableTarget({ references, x0, noise, t });
  result.posteriorMean.dataSync();
  tf.dispose({ ...result });
};
const measure = (keep: KeptAs) => {
  const references = referenceSet({ images, shape: [count, ...shape], keep });
  target(references)();
  const ms = time(target(references), 3);
  references.dispose();
  return ms;
};
const fromBytes = measure('none');
const kept = measure('float32');
target('batch')();
const inBatch = time(target('batch'), 5);

const network = edm2Config({
  resolution: 32,
  channels: 3,
  modelChannels: 128,
  channelMult: [2, 2, 2],
  numBlocks: 4,
  attnResolutions: [16],
});
const params = initEdm2(network, key(0));
const { weights } = normalizeWeights(network, params);
const x = normal(key(5), [rows, ...shape]) as tf.Tensor4D;
const level = tf.fill([rows], 1) as tf.Tensor1D;
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
const step = ((time(student, 3) + time(teacher, 3)) * batch) / rows;
const parameters = (edm2ParameterCount(network) / 1e6).toFixed(1);
console.log(`${backend}: student and teacher, EDM2 of ${parameters} M parameters, batch ${batch} (from ${rows} rows)`, {
  seconds: Number((step / 1000).toFixed(1)),
  'GFLOP/s': Number(((4 * batch * edm2Flops(network)) / step / 1e6).toFixed(1)),
});
const share = (ms: number) => ({
  ms: Math.round(ms),
  'share of a step': `${((100 * ms) / (step + ms)).toPrecision(2)} %`,
});
console.table({
  'references in the batch': share(inBatch),
  'all 50,000, converted from bytes': share(fromBytes),
  'all 50,000, kept on the backend': share(kept),
});
