import { key, normal, normalArray } from '@cm/random';
import { useWasm } from '@cm/testing/wasm';
import * as tf from '@tensorflow/tfjs-core';
import { referenceSet, stableTarget } from '../src';

// Time and memory of the stable target on the WebAssembly backend, beside its two matrix products' share of arithmetic.

await useWasm();

const cases = [
  { name: 'batch 64, in-batch, 256 values', batch: 64, count: 0, dims: 256 },
  { name: 'batch 64, 60,000 × 256, on the backend', batch: 64, count: 60_000, dims: 256 },
  { name: 'batch 128, 50,000 × 3,072, from bytes', batch: 128, count: 50_000, dims: 3072 },
];

const table: Record<string, object> = {};
for (const { name, batch, count, dims } of cases) {
  const pattern = Uint8Array.from(normalArray(key(1), 999_983), (z) => 128 + 40 * z);
  const bytes = new Uint8Array(Math.max(count, 1) * dims);
  for (let at = 0; at < bytes.length; at += pattern.length) bytes.set(pattern.subarray(0, bytes.length - at), at);
  const references = count > 0 ? referenceSet({ images: bytes, shape: [count, dims] }) : ('batch' as const);
  const x0 = tf.mul(normal(key(2), [batch, dims]), 0.3);
  const noise = normal(key(3), [batch, dims]);
  const t = Array.from(normalArray(key(4), batch), (z) => Math.exp(1.5 * z));
  const before = process.memoryUsage().rss;
  const run = () => {
    const start = performance.now();
    const result = stableTarget({ references, x0, noise, t });
    result.posteriorMean.dataSync();
    tf.dispose({ ...result });
    return performance.now() - start;
  };
  run();
  const times = Array.from({ length: 5 }, run).sort((a, b) => a - b);
  const flops = 4 * batch * Math.max(count, batch) * dims;
  table[name] = {
    ms: Number(times[2]!.toFixed(1)),
    'GFLOP/s': Number((flops / times[2]! / 1e6).toFixed(1)),
    'MB beyond the set': Math.round((process.memoryUsage().rss - before) / 1e6),
  };
  if (references !== 'batch') references.dispose();
  tf.dispose([x0, noise]);
}
console.table(table);
