import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

/** Runs the ```ts blocks of a README one after another; returns the arguments of each `console.log`. */
export async function runReadmeExamples(readme: URL): Promise<unknown[][]> {
  const blocks = [...readFileSync(readme, 'utf8').matchAll(/```ts\n([\s\S]*?)```/g)].map(([, code]) => code!);
  if (blocks.length === 0) throw new Error(`${basename(readme.pathname)} has no \`\`\`ts block`);
  // Beside the tests, where the package's own imports resolve.
  const folder = mkdtempSync(join(dirname(fileURLToPath(readme)), 'test', '.readme-'));
  const printed: unknown[][] = [];
  const log = console.log;
  console.log = (...values: unknown[]) => printed.push(values);
  try {
    for (const [i, code] of blocks.entries()) {
      const file = join(folder, `example-${i}.ts`);
      writeFileSync(file, code);
      await import(/* @vite-ignore */ pathToFileURL(file).href);
    }
  } finally {
    console.log = log;
    rmSync(folder, { recursive: true });
  }
  return printed;
}
