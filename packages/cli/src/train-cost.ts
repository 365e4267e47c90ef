import { objectiveOf } from '@cm/ect';
import { key, normalArray } from '@cm/random';
import type { NoisePair } from '@cm/schedules';
import type { Network } from './network';
import type { RunSettings } from './train-config';
import type { TrainRecipe } from './train-recipe';

/** What a run costs, computed from the network's convolutions and matrix products; element-wise work and references are left out. */
export interface Cost {
  /** Floating-point operations of the first step and of the last. */
  readonly stepFlops: readonly [first: number, last: number];
  readonly totalFlops: number;
  /** Bytes of the state: parameters, two moments, averages. A step's update holds it twice, and gradients beside. */
  readonly stateBytes: number;
}

/** Noise levels that the share of rows with a teacher is taken over, and steps that the sum over a run is taken at. */
const [LEVELS, POINTS] = [1024, 32];

const hasTeacher = ({ r, edge }: NoisePair) => r > edge;

/**
 * A step is, in forward passes of the network on the batch: the student's, its gradient for two, the student's again where activations are
 * recomputed, the teacher's on the rows whose r is above the end of their phase, and a diffusion model's for every evaluation of a distilling solver.
 */
export function costOf(
  { flops, parameters }: Network,
  recipe: TrainRecipe,
  { recompute }: Pick<RunSettings, 'recompute'>,
): Cost {
  // What a perceptual metric costs is not known here.
  const { noiseLevels, schedule } = objectiveOf({ ...recipe, metric: { name: 'l2' } });
  const levels = noiseLevels(normalArray(key(0), LEVELS));
  const { estimator, batchSize, steps, ema, target } = recipe;
  const solver = estimator.name === 'distillation' ? estimator.steps * (estimator.solver === 'heun' ? 2 : 1) : 0;
  const passes = (step: number) => {
    const teacher = levels.filter((t) => hasTeacher(schedule(t, step))).length / LEVELS;
    return 3 + (recompute ? 1 : 0) + teacher + solver;
  };
  const at = (step: number) => batchSize * flops * passes(step);
  const points = Array.from({ length: POINTS }, (_, i) => Math.floor(((i + 0.5) / POINTS) * steps));
  const averages = ('decay' in ema ? 1 : ema.sigmaRel.length) + (target.name === 'student' ? 0 : 1);
  return {
    stepFlops: [at(0), at(steps - 1)],
    totalFlops: (steps * points.reduce((sum, step) => sum + at(step), 0)) / POINTS,
    stateBytes: 4 * parameters * (3 + averages),
  };
}
