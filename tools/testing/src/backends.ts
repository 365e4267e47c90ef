import '@tensorflow/tfjs-backend-cpu';
import { useTensorFlow } from '@cm/tfjs-node';
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

/** What `pnpm tensorflow:test` asks for. It is large to fetch, so tests run on it by request. */
const byRequest: typeof backends = { tensorflow: () => useTensorFlow({ threads: 1 }) };

/** The backends that the environment variable CM_BACKENDS lists, separated by commas; by default all that are present. */
function chosen(): typeof backends {
  const names = process.env.CM_BACKENDS?.split(',');
  if (!names) return backends;
  const all = { ...backends, ...byRequest };
  return Object.fromEntries(
    names.map((name) => {
      const use = all[name];
      if (!use) throw new Error(`CM_BACKENDS names ${name}, expected of ${Object.keys(all).join(', ')}`);
      return [name, use];
    }),
  );
}

/** One thread: test files run side by side, and threads that wait for each other on busy cores cost more than they bring. */
async function useTorch(): Promise<void> {
  await tf.setBackend('torch');
  configureTorch({ threads: 1 });
}

/** Runs a suite once on every backend that is present, or those that CM_BACKENDS lists. */
export function onEveryBackend(suite: (backend: string) => void): void {
  for (const [name, use] of Object.entries(chosen())) {
    describe(`on ${name}`, () => {
      beforeAll(async () => {
        await use();
      });
      suite(name);
    });
  }
}
