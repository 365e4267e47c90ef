import { execFileSync } from 'node:child_process';
import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { hasGpu, type Installation, record } from '../installation';
import { compile } from './compile';
import { downloadTensorFlow, unpackWheel } from './download';
import { type SelfTest, selfTest } from './self-test';
import { findTensorFlow, type TensorFlowPlace } from './tensorflow';
import { fetchTfjsNode } from './tfjs-node';

/** What `cm-tfjs-node setup` is asked for. */
export interface SetupOptions extends TensorFlowPlace {
  /** Whether CUDA is wanted: by default where there is a GPU. */
  readonly gpu?: boolean;
  /** A wheel of TensorFlow to unpack. */
  readonly wheel?: string;
}

/**
 * Finds or fetches TensorFlow, builds tfjs-node's binding for it, tests it in a process of its own, and records it for
 * {@link useTensorFlow} to find.
 *
 * @throws Error saying which of these failed; what was set up before stays in use
 */
export async function setup(options: SetupOptions, say: (line: string) => void): Promise<Installation> {
  if (process.platform !== 'linux') throw new Error(`the platform is ${process.platform}, expected linux`);
  const wantsGpu = options.gpu ?? hasGpu();
  const tensorflow = options.wheel
    ? unpackWheel(options.wheel, wantsGpu, say)
    : (findTensorFlow({ ...options, gpu: wantsGpu }) ?? downloadTensorFlow(wantsGpu, say));
  say(`TensorFlow: ${tensorflow.source}, ${tensorflow.folder}.`);
  const tfjsNode = fetchTfjsNode(say);
  const binding = compile(tfjsNode, tensorflow, say);
  const env = { TF_CPP_MIN_LOG_LEVEL: '2', ...process.env, ...(options.gpu === false && { CUDA_VISIBLE_DEVICES: '' }) };
  const report = execFileSync(process.execPath, ['-e', selfTest, binding], { encoding: 'utf8', env, stdio: 'pipe' });
  const { version, gpu, rate } = JSON.parse(report) as SelfTest;
  say(
    `Tested TensorFlow ${version}: a matrix product is right, at ${rate.toFixed(0)} GFLOP/s on the ${gpu ? 'GPU' : 'CPU'}.`,
  );
  if (wantsGpu && !gpu) say('A GPU was asked for, but TensorFlow found none that it can use: it computes on the CPU.');
  const installation: Installation = { binding, tfjsNode, version, gpu };
  mkdirSync(dirname(record()), { recursive: true });
  writeFileSync(`${record()}.partial`, `${JSON.stringify(installation, undefined, 2)}\n`);
  renameSync(`${record()}.partial`, record());
  say(`Set up: ${record()}`);
  return installation;
}
