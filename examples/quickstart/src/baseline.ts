import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { frechetDistance } from '@cm/fid';
import { key, split } from '@cm/random';
import { sampleHeun } from '@cm/samplers';
import * as tf from '@tensorflow/tfjs-core';
import { loadDigits } from './digits';
import { datasetStatistics, evaluateSampler, loadFeatureExtractor } from './evaluation';
import { type JobContext, Stopped } from './jobs';
import { loadDiffusionModel } from './network';
import { resultFile, writeResult } from './results';
import { network, sampling } from './settings';
import type { BaselineResult, SampleResult } from './summary';
import { targetVariance } from './variance';

/** Measures what needs no tuning: the diffusion model's samples, the targets' variance, the real test images. */
export async function measureBaseline({ options, signal, onProgress }: JobContext): Promise<void> {
  const folder = join(options.out, 'baseline');
  if (existsSync(resultFile(options.out, 'baseline'))) return;
  await mkdir(folder, { recursive: true });

  const digits = await loadDigits(options.data, 'train');
  const { extract } = await loadFeatureExtractor();
  const reference = await datasetStatistics(extract, digits);
  const testFrechet = frechetDistance(
    await datasetStatistics(extract, await loadDigits(options.data, 'test')),
    reference,
  );

  onProgress({ activity: 'variance', step: 0, steps: 1 });
  const variance = targetVariance(digits, split(key(options.seed), 'variance'));

  const { model, weights } = await loadDiffusionModel(options.start);
  const diffusion: SampleResult[] = [];
  for (const steps of sampling.diffusionSteps) {
    const file = `diffusion-${steps}.png`;
    const frechet = await evaluateSampler(
      ({ key, seeds }) =>
        sampleHeun(model, {
          shape: [seeds.length, network.resolution, network.resolution, network.channels],
          key,
          seeds,
          steps,
          sigmaMin: sampling.sigmaMin,
          sigmaMax: sampling.sigmaMax,
        }),
      {
        extract,
        reference,
        samples: options.samples,
        seed: options.seed,
        picture: { folder, file },
        onProgress: (drawn) => {
          if (signal.aborted) throw new Stopped();
          onProgress({ activity: `${steps} Heun steps`, step: drawn, steps: options.samples });
        },
      },
    );
    diffusion.push({ steps, evaluations: 2 * steps - 1, frechet, file: `baseline/${file}` });
  }
  tf.dispose(weights);
  await writeResult(options.out, 'baseline', { diffusion, variance, testFrechet } satisfies BaselineResult);
}
