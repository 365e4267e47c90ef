import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileAtomically } from '@cm/checkpoints/node';
import { edm2ParameterCount } from '@cm/edm2-unet';
import type { Options } from './options';
import { network } from './settings';
import type { BaselineResult, Summary, TuningResult } from './summary';

/** A job's result is written last: where it is, the job is done. */
export const resultFile = (out: string, job: string) => join(out, job, 'result.json');

/** Writes a job's result. */
export const writeResult = (out: string, job: string, result: BaselineResult | TuningResult) =>
  writeFileAtomically(resultFile(out, job), Buffer.from(`${JSON.stringify(result, null, 2)}\n`));

/** What all jobs of a run found. */
export async function readSummary({ out, methods, steps, batchSize, samples, seed }: Options): Promise<Summary> {
  const read = async <T>(job: string) => JSON.parse(await readFile(resultFile(out, job), 'utf8')) as T;
  return {
    ...(await read<BaselineResult>('baseline')),
    runs: await Promise.all(methods.map((method) => read<TuningResult>(method))),
    settings: {
      parameters: edm2ParameterCount(network),
      resolution: network.resolution,
      steps,
      batchSize,
      samples,
      seed,
    },
  };
}
