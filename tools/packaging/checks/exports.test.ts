import { expect, it } from 'vitest';
import { entryPoints } from '../src/entry-points';

// `pnpm check:packages -u` takes a change over, to be read in the diff: whatever is in there, strangers use.
it.each(Object.entries(entryPoints()))('%s exports what it did', (_, entryPoint) => {
  expect(entryPoint).toMatchSnapshot();
});
