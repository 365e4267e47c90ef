// Compiles native/*.c into one WebAssembly module, with clang and wasm-ld 16 or later (CLANG, WASM_LD name others).
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { nativeFolder, sourceFiles } from './sources.mjs';

const clang = process.env.CLANG ?? 'clang-19';
const linker = process.env.WASM_LD ?? 'wasm-ld-19';

const flags = [
  '--target=wasm32',
  '-std=c11',
  '-O3',
  '-msimd128',
  '-mbulk-memory',
  '-matomics',
  '-ffreestanding',
  '-nostdlib',
  '-fno-math-errno',
  '-ffp-contract=off',
  // The kernels are vectorised by hand; what clang adds on top is size.
  '-fno-vectorize',
  '-fno-slp-vectorize',
  '-fno-unroll-loops',
  '-fvisibility=hidden',
  '-Wall',
  '-Wextra',
  // Bodies of parallel jobs share one signature.
  '-Wno-unused-parameter',
  '-Werror',
];
const linkFlags = [
  '--no-entry',
  '--import-memory',
  // What tfjs's binary allows.
  '--max-memory=4294967296',
  '--export=__stack_pointer',
  '--strip-all',
  '--gc-sections',
  '-O3',
  '-z',
  'stack-size=65536',
];

/** Versions of the compiler and the linker, or undefined where one is missing. */
export function toolchain() {
  try {
    return [clang, linker]
      .map((tool) => execFileSync(tool, ['--version'], { encoding: 'utf8' }).split('\n')[0].trim())
      .join(', ');
  } catch {
    return undefined;
  }
}

/** The module's bytes, of plain SIMD or with relaxed SIMD's fused multiply-add. */
export function compile(simd) {
  const folder = mkdtempSync(join(tmpdir(), 'wasm-kernels-'));
  try {
    const chosen = simd === 'relaxed' ? [...flags, '-mrelaxed-simd'] : flags;
    const objects = sourceFiles()
      .filter((file) => file.endsWith('.c'))
      .map((file) => {
        const object = join(folder, `${file}.o`);
        execFileSync(clang, [...chosen, '-c', join(nativeFolder, file), '-o', object], { stdio: 'inherit' });
        return object;
      });
    const linked = join(folder, 'kernels.wasm');
    execFileSync(linker, [...linkFlags, ...objects, '-o', linked], { stdio: 'inherit' });
    const bytes = readFileSync(linked);
    if (hasDataSegment(bytes)) throw new Error('compile: the module has a data segment, it would overwrite the heap');
    return bytes;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function hasDataSegment(bytes) {
  let at = 8;
  const number = () => {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = bytes[at++];
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  };
  while (at < bytes.length) {
    const id = bytes[at++];
    const size = number();
    if (id === 11) return true;
    at += size;
  }
  return false;
}
