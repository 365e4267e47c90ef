import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { fromTensors, writeSafetensors } from '@cm/checkpoints';
import { songUNetConfig } from '@cm/edm-unet';
import { key } from '@cm/random';
import { u } from '@cm/testing';
import * as tf from '@tensorflow/tfjs-core';
import { useBackend } from '../src/backend';
import { type Network, networkOf } from '../src/network';
import { resolveRun } from '../src/train-recipe';

/** What {@link writeModel} writes. */
export interface WrittenModel {
  /** Which numbers its parameters are. */
  readonly variant?: string;
  /** Default: none, a diffusion model. */
  readonly recipe?: string;
  readonly changes?: Readonly<Record<string, unknown>>;
  readonly metadata?: Readonly<Record<string, string>>;
  readonly classes?: number;
}

/** A network for images of 8 × 8 in a few classes. */
export const tinyNetwork = (classes = 3): Network =>
  networkOf({
    family: 'edm',
    config: songUNetConfig({
      resolution: 8,
      labelDim: classes,
      modelChannels: 8,
      channelMult: [1],
      numBlocks: 1,
      attnResolutions: [],
    }),
  });

/** Writes a tiny network whose parameters are none of them 0, as `cm train` writes its snapshots. */
export async function writeModel(path: string, model: WrittenModel = {}): Promise<void> {
  await useBackend('wasm');
  const { variant = 'a', recipe, changes = {}, metadata = {}, classes = 3 } = model;
  const network = tinyNetwork(classes);
  const { className, kwargs } = network.arguments;
  const said = recipe && JSON.stringify(resolveRun(recipe, { recipe: changes, run: {} }).recipe);
  tf.tidy(() => {
    const params = Object.fromEntries(
      Object.entries(network.init(key(0))).map(([name, tensor]) => {
        const noise = tf.tensor(u(`${variant} ${name}`, tensor.size), tensor.shape);
        return [name, tf.add(tensor, tf.mul(noise, 0.2))];
      }),
    );
    const bytes = writeSafetensors(fromTensors(network.toFile(params), { dtype: 'F16' }), {
      className,
      config: JSON.stringify(kwargs),
      ...(said && { recipe: said, sigmaMax: '80' }),
      ...metadata,
    });
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, bytes);
  });
}
