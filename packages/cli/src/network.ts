import { type Checkpoint, toTensors } from '@cm/checkpoints';
import {
  type EdmConfig,
  edmArguments,
  edmConfigFromArguments,
  edmDenoiser,
  edmFlops,
  fromCheckpoint as edmFromFile,
  edmParameterCount,
  toCheckpoint as edmToFile,
  initEdm,
} from '@cm/edm-unet';
import {
  type ConstructorArguments,
  type Edm2Config,
  edm2Arguments,
  edm2ConfigFromArguments,
  edm2Denoiser,
  edm2Flops,
  fromCheckpoint as edm2FromFile,
  edm2ParameterCount,
  toCheckpoint as edm2ToFile,
  forceWeightNorm,
  initEdm2,
  normalizeWeights,
} from '@cm/edm2-unet';
import type { Key } from '@cm/random';
import { classLabels, type TrainableNetwork } from '@cm/trainer';
import * as tf from '@tensorflow/tfjs-core';

/** A network's family and configuration. Plain data. */
export type NetworkConfig =
  | { readonly family: 'edm2'; readonly config: Edm2Config }
  | { readonly family: 'edm'; readonly config: EdmConfig };

/** A network of either family as the commands see it: what the trainer takes, and its way from and to files. */
export interface Network extends TrainableNetwork {
  readonly settings: NetworkConfig;
  /** Of an image: [height, width, channels]. */
  readonly imageShape: readonly [number, number, number];
  /** Number of classes; 0: unconditional. */
  readonly classes: number;
  /** Numbers that it learns. */
  readonly parameters: number;
  /** Floating-point operations of a forward pass of one image. */
  readonly flops: number;
  /** What it is constructed with: in a file's metadata, `className` and `config`, JSON, it is enough to rebuild the network from. */
  readonly arguments: ConstructorArguments;
  /** Parameters before training. The caller's. */
  init(key: Key): tf.NamedTensorMap;
  /** Parameters from tensors as files have them. New tensors. */
  fromFile(tensors: tf.NamedTensorMap): tf.NamedTensorMap;
  /** Tensors as files have them. New tensors. */
  toFile(params: tf.NamedTensorMap): tf.NamedTensorMap;
}

/** @param recompute Whether the backward pass computes activations again instead of keeping them. Default false. */
export function networkOf(settings: NetworkConfig, { recompute = false } = {}): Network {
  const { resolution, channels, labelDim } = settings.config;
  const common = {
    settings,
    imageShape: [resolution, resolution, channels] as const,
    classes: labelDim,
    ...(labelDim > 0 && { condition: classLabels }),
  };
  if (settings.family === 'edm2') {
    const { config } = settings;
    return {
      ...common,
      parameters: edm2ParameterCount(config),
      flops: edm2Flops(config),
      arguments: edm2Arguments(config),
      constrain: (params) => forceWeightNorm(config, params),
      prepare: (params) => normalizeWeights(config, params),
      denoiser: (weights, key) => edm2Denoiser(config, weights, { recompute, ...(key && { dropout: { key } }) }),
      init: (key) => initEdm2(config, key),
      fromFile: edm2FromFile,
      toFile: edm2ToFile,
    };
  }
  const { config } = settings;
  return {
    ...common,
    parameters: edmParameterCount(config),
    flops: edmFlops(config),
    arguments: edmArguments(config),
    denoiser: (params, key) => {
      const denoiser = edmDenoiser(config, params, { recompute, ...(key && { dropout: { key } }) });
      return (x, t, labels, rows) => denoiser(x, t, labels, rows);
    },
    init: (key) => initEdm(config, key),
    fromFile: (tensors) => edmFromFile(config, tensors),
    toFile: (params) => edmToFile(config, params),
  };
}

/**
 * The network that a file says its tensors are of: NVIDIA's pickles, and safetensors with `className` and `config` in the metadata, as `cm train`
 * and `cm convert` write them.
 *
 * @param path What the message calls the file.
 * @throws Error when the file does not say, or says a network that is neither EDM's nor EDM2's
 */
export function networkConfigOf(path: string, { init, metadata, tensors }: Checkpoint): NetworkConfig {
  const said = init ?? argumentsIn(metadata);
  if (!said) {
    throw new Error(
      `${path}: does not say which network its tensors are of, expected an EDM or EDM2 pickle, or className and config in the metadata`,
    );
  }
  const { className } = said;
  return className === 'Precond' || className.endsWith('.Precond')
    ? { family: 'edm2', config: edm2ConfigFromArguments(said, tensors) }
    : { family: 'edm', config: edmConfigFromArguments(said) };
}

/** The network's parameters from the file that {@link networkConfigOf} found its configuration in. The caller's. */
export function parametersOf(network: Network, { tensors }: Checkpoint): tf.NamedTensorMap {
  const stored = toTensors(tensors);
  try {
    return network.fromFile(stored);
  } finally {
    tf.dispose(stored);
  }
}

function argumentsIn({ className, config }: Checkpoint['metadata']): ConstructorArguments | undefined {
  if (typeof className !== 'string' || typeof config !== 'string') return undefined;
  return { className, kwargs: JSON.parse(config) as Record<string, unknown> };
}
