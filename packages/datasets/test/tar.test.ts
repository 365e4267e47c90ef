import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DatasetError } from '../src/index';
import { readTar } from '../src/tar';
import { randomBytes, tar } from './files';

const content = {
  'a/b.png': randomBytes(1, 700),
  'c.png': new Uint8Array(),
  [`${'d'.repeat(150)}.png`]: randomBytes(2, 512),
};
const list = (bytes: Uint8Array) => [
  ...readTar('x.tar', (offset, length) => bytes.subarray(offset, offset + length), 0, bytes.length),
];

describe('a tar archive', () => {
  it.each(['gnu', 'posix'] as const)('is listed, with long names of %s', (kind) => {
    const bytes = tar(content, kind);
    const files = list(bytes).map(({ name, offset, size }) => [name, bytes.slice(offset, offset + size)]);
    expect(Object.fromEntries(files)).toEqual(content);
  });

  it('with any bytes changed is listed within its bounds, or refused', () => {
    const whole = tar(content, 'gnu');
    const edits = fc.array(fc.tuple(fc.nat(whole.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 });
    // Changes that the checksum notices are one thing; a header with a right checksum may say anything.
    const field = fc.tuple(fc.constantFrom(0, 1536, 2048), fc.integer({ min: 100, max: 147 }), fc.nat(255));
    fc.assert(
      fc.property(edits, fc.option(field), fc.option(fc.nat(whole.length)), (changes, forged, cut) => {
        const bytes = whole.slice();
        if (forged) {
          const [header, at, value] = forged;
          bytes[header + at] = value;
          const block = bytes.subarray(header, header + 512);
          const sum = block.reduce((total, byte, i) => total + (i >= 148 && i < 156 ? 32 : byte), 0);
          block.set(Buffer.from(`${sum.toString(8).padStart(6, '0')}\0 `), 148);
        } else for (const [at, value] of changes) bytes[at] = value;
        const part = bytes.subarray(0, cut ?? bytes.length);
        try {
          for (const { offset, size } of list(part)) {
            expect(offset + size).toBeLessThanOrEqual(part.length);
          }
        } catch (error) {
          if (!(error instanceof DatasetError)) throw error;
        }
      }),
      { numRuns: Number(process.env.FUZZ_RUNS ?? 2000) },
    );
  });
});
