import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { packages } from '../src/packages';
import { withRepository } from '../src/repository';

describe.each(packages)('@cm/$name', ({ name, folder, manifest }) => {
  it('is an ES module with types first at every entry point', () => {
    expect(manifest.name).toBe(`@cm/${name}`);
    expect(manifest.type).toBe('module');
    for (const conditions of Object.values(manifest.exports)) {
      expect(Object.keys(conditions)).toEqual(['types', 'default']);
      for (const file of Object.values(conditions)) expect(existsSync(join(folder, file)), file).toBe(true);
    }
  });

  it('says what it does, for which Node, under which licence, and publishes with provenance', () => {
    expect(manifest.description).toMatch(/^.{20,}[^.]$/);
    expect((manifest.keywords as string[]).length).toBeGreaterThan(1);
    expect(manifest.license).toBe('Apache-2.0');
    expect(manifest.engines).toEqual({ node: '>=20.19' });
    expect(manifest.files).toEqual(expect.arrayContaining(['dist', 'src']));
    expect(manifest.publishConfig).toEqual({ access: 'public', provenance: true });
    // Side effects: none, or the files whose purpose they are.
    for (const file of manifest.sideEffects === false ? [] : (manifest.sideEffects as string[])) {
      expect(existsSync(join(folder, file)), file).toBe(true);
    }
  });

  it('runs no script when it is installed', () => {
    const scripts = Object.keys((manifest.scripts ?? {}) as object);
    expect(scripts.filter((script) => /^(pre|post)?(install|prepare|pack|publish)/.test(script))).toEqual([]);
  });

  it('learns its repository when it is released', () => {
    expect(withRepository(manifest, name, 'https://example.com/somebody/models')).toMatchObject({
      ...manifest,
      repository: { type: 'git', url: 'git+https://example.com/somebody/models.git', directory: `packages/${name}` },
    });
  });
});
