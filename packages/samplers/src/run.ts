import { normalRows, split } from '@cm/random';
import * as tf from '@tensorflow/tfjs-core';
import { fallingLevels, level, that } from './check';
import type { Denoiser, SampleOptions, SamplerStep } from './model';
import { advance, type BeforeStep, type Solver, type Space, type State } from './solver';
import { sum } from './sum';

/** Images as solvers see them. */
export interface ImageSpace extends Space<tf.Tensor4D> {
  /** D(x, t) with a noise level for each image. */
  denoiseAt(x: tf.Tensor4D, t: tf.Tensor1D): tf.Tensor4D;
  /** The latest denoised images. */
  latest(): tf.Tensor4D;
}

/** Checks options and gathers what steps need. */
export function imageSpace(where: string, model: Denoiser, options: SampleOptions): ImageSpace {
  const { shape, key, condition, signal } = options;
  const batch = shape[0];
  const extents = shape.length === 4 && shape.every((extent) => Number.isInteger(extent) && extent > 0);
  that(where, 'shape', `[${shape}]`, extents, '[batch, height, width, channels]');
  const seeds = options.seeds ?? Array.from({ length: batch }, (_, i) => i);
  if (seeds.length !== batch) throw new Error(`${where}: seeds has ${seeds.length} entries, expected batch ${batch}`);
  if (condition && condition.shape[0] !== batch) {
    throw new Error(`${where}: condition has ${condition.shape[0]} entries, expected batch ${batch}`);
  }
  for (const name of ['noise', 'start'] as const) {
    const given = options[name];
    if (given && !tf.util.arraysEqual(given.shape, [...shape])) {
      throw new Error(`${where}: ${name} has shape [${given.shape}], expected shape, [${shape}]`);
    }
  }
  let draws = 0;
  let latest: tf.Tensor4D;
  const denoiseAt = (x: tf.Tensor4D, t: tf.Tensor1D) => {
    signal?.throwIfAborted();
    // A model may return a tensor that is not ours to dispose: its input, or one that it keeps.
    latest = tf.tidy(() => tf.clone(model(x, t, condition)));
    return latest;
  };
  return {
    sum,
    noise: () => normalRows(split(key, 'sampler', draws++), seeds, shape.slice(1)) as tf.Tensor4D,
    denoiseAt,
    denoise: (x, t) => {
      const levels = tf.fill([batch], t) as tf.Tensor1D;
      const denoised = denoiseAt(x, levels);
      levels.dispose();
      return denoised;
    },
    latest: () => latest,
  };
}

/** x = start + σ_max·noise. A new tensor. */
export function startingPoint({ noise: draw }: ImageSpace, options: SampleOptions, sigmaMax: number): tf.Tensor4D {
  return tf.tidy(() => {
    // The key's first noise is drawn in any case, so that what a sampler draws later does not depend on where it started.
    const drawn = draw();
    const noise = options.noise ?? drawn;
    return options.start ? sum([1, options.start], [sigmaMax, noise]) : sum([sigmaMax, noise]);
  });
}

/** Reports a step. `denoised` is freed afterwards unless it is among what is kept. */
export function report(onStep: SampleOptions['onStep'], step: SamplerStep, kept: readonly tf.Tensor[]): void {
  try {
    onStep?.(step);
  } finally {
    if (!kept.includes(step.denoised)) step.denoised.dispose();
  }
}

/** A sampler: noise levels, falling, and what makes a step from one to the next. */
export interface Method {
  readonly levels: readonly number[];
  readonly solver: Solver;
  readonly before?: BeforeStep | undefined;
}

/** Runs a method from noise of the first level to the last level: images where that is 0. */
export function run(where: string, model: Denoiser, options: SampleOptions, method: Method): tf.Tensor4D {
  const { levels } = method;
  level(where, 'sigmaMax', levels[0]!);
  fallingLevels(where, levels);
  const space = imageSpace(where, model, options);
  let state: State<tf.Tensor4D> = { x: startingPoint(space, options, levels[0]!), memory: [] };
  try {
    for (let i = 0; i + 1 < levels.length; i++) {
      const [denoised, x, ...memory] = tf.tidy(() => {
        const next = advance(space, state, levels, i, method);
        return [space.latest(), next.x, ...next.memory];
      });
      const kept = [x!, ...memory];
      for (const tensor of [state.x, ...state.memory]) if (!kept.includes(tensor)) tensor.dispose();
      state = { x: x!, memory };
      const noiseLevel = levels[i + 1]!;
      const step = { index: i, count: levels.length - 1, noiseLevel, x: x!, denoised: denoised! };
      report(options.onStep, step, kept);
    }
  } catch (error) {
    tf.dispose([state.x, ...state.memory]);
    throw error;
  }
  for (const tensor of state.memory) if (tensor !== state.x) tensor.dispose();
  return state.x;
}
