import { type ImageDataset, imageDataset } from '@cm/datasets';

/** Every pixel twice as wide and high. */
export function doubled({ images, shape: [count, height, width, channels], labels }: ImageDataset): ImageDataset {
  const large = new Uint8Array(4 * images.length);
  let at = 0;
  for (let image = 0; image < count; image++) {
    for (let y = 0; y < 2 * height; y++) {
      for (let x = 0; x < 2 * width; x++) {
        const from = ((image * height + (y >> 1)) * width + (x >> 1)) * channels;
        for (let c = 0; c < channels; c++) large[at++] = images[from + c]!;
      }
    }
  }
  return imageDataset({ images: large, shape: [count, 2 * height, 2 * width, channels], ...(labels && { labels }) });
}
