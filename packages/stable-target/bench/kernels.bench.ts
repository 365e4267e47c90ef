import { key, normal, normalArray } from '@cm/random';
import { configureTorch, isInstalled } from '@cm/torch';
import { setWasmBackend } from '@cm/wasm-kernels';
import * as tf from '@tensorflow/tfjs-core';
import { tableOf } from '../../../tools/testing/src/markdown';
import { referenceSet, stableTarget } from '../src';

// The fused kernels beside the compositions that stand in for them, and beside the two matrix products alone, in turns: milliseconds, the median of each.
// From the repository's root: npx tsx packages/stable-target/bench/kernels.bench.ts [threads] [references] [batch] [dims]

const [threads = 2, count = 5000, batch = 128, dims = 3072] = process.argv.slice(2).map(Number);
const ROUNDS = 7;

const pattern = Uint8Array.from(normalArray(key(1), 999_983), (z) => 128 + 40 * z);
const images = new Uint8Array(count * dims);
for (let at = 0; at < images.length; at += pattern.length) images.set(pattern.subarray(0, images.length - at), at);

const NAMES = ['PosteriorSums', 'ReferenceRows'];

/** f with the backend's fused kernels taken away. */
function composed<T>(f: () => T): T {
  const kernels = NAMES.map((name) => tf.getKernel(name, tf.getBackend()));
  for (const name of NAMES) tf.unregisterKernel(name, tf.getBackend());
  try {
    return f();
  } finally {
    for (const kernel of kernels) tf.registerKernel(kernel);
  }
}

const table: Record<string, Record<string, number>> = {};
for (const backend of isInstalled() ? ['torch', 'wasm'] : ['wasm']) {
  if (backend === 'torch') {
    await tf.setBackend('torch');
    configureTorch({ threads });
  } else await setWasmBackend({ threads });
  const x0 = tf.mul(normal(key(2), [batch, dims]), 0.3);
  const noise = normal(key(3), [batch, dims]);
  const rows = normal(key(5), [count, dims]);
  const weights = normal(key(6), [batch, count]);
  for (const [what, keep] of [
    ['kept', 'float32'],
    ['from bytes', 'none'],
  ] as const) {
    const references = referenceSet({ images, shape: [count, dims], keep });
    for (const [levels, logNormal] of [
      ['ln t ~ N(0, 1.5)', [0, 1.5]],
      ['ln t ~ N(−1.1, 2)', [-1.1, 2]],
    ] as const) {
      const t = Array.from(normalArray(key(4), batch), (z) => Math.exp(logNormal[0] + logNormal[1] * z));
      const target = () => {
        const result = stableTarget({ references, x0, noise, t });
        result.posteriorMean.dataSync();
        tf.dispose({ ...result });
      };
      const ways = {
        kernels: target,
        compositions: () => composed(target),
        'two products': () =>
          tf.tidy(() => {
            tf.matMul(x0, rows, false, true).dataSync();
            tf.matMul(weights, rows).dataSync();
          }),
      };
      const times = Object.fromEntries(Object.keys(ways).map((name) => [name, [] as number[]]));
      for (let round = 0; round <= ROUNDS; round++) {
        for (const [name, run] of Object.entries(ways)) {
          const start = performance.now();
          run();
          if (round > 0) times[name]!.push(performance.now() - start);
        }
      }
      table[`${backend}, ${what}, ${levels}`] = Object.fromEntries(
        Object.entries(times).map(([name, list]) => [name, Math.round(list.sort((a, b) => a - b)[ROUNDS >> 1]!)]),
      );
    }
    references.dispose();
  }
  tf.dispose([x0, noise, rows, weights]);
}
console.log(tableOf(`${count} references of ${dims} values, batch ${batch}, ${threads} threads, ms`, table));
