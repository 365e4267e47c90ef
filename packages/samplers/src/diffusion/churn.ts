import { that } from '../check';
import type { BeforeStep } from '../solver';

/** EDM's stochastic churn: before a step the noise level is raised to t̂ = t + γ·t, γ = min(S_churn/N, √2 − 1), by fresh noise. */
export interface ChurnOptions {
  readonly churn?: {
    /** S_churn. 0 is off. */
    readonly amount: number;
    /** S_tmin and S_tmax: noise levels at which it acts. Default: all. */
    readonly min?: number;
    readonly max?: number;
    /** S_noise: standard deviation of the fresh noise. Default 1. */
    readonly noise?: number;
  };
}

/** Churn as something to do before each of a grid's steps; undefined where it is off. */
export function churn(where: string, levels: readonly number[], options: ChurnOptions): BeforeStep | undefined {
  const { amount = 0, min = 0, max = Number.POSITIVE_INFINITY, noise = 1 } = options.churn ?? {};
  that(where, 'churn.amount', amount, amount >= 0, '0 or more');
  that(where, 'churn.noise', noise, noise >= 0, '0 or more');
  if (amount === 0) return undefined;
  const gamma = Math.min(amount / (levels.length - 1), Math.SQRT2 - 1);
  return (space, x, t) => {
    if (t < min || t > max) return { x, t };
    const raised = t * (1 + gamma);
    return { x: space.sum([1, x], [noise * Math.sqrt(raised ** 2 - t ** 2), space.noise()]), t: raised };
  };
}
