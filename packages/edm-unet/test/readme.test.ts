import { onEveryBackend, runReadmeExamples } from '@cm/testing';
import { expect, it } from 'vitest';

onEveryBackend(() => {
  it("runs the README's example", async () => {
    const printed = await runReadmeExamples(new URL('../README.md', import.meta.url));
    expect(printed).toEqual([[55_733_891], [[2, 8, 8, 3]]]);
  });
});
