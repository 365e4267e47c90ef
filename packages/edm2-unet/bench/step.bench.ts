import { valueAndGrads } from '@cm/gradients';
import { key, normal } from '@cm/random';
import { useWasm } from '@cm/testing/wasm';
import * as tf from '@tensorflow/tfjs-core';
import { edm2Config, edm2Denoiser, edm2Flops, edm2ParameterCount, initEdm2, normalizeWeights } from '../src';

// One training step's network work on the WebAssembly backend: forward, backward, pull-back; where the time goes by kernel.

await useWasm();

const batch = Number(process.argv[2] ?? 64);
const channels = Number(process.argv[3] ?? 16);
const config = edm2Config({
  resolution: 16,
  channels: 1,
  modelChannels: channels,
  channelMult: [1, 2, 3],
  numBlocks: 1,
  attnResolutions: [],
  channelsPerHead: 3 * channels,
});
const params = initEdm2(config, key(0));
const x = normal(key(1), [batch, 16, 16, 1]) as tf.Tensor4D;
const t = tf.fill([batch], 1) as tf.Tensor1D;

function step(): void {
  const { weights, pullback } = normalizeWeights(config, params);
  const { value, grads } = valueAndGrads(
    (w) => tf.mean(tf.squaredDifference(edm2Denoiser(config, w)(x, t), x)) as tf.Scalar,
    weights,
  );
  const pulled = pullback(grads);
  value.dataSync();
  tf.dispose([weights, value, grads, pulled]);
}

const median = (values: number[]) => values.sort((a, b) => a - b)[Math.floor(values.length / 2)]!;
step();
const times = Array.from({ length: 7 }, () => {
  const start = performance.now();
  step();
  return performance.now() - start;
});
const ms = median(times);
const flops = 3 * batch * edm2Flops(config);
console.log(`${edm2ParameterCount(config)} parameters, batch ${batch}, ${(flops / 1e9).toFixed(1)} GFLOP a step`);
console.log(`${ms.toFixed(0)} ms a step, ${(flops / ms / 1e6).toFixed(1)} GFLOP/s effective`);

const engine = tf.engine();
const run = engine.runKernel.bind(engine);
const spent = new Map<string, { ms: number; calls: number }>();
engine.runKernel = ((name: string, ...rest: [tf.NamedTensorMap, tf.NamedAttrMap]) => {
  const start = performance.now();
  const result = run(name, ...rest);
  const entry = spent.get(name) ?? { ms: 0, calls: 0 };
  spent.set(name, { ms: entry.ms + performance.now() - start, calls: entry.calls + 1 });
  return result;
}) as typeof engine.runKernel;
step();
console.table(
  Object.fromEntries(
    [...spent]
      .sort((a, b) => b[1].ms - a[1].ms)
      .slice(0, 25)
      .map(([name, entry]) => [name, { ms: Number(entry.ms.toFixed(1)), calls: entry.calls }]),
  ),
);
