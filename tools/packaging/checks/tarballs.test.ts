import { readFileSync } from 'node:fs';
import { join, posix } from 'node:path';
import { checkPackage, createPackageFromTarballData } from '@arethetypeswrong/core';
import { filterProblems } from '@arethetypeswrong/core/problems';
import { publint } from 'publint';
import { describe, expect, inject, it } from 'vitest';
import { limitOf } from '../src/limits';
import { packages, root } from '../src/packages';
import { contents, tarballOf } from '../src/tarballs';

const table = readFileSync(join(root, 'docs/packages.md'), 'utf8');

describe.each(packages)('@cm/$name, packed', ({ name }) => {
  const tarball = tarballOf(inject('tarballs'), name);
  const { packed, unpacked, files } = contents(tarball);

  it('weighs no more than it may, and what docs/packages.md says', () => {
    expect(packed / 1000).toBeLessThan(limitOf(name));
    const row = table.split('\n').find((line) => line.startsWith(`| \`@cm/${name}\` `));
    const [, , saidPacked, saidUnpacked, limit] = row?.split('|').map((cell) => cell.trim()) ?? [];
    expect(Number(limit)).toBe(limitOf(name));
    // Within a quarter: `pnpm sizes` writes the table anew.
    expect(Math.abs(packed / 1000 / Number(saidPacked) - 1)).toBeLessThan(0.25);
    expect(Math.abs(unpacked / 1000 / Number(saidUnpacked) - 1)).toBeLessThan(0.25);
  });

  it('holds a README, a licence, and the sources of its maps; no tests', () => {
    const paths = [...files.keys()];
    expect(paths).toEqual(expect.arrayContaining(['README.md', 'LICENSE', 'package.json']));
    expect(paths.filter((path) => /(^|\/)(test|bench|fixtures|node_modules)\//.test(path))).toEqual([]);
    for (const path of paths.filter((path) => path.endsWith('.map'))) {
      const { sources } = JSON.parse(files.get(path)!.toString()) as { sources: string[] };
      for (const source of sources) expect(paths).toContain(posix.join(posix.dirname(path), source));
    }
  });

  it('depends on versions, not on the workspace', () => {
    expect(files.get('package.json')!.toString()).not.toMatch(/workspace:|catalog:/);
  });

  it('has no complaint from publint', async () => {
    const data = readFileSync(tarball);
    const { messages } = await publint({
      pack: { tarball: data.buffer.slice(data.byteOffset, data.byteOffset + data.length) },
    });
    expect(messages).toEqual([]);
  });

  it('has types that resolve, in Node and in bundlers', async () => {
    const analysis = await checkPackage(createPackageFromTarballData(new Uint8Array(readFileSync(tarball))));
    if (!analysis.types) throw new Error(`@cm/${name} has no types`);
    expect(filterProblems(analysis, { resolutionKind: 'node16-esm' })).toEqual([]);
    expect(filterProblems(analysis, { resolutionKind: 'bundler' })).toEqual([]);
  });
});
