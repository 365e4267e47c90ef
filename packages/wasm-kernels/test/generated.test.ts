import { inflateRawSync } from 'node:zlib';
import { expect, it } from 'vitest';
import { compile, toolchain } from '../scripts/compile.mjs';
import { hashSources } from '../scripts/sources.mjs';
import { toolchain as generatedBy, sourcesSha256, wasm } from '../src/kernels.generated';

it('the generated modules were built from the present C sources (npm run build:wasm)', () => {
  expect(sourcesSha256).toBe(hashSources());
});

// Another compiler gives other bytes; where the one that built them is absent the hash above stands alone.
it.skipIf(toolchain() !== generatedBy).each(['plain', 'relaxed'] as const)(
  'the %s one is what the sources compile to',
  { timeout: 60_000 },
  (simd) => {
    expect(inflateRawSync(Buffer.from(wasm[simd], 'base64')).equals(compile(simd))).toBe(true);
  },
);
