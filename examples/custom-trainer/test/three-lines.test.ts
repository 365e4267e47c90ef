import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';

const read = (path: string) => readFileSync(new URL(`../${path}`, import.meta.url), 'utf8').split('\n');

it('takes three lines, which are those of the README', () => {
  const marked = read('src/main.ts').filter((line) => line.endsWith(' // + stable target'));
  const shown = read('README.md').filter((line) => line.startsWith('+'));
  expect(marked).toHaveLength(3);
  expect(shown).toEqual(marked.map((line) => `+${line.replace(' // + stable target', '')}`));
});

it('names nothing else of this repository', () => {
  const imports = ['main', 'unet', 'digits']
    .flatMap((file) => read(`src/${file}.ts`))
    .filter((line) => /@cm\//.test(line));
  expect(imports).toHaveLength(1);
});
