import * as tf from '@tensorflow/tfjs-core';
import { updateEma } from './ema';
import { mapTensors, sameTensors } from './maps';

/** What an optimizer remembers between steps: step count and running moments of the gradient, by parameter name. */
export interface OptimizerState {
  /** Updates made. */
  readonly step: number;
  /** Running mean of the gradient. */
  readonly m: tf.NamedTensorMap;
  /** Running mean of the squared gradient. */
  readonly v: tf.NamedTensorMap;
}

/** An average over training that an update moves along: ema ← β·ema + (1 − β)·params, as `updateEma` does. */
export interface Average {
  readonly ema: tf.NamedTensorMap;
  /** From 0 to 1. */
  readonly beta: number;
}

/** Options of one update. */
export interface UpdateOptions {
  /** 0 or more. */
  readonly learningRate: number;
  /** Averages of the parameters to update with them, in one pass over memory where the backend can. Default: none. */
  readonly averages?: readonly Average[];
}

/** What an update gives: new tensors all. */
export interface Updated {
  readonly params: tf.NamedTensorMap;
  readonly state: OptimizerState;
  /** In the order in which they were given. */
  readonly averages: readonly tf.NamedTensorMap[];
}

/** An optimizer as two pure functions. Tensors that they return belong to the caller; those they are given stay. */
export interface Optimizer {
  /** The state before the first step: zero moments. */
  init(params: tf.NamedTensorMap): OptimizerState;
  /**
   * One update.
   *
   * @throws Error listing names and shapes in which gradients, state or averages differ from the parameters
   */
  update(params: tf.NamedTensorMap, grads: tf.NamedTensorMap, state: OptimizerState, options: UpdateOptions): Updated;
}

/** Options of {@link adam} and {@link rAdam}. */
export interface AdamOptions {
  /** Decay of the running mean, 0 to below 1. Default 0.9. */
  readonly beta1?: number;
  /** Decay of the running mean square, 0 to below 1. Default 0.999. */
  readonly beta2?: number;
  /** Added to the root of the mean square. Default 1e-8. */
  readonly epsilon?: number;
}

/** Options of {@link adamW}. */
export interface AdamWOptions extends AdamOptions {
  /** Share of a parameter that is taken away each step, times the learning rate. Default 0.01. */
  readonly weightDecay?: number;
}

/** How one step moves a parameter: along m, or along m/(√v + epsilon), times a factor; after a decay. Numbers in float64. */
interface Step {
  readonly adaptive: boolean;
  readonly factor: number;
  readonly epsilon: number;
  readonly keep: number;
}

/**
 * Adam (Kingma and Ba 2015): p ← p − lr·m̂/(√v̂ + ε).
 *
 * @example
 * ```ts
 * import { adam } from '@cm/optimizers';
 * import * as tf from '@tensorflow/tfjs-core';
 *
 * const optimizer = adam({ beta2: 0.99 });
 * let params: tf.NamedTensorMap = { x: tf.tensor1d([3, -2]) };
 * let state = optimizer.init(params);
 * const grads = { x: tf.mul(params.x!, 2) };
 * ({ params, state } = optimizer.update(params, grads, state, { learningRate: 0.1 }));
 * console.log(params.x!.arraySync()); // [2.9, -1.9]
 * ```
 */
export function adam(options: AdamOptions = {}): Optimizer {
  return adamW({ ...options, weightDecay: 0 });
}

/** AdamW (Loshchilov and Hutter 2019): Adam after p ← (1 − lr·weightDecay)·p. */
export function adamW({ weightDecay = 0.01, ...options }: AdamWOptions = {}): Optimizer {
  if (!(weightDecay >= 0)) throw new Error(`adamW: weightDecay is ${weightDecay}, expected 0 or more`);
  return momentOptimizer('adam', options, ({ beta1, beta2, epsilon }, step, learningRate) => {
    const correction = Math.sqrt(1 - beta2 ** step);
    return {
      adaptive: true,
      // m/(1 − β₁ⁿ)/(√v/√(1 − β₂ⁿ) + ε), multiplied through by √(1 − β₂ⁿ).
      factor: (learningRate * correction) / (1 - beta1 ** step),
      epsilon: epsilon * correction,
      keep: 1 - learningRate * weightDecay,
    };
  });
}

/**
 * RAdam (Liu et al. 2020): Adam whose adaptive step is rectified while the variance of its denominator is large, and is plain
 * momentum in the first steps, where that variance does not exist (ρ ≤ 5). ε is outside the correction, as in PyTorch.
 */
export function rAdam(options: AdamOptions = {}): Optimizer {
  return momentOptimizer('rAdam', options, ({ beta1, beta2, epsilon }, step, learningRate) => {
    const limit = 2 / (1 - beta2) - 1;
    const power = beta2 ** step;
    const rho = limit - (2 * step * power) / (1 - power);
    const factor = learningRate / (1 - beta1 ** step);
    if (rho <= 5) return { adaptive: false, factor, epsilon: 0, keep: 1 };
    const rectification = Math.sqrt(((rho - 4) * (rho - 2) * limit) / ((limit - 4) * (limit - 2) * rho));
    return { adaptive: true, factor: factor * rectification * Math.sqrt(1 - power), epsilon, keep: 1 };
  });
}

function momentOptimizer(
  where: string,
  { beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8 }: AdamOptions,
  stepOf: (options: Required<AdamOptions>, step: number, learningRate: number) => Step,
): Optimizer {
  for (const [name, beta] of Object.entries({ beta1, beta2 })) {
    if (!(beta >= 0 && beta < 1)) throw new Error(`${where}: ${name} is ${beta}, expected from 0 to below 1`);
  }
  if (!(epsilon >= 0)) throw new Error(`${where}: epsilon is ${epsilon}, expected 0 or more`);
  return {
    init: (params) => ({ step: 0, m: mapTensors(params, tf.zerosLike), v: mapTensors(params, tf.zerosLike) }),
    update: (params, grads, state, { learningRate, averages = [] }) => {
      if (!(learningRate >= 0 && learningRate < Number.POSITIVE_INFINITY)) {
        throw new Error(`${where}: learningRate is ${learningRate}, expected a finite number, 0 or more`);
      }
      sameTensors(where, 'grads', grads, params);
      sameTensors(where, 'state', state.m, params);
      const step = state.step + 1;
      const constants = { beta1, beta2, ...stepOf({ beta1, beta2, epsilon }, step, learningRate) };
      if (tf.getKernel('AdamUpdateAll', tf.getBackend())) {
        for (const { ema } of averages) sameTensors(where, 'an average', ema, params);
        return updatedTogether({ params, grads, state, averages, step, constants });
      }
      const moved: tf.NamedTensorMap = {};
      const [m, v]: [tf.NamedTensorMap, tf.NamedTensorMap] = [{}, {}];
      for (const [name, p] of Object.entries(params)) {
        const tensors = { p, g: grads[name]!, m: state.m[name]!, v: state.v[name]! };
        const updated = composed(tensors, constants);
        [moved[name], m[name], v[name]] = updated as [tf.Tensor, tf.Tensor, tf.Tensor];
      }
      const averaged = averages.map(({ ema, beta }) => updateEma(ema, moved, beta));
      return { params: moved, state: { step, m, v }, averages: averaged };
    },
  };
}

type Constants = Step & { readonly beta1: number; readonly beta2: number };

/** All parameters, moments and averages by one kernel: its inputs are the maps one after the other, and so are its outputs. */
function updatedTogether(given: {
  params: tf.NamedTensorMap;
  grads: tf.NamedTensorMap;
  state: OptimizerState;
  averages: readonly Average[];
  step: number;
  constants: Constants;
}): Updated {
  const { params, grads, state, averages, step, constants } = given;
  const names = Object.keys(params);
  const maps = [params, grads, state.m, state.v, ...averages.map(({ ema }) => ema)];
  const inputs = Object.fromEntries(maps.flatMap((map, i) => names.map((name) => [`${i}:${name}`, map[name]!])));
  const betas = averages.map(({ beta }) => beta);
  const outputs: tf.Tensor[] = tf.engine().runKernel('AdamUpdateAll', inputs, { ...constants, betas });
  const mapAt = (i: number) => Object.fromEntries(names.map((name, j) => [name, outputs[i * names.length + j]!]));
  return {
    params: mapAt(0),
    state: { step, m: mapAt(1), v: mapAt(2) },
    averages: averages.map((_, i) => mapAt(3 + i)),
  };
}

/** One tensor's update, of tfjs operations: what the fused kernel does in one pass. */
function composed(
  { p, g, m, v }: Record<'p' | 'g' | 'm' | 'v', tf.Tensor>,
  { beta1, beta2, adaptive, factor, epsilon, keep }: Constants,
): tf.Tensor[] {
  return tf.tidy(() => {
    const mean = tf.add(tf.mul(m, beta1), tf.mul(g, 1 - beta1));
    const square = tf.add(tf.mul(v, beta2), tf.mul(tf.square(g), 1 - beta2));
    const direction = adaptive ? tf.div(mean, tf.add(tf.sqrt(square), epsilon)) : mean;
    return [tf.sub(keep === 1 ? p : tf.mul(p, keep), tf.mul(direction, factor)), mean, square];
  });
}
