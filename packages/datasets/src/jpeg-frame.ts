import { DatasetError } from './error';

/**
 * What the frame header of a JPEG file says, before anything is decoded.
 *
 * @throws DatasetError when there is none.
 */
export function jpegFrame(bytes: Uint8Array): { height: number; width: number; components: number } {
  for (let at = 2; at + 9 < bytes.length; ) {
    if (bytes[at] !== 0xff) break;
    const marker = bytes[at + 1]!;
    const isFrame = marker >= 0xc0 && marker <= 0xcf && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc;
    if (isFrame) {
      const [height, width] = [bytes[at + 5]! * 256 + bytes[at + 6]!, bytes[at + 7]! * 256 + bytes[at + 8]!];
      return { height, width, components: bytes[at + 9]! };
    }
    // Fill bytes before a marker have no length.
    at += marker === 0xff ? 1 : 2 + bytes[at + 2]! * 256 + bytes[at + 3]!;
  }
  throw new DatasetError('has no frame header of a JPEG file');
}
