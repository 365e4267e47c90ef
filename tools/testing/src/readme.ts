import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

/** A ```ts block of a page or a docstring. */
export interface Example {
  /** The name that its first line gives it, `// engine.ts`, by which later ones import it. */
  readonly file: string;
  readonly code: string;
}

const blocksIn = (text: string): Example[] =>
  [...text.matchAll(/^```ts\n([\s\S]*?)^```/gm)].map(([, code], i) => ({
    file: /^\/\/ (\S+\.ts)\n/.exec(code!)?.[1] ?? `example-${i}.ts`,
    code: code!,
  }));

/** The ```ts blocks of a README or guide, in order. */
export function examplesOf(page: URL): Example[] {
  return blocksIn(readFileSync(page, 'utf8'));
}

/** The ```ts blocks in the docstrings of a source file, in order. */
export function docstringExamplesOf(source: URL): Example[] {
  const docstrings = readFileSync(source, 'utf8').matchAll(/\/\*\*[\s\S]*?\*\//g);
  const text = [...docstrings].map(([docstring]) => docstring.replaceAll(/^ *\* ?/gm, '')).join('\n');
  return blocksIn(text);
}

/**
 * Runs ```ts blocks one after another; returns the arguments of each `console.log`.
 *
 * @param beside Folder of tests, where the imports resolve
 */
export async function runExamples(examples: readonly Example[], beside: URL): Promise<unknown[][]> {
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

/**
 * Runs the ```ts blocks of a README one after another; returns the arguments of each `console.log`.
 *
 * @param beside Folder of tests, where the imports resolve. Default: the package's own.
 */
export async function runReadmeExamples(readme: URL, beside = new URL('test/', readme)): Promise<unknown[][]> {
  const examples = examplesOf(readme);
  if (examples.length === 0) throw new Error(`${basename(readme.pathname)} has no \`\`\`ts block`);
  return runExamples(examples, beside);
}
