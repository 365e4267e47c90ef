import { execFile, execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs';
import { availableParallelism, cpus } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { include_dir as nodeHeaders } from 'node-api-headers';
import { home } from '../installation';
import { instructionsIn } from '../instructions';
import type { Libtorch } from './libtorch';

const run = promisify(execFile);
// From src/setup/compile.ts and from the bundled dist/cli.js alike.
const sources = [new URL('../native/', import.meta.url), new URL('../../native/', import.meta.url)]
  .map((url) => fileURLToPath(url))
  .find((folder) => existsSync(folder))!;

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

function flagsFor({ version, include }: Libtorch): string[] {
  const [major, minor] = version.split('.').map(Number) as [number, number];
  const standard = major > 2 || (major === 2 && minor >= 10) ? 'c++20' : 'c++17';
  // Built where it runs, it may use every instruction of this processor. libtorch brings the OpenMP runtime.
  const code = ['-O3', '-march=native', '-fopenmp', '-fno-math-errno', '-fno-trapping-math'];
  return [
    `-std=${standard}`,
    ...code,
    '-fPIC',
    '-fvisibility=hidden',
    ...[nodeHeaders, ...include].map((f) => `-I${f}`),
    ...(process.env.CXXFLAGS ?? '').split(/\s+/).filter((flag) => flag),
  ];
}

/** The vector instructions that what is compiled here may use. */
export function instructionsUsed(libtorch: Libtorch): string[] {
  const compiler = findCompiler();
  if (!compiler) return [];
  const macros = [...flagsFor(libtorch), '-dM', '-E', '-x', 'c++', '/dev/null'];
  return instructionsIn(execFileSync(compiler.command, macros, { encoding: 'utf8' }));
}

/** A module that is compiled by itself. */
interface Module {
  readonly name: string;
  readonly folder: string;
  readonly flags?: readonly string[];
  /** Whether what is in folders below belongs to it, too. */
  readonly nested?: boolean;
}

const filesIn = (folder: string, nested: boolean): string[] =>
  readdirSync(folder, { recursive: nested, encoding: 'utf8' })
    .filter((name) => statSync(join(folder, name)).isFile())
    .sort();

/**
 * Compiles the addon for a libtorch, unless that has been done: once for each set of sources, libtorch, compiler and processor.
 *
 * @returns the path of the module
 * @throws Error with the compiler's message, or saying that there is no compiler
 */
export const compile = (libtorch: Libtorch, say: (line: string) => void): Promise<string> =>
  build({ name: 'cm_torch', folder: sources }, libtorch, say);

/**
 * Compiles the addon of collective operations, likewise.
 *
 * @returns the path of the module; undefined, having said why, for a libtorch that has no c10d or another one
 */
export async function compileDistributed(libtorch: Libtorch, say: (line: string) => void): Promise<string | undefined> {
  const folder = join(sources, 'distributed');
  try {
    const flags = ['-DUSE_C10D_GLOO', `-I${folder}`];
    return await build({ name: 'cm_distributed', folder, flags, nested: true }, libtorch, say);
  } catch (error) {
    const why = (error as Error).message.split('\n').find((line) => line.includes('error')) ?? (error as Error).message;
    say(`Without training in several processes, whose part does not compile for this libtorch: ${why}`);
    return undefined;
  }
}

async function build(
  { name, folder: from, flags: own = [], nested = false }: Module,
  libtorch: Libtorch,
  say: (line: string) => void,
): Promise<string> {
  const compiler = findCompiler();
  if (!compiler) {
    throw new Error('there is no C++ compiler: install g++ (Debian: apt-get install g++) or set CXX to one with C++20');
  }
  const read = filesIn(from, nested);
  const files = read.filter((file) => file.endsWith('.cc'));
  const flags = [...flagsFor(libtorch), ...own];
  const key = createHash('sha256');
  for (const file of read) key.update(file).update(readFileSync(join(from, file)));
  // Where headers of Node and of this package lie says nothing of what they hold.
  const settings = flags.filter((flag) => flag !== `-I${nodeHeaders}` && flag !== `-I${from}`);
  // Virtual machines give processors of different generations the same name.
  key.update(JSON.stringify([settings, libtorch, compiler, cpus()[0]?.model, instructionsUsed(libtorch)]));
  const folder = join(home(), 'builds', `${libtorch.version}-${key.digest('hex').slice(0, 16)}`);
  const addon = join(folder, `${name}.node`);
  if (existsSync(addon)) {
    say(`Already compiled: ${addon}`);
    return addon;
  }
  say(`Compiling ${files.length} ${files.length === 1 ? 'file' : 'files'} with ${compiler.version}.`);
  const partial = `${folder}.partial-${process.pid}`;
  rmSync(partial, { recursive: true, force: true });
  mkdirSync(partial, { recursive: true });
  try {
    const queue = [...files];
    const worker = async () => {
      for (let file = queue.shift(); file; file = queue.shift()) {
        await run(compiler.command, [...flags, '-c', join(from, file), '-o', join(partial, `${file}.o`)]);
      }
    };
    await Promise.all(Array.from({ length: Math.min(files.length, availableParallelism()) }, worker));
    const objects = files.map((file) => join(partial, `${file}.o`));
    const libraries = [`-L${libtorch.libraries}`, `-Wl,-rpath,${libtorch.libraries}`, '-ltorch_cpu', '-lc10'];
    await run(compiler.command, [
      '-shared',
      '-s',
      ...flags,
      '-o',
      join(partial, `${name}.node`),
      ...objects,
      ...libraries,
    ]);
    for (const object of objects) rmSync(object);
    rmSync(folder, { recursive: true, force: true });
    renameSync(partial, folder);
  } catch (error) {
    rmSync(partial, { recursive: true, force: true });
    const { stderr, message } = error as { stderr?: string; message: string };
    throw new Error(`the compiler failed for libtorch ${libtorch.version}:\n${(stderr || message).slice(0, 4000)}`);
  }
  return addon;
}
