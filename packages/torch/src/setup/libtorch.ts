import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import { home } from '../installation';

/** A libtorch on this machine. */
export interface Libtorch {
  /** Where it was found, in words. */
  readonly source: string;
  /** Folders of its headers. */
  readonly include: readonly string[];
  /** Folder of its libraries. */
  readonly libraries: string;
  readonly version: string;
}

/** Where {@link findLibtorch} is to look, instead of everywhere. */
export interface LibtorchOptions {
  /** A folder with include/ and lib/. */
  readonly libtorch?: string;
  /** A Python interpreter whose torch is used. */
  readonly python?: string;
}

/** The libtorch of a folder with include/ and lib/, if it is one. */
export function libtorchIn(folder: string, source: string): Libtorch | undefined {
  const headers = [join(folder, 'include'), join(folder, 'include/torch/csrc/api/include')];
  const version = versionOf(headers);
  const libraries = ['lib', 'lib/x86_64-linux-gnu', 'lib/aarch64-linux-gnu']
    .map((name) => join(folder, name))
    .find((path) => existsSync(join(path, 'libtorch_cpu.so')));
  // The system's own headers are found without being named, and must not be: their order matters to the compiler's.
  const include = headers.filter((path) => path !== '/usr/include');
  return version && libraries ? { source, include, libraries, version } : undefined;
}

/** Debian's libtorch-dev, which lies among the system's headers and libraries. */
export const debianLibtorch = (): Libtorch | undefined => libtorchIn('/usr', "the system's libtorch");

function versionOf(include: readonly string[]): string | undefined {
  for (const folder of include) {
    for (const file of ['torch/headeronly/version.h', 'torch/version.h']) {
      const path = join(folder, file);
      if (!existsSync(path)) continue;
      const text = readFileSync(path, 'utf8');
      const parts = ['MAJOR', 'MINOR', 'PATCH'].map(
        (part) => new RegExp(`TORCH_VERSION_${part} (\\d+)`).exec(text)?.[1],
      );
      if (parts.every((part) => part !== undefined)) return parts.join('.');
    }
  }
  return undefined;
}

/** The torch that a Python interpreter would import, without importing it. */
export function libtorchOfPython(python: string): Libtorch | undefined {
  const ask =
    "import importlib.util as u; s = u.find_spec('torch'); print(s.submodule_search_locations[0] if s else '')";
  try {
    const folder = execFileSync(python, ['-c', ask], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
    return folder ? libtorchIn(folder, `the torch of ${python}`) : undefined;
  } catch {
    return undefined;
  }
}

/** Where a wheel that setup itself brought is unpacked. */
export const downloaded = (): string => join(home(), 'python');

/**
 * The libtorch to build for: the one that options name; else that of the environment variable LIBTORCH, of the active or the system's
 * Python, or one that setup brought before.
 *
 * @throws Error when options name one that is not there
 */
export function findLibtorch(options: LibtorchOptions): Libtorch | undefined {
  if (options.libtorch) {
    const found = libtorchIn(realFolder(options.libtorch), options.libtorch);
    if (!found)
      throw new Error(`--libtorch: ${options.libtorch} has no libtorch, expected a folder with include/ and lib/`);
    return found;
  }
  if (options.python) {
    const found = libtorchOfPython(options.python);
    if (!found) throw new Error(`--python: ${options.python} has no torch, expected an interpreter that can import it`);
    return found;
  }
  const { LIBTORCH, VIRTUAL_ENV } = process.env;
  return (
    (LIBTORCH ? libtorchIn(realFolder(LIBTORCH), `LIBTORCH (${LIBTORCH})`) : undefined) ??
    (VIRTUAL_ENV ? libtorchOfPython(join(VIRTUAL_ENV, 'bin/python')) : undefined) ??
    libtorchOfPython('python3') ??
    libtorchIn(join(downloaded(), 'torch'), 'the torch that setup brought')
  );
}

const realFolder = (path: string) => (existsSync(path) ? realpathSync(path) : path);

/** The file of libtorch's CUDA part, where this libtorch has one. */
export function cudaLibraryOf({ libraries }: Libtorch): string | undefined {
  const file = join(libraries, 'libtorch_cuda.so');
  return existsSync(file) ? file : undefined;
}
