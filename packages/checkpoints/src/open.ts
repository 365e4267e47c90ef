import { CheckpointError } from './error';
import { type Budget, budgetOf, defaultMaxBytes } from './limits';
import { isNpy, npzArrays, readNpy } from './npy';
import { headerEnd, readSpans } from './safetensors';
import { type Source, sourceOf } from './source';
import { isTorchLegacy, readPlainPickle, readTorchLegacy, readTorchZip } from './torch';
import { locate, settle, tensorsOf } from './tree';
import { CheckpointTensor, type CheckpointValue, type ConstructorArguments, dictionary } from './values';
import { isZip, readZip } from './zip';

/** What a file is. `pickle` is Python's, in which NVIDIA publishes networks. */
export type CheckpointFormat = 'safetensors' | 'torch-zip' | 'torch-legacy' | 'pickle' | 'npz' | 'npy';

/** An opened checkpoint. Tensors read their bytes when these are asked for. */
export interface Checkpoint {
  readonly format: CheckpointFormat;
  /**
   * Every tensor by name, in the file's order. Where one entry of the tree alone has tensors (the `ema` of NVIDIA's snapshots, the `model` of
   * a training file) the names are that entry's own, those of the network's state dictionary. The array of an `.npy` file is `tensor`.
   */
  readonly tensors: Readonly<Record<string, CheckpointTensor>>;
  /** Path of that entry in the tree; empty where the names are those of the whole tree. */
  readonly root: string;
  /** Everything in the file, as it is nested there. */
  readonly tree: CheckpointValue;
  /** What lies beside tensors: metadata of safetensors, and entries such as `step` or `dataset_kwargs`. */
  readonly metadata: Readonly<Record<string, CheckpointValue>>;
  /** Class and arguments that the network was constructed with, where the file tells: NVIDIA's do. */
  readonly init?: ConstructorArguments;
}

/** How {@link openCheckpoint} reads. */
export interface OpenOptions {
  /**
   * Path of the entry whose tensors are meant, where the file has several: `G_ema`, `model.net`. Default: the only entry with tensors, else the
   * whole tree.
   */
  readonly at?: string;
  /**
   * Bytes that the file's values, tensors included, may take when all are read, beyond the file's own. Default: eight times the file's, and
   * 256 MiB where that is more. What asks for more is refused before it is allocated.
   */
  readonly maxBytes?: number;
}

/**
 * Opens a checkpoint of any format: safetensors, PyTorch's zip archives and legacy files, NVIDIA's pickles, `.npz`, `.npy`. The format is
 * recognised by the file's first bytes.
 *
 * Pickles are interpreted as data: constructors from a fixed list are imitated, any other name is refused. Nothing of the file is executed.
 * Time and memory are bounded by the size of the file and by `maxBytes`, whatever the file says.
 *
 * @param bytes The file. Tensors are views into it wherever they lie there as they are, so it is held once.
 * @throws CheckpointError with the reason and the byte, when the file is in none of the formats or is damaged, or has nothing at `at`
 */
export const openCheckpoint = (bytes: Uint8Array, options: OpenOptions = {}): Checkpoint =>
  openSource(sourceOf(bytes), options);

/** Bytes of a file's beginning by which its format is known. */
export const HEAD = 16;

/** Whether a file that begins so is opened without reading all of it: an archive, or safetensors. */
export const opensInParts = (head: Uint8Array) => isZip(head) || isSafetensors(head);

const isPickle = (head: Uint8Array) => head[0] === 0x80 && head[1]! >= 2 && head[1]! <= 5;
const isSafetensors = (head: Uint8Array) =>
  head[8] === 0x7b && !isZip(head) && !isNpy(head) && !isTorchLegacy(head) && !isPickle(head);

/**
 * Opens a checkpoint of which parts are read when they are needed: a tensor's bytes when they are asked for.
 *
 * @throws CheckpointError as {@link openCheckpoint} does
 */
export function openSource(source: Source, options: OpenOptions): Checkpoint {
  const budget = budgetOf(options.maxBytes ?? defaultMaxBytes(source.size));
  return checkpointOf(read(source, budget), options, budget);
}

function checkpointOf({ format, value, metadata }: Read, { at }: OpenOptions, budget: Budget): Checkpoint {
  const tree = settle(value, budget);
  const located = locate(tree, at);
  return {
    format,
    tensors: located.value instanceof CheckpointTensor ? { tensor: located.value } : tensorsOf(located.value),
    root: located.root,
    tree,
    metadata: metadata ?? located.metadata,
    ...(located.init && { init: located.init }),
  };
}

interface Read {
  readonly format: CheckpointFormat;
  readonly value: unknown;
  readonly metadata?: Readonly<Record<string, string>>;
}

function read(source: Source, budget: Budget): Read {
  const head = source.read(0, Math.min(HEAD, source.size));
  if (isZip(head)) {
    const entries = readZip(source, budget);
    const isTorch = [...entries.keys()].some((name) => name.endsWith('/data.pkl'));
    return isTorch
      ? { format: 'torch-zip', value: readTorchZip(entries, budget) }
      : { format: 'npz', value: npzArrays(entries) };
  }
  if (isSafetensors(head)) {
    const { spans, metadata } = readSpans(source.read(0, headerEnd(head, source.size)), source.size);
    const value = dictionary();
    for (const [name, { dtype, shape, begin, end }] of Object.entries(spans)) {
      value[name] = new CheckpointTensor(dtype, shape, () => source.read(begin, end));
    }
    return { format: 'safetensors', value, metadata };
  }
  const bytes = source.read(0, source.size);
  if (isNpy(bytes)) return { format: 'npy', value: readNpy(bytes) };
  if (isTorchLegacy(bytes)) return { format: 'torch-legacy', value: readTorchLegacy(bytes, 0, budget) };
  if (isPickle(bytes)) return { format: 'pickle', value: readPlainPickle(bytes, budget) };
  const begin = [...bytes.subarray(0, 4)].map((byte) => byte.toString(16).padStart(2, '0')).join(' ');
  throw new CheckpointError(
    `file of ${bytes.length} bytes begins with ${begin || 'nothing'}, expected safetensors, a PyTorch file, a pickle, .npz or .npy`,
    0,
  );
}
