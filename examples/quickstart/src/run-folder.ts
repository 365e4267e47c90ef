import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fromTensors, toTensors, writeSafetensors } from '@cm/checkpoints';
import { readSafetensorsFile, writeFileAtomically } from '@cm/checkpoints/node';
import type * as tf from '@tensorflow/tfjs-core';
import type { TrainingState } from './training';

/** A run's state and whatever else it needs to continue, as one file. */
export interface SavedRun<History> {
  readonly state: TrainingState;
  readonly history: History;
}

const file = (folder: string) => join(folder, 'state.safetensors');
const groups = ['params', 'm', 'v', 'ema'] as const;

/** Writes a run's state such that at any moment the newest complete one is what a reader finds. */
export async function saveRun<History>(folder: string, { state, history }: SavedRun<History>): Promise<void> {
  const maps = { params: state.params, m: state.optimizer.m, v: state.optimizer.v, ema: state.ema };
  const tensors: tf.NamedTensorMap = {};
  for (const group of groups) {
    for (const [name, tensor] of Object.entries(maps[group])) tensors[`${group}/${name}`] = tensor;
  }
  const metadata = {
    step: String(state.step),
    optimizerStep: String(state.optimizer.step),
    history: JSON.stringify(history),
  };
  await writeFileAtomically(file(folder), writeSafetensors(fromTensors(tensors), metadata));
}

/** The state that {@link saveRun} left in a folder, or undefined where there is none. */
export async function loadRun<History>(folder: string): Promise<SavedRun<History> | undefined> {
  if (!existsSync(file(folder))) return undefined;
  const { tensors, metadata } = await readSafetensorsFile(file(folder));
  const maps = Object.fromEntries(groups.map((group) => [group, {} as tf.NamedTensorMap]));
  for (const [path, tensor] of Object.entries(toTensors(tensors))) {
    const slash = path.indexOf('/');
    maps[path.slice(0, slash)]![path.slice(slash + 1)] = tensor;
  }
  const { params, m, v, ema } = maps as Record<(typeof groups)[number], tf.NamedTensorMap>;
  return {
    state: { step: Number(metadata.step), params, optimizer: { step: Number(metadata.optimizerStep), m, v }, ema },
    history: JSON.parse(metadata.history!) as History,
  };
}
