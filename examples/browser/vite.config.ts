import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vite';

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
  build: { chunkSizeWarningLimit: 2000 },
});
