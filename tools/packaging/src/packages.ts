import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** What this tool reads of a package.json. */
export interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly exports: Readonly<Record<string, { readonly types: string; readonly default: string }>>;
  readonly [field: string]: unknown;
}

/** A package that is published. */
export interface Package {
  /** Without the scope. */
  readonly name: string;
  readonly folder: string;
  readonly manifest: Manifest;
}

/** The repository's root. */
export const root = fileURLToPath(new URL('../../..', import.meta.url));

/** All published packages, by name. */
export const packages: readonly Package[] = readdirSync(join(root, 'packages'))
  .filter((name) => existsSync(join(root, 'packages', name, 'package.json')))
  .map((name) => {
    const folder = join(root, 'packages', name);
    return { name, folder, manifest: JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) };
  });
