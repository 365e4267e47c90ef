import { samplePhased } from '@cm/samplers';
import { inverseGap, phaseGrid, progressiveSchedule, smoother } from '@cm/schedules';
import { stableTargetEstimator } from '@cm/sct';
import { withDenoiser } from '@cm/trainer';
import { sampling, tuning } from '../../quickstart/src/settings';
import { distanceTicks } from './distance-axis';
import { distinct, markdown, spread } from './statistics';
import type { CommonSettings, Study } from './study';
import { distanceOf, sampleShape, tune } from './tune';

interface PhasesSettings extends CommonSettings {
  readonly phases: number;
  readonly steps: number;
  readonly evaluateEvery: number;
  readonly etas: readonly number[];
  readonly seeds: number;
  readonly samples: number;
}

interface Point {
  readonly seed: number;
  readonly step: number;
  readonly eta: number;
  readonly frechet: number;
}

/** Fig. 5: a model trained in phases, sampled deterministically with its inner edges skipped by η, along its training. */
export const phases: Study<PhasesSettings, Point[]> = {
  name: 'phases',
  title: 'Fig. 5: a model trained in four phases, sampled with edge skipping by η from 0.7 to 1, along training',
  settings: {
    full: {
      images: 60_000,
      phases: 4,
      steps: 150,
      evaluateEvery: 50,
      etas: [0.7, 0.8, 0.9, 0.95, 1],
      seeds: 2,
      samples: 500,
    },
    quick: {
      images: 60_000,
      phases: 4,
      steps: 100,
      evaluateEvery: 50,
      etas: [0.7, 0.8, 0.9, 1],
      seeds: 1,
      samples: 500,
    },
  },

  plan: ({ phases: count, steps, evaluateEvery, etas, seeds, samples }) =>
    Array.from({ length: seeds }, (_, seed) => ({
      name: `seed ${seed}`,
      make: async (bench, onProgress) => {
        const grid = phaseGrid({ phases: count, sigmaMax: sampling.sigmaMax, sigmaMin: sampling.sigmaMin });
        const points: Point[] = [];
        await tune(bench, {
          objective: {
            estimator: stableTargetEstimator({ references: 'batch' }),
            schedule: progressiveSchedule({ ...smoother(tuning.schedule), phases: grid }),
            weighting: inverseGap({ delta: tuning.delta }),
          },
          seed,
          steps,
          visitAt: Array.from({ length: Math.floor(steps / evaluateEvery) }, (_, i) => (i + 1) * evaluateEvery),
          visit: (step, ema) =>
            withDenoiser(bench.network, ema, async (model) => {
              for (const eta of etas) {
                const frechet = await distanceOf(
                  bench,
                  ({ key, seeds: rows }) =>
                    samplePhased(model, {
                      key,
                      seeds: rows,
                      shape: sampleShape(bench, rows.length),
                      phases: grid,
                      eta,
                    }),
                  samples,
                );
                points.push({ seed, step, eta, frechet });
              }
            }),
          onProgress,
        });
        return points;
      },
    })),

  table(results) {
    const points = results.flat();
    const steps = distinct(points.map(({ step }) => step));
    return markdown([
      ['η', ...steps.map((step) => `${step} steps`)],
      ...distinct(points.map(({ eta }) => eta)).map((eta) => [
        String(eta),
        ...steps.map((step) =>
          spread(points.filter((point) => point.eta === eta && point.step === step).map(({ frechet }) => frechet)),
        ),
      ]),
    ]);
  },

  plot: (results) => ({
    background: 'white',
    config: {
      axis: { labelFontSize: 12, titleFontSize: 13 },
      legend: { labelFontSize: 13, titleFontSize: 13, labelLimit: 0, orient: 'bottom' },
    },
    width: 480,
    height: 300,
    data: { values: results.flat() },
    layer: [
      {
        mark: { type: 'line', point: true },
        encoding: {
          x: { field: 'eta', type: 'quantitative', title: 'η', scale: { zero: false } },
          y: {
            field: 'frechet',
            aggregate: 'mean',
            type: 'quantitative',
            title: 'Fréchet distance, four steps',
            scale: { type: 'log', nice: false },
            axis: { values: distanceTicks },
          },
          color: { field: 'step', type: 'ordinal', title: 'training steps' },
        },
      },
    ],
  }),
};
