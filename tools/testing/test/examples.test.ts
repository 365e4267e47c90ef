import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { inspect } from 'node:util';
import ts from 'typescript';
import { beforeAll, describe, expect, it } from 'vitest';
import { docstringExamplesOf, examplesOf, runExamples, useWasm } from '../src';

const root = fileURLToPath(new URL('../../../', import.meta.url));
const urlOf = (path: string) => new URL(path, `file://${root}`);
const files = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard'], {
  cwd: root,
  encoding: 'utf8',
})
  .trim()
  .split('\n');

const pages = files
  .filter((path) => path.endsWith('.md') && !path.startsWith('.changeset/'))
  .map((path) => ({ path, examples: examplesOf(urlOf(path)) }))
  .filter(({ examples }) => examples.length > 0);
const docstrings = files
  .filter((path) => /^packages\/[^/]+\/src\/.*\.ts$/.test(path))
  .map((path) => ({ path, examples: docstringExamplesOf(urlOf(path)) }))
  .filter(({ examples }) => examples.length > 0);

// Where the examples of a page run: the test says what they print, on every backend, with small files in place of published ones.
const runOf = (page: string): { test: string; call: string } => {
  const guide = /^docs\/guides\/(.*)\.md$/.exec(page)?.[1];
  if (guide) return { test: 'tools/testing/test/guides.test.ts', call: `runGuide('${guide}')` };
  if (page === 'README.md')
    return { test: 'tools/testing/test/guides.test.ts', call: "runReadmeExamples(new URL('README.md', root)" };
  const test = page === 'packages/cli/README.md' ? 'test/cli.test.ts' : 'test/readme.test.ts';
  return { test: join(dirname(page), test), call: "runReadmeExamples(new URL('../README.md', import.meta.url))" };
};

// What type-checks only, and why.
const notRun: Readonly<Record<string, string>> = {
  'examples/browser/README.md': 'needs IndexedDB: the same calls are in test/tf-io-page.ts, which Chromium runs',
  'packages/tfjs-node/src/use-tensorflow.ts': 'TensorFlow is not set up everywhere: the README runs where it is',
  'packages/torch/src/configure.ts': 'libtorch is not set up everywhere: the README runs where it is',
};

it('the code of every page and docstring type-checks as the project does', () => {
  const sources = new Map(
    [...pages, ...docstrings].flatMap(({ path, examples }) =>
      examples.map(({ file, code }) => [
        // Beside this test, where imports resolve; a folder a page, for pages may use one name.
        join(root, 'tools/testing/test', `.types-${path.replaceAll(/\W/g, '-')}`, file),
        `${code}\nexport {};\n`,
      ]),
    ),
  );
  const { options } = ts.parseJsonConfigFileContent(
    ts.readConfigFile(join(root, 'tsconfig.json'), ts.sys.readFile).config,
    ts.sys,
    root,
  );
  const host = ts.createCompilerHost({ ...options, incremental: false });
  const { fileExists, readFile, directoryExists } = host;
  host.fileExists = (path) => sources.has(path) || fileExists(path);
  host.readFile = (path) => sources.get(path) ?? readFile(path);
  const folders = new Set([...sources.keys()].map((path) => dirname(path)));
  host.directoryExists = (path) => folders.has(path) || directoryExists!(path);
  const { tsBuildInfoFile: _, ...rest } = options;
  const program = ts.createProgram([...sources.keys()], { ...rest, incremental: false }, host);
  const messages = [...sources.keys()].flatMap((path) => {
    const source = program.getSourceFile(path)!;
    return [...program.getSyntacticDiagnostics(source), ...program.getSemanticDiagnostics(source)].map(
      ({ messageText, start }) => {
        const line = source.getLineAndCharacterOfPosition(start ?? 0).line + 1;
        return `${path.slice(root.length)}:${line} ${ts.flattenDiagnosticMessageText(messageText, '\n')}`;
      },
    );
  });
  expect(messages).toEqual([]);
});

it('no code is in a block that tests do not see', () => {
  const sourcesAndPages = files.filter((path) => /^packages\/[^/]+\/src\/.*\.ts$|\.md$/.test(path));
  const others = sourcesAndPages.filter((path) =>
    /^[ *]*```(js|mjs|javascript|typescript|jsx|tsx)$/m.test(readFileSync(urlOf(path), 'utf8')),
  );
  expect(others).toEqual([]);
});

it.each(pages.filter(({ path }) => !(path in notRun)))('the examples of $path are run by a test', ({ path }) => {
  const { test, call } = runOf(path);
  expect(readFileSync(urlOf(test), 'utf8')).toContain(call);
});

describe('the docstrings of', () => {
  beforeAll(useWasm);

  it.each(docstrings.filter(({ path }) => !(path in notRun)))('$path print what they say', async ({ examples }) => {
    for (const example of examples) {
      const printed = await runExamples([example], new URL('.', import.meta.url));
      const said = [...example.code.matchAll(/console\.log\([\s\S]*?\);(?: \/\/ (.*))?$/gm)].map(([, what]) => what);
      expect(printed.length, `lines of\n${example.code}`).toBe(said.length);
      printed.forEach((values, i) => {
        expectPrinted(values, said[i], example.code);
      });
    }
  });

  it('every package have an example at least', () => {
    const without = files
      .filter((path) => /^packages\/[^/]+\/package\.json$/.test(path))
      .map((path) => dirname(path))
      .filter((folder) => !docstrings.some(({ path }) => path.startsWith(`${folder}/`)));
    expect(without).toEqual([]);
  });
});

/** As `console.log` writes it, apart from spaces and typed arrays' names; numbers to the digits that are said. */
function expectPrinted(values: readonly unknown[], said: string | undefined, code: string): void {
  const number = /(?<![\w.])-?\d+(\.\d+)?(e[-+]?\d+)?(?![\w.])/g;
  const spaceless = (text: string) => text.replaceAll(/\s/g, '');
  const text = values
    .map((value) =>
      typeof value === 'string' ? value : inspect(value, { depth: 4, breakLength: Infinity, maxArrayLength: 20 }),
    )
    .join(' ')
    .replaceAll(/\w+Array\(\d+\) /g, '');
  expect(spaceless(text.replaceAll(number, '#')), code).toBe(spaceless((said ?? '').replaceAll(number, '#')));
  const numbers = text.match(number) ?? [];
  (said?.match(number) ?? []).forEach((digits, i) => {
    const [mantissa, exponent = '0'] = digits.split('e');
    const unit = 10 ** (Number(exponent) - (mantissa!.split('.')[1]?.length ?? 0));
    const message = `${text} where ${said} is said in\n${code}`;
    expect(Math.abs(Number(numbers[i]) - Number(digits)), message).toBeLessThanOrEqual(0.5 * unit * (1 + 1e-9));
  });
}
