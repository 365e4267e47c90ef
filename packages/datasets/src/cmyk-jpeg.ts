import { decode } from 'jpeg-js';
import type { Picture } from './picture';

/** Colour components of a JPEG file, by its frame header; 0 where there is none. */
export function componentsOf(bytes: Uint8Array): number {
  for (let at = 2; at + 9 < bytes.length; ) {
    if (bytes[at] !== 0xff) return 0;
    const marker = bytes[at + 1]!;
    const isFrame = marker >= 0xc0 && marker <= 0xcf && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc;
    if (isFrame) return bytes[at + 9]!;
    // Fill bytes before a marker have no length.
    at += marker === 0xff ? 1 : 2 + bytes[at + 2]! * 256 + bytes[at + 3]!;
  }
  return 0;
}

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
