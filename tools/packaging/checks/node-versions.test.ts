import { copyFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, inject, it } from 'vitest';
import { entryPoints } from '../src/entry-points';
import { packages } from '../src/packages';
import { tarballOf } from '../src/tarballs';
import { strangersFolder } from './stranger';

it('imports and computes alike on Node 20, 22 and 24, installed with npm from the tarballs', () => {
  const { folder, run } = strangersFolder();
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ private: true, type: 'module' }));
  const tarballs = packages.map(({ name }) => tarballOf(inject('tarballs'), name));
  run('npm', 'install', '@tensorflow/tfjs-core@4.22.0', '@tensorflow/tfjs-backend-wasm@4.22.0', ...tarballs);
  copyFileSync(join(import.meta.dirname, 'smoke.mjs'), join(folder, 'smoke.mjs'));

  const expected = entryPoints();
  // The package `node` carries the binaries.
  const found = ['20', '22', '24'].map((version) => {
    const output = run(
      'npx',
      '--yes',
      '--package',
      `node@${version}`,
      '--',
      'node',
      'smoke.mjs',
      ...Object.keys(expected),
    );
    const result = JSON.parse(output.trim().split('\n').at(-1)!);
    expect(result.node.split('.')[0]).toBe(version);
    return result;
  });
  for (const { names, posteriorMean, byFilter, normal } of found) {
    for (const [entryPoint, { values }] of Object.entries(expected))
      expect(names[entryPoint], entryPoint).toEqual(values);
    expect(posteriorMean).toBeCloseTo(Math.tanh(1), 6);
    expect(byFilter).toBe(49);
    expect(normal).toEqual(found[0].normal);
  }
});
