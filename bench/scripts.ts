import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { type Origin, origin } from '../tools/testing/src/origin';
import { plainEnvironment } from './process';

const root = fileURLToPath(new URL('..', import.meta.url));

/** A package's own measurement, which prints Markdown. */
export interface Script {
  readonly name: string;
  readonly what: string;
  /** From the repository's root. */
  readonly script: string;
  /** `PYTHON` stands for an interpreter with PyTorch. */
  readonly args: readonly string[];
  /** Version of Node.js that runs it, from npm. Default: this one. */
  readonly node?: number;
}

const of = (name: string, script: string, what: string, ...args: string[]): Script => ({
  name: `${name}-${script}`,
  what,
  script: `packages/${name}/bench/${script}.bench.ts`,
  args,
});

/** What measures the figures that are a package's own, beside the suites. */
export const scripts: readonly Script[] = [
  of('torch', 'engine', 'single kernels, and a step, beside PyTorch', '--python', 'PYTHON', '--rounds', '3'),
  of('torch', 'memory', 'resident memory over many steps'),
  of('tfjs-node', 'compare', 'single kernels, and a step, of TensorFlow and of libtorch'),
  of('wasm-kernels', 'kernels', 'products and convolutions, by threads and SIMD'),
  ...[22, 24].map((node) => ({
    ...of('wasm-kernels', 'kernels', `the same on Node ${node}`),
    name: `wasm-kernels-kernels-node${node}`,
    node,
  })),
  of('wasm-kernels', 'stock', 'other kernels beside tfjs’s own'),
  of('wasm-kernels', 'fused', 'fused kernels beside compositions of tfjs’s'),
  of('wasm-kernels', 'attention', 'attention beside its composition'),
  of('wasm-kernels', 'optimizer', 'Adam over all parameters'),
  of('stable-target', 'share', 'the stable target’s share of a step'),
  of('stable-target', 'classes', 'references of the row’s class'),
  of('stable-target', 'kernels', 'the fused kernel beside products'),
  of('fid', 'memory', 'memory while statistics are taken'),
  of('datasets', 'loader', 'the loader, from memory and zips'),
  of('edm2-unet', 'recompute', 'memory of EDM2-S with activations kept and computed again'),
  of('edm-unet', 'recompute', 'memory of DDPM++ by images, with activations kept and computed again'),
];

/** What a script printed. */
export interface Printed {
  readonly origin: Origin;
  readonly text: string;
}

/** How a script is run from the repository's root. */
export const commandOf = ({ script, args, node }: Script) =>
  [node ? `npx -y node@${node} --import tsx` : 'npx tsx', script, ...args].join(' ');

/** Runs a script. @throws Error when it fails */
export async function runScript(each: Script, python: () => string): Promise<Printed> {
  const began = origin();
  const args = each.args.map((arg) => (arg === 'PYTHON' ? python() : arg));
  const text = await new Promise<string>((resolve, reject) => {
    const [command, ...before] = each.node ? ['npx', '-y', `node@${each.node}`] : [process.execPath];
    const child = spawn(command!, [...before, '--import', 'tsx', each.script, ...args], {
      cwd: root,
      env: plainEnvironment(),
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let printed = '';
    child.stdout.on('data', (data) => {
      printed += data;
    });
    child.on('error', reject);
    child.on('close', (code) =>
      code === 0 ? resolve(printed.trim()) : reject(new Error(`${each.script} ended with ${code}`)),
    );
  });
  return { origin: began, text };
}
