import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import * as fs from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readSafetensorsFile } from '@cm/checkpoints/node';
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createTrainer, disposeState, type TrainingError, type TrainingState } from '../src';
import { loadState, saveState } from '../src/node';
import { numbersOf, run } from './tiny';

vi.mock('node:fs/promises', { spy: true });

let folder: string;
beforeEach(async () => {
  await tf.setBackend('cpu');
  folder = mkdtempSync(join(tmpdir(), 'trainer-'));
});
afterEach(() => {
  vi.resetAllMocks();
  rmSync(folder, { recursive: true });
});

const at = (state: TrainingState, step: number): TrainingState => ({ ...state, step, images: 8 * step });
const steps = async () => {
  const state = await loadState(folder, { onDamaged: () => {} });
  const { step } = state!;
  disposeState(state!);
  return step;
};

describe('a saved state', () => {
  it('comes back to the bit, and is a safetensors file that any reader reads', async () => {
    const state: TrainingState = { ...run().newState(), best: { images: 3, value: 0.1 }, seconds: 1.5 };
    const path = await saveState(folder, state);
    expect(path).toBe(join(folder, '000000000000.safetensors'));
    const loaded = (await loadState(folder))!;
    expect(numbersOf(loaded)).toEqual(numbersOf(state));
    expect(loaded.seconds).toBe(1.5);
    const { tensors, metadata } = await readSafetensorsFile(path);
    expect(Object.keys(tensors)).toContain('average:0.050/in');
    expect(metadata.step).toBe('0');
  });

  it('is none where nothing was saved', async () => {
    expect(await loadState(join(folder, 'nowhere'))).toBeUndefined();
  });

  it('is one of several that are kept, the oldest ones being removed', async () => {
    const state = run().newState();
    for (const step of [1, 2, 30, 4]) await saveState(folder, at(state, step), { keep: 2 });
    expect(readdirSync(folder)).toEqual(['000000000032.safetensors', '000000000240.safetensors']);
    expect(await steps()).toBe(30);
  });

  it('replaces what a killed process left half written', async () => {
    writeFileSync(join(folder, '000000000008.safetensors.tmp'), 'half');
    await saveState(folder, at(run().newState(), 2));
    expect(readdirSync(folder)).toEqual(['000000000016.safetensors']);
  });
});

describe('a damaged state', () => {
  const newest = () => join(folder, '000000000016.safetensors');
  beforeEach(async () => {
    const state = run().newState();
    for (const step of [1, 2]) await saveState(folder, at(state, step));
  });

  it('is set aside wherever a byte is changed, and the one before is taken', async () => {
    const whole = readFileSync(newest());
    const before = tf.memory().numTensors;
    for (let byte = 0; byte < whole.length; byte += 97) {
      const bytes = Buffer.from(whole);
      bytes[byte]! ^= 0x10;
      writeFileSync(newest(), bytes);
      expect(await steps(), `byte ${byte}`).toBe(1);
      rmSync(`${newest()}.damaged`);
    }
    expect(tf.memory().numTensors).toBe(before);
  });

  it('is set aside wherever it was cut, with a message that says what and why', async () => {
    const whole = readFileSync(newest());
    for (const length of [0, 7, 100, whole.length - 1]) {
      writeFileSync(newest(), whole.subarray(0, length));
      expect(await steps()).toBe(1);
    }
    writeFileSync(newest(), whole.subarray(0, 500));
    const messages: string[] = [];
    disposeState((await loadState(folder, { onDamaged: (message) => messages.push(message) }))!);
    expect(messages).toEqual([
      expect.stringMatching(/000000000016\.safetensors is damaged: .* set aside as .*\.damaged/),
    ]);
  });

  it('is an error where there is no other, not a new beginning', async () => {
    for (const name of readdirSync(folder)) writeFileSync(join(folder, name), 'no state');
    await expect(loadState(folder, { onDamaged: () => {} })).rejects.toThrow('all states in');
  });
});

describe('training that cannot save', () => {
  const train = async (saves: (state: TrainingState) => Promise<string>) => {
    const { newState, ...options } = run();
    const trainer = createTrainer({ ...options, state: newState(), save: { every: 16, run: saves } });
    const failure = (async () => {
      for await (const _ of trainer);
    })().catch((error: TrainingError) => error);
    return { trainer, failure: (await failure) as TrainingError };
  };

  it('stops when the disk is full, says so, leaves the last good state, and goes on when there is room', async () => {
    let full = false;
    const { open } = await vi.importActual<typeof fs>('node:fs/promises');
    vi.mocked(fs.open).mockImplementation(async (...args) => {
      const file = await open(...args);
      if (full && args[1] === 'w') {
        vi.spyOn(file, 'writeFile').mockRejectedValue(
          Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' }),
        );
      }
      return file;
    });
    const { trainer, failure } = await train((state) => {
      full = state.step >= 6;
      return saveState(folder, state);
    });
    expect(failure.failure).toBe('save-failed');
    expect(failure.message).toMatch(
      /the state could not be saved: ENOSPC: no space left on device.*after 6 steps.*newest saved state is .*000000000032/,
    );
    expect(failure.cause).toMatchObject({ code: 'ENOSPC' });
    expect(readdirSync(folder)).toEqual(['000000000016.safetensors', '000000000032.safetensors']);
    expect(await steps()).toBe(4);

    expect(trainer.state.step).toBe(6);
    full = false;
    await saveState(folder, trainer.state);
    expect(await steps()).toBe(6);
    trainer.dispose();
  });

  it('does not write a state that is not finite', async () => {
    const { newState } = run();
    const state = newState();
    const params = { ...state.params, in: tf.fill(state.params.in!.shape, Number.NaN) };
    await saveState(folder, at(state, 1));
    await expect(saveState(folder, at({ ...state, params }, 2))).rejects.toMatchObject({ failure: 'diverged' });
    expect(readdirSync(folder)).toEqual(['000000000008.safetensors']);
  });
});
