import { onEveryBackend, runReadmeExamples } from '@cm/testing';
import { expect, it } from 'vitest';

onEveryBackend(() => {
  it("runs the README's example", async () => {
    const [[x]] = (await runReadmeExamples(new URL('../README.md', import.meta.url))) as [[Float32Array]];
    for (const value of x) expect(Math.abs(value)).toBeLessThan(0.05);
  });
});
