import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { run } from './run';
import { downloaded, LIBRARIES, type TensorFlow, tensorflowIn } from './tensorflow';

/** The versions that the binding is tested with. */
const VERSIONS = '>=2.18,<2.22';

/** Nothing of the wheel runs in Python, so any version of Python for which there are wheels will do. */
const ANY_PYTHON = ['--only-binary=:all:', '--python-version', '3.12'];

/** Unpacks what the binding needs of a wheel, the first argument, into a folder, the second. */
const unpack = `
import sys, zipfile
wheel, target, *libraries = sys.argv[1:]
with zipfile.ZipFile(wheel) as file:
    for name in file.namelist():
        header = name.startswith('tensorflow/include/') and not name.startswith('tensorflow/include/external/')
        if header or name.endswith('.dist-info/METADATA') or name in libraries:
            file.extract(name, target)
`;

/**
 * Brings TensorFlow's wheel into the cache folder by pip, and of it the headers and the two libraries. With CUDA, also the wheels of
 * NVIDIA's libraries that it names.
 *
 * @throws Error saying what to do by hand when there is no pip, or pip fails
 */
export function downloadTensorFlow(gpu: boolean, say: (line: string) => void): TensorFlow {
  // There are wheels without CUDA for x86-64 alone; on ARM the plain package has none either.
  const name = gpu || process.arch !== 'x64' ? 'tensorflow' : 'tensorflow-cpu';
  const folder = join(downloaded(gpu), '..', `download-${process.pid}`);
  mkdirSync(folder, { recursive: true });
  say(`Fetching ${name}${VERSIONS} with pip: ${gpu ? 'several gigabytes' : '0.3 GB, 1 GB on disk'}.`);
  try {
    pip(['download', '--no-deps', ...ANY_PYTHON, '--dest', folder, `${name}${VERSIONS}`]);
    const wheel = readdirSync(folder).find((file) => file.endsWith('.whl'));
    if (!wheel) throw new Error(`pip succeeded, but ${folder} has no wheel`);
    return unpackWheel(join(folder, wheel), gpu, say);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/**
 * Unpacks a wheel of tensorflow or tensorflow-cpu into the cache folder; see {@link downloadTensorFlow}.
 *
 * @throws Error when the file is not there or is not such a wheel
 */
export function unpackWheel(wheel: string, gpu: boolean, say: (line: string) => void): TensorFlow {
  if (!existsSync(wheel)) throw new Error(`--wheel: ${wheel} is not there, expected a wheel of TensorFlow`);
  const target = downloaded(gpu);
  const partial = `${target}.partial-${process.pid}`;
  mkdirSync(partial, { recursive: true });
  try {
    const members = LIBRARIES.map((library) => `tensorflow/${library}`);
    run('python3', ['-c', unpack, wheel, partial, ...members]);
    if (!tensorflowIn(join(partial, 'tensorflow'), wheel)) {
      throw new Error(
        `--wheel: ${wheel} has no ${LIBRARIES[0]} or headers, expected a wheel of TensorFlow 2.18 or later`,
      );
    }
    if (gpu) {
      say("Fetching NVIDIA's libraries with pip.");
      pip(['install', '--quiet', '--no-deps', ...ANY_PYTHON, '--target', partial, ...cudaRequirements(partial)]);
    }
    rmSync(target, { recursive: true, force: true });
    renameSync(partial, target);
  } finally {
    rmSync(partial, { recursive: true, force: true });
  }
  return tensorflowIn(join(target, 'tensorflow'), 'the wheel that setup brought')!;
}

/** What the wheel in a folder requires for CUDA: its libraries look for these beside themselves. */
function cudaRequirements(folder: string): string[] {
  const info = readdirSync(folder).find((name) => /^tensorflow.*\.dist-info$/.test(name));
  const metadata = info ? readFileSync(join(folder, info, 'METADATA'), 'utf8') : '';
  const requirements = [...metadata.matchAll(/^Requires-Dist: (nvidia-[^;]*?)\s*;.*and-cuda/gm)].map(([, one]) => one!);
  if (requirements.length === 0) throw new Error("the wheel names none of NVIDIA's libraries, expected one with CUDA");
  return requirements;
}

function pip(args: readonly string[]): void {
  try {
    run('python3', ['-m', 'pip', '--disable-pip-version-check', ...args]);
  } catch (error) {
    throw new Error(
      `\`python3 -m pip ${args[0]}\` failed: ${(error as Error).message.split('\n')[0]}. ` +
        'Install TensorFlow yourself and name its Python (--python PATH), or fetch its wheel and name that (--wheel PATH).',
    );
  }
}
