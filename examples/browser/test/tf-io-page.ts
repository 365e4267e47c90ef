import '@tensorflow/tfjs-backend-cpu';
import { loadTensors, safetensorsHandler, saveTensors } from '@cm/checkpoints';

// Runs in the browser: a file is fetched, kept in IndexedDB, and loaded from there.

async function roundTrip(address: string) {
  const fetched = await loadTensors(safetensorsHandler(new URL(address, location.href)));
  await saveTensors(fetched.tensors, 'indexeddb://generator', fetched.metadata);
  const stored = await loadTensors('indexeddb://generator');
  const names = Object.keys(fetched.tensors);
  return {
    parameters: names.reduce((sum, name) => sum + fetched.tensors[name]!.size, 0),
    steps: stored.metadata.steps,
    equal: names.every((name) => {
      const [a, b] = [fetched.tensors[name]!.dataSync(), stored.tensors[name]!.dataSync()];
      return a.length === b.length && a.every((value, i) => value === b[i]);
    }),
  };
}

Object.assign(globalThis, { roundTrip });

/** What the page then has. */
export interface TfIoPage {
  readonly roundTrip: typeof roundTrip;
}
