import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { run } from '@cm/cli';
import { recipes } from '@cm/sct';
import { expect, it } from 'vitest';

const root = fileURLToPath(new URL('../../../', import.meta.url));
const list = (pattern: string) =>
  execFileSync('git', ['ls-files', pattern], { cwd: root, encoding: 'utf8' }).trim().split('\n');
const pages = list('*.md').filter((path) => !path.startsWith('.changeset/') && existsSync(root + path));

/** What pages tell one to type: lines of sh blocks, and code within lines. */
const commands = pages.flatMap((path) => {
  const text = readFileSync(root + path, 'utf8');
  const blocks = [...text.matchAll(/^```sh\n([\s\S]*?)^```/gm)].flatMap(([, block]) =>
    block!.replaceAll(/\\\n\s*/g, '').split('\n'),
  );
  const inline = [...text.replaceAll(/^```[\s\S]*?^```/gm, '').matchAll(/`([^`\n]+)`/g)].map(([, code]) => code!);
  return [...blocks, ...inline].map((line) => ({ path, line: line.replace(/ #.*/, '').trim() }));
});

it('every command of cm that a page shows is there, with its flags', async () => {
  const helps = new Map<string, string>();
  const helpOf = async (name: string) => {
    if (!helps.has(name)) {
      let help = '';
      const out = (text: string) => {
        help += text;
      };
      helps.set(name, (await run([name, '--help'], { out, err: () => {} })) === 0 ? help : '');
    }
    return helps.get(name)!;
  };
  const shown = commands.filter(({ line }) => /^cm [a-z]/.test(line));
  expect(shown.length).toBeGreaterThan(50);
  for (const { path, line } of shown) {
    const help = await helpOf(/^cm (\w+)/.exec(line)![1]!);
    expect(help, `${path}: ${line}`).not.toBe('');
    for (const [flag] of line.matchAll(/(?<= )--[a-z-]+/g)) expect(help, `${path}: ${line}`).toContain(flag);
  }
});

it('every script that a page shows is there', () => {
  const scripts = new Map(
    list('*package.json').map((path) => {
      const manifest = JSON.parse(readFileSync(root + path, 'utf8'));
      return [path === 'package.json' ? '' : manifest.name, Object.keys(manifest.scripts ?? {})] as const;
    }),
  );
  // Commands of pnpm's own and of packages.
  const own = ['changeset', 'cm', 'tsx', 'vitest', 'install'];
  for (const { path, line } of commands) {
    const [, filter = '', script] = /^pnpm (?:--filter (\S+) )?(?:run )?([a-z][\w:-]*)/.exec(line) ?? [];
    if (script && !own.includes(script)) expect(scripts.get(filter), `${path}: ${line}`).toContain(script);
    const [, npm] = /^npm run ([\w:-]+)/.exec(line) ?? [];
    if (npm) expect([...scripts.values()].flat(), `${path}: ${line}`).toContain(npm);
  }
});

it('every recipe that a page names is there', () => {
  const names = Object.keys(recipes);
  for (const { path, line } of commands) {
    for (const [name] of line.matchAll(/(?<![\w/.-])(sct|ect|i?ct|cd|mcm)-(cifar10|imagenet64)[a-z0-9-]*…?/g)) {
      const known = name.endsWith('…')
        ? names.some((known) => known.startsWith(name.slice(0, -1)))
        : names.includes(name);
      expect(known, `${path}: ${line}`).toBe(true);
    }
  }
});
