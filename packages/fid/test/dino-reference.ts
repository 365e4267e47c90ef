import { readSafetensorsFixture, u } from '@cm/testing';
import * as tf from '@tensorflow/tfjs-core';
import { type DinoV2Size, dinoV2ParameterShapes } from '../src/index';

/** Made by scripts/dino_fixture.py: a network of 2 blocks, 128 wide, in plain PyTorch. */
export const reference = readSafetensorsFixture(new URL('fixtures/dino.safetensors', import.meta.url));

/** The fixture's parameters, or those of another size and grid of position embeddings, by formula. */
export function dinoParameters(size: DinoV2Size = { width: 128, depth: 2 }, grid?: number): tf.NamedTensorMap {
  const values = (name: string, shape: readonly number[]): Float32Array => {
    const x = u(
      reference.metadata.tag + name,
      shape.reduce((product, extent) => product * extent, 1),
    );
    if (name.includes('norm') && name.endsWith('weight')) return x.map((v) => 1 + 0.2 * v);
    if (name.endsWith('gamma')) return x.map((v) => 0.5 + 0.3 * v);
    if (name.endsWith('bias')) return x.map((v) => 0.2 * v);
    if (name === 'cls_token' || name === 'pos_embed') return x;
    const inputs = shape.slice(1).reduce((product, extent) => product * extent, 1);
    return x.map((v) => v * Math.sqrt(3 / inputs));
  };
  return Object.fromEntries(
    Object.entries(dinoV2ParameterShapes(size, grid)).map(([name, shape]) => [
      name,
      tf.tensor(values(name, shape), [...shape]),
    ]),
  );
}

/** The fixture's images, [batch, height, width, 3] in [−1, 1]. */
export function dinoImages(): tf.Tensor4D {
  const { data, shape } = reference.tensors.images!;
  return tf.tensor4d(
    Float32Array.from(data as Uint8Array, (level) => level / 127.5 - 1),
    shape as [number, number, number, number],
  );
}
