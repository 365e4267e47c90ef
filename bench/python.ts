import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

const folder = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'cm-bench', 'venv');

/** A Python with what is compared, from PyPI, made on first use: about 3 GB. @throws Error when there is no Python, or pip fails */
export function makePython(): string {
  const python = join(folder, 'bin', 'python');
  if (existsSync(join(folder, 'complete'))) return python;
  console.error(`installing PyTorch, torch-fidelity, SciPy and safetensors into ${folder}`);
  const run = (command: string, ...args: string[]) => execFileSync(command, args, { stdio: ['ignore', 2, 2] });
  run('python3', '-m', 'venv', folder);
  run(python, '-m', 'pip', 'install', '--quiet', 'torch', 'numpy', 'scipy', 'safetensors');
  // It asks for torchvision, which its Inception does not need.
  run(python, '-m', 'pip', 'install', '--quiet', '--no-deps', 'torch-fidelity');
  run(python, '-m', 'pip', 'install', '--quiet', 'tqdm', 'requests', 'pillow');
  run('touch', join(folder, 'complete'));
  return python;
}
