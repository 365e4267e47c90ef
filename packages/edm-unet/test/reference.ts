import { type FixtureTensor, readSafetensorsFixture, unit } from '@cm/testing';
import * as tf from '@tensorflow/tfjs-core';
import { checkpointShapes, type EdmConfig, edmConfigFromArguments, fromCheckpoint } from '../src';

/** A recorded reference network: its configuration, weights (made from their names) and numbers. */
export function readReference(name: 'ddpmpp-tiny' | 'ncsnpp-tiny') {
  const { tensors, metadata } = readSafetensorsFixture(new URL(`fixtures/${name}.safetensors`, import.meta.url));
  const config = edmConfigFromArguments({ className: metadata.network!, kwargs: JSON.parse(metadata.config!) });
  return { config, tensors, tag: metadata.tag!, params: () => formulaParameters(config, metadata.tag!) };
}

/** Parameters made from their names, as the fixtures' README says. */
export function formulaParameters(config: EdmConfig, tag: string): tf.NamedTensorMap {
  const values = (name: string, shape: readonly number[]) => {
    const raw = tf.tensor(unit(tag + name, shape), [...shape]);
    if (name.endsWith('freqs')) return tf.mul(raw, 16);
    if (name.endsWith('bias')) return tf.mul(raw, 0.1);
    if (/norm\d?\.weight$/.test(name)) return tf.add(tf.mul(raw, 0.1), 1);
    return tf.div(raw, Math.sqrt(raw.size / shape[0]!));
  };
  return tf.tidy(() =>
    fromCheckpoint(
      config,
      Object.fromEntries(
        Object.entries(checkpointShapes(config).required).map(([name, shape]) => [name, values(name, shape)]),
      ),
    ),
  );
}

/** A recorded NCHW tensor as NHWC. */
export const images = ({ shape, data }: FixtureTensor) =>
  tf.tidy(() =>
    tf.transpose(tf.tensor4d(data as Float32Array, shape as [number, number, number, number]), [0, 2, 3, 1]),
  );

/** A recorded OIHW gradient as the parameter lies in memory. */
export const asParameter = ({ shape, data }: FixtureTensor) =>
  tf.tidy(() => {
    const tensor = tf.tensor(data as Float32Array, shape);
    return shape.length === 4 ? tf.transpose(tensor, [2, 3, 1, 0]) : tensor;
  });
