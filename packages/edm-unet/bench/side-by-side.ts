import '@cm/gradients';
import { toTensors } from '@cm/checkpoints';
import { readSafetensorsFile } from '@cm/checkpoints/node';
import {
  edm2ConfigFromArguments,
  edm2Denoiser,
  fromCheckpoint as edm2FromCheckpoint,
  normalizeWeights,
} from '@cm/edm2-unet';
import { configureTorch } from '@cm/torch';
import * as tf from '@tensorflow/tfjs-core';
import { edmConfigFromArguments, edmDenoiser, fromCheckpoint } from '../src';

// Compares a network with what PyTorch recorded of it, on the torch backend. The safetensors file has, laid out as PyTorch has them: `x`,
// `sigma`, `labels` (class indices, where the network has classes), the reference's `denoised`, the gradient `dx` of its product with
// `probe`, and the weights under `net.`; `className` and `config` (JSON) in the metadata.
// From the repository's root: npx tsx packages/edm-unet/bench/side-by-side.ts FILE

await tf.setBackend('torch');
configureTorch({ device: 'cpu', threads: 2 });
const { tensors, metadata } = await readSafetensorsFile(process.argv[2]!);
const init = { className: metadata.className!, kwargs: JSON.parse(metadata.config!) };
const named = Object.entries(tensors);
const loaded = toTensors(
  Object.fromEntries(named.filter(([name]) => name.startsWith('net.')).map(([name, t]) => [name.slice(4), t])),
);
const given = toTensors(Object.fromEntries(named.filter(([name]) => !name.startsWith('net.'))));
const nhwc = (name: string) => tf.transpose(given[name]!, [0, 2, 3, 1]) as tf.Tensor4D;

const denoiser = init.className === 'Precond' ? edm2() : edm();
const t = given.sigma as tf.Tensor1D;
const run = (x: tf.Tensor) => denoiser(x as tf.Tensor4D, t, given.labels ?? null);
const [start, x] = [performance.now(), nhwc('x')];
const denoised = run(x);
denoised.dataSync();
const forward = performance.now() - start;
const dx = tf.grad((x: tf.Tensor) => tf.sum(tf.mul(run(x), nhwc('probe'))))(x);
console.log({
  network: init.className,
  forwardMs: Math.round(forward),
  denoised: difference(denoised, nhwc('denoised')),
  dx: difference(dx, nhwc('dx')),
});

/** max |a − b| / max |b| */
function difference(a: tf.Tensor, b: tf.Tensor): number {
  return tf.div(tf.max(tf.abs(tf.sub(a, b))), tf.max(tf.abs(b))).dataSync()[0]!;
}

function edm() {
  const config = edmConfigFromArguments(init);
  return edmDenoiser(config, fromCheckpoint(config, loaded));
}

function edm2() {
  const config = edm2ConfigFromArguments(init, loaded);
  return edm2Denoiser(config, normalizeWeights(config, edm2FromCheckpoint(loaded)).weights);
}
