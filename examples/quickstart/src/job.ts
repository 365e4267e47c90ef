import { measureBaseline } from './baseline';
import { startEngine } from './engine';
import { type Job, type JobContext, type JobMessage, Stopped } from './jobs';
import type { Options } from './options';
import { tune } from './tuning';

const send = (message: JobMessage) => new Promise<void>((resolve) => process.send!(message, () => resolve()));

const { job, options } = JSON.parse(process.argv[2]!) as { job: Job; options: Options };
const controller = new AbortController();
process.on('message', (message) => {
  if (message === 'stop') controller.abort(new Stopped());
});
// The parent decides when to stop; without it there is nobody to work for.
process.on('SIGINT', () => {});
process.on('disconnect', () => controller.abort(new Stopped()));

const context: JobContext = {
  options,
  signal: controller.signal,
  onProgress: (progress) => void send({ type: 'progress', progress }),
};

try {
  await startEngine();
  await (job.kind === 'tune' ? tune(job.method, context) : measureBaseline(context));
} catch (error) {
  if (error instanceof Stopped) await send({ type: 'stopped' });
  else
    await send({
      type: 'failed',
      message: process.env.DEBUG ? String((error as Error).stack) : (error as Error).message,
    });
}
process.disconnect();
