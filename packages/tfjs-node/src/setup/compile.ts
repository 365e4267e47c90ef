import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { include_dir as nodeHeaders } from 'node-api-headers';
import { home } from '../installation';
import { LIBRARIES, type TensorFlow } from './tensorflow';

/** The C++ compiler: that of the environment variable CXX, or the first that is there. */
export function findCompiler(): { command: string; version: string } | undefined {
  for (const command of [process.env.CXX, 'g++', 'clang++', 'c++']) {
    if (!command) continue;
    try {
      const version = execFileSync(command, ['--version'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
      return { command, version: version.split('\n')[0]! };
    } catch {}
  }
  return undefined;
}

/**
 * Compiles tfjs-node's binding, unmodified, for a TensorFlow, unless that has been done.
 *
 * @returns the path of the module
 * @throws Error with the compiler's message, or saying that there is no compiler
 */
export function compile(tfjsNode: string, { folder }: TensorFlow, say: (line: string) => void): string {
  const compiler = findCompiler();
  if (!compiler) {
    throw new Error('there is no C++ compiler: install g++ (Debian: apt-get install g++) or set CXX to one with C++17');
  }
  const args = [
    ...['-std=c++17', '-O2', '-fPIC', '-shared', '-s', '-DNAPI_VERSION=8'],
    ...[nodeHeaders, join(folder, 'include')].map((path) => `-I${path}`),
    ...['tfjs_backend.cc', 'tfjs_binding.cc'].map((file) => join(tfjsNode, 'binding', file)),
    ...[`-L${folder}`, `-Wl,-rpath,${folder}`, ...LIBRARIES.map((library) => `-l:${library}`)],
  ];
  const key = createHash('sha256');
  for (const library of LIBRARIES) key.update(String(statSync(join(folder, library)).mtimeMs));
  key.update(JSON.stringify([args, compiler]));
  const binding = join(home(), 'builds', key.digest('hex').slice(0, 16), 'tfjs_binding.node');
  if (existsSync(binding)) {
    say(`Already compiled: ${binding}`);
    return binding;
  }
  say(`Compiling the binding with ${compiler.version}.`);
  mkdirSync(dirname(binding), { recursive: true });
  const partial = `${binding}.partial-${process.pid}`;
  try {
    execFileSync(compiler.command, [...args, '-o', partial], { encoding: 'utf8', stdio: 'pipe' });
    renameSync(partial, binding);
  } catch (error) {
    rmSync(partial, { force: true });
    const { stderr, message } = error as { stderr?: string; message: string };
    throw new Error(`the compiler failed for ${folder}:\n${(stderr || message).slice(0, 4000)}`);
  }
  return binding;
}
