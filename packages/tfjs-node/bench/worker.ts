import { createInterface } from 'node:readline';
import * as tf from '@tensorflow/tfjs-core';
import { cases } from '../../torch/bench/engine/cases';
import { benchConfig, trainingStep } from '../../torch/bench/step';
import { STEP } from './cases';

// Times what the lines that come in name, on the backend that the argument names: the fastest of some runs, in milliseconds.

if (process.argv[2] === 'tensorflow') await (await import('@cm/tfjs-node')).useTensorFlow({ threads: 2 });
else {
  const { configureTorch } = await import('@cm/torch');
  await tf.setBackend('torch');
  configureTorch({ threads: 2 });
}

function fastest(run: () => void, milliseconds: number): number {
  run();
  let best = Number.POSITIVE_INFINITY;
  const until = performance.now() + milliseconds;
  do {
    const start = performance.now();
    run();
    best = Math.min(best, performance.now() - start);
  } while (performance.now() < until);
  return best;
}

const prepared = new Map<string, () => void>();
for await (const name of createInterface({ input: process.stdin })) {
  if (!prepared.has(name)) {
    const kernel = name === STEP ? undefined : cases[name]!.prepare((x) => x);
    // Both backends have computed when a kernel's call returns.
    prepared.set(name, kernel ? () => kernel().dispose() : trainingStep(benchConfig, 16));
  }
  console.log(fastest(prepared.get(name)!, name === STEP ? 5000 : 250));
}
