import { type EdmConfig, embeddingChannels } from './config';
import { type BlockSpec, type Layer, layersOf } from './layers';

/** What an untrained parameter is drawn from. */
export type Distribution =
  | { readonly kind: 'constant'; readonly value: number }
  /** From −bound to bound. */
  | { readonly kind: 'uniform'; readonly bound: number }
  | { readonly kind: 'normal'; readonly deviation: number };

/** A tensor of the network's: name as in the public checkpoints, shape in memory (convolutions HWIO). */
export interface ParameterSpec {
  readonly name: string;
  readonly shape: readonly number[];
  readonly initial: Distribution;
  /** Whether it is learned; the frequencies of Fourier features are not. */
  readonly trained: boolean;
  /** Of weights: positions of an image that they are applied at. */
  readonly positions?: number;
}

/** Weights of a layer are drawn by its architecture's rule, scaled. */
type Scale = 'plain' | 'attention' | 'last';

/** Whether the shortcut past a block has a convolution: where channels change, and in DDPM++ where it resamples. */
export const hasProjection = (config: EdmConfig, { resample, inChannels, channels }: BlockSpec): boolean =>
  inChannels !== channels || (config.architecture === 'song' && resample !== 'keep');

/** Every parameter of the network, in order, with the frequencies of Fourier features. */
export function parametersOf(config: EdmConfig): ParameterSpec[] {
  const song = config.architecture === 'song';
  const { noise, embedding } = embeddingChannels(config);
  const specs: ParameterSpec[] = [];
  const constant = (name: string, size: number, value: number) =>
    specs.push({ name, shape: [size], initial: { kind: 'constant', value }, trained: true });
  const weights = (
    name: string,
    shape: number[],
    { scale = 'plain', bias = true, positions = 1 }: { scale?: Scale; bias?: boolean; positions?: number } = {},
  ) => {
    const [weight, ofBias] = (song ? xavier : kaiming)(shape, scale);
    specs.push({ name: `${name}.weight`, shape, initial: weight, trained: true, positions });
    if (bias) specs.push({ name: `${name}.bias`, shape: [outputsOf(shape)], initial: ofBias, trained: true });
  };
  const conv = (
    name: string,
    kernel: number,
    layer: Pick<Layer, 'inChannels' | 'channels'>,
    positions: number,
    scale: Scale = 'plain',
  ) => weights(name, [kernel, kernel, layer.inChannels, layer.channels], { positions, scale });
  const norm = (name: string, channels: number) => {
    constant(`${name}.weight`, channels, 1);
    constant(`${name}.bias`, channels, 0);
  };

  if (song && config.embedding === 'fourier') {
    const initial = { kind: 'normal', deviation: 16 } as const;
    specs.push({ name: 'model.map_noise.freqs', shape: [noise / 2], initial, trained: false });
  }
  if (song && config.labelDim > 0) weights('model.map_label', [noise, config.labelDim]);
  if (config.augmentDim > 0) {
    weights('model.map_augment', [noise, config.augmentDim], { bias: false, scale: song ? 'plain' : 'last' });
  }
  weights('model.map_layer0', [embedding, noise]);
  weights('model.map_layer1', [embedding, embedding]);
  if (!song && config.labelDim > 0) {
    const initial = { kind: 'normal', deviation: 1 } as const;
    specs.push({
      name: 'model.map_label.weight',
      shape: [embedding, config.labelDim],
      initial,
      trained: true,
      positions: 1,
    });
  }

  for (const layer of layersOf(config)) {
    const { name, inChannels, channels } = layer;
    const positions = layer.resolution ** 2;
    switch (layer.type) {
      case 'block': {
        const inner = { inChannels: channels, channels };
        norm(`${name}.norm0`, inChannels);
        conv(`${name}.conv0`, 3, layer, positions);
        weights(`${name}.affine`, [song ? channels : 2 * channels, embedding]);
        norm(`${name}.norm1`, channels);
        conv(`${name}.conv1`, 3, inner, positions, 'last');
        if (hasProjection(config, layer)) conv(`${name}.skip`, 1, layer, positions);
        if (layer.heads > 0) {
          norm(`${name}.norm2`, channels);
          conv(`${name}.qkv`, 1, { ...inner, channels: 3 * channels }, positions, 'attention');
          conv(`${name}.proj`, 1, inner, positions, 'last');
        }
        break;
      }
      case 'conv':
        conv(name, 3, layer, positions);
        break;
      case 'auxSkip':
        conv(name, 1, layer, positions);
        break;
      case 'auxResidual':
        // It convolves before it halves the resolution.
        conv(name, 3, layer, 4 * positions);
        break;
      case 'out':
        norm(layer.norm!, inChannels);
        conv(name, 3, layer, positions, 'last');
        break;
    }
  }
  return specs;
}

/** Outputs of weights: the first of a matrix [out, in], the last of a convolution [height, width, in, out]. */
const outputsOf = (shape: readonly number[]) => (shape.length === 4 ? shape[3]! : shape[0]!);
const inputsOf = (shape: readonly number[]) => (shape.length === 4 ? shape[0]! * shape[1]! * shape[2]! : shape[1]!);

/** DDPM++ and NCSN++: uniform with variance 2/(fan in + fan out); 1/5 of the variance for attention, nearly nothing for last layers. */
function xavier(shape: readonly number[], scale: Scale): [Distribution, Distribution] {
  const kernel = shape.length === 4 ? shape[0]! * shape[1]! : 1;
  const bound = Math.sqrt(6 / (inputsOf(shape) + kernel * outputsOf(shape)));
  const factor = { plain: 1, attention: Math.sqrt(0.2), last: 1e-5 }[scale];
  return [
    { kind: 'uniform', bound: factor * bound },
    { kind: 'constant', value: 0 },
  ];
}

/** ADM: weights and biases uniform to 1/√(fan in); last layers zero. */
function kaiming(shape: readonly number[], scale: Scale): [Distribution, Distribution] {
  const initial: Distribution =
    scale === 'last' ? { kind: 'constant', value: 0 } : { kind: 'uniform', bound: 1 / Math.sqrt(inputsOf(shape)) };
  return [initial, initial];
}

const sizeOf = (shape: readonly number[]) => shape.reduce((product, extent) => product * extent, 1);

/**
 * How many numbers the network learns.
 *
 * @example
 * ```ts
 * import { edmParameterCount, edmPresets } from '@cm/edm-unet';
 *
 * console.log(edmParameterCount(edmPresets['cifar10-uncond-ddpmpp'])); // 55733891
 * ```
 */
export function edmParameterCount(config: EdmConfig): number {
  return parametersOf(config).reduce((sum, { trained, shape }) => sum + (trained ? sizeOf(shape) : 0), 0);
}

/**
 * Floating-point operations of one forward pass for one image: two for every multiply-add of its convolutions, matrix products and
 * attention. Element-wise work and resampling are not counted.
 */
export function edmFlops(config: EdmConfig): number {
  const ofWeights = parametersOf(config).reduce((sum, { shape, positions = 0 }) => sum + sizeOf(shape) * positions, 0);
  const ofAttention = layersOf(config).reduce(
    (sum, layer) => sum + (layer.type === 'block' && layer.heads > 0 ? 2 * layer.resolution ** 4 * layer.channels : 0),
    0,
  );
  return 2 * (ofWeights + ofAttention);
}
