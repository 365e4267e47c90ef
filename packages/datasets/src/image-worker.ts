import { parentPort } from 'node:worker_threads';
import type { WorkerReply, WorkerRequest } from './image-pool';
import { doImageJob } from './image-work';

// A thread of the pool: does one job after another.
let last = Promise.resolve();

parentPort?.on('message', ({ id, job }: WorkerRequest) => {
  last = last.then(async () => {
    try {
      const result = await doImageJob(job);
      const arrays = result instanceof Uint8Array ? [result] : [];
      const reply: WorkerReply = { id, result };
      parentPort!.postMessage(
        reply,
        arrays.map(({ buffer }) => buffer as ArrayBuffer),
      );
    } catch (error) {
      const { message, name } = error as Error;
      const reply: WorkerReply = { id, error: { message, name } };
      parentPort!.postMessage(reply);
    }
  });
});
