import { readSafetensors, toTensors } from '@cm/checkpoints';
import {
  type Edm2Config,
  edm2ConfigFromArguments,
  edm2Denoiser,
  fromCheckpoint,
  normalizeWeights,
} from '@cm/edm2-unet';
import type { Denoiser } from '@cm/samplers';
import * as tf from '@tensorflow/tfjs-core';

/** Steps that the consistency model can be asked for. */
export type Steps = 1 | 2 | 4;

/** How the generator's training wants it sampled; its file says so. */
export interface Sampling {
  readonly sigmaMax: number;
  readonly sigmaMin: number;
  /** Middle noise levels by the number of steps. */
  readonly middle: Readonly<Record<Steps, readonly number[]>>;
}

/** A network's weights as its operations take them, in main memory. */
export interface PreparedModel {
  readonly config: Edm2Config;
  readonly metadata: Readonly<Record<string, string>>;
  readonly weights: Readonly<Record<string, { readonly shape: number[]; readonly values: Float32Array }>>;
}

/** The three networks of this page. */
export interface Three<T> {
  /** The tuned consistency model. */
  readonly generator: T;
  /** The same at half of its tuning. */
  readonly guide: T;
  /** The diffusion model that it was tuned from. */
  readonly diffusion: T;
}

/**
 * Reads a network from its safetensors file and normalises its weights, on the current backend. On a GPU that would compile dozens of programs that run
 * once: prepare on WebAssembly, place where you like.
 */
export function prepareModel(file: Uint8Array): PreparedModel {
  const { tensors, metadata } = readSafetensors(file);
  const { className, config: kwargs } = metadata as Record<'className' | 'config', string>;
  const config = edm2ConfigFromArguments({ className, kwargs: JSON.parse(kwargs) }, tensors);
  const stored = toTensors(tensors);
  const params = fromCheckpoint(stored);
  const { weights } = normalizeWeights(config, params);
  const values = Object.entries(weights).map(([name, tensor]) => [
    name,
    // A copy: WebAssembly lends a view of its memory.
    { shape: tensor.shape, values: (tensor.dataSync() as Float32Array).slice() },
  ]);
  tf.dispose([stored, params, weights]);
  return { config, metadata, weights: Object.fromEntries(values) };
}

/** The networks on a backend. */
export interface Models extends Three<Denoiser> {
  readonly sampling: Sampling;
  /** Height and width of the images, and their channels. */
  readonly imageShape: readonly [number, number, number];
  dispose(): void;
}

/** Brings prepared networks to the current backend. */
export function placeModels(prepared: Three<PreparedModel>): Models {
  const placed: tf.Tensor[] = [];
  const denoiser = ({ config, weights }: PreparedModel) => {
    const tensors = Object.entries(weights).map(
      ([name, { shape, values }]) => [name, tf.tensor(values, shape)] as const,
    );
    placed.push(...tensors.map(([, tensor]) => tensor));
    return edm2Denoiser(config, Object.fromEntries(tensors));
  };
  const { config, metadata } = prepared.generator;
  return {
    generator: denoiser(prepared.generator),
    guide: denoiser(prepared.guide),
    diffusion: denoiser(prepared.diffusion),
    sampling: JSON.parse(metadata.sampling!) as Sampling,
    imageShape: [config.resolution, config.resolution, config.channels],
    dispose: () => tf.dispose(placed),
  };
}
