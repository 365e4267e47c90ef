import { encode } from 'fast-png';

/** Pixels between images. */
const GAP = 2;

/**
 * Images side by side in a PNG, in rows as nearly square as they go, white between them.
 *
 * @param pixels Bytes of the images [count, height, width, channels], one or three channels.
 */
export function gridPng(pixels: Uint8Array, [count, height, width, channels]: readonly number[]): Uint8Array {
  const [images, rowsOf, columnsOf, depth] = [count!, height!, width!, channels! as 1 | 3];
  const columns = Math.ceil(Math.sqrt(images));
  const fullWidth = columns * (columnsOf + GAP) + GAP;
  const fullHeight = Math.ceil(images / columns) * (rowsOf + GAP) + GAP;
  const data = new Uint8Array(fullWidth * fullHeight * depth).fill(255);
  const line = columnsOf * depth;
  for (let image = 0; image < images; image++) {
    const top = GAP + Math.floor(image / columns) * (rowsOf + GAP);
    const left = GAP + (image % columns) * (columnsOf + GAP);
    for (let y = 0; y < rowsOf; y++) {
      const from = (image * rowsOf + y) * line;
      data.set(pixels.subarray(from, from + line), ((top + y) * fullWidth + left) * depth);
    }
  }
  return encode({ width: fullWidth, height: fullHeight, data, channels: depth, depth: 8 });
}
