import { fuzz } from './fuzz';

// `pnpm fuzz [inputs] [seed]`: opens mutated checkpoints of every format and prints what became of them.
const [inputs = 200_000, seed = 0] = process.argv.slice(2).map(Number);
const started = performance.now();
let heap = 0;
const counts = fuzz(seed, inputs, (done) => {
  if (done % 1000 === 0) heap = Math.max(heap, process.memoryUsage().rss);
  if (done % 20_000 === 0) console.error(`${done} of ${inputs}, ${Math.round((performance.now() - started) / 1000)} s`);
});
console.log(
  JSON.stringify({ ...counts, seconds: Math.round((performance.now() - started) / 1000), rssMiB: heap >> 20 }, null, 2),
);
