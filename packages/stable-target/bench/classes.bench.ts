import { key, normal, normalArray } from '@cm/random';
import { useWasm } from '@cm/testing/wasm';
import { configureTorch, isInstalled } from '@cm/torch';
import * as tf from '@tensorflow/tfjs-core';
import { referenceSet, stableTarget } from '../src';

// Class-conditional targets: matrices built once for each class, beside a mask of −∞ over all references.
// One thread on either backend. From the repository's root: npx tsx packages/stable-target/bench/classes.bench.ts

const [batch, count, dims, classes] = [128, 50_000, 256, 10];
const pattern = Uint8Array.from(normalArray(key(1), 999_983), (z) => 128 + 40 * z);
const images = new Uint8Array(count * dims);
for (let at = 0; at < images.length; at += pattern.length) images.set(pattern.subarray(0, images.length - at), at);
const labels = Array.from({ length: count }, (_, i) => i % classes);
const ofRow = Array.from({ length: batch }, (_, row) => row % classes);

const median = (f: () => tf.Tensor) => {
  const times = Array.from({ length: 6 }, () => {
    const start = performance.now();
    const result = f();
    result.dataSync();
    result.dispose();
    return performance.now() - start;
  });
  return {
    first: Math.round(times[0]!),
    ms: Number(
      times
        .slice(1)
        .sort((a, b) => a - b)[2]!
        .toFixed(1),
    ),
  };
};

const table: Record<string, object> = {};
for (const [backend, use] of Object.entries({ wasm: useWasm, torch: () => tf.setBackend('torch') })) {
  if (backend === 'torch' && !isInstalled()) continue;
  await use();
  if (backend === 'torch') configureTorch({ threads: 1 });
  const references = referenceSet({ images, shape: [count, dims], labels });
  const x0 = tf.mul(normal(key(2), [batch, dims]), 0.3);
  const noise = normal(key(3), [batch, dims]);
  const t = Array.from(normalArray(key(4), batch), (z) => Math.exp(1.5 * z));
  const mean = (options: object) => {
    const { posteriorMean, ...rest } = stableTarget({ references, x0, noise, t, ...options });
    tf.dispose(rest as unknown as tf.NamedTensorMap);
    return posteriorMean;
  };
  table[`${backend}: all references`] = median(() => mean({}));
  table[`${backend}: a mask over all`] = median(() =>
    tf.tidy(() => {
      const same = tf.equal(tf.tensor2d(ofRow, [batch, 1], 'int32'), tf.tensor2d(labels, [1, count], 'int32'));
      return mean({ logPrior: tf.where(same, 0, Number.NEGATIVE_INFINITY) });
    }),
  );
  table[`${backend}: matrices of classes`] = median(() => mean({ labels: ofRow }));
  references.dispose();
}
console.log(`${count.toLocaleString('en')} references of ${dims} values, ${classes} classes, batch ${batch}`);
console.table(table);
