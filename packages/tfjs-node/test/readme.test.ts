import { runReadmeExamples } from '@cm/testing';
import { isInstalled } from '@cm/tfjs-node';
import { expect, it } from 'vitest';

it.skipIf(!isInstalled())(
  "runs the README's example on tensorflow (left out where `cm-tfjs-node setup` has not been run)",
  async () => {
    const printed = await runReadmeExamples(new URL('../README.md', import.meta.url));
    expect(printed).toEqual([['tensorflow', [8, 32, 32, 32]]]);
  },
);
