import { expect, it } from 'vitest';
import { hashSources } from '../scripts/sources.mjs';
import { sourcesSha256 } from '../src/kernels.generated';

it('the generated module was built from the present C sources (npm run build:wasm)', () => {
  expect(sourcesSha256).toBe(hashSources());
});
