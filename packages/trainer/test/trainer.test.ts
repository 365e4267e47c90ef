import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { recipes } from '@cm/sct';
import { onEveryBackend } from '@cm/testing';
import * as tf from '@tensorflow/tfjs-core';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  createTrainer,
  progressLine,
  stageOf,
  type TrainerOptions,
  type TrainingError,
  type TrainingEvent,
} from '../src';
import { loadState, saveState } from '../src/node';
import { numbersOf, run } from './tiny';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'trainer-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** All events of a run, the trainer's state as numbers, and everything freed. */
async function train(options: TrainerOptions, onEvent: (event: TrainingEvent) => void = () => {}) {
  const trainer = createTrainer(options);
  const events: TrainingEvent[] = [];
  for await (const event of trainer) {
    events.push(event);
    onEvent(event);
  }
  const state = numbersOf(trainer.state);
  trainer.dispose();
  return { events, state };
}

onEveryBackend(() => {
  describe('a trainer', () => {
    it('takes the steps that were asked for, and says so', async () => {
      const { newState, ...options } = run();
      const { events, state } = await train({ ...options, state: newState() });
      expect(events.map(({ type }) => type)).toEqual(['started', ...Array(24).fill('step'), 'stopped']);
      expect(events.at(-1)).toEqual({ type: 'stopped', step: 24, images: 192, reason: 'finished' });
      expect(state).toMatchObject({ step: 24, images: 192, optimizer: { step: 24 } });
      const [first, last] = [events[1]!, events[24]!] as Extract<TrainingEvent, { type: 'step' }>[];
      expect(first!.stats).toMatchObject({ stage: 0, badRows: 0 });
      expect(last!.stats).toMatchObject({ stage: 2 });
      expect(last!.stats.ratio).toBeGreaterThan(first!.stats.ratio!);
      expect(first!.stats.effectiveSampleSize).toBeGreaterThan(1);
      expect(first!.learningRate).toBeCloseTo(0.01 / 3);
      expect(last!.learningRate).toBeCloseTo(0.01 / Math.sqrt(2.3));
      expect(last!.secondsLeft).toBe(0);
      expect(progressLine(last!)).toMatch(/^192\/192 images .* images\/s {2}0 s left {2}loss .* stage 2 {2}\d+ MiB$/);
    });

    it('goes on from a saved state to the bits of a run that was not broken off', async () => {
      const { newState, ...options } = run();
      const { state: whole } = await train({ ...options, state: newState() });
      const trainer = createTrainer({ ...options, state: newState() });
      for await (const event of trainer) if (event.type === 'step' && event.step === 5) break;
      await saveState(folder, trainer.state);
      const { events, state } = await train({ ...options, state: (await loadState(folder))! });
      expect(events[0]).toMatchObject({ type: 'started', step: 5 });
      expect(state).toEqual(whole);
      // The one in memory goes on as well.
      for await (const _ of trainer);
      expect(numbersOf(trainer.state)).toEqual(whole);
      trainer.dispose();
    });

    it('keeps no tensor from step to step', async () => {
      const { newState, ...options } = run();
      const before = tf.memory().numTensors;
      const counts = new Set<number>();
      await train({ ...options, microBatch: 3, state: newState() }, () => counts.add(tf.memory().numTensors));
      expect(counts.size).toBe(1);
      expect(tf.memory().numTensors).toBe(before);
    });

    it('stops between steps when aborted, and saves', async () => {
      const { newState, ...options } = run();
      const controller = new AbortController();
      const saved: number[] = [];
      const save = { every: 1000, run: async ({ step }: { step: number }) => `${saved.push(step)}` };
      const { events } = await train({ ...options, state: newState(), save, signal: controller.signal }, (event) => {
        if (event.type === 'step' && event.step === 4) controller.abort();
      });
      expect(saved).toEqual([4]);
      expect(events.slice(-2).map(({ type }) => type)).toEqual(['saved', 'stopped']);
      expect(events.at(-1)).toMatchObject({ reason: 'aborted', step: 4 });
    });

    it('stops at a loss that is not a number with the state before the step, and leaks nothing', async () => {
      const { newState, ...options } = run();
      const before = tf.memory().numTensors;
      const trainer = createTrainer({
        ...options,
        state: newState(),
        learningRate: (step) => (step === 3 ? 1e30 : 0.01),
        save: { every: 8, run: async ({ step }) => `state ${step}` },
      });
      const failure = await (async () => {
        for await (const _ of trainer);
      })().catch((error: TrainingError) => error);
      expect(failure).toMatchObject({ name: 'TrainingError', failure: 'diverged' });
      expect((failure as Error).message).toMatch(
        /the loss is (NaN|Infinity).*after 4 steps \(32 images\).*newest saved state is state 4/,
      );
      expect(trainer.state.step).toBe(4);
      trainer.dispose();
      expect(tf.memory().numTensors).toBe(before);
    });

    it('takes targets from an average where a recipe has a target network', async () => {
      const { newState, ...options } = run();
      const { state: student } = await train({ ...options, totalImages: 32, state: newState() });
      const { state: average } = await train({ ...options, totalImages: 32, teacher: '0.100', state: newState() });
      expect(average.params).not.toEqual(student.params);
    });
  });
});

describe('evaluation, snapshots and saving', () => {
  it('come in this order when due, half-way and at the end', async () => {
    await tf.setBackend('cpu');
    const { newState, ...options } = run();
    const fid = [9, 5, 7, 4];
    const { events, state } = await train({
      ...options,
      totalImages: 12 * 8,
      state: newState(),
      evaluate: { every: 32, best: 'fid', run: async () => ({ fid: fid.shift()! }) },
      snapshot: { every: 64, run: async ({ images }, moment) => [`${moment} ${images}`] },
      save: { every: 40, run: async ({ images }) => `state ${images}` },
    });
    const happened = events.flatMap((event) => {
      if (event.type === 'evaluated') return [`${event.images} fid ${event.metrics.fid}${event.best ? ' best' : ''}`];
      if (event.type === 'snapshot') return event.files;
      return event.type === 'saved' ? [event.file] : [];
    });
    expect(happened).toEqual([
      '0 fid 9 best',
      'best 0',
      '32 fid 5 best',
      'best 32',
      'state 40',
      'halfway 48',
      '64 fid 7',
      'regular 64',
      'state 80',
      '96 fid 4 best',
      'best 96',
      'regular 96',
      'state 96',
    ]);
    expect(state.best).toEqual({ images: 96, value: 4 });
  });
});

describe('an evaluation that fails', () => {
  const failing = async (thrown: Error) => {
    await tf.setBackend('cpu');
    const { newState, ...options } = run();
    const evaluate = {
      every: 16,
      run: async ({ step }: { step: number }) => {
        if (step > 0) throw thrown;
        return {};
      },
    };
    const save = { every: 8, run: async ({ step }: { step: number }) => `state ${step}` };
    return train({ ...options, state: newState(), evaluate, save }).catch((error: TrainingError) => error);
  };

  it('because its pictures do not fit on the disk says where training stopped', async () => {
    const full = Object.assign(new Error('ENOSPC: no space left on device, write'), { syscall: 'write' });
    expect(await failing(full)).toMatchObject({
      failure: 'save-failed',
      message: expect.stringMatching(
        /evaluation.*ENOSPC.*after 2 steps \(16 images\)\. The newest saved state is state 1/,
      ),
    });
  });

  it('in itself, says just that', async () => {
    const wrong = new Error('no features');
    expect(await failing(wrong)).toBe(wrong);
  });
});

describe('what does not fit is refused by name', () => {
  const refuse = (change: Partial<TrainerOptions>) => {
    const { newState, ...options } = run();
    return () => createTrainer({ ...options, state: newState(), ...change });
  };

  it.each([
    [{ batchSize: 0 }, 'batchSize is 0'],
    [{ microBatch: 1.5 }, 'microBatch is 1.5'],
    [{ totalImages: -1 }, 'totalImages is -1'],
    [{ save: { every: 0, run: async () => '' } }, 'save.every is 0'],
    [{ averages: {} }, 'averages are [], and the state has [0.050, 0.100]'],
    [{ teacher: 'other' }, 'teacher is other'],
  ])('%o', (change, message) => {
    expect(refuse(change)).toThrow(message);
  });

  it('a state of another batch size', () => {
    const { newState } = run();
    expect(refuse({ state: { ...newState(), step: 2, images: 32 } })).toThrow('saw 32 images in 2 steps');
  });

  it('data of another batch size', async () => {
    const { newState, ...options } = run();
    await expect(train({ ...options, batchSize: 4, state: newState() })).rejects.toThrow(
      'data has batches of 8 images, expected batchSize 4',
    );
  });
});

it('the stage of a recipe is that of its schedule', () => {
  const stages = (name: 'ect-cifar10' | 'sct-cifar10' | 'ct-cifar10') =>
    [0, 24_999, 25_000, 60_000].map(stageOf(recipes[name]));
  expect(stages('ect-cifar10')).toEqual([0, 0, 1, 2]);
  expect(stages('sct-cifar10')).toEqual([0, 3, 4, 9]);
  expect(stages('ct-cifar10')).toEqual([0, 0, 0, 0]);
});
