import { createRequire } from 'node:module';
import { expect, it } from 'vitest';
import { restoreUtil } from '../src/node-shim';

it('gives `util` the functions that Node 23 removed', () => {
  restoreUtil();
  const { isArray, isNullOrUndefined } = createRequire(import.meta.url)('util');
  expect([null, undefined, 0, ''].map(isNullOrUndefined)).toEqual([true, true, false, false]);
  expect([[], {}].map(isArray)).toEqual([true, false]);
});
