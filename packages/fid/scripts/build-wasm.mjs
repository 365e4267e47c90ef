// Compiles native/linear-algebra.c into src/linear-algebra.generated.ts. Needs clang and wasm-ld 16 or later (CLANG, WASM_LD).
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const at = (path) => fileURLToPath(new URL(`../${path}`, import.meta.url));
const source = at('native/linear-algebra.c');
const folder = mkdtempSync(join(tmpdir(), 'fid-wasm-'));
try {
  const flags = ['--target=wasm32', '-std=c11', '-O3', '-msimd128', '-ffreestanding', '-nostdlib', '-fno-math-errno'];
  const more = [
    '-fno-vectorize',
    '-fno-slp-vectorize',
    '-ffp-contract=off',
    '-fno-builtin',
    '-Wall',
    '-Wextra',
    '-Werror',
  ];
  execFileSync(process.env.CLANG ?? 'clang-19', [...flags, ...more, '-c', source, '-o', join(folder, 'x.o')], {
    stdio: 'inherit',
  });
  const link = ['--no-entry', '--import-memory', '--strip-all', '--gc-sections', '-z', 'stack-size=8192'];
  execFileSync(process.env.WASM_LD ?? 'wasm-ld-19', [...link, join(folder, 'x.o'), '-o', join(folder, 'x.wasm')], {
    stdio: 'inherit',
  });
  const code = readFileSync(join(folder, 'x.wasm')).toString('base64');
  const hash = createHash('sha256').update(readFileSync(source)).digest('hex');
  writeFileSync(
    at('src/linear-algebra.generated.ts'),
    `// Made by scripts/build-wasm.mjs.\nexport const sourceHash = '${hash}';\nexport const code =\n  '${code}';\n`,
  );
} finally {
  rmSync(folder, { recursive: true });
}
