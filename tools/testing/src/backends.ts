import '@tensorflow/tfjs-backend-cpu';
import { configureTorch, isInstalled } from '@cm/torch';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe } from 'vitest';
import { useWasm } from './wasm';

const backends: Record<string, () => Promise<unknown>> = {
  cpu: () => tf.setBackend('cpu'),
  wasm: useWasm,
  // Where libtorch has been set up, by `npx cm-torch setup`.
  ...(isInstalled() && { torch: useTorch }),
};

/** One thread: test files run side by side, and threads that wait for each other on busy cores cost more than they bring. */
async function useTorch(): Promise<void> {
  await tf.setBackend('torch');
  configureTorch({ threads: 1 });
}

/** Runs a suite once on every backend that is present. */
export function onEveryBackend(suite: (backend: string) => void): void {
  for (const [name, use] of Object.entries(backends)) {
    describe(`on ${name}`, () => {
      beforeAll(async () => {
        await use();
      });
      suite(name);
    });
  }
}
