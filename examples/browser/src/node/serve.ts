import { fileURLToPath } from 'node:url';
import { build, preview } from 'vite';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** Builds a module of the tests beside a served page, for `import('./name.js')` in the browser. */
export async function addModule(outDir: string, entry: string, name: string): Promise<void> {
  await build({
    root,
    logLevel: 'warn',
    publicDir: false,
    build: { outDir, emptyOutDir: false, lib: { entry, formats: ['es'], fileName: () => name } },
  });
}

/** Builds the page into a folder and serves it on a free port of this machine. */
export async function servePage(outDir: string): Promise<{ url: string; close(): Promise<void> }> {
  await build({ root, logLevel: 'warn', build: { outDir, emptyOutDir: true } });
  const server = await preview({ root, logLevel: 'warn', build: { outDir }, preview: { port: 0, host: 'localhost' } });
  return { url: server.resolvedUrls!.local[0]!, close: () => server.close() };
}
