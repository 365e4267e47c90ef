import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

const root = fileURLToPath(new URL('../..', import.meta.url));

// Checks of the built and packed packages: `pnpm build` comes first, which is why they are not among `npm test`.
export default defineConfig({
  root,
  test: {
    include: ['tools/packaging/checks/*.test.ts'],
    globalSetup: ['tools/packaging/checks/pack.ts'],
    testTimeout: 300_000,
    hookTimeout: 120_000,
    reporters: process.env.CI
      ? ['default', ['json', { outputFile: 'node_modules/.cache/packages.json' }]]
      : ['default'],
  },
});
