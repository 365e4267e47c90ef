import type { PhaseGrid } from '@cm/schedules';
import * as tf from '@tensorflow/tfjs-core';
import { type Denoiser, level, prepare, type SampleOptions } from './model';

/** One-step sampling: D(σ_max·ε, σ_max). One evaluation. */
export function sampleOneStep(model: Denoiser, options: SampleOptions): tf.Tensor4D {
  return sampleMultistep(model, { ...options, middle: [] });
}

/** Options of {@link sampleMultistep}. */
export interface MultistepOptions extends SampleOptions {
  /** Noise levels between the first step and the end, falling: [0.821] is ECT's second step on CIFAR-10, [1.526] on ImageNet-64. */
  readonly middle: readonly number[];
}

/**
 * Stochastic multistep sampling of a consistency model (Song et al. 2023, Algorithm 1): denoise, add fresh noise of the next level,
 * denoise, … One evaluation a level, `middle.length + 1` in all.
 *
 * @throws Error when levels do not fall from sigmaMax, or an option does not fit
 */
export function sampleMultistep(model: Denoiser, options: MultistepOptions): tf.Tensor4D {
  const where = 'sampleMultistep';
  const { noise, denoise, finished, sigmaMax } = prepare(where, model, options);
  const levels = [sigmaMax, ...options.middle];
  levels.forEach((value, i) => {
    level(where, i === 0 ? 'sigmaMax' : `middle[${i - 1}]`, value);
    if (i > 0 && value >= levels[i - 1]!)
      throw new Error(`${where}: middle[${i - 1}] is ${value}, expected below ${levels[i - 1]}`);
  });
  return tf.tidy(() => {
    let images = tf.zeros(options.shape as [number, number, number, number]) as tf.Tensor4D;
    levels.forEach((t, i) => {
      images = tf.tidy(() => denoise(tf.add(images, tf.mul(noise(i), t)) as tf.Tensor4D, t));
      finished(i, levels.length, images);
    });
    return images;
  });
}

/** Options of {@link samplePhased}. */
export interface PhasedOptions extends SampleOptions {
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
 */
export function samplePhased(model: Denoiser, options: PhasedOptions): tf.Tensor4D {
  const where = 'samplePhased';
  const { phases, eta = 0.9 } = options;
  if (!(eta > 0 && eta <= 1)) throw new Error(`${where}: eta is ${eta}, expected above 0 and at most 1`);
  const { noise, denoise, finished, sigmaMax } = prepare(where, model, { ...options, sigmaMax: phases.edges[0]! });
  const levels = phases.edges.map((edge, i) => (i === 0 ? edge : eta * edge));
  return tf.tidy(() => {
    let x = tf.mul(noise(0), sigmaMax) as tf.Tensor4D;
    for (let i = 0; i + 1 < levels.length; i++) {
      const [t, s] = [levels[i]!, levels[i + 1]!];
      if (s >= t) throw new Error(`${where}: eta ${eta} moves edge ${i} to ${t}, expected above the next, ${s}`);
      x = tf.tidy(() => {
        const denoised = denoise(x, t);
        return tf.add(denoised, tf.mul(tf.sub(x, denoised), s / t)) as tf.Tensor4D;
      });
      finished(i, levels.length - 1, x);
    }
    return x;
  });
}
