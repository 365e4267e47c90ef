import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { serve } from '../serve';

let peak = 0;

/** Milliseconds of a process that runs a program: the packages as they are built. */
function program(text: string) {
  return () => {
    const begun = performance.now();
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      ['--input-type=module', '-e', `${text}; console.log(process.resourceUsage().maxRSS / 1024);`],
      { cwd: fileURLToPath(new URL('..', import.meta.url)), encoding: 'utf8' },
    );
    const taken = performance.now() - begun;
    if (status !== 0) throw new Error(`${stderr.trim().split('\n').at(-1)} (pnpm build makes the packages)`);
    peak = Math.max(peak, Number(stdout.trim().split('\n').at(-1)));
    return taken;
  };
}

const sum = 'const a = tf.ones([1000]); console.log(tf.add(a, a).dataSync()[0])';
const starts: Readonly<Record<string, string>> = {
  torch: `import * as tf from '@tensorflow/tfjs-core'; import '@cm/torch'; await tf.setBackend('torch'); ${sum}`,
  wasm: `import * as tf from '@tensorflow/tfjs-core'; import { setWasmBackend } from '@cm/wasm-kernels'; await setWasmBackend(); ${sum}`,
};
await serve({ 'a sum': program(starts[process.argv[2]!]!) }, { peak: () => peak });
