import { stat } from 'node:fs/promises';
import { extname } from 'node:path';
import { type Checkpoint, writeNpz, writeSafetensors, writeTorchStateDict } from '@cm/checkpoints';
import { openCheckpoint, writeFileAtomically } from '@cm/checkpoints/node';
import { configOf } from './inspect';
import { plain } from './plain';

/** How {@link convert} converts. */
export interface ConvertOptions {
  /** Path of the entry that is meant, where the file has several with tensors. */
  readonly at?: string;
  /** Whether a file that is there is replaced. Default false. */
  readonly force?: boolean;
}

/** What {@link convert} did. */
export interface Converted {
  readonly from: string;
  readonly to: string;
  readonly tensors: number;
  readonly bytes: number;
  /** Names of entries beside the tensors that the new format has no place for. */
  readonly leftOut: readonly string[];
}

const writers: Readonly<Record<string, (checkpoint: Checkpoint) => Uint8Array>> = {
  '.safetensors': (checkpoint) => writeSafetensors(checkpoint.tensors, metadataOf(checkpoint)),
  '.pt': ({ tensors }) => writeTorchStateDict(tensors),
  '.pth': ({ tensors }) => writeTorchStateDict(tensors),
  '.npz': ({ tensors }) => writeNpz(tensors),
};

/**
 * Writes the tensors of a checkpoint in another format, bit for bit and under the same names. The new file's extension says the format:
 * `.safetensors` (configuration and what lies beside the tensors become its metadata), `.pt` and `.pth` (a PyTorch state dictionary), `.npz`.
 *
 * @throws CheckpointError when the file is in none of the formats, or damaged; Error when the extension is another, the new file is there
 *   already, or the new format has no place for a type; the file system's error
 */
export async function convert(
  from: string,
  to: string,
  { at, force = false }: ConvertOptions = {},
): Promise<Converted> {
  const extension = extname(to);
  const write = Object.hasOwn(writers, extension) ? writers[extension] : undefined;
  if (!write) throw new Error(`${to} ends with "${extension}", expected one of ${Object.keys(writers).join(', ')}`);
  if (!force && (await exists(to))) throw new Error(`${to} is there already; --force replaces it`);
  const checkpoint = await openCheckpoint(from, at === undefined ? {} : { at });
  const tensors = Object.keys(checkpoint.tensors).length;
  if (tensors === 0) throw new Error(`${from} has no tensors`);
  const bytes = write(checkpoint);
  await writeFileAtomically(to, bytes);
  const leftOut = extension === '.safetensors' ? [] : Object.keys(metadataOf(checkpoint));
  return { from, to, tensors, bytes: bytes.length, leftOut };
}

/** Metadata of a safetensors file: text is kept, all else becomes JSON; class and configuration of the network as `className` and `config`. */
function metadataOf(checkpoint: Checkpoint): Record<string, string> {
  const entries = Object.entries(checkpoint.metadata).map(([key, value]): [string, string] => [
    key,
    typeof value === 'string' ? value : JSON.stringify(plain(value)),
  ]);
  const { init } = checkpoint;
  if (init) entries.push(['className', init.className], ['config', JSON.stringify(configOf(checkpoint))]);
  return Object.fromEntries(entries);
}

const exists = (path: string) =>
  stat(path).then(
    () => true,
    () => false,
  );
