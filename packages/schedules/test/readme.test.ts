import { runReadmeExamples } from '@cm/testing';
import { expect, it } from 'vitest';
import { gapFactor, type NoisePair } from '../src/index';

it("the README's example says what happens", async () => {
  const [first, second, third] = await runReadmeExamples(new URL('../README.md', import.meta.url));
  const t = Math.fround(Math.exp(-1.1 + 0.5 * 2));
  const shrink = gapFactor(t) / 32;
  const expected = [0, t * (1 - shrink), 1 / (t * shrink + 1e-3)];
  expected.forEach((value, i) => {
    expect(first![i]).toBeCloseTo(value, 9);
  });

  const [edges, pair] = second as [number[], NoisePair];
  expect(edges.map((edge) => Number(edge.toPrecision(2)))).toEqual([80, 18, 2.5, 0.17, 0]);
  expect(pair.edge).toBe(edges[3]);
  expect(pair.gap).toBeCloseTo((t - pair.edge) * shrink, 9);
  expect(third).toEqual([true]);
});
