import * as tf from '@tensorflow/tfjs-core';

/** Checks that two maps have the same names and shapes. */
export function sameTensors(where: string, name: string, map: tf.NamedTensorMap, expected: tf.NamedTensorMap): void {
  const missing = Object.keys(expected).filter((key) => !map[key]);
  const unexpected = Object.keys(map).filter((key) => !expected[key]);
  const misshapen = Object.keys(expected).filter(
    (key) => map[key] && map[key].shape.join() !== expected[key]!.shape.join(),
  );
  const problems = [
    ...(missing.length ? [`lacks ${missing.join(', ')}`] : []),
    ...(unexpected.length ? [`has unexpected ${unexpected.join(', ')}`] : []),
    ...misshapen.map((key) => `has ${key} of shape [${map[key]!.shape}], expected [${expected[key]!.shape}]`),
  ];
  if (problems.length > 0) throw new Error(`${where}: ${name} ${problems.join('; ')}`);
}

/** A map of what `f` makes of each tensor of another. */
export function mapTensors(
  map: tf.NamedTensorMap,
  f: (tensor: tf.Tensor, name: string) => tf.Tensor,
): tf.NamedTensorMap {
  return Object.fromEntries(Object.entries(map).map(([name, tensor]) => [name, tf.tidy(() => f(tensor, name))]));
}
