import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { downloaded, type Libtorch, libtorchIn } from './libtorch';

/** The versions that the addon is tested with. */
const VERSIONS = 'torch>=2.11,<2.16';

/**
 * Brings PyTorch's wheel into the cache folder by pip. For the CPU alone, the wheel without what it depends on but the two small
 * libraries that it is linked to, and without its own CUDA part.
 *
 * @throws Error saying what to install by hand when there is no pip, or pip fails
 */
export function downloadLibtorch(cpuOnly: boolean, say: (line: string) => void): Libtorch {
  const target = downloaded();
  const partial = `${target}.partial`;
  rmSync(partial, { recursive: true, force: true });
  mkdirSync(partial, { recursive: true });
  say(`Fetching ${VERSIONS} with pip into ${target}: half a gigabyte${cpuOnly ? '' : ', and the CUDA libraries'}.`);
  pip([...(cpuOnly ? ['--no-deps'] : []), VERSIONS], partial);
  if (cpuOnly) {
    pip(linkedLibraries(partial), partial);
    const libraries = join(partial, 'torch/lib');
    for (const file of readdirSync(libraries)) if (/cuda(?!rt)|nvshmem|nvtx/.test(file)) rmSync(join(libraries, file));
    for (const folder of ['bin', 'testing', '_inductor', 'test'])
      rmSync(join(partial, 'torch', folder), { recursive: true, force: true });
  }
  rmSync(target, { recursive: true, force: true });
  renameSync(partial, target);
  const found = libtorchIn(join(target, 'torch'), 'the torch that setup brought');
  if (!found) throw new Error(`pip succeeded, but ${target} has no libtorch`);
  return found;
}

/** Requirements of the two libraries that libtorch_cpu of a CUDA wheel cannot be loaded without. */
function linkedLibraries(folder: string): string[] {
  const info = readdirSync(folder).find((name) => /^torch-.*\.dist-info$/.test(name));
  const metadata = info ? readFileSync(join(folder, info, 'METADATA'), 'utf8') : '';
  const toolkit = /^Requires-Dist: cuda-toolkit\[.*?\]==([\w.]+)/m.exec(metadata)?.[1];
  if (toolkit) return [`cuda-toolkit[cudart,cupti]==${toolkit}`];
  return [...metadata.matchAll(/^Requires-Dist: (nvidia-cuda-(?:runtime|cupti)[\w-]*==[\w.]+)/gm)].map(
    (match) => match[1]!,
  );
}

function pip(requirements: readonly string[], target: string): void {
  if (requirements.length === 0) return;
  const args = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--target', target, ...requirements];
  const { status, error } = spawnSync('python3', args, { stdio: ['ignore', 'inherit', 'inherit'] });
  if (error || status !== 0) {
    rmSync(target, { recursive: true, force: true });
    throw new Error(
      `\`python3 ${args.slice(0, 3).join(' ')} ${requirements.join(' ')}\` failed${error ? `: ${error.message}` : ''}. ` +
        'Install PyTorch yourself and name its Python (--python PATH), or libtorch (--libtorch PATH; Debian: libtorch-dev).',
    );
  }
}
