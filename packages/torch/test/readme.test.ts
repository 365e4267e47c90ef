import { runReadmeExamples } from '@cm/testing';
import { isInstalled } from '@cm/torch';
import { expect, it } from 'vitest';

it.skipIf(!isInstalled())("runs the README's example (left out where `cm-torch setup` has not been run)", async () => {
  const printed = await runReadmeExamples(new URL('../README.md', import.meta.url));
  expect(printed).toEqual([[[8, 32, 32, 32]], [[2]]]);
});
