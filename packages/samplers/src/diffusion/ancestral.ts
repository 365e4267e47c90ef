import type * as tf from '@tensorflow/tfjs-core';
import { fraction } from '../check';
import type { Denoiser } from '../model';
import { levelsOf } from '../noise-levels';
import { run } from '../run';
import type { Solver, State, Step } from '../solver';
import { type DiffusionOptions, euler } from './euler';

/** How random a sampler is. */
export interface RandomnessOptions {
  /** η: share of fresh noise, from 0, none, to 1, as much as the diffusion process itself has. */
  readonly eta?: number;
}

/**
 * Splits a step from t to s: a solver goes down to σ_down, and fresh noise of σ_up brings it back to s. σ_up² = η²·s²(t² − s²)/t²,
 * σ_down² = s² − σ_up².
 */
export function ancestralLevels({ from, to }: Step, eta: number): { down: number; up: number } {
  const up = eta * to * Math.sqrt(1 - (to / from) ** 2);
  return { down: Math.sqrt(to ** 2 - up ** 2), up };
}

/** Makes a one-step solver ancestral. */
export function ancestral(solver: Solver, eta: number): Solver {
  if (eta === 0) return solver;
  return <X>(...[space, state, step]: Parameters<typeof solver<X>>): State<X> => {
    const { down, up } = ancestralLevels(step, eta);
    const { x, memory } = solver(space, state, { ...step, to: down });
    return { x: space.sum([1, x], [up, space.noise()]), memory };
  };
}

/**
 * Ancestral sampling by Euler's steps: DDPM's at η = 1, DDIM's family between. One evaluation a step.
 *
 * @throws Error when η (default 1) is not from 0 to 1, or another option does not fit
 * @see Ho et al. (arXiv 2006.11239); Song et al. (arXiv 2010.02502), Eq. 16; Karras et al. (arXiv 2206.00364) for this parametrisation
 */
export function sampleAncestralEuler(model: Denoiser, options: DiffusionOptions & RandomnessOptions): tf.Tensor4D {
  const where = 'sampleAncestralEuler';
  const { eta = 1 } = options;
  fraction(where, 'eta', eta);
  return run(where, model, options, { levels: levelsOf(where, options), solver: ancestral(euler, eta) });
}
