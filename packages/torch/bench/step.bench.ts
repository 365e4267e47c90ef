import * as tf from '@tensorflow/tfjs-core';
import { profileKernels } from '../../edm2-unet/bench/profile-kernels';
import { startBackend } from './engine/backends';
import { benchConfig, stepFlops, trainingStep } from './step';

// A whole training step on this backend, or another: npx tsx packages/torch/bench/step.bench.ts [batch] [precision] [--wasm | --tensorflow] [--profile]
const [size, precision = 'float32'] = process.argv.slice(2).filter((argument) => !argument.startsWith('--'));
const batch = Number(size ?? 16);
await startBackend(['wasm', 'tensorflow'].find((name) => process.argv.includes(`--${name}`)) ?? 'torch', precision);
const step = trainingStep(benchConfig, batch);
const flops = stepFlops(benchConfig, batch);
// V8 compiles in the first steps; PyTorch gets as many.
for (let i = 0; i < 5; i++) step();
const times: number[] = [];
let loss = 0;
for (let i = 0; i < 6; i++) {
  const start = performance.now();
  loss = step();
  times.push(performance.now() - start);
}
const median = times.sort((a, b) => a - b)[times.length >> 1]!;
const peak = process.resourceUsage().maxRSS / 1024;
console.log(
  JSON.stringify({
    ms: Math.round(median),
    min: Math.round(times[0]!),
    max: Math.round(times.at(-1)!),
    gflops: flops / 1e9,
    rate: flops / median / 1e6,
    peak,
    loss,
    tensors: tf.memory().numTensors,
  }),
);
if (process.argv.includes('--profile')) console.table(profileKernels(() => step()));
