import { onEveryBackend, runReadmeExamples } from '@cm/testing';
import { expect, it } from 'vitest';

onEveryBackend(() => {
  it("the README's example prints what it says", async () => {
    const printed = await runReadmeExamples(new URL('../README.md', import.meta.url));
    expect(printed).toEqual([['0.750']]);
  });
});
