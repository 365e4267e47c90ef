import { writeFile } from 'node:fs/promises';
import { toPixels } from '@cm/samplers';
import type { Tensor4D } from '@tensorflow/tfjs-core';
import { encode } from 'fast-png';

/** Writes the first rows × columns images of a batch as one greyscale PNG, each pixel `scale` pixels wide. */
export async function writeGrid(
  path: string,
  images: Tensor4D,
  { columns, rows, scale = 3, gap = 2 }: { columns: number; rows: number; scale?: number; gap?: number },
): Promise<void> {
  await writeFile(path, gridPng(toPixels(images), images.shape, { columns, rows, scale, gap }));
}

function gridPng(
  pixels: Uint8Array,
  [count, height, width, channels]: readonly [number, number, number, number],
  { columns, rows, scale, gap }: { columns: number; rows: number; scale: number; gap: number },
): Uint8Array {
  const cellWidth = width * scale + gap;
  const cellHeight = height * scale + gap;
  const fullWidth = columns * cellWidth + gap;
  const data = new Uint8Array(fullWidth * (rows * cellHeight + gap) * channels).fill(255);
  for (let image = 0; image < Math.min(count, rows * columns); image++) {
    const top = gap + Math.floor(image / columns) * cellHeight;
    const left = gap + (image % columns) * cellWidth;
    for (let y = 0; y < height * scale; y++) {
      for (let x = 0; x < width * scale; x++) {
        const source = ((image * height + Math.floor(y / scale)) * width + Math.floor(x / scale)) * channels;
        const target = ((top + y) * fullWidth + left + x) * channels;
        for (let c = 0; c < channels; c++) data[target + c] = pixels[source + c]!;
      }
    }
  }
  return encode({ width: fullWidth, height: rows * cellHeight + gap, data, channels, depth: 8 });
}
