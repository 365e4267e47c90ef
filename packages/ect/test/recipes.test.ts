import { phaseGrid } from '@cm/schedules';
import { expectClose, onEveryBackend } from '@cm/testing';
import * as tf from '@tensorflow/tfjs-core';
import { expect, it } from 'vitest';
import { ectRecipes, objectiveOf, type Recipe } from '../src';

it('recipes are plain data and go by their names', () => {
  expect(JSON.parse(JSON.stringify(ectRecipes))).toEqual(ectRecipes);
  for (const [name, recipe] of Object.entries(ectRecipes)) expect(recipe.name).toBe(name);
  expect(ectRecipes['ect-imagenet64-m'].learningRate).toEqual({ lr: 0.9e-3, decaySteps: 2000 });
});

it('a recipe stands for an objective', () => {
  const { schedule, weighting, phases } = objectiveOf(ectRecipes['ect-imagenet64-s']);
  const pair = schedule(3, 25_000);
  // q 4 at its second stage, n(3) = 1 + 8·sigmoid(−3).
  expect(pair.r).toBeCloseTo(3 * (1 - (1 + 8 / (1 + Math.exp(3))) / 16), 12);
  expect(weighting(pair)).toBeCloseTo((9 + 0.25) / (3 * 0.5) ** 2, 12);
  expect(phases.edges).toEqual([80, 0]);
});

it('the fixed recipe of Fig. 4 has one gap throughout, and phases cut any', () => {
  const recipe: Recipe = ectRecipes['ect-cifar10-fixed'];
  const { schedule, weighting } = objectiveOf(recipe);
  for (const iteration of [0, 15_999]) {
    expect(schedule(2, iteration).gap).toBeCloseTo(2 / 256, 12);
    expect(weighting(schedule(2, iteration))).toBeCloseTo(128, 9);
  }
  const cut = objectiveOf({ ...recipe, phases: 4 });
  expect(cut.phases.edges).toEqual(phaseGrid({ phases: 4 }).edges);
  expect(cut.schedule(80, 0).edge).toBe(cut.phases.edges[1]);
});

onEveryBackend(() => {
  it('a recipe’s metric has its c', () => {
    const [x, y] = [tf.ones([1, 2, 2, 1]), tf.zeros([1, 2, 2, 1])] as [tf.Tensor4D, tf.Tensor4D];
    expectClose(objectiveOf(ectRecipes['ect-imagenet64-s']).metric(x, y), [Math.hypot(2, 0.06) - 0.06], 1e-6);
    expectClose(objectiveOf(ectRecipes['ect-cifar10']).metric(x, y), [2], 1e-6);
  });
});
