import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import jpeg, { init } from '@jsquash/jpeg/decode.js';
import { convertIndexedToRgb, decode as decodePng } from 'fast-png';
import { decodeCmykJpeg } from './cmyk-jpeg';
import { DatasetError } from './error';
import { jpegFrame } from './jpeg-frame';
import type { Picture } from './picture';

/** An image in colour. */
export interface DecodedImage {
  readonly height: number;
  readonly width: number;
  /** [height, width, 3], row-major. */
  readonly rgb: Uint8Array;
}

/** A picture of more pixels than that is none of a data set; a header that says so is not believed. */
const maxPixels = 2 ** 26;

/**
 * The pixels of a PNG or JPEG file, as Pillow's `convert('RGB')` gives them: grey is repeated, transparency dropped. JPEG is decoded by
 * mozjpeg's library, with the same bits as Pillow's; decoders written anew differ by several levels, which shows in FID.
 *
 * @throws DatasetError, with `name`, when the file is neither, damaged or cut off, or of 16 bits a channel.
 */
export async function decodeImage(name: string, bytes: Uint8Array): Promise<DecodedImage> {
  const { height, width, channels, pixels } = await decodePicture(name, bytes);
  return { height, width, rgb: channels === 3 ? pixels : greyToRgb(pixels) };
}

/**
 * The pixels of a PNG, JPEG or `.npy` file: one channel where a PNG is grey, else three. An array is of bytes, [channels, height, width] as in EDM2's data
 * sets, [height, width, channels], or [height, width].
 *
 * @throws DatasetError, with `name`, as {@link decodeImage}, or when the array is of something else.
 */
export async function decodePicture(name: string, bytes: Uint8Array): Promise<Picture> {
  try {
    if (bytes[0] === 0xff && bytes[1] === 0xd8) return await fromJpeg(bytes);
    if (bytes[0] === 0x89 && bytes[1] === 0x50) return fromPng(bytes);
    if (bytes[0] === 0x93 && bytes[1] === 0x4e) return await fromNpy(bytes);
    const begin = [...bytes.subarray(0, 4)].map((byte) => byte.toString(16).padStart(2, '0')).join(' ');
    throw new DatasetError(`begins with ${begin || 'nothing'}, expected a PNG or JPEG file`);
  } catch (error) {
    const reason = error instanceof Error ? error.message : 'cannot be decoded';
    throw new DatasetError(`${name}: ${reason}`, { cause: error });
  }
}

function fromPng(bytes: Uint8Array): Picture {
  if (bytes.length < 33) throw new DatasetError('is cut off within its header');
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  requireSize(view.getUint32(20), view.getUint32(16));
  const png = decodePng(bytes, { checkCrc: true });
  const { height, width, depth } = png;
  if (depth === 16) throw new DatasetError('has 16 bits a channel, expected 8');
  if (!png.palette && depth !== 8) throw new DatasetError(`has ${depth} bits a channel, expected 8`);
  return withoutAlpha(png.palette ? convertIndexedToRgb(png) : png.data, height, width);
}

function requireSize(height: number, width: number): void {
  if (height * width > maxPixels)
    throw new DatasetError(`says to be ${width} × ${height}, expected at most ${maxPixels} pixels`);
}

/** Grey, grey and alpha, RGB or RGBA without the alpha. */
function withoutAlpha(data: ArrayLike<number>, height: number, width: number): Picture {
  const count = height * width;
  const given = data.length / count;
  const channels = given < 3 ? 1 : 3;
  if (given === channels) return { height, width, channels, pixels: Uint8Array.from(data) };
  const pixels = new Uint8Array(count * channels);
  for (let i = 0; i < count; i++) {
    for (let channel = 0; channel < channels; channel++) pixels[channels * i + channel] = data[given * i + channel]!;
  }
  return { height, width, channels, pixels };
}

/** Grey as three equal channels. */
export function greyToRgb(grey: Uint8Array): Uint8Array {
  const rgb = new Uint8Array(3 * grey.length);
  for (let i = 0; i < grey.length; i++) rgb.fill(grey[i]!, 3 * i, 3 * i + 3);
  return rgb;
}

async function fromNpy(bytes: Uint8Array): Promise<Picture> {
  // Loaded where it is needed: it brings tensors with it.
  const { readNpy } = await import('@cm/checkpoints');
  const { dtype, shape, data } = readNpy(bytes);
  const extents = shape.length === 2 ? [1, ...shape] : shape;
  const [first = 0, second = 0, third = 0] = extents;
  const planar = first === 1 || first === 3;
  if (dtype !== 'U8' || extents.length !== 3 || !(planar || third === 1 || third === 3) || data.length === 0) {
    throw new DatasetError(`is an array ${dtype} [${shape}], expected bytes U8 [1 or 3 channels, height, width]`);
  }
  if (!planar) return { height: first, width: second, channels: third, pixels: Uint8Array.from(data) };
  const pixels = new Uint8Array(data.length);
  const plane = second * third;
  for (let channel = 0; channel < first; channel++) {
    for (let i = 0; i < plane; i++) pixels[i * first + channel] = data[channel * plane + i]!;
  }
  return { height: second, width: third, channels: first, pixels };
}

/** What the library complains of while it decodes on: the image would be partly grey. */
let complaints: string[] = [];
let code: Promise<WebAssembly.Module> | undefined;
let ready: Promise<void> | undefined;

async function prepare(): Promise<void> {
  code ??= readFile(createRequire(import.meta.url).resolve('@jsquash/jpeg/codec/dec/mozjpeg_dec.wasm')).then((bytes) =>
    WebAssembly.compile(bytes),
  );
  // The library makes the browser's class, which Node lacks.
  globalThis.ImageData ??= class {
    constructor(
      readonly data: Uint8ClampedArray,
      readonly width: number,
      readonly height: number,
    ) {}
  } as unknown as typeof ImageData;
  const complain = (text: string) => complaints.push(text);
  // It takes both arguments; its types tell of one.
  const start = init as unknown as (module: WebAssembly.Module, options: object) => Promise<void>;
  await start(await code, { printErr: complain, print: complain });
}

/** One file at a time, so that each is told its own complaints. */
let turn: Promise<unknown> = Promise.resolve();

async function fromJpeg(bytes: Uint8Array): Promise<Picture> {
  const { height, width, components } = jpegFrame(bytes);
  requireSize(height, width);
  if (components === 4) return decodeCmykJpeg(bytes);
  const decoded = turn.then(() => fromJpegAlone(bytes));
  turn = decoded.catch(() => {});
  return decoded;
}

async function fromJpegAlone(bytes: Uint8Array): Promise<Picture> {
  ready ??= prepare();
  await ready;
  complaints = [];
  const decoded = await jpeg(Uint8Array.from(bytes).buffer).catch(() => {
    // The library has left its state as it was; the next file gets a new one.
    ready = undefined;
    throw new DatasetError(complaints[0] ?? 'cannot be decoded');
  });
  const [complaint] = complaints;
  if (complaint) throw new DatasetError(complaint);
  return withoutAlpha(decoded.data, decoded.height, decoded.width);
}
