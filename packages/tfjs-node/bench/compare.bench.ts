import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { tableOf } from '../../../tools/testing/src/markdown';
import { cases } from '../../torch/bench/engine/cases';
import { names } from './cases';

// This backend beside @cm/torch, in turns: pnpm --filter @cm/tfjs-node bench

process.chdir(fileURLToPath(new URL('../../..', import.meta.url)));

function worker(backend: string) {
  const file = fileURLToPath(new URL('worker.ts', import.meta.url));
  const child = spawn(process.execPath, ['--import', 'tsx', file, backend], { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const ask = async (name: string) => {
    child.stdin.write(`${name}\n`);
    const { value, done } = await lines.next();
    if (done) throw new Error(`the process for ${backend} ended`);
    return Number(value);
  };
  return { ask, end: () => child.stdin.end() };
}

const engines = { tensorflow: worker('tensorflow'), torch: worker('torch') };
const table: Record<string, Record<string, string>> = {};
for (const name of names) {
  const best: Record<string, number> = {};
  for (let round = 0; round < 3; round++) {
    for (const [engine, { ask }] of Object.entries(engines)) {
      best[engine] = Math.min(best[engine] ?? Number.POSITIVE_INFINITY, await ask(name));
    }
  }
  const work = cases[name]?.work;
  const flops = work && 'flops' in work ? work.flops : undefined;
  const show = (ms: number) => (flops ? `${(flops / ms / 1e6).toFixed(0)} GFLOP/s` : `${ms.toFixed(0)} ms`);
  table[name] = Object.fromEntries(Object.entries(best).map(([engine, ms]) => [engine, show(ms)]));
}
for (const { end } of Object.values(engines)) end();
console.log(tableOf('the fastest of three turns', table));
