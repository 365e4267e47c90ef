import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { home } from '../installation';

/** A TensorFlow on this machine: a package of Python with its headers and libraries, of which nothing in Python is used. */
export interface TensorFlow {
  /** Where it was found, in words. */
  readonly source: string;
  /** The package's folder, with `include/` and the libraries. */
  readonly folder: string;
}

/** Where {@link findTensorFlow} is to look, instead of everywhere. */
export interface TensorFlowPlace {
  /** A Python interpreter whose tensorflow is used. */
  readonly python?: string;
}

/** The libraries that the binding is linked to. */
export const LIBRARIES = ['libtensorflow_cc.so.2', 'libtensorflow_framework.so.2'] as const;

/** The TensorFlow of a folder, if it is one with headers and libraries. */
export function tensorflowIn(folder: string, source: string): TensorFlow | undefined {
  const needed = ['include/tensorflow/c/eager/c_api.h', ...LIBRARIES];
  return needed.every((file) => existsSync(join(folder, file))) ? { source, folder } : undefined;
}

/** The tensorflow that a Python interpreter would import, without importing it. */
export function tensorflowOfPython(python: string): TensorFlow | undefined {
  const ask =
    "import importlib.util as u; s = u.find_spec('tensorflow'); print(s.submodule_search_locations[0] if s else '')";
  try {
    const folder = execFileSync(python, ['-c', ask], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
    return folder ? tensorflowIn(folder, `the tensorflow of ${python}`) : undefined;
  } catch {
    return undefined;
  }
}

/** Where a wheel that setup brought is unpacked: the CPU's and the GPU's are two packages. */
export const downloaded = (gpu: boolean): string => join(home(), gpu ? 'wheel-gpu' : 'wheel-cpu');

/**
 * The TensorFlow to build for: that of the Python that options name; else of the active or the system's Python, or one that setup brought
 * before.
 *
 * @throws Error when options name a Python that has none
 */
export function findTensorFlow({ python, gpu }: TensorFlowPlace & { gpu?: boolean }): TensorFlow | undefined {
  if (python) {
    const found = tensorflowOfPython(python);
    if (!found) throw new Error(`--python: ${python} has no tensorflow, expected an interpreter that can import it`);
    return found;
  }
  const { VIRTUAL_ENV } = process.env;
  const kinds = gpu === undefined ? [true, false] : [gpu];
  return (
    (VIRTUAL_ENV ? tensorflowOfPython(join(VIRTUAL_ENV, 'bin/python')) : undefined) ??
    tensorflowOfPython('python3') ??
    kinds
      .map((kind) => tensorflowIn(join(downloaded(kind), 'tensorflow'), 'the TensorFlow that setup brought'))
      .find((found) => found)
  );
}
