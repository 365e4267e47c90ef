import { stat } from 'node:fs/promises';
import { basename } from 'node:path';
import { bytesOf, type Checkpoint, type CheckpointFormat, type DType } from '@cm/checkpoints';
import { openCheckpoint } from '@cm/checkpoints/node';
import { type Json, plain } from './plain';

/** A tensor as a table shows it. */
export interface TensorSummary {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly bytes: number;
}

/** What {@link inspect} says of a checkpoint. */
export interface Inspection {
  readonly file: string;
  readonly bytes: number;
  readonly format: CheckpointFormat;
  /** Path of the entry whose tensors they are; empty: the whole file. */
  readonly root: string;
  /** Class of the network, where the file tells. */
  readonly className: string | null;
  /** What the network was constructed with, where the file tells. */
  readonly config: Json;
  /** Length of the EMA, σ_rel, where the file or its name tells. */
  readonly emaLength: number | null;
  /** Training images seen, where the file or its name tells. */
  readonly imagesSeen: number | null;
  /** Values in all tensors. */
  readonly values: number;
  readonly tensors: readonly TensorSummary[];
  /** What lies beside the tensors. */
  readonly metadata: Json;
}

/**
 * Says what is in a checkpoint of any format. Tensors are not read.
 *
 * @param path The file.
 * @param at Path of the entry that is meant, where the file has several with tensors.
 * @throws CheckpointError when it is in none of the formats, or damaged; the file system's error when it cannot be read
 */
export async function inspect(path: string, at?: string): Promise<Inspection> {
  const { size } = await stat(path);
  const checkpoint = await openCheckpoint(path, at === undefined ? {} : { at });
  const tensors = Object.entries(checkpoint.tensors).map(([name, { dtype, shape }]): TensorSummary => {
    return { name, dtype, shape, bytes: count(shape) * bytesOf[dtype] };
  });
  return {
    file: path,
    bytes: size,
    format: checkpoint.format,
    root: checkpoint.root,
    className: checkpoint.init?.className ?? null,
    config: configOf(checkpoint),
    ...progressOf(checkpoint, basename(path)),
    values: tensors.reduce((sum, { shape }) => sum + count(shape), 0),
    tensors,
    metadata: plain(checkpoint.metadata),
  };
}

const count = (shape: readonly number[]) => shape.reduce((product, extent) => product * extent, 1);

/** Arguments of the network's class, or the configuration that a safetensors file carries as JSON. */
export function configOf({ init, metadata }: Checkpoint): Json {
  if (init) return plain(init.args.length > 0 ? { args: init.args, ...init.kwargs } : init.kwargs);
  const text = metadata.config ?? metadata.init_kwargs;
  if (typeof text !== 'string') return plain(text ?? null);
  try {
    return JSON.parse(text) as Json;
  } catch {
    return text;
  }
}

/**
 * Progress of training. EDM2's snapshots have it in their names alone, as thousands of images and σ_rel (`edm2-img64-s-1073741-0.075.pkl`),
 * EDM's the thousands of images (`network-snapshot-200000.pkl`), training states an entry.
 */
function progressOf({ metadata }: Checkpoint, name: string): { emaLength: number | null; imagesSeen: number | null } {
  const [, thousands, length] = /-(\d{6,7})(?:-(0\.\d{3}))?\.\w+$/.exec(name) ?? [];
  const entry = (names: readonly string[]) => {
    const values = Object.entries(metadata).filter(([key]) => names.includes(key.slice(key.lastIndexOf('.') + 1)));
    const number = values[0] ? Number(values[0][1]) : Number.NaN;
    return Number.isFinite(number) ? number : null;
  };
  return {
    emaLength: entry(['emaLength', 'ema_length']) ?? (length ? Number(length) : null),
    imagesSeen: entry(['imagesSeen', 'images_seen', 'cur_nimg']) ?? (thousands ? 1000 * Number(thousands) : null),
  };
}
