import { expectClose, expectNoLeak, onEveryBackend, readJsonFixture, unit } from '@cm/testing';
import * as tf from '@tensorflow/tfjs-core';
import { expect, it } from 'vitest';
import { adam, adamW, cleanGradients, clipByGlobalNorm, globalNorm, rAdam, updateEma } from '../src';

const fixture = readJsonFixture<{
  tag: string;
  lr: number;
  steps: number;
  betas: Record<'radam' | 'adam' | 'adamw', [number, number]>;
  weight_decay_adamw: number;
  trajectories: Record<'radam' | 'adam' | 'adamw', number[][]>;
}>(new URL('fixtures/optimizers.json', import.meta.url));

const betas = (name: 'radam' | 'adam' | 'adamw') => ({ beta1: fixture.betas[name][0], beta2: fixture.betas[name][1] });
const optimizers = {
  radam: rAdam(betas('radam')),
  adam: adam(betas('adam')),
  adamw: adamW({ ...betas('adamw'), weightDecay: fixture.weight_decay_adamw }),
};

onEveryBackend(() => {
  it.each(Object.keys(optimizers) as (keyof typeof optimizers)[])('%s walks the reference trajectory', (name) => {
    const optimizer = optimizers[name];
    let params: tf.NamedTensorMap = { p: tf.tensor1d(unit(`${fixture.tag}p`, [12])) };
    let state = optimizer.init(params);
    for (let i = 0; i < fixture.steps; i++) {
      const g = tf.tensor1d(unit(`${fixture.tag}g${i}`, [12]).map((v) => v * (1 + (i % 5))));
      ({ params, state } = optimizer.update(params, { p: g }, state, { learningRate: fixture.lr }));
      expectClose(params.p!, fixture.trajectories[name][i]!, 1e-6);
    }
    expect(state.step).toBe(fixture.steps);
  });

  it('moves averages along with the parameters, as updateEma does', () => {
    const map = (seed: string) => ({
      a: tf.tensor(unit(`${seed}a`, [3, 2]), [3, 2]),
      b: tf.tensor1d(unit(`${seed}b`, [5])),
      c: tf.scalar(unit(`${seed}c`, [1])[0]!),
    });
    const params = map('p');
    const averages = [
      { ema: map('e'), beta: 0.9 },
      { ema: params, beta: 0.25 },
    ];
    for (const optimizer of Object.values(optimizers)) {
      const state = optimizer.init(params);
      const updated = optimizer.update(params, map('g'), state, { learningRate: 0.1, averages });
      const alone = optimizer.update(params, map('g'), state, { learningRate: 0.1 });
      expect(alone.averages).toEqual([]);
      averages.forEach(({ ema, beta }, i) => {
        const expected = updateEma(ema, alone.params, beta);
        for (const name of ['a', 'b', 'c']) {
          expectClose(updated.params[name]!, [...alone.params[name]!.dataSync()], 0);
          expectClose(updated.averages[i]![name]!, [...expected[name]!.dataSync()], 1e-6);
        }
      });
    }
    const misfit = { averages: [{ ema: { a: tf.ones([2]) }, beta: 0.5 }], learningRate: 1 };
    expect(() => optimizers.adam.update(params, params, optimizers.adam.init(params), misfit)).toThrow('lacks b, c');
  });

  it('counts and replaces what is not finite', () => {
    const { grads, count } = cleanGradients({
      a: tf.tensor1d([1, Number.NaN, 3]),
      b: tf.tensor1d([Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]),
      c: tf.tensor1d([5]),
    });
    expect(count).toBe(3);
    expectClose(grads.a!, [1, 0, 3], 0);
    expectClose(grads.b!, [0, 0], 0);
    expectClose(grads.c!, [5], 0);
  });

  it('clips by the norm of all gradients together, and leaves small ones alone', () => {
    const grads = { a: tf.tensor1d([3, 0]), b: tf.tensor1d([4]) };
    expectClose(globalNorm(grads), [5], 1e-7);
    expectClose(clipByGlobalNorm(grads, 1).b!, [0.8], 1e-6);
    expectClose(clipByGlobalNorm(grads, 50).a!, [3, 0], 0);
    expectClose(clipByGlobalNorm({ a: tf.zeros([2]) }, 1).a!, [0, 0], 0);
  });

  it('leaves no tensors but its results', async () => {
    const params = { a: tf.ones([2]), b: tf.ones([3]) };
    const state = optimizers.adamw.init(params);
    await expectNoLeak(() => {
      const { grads } = cleanGradients(params);
      const clipped = clipByGlobalNorm(grads, 1);
      const next = optimizers.adamw.update(params, clipped, state, { learningRate: 0.1 });
      tf.dispose([grads, clipped, next.params, next.state.m, next.state.v]);
    });
  });

  it('names what does not fit', () => {
    const params = { a: tf.ones([2]), b: tf.ones([3]) };
    const state = optimizers.adam.init(params);
    const update = (grads: tf.NamedTensorMap, learningRate = 0.1) =>
      optimizers.adam.update(params, grads, state, { learningRate });
    expect(() => update({ a: tf.ones([2]) })).toThrow('adam: grads lacks b');
    expect(() => update({ a: tf.ones([2]), b: tf.ones([4]) })).toThrow('grads has b of shape [4], expected [3]');
    expect(() => update(params, Number.NaN)).toThrow('learningRate is NaN');
    expect(() => adam({ beta2: 1 })).toThrow('beta2 is 1, expected from 0 to below 1');
  });
});
