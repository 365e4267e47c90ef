import type { PhaseGrid } from '@cm/schedules';
import type * as tf from '@tensorflow/tfjs-core';
import { euler } from '../diffusion/euler';
import type { Denoiser, SampleOptions } from '../model';
import { run } from '../run';

/** Options of {@link samplePhased}. */
export interface PhasedOptions extends Omit<SampleOptions, 'sigmaMax'> {
  /** The phases that the model was trained with. Their first edge is the noise level that sampling starts from. */
  readonly phases: PhaseGrid;
  /** η of edge skipping (Eq. 20): inner edges s_i are stepped to at η·s_i, off the edge, where training is hard. 1: off. Default 0.9. */
  readonly eta?: number;
}

/**
 * Deterministic sampling of a model trained in phases: from edge to edge by Euler steps x_s = D + (s/t)(x_t − D) (Eq. 16), inner edges moved
 * to η·s_i (Eq. 19, 20). One evaluation a phase.
 *
 * @throws Error when η is not above 0 and at most 1, or moves an edge below the next
 *
 * @example
 * ```ts
 * import { key } from '@cm/random';
 * import { samplePhased } from '@cm/samplers';
 * import { phaseGrid } from '@cm/schedules';
 * import * as tf from '@tensorflow/tfjs-core';
 *
 * const model = (x: tf.Tensor4D, t: tf.Tensor1D) =>
 *   tf.mul(x, tf.div(0.25, tf.add(tf.square(tf.reshape(t, [-1, 1, 1, 1])), 0.25))) as tf.Tensor4D; // data N(0, 0.25)
 *
 * const phases = phaseGrid({ phases: 4 }); // the same that the model was trained with
 * const levels: number[] = [];
 * samplePhased(model, { shape: [4, 8, 8, 1], key: key(0), phases, onStep: ({ noiseLevel }) => levels.push(noiseLevel) });
 * console.log(levels); // [15.8, 2.26, 0.153, 0]
 * ```
 */
export function samplePhased(model: Denoiser, options: PhasedOptions): tf.Tensor4D {
  const where = 'samplePhased';
  const { phases, eta = 0.9 } = options;
  if (!(eta > 0 && eta <= 1)) throw new Error(`${where}: eta is ${eta}, expected above 0 and at most 1`);
  const levels = phases.edges.map((edge, i) => (i === 0 ? edge : eta * edge));
  phases.edges.forEach((edge, i) => {
    // Below the next edge it would be in another phase than the one that it has just been moved through.
    const next = phases.edges[i + 1];
    if (i > 0 && next !== undefined && levels[i]! <= next) {
      throw new Error(`${where}: eta ${eta} moves edge ${edge} to ${levels[i]}, expected above the next edge, ${next}`);
    }
  });
  return run(where, model, options, { levels, solver: euler });
}
