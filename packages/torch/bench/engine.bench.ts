import { execFileSync, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { isInstalled } from '@cm/tfjs-node';
import { Command } from 'commander';
import { tableOf } from '../../../tools/testing/src/markdown';
import { cases } from './engine/cases';

// This backend beside PyTorch in Python, WebAssembly and tfjs-node: kernels, and the whole training step of step.ts and step.py. All take turns, so that
// a slow minute of the machine is everybody's.

const here = (file: string) => fileURLToPath(new URL(file, import.meta.url));
const { python, rounds, only, compile } = new Command('pnpm bench:engine --')
  .description(
    'Measures this backend beside PyTorch (an interpreter with torch), WebAssembly and, where it is set up, tfjs-node, in turns.',
  )
  .option('--python <path>', 'a Python interpreter that has torch', 'python3')
  .option('--rounds <n>', 'turns of each', Number, 5)
  .option('--only <part>', 'kernels or step')
  .option('--compile', 'PyTorch compiled, too (a C++ compiler and a minute)', false)
  .parse()
  .opts<{ python: string; rounds: number; only?: string; compile: boolean }>();

/** Least, median and greatest. */
interface Spread {
  readonly least: number;
  readonly median: number;
  readonly greatest: number;
}
function spreadOf(values: readonly number[]): Spread {
  const sorted = [...values].sort((a, b) => a - b);
  return { least: sorted[0]!, median: sorted[sorted.length >> 1]!, greatest: sorted.at(-1)! };
}

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

// In bfloat16 twice: from float32 inputs, which the call converts (PyTorch by autocast), and from inputs that are in bfloat16 already.
async function kernels(): Promise<void> {
  const workers = {
    PyTorch: worker(python, [here('engine/cases.py')]),
    'channels-last': worker(python, [here('engine/cases.py'), '--channels-last']),
    'this backend': worker(process.execPath, tsx('engine/worker.ts', 'torch')),
    'PyTorch, autocast': worker(python, [here('engine/cases.py'), '--channels-last', '--autocast']),
    'this, bf16': worker(process.execPath, tsx('engine/worker.ts', 'torch', 'bfloat16')),
    'PyTorch, bf16 inputs': worker(python, [here('engine/cases.py'), '--channels-last', '--bf16']),
    'this, bf16 inputs': worker(process.execPath, tsx('engine/worker.ts', 'torch', 'bfloat16', '--bf16')),
    WebAssembly: worker(process.execPath, tsx('engine/worker.ts', 'wasm')),
    ...(isInstalled() && { 'tfjs-node': worker(process.execPath, tsx('engine/worker.ts', 'tensorflow')) }),
  };
  const float32: Record<string, Record<string, string>> = {};
  const bfloat16: typeof float32 = {};
  for (const [name, { work }] of Object.entries(cases)) {
    const times: Record<string, number[]> = {};
    for (let round = 0; round < rounds; round++) {
      for (const [engine, { ask }] of Object.entries(workers)) {
        const { ms = Number.NaN } = await ask(name);
        times[engine] = [...(times[engine] ?? []), ms];
      }
    }
    const [amount, unit] = 'flops' in work ? [work.flops, 'GFLOP/s'] : [work.bytes, 'GB/s'];
    const rate = (ms: number) => (amount / ms / 1e6).toFixed(unit === 'GB/s' ? 1 : 0);
    const median = (engine: string) => spreadOf(times[engine]!).median;
    const rates = (engine: string) => {
      const { least, median, greatest } = spreadOf(times[engine]!);
      return Number.isNaN(median) ? '' : `${rate(median)} (${rate(greatest)}–${rate(least)})`;
    };
    const ratio = (theirs: string, ours: string) => (median(theirs) / median(ours)).toFixed(2);
    const pytorch = median('PyTorch') < median('channels-last') ? 'PyTorch' : 'channels-last';
    const row = `${name}, ${unit}`;
    float32[row] = {
      PyTorch: rates(pytorch),
      'this backend': rates('this backend'),
      ratio: ratio(pytorch, 'this backend'),
      WebAssembly: rates('WebAssembly'),
      ...('tfjs-node' in workers && { 'tfjs-node': rates('tfjs-node') }),
    };
    bfloat16[row] = {
      'PyTorch, autocast': rates('PyTorch, autocast'),
      'this backend': rates('this, bf16'),
      ratio: ratio('PyTorch, autocast', 'this, bf16'),
      'PyTorch, bfloat16 inputs': rates('PyTorch, bf16 inputs'),
      'this backend, too': rates('this, bf16 inputs'),
      'its ratio': ratio('PyTorch, bf16 inputs', 'this, bf16 inputs'),
    };
    console.error(name, float32[row], bfloat16[row]);
  }
  for (const { end } of Object.values(workers)) end();
  console.log(`${tableOf('float32', float32)}\n\n${tableOf('bfloat16', bfloat16)}\n`);
}

function step(): void {
  const engines: Record<string, [string, string[]]> = {
    'PyTorch, eager': [python, [here('step.py')]],
    'PyTorch, channels-last': [python, [here('step.py'), '--channels-last']],
    'this backend': [process.execPath, tsx('step.bench.ts', '16', 'float32')],
    'PyTorch, bf16, channels-last': [python, [here('step.py'), '--channels-last', '--bf16']],
    'this backend, bf16': [process.execPath, tsx('step.bench.ts', '16', 'bfloat16')],
    ...(compile && { 'PyTorch, compiled': [python, [here('step.py'), '--channels-last', '--compile']] }),
    ...(isInstalled() && { 'tfjs-node': [process.execPath, tsx('step.bench.ts', '16', 'float32', '--tensorflow')] }),
  };
  const found: Record<string, { least: number; medians: number[]; greatest: number; peak: number }> = {};
  for (let round = 0; round < Math.min(rounds, 3); round++) {
    for (const [engine, [command, args]] of Object.entries(engines)) {
      const { ms, min, max, peak } = JSON.parse(execFileSync(command, args, { encoding: 'utf8' }));
      const known = found[engine] ?? { least: min, medians: [], greatest: max, peak };
      found[engine] = {
        least: Math.min(min, known.least),
        medians: [...known.medians, ms],
        greatest: Math.max(max, known.greatest),
        peak: Math.max(peak, known.peak),
      };
      console.error(engine, ms, `${min}–${max}`, Math.round(peak));
    }
  }
  const median = (engine: string) => spreadOf(found[engine]!.medians).median;
  console.log(
    tableOf(
      `a training step, median of ${Math.min(rounds, 3)} processes`,
      Object.fromEntries(
        Object.entries(found).map(([engine, { least, greatest, peak }]) => [
          engine,
          {
            ms: `${Math.round(median(engine))} (${Math.round(least)}–${Math.round(greatest)})`,
            'of eager’s time': (median(engine) / median('PyTorch, eager')).toFixed(2),
            'of our float32’s': (median(engine) / median('this backend')).toFixed(2),
            'peak memory, MiB': Math.round(peak),
          },
        ]),
      ),
    ),
  );
}

if (only !== 'step') await kernels();
if (only !== 'kernels') step();
