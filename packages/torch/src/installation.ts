import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { lackingInstructions } from './instructions';

/** What `npx cm-torch setup` leaves behind for the backend to find. */
export interface Installation {
  /** The native module. */
  readonly addon: string;
  /** Folder of libtorch's libraries. */
  readonly libraries: string;
  /** libtorch's version. */
  readonly version: string;
  /** The vector instructions that it uses, such as `avx2`. */
  readonly instructions: readonly string[];
  /** The native module of collective operations, where this libtorch has what it needs. */
  readonly distributed?: string;
  /** libtorch's CUDA part, to be loaded where there is a GPU. */
  readonly cudaLibrary?: string;
}

/** The folder that holds everything that setup makes: `CM_TORCH_HOME`, or `cm-torch` in the user's cache folder. */
export function home(): string {
  const cache = process.env.XDG_CACHE_HOME || join(homedir(), '.cache');
  return process.env.CM_TORCH_HOME || join(cache, 'cm-torch');
}

/** The file that names the installation in use. */
export const record = (): string => join(home(), 'installation.json');

/** Whether the machine has an NVIDIA driver at work. */
export const hasGpu = (): boolean => existsSync('/proc/driver/nvidia/version') || existsSync('/dev/nvidiactl');

/** Whether setup has been run: the backend can be used. */
export const isInstalled = (): boolean => existsSync(record());

/**
 * The installation in use.
 *
 * @throws Error naming the command to run when there is none, or when it was compiled for another processor
 */
export function installation(): Installation {
  const file = record();
  if (!existsSync(file)) {
    throw new Error(`@cm/torch: libtorch is not set up (there is no ${file}). Run \`npx cm-torch setup\` once.`);
  }
  const found = JSON.parse(readFileSync(file, 'utf8')) as Partial<Installation>;
  if (typeof found.addon !== 'string' || !existsSync(found.addon)) {
    throw new Error(`@cm/torch: ${file} names ${found.addon}, which is not there. Run \`npx cm-torch setup\` again.`);
  }
  const lacking = lackingInstructions(found.instructions ?? []);
  if (lacking.length > 0) {
    throw new Error(
      `@cm/torch: ${found.addon} was compiled for a processor with ${lacking.join(', ')}, which this one has not. ` +
        'Run `npx cm-torch setup` on this machine, with a CM_TORCH_HOME of its own if both share the folder.',
    );
  }
  const { cudaLibrary, ...rest } = found as Installation;
  return cudaLibrary && hasGpu() ? { ...rest, cudaLibrary } : rest;
}
