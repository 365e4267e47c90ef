import { readFileSync } from 'node:fs';
import { type FileTensor, toFloat32 } from '../src';

/** Bytes of a fixture. */
export const fixture = (name: string): Uint8Array =>
  new Uint8Array(readFileSync(new URL(`fixtures/${name}`, import.meta.url)));

/** A tensor's numbers. */
export const numbers = ({ data, dtype }: FileTensor): number[] => Array.from(toFloat32(data, dtype));
