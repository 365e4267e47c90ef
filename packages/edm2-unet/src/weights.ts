import * as tf from '@tensorflow/tfjs-core';
import type { Edm2Config } from './config';
import { fused } from './fused';
import { checkParameters, type ParameterSpec } from './parameters';

const EPSILON = 1e-4;

/** Axes over which one output's weights lie: all but the last of a convolution (HWIO), the second of a matrix [out, in]. */
const fanAxes = ({ shape }: ParameterSpec) => (shape.length === 4 ? [0, 1, 2] : [1]);
const fanIn = ({ shape }: ParameterSpec) => (shape.length === 4 ? shape[0]! * shape[1]! * shape[2]! : shape[1]!);

/** |w| of each output, and |w| + ε√n, n the fan-in: w divided by the latter has length 1, up to ε. */
function lengths(spec: ParameterSpec, w: tf.Tensor) {
  const norm = tf.sqrt(tf.sum(tf.square(w), fanAxes(spec), true));
  return { norm, length: tf.add(norm, EPSILON * Math.sqrt(fanIn(spec))) };
}

/** What the fused kernels of a layer are told. Theirs is scale·w/(ε + |w|/√n). */
const attributesOf = (spec: ParameterSpec, scale: number) => ({
  outputs: spec.shape.length === 4 ? 'last' : 'first',
  epsilon: EPSILON,
  scale,
});

/** w/(|w| + ε√n) for each output: length 1. */
function unitLength(spec: ParameterSpec, w: tf.Tensor): tf.Tensor {
  const scaled = fused('UnitMagnitude', { w }, attributesOf(spec, 1 / Math.sqrt(fanIn(spec))));
  return scaled?.[0] ?? tf.div(w, lengths(spec, w).length);
}

/** w/(ε + |w|/√n) for each output: unit magnitude. */
function unitMagnitude(spec: ParameterSpec, w: tf.Tensor): tf.Tensor {
  const scaled = fused('UnitMagnitude', { w }, attributesOf(spec, 1));
  return scaled?.[0] ?? tf.div(w, tf.mul(lengths(spec, w).length, 1 / Math.sqrt(fanIn(spec))));
}

/**
 * EDM2's forced weight normalisation (Eq. 66): every output's weights are set to unit magnitude, w/(ε + |w|/√n).
 *
 * A trainer applies it to the parameters once per step before the forward pass: to the parameters that are trained, never to an
 * EMA copy. Gains, frequencies and phases stay as they are.
 *
 * @returns new tensors for all parameters, the caller's to free
 * @throws Error listing every parameter that is missing, unexpected or misshapen
 */
export function forceWeightNorm(config: Edm2Config, params: tf.NamedTensorMap): tf.NamedTensorMap {
  const normalised: tf.NamedTensorMap = {};
  for (const spec of checkParameters('forceWeightNorm', config, params)) {
    const w = params[spec.name]!;
    normalised[spec.name] = spec.kind === 'weight' ? tf.tidy(() => unitMagnitude(spec, w)) : tf.clone(w);
  }
  return normalised;
}

/** Weights as the network's operations take them, and the way back for gradients. */
export interface PreparedWeights {
  /** By parameter name: weights normalised, scaled and with their gains; frequencies and phases as they are. */
  readonly weights: tf.NamedTensorMap;
  /**
   * The exact vector-Jacobian product of the preparation: from the gradient with respect to `weights` to that with respect
   * to the parameters (zero for frequencies and phases). The result is the caller's to free.
   */
  pullback(gradients: tf.NamedTensorMap): tf.NamedTensorMap;
}

/**
 * Magnitude-preserving weights (EDM2 Eq. 47): gain·w/(√n·(ε + |w|/√n)) for every layer, computed once per step and
 * shared by all passes of that step. Gradients are taken with respect to them and pulled back to the parameters.
 *
 * @throws Error listing every parameter that is missing, unexpected or misshapen
 */
export function normalizeWeights(config: Edm2Config, params: tf.NamedTensorMap): PreparedWeights {
  const specs = checkParameters('normalizeWeights', config, params);
  const weights: tf.NamedTensorMap = {};
  for (const spec of specs) {
    if (spec.kind === 'gain') continue;
    weights[spec.name] = tf.tidy(() => {
      const w = params[spec.name]!;
      if (spec.kind !== 'weight') return tf.clone(w);
      const unit = unitLength(spec, w);
      return reorder(spec, spec.gain ? tf.mul(unit, params[spec.gain]!) : unit, 'use');
    });
  }
  return {
    weights,
    pullback: (gradients) => {
      const pulled: tf.NamedTensorMap = {};
      for (const spec of specs) {
        const w = params[spec.name]!;
        if (spec.kind !== 'weight') {
          pulled[spec.name] ??= tf.zerosLike(w);
          continue;
        }
        const dy = gradients[spec.name];
        if (!dy) throw new Error(`pullback: gradients has no ${spec.name}`);
        const { dw, dgain } = tf.tidy(() => layerPullback(spec, w, reorder(spec, dy, 'store'), params));
        pulled[spec.name] = dw;
        if (spec.gain && dgain) {
          tf.dispose(pulled[spec.gain]);
          pulled[spec.gain] = dgain;
        }
      }
      return pulled;
    },
  };
}

/** Of y = gain·w/(|w| + ε√n): dw = gain·(dy − w·(w·dy)/(|w|·length))/length, dgain = Σ w·dy/length. */
function layerPullback(
  spec: ParameterSpec & { kind: 'weight' },
  w: tf.Tensor,
  dy: tf.Tensor,
  params: tf.NamedTensorMap,
) {
  const { dw, dgain } = unitLengthPullback(spec, w, dy);
  return spec.gain ? { dw: tf.mul(dw, params[spec.gain]!), dgain } : { dw };
}

function unitLengthPullback(spec: ParameterSpec, w: tf.Tensor, dy: tf.Tensor): { dw: tf.Tensor; dgain: tf.Tensor } {
  const scale = 1 / Math.sqrt(fanIn(spec));
  const both = fused('UnitMagnitudeGrad', { w, dy }, attributesOf(spec, scale)) as [tf.Tensor, tf.Tensor] | undefined;
  // The kernel's second output is the derivative by its scale, and gain·scale is one number.
  if (both) return { dw: both[0], dgain: tf.mul(both[1], scale) };
  const { norm, length } = lengths(spec, w);
  const inner = tf.sum(tf.mul(w, dy), fanAxes(spec), true);
  // Zero weights have no direction to lose.
  const along = tf.div(inner, tf.mul(tf.maximum(norm, 1e-30), length));
  return { dw: tf.div(tf.sub(dy, tf.mul(w, along)), length), dgain: tf.sum(tf.div(inner, length)) };
}

/**
 * Checkpoints interleave query, key and value within each channel of a head (head, channel, which); the network wants them as
 * (which, head, channel), so that one reshape parts them.
 */
function reorder(spec: ParameterSpec, w: tf.Tensor, to: 'use' | 'store'): tf.Tensor {
  if (spec.kind !== 'weight' || !spec.qkv) return w;
  const [cin, cout] = [w.shape[2]!, w.shape[3]!];
  const inner = cout / 3;
  return tf.tidy(() =>
    to === 'use'
      ? tf.reshape(tf.transpose(tf.reshape(w, [cin, inner, 3]), [0, 2, 1]), w.shape)
      : tf.reshape(tf.transpose(tf.reshape(w, [cin, 3, inner]), [0, 2, 1]), w.shape),
  );
}
