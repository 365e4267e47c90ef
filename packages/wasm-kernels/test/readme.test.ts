import { runReadmeExamples } from '@cm/testing';
import { wasmKernelsInUse } from '@cm/wasm-kernels';
import { expect, it } from 'vitest';

it("the README's example prints what it says", async () => {
  const printed = await runReadmeExamples(new URL('../README.md', import.meta.url));
  expect(printed).toEqual([[wasmKernelsInUse()], [[3, 3, 3, 16], 49]]);
});
