import { expect, it } from 'vitest';
import { MismatchError, matchTensors } from '../src';

const shapes = (map: Record<string, number[]>) =>
  Object.fromEntries(Object.entries(map).map(([name, shape]) => [name, { shape }]));

it('a checkpoint that fits comes in the order of the network; a single number has either shape', () => {
  const found = shapes({ b: [2, 3], gain: [1], a: [4] });
  const matched = matchTensors(found, { a: [4], b: [2, 3], gain: [] });
  expect(Object.keys(matched)).toEqual(['a', 'b', 'gain']);
  expect(matched.a).toBe(found.a);
});

it('every tensor that does not fit is in one error', () => {
  const found = shapes({ a: [4], b: [3, 2], extra: [1], c: [1, 1], more: [] });
  const expected = { a: [4], b: [2, 3], c: [], lost: [1], gone: [2] };
  expect(() => matchTensors(found, expected)).toThrow(
    'matchTensors: the checkpoint does not fit the network: missing lost, gone; unexpected extra, more; ' +
      'misshapen b [3,2], expected [2,3]; c [1,1], expected []',
  );
  try {
    matchTensors(found, expected);
  } catch (error) {
    const { missing, unexpected, misshapen } = error as MismatchError;
    expect(error).toBeInstanceOf(MismatchError);
    expect([missing, unexpected]).toEqual([
      ['lost', 'gone'],
      ['extra', 'more'],
    ]);
    expect(misshapen[0]).toEqual({ name: 'b', shape: [3, 2], expected: [2, 3] });
  }
});
