import { onEveryBackend, runReadmeExamples } from '@cm/testing';
import { expect, it } from 'vitest';

onEveryBackend(() => {
  it("runs the README's example", async () => {
    const [[step, dtype, values]] = (await runReadmeExamples(new URL('../README.md', import.meta.url))) as [unknown[]];
    expect([step, dtype, Array.from(values as Float32Array)]).toEqual(['300', 'F16', [1, 2]]);
  });
});
