import * as tf from '@tensorflow/tfjs-core';
import type { Preconditioning } from './config';
import { iddpmNoiseLevels } from './iddpm';

/** Coefficients of D(x, σ) = c_skip·x + c_out·F(c_in·x, c_noise): tensors [batch]. */
export interface Coefficients {
  readonly skip: tf.Tensor1D;
  readonly out: tf.Tensor1D;
  readonly in: tf.Tensor1D;
  readonly noise: tf.Tensor1D;
}

/**
 * The coefficients at noise levels t [batch] (EDM, Karras et al. 2022, Table 1).
 *
 * - edm: σ_d²/(t² + σ_d²), t·σ_d/√(t² + σ_d²), 1/√(t² + σ_d²), ln(t)/4
 * - ecm: σ_d²/((t − σ_min)² + σ_d²), (t − σ_min)·σ_d/√(t² + σ_d²), then as edm: exactly x at t = σ_min
 * - vp: 1, −t, 1/√(t² + 1), (M − 1)·τ, with τ the time at which the noise level is t
 * - ve: 1, t, 1, ln(t/2)
 * - iddpm: 1, −t, 1/√(t² + 1), M − 1 − the index of the nearest of the noise levels
 */
export function coefficients(preconditioning: Preconditioning, t: tf.Tensor1D): Coefficients {
  const ones = () => tf.onesLike(t);
  const toUnitVariance = (variance: number) => tf.rsqrt(tf.add(tf.square(t), variance)) as tf.Tensor1D;
  switch (preconditioning.kind) {
    case 'edm': {
      const { sigmaData } = preconditioning;
      const inverse = toUnitVariance(sigmaData ** 2);
      return {
        skip: tf.mul(tf.square(inverse), sigmaData ** 2),
        out: tf.mul(tf.mul(t, inverse), sigmaData),
        in: inverse,
        noise: tf.div(tf.log(t), 4),
      };
    }
    case 'ecm': {
      const { sigmaData, sigmaMin } = preconditioning;
      const inverse = toUnitVariance(sigmaData ** 2);
      const above = tf.sub(t, sigmaMin);
      return {
        skip: tf.div(sigmaData ** 2, tf.add(tf.square(above), sigmaData ** 2)),
        out: tf.mul(tf.mul(above, inverse), sigmaData),
        in: inverse,
        noise: tf.div(tf.log(t), 4),
      };
    }
    case 'vp': {
      const { betaD, betaMin, timesteps } = preconditioning;
      const root = tf.sqrt(tf.add(tf.mul(tf.log1p(tf.square(t)), 2 * betaD), betaMin ** 2));
      const noise: tf.Tensor1D = tf.mul(tf.sub(root, betaMin), (timesteps - 1) / betaD);
      return { skip: ones(), out: tf.neg(t), in: toUnitVariance(1), noise };
    }
    case 've':
      return { skip: ones(), out: tf.clone(t), in: ones(), noise: tf.log(tf.div(t, 2)) };
    case 'iddpm': {
      const levels = tf.tensor2d([iddpmNoiseLevels(preconditioning)]);
      const nearest = tf.argMin(tf.abs(tf.sub(tf.expandDims(t, 1), levels)), 1);
      const noise: tf.Tensor1D = tf.sub(preconditioning.timesteps - 1, tf.cast(nearest, 'float32'));
      return { skip: ones(), out: tf.neg(t), in: toUnitVariance(1), noise };
    }
  }
}

/** The noise levels that a network was made for; a sampler stays inside. */
export function noiseLevelRange(preconditioning: Preconditioning): { readonly min: number; readonly max: number } {
  switch (preconditioning.kind) {
    case 'edm':
      return { min: 0, max: Number.POSITIVE_INFINITY };
    case 'vp': {
      const { betaD, betaMin, epsilonT } = preconditioning;
      const sigma = (time: number) => Math.sqrt(Math.expm1(0.5 * betaD * time ** 2 + betaMin * time));
      return { min: sigma(epsilonT), max: sigma(1) };
    }
    case 'ecm':
      return { min: preconditioning.sigmaMin, max: Number.POSITIVE_INFINITY };
    case 've':
      return { min: preconditioning.sigmaMin, max: preconditioning.sigmaMax };
    case 'iddpm': {
      const levels = iddpmNoiseLevels(preconditioning);
      return { min: levels[levels.length - 2]!, max: levels[0]! };
    }
  }
}
