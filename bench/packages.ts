import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { type Origin, origin } from '../tools/testing/src/origin';
import { plainEnvironment } from './process';
import { markdownTable } from './results';

const root = fileURLToPath(new URL('..', import.meta.url));

/** A script of a package that measures what a page says. */
export interface Script {
  /** Pages that state its figures, from the repository's root. */
  readonly pages: readonly string[];
  readonly what: string;
  /** From the repository's root; `PYTHON` among the arguments stands for an interpreter with PyTorch. */
  readonly script: string;
  readonly args?: readonly string[];
}

const of = (name: string, what: string, script: string, args: readonly string[] = [], ...more: string[]): Script => ({
  pages: [`packages/${name}/README.md`, ...more],
  what,
  script: `packages/${name}/bench/${script}.ts`,
  args,
});

/** What measures the figures that stand in the packages' own pages and the guides, beside `pnpm bench`'s suites. */
export const scripts: readonly Script[] = [
  of('torch', 'kernels and a step beside PyTorch', 'engine.bench', ['--python', 'PYTHON']),
  of('torch', 'memory over many steps', 'memory.bench'),
  of('tfjs-node', 'kernels and a step beside @cm/torch', 'compare.bench'),
  of('wasm-kernels', 'kernels of arithmetic beside tfjs’s own', 'kernels.bench'),
  of('wasm-kernels', 'other kernels; with the argument stock, tfjs’s own', 'stock.bench'),
  of('wasm-kernels', 'fused kernels beside compositions of tfjs’s', 'fused.bench'),
  of('stable-target', 'share of a step, on one thread', 'share.bench', ['torch'], 'docs/guides/backends.md'),
  of('stable-target', 'references of the row’s class', 'classes.bench'),
  of('fid', 'Inception-v3: errors, and images a second', 'inception.bench', ['2'], 'docs/guides/which-fid.md'),
  of('fid', 'DINOv2', 'dino.bench', [], 'docs/guides/which-fid.md'),
  of('fid', 'the Fréchet distance by the number of features', 'frechet.bench'),
  of('fid', 'memory while statistics are taken', 'memory.bench', [], 'docs/guides/which-fid.md'),
  of('datasets', 'the loader, from memory and zips', 'loader.bench'),
  of('edm2-unet', 'memory with activations kept', 'recompute.bench', ['S', '4', 'keep'], 'docs/guides/backends.md'),
  of('edm2-unet', 'memory with recomputation', 'recompute.bench', ['S', '4', 'recompute'], 'docs/guides/backends.md'),
  {
    ...of('edm-unet', 'memory of an image, with activations kept; recompute: computed again', 'recompute.bench', [
      '2',
      'keep',
    ]),
    pages: ['examples/cifar10/README.md'],
  },
];

/** What the scripts printed. */
export interface Printed {
  readonly origin: Origin;
  /** By command. */
  readonly outputs: Readonly<Record<string, string>>;
}

const commandOf = ({ script, args = [] }: Script) => ['npx tsx', script, ...args].join(' ');

/** Runs all scripts, one after another. What one prints before it fails is kept, with how it ended. */
export async function runScripts(python: string): Promise<Printed> {
  const began = origin();
  const outputs: Record<string, string> = {};
  for (const each of scripts) {
    const command = commandOf(each);
    console.error(`packages: ${command}`);
    const args = (each.args ?? []).map((arg) => (arg === 'PYTHON' ? python : arg));
    outputs[command] = await new Promise<string>((resolve) => {
      const child = spawn(process.execPath, ['--import', 'tsx', each.script, ...args], {
        cwd: root,
        env: plainEnvironment(),
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      let text = '';
      child.stdout.on('data', (data) => {
        text += data;
      });
      child.on('close', (code) => resolve(code === 0 ? text.trim() : `${text.trim()}\nended with ${code}`));
    });
  }
  return { origin: began, outputs };
}

/** Where figures stand, and the command that measures them, as links from a folder's page. */
export function scriptsTable(from: string): string {
  const link = (page: string) => `[${page.replace(/^packages\/(.*)\/README.md$/, '@cm/$1')}](${from}${page})`;
  const rows = scripts.map((each) => [each.pages.map(link).join(', '), each.what, `\`${commandOf(each)}\``]);
  return markdownTable(['page', 'what', 'command'], rows).replace('| --: | --: |', '| --- | --- |');
}

/** Scripts that are not there. */
export const missingScripts = () => scripts.filter(({ script }) => !existsSync(`${root}${script}`));
