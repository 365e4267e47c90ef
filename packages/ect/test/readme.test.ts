import { onEveryBackend, runReadmeExamples } from '@cm/testing';
import { expect, it } from 'vitest';
import { ectRecipes } from '../src';

onEveryBackend(() => {
  it("runs the README's example", async () => {
    expect(await runReadmeExamples(new URL('../README.md', import.meta.url))).toEqual([[true]]);
  });
});

it('recipes go by their names', () => {
  for (const [name, recipe] of Object.entries(ectRecipes)) expect(recipe.name).toBe(name);
  expect(ectRecipes['ect-imagenet64-m'].learningRate).toEqual({ lr: 0.9e-3, decaySteps: 2000 });
});
