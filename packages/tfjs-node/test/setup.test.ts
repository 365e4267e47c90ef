import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { isInstalled, useTensorFlow } from '@cm/tfjs-node';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { installation } from '../src/installation';
import { diagnose } from '../src/setup/doctor';
import { unpackWheel } from '../src/setup/download';
import { findTensorFlow, tensorflowIn } from '../src/setup/tensorflow';

describe('setup', () => {
  let folder: string;
  const write = (file: string, content = '') => {
    mkdirSync(dirname(join(folder, file)), { recursive: true });
    writeFileSync(join(folder, file), content);
  };
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'cm-tfjs-node-'));
    vi.stubEnv('CM_TFJS_NODE_HOME', folder);
  });
  afterEach(() => {
    vi.unstubAllEnvs();
    rmSync(folder, { recursive: true });
  });

  it('is asked for where it has not been run', async () => {
    expect(isInstalled()).toBe(false);
    await expect(useTensorFlow()).rejects.toThrow('Run `npx cm-tfjs-node setup` once.');
    const { lines, usable } = diagnose();
    expect(usable).toBe(false);
    expect(lines.join('\n')).toMatch(/Node v.*C\+\+ compiler: .*TensorFlow: .*pip: .*npm: .*TensorFlow is not set up/s);
  });

  it('is asked for again where what it made is gone', () => {
    write('installation.json', JSON.stringify({ binding: join(folder, 'gone.node') }));
    expect(() => installation()).toThrow(/gone\.node, which is not there\. Run `npx cm-tfjs-node setup` again/);
  });

  it('names an option that leads nowhere', () => {
    expect(() => findTensorFlow({ python: join(folder, 'python') })).toThrow(/--python: .* has no tensorflow/);
    expect(() => unpackWheel(join(folder, 'a.whl'), false, () => {})).toThrow(/--wheel: .*a\.whl is not there/);
  });

  it('takes a folder with headers and both libraries for TensorFlow, and nothing less', () => {
    write('tensorflow/include/tensorflow/c/eager/c_api.h');
    write('tensorflow/libtensorflow_framework.so.2');
    const path = join(folder, 'tensorflow');
    expect(tensorflowIn(path, 'here')).toBeUndefined();
    write('tensorflow/libtensorflow_cc.so.2');
    expect(tensorflowIn(path, 'here')).toEqual({ source: 'here', folder: path });
  });

  it('refuses a number of threads that is none', async () => {
    await expect(useTensorFlow({ threads: 0 })).rejects.toThrow('threads is 0, expected a positive integer');
  });
});
