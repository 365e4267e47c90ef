import { createInterface } from 'node:readline';
import * as tf from '@tensorflow/tfjs-core';
import { hasGpu } from '../../src/installation';
import { startBackend } from './backends';
import { cases, type Held } from './cases';

// Times the cases whose names come in, a line each: worker.ts BACKEND [PRECISION] [--bf16]. With --bf16 inputs are held in bfloat16, as what
// convolutions give is, not in float32.

const [backend, precision = 'float32'] = process.argv.slice(2);
await startBackend(backend!, precision);

/** What a convolution by the identity gives: in bfloat16 where that precision is chosen. */
const narrowed: Held = (x) =>
  tf.tidy(() => {
    const pixels = tf.reshape(x, [1, x.size / 16, 1, 16]) as tf.Tensor4D;
    return tf.reshape(
      tf.conv2d(pixels, tf.reshape(tf.eye(16), [1, 1, 16, 16]) as tf.Tensor4D, 1, 'same'),
      x.shape,
    ) as typeof x;
  });
const held: Held = process.argv.includes('--bf16') ? narrowed : (x) => x;

/** A GPU works on what it was given after the call has returned. */
async function wait(): Promise<void> {
  if (backend === 'torch' && hasGpu()) await tf.time(() => {});
}

const prepared = new Map<string, () => tf.Tensor>();
for await (const name of createInterface({ input: process.stdin })) {
  try {
    if (!prepared.has(name)) {
      const run = cases[name]!.prepare(held);
      for (let i = 0; i < 2; i++) run().dispose();
      await wait();
      prepared.set(name, run);
    }
    const run = prepared.get(name)!;
    let fastest = Number.POSITIVE_INFINITY;
    for (const until = performance.now() + 250; performance.now() < until; ) {
      const start = performance.now();
      const result = run();
      await wait();
      fastest = Math.min(fastest, performance.now() - start);
      result.dispose();
    }
    console.log(JSON.stringify({ ms: fastest }));
  } catch (error) {
    console.log(JSON.stringify({ error: (error as Error).message }));
  }
}
