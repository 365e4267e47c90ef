import { execFileSync } from 'node:child_process';
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { packages, root } from './packages';

/** Packs every package as `pnpm publish` would, into `folder`. */
export function packAll(folder: string): void {
  const { packageManager } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const pack = ['--recursive', '--filter', './packages/*', 'pack', '--pack-destination', folder];
  execFileSync('npx', ['--yes', packageManager, ...pack], { cwd: root, stdio: ['ignore', 'ignore', 'inherit'] });
}

/** Where {@link packAll} put a package. */
export function tarballOf(folder: string, name: string): string {
  const found = packages.find((entry) => entry.name === name);
  if (!found) throw new Error(`tarballOf: name is ${name}, expected one of ${packages.map((entry) => entry.name)}`);
  return join(folder, `cm-${name}-${found.manifest.version}.tgz`);
}

/** Bytes of a tarball, and the files in it with theirs, without tar's leading folder `package/`. */
export function contents(tarball: string): { packed: number; unpacked: number; files: Map<string, Buffer> } {
  const tar = gunzipSync(readFileSync(tarball));
  const text = (at: number, length: number) => tar.toString('utf8', at, at + length).replace(/\0[\s\S]*$/, '');
  const files = new Map<string, Buffer>();
  let unpacked = 0;
  for (let at = 0; at + 512 <= tar.length && tar[at] !== 0; ) {
    const size = Number.parseInt(text(at + 124, 12), 8);
    const path = [text(at + 345, 155), text(at, 100)].filter((part) => part !== '').join('/');
    if (text(at + 156, 1) === '0') {
      files.set(path.replace(/^package\//, ''), tar.subarray(at + 512, at + 512 + size));
      unpacked += size;
    }
    at += 512 + Math.ceil(size / 512) * 512;
  }
  return { packed: statSync(tarball).size, unpacked, files };
}
