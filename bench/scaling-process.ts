import '@cm/gradients';
import { pseudoHuber } from '@cm/ect';
import {
  edm2Config,
  edm2Denoiser,
  edm2ParameterCount,
  forceWeightNorm,
  initEdm2,
  normalizeWeights,
} from '@cm/edm2-unet';
import { adam, powerFunctionEma } from '@cm/optimizers';
import { key, split, uniformArray } from '@cm/random';
import { inverseGap, logNormalNoiseLevels, progressiveSchedule } from '@cm/schedules';
import { stableTargetEstimator } from '@cm/sct';
import { configureTorch } from '@cm/torch';
import { processGroupFromEnvironment } from '@cm/torch/distributed';
import {
  consistencyObjective,
  disposeState,
  gatheredReferences,
  initialState,
  ownersOf,
  ownState,
  sharedStep,
} from '@cm/trainer';
import * as tf from '@tensorflow/tfjs-core';
import type { Timings, Trial } from './scaling';

// One of the processes that scaling.ts starts: steps of the batch that all share. Its arguments: the batch's size, and what is tried beside.

const WARM_UP = 2;
const STEPS = 9;

const batchSize = Number(process.argv[2]);
const trial = process.argv[3] as Trial | '';
await tf.setBackend('torch');
configureTorch({ threads: 1 });
const group = (await processGroupFromEnvironment())!;
const rows = batchSize / group.size;
const first = group.rank * rows;

const config = edm2Config({
  resolution: 32,
  channels: 3,
  modelChannels: 64,
  channelMult: [1, 2],
  numBlocks: 2,
  attnResolutions: [16],
});
const optimizer = adam({ beta2: 0.99 });
const averages = { '0.050': powerFunctionEma({ sigmaRel: 0.05 }) };
const references = gatheredReferences(group);
const settings = {
  network: {
    constrain: (params: tf.NamedTensorMap) => forceWeightNorm(config, params),
    prepare: (params: tf.NamedTensorMap) => normalizeWeights(config, params),
    denoiser: (weights: tf.NamedTensorMap) => edm2Denoiser(config, weights),
  },
  objective: consistencyObjective({
    estimator: stableTargetEstimator({ references: references.gather }),
    schedule: progressiveSchedule({ q: 2, d: 8 }),
    weighting: inverseGap({ delta: 1e-3 }),
    metric: pseudoHuber({ c: 0.03 }),
    noiseLevels: (normals) => logNormalNoiseLevels(normals, { mean: -0.5, std: 1.2 }),
  }),
  optimizer,
  averages,
  learningRate: () => 1e-3,
};
const params = initEdm2(config, key(0));
let state = initialState({ params, optimizer, averages, key: key(1) });
const owners = trial === 'shard' ? ownersOf(params, group.size) : undefined;
if (owners) state = ownState(owners, group.rank, state);
const bytes = uniformArray(split(key(2), 'images'), batchSize * 3072).subarray(first * 3072, (first + rows) * 3072);
const images = tf.tensor4d(
  Float32Array.from(bytes, (v) => Math.round(255 * v) / 127.5 - 1),
  [rows, 32, 32, 3],
);

const ofClasses = gatheredReferences(group, { classConditional: true });
const labels = Int32Array.from({ length: rows }, (_, row) => (7 * (first + row)) % 10);

/** A step, and when references had come, in milliseconds. */
async function step(): Promise<{ step: number; gather: number }> {
  const start = performance.now();
  const batch = { images, part: { first, total: batchSize } };
  await references.prepare(batch);
  const gather = performance.now() - start;
  const next = await sharedStep(settings, state, batch, group, undefined, owners);
  await group.barrier();
  disposeState(state);
  state = next.state;
  return { step: performance.now() - start, gather };
}

const times: Omit<Timings, 'megabytes'>[] = [];
for (let i = 0; i < WARM_UP + STEPS; i++) {
  await group.barrier();
  const alone = await step();
  // Tensors as large as the gradients, by themselves: in a step their time has in it what the processes wait for each other.
  const begun = performance.now();
  tf.dispose(await group.allReduce(Object.values(params)));
  const reduce = performance.now() - begun;
  await group.barrier();
  const asked = performance.now();
  await ofClasses.prepare({ images, labels, part: { first, total: batchSize } });
  const gatherOfClasses = performance.now() - asked;
  let hidden = 0;
  if (trial === 'overlap') {
    await group.barrier();
    const together = performance.now();
    const [sums] = await Promise.all([group.allReduce(Object.values(params)), step()]);
    hidden = alone.step + reduce - (performance.now() - together);
    tf.dispose(sums);
  }
  if (i >= WARM_UP) times.push({ ...alone, reduce, gatherOfClasses, hidden });
}
const median = (name: Exclude<keyof Timings, 'megabytes'>) =>
  times.map((each) => each[name] ?? 0).sort((a, b) => a - b)[STEPS >> 1]!;
const timings: Timings = {
  step: median('step'),
  reduce: median('reduce'),
  gather: median('gather'),
  gatherOfClasses: median('gatherOfClasses'),
  ...(trial === 'overlap' && { hidden: median('hidden') }),
  megabytes: (4 * edm2ParameterCount(config)) / 1e6,
};
console.log(JSON.stringify(timings));
group.close();
