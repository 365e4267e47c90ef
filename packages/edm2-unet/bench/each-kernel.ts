import * as tf from '@tensorflow/tfjs-core';

/** A kernel that was run. */
export interface KernelRun {
  readonly name: string;
  readonly inputs: tf.NamedTensorMap;
  readonly attributes: tf.NamedAttrMap;
  readonly result: tf.Tensor | tf.Tensor[];
  /** Milliseconds until the call came back. */
  readonly ms: number;
}

/** Runs `f`, and tells of every kernel that it calls. */
export function eachKernel(f: () => void, heard: (kernel: KernelRun) => void): void {
  const engine = tf.engine();
  const run = engine.runKernel;
  engine.runKernel = ((name: string, inputs: tf.NamedTensorMap, attributes: tf.NamedAttrMap) => {
    const begun = performance.now();
    const result = run.call(engine, name, inputs, attributes) as tf.Tensor | tf.Tensor[];
    heard({ name, inputs, attributes, result, ms: performance.now() - begun });
    return result;
  }) as typeof engine.runKernel;
  try {
    f();
  } finally {
    engine.runKernel = run;
  }
}
