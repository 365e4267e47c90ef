import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

/** A ```ts block of a page. */
export interface Example {
  /** The name that its first line gives it, `// engine.ts`, by which later ones import it. */
  readonly file: string;
  readonly code: string;
}

/** The ```ts blocks of a README or guide, in order. */
export function examplesOf(page: URL): Example[] {
  const blocks = [...readFileSync(page, 'utf8').matchAll(/```ts\n([\s\S]*?)```/g)].map(([, code]) => code!);
  return blocks.map((code, i) => ({ file: /^\/\/ (\S+\.ts)\n/.exec(code)?.[1] ?? `example-${i}.ts`, code }));
}

/**
 * Runs the ```ts blocks of a README one after another; returns the arguments of each `console.log`.
 *
 * @param beside Folder of tests, where the imports resolve. Default: the package's own.
 */
export async function runReadmeExamples(readme: URL, beside = new URL('test/', readme)): Promise<unknown[][]> {
  const examples = examplesOf(readme);
  if (examples.length === 0) throw new Error(`${basename(readme.pathname)} has no \`\`\`ts block`);
  const folder = mkdtempSync(join(fileURLToPath(beside), '.readme-'));
  const printed: unknown[][] = [];
  const log = console.log;
  console.log = (...values: unknown[]) => printed.push(values);
  try {
    for (const { file, code } of examples) {
      const path = join(folder, file);
      writeFileSync(path, code);
      await import(/* @vite-ignore */ pathToFileURL(path).href);
    }
  } finally {
    console.log = log;
    rmSync(folder, { recursive: true });
  }
  return printed;
}
