import { decode } from 'jpeg-js';
import type { Picture } from './picture';

/**
 * A JPEG of four inks in RGB, as Pillow converts it. mozjpeg's library gives no such images; this one's pixels are within a few levels of
 * Pillow's where colour is not subsampled. ImageNet's training set has 22 of them.
 *
 * @throws Error when the file is damaged.
 */
export function decodeCmykJpeg(bytes: Uint8Array): Picture {
  const { height, width, data } = decode(bytes, { useTArray: true, formatAsRGBA: false, tolerantDecoding: false });
  return { height, width, channels: 3, pixels: data };
}
