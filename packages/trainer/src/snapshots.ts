import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fromTensors, writeSafetensors } from '@cm/checkpoints';
import { writeFileAtomically } from '@cm/checkpoints/node';
import * as tf from '@tensorflow/tfjs-core';
import type { SnapshotMoment } from './events';
import type { TrainingState } from './state';

/** Options of {@link saveSnapshots}. */
export interface SnapshotOptions {
  /** From the network's parameters to those of its checkpoints, as new tensors: `toCheckpoint` of the network's package. Default: as they are. */
  readonly layout?: (params: tf.NamedTensorMap) => tf.NamedTensorMap;
  /** What a reader needs besides the tensors, such as the network's configuration. */
  readonly metadata?: Readonly<Record<string, string>>;
}

/**
 * Writes every average of a state in float16, a safetensors file each: `<images>-<average>.safetensors` of regular snapshots, which EDM2's
 * post-hoc reconstruction needs all of, `halfway-<average>.safetensors`, the weak model of guidance (Eq. 18), and `best-<average>.safetensors`,
 * which replaces the one before. Each file appears whole or not at all.
 *
 * The metadata say `images`, `step` and `average`, beside what is given.
 *
 * @returns the files' paths
 * @throws Error when the name of an average is none for a file; the file system's error
 */
export async function saveSnapshots(
  folder: string,
  state: TrainingState,
  moment: SnapshotMoment,
  { layout, metadata = {} }: SnapshotOptions = {},
): Promise<string[]> {
  await mkdir(folder, { recursive: true });
  const prefix = moment === 'regular' ? String(state.images).padStart(12, '0') : moment;
  const paths: string[] = [];
  for (const [average, params] of Object.entries(state.averages)) {
    if (!/^[\w.-]+$/.test(average)) {
      throw new Error(`saveSnapshots: an average is named ${average}, expected letters, digits, dots and dashes`);
    }
    const stored = layout?.(params) ?? params;
    const own = { images: String(state.images), step: String(state.step), average };
    const path = join(folder, `${prefix}-${average}.safetensors`);
    await writeFileAtomically(path, writeSafetensors(fromTensors(stored, { dtype: 'F16' }), { ...metadata, ...own }));
    if (stored !== params) tf.dispose(stored);
    paths.push(path);
  }
  return paths;
}
