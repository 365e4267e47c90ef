import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

/** What `npx cm-tfjs-node setup` leaves behind for {@link useTensorFlow} to find. */
export interface Installation {
  /** The native module: tfjs-node's binding. */
  readonly binding: string;
  /** Folder of tfjs-node's own JavaScript, as in its npm package. */
  readonly tfjsNode: string;
  /** TensorFlow's version. */
  readonly version: string;
  /** Whether the binding found a GPU when it was tested. */
  readonly gpu: boolean;
}

/** The folder that holds everything that setup makes: `CM_TFJS_NODE_HOME`, or `cm-tfjs-node` in the user's cache folder. */
export function home(): string {
  const cache = process.env.XDG_CACHE_HOME || join(homedir(), '.cache');
  return process.env.CM_TFJS_NODE_HOME || join(cache, 'cm-tfjs-node');
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
 * @throws Error naming the command to run when there is none, or part of it is gone
 */
export function installation(): Installation {
  const file = record();
  if (!existsSync(file)) {
    throw new Error(
      `@cm/tfjs-node: TensorFlow is not set up (there is no ${file}). Run \`npx cm-tfjs-node setup\` once.`,
    );
  }
  const found = JSON.parse(readFileSync(file, 'utf8')) as Partial<Installation>;
  for (const path of [found.binding, found.tfjsNode]) {
    if (typeof path !== 'string' || !existsSync(path)) {
      throw new Error(
        `@cm/tfjs-node: ${file} names ${path}, which is not there. Run \`npx cm-tfjs-node setup\` again.`,
      );
    }
  }
  return found as Installation;
}
