import { readFile } from 'node:fs/promises';
import type { TrainingEvent } from '@cm/trainer';
import type { CurvePoint } from './summary';

/** The evaluations in a training log, in order. Their metrics go by the number of sampling steps. */
export async function readCurve(log: string): Promise<CurvePoint[]> {
  const lines = (await readFile(log, 'utf8')).trimEnd().split('\n');
  return lines
    .map((line) => JSON.parse(line) as TrainingEvent)
    .filter((event) => event.type === 'evaluated')
    .map(({ step, metrics }) => ({ step, frechet: metrics }));
}
