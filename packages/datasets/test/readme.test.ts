import { onEveryBackend, runReadmeExamples } from '@cm/testing';
import { expect, it } from 'vitest';

onEveryBackend(() => {
  it("the README's example prints what it says", async () => {
    expect(await runReadmeExamples(new URL('../README.md', import.meta.url))).toEqual([
      [[10_000, 16, 16, 1], 7],
      [[64, 16, 16, 1], 64, 64],
      [
        [4, 16, 16, 1],
        [2, 16, 16, 1],
      ],
    ]);
  });
});
