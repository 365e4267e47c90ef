import { dotProductAttention } from '@cm/edm2-unet';
import * as tf from '@tensorflow/tfjs-core';
import type { FeatureExtractor } from './extract';
import { cubic, mixColumns, mixRows, resampleBicubic } from './resample';

/** The published sizes: ViT-B/14 with features of 768 numbers, ViT-L/14 with 1,024. */
export type DinoV2Model = 'vitb14' | 'vitl14';

/** Width and depth of a network; heads have 64 channels each. */
export interface DinoV2Size {
  /** Numbers of a token, and of the feature: a multiple of 64. */
  readonly width: number;
  /** Blocks. */
  readonly depth: number;
}

/** The sizes of the published networks. */
export const dinoV2Sizes: Readonly<Record<DinoV2Model, DinoV2Size>> = {
  vitb14: { width: 768, depth: 12 },
  vitl14: { width: 1024, depth: 24 },
};

/** Weights of the network ready to use, from {@link prepareDinoV2}: the caller frees `tensors`. */
export interface DinoV2Weights extends DinoV2Size {
  /** `filter` of the patches, `first` and `positions` of the tokens; of blocks and of the last norm, named as in the file. */
  readonly tensors: tf.NamedTensorMap;
}

/** How images come to the network's size. */
export interface DinoV2Options {
  /**
   * Both are Pillow's bicubic filter to 224 × 224. `legacy` rounds to bytes, as FD-DINOv2's tool (dgm-eval) does by default; `clean` stays in
   * single precision and clips at the end, as it does with `--clean_resize`. Default 'legacy'.
   */
  readonly resize?: 'legacy' | 'clean';
}

/** Pixels of a patch, of an image, and patches of an image's side. */
const [PATCH, SIZE] = [14, 224];
const GRID = SIZE / PATCH;
const HEAD = 64;
/** The published files have position embeddings of images of 518 × 518. */
const PRETRAINED_GRID = 37;

/**
 * Names and shapes of the parameters of DINOv2's vision transformers, those of the files `dinov2_vit*14_pretrain.pth` (whose `mask_token`
 * serves training alone).
 *
 * @param grid Patches of a side at which there are position embeddings.
 */
export function dinoV2ParameterShapes(
  { width, depth }: DinoV2Size,
  grid = PRETRAINED_GRID,
): Readonly<Record<string, readonly number[]>> {
  const linear = (name: string, inputs: number, outputs: number): [string, readonly number[]][] => [
    [`${name}.weight`, [outputs, inputs]],
    [`${name}.bias`, [outputs]],
  ];
  const norm = (name: string): [string, readonly number[]][] => [
    [`${name}.weight`, [width]],
    [`${name}.bias`, [width]],
  ];
  const block = (name: string): [string, readonly number[]][] => [
    ...norm(`${name}.norm1`),
    ...linear(`${name}.attn.qkv`, width, 3 * width),
    ...linear(`${name}.attn.proj`, width, width),
    [`${name}.ls1.gamma`, [width]],
    ...norm(`${name}.norm2`),
    ...linear(`${name}.mlp.fc1`, width, 4 * width),
    ...linear(`${name}.mlp.fc2`, 4 * width, width),
    [`${name}.ls2.gamma`, [width]],
  ];
  return Object.fromEntries([
    ['cls_token', [1, 1, width]],
    ['pos_embed', [1, 1 + grid * grid, width]],
    ['patch_embed.proj.weight', [width, 3, PATCH, PATCH]],
    ['patch_embed.proj.bias', [width]],
    ...Array.from({ length: depth }, (_, i) => block(`blocks.${i}`)).flat(),
    ...norm('norm'),
  ]);
}

/**
 * Makes the parameters ready for images of 224 × 224: the position embeddings are interpolated from their grid (37 × 37) to 16 × 16, once.
 *
 * @param parameters Named and shaped as {@link dinoV2ParameterShapes}, for any width that is a multiple of 64, any depth and any square grid of
 *   position embeddings; others are ignored. They stay the caller's.
 * @throws Error naming a parameter that is absent or of another shape.
 */
export function prepareDinoV2(parameters: Readonly<tf.NamedTensorMap>): DinoV2Weights {
  const width = parameters.cls_token?.shape[2] ?? dinoV2Sizes.vitb14.width;
  const grid = Math.round(Math.sqrt((parameters.pos_embed?.shape[1] ?? 1 + PRETRAINED_GRID ** 2) - 1));
  let depth = 0;
  while (parameters[`blocks.${depth}.norm1.weight`]) depth++;
  const shapes = dinoV2ParameterShapes({ width, depth }, grid);
  for (const [name, shape] of Object.entries(shapes)) {
    const actual = parameters[name];
    if (!actual) throw new Error(`prepareDinoV2: parameters lack ${name}, expected it of shape [${shape}]`);
    if (`${actual.shape}` !== `${shape}`) {
      throw new Error(`prepareDinoV2: ${name} has shape [${actual.shape}], expected [${shape}]`);
    }
  }
  if (depth === 0) throw new Error('prepareDinoV2: parameters lack blocks.0.norm1.weight, expected at least one block');
  if (width % HEAD !== 0)
    throw new Error(`prepareDinoV2: cls_token has ${width} numbers, expected a multiple of ${HEAD}`);
  const tensors = tf.tidy(() => {
    const embeddings = parameters.pos_embed!;
    const ofPatches = tf.reshape(tf.slice(embeddings, [0, 1, 0], [1, -1, -1]), [1, grid, grid, width]) as tf.Tensor4D;
    const positions = tf.reshape(interpolated(ofPatches, grid), [1, GRID * GRID, width]);
    const prepared: tf.NamedTensorMap = {
      filter: tf.transpose(parameters['patch_embed.proj.weight']!, [2, 3, 1, 0]),
      first: tf.add(parameters.cls_token!, tf.slice(embeddings, [0, 0, 0], [1, 1, -1])),
      positions: tf.add(positions, parameters['patch_embed.proj.bias']!),
    };
    for (const name of Object.keys(shapes)) {
      if (name.startsWith('blocks.') || name.startsWith('norm.')) prepared[name] = tf.clone(parameters[name]!);
    }
    return prepared;
  });
  return { width, depth, tensors };
}

/**
 * Position embeddings at 16 × 16 places as the reference gets them: bicubic with a = −3/4, edges repeated, not widened where the grid shrinks,
 * place i read at (i + 1/2) · grid / (16 + 0.1) − 1/2. The 0.1 is the reference's, whose networks were trained and published with it.
 */
function interpolated(embeddings: tf.Tensor4D, grid: number): tf.Tensor4D {
  if (grid === GRID) return embeddings;
  const matrix = new Float32Array(GRID * grid);
  for (let i = 0; i < GRID; i++) {
    const center = ((i + 0.5) * grid) / (GRID + 0.1) - 0.5;
    const first = Math.floor(center) - 1;
    for (let k = first; k < first + 4; k++) {
      matrix[i * grid + Math.min(Math.max(k, 0), grid - 1)]! += cubic(k - center, -0.75);
    }
  }
  const weights = tf.tensor2d(matrix, [GRID, grid]);
  return mixRows(mixColumns(embeddings, weights), weights);
}

/** Mean and standard deviation of ImageNet's channels in [0, 1], by which the network's inputs are normalised. */
const channelMeans = [0.485, 0.456, 0.406];
const channelDeviations = [0.229, 0.224, 0.225];

function networkInput(images: tf.Tensor4D, resize: 'legacy' | 'clean'): tf.Tensor4D {
  const size = [SIZE, SIZE] as const;
  const resized =
    resize === 'legacy'
      ? resampleBicubic(images, size, { bytes: true })
      : tf.clipByValue(resampleBicubic(images, size), -1, 1);
  // From [−1, 1] to [0, 1] and to the network's units at once.
  const scale = channelDeviations.map((deviation) => 0.5 / deviation);
  const offset = channelMeans.map((mean, i) => (0.5 - mean) / channelDeviations[i]!);
  return tf.add(tf.mul(resized, scale), offset);
}

/**
 * DINOv2's feature of images, what FD-DINOv2 is of: the class token after the last layer norm. Images are resized to 224 × 224 and
 * normalised by ImageNet's channels; 16 × 16 patches of 14 × 14 and the class token pass through `depth` blocks
 *
 *     x ← x + γ₁ · attention(norm(x)),   x ← x + γ₂ · W₂ gelu(W₁ norm(x) + b₁) + γ₂ · b₂,
 *
 * with gelu(x) = x (1 + erf(x/√2)) / 2 and ε = 10⁻⁶ in the norms.
 *
 * @param images [batch, height, width, 3] in [−1, 1].
 * @returns [batch, width], the caller's.
 * @throws RangeError when the images have not three channels.
 * @see Oquab et al. 2023, _DINOv2: Learning Robust Visual Features without Supervision_; Stein et al. 2023, _Exposing flaws of generative model
 *   evaluation metrics and their unfair treatment of diffusion models_ (arXiv 2306.04675), for the distance.
 */
export function dinoV2Features(
  { tensors, width, depth }: DinoV2Weights,
  images: tf.Tensor4D,
  { resize = 'legacy' }: DinoV2Options = {},
): tf.Tensor2D {
  if (images.shape[3] !== 3) {
    throw new RangeError(`dinoV2Features: images have shape [${images.shape}], expected [batch, height, width, 3]`);
  }
  const batch = images.shape[0];
  const tokens = 1 + GRID * GRID;
  const norm = (name: string, x: tf.Tensor2D) => layerNorm(x, tensors[`${name}.weight`]!, tensors[`${name}.bias`]!);
  // Not fused: tfjs's WebAssembly kernel adds the bias wrongly where an operand is transposed.
  const linear = (name: string, x: tf.Tensor2D): tf.Tensor2D =>
    tf.add(tf.matMul(x, tensors[`${name}.weight`] as tf.Tensor2D, false, true), tensors[`${name}.bias`]!);
  const attended = (name: string, x: tf.Tensor2D) => {
    const qkv = linear(`${name}.attn.qkv`, norm(`${name}.norm1`, x));
    const mixed = dotProductAttention(tf.reshape(qkv, [batch, tokens, 3 * width]) as tf.Tensor3D, width / HEAD);
    return tf.mul(
      linear(`${name}.attn.proj`, tf.reshape(mixed, [-1, width]) as tf.Tensor2D),
      tensors[`${name}.ls1.gamma`]!,
    );
  };
  const passed = (name: string, x: tf.Tensor2D) => {
    const hidden = tf.tidy(() => gelu(linear(`${name}.mlp.fc1`, norm(`${name}.norm2`, x))));
    return tf.mul(linear(`${name}.mlp.fc2`, hidden), tensors[`${name}.ls2.gamma`]!);
  };
  return tf.tidy(() => {
    let x = tf.tidy(() => {
      const patches = tf.conv2d(networkInput(images, resize), tensors.filter as tf.Tensor4D, PATCH, 'valid');
      const places = tf.add(tf.reshape(patches, [batch, GRID * GRID, width]), tensors.positions!);
      const first = tf.tile(tensors.first as tf.Tensor3D, [batch, 1, 1]);
      return tf.reshape(tf.concat([first, places as tf.Tensor3D], 1), [batch * tokens, width]) as tf.Tensor2D;
    });
    for (let i = 0; i < depth; i++) {
      for (const part of [attended, passed]) {
        const next = tf.tidy(() => tf.add(x, part(`blocks.${i}`, x)) as tf.Tensor2D);
        x.dispose();
        x = next;
      }
    }
    const first = tf.slice(tf.reshape(x, [batch, tokens, width]), [0, 0, 0], [-1, 1, -1]);
    return norm('norm', tf.reshape(first, [batch, width]) as tf.Tensor2D);
  });
}

/** (x − mean) / √(variance + 10⁻⁶) · scale + offset over the last axis. */
function layerNorm(x: tf.Tensor2D, scale: tf.Tensor, offset: tf.Tensor): tf.Tensor2D {
  return tf.tidy(() => {
    const centered = tf.sub(x, tf.mean(x, 1, true));
    const factor = tf.rsqrt(tf.add(tf.mean(tf.square(centered), 1, true), 1e-6));
    return tf.add(tf.mul(tf.mul(centered, factor), scale), offset);
  });
}

const gelu = (x: tf.Tensor2D): tf.Tensor2D => tf.mul(tf.mul(x, 0.5), tf.add(tf.erf(tf.mul(x, Math.SQRT1_2)), 1));

/** {@link dinoV2Features} as an extractor for `computeStatistics` and `computeFeatures`. */
export function dinoV2Extractor(weights: DinoV2Weights, options: DinoV2Options = {}): FeatureExtractor {
  return (images) => dinoV2Features(weights, images, options);
}
