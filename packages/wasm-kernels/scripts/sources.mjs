import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Where the C sources are. */
export const nativeFolder = fileURLToPath(new URL('../native/', import.meta.url));

/** Names of the C sources and headers, sorted. */
export function sourceFiles() {
  return readdirSync(nativeFolder)
    .filter((file) => /\.[ch]$/.test(file))
    .sort();
}

/** SHA-256 over every source's name and contents: what the generated module says it was built from. */
export function hashSources() {
  const hash = createHash('sha256');
  for (const file of sourceFiles())
    hash
      .update(`${file}\0`)
      .update(readFileSync(join(nativeFolder, file)))
      .update('\0');
  return hash.digest('hex');
}
