import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { serve } from '../serve';

/** Milliseconds of a process that runs a program: the packages as they are built. */
function program(text: string) {
  return () => {
    const begun = performance.now();
    const { status, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', text], {
      cwd: fileURLToPath(new URL('..', import.meta.url)),
      encoding: 'utf8',
    });
    if (status !== 0) throw new Error(`${stderr.trim()} (pnpm build makes the packages)`);
    return performance.now() - begun;
  };
}

const sum = 'const a = tf.ones([1000]); console.log(tf.add(a, a).dataSync()[0]);';
await serve({
  'libtorch, a sum': program(
    `import * as tf from '@tensorflow/tfjs-core'; import '@cm/torch'; await tf.setBackend('torch'); ${sum}`,
  ),
  'WebAssembly, one thread, a sum': program(
    `import * as tf from '@tensorflow/tfjs-core'; import { setWasmBackend } from '@cm/wasm-kernels';
     await setWasmBackend({ threads: 1 }); ${sum}`,
  ),
  'WebAssembly, two threads, a sum': program(
    `import * as tf from '@tensorflow/tfjs-core'; import { setWasmBackend } from '@cm/wasm-kernels';
     await setWasmBackend({ threads: 2 }); ${sum}`,
  ),
});
