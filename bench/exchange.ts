import { run } from './scaling';

// What there is to gain where two processes of one thread each exchange gradients: how much of the sum's time goes by unseen while a step is computed, which is
// more than overlapping with the backward pass could hide, and what sharing moments and the average out takes. npx tsx bench/exchange.ts

const settings = { processes: 2, batch: 16 };
const rows: Record<string, Record<string, string>> = {};
for (const round of [1, 2]) {
  for (const trial of ['overlap', 'shard'] as const) {
    const { step, reduce, hidden } = await run(settings, trial);
    const times = { 'step, ms': step.toFixed(0), 'sum, ms': reduce.toFixed(1), 'hidden, ms': hidden?.toFixed(1) ?? '' };
    rows[`${trial}, round ${round}`] = times;
  }
}
console.table(rows);
