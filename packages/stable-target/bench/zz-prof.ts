import { key, normal, normalArray } from '@cm/random';
import { useWasm } from '@cm/testing/wasm';
import * as tf from '@tensorflow/tfjs-core';
import { referenceSet, stableTarget } from '../src';
await useWasm();
const [batch, count, dims] = [64, 60000, 256];
const bytes = Uint8Array.from(normalArray(key(1), count*dims), (z) => 128 + 40 * z);
const x0 = tf.mul(normal(key(2), [batch, dims]), 0.3);
const noise = normal(key(3), [batch, dims]);
const t = Array.from(normalArray(key(4), batch), (z) => Math.exp(1.5 * z));
for (const own of [false, true]) for (const chunkSize of (process.argv[2] ?? '1000,2000,4000,8000,15500').split(',').map(Number)) {
  const references = referenceSet({ images: bytes, shape: [count, dims], chunkSize });
  const run = () => {
    const start = performance.now();
    const result = stableTarget({ references, x0, noise, t, ...(own && {ownIndex: Array.from({length: batch}, (_, i) => (i * 7919) % count)}) });
    result.posteriorMean.dataSync();
    tf.dispose({ ...result });
    return performance.now() - start;
  };
  run();
  const times = Array.from({ length: 7 }, run).sort((a, b) => a - b);
  console.log(own, chunkSize, times[0]!.toFixed(0), times[3]!.toFixed(0));
  if (process.argv[3]) {
    const p = await tf.profile(() => stableTarget({ references, x0, noise, t }));
    const by: Record<string, number> = {};
    for (const k of p.kernels) by[k.name] = (by[k.name] ?? 0) + Number(await (k.kernelTimeMs as any));
    console.log(by);
  }
  references.dispose();
}
