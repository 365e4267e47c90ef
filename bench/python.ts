import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

const folder = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'cm-bench', 'venv');

/** What is compared, and what looks at it. torch-fidelity asks for torchvision, which its Inception does not need: its other needs are named. */
const packages = [
  ['torch', 'numpy', 'scipy', 'safetensors', 'threadpoolctl', 'tqdm', 'requests', 'pillow', 'transformers'],
  ['--no-deps', 'torch-fidelity'],
];

/** A Python with what is compared, from PyPI, made on first use: about 6 GB. @throws Error when there is no Python, or pip fails */
export function makePython(): string {
  const python = join(folder, 'bin', 'python');
  const made = join(folder, 'packages.json');
  const wanted = JSON.stringify(packages);
  if (existsSync(made) && readFileSync(made, 'utf8') === wanted) return python;
  console.error(`installing PyTorch, torch-fidelity, transformers, SciPy and safetensors into ${folder}`);
  const run = (command: string, ...args: string[]) => execFileSync(command, args, { stdio: ['ignore', 2, 2] });
  run('python3', '-m', 'venv', folder);
  for (const each of packages) run(python, '-m', 'pip', 'install', '--quiet', ...each);
  writeFileSync(made, wanted);
  return python;
}
