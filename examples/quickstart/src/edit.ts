import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { toFloat } from '@cm/datasets';
import { edm2Denoiser, normalizeWeights } from '@cm/edm2-unet';
import { key } from '@cm/random';
import { fromStrokes, inpaint, sampleInterpolation, sampleOneStep, superResolve } from '@cm/samplers';
import { loadState } from '@cm/trainer/node';
import * as tf from '@tensorflow/tfjs-core';
import { loadDigits, mnistFolder } from './digits';
import { startEngine } from './engine';
import { writeGrid } from './pictures';
import { network, sampling } from './settings';

// Zero-shot editing with the generator that the quickstart tuned: digits of the test set with their lower half hidden, shrunk to a quarter,
// and painted coarsely, each pair of rows what the model is given and what it makes of that; the last row walks between two samples.

const columns = 16;
const folder = process.argv[2] ?? 'runs/quickstart/sct';
const picture = process.argv[3] ?? fileURLToPath(new URL('../../../docs/images/editing.png', import.meta.url));

await startEngine();
const state = await loadState(join(folder, 'states'));
if (!state) throw new Error(`${folder} holds no tuned generator: npm run quickstart makes one`);
const model = edm2Denoiser(network, normalizeWeights(network, state.averages.ema!).weights);

const { images: pixels, shape } = await loadDigits(mnistFolder(), 'test');
const [, height, width, channels] = shape;
const images = toFloat(pixels.subarray(0, columns * height * width * channels), [columns, height, width, channels]);

const levels = { key: key(0), sigmaMax: sampling.sigmaMax, middle: [5, 2.5, 1.2, 0.8, 0.5, 0.3] };
const mask = tf.tensor4d(
  Array.from({ length: height }, (_, y) => (y < height / 2 ? 0 : 1)),
  [1, height, 1, 1],
);
const masked = tf.add(tf.mul(images, tf.sub(1, mask)), tf.mul(mask, -0.5));
const small = tf.avgPool(images, 4, 4, 'valid');
const enlarged = tf.image.resizeNearestNeighbor(small, [height, width]);
const strokes = tf.where(tf.greater(tf.avgPool(images, 2, 1, 'same'), -0.5), 1, -1) as tf.Tensor4D;

const walk = { shape: [columns, height, width, channels] as [number, number, number, number], ...levels };
const rows = [
  masked,
  inpaint(model, { ...levels, images, mask }),
  enlarged,
  superResolve(model, { ...levels, images: small, factor: 4 }),
  strokes,
  fromStrokes(model, { ...levels, images: strokes, sigmaMax: 1.2, middle: [0.5] }),
  sampleOneStep(model, walk),
  sampleInterpolation(model, { ...walk, middle: [0.8], between: [2, 5] }),
];
await writeGrid(picture, tf.concat(rows) as tf.Tensor4D, { columns, rows: rows.length, scale: 2 });
console.log(picture);
