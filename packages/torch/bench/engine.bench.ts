import { execFileSync, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import { cases } from './engine/cases';

// This backend beside PyTorch in Python and WebAssembly: kernels, and the whole training step of step.ts and step.py. All take turns, so that
// a slow minute of the machine is everybody's.

const here = (file: string) => fileURLToPath(new URL(file, import.meta.url));
const { python, rounds, only, compile } = new Command('pnpm bench:engine --')
  .description('Measures this backend beside PyTorch (an interpreter with torch) and WebAssembly, in turns.')
  .option('--python <path>', 'a Python interpreter that has torch', 'python3')
  .option('--rounds <n>', 'turns of each', Number, 5)
  .option('--only <part>', 'kernels or step')
  .option('--compile', 'PyTorch compiled, too (a C++ compiler and a minute)', false)
  .parse()
  .opts<{ python: string; rounds: number; only?: string; compile: boolean }>();

/** A process that answers each line it is given with one line of JSON. */
function worker(command: string, args: readonly string[]) {
  const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    ask: async (line: string): Promise<{ ms?: number; error?: string }> => {
      child.stdin.write(`${line}\n`);
      const { value, done } = await lines.next();
      if (done) throw new Error(`${command} ${args.join(' ')} ended`);
      return JSON.parse(value);
    },
    end: () => child.stdin.end(),
  };
}

const tsx = (file: string, ...args: string[]) => ['--import', 'tsx', here(file), ...args];
const root = here('../../..');
process.chdir(root);
const table: Record<string, Record<string, string>> = {};

async function kernels(): Promise<void> {
  const workers = {
    PyTorch: worker(python, [here('engine/cases.py')]),
    'channels-last': worker(python, [here('engine/cases.py'), '--channels-last']),
    'this backend': worker(process.execPath, tsx('engine/worker.ts', 'torch')),
    'PyTorch bf16': worker(python, [here('engine/cases.py'), '--channels-last', '--bf16']),
    'this, bf16': worker(process.execPath, tsx('engine/worker.ts', 'torch', 'bfloat16')),
    WebAssembly: worker(process.execPath, tsx('engine/worker.ts', 'wasm')),
  };
  for (const [name, { work }] of Object.entries(cases)) {
    const fastest: Record<string, number> = {};
    for (let round = 0; round < rounds; round++) {
      for (const [engine, { ask }] of Object.entries(workers)) {
        const { ms = Number.NaN } = await ask(name);
        fastest[engine] = Math.min(fastest[engine] ?? Number.POSITIVE_INFINITY, ms);
      }
    }
    const rate = (ms: number) =>
      'flops' in work ? `${(work.flops / ms / 1e6).toFixed(0)} GF/s` : `${(work.bytes / ms / 1e6).toFixed(1)} GB/s`;
    const best = Math.min(fastest.PyTorch!, fastest['channels-last']!);
    table[name] = {
      ...Object.fromEntries(Object.entries(fastest).map(([engine, ms]) => [engine, rate(ms)])),
      'speed / PyTorch': (best / fastest['this backend']!).toFixed(2),
      bf16: (fastest['PyTorch bf16']! / fastest['this, bf16']!).toFixed(2),
    };
    console.error(name, table[name]);
  }
  for (const { end } of Object.values(workers)) end();
  console.table(table);
}

function step(): void {
  const engines: Record<string, [string, string[]]> = {
    'PyTorch, eager': [python, [here('step.py')]],
    'PyTorch, channels-last': [python, [here('step.py'), '--channels-last']],
    'this backend': [process.execPath, tsx('step.bench.ts', '16', 'float32')],
    'PyTorch, bf16, channels-last': [python, [here('step.py'), '--channels-last', '--bf16']],
    'this backend, bf16': [process.execPath, tsx('step.bench.ts', '16', 'bfloat16')],
    ...(compile && { 'PyTorch, compiled': [python, [here('step.py'), '--channels-last', '--compile']] }),
  };
  const found: Record<string, { ms: number; peak: number }> = {};
  for (let round = 0; round < Math.min(rounds, 3); round++) {
    for (const [engine, [command, args]] of Object.entries(engines)) {
      const { min, peak } = JSON.parse(execFileSync(command, args, { encoding: 'utf8' }));
      const known = found[engine];
      found[engine] = { ms: Math.min(min, known?.ms ?? min), peak: Math.max(peak, known?.peak ?? 0) };
      console.error(engine, min, Math.round(peak));
    }
  }
  const eager = found['PyTorch, eager']!.ms;
  console.table(
    Object.fromEntries(
      Object.entries(found).map(([engine, { ms, peak }]) => [
        engine,
        { 'fastest step, ms': ms, 'of eager’s time': (ms / eager).toFixed(2), 'peak memory, MiB': Math.round(peak) },
      ]),
    ),
  );
}

if (only !== 'step') await kernels();
if (only !== 'kernels') step();
