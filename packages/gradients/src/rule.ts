import * as tf from '@tensorflow/tfjs-core';

/** How one kernel's output gradient is pulled back to its inputs: what tfjs's gradient registry takes, less the name. */
export type Rule = Omit<tf.GradConfig, 'kernelName'>;

/** Rules by kernel name. */
export type Rules = Readonly<Record<string, Rule>>;

type Tensors = readonly tf.Tensor[];
type InputGradients = Record<string, () => tf.Tensor>;

interface Saved {
  /** Names of the inputs that the gradient needs. */
  readonly inputs?: string[];
  /** Every input, for kernels that take an array of tensors. */
  readonly allInputs?: true;
  /** Whether the gradient needs the (only) output; it comes after the inputs. */
  readonly output?: true;
}

/**
 * A rule with typed attributes. `pull` receives the gradients of the outputs, the saved tensors and the attributes, and gives one
 * function per input; tfjs calls only those of inputs that the differentiated variables reach, and frees what they allocate.
 */
export function rule<Attributes = unknown>(
  save: Saved,
  pull: (dys: Tensors, saved: tf.Tensor[], attributes: Attributes) => InputGradients,
): Rule {
  return {
    ...(save.inputs && { inputsToSave: save.inputs }),
    ...(save.allInputs && { saveAllInputs: true }),
    ...(save.output && { outputsToSave: [true] }),
    gradFunc: (dy, saved, attributes) => pull(Array.isArray(dy) ? dy : [dy], saved, attributes as Attributes),
  };
}

/** A rule for a kernel of one input `x`, in terms of that input. */
export function ofInput<Attributes = unknown>(
  gradient: (dy: tf.Tensor, x: tf.Tensor, attributes: Attributes) => tf.Tensor,
  input = 'x',
): Rule {
  return rule<Attributes>({ inputs: [input] }, ([dy], [x], attributes) => ({
    [input]: () => gradient(dy!, x!, attributes),
  }));
}

/** A rule for a kernel of one input `x`, in terms of its output. */
export function ofOutput<Attributes = unknown>(
  gradient: (dy: tf.Tensor, y: tf.Tensor, attributes: Attributes) => tf.Tensor,
  input = 'x',
): Rule {
  return rule<Attributes>({ output: true }, ([dy], [y], attributes) => ({
    [input]: () => gradient(dy!, y!, attributes),
  }));
}

/** A rule for a linear kernel of one input `x` whose gradient needs nothing but the output's. */
export function ofGradient<Attributes = unknown>(
  gradient: (dy: tf.Tensor, attributes: Attributes) => tf.Tensor,
  input = 'x',
): Rule {
  return rule<Attributes>({}, ([dy], _, attributes) => ({ [input]: () => gradient(dy!, attributes) }));
}

/**
 * Sums `x` over the axes along which `shape` was broadcast to it: broadcasting's adjoint. Returns `x` itself where nothing was.
 */
export function sumTo(x: tf.Tensor, shape: number[]): tf.Tensor {
  if (tf.util.arraysEqual(x.shape, shape)) return x;
  return tf.reshape(tf.sum(x, tf.broadcast_util.getReductionAxes(shape, x.shape)), shape);
}

/**
 * {@link sumTo} of a gradient that is passed on as it is. tfjs frees gradients as it accumulates them, so an input must never be
 * handed the very tensor that came in, only a tensor that shares its data.
 */
export function passTo(dy: tf.Tensor, shape: number[]): tf.Tensor {
  const dx = sumTo(dy, shape);
  return dx === dy ? tf.clone(dy) : dx;
}

/** `dy` where the condition holds, 0 elsewhere, even where `dy` is not finite. */
export function where(condition: tf.Tensor, dy: tf.Tensor): tf.Tensor {
  return tf.where(condition, dy, tf.zerosLike(dy));
}

/** `size` as product of a part of a shape. */
export function sizeOf(shape: readonly number[]): number {
  return shape.reduce((product, extent) => product * extent, 1);
}
