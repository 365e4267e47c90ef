import { key, normal, normalArray } from '@cm/random';
import { isInstalled } from '@cm/torch';
import * as tf from '@tensorflow/tfjs-core';
import { useBackend } from '../../../bench/backend';
import { tableOf } from '../../../tools/testing/src/markdown';
import { referenceSet, stableTarget } from '../src';

// Class-conditional targets: matrices built once for each class, beside a mask of −∞ over all references.
// From the repository's root: npx tsx packages/stable-target/bench/classes.bench.ts

const [batch, count, dims, classes] = [128, 50_000, 256, 10];
const pattern = Uint8Array.from(normalArray(key(1), 999_983), (z) => 128 + 40 * z);
const images = new Uint8Array(count * dims);
for (let at = 0; at < images.length; at += pattern.length) images.set(pattern.subarray(0, images.length - at), at);
const labels = Array.from({ length: count }, (_, i) => i % classes);
const ofRow = Array.from({ length: batch }, (_, row) => row % classes);

/** Milliseconds, the median of five after a first one. */
function median(f: () => tf.Tensor): number {
  const times = Array.from({ length: 6 }, () => {
    const start = performance.now();
    const result = f();
    result.dataSync();
    result.dispose();
    return performance.now() - start;
  });
  return Math.round(times.slice(1).sort((a, b) => a - b)[2]!);
}

const table: Record<string, Record<string, number>> = {};
for (const backend of isInstalled() ? ['wasm', 'torch'] : ['wasm']) {
  const { about } = await useBackend(backend);
  const references = referenceSet({ images, shape: [count, dims], labels });
  const x0 = tf.mul(normal(key(2), [batch, dims]), 0.3);
  const noise = normal(key(3), [batch, dims]);
  const t = Array.from(normalArray(key(4), batch), (z) => Math.exp(1.5 * z));
  const mean = (options: object) => {
    const { posteriorMean, ...rest } = stableTarget({ references, x0, noise, t, ...options });
    tf.dispose(rest as unknown as tf.NamedTensorMap);
    return posteriorMean;
  };
  const ways: Record<string, () => tf.Tensor> = {
    'all references': () => mean({}),
    'a mask over all': () =>
      tf.tidy(() => {
        const same = tf.equal(tf.tensor2d(ofRow, [batch, 1], 'int32'), tf.tensor2d(labels, [1, count], 'int32'));
        return mean({ logPrior: tf.where(same, 0, Number.NEGATIVE_INFINITY) });
      }),
    'matrices of classes': () => mean({ labels: ofRow }),
  };
  for (const [way, run] of Object.entries(ways)) table[way] = { ...table[way], [`${about}, ms`]: median(run) };
  references.dispose();
}
const title = `${count.toLocaleString('en-US')} references of ${dims} values, ${classes} classes, batch ${batch}`;
console.log(tableOf(title, table));
