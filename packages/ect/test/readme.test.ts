import { onEveryBackend, runReadmeExamples } from '@cm/testing';
import { expect, it } from 'vitest';

onEveryBackend(() => {
  it("runs the README's example", async () => {
    expect(await runReadmeExamples(new URL('../README.md', import.meta.url))).toEqual([[true]]);
  });
});
