import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { installation, isInstalled } from '../src/installation';
import { diagnose } from '../src/setup/doctor';
import { findLibtorch } from '../src/setup/libtorch';

describe('setup', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'cm-torch-'));
    vi.stubEnv('CM_TORCH_HOME', folder);
  });
  afterEach(() => {
    vi.unstubAllEnvs();
    rmSync(folder, { recursive: true });
  });

  it('is asked for where it has not been run', () => {
    expect(isInstalled()).toBe(false);
    expect(() => installation()).toThrow('Run `npx cm-torch setup` once.');
    const { lines, usable } = diagnose();
    expect(usable).toBe(false);
    expect(lines.join('\n')).toMatch(/Node v.*C\+\+ compiler: .*libtorch: .*libtorch is not set up/s);
  });

  it('is asked for again where what it made is gone', () => {
    writeFileSync(join(folder, 'installation.json'), JSON.stringify({ addon: join(folder, 'gone.node') }));
    expect(() => installation()).toThrow(/gone\.node, which is not there\. Run `npx cm-torch setup` again/);
  });

  it('names an option that leads nowhere', () => {
    expect(() => findLibtorch({ libtorch: folder })).toThrow(
      /--libtorch: .* expected a folder with include\/ and lib\//,
    );
    expect(() => findLibtorch({ python: join(folder, 'python') })).toThrow(/--python: .* has no torch/);
  });

  it('reads the version from the headers of a folder with libtorch', () => {
    const path = join(folder, 'libtorch');
    execFileSync('mkdir', ['-p', join(path, 'include/torch'), join(path, 'lib')]);
    const header = ['MAJOR 2', 'MINOR 12', 'PATCH 1'].map((part) => `#define TORCH_VERSION_${part}`).join('\n');
    writeFileSync(join(path, 'include/torch/version.h'), header);
    writeFileSync(join(path, 'lib/libtorch_cpu.so'), '');
    expect(findLibtorch({ libtorch: path })).toMatchObject({ version: '2.12.1', libraries: join(path, 'lib') });
  });
});
