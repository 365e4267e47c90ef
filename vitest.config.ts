import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

const at = (path: string) => fileURLToPath(new URL(path, import.meta.url));

// Tests run on the sources, so that no build is needed to run them.
export default defineConfig({
  resolve: {
    alias: [
      { find: /^@cm\/testing$/, replacement: at('./tools/testing/src/index.ts') },
      { find: /^@cm\/torch\/(\w+)$/, replacement: at('./packages/torch/src/$1.ts') },
      { find: /^@cm\/([^/]+)\/node$/, replacement: at('./packages/$1/src/node.ts') },
      { find: /^@cm\/([^/]+)$/, replacement: at('./packages/$1/src/index.ts') },
    ],
  },
  test: {
    include: ['{packages,examples,tools}/*/test/**/*.test.ts', 'bench/test/*.test.ts'],
    globalSetup: at('./tools/testing/src/left-out.ts'),
    testTimeout: 60_000,
    hookTimeout: 60_000,
    reporters: process.env.CI ? ['default', ['json', { outputFile: 'node_modules/.cache/tests.json' }]] : ['default'],
  },
});
