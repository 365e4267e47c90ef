import { fileURLToPath } from 'node:url';
import { frechetDistance } from '@cm/fid';
import { key } from '@cm/random';
import {
  type Denoiser,
  type SampleOptions,
  sampleAncestralEuler,
  sampleDeis,
  sampleDpm2,
  sampleDpm3,
  sampleDpmFast,
  sampleDpmPlusPlus2M,
  sampleDpmPlusPlus2S,
  sampleDpmPlusPlus3M,
  sampleEuler,
  sampleHeun,
  sampleLms,
  sampleRungeKutta45,
  sampleUniPc,
} from '@cm/samplers';
import * as tf from '@tensorflow/tfjs-core';
import { loadDigits, mnistFolder } from './digits';
import { startEngine } from './engine';
import { datasetStatistics, evaluateSampler, loadFeatureExtractor } from './evaluation';
import { loadDiffusionModel } from './network';
import { writeGrid } from './pictures';
import { assets, network, sampling } from './settings';

// The pretrained diffusion model under each sampler at about twelve evaluations, from the same noise: one row a sampler, the last one
// the converged path. Prints the Fréchet distance of more samples, and how far the pictured ones are from the converged ones.

const columns = 16;
const samples = 300;
const picture = fileURLToPath(new URL('../../../docs/images/samplers.png', import.meta.url));

/** Samplers with their numbers of evaluations; stochastic ones have no path to be near to. */
const samplers: [
  name: string,
  sample: (model: Denoiser, o: SampleOptions) => tf.Tensor4D,
  stochastic?: 'stochastic',
][] = [
  ['Euler, DDIM', (model, o) => sampleEuler(model, { ...o, steps: 12 })],
  ['ancestral Euler', (model, o) => sampleAncestralEuler(model, { ...o, steps: 12 }), 'stochastic'],
  ['Heun', (model, o) => sampleHeun(model, { ...o, steps: 6 })],
  ['DPM-Solver-2', (model, o) => sampleDpm2(model, { ...o, steps: 6 })],
  ['DPM-Solver-3', (model, o) => sampleDpm3(model, { ...o, steps: 4 })],
  ['DPM-Solver-fast', (model, o) => sampleDpmFast(model, { ...o, evaluations: 12 })],
  ['DPM-Solver++(2S)', (model, o) => sampleDpmPlusPlus2S(model, { ...o, steps: 6 })],
  ['DPM-Solver++(2M)', (model, o) => sampleDpmPlusPlus2M(model, { ...o, steps: 12 })],
  ['SDE-DPM-Solver++(2M)', (model, o) => sampleDpmPlusPlus2M(model, { ...o, steps: 12, eta: 1 }), 'stochastic'],
  ['DPM-Solver++(3M)', (model, o) => sampleDpmPlusPlus3M(model, { ...o, steps: 12 })],
  ['DEIS tAB3', (model, o) => sampleDeis(model, { ...o, steps: 12 })],
  ['LMS 4', (model, o) => sampleLms(model, { ...o, steps: 12 })],
  ['UniPC-3, B2', (model, o) => sampleUniPc(model, { ...o, steps: 12 })],
  ['RK45, tolerance 1e-3', (model, o) => sampleRungeKutta45(model, o)],
];

await startEngine();
const { model } = await loadDiffusionModel(assets.diffusion);
const { extract } = await loadFeatureExtractor();
const reference = await datasetStatistics(extract, await loadDigits(mnistFolder(), 'train'));
const test = frechetDistance(await datasetStatistics(extract, await loadDigits(mnistFolder(), 'test')), reference);
console.log(`Fréchet distance of the test images: ${test.toFixed(1)}`);

const options = (count: number) => ({
  shape: [count, network.resolution, network.resolution, network.channels] as [number, number, number, number],
  key: key(0),
  sigmaMin: sampling.sigmaMin,
  sigmaMax: sampling.sigmaMax,
});
const rows = samplers.map(([name, sample, stochastic]) => {
  let evaluations = 0;
  const counting: Denoiser = (x, t) => {
    evaluations++;
    return model(x, t);
  };
  return { name, sample, stochastic, images: sample(counting, options(columns)), evaluations };
});
const converged = rows.at(-1)!.images;
await writeGrid(picture, tf.concat(rows.map(({ images }) => images)), { columns, rows: rows.length, scale: 2 });

for (const { name, sample, stochastic, images, evaluations } of rows) {
  const frechet = await evaluateSampler(({ key, seeds }) => sample(model, { ...options(seeds.length), key, seeds }), {
    extract,
    reference,
    samples,
    seed: 0,
  });
  const distance = Math.sqrt(tf.mean(tf.squaredDifference(images, converged)).dataSync()[0]!);
  console.log(`| ${name} | ${evaluations} | ${frechet.toFixed(1)} | ${stochastic ? '' : distance.toFixed(4)} |`);
}
