import { expect, it } from 'vitest';
import { fuzz } from './fuzz';

it('files mutated in four thousand ways are opened or refused, in bounded time, and nothing else happens', () => {
  const { inputs, opened, refused, refusedInReading, seeds } = fuzz(1, 4000);
  expect(opened + refused + refusedInReading).toBe(inputs);
  expect(Math.min(opened, refused, refusedInReading, ...Object.values(seeds))).toBeGreaterThan(0);
});
