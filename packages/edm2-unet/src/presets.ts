import { type Edm2Config, edm2Config } from './config';

/** Name of a published size. */
export type Edm2Size = 'XS' | 'S' | 'M' | 'L' | 'XL' | 'XXL';

/** EDM2's published sizes: channels of the first level. */
const modelChannels: Record<Edm2Size, number> = { XS: 128, S: 192, M: 256, L: 320, XL: 384, XXL: 448 };

/**
 * Configuration of a published EDM2 network: pixels at 64 × 64 (`imagenet64`) or the 64 × 64 × 4 latents of 512 × 512 images
 * (`imagenet512`), 1,000 classes.
 *
 * @example
 * ```ts
 * import { edm2ParameterCount, edm2Preset } from '@cm/edm2-unet';
 *
 * console.log((edm2ParameterCount(edm2Preset('S')) / 1e6).toFixed(1)); // 280.2
 * ```
 */
export function edm2Preset(size: Edm2Size, data: 'imagenet64' | 'imagenet512' = 'imagenet64'): Edm2Config {
  return edm2Config({
    resolution: 64,
    channels: data === 'imagenet64' ? 3 : 4,
    labelDim: 1000,
    modelChannels: modelChannels[size],
  });
}
