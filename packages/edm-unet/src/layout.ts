import { fromCheckpoint as permuted, toCheckpoint as unpermuted } from '@cm/edm2-unet';
import * as tf from '@tensorflow/tfjs-core';
import type { EdmConfig } from './config';
import { iddpmNoiseLevels } from './iddpm';
import { layersOf } from './layers';
import { parametersOf } from './parameters';

const inFile = (shape: readonly number[]) =>
  shape.length === 4 ? [shape[3]!, shape[2]!, shape[0]!, shape[1]!] : shape;

/**
 * Names and shapes of what a checkpoint of the network has, laid out as in the file (convolutions OIHW): every parameter and, `optional`
 * for they follow from the configuration, the buffers that PyTorch stores beside them.
 */
export function checkpointShapes(config: EdmConfig): {
  readonly required: Readonly<Record<string, readonly number[]>>;
  readonly optional: Readonly<Record<string, readonly number[]>>;
} {
  const required = Object.fromEntries(parametersOf(config).map(({ name, shape }) => [name, inFile(shape)]));
  const { length } = filterOf(config);
  const optional: Record<string, number[]> = Object.fromEntries(
    filteringLayers(config).map((name) => [name, [1, 1, length, length]]),
  );
  if (config.preconditioning.kind === 'iddpm') optional.u = [config.preconditioning.timesteps + 1];
  return { required, optional };
}

/**
 * Parameters as the network takes them, from tensors as the public checkpoints have them: convolutions OIHW to HWIO. New tensors, the
 * caller's to free. Resampling filters and improved DDPM's noise levels, which follow from the configuration, may be among them or not.
 *
 * @throws Error listing every tensor that is missing, unexpected or misshapen
 */
export function fromCheckpoint(config: EdmConfig, tensors: tf.NamedTensorMap): tf.NamedTensorMap {
  const { required, optional } = checkpointShapes(config);
  const shapes = { ...required, ...optional };
  const missing = Object.keys(required).filter((name) => !Object.hasOwn(tensors, name));
  const unexpected = Object.keys(tensors).filter((name) => !Object.hasOwn(shapes, name));
  const misshapen = Object.entries(shapes)
    .filter(([name, shape]) => Object.hasOwn(tensors, name) && tensors[name]!.shape.join() !== shape.join())
    .map(([name, shape]) => `${name} [${tensors[name]!.shape}], expected [${shape}]`);
  const problems = [
    ...(missing.length ? [`missing ${missing.join(', ')}`] : []),
    ...(unexpected.length ? [`unexpected ${unexpected.join(', ')}`] : []),
    ...(misshapen.length ? [`misshapen ${misshapen.join('; ')}`] : []),
  ];
  if (problems.length > 0) throw new Error(`fromCheckpoint: tensors do not fit the network: ${problems.join('; ')}`);
  return permuted(Object.fromEntries(Object.keys(required).map((name) => [name, tensors[name]!])));
}

/**
 * Tensors as the public checkpoints have them, from parameters: convolutions HWIO to OIHW, and the buffers that PyTorch's strict loading
 * asks for. New tensors, the caller's to free.
 */
export function toCheckpoint(config: EdmConfig, params: tf.NamedTensorMap): tf.NamedTensorMap {
  const filter = filterOf(config);
  const sum = filter.reduce((total, tap) => total + tap, 0);
  const outer = filter.flatMap((a) => filter.map((b) => (a * b) / sum ** 2));
  const shape: [number, number, number, number] = [1, 1, filter.length, filter.length];
  const tensors: tf.NamedTensorMap = {
    ...unpermuted(params),
    ...Object.fromEntries(filteringLayers(config).map((name) => [name, tf.tensor4d(outer, shape)])),
  };
  if (config.preconditioning.kind === 'iddpm') tensors.u = tf.tensor1d(iddpmNoiseLevels(config.preconditioning));
  return tensors;
}

const filterOf = (config: EdmConfig): readonly number[] =>
  config.architecture === 'song' ? config.resampleFilter : [1, 1];

/** Names of the filters that the reference's resampling layers hold. */
function filteringLayers(config: EdmConfig): string[] {
  return layersOf(config).flatMap((layer) => {
    if (layer.type === 'block')
      return layer.resample === 'keep' ? [] : ['conv0', 'skip'].map((own) => `${layer.name}.${own}.resample_filter`);
    return ['auxDown', 'auxResidual', 'auxUp'].includes(layer.type) ? [`${layer.name}.resample_filter`] : [];
  });
}
