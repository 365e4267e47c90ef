import { readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { expect, it } from 'vitest';
import { examplesOf } from '../src';

const root = fileURLToPath(new URL('../../../', import.meta.url));
const guides = readdirSync(join(root, 'docs/guides')).filter((name) => name.endsWith('.md'));

it('the code of every guide, and of the README, type-checks as the project does', () => {
  const pages = ['README.md', ...guides.map((name) => join('docs/guides', name))];
  const files = new Map(
    pages.flatMap((page) =>
      examplesOf(new URL(page, `file://${root}`)).map(({ file, code }) => [
        // Beside this test, where imports resolve; a folder a page, for pages may use one name.
        join(root, 'tools/testing/test', `.types-${page.replaceAll(/\W/g, '-')}`, file),
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
  host.fileExists = (path) => files.has(path) || fileExists(path);
  host.readFile = (path) => files.get(path) ?? readFile(path);
  const folders = new Set([...files.keys()].map((path) => dirname(path)));
  host.directoryExists = (path) => folders.has(path) || directoryExists!(path);
  const { tsBuildInfoFile: _, ...rest } = options;
  const program = ts.createProgram([...files.keys()], { ...rest, incremental: false }, host);
  const messages = [...files.keys()].flatMap((path) => {
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
