import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { home } from '../installation';
import { run } from './run';

/** The packages that are fetched: tfjs-node, and what its messages to TensorBoard and saved models are made with. */
const PACKAGES = { '@tensorflow/tfjs-node': '4.22.0', 'google-protobuf': '3.21.4' } as const;

/** What stands in for tfjs beside tfjs-node: the tfjs-core of whoever calls `useTensorFlow`, so that there is one registry of kernels. */
const core = `module.exports = globalThis[Symbol.for('@cm/tfjs-node:tfjs-core')];\n`;

/**
 * Brings tfjs-node's npm package into the cache folder, as it is and without what it depends on.
 *
 * @returns its folder, with the binding's sources in `binding/` and its JavaScript in `dist/`
 * @throws Error when npm fails
 */
export function fetchTfjsNode(say: (line: string) => void): string {
  const target = join(home(), `tfjs-node-${PACKAGES['@tensorflow/tfjs-node']}`);
  const folder = join(target, 'node_modules/@tensorflow/tfjs-node');
  if (existsSync(folder)) return folder;
  const partial = `${target}.partial-${process.pid}`;
  mkdirSync(partial, { recursive: true });
  try {
    for (const [name, version] of Object.entries(PACKAGES)) {
      say(`Fetching ${name} ${version} with npm.`);
      const archive = run('npm', ['pack', `${name}@${version}`, '--silent'], partial).trim();
      const modules = join(partial, 'node_modules', name);
      mkdirSync(modules, { recursive: true });
      run('tar', ['-xzf', join(partial, archive), '--strip-components=1', '-C', modules]);
      rmSync(join(partial, archive));
    }
    for (const name of ['tfjs', 'tfjs-core']) {
      const modules = join(partial, 'node_modules/@tensorflow', name);
      mkdirSync(modules);
      writeFileSync(join(modules, 'index.js'), core);
    }
    renameSync(partial, target);
  } catch (error) {
    rmSync(partial, { recursive: true, force: true });
    throw new Error(`npm could not fetch tfjs-node: ${(error as Error).message}`);
  }
  return folder;
}
