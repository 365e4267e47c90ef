import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { zipSync } from 'fflate';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DatasetError } from '../src/index';
import { openZip } from '../src/node';
import { randomBytes } from './files';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'zip-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

/** Every entry of an archive of these bytes. */
function readAll(bytes: Uint8Array): Map<string, Uint8Array> {
  const path = join(folder, 'x.zip');
  writeFileSync(path, bytes);
  const archive = openZip(path);
  try {
    return new Map([...archive.entries.keys()].map((name) => [name, Uint8Array.from(archive.read(name))]));
  } finally {
    archive.close();
  }
}

const zeros = new Uint8Array(5000);
const noise = randomBytes(1, 3000);
const content = { 'a/b.bin': zeros, 'ü.bin': noise, 'empty.bin': new Uint8Array() };
const deflated = zipSync(content, { level: 9 });
const stored = zipSync(content, { level: 0 });

/** A copy with other bytes where `find` is, in the place that is named by its number. */
function edited(bytes: Uint8Array, change: (copy: Buffer) => void): Uint8Array {
  const copy = Buffer.from(bytes);
  change(copy);
  return copy;
}
const central = (bytes: Uint8Array) => Buffer.from(bytes).indexOf('PK\x01\x02');
const end = (bytes: Uint8Array) => Buffer.from(bytes).indexOf('PK\x05\x06');

describe('an archive', () => {
  it.each([
    ['deflated', deflated],
    ['stored', stored],
  ])('is read, %s', (_, bytes) => {
    expect(Object.fromEntries(readAll(bytes))).toEqual(content);
  });

  it('may have a comment, and folders', () => {
    const comment = edited(Buffer.concat([deflated, Buffer.from('hello')]), (b) =>
      b.writeUInt16LE(5, end(deflated) + 20),
    );
    expect(readAll(comment).size).toBe(3);
    expect([...readAll(zipSync({ 'a/': new Uint8Array(), 'a/x': noise })).keys()]).toEqual(['a/x']);
  });

  const named = (name: string) => zipSync({ [name]: noise });
  const twice = edited(zipSync({ 'a.bin': noise, 'b.bin': zeros }), (b) => {
    for (let at = b.indexOf('b.bin'); at >= 0; at = b.indexOf('b.bin', at + 1)) b[at] = 97;
  });
  const size = (value: number) => (b: Buffer) => b.writeUInt32LE(value, central(b) + 24);

  it.each<[string, Uint8Array, RegExp]>([
    ['what is none', noise, /x\.zip: is no zip archive, or is cut short/],
    ['nothing', new Uint8Array(), /no zip archive/],
    ['an archive that is cut', deflated.subarray(0, deflated.length - 30), /no zip archive, or is cut short/],
    ['a way up', named('../x'), /entry "\.\.\/x" has a name that is no plain path/],
    ['a way up within', named('a/../../x'), /no plain path/],
    ['a root', named('/x'), /no plain path/],
    ['a drive', named('C:x'), /no plain path/],
    ['a backslash', named('..\\x'), /no plain path/],
    ['a name with an end', named('a\0b'), /no plain path/],
    ['a name that comes twice', twice, /has two entries "a\.bin"/],
    ['encryption', edited(deflated, (b) => b.writeUInt16LE(1, central(b) + 8)), /is encrypted/],
    ['another method', edited(deflated, (b) => b.writeUInt16LE(12, central(b) + 10)), /method 12, expected 0 .* or 8/],
    ['a size that deflate cannot reach', edited(deflated, size(200_000_000)), /says to have 200000000 bytes made from/],
    ['a size that is too small', edited(deflated, size(4999)), /a\/b\.bin: unpacks to 5000 bytes, expected 4999/],
    ['a size that is much too small', edited(deflated, size(100)), /a\/b\.bin: does not unpack to its 100 bytes/],
    ['a size that is too large', edited(deflated, size(5001)), /unpacks to 5000 bytes, expected 5001/],
    ['two sizes of one', edited(stored, size(100)), /says to have 100 bytes made from 5000/],
    ['a place outside', edited(deflated, (b) => b.writeUInt32LE(2 ** 30, central(b) + 42)), /"a\/b\.bin" lies outside/],
    [
      'entries that overlap',
      edited(stored, (b) => b.writeUInt32LE(0, b.indexOf('PK\x01\x02', central(b) + 1) + 42)),
      /overlap/,
    ],
    ['other content', edited(stored, (b) => b.writeUInt8(1, 100)), /a\/b\.bin: is damaged: its checksum is another/],
    ['a header that differs', edited(stored, (b) => b.writeUInt16LE(8, 8)), /no header at byte 0 that agrees/],
    ['a count that is too large', edited(deflated, (b) => b.writeUInt16LE(60_000, end(b) + 10)), /60000 entries in/],
    ['64-bit numbers that lack', edited(deflated, (b) => b.writeUInt16LE(0xffff, end(b) + 10)), /Zip64|entries in/],
  ])('refuses %s', (_, bytes, message) => {
    expect(() => readAll(bytes)).toThrow(DatasetError);
    expect(() => readAll(bytes)).toThrow(message);
  });

  it.each([
    ['deflated', deflated],
    ['stored', stored],
  ])('is read piece by piece, %s', async (_, bytes) => {
    const path = join(folder, 'x.zip');
    const read = async (name: string) => {
      const archive = openZip(path);
      const pieces: Uint8Array[] = [];
      try {
        for await (const piece of archive.pieces(name)) pieces.push(piece);
      } finally {
        archive.close();
      }
      return Uint8Array.from(Buffer.concat(pieces));
    };
    writeFileSync(path, bytes);
    for (const [name, file] of Object.entries(content)) expect(await read(name)).toEqual(file);
    await expect(read('none')).rejects.toThrow('x.zip/none: is not in the archive');
    const at = Buffer.from(bytes).indexOf('b.bin') + 10;
    for (const change of [size(4999), size(5001), (b: Buffer) => b.writeUInt8(b[at]! ^ 5, at)]) {
      writeFileSync(path, edited(bytes, change));
      await expect(read('a/b.bin')).rejects.toThrow(DatasetError);
    }
  });

  it('may have larger files where that is said', () => {
    const path = join(folder, 'x.zip');
    writeFileSync(path, stored);
    expect(() => openZip(path, { maxEntryBytes: 4999 })).toThrow(
      '"a/b.bin" says to have 5000 bytes, expected at most 4999',
    );
    openZip(path, { maxEntryBytes: 5000 }).close();
  });

  it('that is not there is named', () => {
    expect(() => openZip(join(folder, 'none.zip'))).toThrow(/none\.zip: cannot be read \(ENOENT\)/);
  });

  it('with any bytes changed is read whole, or refused', () => {
    const place = fc.oneof(
      fc.nat(deflated.length - 1),
      fc.nat(250).map((i) => deflated.length - 1 - i),
    );
    const edits = fc.array(fc.tuple(place, fc.nat(255)), { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(edits, fc.option(fc.nat(deflated.length), { freq: 5 }), (changes, cut) => {
        const bytes = deflated.slice();
        for (const [at, value] of changes) bytes[at] = value;
        try {
          // Names may be others; what is read of each has passed its checksum.
          for (const file of readAll(bytes.subarray(0, cut ?? bytes.length)).values()) {
            expect(Object.values(content).some((known) => Buffer.compare(known, file) === 0)).toBe(true);
          }
        } catch (error) {
          if (!(error instanceof DatasetError)) throw error;
        }
      }),
      { numRuns: Number(process.env.FUZZ_RUNS ?? 1500) },
    );
  });
});
