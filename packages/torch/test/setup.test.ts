import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { installation, isInstalled } from '../src/installation';
import { instructionsIn } from '../src/instructions';
import { diagnose } from '../src/setup/doctor';
import { findLibtorch } from '../src/setup/libtorch';
import { setup } from '../src/setup/setup';

// PyTorch's wheel for x86-64 is the CUDA build, on which setup for the CPU leaves out libraries, not headers.
describe.skipIf(!isInstalled())('the addon (left out where `cm-torch setup` has not been run)', () => {
  it('is compiled against the headers of a build with CUDA, where libtorch is PyTorch’s wheel', () => {
    const { libraries, version } = installation();
    const build = join(libraries, '../version.py');
    if (!existsSync(build)) return expect(version).toMatch(/^1\.13/);
    expect(readFileSync(build, 'utf8')).toMatch(/^cuda: Optional\[str\] = '\d+\.\d+'|^cuda = '\d+\.\d+'/m);
    expect(existsSync(join(libraries, '../include/ATen/cuda/CUDAContext.h'))).toBe(true);
  });
});

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

  it('is asked for again on a processor that lacks what the addon uses, before anything of it runs', () => {
    const addon = join(folder, 'cm_torch.node');
    writeFileSync(addon, '');
    const record = (instructions: string[]) =>
      writeFileSync(join(folder, 'installation.json'), JSON.stringify({ addon, instructions }));
    record(['avx', 'avx1024', 'avx2048fp4']);
    const told = existsSync('/proc/cpuinfo') && /^flags/m.test(readFileSync('/proc/cpuinfo', 'utf8'));
    if (told)
      expect(installation).toThrow(/a processor with avx1024, avx2048fp4, which this one has not\. Run `npx cm/);
    record([]);
    expect(installation()).toMatchObject({ addon });
  });

  it('reads what code may use from the compiler’s macros', () => {
    const macros =
      '#define __AVX2__ 1\n#define __AVX512_BF16__ 1\n#define __FMA__ 1\n#define __FMADD__ 1\n#define AVX 1\n';
    expect(instructionsIn(macros)).toEqual(['avx2', 'avx512bf16', 'fma']);
  });

  it('names an option that leads nowhere', () => {
    expect(() => findLibtorch({ libtorch: folder })).toThrow(
      /--libtorch: .* expected a folder with include\/ and lib\//,
    );
    expect(() => findLibtorch({ python: join(folder, 'python') })).toThrow(/--python: .* has no torch/);
  });

  it('reads the version from the headers of a folder with libtorch, and knows whether it has a CUDA part', async () => {
    const path = join(folder, 'libtorch');
    execFileSync('mkdir', ['-p', join(path, 'include/torch'), join(path, 'lib')]);
    const header = ['MAJOR 2', 'MINOR 12', 'PATCH 1'].map((part) => `#define TORCH_VERSION_${part}`).join('\n');
    writeFileSync(join(path, 'include/torch/version.h'), header);
    writeFileSync(join(path, 'lib/libtorch_cpu.so'), '');
    expect(findLibtorch({ libtorch: path })).toMatchObject({ version: '2.12.1', libraries: join(path, 'lib') });
    await expect(setup({ libtorch: path, cuda: true }, () => {})).rejects.toThrow(
      /libtorch 2\.12\.1 \(.*\) has no libtorch_cuda\.so, expected one for --cuda/,
    );
  });
});
