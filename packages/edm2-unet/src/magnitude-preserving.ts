import * as tf from '@tensorflow/tfjs-core';
import { fused, withGradient } from './fused';

// Operations that keep the expected magnitude of activations, with the numbers of the equations in EDM2
// (Karras et al., arXiv 2312.02696). Each is one fused kernel where the backend has it, and a composition elsewhere.

/** √E[silu(x)²] for standard-normal x, by which mp_silu divides. */
const SILU_MAGNITUDE = 0.596;

/** silu(x)/0.596 (Eq. 81): keeps unit magnitude. Any shape. */
export function mpSilu<T extends tf.Tensor>(x: T): T {
  return withGradient<T>([x], (save) => {
    save([x]);
    const value = fused('MpSilu', { x })?.[0] ?? tf.mul(tf.div(x, SILU_MAGNITUDE), tf.sigmoid(x));
    return {
      value: value as T,
      gradient: (dy, [saved]) => [fused('MpSiluGrad', { x: saved!, dy })?.[0] ?? tf.mul(dy, siluSlope(saved!))],
    };
  });
}

/** Derivative of mp_silu: (s + x·s·(1 − s))/0.596 with s = sigmoid(x). */
function siluSlope(x: tf.Tensor): tf.Tensor {
  return tf.tidy(() => {
    const s = tf.sigmoid(x);
    return tf.div(tf.mul(s, tf.add(1, tf.mul(x, tf.sub(1, s)))), SILU_MAGNITUDE);
  });
}

/** mp_silu(x·scale): x [batch, height, width, channels] modulated by scale [batch, channels] before the non-linearity. */
export function modulatedMpSilu(x: tf.Tensor4D, scale: tf.Tensor2D): tf.Tensor4D {
  return withGradient<tf.Tensor4D>([x, scale], (save) => {
    save([x, scale]);
    const value = fused('ModulatedMpSilu', { x, scale })?.[0] ?? mpSilu(tf.mul(x, overPixels(scale)));
    return {
      value: value as tf.Tensor4D,
      gradient: (dy, [x, scale]) => {
        const [dx, dscale] =
          fused('ModulatedMpSiluGrad', { x: x!, scale: scale!, dy }) ?? modulatedGradient(x!, scale!, dy);
        return [dx!, dscale!];
      },
    };
  });
}

const overPixels = (scale: tf.Tensor) => tf.reshape(scale, [scale.shape[0]!, 1, 1, scale.shape[1]!]);

function modulatedGradient(x: tf.Tensor, scale: tf.Tensor, dy: tf.Tensor): tf.Tensor[] {
  const wide = overPixels(scale);
  const g = tf.mul(dy, siluSlope(tf.mul(x, wide)));
  return [tf.mul(g, wide), tf.sum(tf.mul(g, x), [1, 2])];
}

/** x/(ε + |x|/√C) over the last axis of C channels (Eq. 30): every pixel's vector gets unit magnitude. */
export function pixelNorm<T extends tf.Tensor>(x: T, epsilon = 1e-4): T {
  return withGradient<T>([x], (save) => {
    save([x]);
    const value = fused('PixelNorm', { x }, { epsilon })?.[0] ?? tf.div(x, magnitude(x, epsilon).m);
    return {
      value: value as T,
      gradient: (dy, [x]) => [
        fused('PixelNormGrad', { x: x!, dy }, { epsilon })?.[0] ?? pixelNormGradient(x!, dy, epsilon),
      ],
    };
  });
}

function magnitude(x: tf.Tensor, epsilon: number) {
  const norm = tf.sqrt(tf.sum(tf.square(x), -1, true));
  return { norm, m: tf.add(tf.mul(norm, 1 / Math.sqrt(x.shape[x.rank - 1]!)), epsilon) };
}

/** dy/m − x·(x·dy)/(m²·|x|·√C); the second term is 0 at x = 0. What divides it stays a normal number: engines may take those below for 0. */
function pixelNormGradient(x: tf.Tensor, dy: tf.Tensor, epsilon: number): tf.Tensor {
  return tf.tidy(() => {
    const { norm, m } = magnitude(x, epsilon);
    const pull = tf.div(
      tf.sum(tf.mul(x, dy), -1, true),
      tf.mul(tf.mul(tf.square(m), tf.maximum(norm, 1e-20)), Math.sqrt(x.shape[x.rank - 1]!)),
    );
    return tf.sub(tf.div(dy, m), tf.mul(x, pull));
  });
}

/** ((1 − t)·a + t·b)/√((1 − t)² + t²) (Eq. 88), then clipped to [−clip, clip]. Equal shapes. */
export function mpSum<T extends tf.Tensor>(a: T, b: T, t: number, clip = Number.POSITIVE_INFINITY): T {
  const length = Math.hypot(1 - t, t);
  const [alpha, beta] = [(1 - t) / length, t / length];
  return withGradient<T>([a, b], (save) => {
    const [y] = fused('MpSum', { a, b }, { t, clip }) ?? [clipped(tf.add(tf.mul(a, alpha), tf.mul(b, beta)), clip)];
    save(Number.isFinite(clip) ? [y!] : []);
    return {
      value: y as T,
      gradient: (dy, [y]) => {
        if (y) {
          const both = fused('MpSumGrad', { y, dy }, { t, clip });
          if (both) return both;
          dy = tf.mul(dy, tf.cast(tf.less(tf.abs(y), clip), 'float32')) as T;
        }
        return [tf.mul(dy, alpha), tf.mul(dy, beta)];
      },
    };
  });
}

const clipped = (x: tf.Tensor, clip: number) => (Number.isFinite(clip) ? tf.clipByValue(x, -clip, clip) : x);

/** Concatenation along channels in which both parts contribute by t, not by their sizes (Eq. 103). */
export function mpCat(a: tf.Tensor4D, b: tf.Tensor4D, t: number): tf.Tensor4D {
  const [channelsA, channelsB] = [a.shape[3], b.shape[3]];
  const c = Math.sqrt((channelsA + channelsB) / ((1 - t) ** 2 + t ** 2));
  const [wa, wb] = [(c / Math.sqrt(channelsA)) * (1 - t), (c / Math.sqrt(channelsB)) * t];
  return withGradient<tf.Tensor4D>([a, b], () => {
    const value = fused('MpCat', { a, b }, { t })?.[0] ?? tf.concat([tf.mul(a, wa), tf.mul(b, wb)], 3);
    return {
      value: value as tf.Tensor4D,
      gradient: (dy) => {
        const parts = fused('MpCatGrad', { dy }, { t, channelsA });
        if (parts) return parts;
        const [da, db] = tf.split(dy, [channelsA, channelsB], 3);
        return [tf.mul(da!, wa), tf.mul(db!, wb)];
      },
    };
  });
}

/** √2·cos(t ⊗ frequencies + phases) (Eq. 75): [batch] to [batch, features]. */
export function mpFourier(t: tf.Tensor1D, frequencies: tf.Tensor, phases: tf.Tensor): tf.Tensor2D {
  return tf.tidy(() => tf.mul(tf.cos(tf.add(tf.mul(tf.expandDims(t, 1), frequencies), phases)), Math.SQRT2));
}
