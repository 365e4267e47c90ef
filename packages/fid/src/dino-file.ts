import * as tf from '@tensorflow/tfjs-core';
import { type DinoV2Model, type DinoV2Weights, dinoV2ParameterShapes, dinoV2Sizes, prepareDinoV2 } from './dino';
import { findWeights, readWeights, type WeightsSource } from './weights-file';

/** SHA-256 of the published files, which their publisher does not state: as projects that pin them do (finegrain-ai/refiners for one). */
export const dinoV2Sha256: Readonly<Record<DinoV2Model, string>> = {
  vitb14: '0b8b82f85de91b424aded121c7e1dcc2b7bc6d0adeea651bf73a13307fad8c73',
  vitl14: 'd5383ea8f4877b2472eb973e0fd72d557c7da5d3611bd527ceeb1d7162cbf428',
};

const sizes: Readonly<Record<DinoV2Model, string>> = { vitb14: '346,378,731', vitl14: '1,217,586,395' };

/**
 * Looks for `dinov2_vitb14_pretrain.pth` or `dinov2_vitl14_pretrain.pth` in the folders of `findInceptionWeights`.
 *
 * @throws Error that says what to fetch and where to put it.
 */
export function findDinoV2Weights(model: DinoV2Model): Promise<string> {
  const name = `dinov2_${model}_pretrain.pth`;
  return findWeights(
    `DINOv2 ${model}`,
    [name],
    `${name} (${sizes[model]} bytes, https://dl.fbaipublicfiles.com/dinov2/dinov2_${model}/${name})`,
  );
}

/**
 * The weights of DINOv2's ViT-B/14 or ViT-L/14 from the published file, which is read as data: nothing of it is executed.
 *
 * @returns The caller's: free them with `tf.dispose(weights.tensors)`.
 * @throws Error when there is no file (which says what to fetch), its SHA-256 is another, or a parameter is absent or of another shape.
 */
export async function loadDinoV2(
  model: DinoV2Model,
  { path, sha256 = dinoV2Sha256[model] }: WeightsSource = {},
): Promise<DinoV2Weights> {
  const file = path ?? (await findDinoV2Weights(model));
  const wanted = dinoV2ParameterShapes(dinoV2Sizes[model]);
  const parameters = await readWeights(file, sha256, (name) => Object.hasOwn(wanted, name));
  try {
    for (const [name, shape] of Object.entries(wanted)) {
      if (`${parameters[name]?.shape}` !== `${shape}`) {
        const found = parameters[name] ? `has ${name} of shape [${parameters[name].shape}]` : `lacks ${name}`;
        throw new Error(`${file} ${found}, expected [${shape}] of ${model}`);
      }
    }
    return prepareDinoV2(parameters);
  } finally {
    tf.dispose(parameters);
  }
}
