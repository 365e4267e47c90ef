import { onEveryBackend, runReadmeExamples } from '@cm/testing';
import { expect, it } from 'vitest';

onEveryBackend(() => {
  it("runs the README's example", async () => {
    const printed = await runReadmeExamples(new URL('../README.md', import.meta.url));
    expect(printed.map(([line]) => line)).toEqual([
      expect.stringMatching(/^4\/12 images {2}.* images\/s {2}.* left {2}loss /),
      expect.stringMatching(/^8\/12 images/),
      expect.stringMatching(/000000000008\.safetensors$/),
      expect.stringMatching(/^12\/12 images/),
      expect.stringMatching(/000000000012\.safetensors$/),
    ]);
  });
});
