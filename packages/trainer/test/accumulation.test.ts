import { consistencyLoss, consistencyTarget, pseudoHuber } from '@cm/ect';
import { edm2Config, edm2Denoiser, forceWeightNorm, initEdm2, normalizeWeights } from '@cm/edm2-unet';
import { valueAndGrads } from '@cm/gradients';
import type { Optimizer } from '@cm/optimizers';
import { key, normal, normalArray, normalRows, split } from '@cm/random';
import { inverseGap, logNormalNoiseLevels, progressiveSchedule } from '@cm/schedules';
import { stableTargetEstimator } from '@cm/sct';
import { expectClose, expectNoLeak, onEveryBackend } from '@cm/testing';
import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, it } from 'vitest';
import {
  classLabels,
  consistencyObjective,
  diffusionObjective,
  initialState,
  type TrainableNetwork,
  type TrainingObjective,
  trainingStep,
  withDenoiser,
} from '../src';

const config = edm2Config({
  resolution: 4,
  channels: 1,
  modelChannels: 4,
  channelMult: [1, 2],
  numBlocks: 1,
  attnResolutions: [],
  channelsPerHead: 4,
  labelDim: 2,
  dropout: 0.3,
});

const network: TrainableNetwork = {
  constrain: (params) => forceWeightNorm(config, params),
  prepare: (params) => normalizeWeights(config, params),
  denoiser: (weights, dropout) => edm2Denoiser(config, weights, dropout ? { dropout: { key: dropout } } : {}),
  condition: classLabels,
};

/** Its first moment is the gradient. */
const recording: Optimizer = {
  init: (params) => ({ step: 0, m: zeros(params), v: zeros(params) }),
  update: (params, grads, state) => ({
    params: copy(params),
    state: { step: state.step + 1, m: copy(grads), v: zeros(params) },
    averages: [],
  }),
};
const zeros = (map: tf.NamedTensorMap) => each(map, tf.zerosLike);
const copy = (map: tf.NamedTensorMap) => each(map, tf.clone);
const each = (map: tf.NamedTensorMap, f: (tensor: tf.Tensor) => tf.Tensor) =>
  Object.fromEntries(Object.entries(map).map(([name, tensor]) => [name, f(tensor)]));

const parts = {
  schedule: progressiveSchedule({ q: 2, d: 100 }),
  weighting: inverseGap({ delta: 1e-3 }),
  metric: pseudoHuber({ c: 0.03 }),
  noiseLevels: (normals: ArrayLike<number>) => logNormalNoiseLevels(normals, { mean: 0, std: 1 }),
  estimator: stableTargetEstimator({ references: 'batch' as const, classConditional: true }),
};
const batch = () => ({
  images: tf.tidy(() => tf.mul(normal(key(5), [7, 4, 4, 1]), 0.5)) as tf.Tensor4D,
  labels: [0, 1, 1, 0, 0, 1, 0],
});

/** Parameters with gains, so that every layer matters. */
const parameters = () =>
  tf.tidy(() => each(initEdm2(config, key(1)), (tensor) => (tensor.rank === 0 ? tf.scalar(0.7) : tf.clone(tensor))));

/** One step's loss and gradient, everything else freed. */
function gradient(objective: TrainingObjective, microBatch?: number) {
  const params = parameters();
  const state = initialState({ params, optimizer: recording, averages: {}, key: key(9) });
  const images = batch();
  const settings = { network, objective, optimizer: recording, averages: {}, learningRate: () => 0 };
  const result = trainingStep({ ...settings, ...(microBatch && { microBatch }) }, state, images);
  const numbers = Object.values(result.state.optimizer.m).flatMap((g) => Array.from(g.dataSync()));
  tf.dispose([params, images.images]);
  for (const { params, optimizer } of [state, result.state]) tf.dispose([params, optimizer.m, optimizer.v]);
  return { loss: result.loss, numbers, stats: result.stats };
}

onEveryBackend(() => {
  describe('a batch in parts', () => {
    it.each([
      ['consistency, references in the batch, classes, dropout', consistencyObjective(parts)],
      ['diffusion', diffusionObjective({ noise: { mean: 0, std: 1 } })],
    ])('has the gradient of the whole: %s', (_, objective) => {
      const whole = gradient(objective);
      expect(Math.max(...whole.numbers.map(Math.abs))).toBeGreaterThan(1e-3);
      for (const microBatch of [1, 3]) {
        const inParts = gradient(objective, microBatch);
        expectClose(inParts.numbers, whole.numbers, 2e-5);
        expectClose([inParts.loss], [whole.loss], 1e-5);
        // The target is that of the whole batch, to the bit or nearly: its references are all rows, its teacher's passes too are in parts.
        expectClose(Object.values(inParts.stats), Object.values(whole.stats), 1e-6);
      }
    });

    it('leaves no tensors', () => expectNoLeak(() => void gradient(consistencyObjective(parts), 3)));
  });

  it('computes what the loop of its parts does', () => {
    const params = parameters();
    const stepKey = split(key(9), 'step', 0);
    const { images, labels } = batch();
    const forced = forceWeightNorm(config, params);
    const { weights, pullback } = normalizeWeights(config, forced);
    const dropout = { key: split(stepKey, 'dropout') };
    const condition = tf.tensor1d(labels, 'int32');
    const rows = labels.map((_, row) => row);
    const target = consistencyTarget({
      teacher: edm2Denoiser(config, weights, { dropout }),
      batch: {
        images,
        labels,
        condition,
        noise: normalRows(split(stepKey, 'noise'), rows, [4, 4, 1]) as tf.Tensor4D,
        t: parts.noiseLevels(normalArray(split(stepKey, 't'), 7)),
      },
      ...parts,
      iteration: 0,
    });
    const { value, grads } = valueAndGrads(
      (w) => consistencyLoss(edm2Denoiser(config, w, { dropout }), target, parts),
      weights,
    );
    const expected = Object.values(pullback(grads)).flatMap((g) => Array.from(g.dataSync()));
    const { loss, numbers } = gradient(consistencyObjective(parts));
    expect(loss).toBe(value.dataSync()[0]);
    expect(numbers).toEqual(expected);
  });

  it('an average is used without dropout, and what was prepared for that is freed', async () => {
    const params = parameters();
    const images = tf.ones([2, 4, 4, 1]) as tf.Tensor4D;
    const use = () =>
      withDenoiser(network, params, (model) =>
        tf.tidy(() => model(images, tf.tensor1d([1, 2]), tf.tensor1d([0, 1], 'int32')).dataSync()),
      );
    expect(await use()).toEqual(await use());
    await expectNoLeak(async () => void (await use()));
    tf.dispose([params, images]);
  });
});
