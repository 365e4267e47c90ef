import { onEveryBackend, runReadmeExamples } from '@cm/testing';
import { expect, it } from 'vitest';

onEveryBackend(() => {
  it("runs the README's example", async () => {
    const [[shape, parameters]] = (await runReadmeExamples(new URL('../README.md', import.meta.url))) as [
      [number[], number],
    ];
    expect(shape).toEqual([2, 16, 16, 1]);
    expect(parameters).toBeGreaterThan(100_000);
  });
});
