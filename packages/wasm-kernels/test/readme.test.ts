import { runReadmeExamples } from '@cm/testing';
import { expect, it } from 'vitest';

it("the README's example prints what it says", async () => {
  const [[shape, corner]] = (await runReadmeExamples(new URL('../README.md', import.meta.url))) as [[number[], number]];
  expect(shape).toEqual([3, 3, 3, 16]);
  expect(corner).toBe(49);
});
