// Compiles src/native/philox.c to WebAssembly and writes it, in base64, to src/philox.generated.ts.
// Needs clang and wasm-ld 19 (made with Debian's 19.1.7); CLANG and WASM_LD name others. Only whoever changes the C runs this.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { env } from 'node:process';
import { fileURLToPath } from 'node:url';

const at = (path) => fileURLToPath(new URL(path, import.meta.url));
const clang = env.CLANG ?? 'clang-19';
const linker = env.WASM_LD ?? 'wasm-ld-19';
const source = at('../src/native/philox.c');

const folder = mkdtempSync(join(tmpdir(), 'philox-'));
try {
  const object = join(folder, 'philox.o');
  const module = join(folder, 'philox.wasm');
  const target = ['--target=wasm32', '-msimd128', '-mbulk-memory', '-mno-relaxed-simd'];
  execFileSync(
    clang,
    [
      ...target,
      '-O3',
      '-std=c17',
      '-Wall',
      '-Wextra',
      '-Werror',
      '-ffreestanding',
      '-ffp-contract=off',
      '-c',
      source,
      '-o',
      object,
    ],
    { stdio: 'inherit' },
  );
  execFileSync(linker, ['--no-entry', '--strip-all', '-z', 'stack-size=16384', object, '-o', module], {
    stdio: 'inherit',
  });

  const wasm = readFileSync(module);
  const sha256 = createHash('sha256').update(readFileSync(source)).digest('hex');
  const base64 = wasm.toString('base64').replace(/.{1,120}/g, (line) => `  '${line}' +\n`);
  const version = execFileSync(clang, ['--version'], { encoding: 'utf8' }).split('\n')[0];
  writeFileSync(
    at('../src/philox.generated.ts'),
    `// Made by \`pnpm build:wasm\` from src/native/philox.c with ${version}. Do not edit.

/** SHA-256 of the C source that {@link wasm} was compiled from. */
export const sourceSha256 = '${sha256}';

/** The compiled module (${wasm.length} bytes), in base64. */
export const wasm =
${base64.slice(0, -3)};
`,
  );
  console.log(`src/philox.generated.ts: ${wasm.length} bytes of WebAssembly`);
} finally {
  rmSync(folder, { recursive: true });
}
