import '@cm/gradients';
import {
  type Edm2Config,
  edm2Config,
  edm2Denoiser,
  edm2Flops,
  forceWeightNorm,
  initEdm2,
  normalizeWeights,
} from '@cm/edm2-unet';
import { valueAndGrads } from '@cm/gradients';
import { adam, type OptimizerState } from '@cm/optimizers';
import { key, normal } from '@cm/random';
import * as tf from '@tensorflow/tfjs-core';

/** The network of the engine's bench: EDM2 at 32 × 32, 64 channels, two levels of two blocks, attention at 16. */
export const benchConfig: Edm2Config = edm2Config({
  resolution: 32,
  channels: 3,
  modelChannels: 64,
  channelMult: [1, 2],
  numBlocks: 2,
  attnResolutions: [16],
});

/** FLOPs of a step: a forward of the teacher, a forward and two products backward of the student. */
export const stepFlops = (config: Edm2Config, batch: number) => 4 * batch * edm2Flops(config);

/** Parameters, images and noise of a step: the same numbers on every backend. Gains are 1, so that all of the network bears on its output. */
export function stepInputs(config: Edm2Config, batch: number) {
  const { resolution, channels } = config;
  const shape: [number, number, number, number] = [batch, resolution, resolution, channels];
  const params = initEdm2(config, key(0));
  for (const name of Object.keys(params).filter((each) => each.endsWith('_gain'))) {
    params[name]!.dispose();
    params[name] = tf.scalar(1);
  }
  return { params, x: normal(key(1), shape) as tf.Tensor4D, noise: normal(key(2), shape) as tf.Tensor4D };
}

/** A whole step of consistency training on fixed images: what the reference in PyTorch does, in the same order. Returns the loss. */
export function trainingStep(config: Edm2Config, batch: number): () => number {
  const { x, noise, params: initial } = stepInputs(config, batch);
  const t = tf.linspace(0.5, 5, batch) as tf.Tensor1D;
  const r = tf.mul(t, 0.5) as tf.Tensor1D;
  const at = (level: tf.Tensor1D) => tf.add(x, tf.mul(noise, tf.reshape(level, [batch, 1, 1, 1]))) as tf.Tensor4D;
  const [xt, xr] = [at(t), at(r)];
  const optimizer = adam({ beta1: 0.9, beta2: 0.99 });
  let params = initial;
  let ema = Object.fromEntries(Object.entries(params).map(([name, p]) => [name, tf.clone(p)]));
  let state: OptimizerState = optimizer.init(params);

  return () => {
    const forced = forceWeightNorm(config, params);
    const { weights, pullback } = normalizeWeights(config, forced);
    const target = edm2Denoiser(config, weights)(xr, r);
    const { value, grads } = valueAndGrads(
      (w) => tf.mean(tf.squaredDifference(edm2Denoiser(config, w)(xt, t), target)) as tf.Scalar,
      weights,
    );
    const gradients = pullback(grads);
    const averages = [{ ema, beta: 0.999 }];
    const updated = optimizer.update(forced, gradients, state, { learningRate: 1e-3, averages });
    const loss = value.dataSync()[0]!;
    tf.dispose([forced, weights, target, value, grads, gradients, params, state.m, state.v, ema]);
    params = updated.params;
    state = updated.state;
    ema = updated.averages[0]!;
    return loss;
  };
}
