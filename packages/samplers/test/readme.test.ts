import { onEveryBackend, runReadmeExamples } from '@cm/testing';
import { expect, it } from 'vitest';

onEveryBackend(() => {
  it("runs the README's example", async () => {
    const [shapes] = await runReadmeExamples(new URL('../README.md', import.meta.url));
    for (const shape of shapes!) expect(shape).toEqual([4, 8, 8, 1]);
  });
});
