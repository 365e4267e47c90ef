import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import jpeg, { init } from '@jsquash/jpeg/decode.js';
import { convertIndexedToRgb, decode as decodePng } from 'fast-png';

/** An image in colour. */
export interface DecodedImage {
  readonly height: number;
  readonly width: number;
  /** [height, width, 3], row-major. */
  readonly rgb: Uint8Array;
}

/**
 * The pixels of a PNG or JPEG file, as Pillow's `convert('RGB')` gives them: grey is repeated, transparency dropped. JPEG is decoded by
 * mozjpeg's library, with the same bits as Pillow's; decoders written anew differ by several levels, which shows in FID.
 *
 * @throws Error, with `name`, when the file is neither, damaged or cut off, or of 16 bits a channel.
 */
export async function decodeImage(name: string, bytes: Uint8Array): Promise<DecodedImage> {
  try {
    if (bytes[0] === 0xff && bytes[1] === 0xd8) return await fromJpeg(bytes);
    if (bytes[0] === 0x89 && bytes[1] === 0x50) return fromPng(bytes);
    const begin = [...bytes.subarray(0, 4)].map((byte) => byte.toString(16).padStart(2, '0')).join(' ');
    throw new Error(`begins with ${begin || 'nothing'}, expected a PNG or JPEG file`);
  } catch (error) {
    const reason = error instanceof Error ? error.message : 'cannot be decoded';
    throw new Error(`${name}: ${reason}`, { cause: error });
  }
}

function fromPng(bytes: Uint8Array): DecodedImage {
  const png = decodePng(bytes, { checkCrc: true });
  const { height, width, depth } = png;
  if (depth === 16) throw new Error('has 16 bits a channel, expected 8');
  if (!png.palette && depth !== 8) throw new Error(`has ${depth} bits a channel, expected 8`);
  const data = png.palette ? convertIndexedToRgb(png) : png.data;
  return { height, width, rgb: toRgb(data, height * width) };
}

/** Grey, grey and alpha, RGB or RGBA as RGB. */
function toRgb(data: ArrayLike<number>, pixels: number): Uint8Array {
  const channels = data.length / pixels;
  const [green, blue] = channels < 3 ? [0, 0] : [1, 2];
  const rgb = new Uint8Array(3 * pixels);
  for (let i = 0; i < pixels; i++) {
    rgb[3 * i] = data[channels * i]!;
    rgb[3 * i + 1] = data[channels * i + green]!;
    rgb[3 * i + 2] = data[channels * i + blue]!;
  }
  return rgb;
}

/** What the library complains of while it decodes on: the image would be partly grey. */
let complaints: string[] = [];
let ready: Promise<void> | undefined;

async function prepare(): Promise<void> {
  const file = createRequire(import.meta.url).resolve('@jsquash/jpeg/codec/dec/mozjpeg_dec.wasm');
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
  await start(await WebAssembly.compile(await readFile(file)), { printErr: complain, print: complain });
}

async function fromJpeg(bytes: Uint8Array): Promise<DecodedImage> {
  ready ??= prepare();
  await ready;
  complaints = [];
  const { height, width, data } = await jpeg(bytes.slice().buffer as ArrayBuffer);
  const [complaint] = complaints;
  if (complaint) throw new Error(complaint);
  return { height, width, rgb: toRgb(data, height * width) };
}
