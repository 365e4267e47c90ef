import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, inject, it } from 'vitest';
import { root } from '../src/packages';
import { tarballOf } from '../src/tarballs';
import { strangersFolder } from './stranger';

const example = join(root, 'examples/custom-trainer');

interface Run {
  readonly losses: number[];
  readonly variances: number[];
  readonly error: number;
}

function read(output: string): Run {
  const numbers = (pattern: RegExp) => [...output.matchAll(pattern)].map(([, number]) => Number(number));
  return {
    losses: numbers(/loss (\S+)/g),
    variances: numbers(/variance of the target (\S+)/g),
    error: numbers(/error on new digits (\S+)/g)[0]!,
  };
}

it('brings the stable target into a trainer that is not ours: npm install of the tarball, and three lines', () => {
  const { folder, run } = strangersFolder();
  const { '@cm/stable-target': _, ...dependencies } = JSON.parse(
    readFileSync(join(example, 'package.json'), 'utf8'),
  ).dependencies;
  const manifest = JSON.parse(readFileSync(join(example, 'package.json'), 'utf8'));
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ ...manifest, dependencies }));
  cpSync(join(example, 'src'), join(folder, 'src'), { recursive: true });
  const main = readFileSync(join(example, 'src/main.ts'), 'utf8');
  writeFileSync(join(folder, 'src/main.ts'), main.replace(/^.*\/\/ \+ stable target\n/gm, ''));

  run('npm', 'install');
  run('npm', 'run', 'typecheck');
  const before = read(run('npm', 'start'));

  run('npm', 'install', tarballOf(inject('tarballs'), 'stable-target'));
  writeFileSync(join(folder, 'src/main.ts'), main);
  run('npm', 'run', 'typecheck');
  const after = read(run('npm', 'start'));

  for (const { losses, variances } of [before, after]) {
    expect(losses).toHaveLength(5);
    expect(variances).toHaveLength(5);
    expect(losses.at(-1)!).toBeLessThan(0.5 * losses[0]!);
  }
  after.variances.forEach((variance, i) => {
    expect(variance).toBeLessThan(0.6 * before.variances[i]!);
  });
  after.losses.forEach((loss, i) => {
    expect(loss).toBeLessThan(before.losses[i]!);
  });
  expect(after.error).toBeLessThan(1.1 * before.error);
});
