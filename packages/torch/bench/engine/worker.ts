import { createInterface } from 'node:readline';
import * as tf from '@tensorflow/tfjs-core';
import { startBackend } from './backends';
import { cases } from './cases';

// Times the cases whose names come in, a line each, on the backend and precision that the arguments name.

const [backend, precision = 'float32'] = process.argv.slice(2);
await startBackend(backend!, precision);

async function wait(): Promise<void> {
  // What a backend has queued is done when it says how long it took.
  if (backend === 'torch') await tf.time(() => {});
}

const prepared = new Map<string, () => tf.Tensor>();
for await (const name of createInterface({ input: process.stdin })) {
  try {
    if (!prepared.has(name)) {
      const run = cases[name]!.prepare();
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
