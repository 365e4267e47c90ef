import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { packAll } from '../src/tarballs';

declare module 'vitest' {
  export interface ProvidedContext {
    /** The folder of all packed packages. */
    tarballs: string;
  }
}

export default function setup({ provide }: TestProject) {
  const folder = mkdtempSync(join(tmpdir(), 'cm-tarballs-'));
  packAll(folder);
  provide('tarballs', folder);
  return () => rmSync(folder, { recursive: true });
}
