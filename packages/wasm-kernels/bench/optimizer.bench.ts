// A step of Adam with one average over the parameters of a small EDM2 network, with the fused kernel and of tfjs's operations, in turns: milliseconds, the
// median of each. From the root: npx tsx packages/wasm-kernels/bench/optimizer.bench.ts (`THREADS=2`)
import { edm2Config, initEdm2 } from '@cm/edm2-unet';
import { adam } from '@cm/optimizers';
import { key } from '@cm/random';
import { setWasmBackend } from '@cm/wasm-kernels';
import * as tf from '@tensorflow/tfjs-core';
import { tableOf } from '../../../tools/testing/src/markdown';

const ROUNDS = 15;
const { simd, threads } = await setWasmBackend({ threads: Number(process.env.THREADS ?? 1) });
const NAMES = ['AdamUpdateAll', 'LinearCombination'];
const kernels = NAMES.map((name) => tf.getKernel(name, 'wasm')).filter((kernel) => kernel);

const table: Record<string, Record<string, number>> = {};
for (const modelChannels of [32, 64]) {
  const params = initEdm2(
    edm2Config({
      resolution: 16,
      channels: 1,
      modelChannels,
      channelMult: [1, 2],
      numBlocks: 2,
      attnResolutions: [],
      channelsPerHead: 32,
    }),
    key(0),
  );
  const grads = Object.fromEntries(Object.entries(params).map(([name, p]) => [name, tf.mul(p, 0.01)]));
  const optimizer = adam();
  const state = optimizer.init(params);
  const step = () => {
    const averages = [{ ema: params, beta: 0.999 }];
    const updated = optimizer.update(params, grads, state, { learningRate: 1e-3, averages });
    tf.dispose([updated.params, updated.state.m, updated.state.v, ...updated.averages]);
  };
  const composed = () => {
    for (const { kernelName } of kernels) tf.unregisterKernel(kernelName, 'wasm');
    try {
      step();
    } finally {
      for (const kernel of kernels) tf.registerKernel(kernel);
    }
  };
  const times: [() => void, number[]][] = [
    [step, []],
    [composed, []],
  ];
  for (let round = 0; round < ROUNDS + 2; round++) {
    for (const [run, list] of times) {
      const start = performance.now();
      run();
      if (round >= 2) list.push(performance.now() - start);
    }
  }
  const [kernel, composition] = times.map(([, list]) => Number(list.sort((a, b) => a - b)[ROUNDS >> 1]!.toFixed(2)));
  const count = Object.keys(params).length;
  const size = Object.values(params).reduce((sum, p) => sum + p.size, 0);
  table[`${count} tensors of ${(size / 1e6).toFixed(2)} M values`] = { kernel: kernel!, composition: composition! };
}
console.log(tableOf(`${simd} SIMD, threads: ${threads}; ms`, table));
