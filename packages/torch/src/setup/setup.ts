import { execFileSync } from 'node:child_process';
import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { hasGpu, type Installation, record } from '../installation';
import { compile, compileDistributed, instructionsUsed } from './compile';
import { downloadLibtorch } from './download';
import { cudaLibraryOf, debianLibtorch, findLibtorch, type Libtorch, type LibtorchOptions } from './libtorch';
import { selfTest } from './self-test';

/** What `cm-torch setup` is asked for. */
export interface SetupOptions extends LibtorchOptions {
  /** Whether the CUDA part is wanted: by default where there is a GPU. */
  readonly cuda?: boolean;
}

/** PyTorch's wheel; without it, for the CPU, Debian's package where that is installed. */
function fetchLibtorch(cuda: boolean, say: (line: string) => void): Libtorch {
  try {
    return downloadLibtorch(!cuda, say);
  } catch (error) {
    const debian = cuda ? undefined : debianLibtorch();
    if (!debian) throw error;
    say((error as Error).message);
    return debian;
  }
}

/**
 * Finds or fetches libtorch, compiles the addon for it, tests it in a process of its own, and records it for the backend to find.
 *
 * @throws Error saying which of these failed; what was set up before stays in use
 */
export async function setup(options: SetupOptions, say: (line: string) => void): Promise<Installation> {
  const wantsCuda = options.cuda ?? hasGpu();
  let libtorch = findLibtorch(options);
  if (libtorch && wantsCuda && !cudaLibraryOf(libtorch)) {
    const lack = `libtorch ${libtorch.version} (${libtorch.source}) has no libtorch_cuda.so, expected one ${options.cuda ? 'for --cuda' : 'for the GPU here; --cpu does without'}`;
    if (options.libtorch || options.python) throw new Error(lack);
    say(`${lack}: fetching another.`);
    libtorch = undefined;
  }
  libtorch ??= fetchLibtorch(wantsCuda, say);
  say(`libtorch ${libtorch.version}: ${libtorch.source}.`);
  const [addon, distributed] = await Promise.all([compile(libtorch, say), compileDistributed(libtorch, say)]);
  const cudaLibrary = options.cuda === false ? undefined : cudaLibraryOf(libtorch);
  const installation: Installation = {
    addon,
    libraries: libtorch.libraries,
    version: libtorch.version,
    instructions: instructionsUsed(libtorch),
    ...(distributed && { distributed }),
    ...(cudaLibrary && { cudaLibrary }),
  };
  const report = execFileSync(process.execPath, ['-e', selfTest, addon], { encoding: 'utf8' });
  say(report.trim());
  mkdirSync(dirname(record()), { recursive: true });
  writeFileSync(`${record()}.partial`, `${JSON.stringify(installation, undefined, 2)}\n`);
  renameSync(`${record()}.partial`, record());
  say(`Set up: ${record()}`);
  return installation;
}
