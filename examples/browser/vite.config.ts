import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vite';

// With these a page may share memory with workers, and WebAssembly uses all cores; without them it uses one.
const isolated = {
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
};

export default defineConfig({
  // The page works from any folder of any server.
  base: './',
  resolve: {
    // In this repository packages are their sources; elsewhere npm brings them, and this goes.
    alias: [
      {
        find: /^@cm\/([^/]+)$/,
        replacement: fileURLToPath(new URL('../../packages/$1/src/index.ts', import.meta.url)),
      },
    ],
  },
  server: { headers: isolated },
  preview: { headers: isolated },
  build: { chunkSizeWarningLimit: 2000 },
});
