// Prints what each package weighs and writes the table of docs/packages.md: `pnpm sizes`, after `pnpm build`.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { limitOf } from './limits';
import { packages, root } from './packages';
import { contents, packAll, tarballOf } from './tarballs';

const folder = mkdtempSync(join(tmpdir(), 'cm-sizes-'));
try {
  packAll(folder);
  const kB = (bytes: number) => (bytes / 1000).toFixed(0);
  const rows = packages.map(({ name }) => {
    const { packed, unpacked } = contents(tarballOf(folder, name));
    return [`\`@cm/${name}\``, kB(packed), kB(unpacked), String(limitOf(name))];
  });
  const lines = [['package', 'packed, kB', 'unpacked, kB', 'limit of packed, kB'], ...rows];
  const widths = lines[0]!.map((_, column) => Math.max(...lines.map((line) => line[column]!.length)));
  const row = (cells: string[]) => `| ${cells.map((cell, column) => cell.padEnd(widths[column]!)).join(' | ')} |`;
  const rule = `| ${widths.map((width) => '-'.repeat(width)).join(' | ')} |`;
  const table = [row(lines[0]!), rule, ...rows.map(row)].join('\n');
  console.log(table);
  const file = join(root, 'docs/packages.md');
  writeFileSync(
    file,
    readFileSync(file, 'utf8').replace(/\| package +\| packed[\s\S]*?\|\n(?!\|)/, () => `${table}\n`),
  );
} finally {
  rmSync(folder, { recursive: true });
}
