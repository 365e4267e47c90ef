import { constants } from 'node:os';
import { installation } from './installation';

/** The native module. Arguments and results of `call` are numbers in `buffer`: see native/call.h. */
export interface Addon {
  readonly buffer: Float64Array;
  call(kernel: number, count: number): void;
  upload(data: TypedArray, type: number): number;
  download(handle: number, data: TypedArray): void;
  release(handle: number): void;
  kernelNames(): string[];
  version(): string;
  reportMemory(change: number): number;
  loadLibrary(path: string): void;
}

/** How tensors' values reach JavaScript. */
export type TypedArray = Float32Array | Int32Array | Uint8Array;

let loaded: Addon | undefined;

/**
 * The native module that `npx cm-torch setup` built, loaded once.
 *
 * @throws Error saying what to do when there is none, or it does not load
 */
export function loadAddon(): Addon {
  if (loaded) return loaded;
  const { addon, cudaLibrary } = installation();
  const module = { exports: {} as Addon };
  try {
    process.dlopen(module, addon, constants.dlopen.RTLD_NOW);
    if (cudaLibrary) module.exports.loadLibrary(cudaLibrary);
  } catch (error) {
    throw new Error(
      `@cm/torch: ${addon} does not load: ${(error as Error).message}. \`npx cm-torch setup\` builds it anew.`,
    );
  }
  loaded = module.exports;
  return loaded;
}
