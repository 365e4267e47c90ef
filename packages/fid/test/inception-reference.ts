import * as tf from '@tensorflow/tfjs-core';
// Not by the package's index, which needs vitest: benchmarks use this file too.
import { readSafetensorsFixture } from '../../../tools/testing/src/fixtures';
import { unit } from '../../../tools/testing/src/formula';
import { inceptionParameterShapes } from '../src/inception-shapes';

/** Images and features of torch-fidelity's network with formula weights. */
export const reference = readSafetensorsFixture(new URL('fixtures/inception.safetensors', import.meta.url));

/** Parameters by the formula that the fixture's metadata tells. */
export function formulaParameters(): tf.NamedTensorMap {
  const values = (name: string, shape: readonly number[]): Float32Array => {
    const x = unit(reference.metadata.tag + name, shape);
    if (name.endsWith('conv.weight')) return x.map((v) => v * Math.sqrt(2 / (shape[1]! * shape[2]! * shape[3]!)));
    if (name === 'fc.weight') return x.map((v) => v * Math.sqrt(1 / shape[1]!));
    if (name.endsWith('bn.weight')) return x.map((v) => 1 + 0.1 * v);
    if (name.endsWith('running_var')) return x.map((v) => 1 + 0.2 * Math.abs(v));
    return x.map((v) => 0.1 * v);
  };
  return Object.fromEntries(
    Object.entries(inceptionParameterShapes).map(([name, shape]) => {
      // 24 million numbers, for every backend that a file's tests run on.
      const known = made.get(name) ?? values(name, shape);
      made.set(name, known);
      return [name, tf.tensor(known, [...shape])];
    }),
  );
}

const made = new Map<string, Float32Array>();

/** The fixture's images, [batch, height, width, 3] in [−1, 1]. */
export function referenceImages(): tf.Tensor4D {
  return tf.tidy(() => {
    const { data, shape } = reference.tensors.images!;
    const bytes = tf.tensor4d(Float32Array.from(data as Uint8Array), shape as [number, number, number, number]);
    return tf.sub(tf.div(tf.transpose(bytes, [0, 2, 3, 1]), 127.5), 1) as tf.Tensor4D;
  });
}
