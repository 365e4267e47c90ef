import { describe, expect, it } from 'vitest';
import { constant, inverseSquareRoot } from '../src/index';

describe('learning rates', () => {
  it('constant stays', () => {
    expect([0, 1e6].map(constant(1e-4))).toEqual([1e-4, 1e-4]);
  });

  it('inverseSquareRoot is flat to the reference step, then halves at four times as many', () => {
    const rate = inverseSquareRoot({ lr: 1e-3, referenceSteps: 2000 });
    expect([0, 2000, 8000, 32_000].map(rate)).toEqual([1e-3, 1e-3, 5e-4, 2.5e-4]);
  });

  it('warms up in equal parts, and makes something of the first step', () => {
    const rate = inverseSquareRoot({ lr: 1, referenceSteps: 100, warmupSteps: 4 });
    expect([0, 1, 2, 3, 4].map(rate)).toEqual([0.25, 0.5, 0.75, 1, 1]);
  });

  it('refuse bad options', () => {
    expect(() => constant(-1)).toThrow('constant: lr is -1, expected a finite number, 0 or more');
    expect(() => inverseSquareRoot({ lr: 1, referenceSteps: 0 })).toThrow('inverseSquareRoot: referenceSteps is 0');
    expect(() => inverseSquareRoot({ lr: 1, referenceSteps: 1, warmupSteps: -1 })).toThrow('warmupSteps is -1');
  });
});
