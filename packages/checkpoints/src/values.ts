import type { DType } from './dtypes';
import type { FileTensor } from './safetensors';

/**
 * A tensor of an opened checkpoint. Its bytes are read when `data` is asked for: a view into the file where they lie there as they are,
 * else (compressed, strided or big-endian) a new array each time.
 */
export class CheckpointTensor implements FileTensor {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly #read: () => Uint8Array;

  constructor(dtype: DType, shape: readonly number[], read: () => Uint8Array) {
    this.dtype = dtype;
    this.shape = shape;
    this.#read = read;
  }

  /** Bytes, little-endian and row-major. @throws CheckpointError when a compressed entry turns out to be damaged */
  get data(): Uint8Array {
    return this.#read();
  }
}

/** What a constructor was called with, as NVIDIA's persistent objects note it. */
export interface ConstructorArguments {
  readonly className: string;
  readonly args: readonly CheckpointValue[];
  readonly kwargs: Readonly<Record<string, CheckpointValue>>;
}

/** An object of the file: the name of its class and its attributes, inert. */
export class CheckpointObject {
  readonly className: string;
  readonly state: Record<string, CheckpointValue>;

  constructor(className: string, state: Record<string, CheckpointValue>) {
    this.className = className;
    this.state = state;
  }

  /** The arguments that it was constructed with, where the file tells. */
  get init(): ConstructorArguments | undefined {
    const { _init_args: args, _init_kwargs: kwargs } = this.state;
    if (!Array.isArray(args) || !isDictionary(kwargs)) return undefined;
    return { className: this.className, args, kwargs };
  }
}

/**
 * What a checkpoint is made of. Python's lists, tuples and sets are arrays; dictionaries are objects without a prototype, keys as text;
 * integers beyond 2^53 are bigints; `bytes` are bytes.
 */
export type CheckpointValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | CheckpointTensor
  | CheckpointObject
  | readonly CheckpointValue[]
  | { readonly [key: string]: CheckpointValue };

/** Whether a value is a dictionary, neither a tensor nor an object of a class. */
export const isDictionary = (value: unknown): value is Record<string, CheckpointValue> =>
  typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === null;

/** An empty dictionary: without a prototype, so that no key of a file means anything. */
export const dictionary = (): Record<string, CheckpointValue> => Object.create(null);
