// Says in every package.json where its source is, which npm's provenance needs. The release workflow gives the address as REPOSITORY: it is not
// written down here, so that a copy of this repository publishes under its own.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Manifest, packages } from './packages';

/** `manifest` with `repository`, `homepage` and `bugs`. */
export function withRepository(manifest: Manifest, name: string, url: string): Manifest {
  const address = url.replace(/\/$/, '');
  return {
    ...manifest,
    repository: { type: 'git', url: `git+${address}.git`, directory: `packages/${name}` },
    homepage: `${address}/tree/main/packages/${name}#readme`,
    bugs: `${address}/issues`,
  };
}

if (process.argv[1] === import.meta.filename) {
  const url = process.env.REPOSITORY;
  if (!url?.startsWith('https://')) throw new Error(`repository: REPOSITORY is ${url}, expected https://…`);
  for (const { name, folder, manifest } of packages) {
    writeFileSync(join(folder, 'package.json'), `${JSON.stringify(withRepository(manifest, name, url), null, 2)}\n`);
  }
}
