import { valueAndGrads } from '@cm/gradients';
import { key, normal } from '@cm/random';
import { useWasm } from '@cm/testing/wasm';
import * as tf from '@tensorflow/tfjs-core';
import { network as config } from '../../../examples/quickstart/src/settings';
import { adam, cleanGradients, updateEma } from '../../optimizers/src';
import { forceWeightNorm, edm2Denoiser, edm2Flops, edm2ParameterCount, initEdm2, normalizeWeights } from '../src';

await useWasm();
const batch = 64;
const params = initEdm2(config, key(0));
const R = config.resolution;
const x = normal(key(1), [batch, R, R, config.channels]) as tf.Tensor4D;
const t = tf.fill([batch], 1) as tf.Tensor1D;
const labels = config.labelDim ? (tf.zeros([batch], 'int32') as tf.Tensor1D) : undefined;
const marks: Record<string, number> = {};
const mark = <T>(name: string, f: () => T): T => {
  const s = performance.now();
  const r = f();
  marks[name] = (marks[name] ?? 0) + performance.now() - s;
  return r;
};
function step(): void {
  const { weights, pullback } = mark('normalize', () => normalizeWeights(config, params));
  const { value, grads } = mark('valueAndGrads', () =>
    valueAndGrads(
      (w) =>
        mark('forward', () => tf.mean(tf.squaredDifference(edm2Denoiser(config, w)(x, t, labels), x)) as tf.Scalar),
      weights,
    ),
  );
  const pulled = mark('pullback', () => pullback(grads));
  const opt = mark('adam', () => optimizer.update(params, pulled, state, { learningRate: 1e-3 }));
  const em = mark('ema', () => updateEma(params, opt.params, 0.9));
  const fw = mark('force', () => forceWeightNorm(config, params));
  tf.dispose([opt.params, opt.state.m, opt.state.v, em, fw]);
  mark('sync', () => value.dataSync());
  mark('dispose', () => tf.dispose([weights, value, grads, pulled]));
}
const optimizer = adam();
const state = optimizer.init(params);
step();
step();
for (const k in marks) delete marks[k];
const N = 5;
let s0 = performance.now();
for (let i = 0; i < N; i++) step();
console.log(
  'ms a step',
  (performance.now() - s0) / N,
  edm2ParameterCount(config),
  (3 * batch * edm2Flops(config)) / 1e9,
  'GFLOP',
  tf.memory().numTensors,
  (tf.backend() as unknown as { wasm: { HEAPU8: Uint8Array } }).wasm.HEAPU8.length / 2 ** 20,
);
console.table(Object.fromEntries(Object.entries(marks).map(([k, v]) => [k, +(v / N).toFixed(1)])));
const engine = tf.engine();
const run = engine.runKernel.bind(engine);
let peak = 0;
const spent = new Map<string, { ms: number; calls: number }>();
engine.runKernel = ((name: string, ...rest: [tf.NamedTensorMap, tf.NamedAttrMap]) => {
  const start = performance.now();
  const result = run(name, ...rest);
  peak = Math.max(peak, tf.memory().numBytes);
  const entry = spent.get(name) ?? { ms: 0, calls: 0 };
  spent.set(name, { ms: entry.ms + performance.now() - start, calls: entry.calls + 1 });
  return result;
}) as typeof engine.runKernel;
s0 = performance.now();
for (let i = 0; i < N; i++) step();
const total = (performance.now() - s0) / N;
let sum = 0;
for (const v of spent.values()) sum += v.ms;
console.log('peak MB', peak / 2**20, 'total', total, 'kernels', sum / N);
console.table(
  Object.fromEntries(
    [...spent]
      .sort((a, b) => b[1].ms - a[1].ms)
      .slice(0, 30)
      .map(([n, e]) => [n, { ms: +(e.ms / N).toFixed(1), calls: e.calls / N }]),
  ),
);
