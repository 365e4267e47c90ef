import { onEveryBackend, runReadmeExamples } from '@cm/testing';
import { expect, it } from 'vitest';

onEveryBackend(() => {
  it("runs the README's example, whose loss falls", async () => {
    const [first, last] = (await runReadmeExamples(new URL('../README.md', import.meta.url))) as [number, number][];
    expect(last![0]).toBe(49);
    expect(last![1]).toBeLessThan(first![1]);
  });
});
