import { guided } from '@cm/samplers';
import { inverseGap, progressiveSchedule, smoother } from '@cm/schedules';
import { stableTargetEstimator } from '@cm/sct';
import { withDenoiser } from '@cm/trainer';
import * as tf from '@tensorflow/tfjs-core';
import { tuning } from '../../quickstart/src/settings';
import { distanceTicks } from './distance-axis';
import { distinct, markdown, spread } from './statistics';
import type { CommonSettings, Study } from './study';
import { stepsDistance, tune } from './tune';

interface GuidanceSettings extends CommonSettings {
  readonly steps: number;
  /** At which parts of the training the average is kept that guides. */
  readonly averagesAt: readonly number[];
  readonly strengths: readonly number[];
  readonly seeds: number;
  readonly samples: number;
}

interface Point {
  readonly seed: number;
  readonly averageAt: number;
  readonly strength: number;
  readonly frechet: Readonly<Record<1 | 2, number>>;
}

/** Fig. 6 and Eq. 18: guidance of the final model by its own average at an earlier time. */
export const guidance: Study<GuidanceSettings, Point[]> = {
  name: 'guidance',
  title: 'Fig. 6: guidance by a sub-optimal version of the model itself, its strength and which version',
  settings: {
    full: {
      images: 60_000,
      steps: 200,
      averagesAt: [0.25, 0.5, 0.75],
      strengths: [1, 1.1, 1.2, 1.5, 2],
      seeds: 2,
      samples: 500,
    },
    quick: { images: 60_000, steps: 50, averagesAt: [0.5], strengths: [1, 1.2, 1.5], seeds: 1, samples: 300 },
  },

  plan: ({ steps, averagesAt, strengths, seeds, samples }) =>
    Array.from({ length: seeds }, (_, seed) => ({
      name: `seed ${seed}`,
      make: async (bench, onProgress) => {
        const kept = new Map<number, tf.NamedTensorMap>();
        const points: Point[] = [];
        const stepOf = (part: number) => Math.round(part * steps);
        await tune(bench, {
          objective: {
            estimator: stableTargetEstimator({ references: 'batch' }),
            schedule: progressiveSchedule(smoother(tuning.schedule)),
            weighting: inverseGap({ delta: tuning.delta }),
          },
          seed,
          steps,
          visitAt: [...averagesAt.map(stepOf), steps],
          async visit(step, ema) {
            if (step < steps) {
              kept.set(step, Object.fromEntries(Object.entries(ema).map(([name, tensor]) => [name, tf.clone(tensor)])));
              return;
            }
            await withDenoiser(bench.network, ema, async (good) => {
              for (const averageAt of averagesAt) {
                await withDenoiser(bench.network, kept.get(stepOf(averageAt))!, async (bad) => {
                  for (const strength of strengths) {
                    const model = guided(good, bad, { strength }) as typeof good;
                    const distance = (n: 1 | 2) => stepsDistance(bench, model, n, samples);
                    points.push({ seed, averageAt, strength, frechet: { 1: await distance(1), 2: await distance(2) } });
                  }
                });
              }
            });
          },
          onProgress,
        });
        for (const params of kept.values()) tf.dispose(params);
        return points;
      },
    })),

  table(results) {
    const points = results.flat();
    const strengths = distinct(points.map(({ strength }) => strength));
    return markdown([
      ['one-step / two-step distance', ...strengths.map((strength) => `w = ${strength}`)],
      ...distinct(points.map(({ averageAt }) => averageAt)).map((averageAt) => [
        `guided by the average at ${100 * averageAt} % of the steps`,
        ...strengths.map((strength) => {
          const of = points.filter((point) => point.averageAt === averageAt && point.strength === strength);
          return ([1, 2] as const).map((n) => spread(of.map(({ frechet }) => frechet[n]))).join(' / ');
        }),
      ]),
    ]);
  },

  plot: (results) => ({
    background: 'white',
    config: {
      axis: { labelFontSize: 12, titleFontSize: 13 },
      legend: { labelFontSize: 13, titleFontSize: 13, labelLimit: 0, orient: 'bottom' },
    },
    data: {
      values: results.flat().flatMap(({ averageAt, strength, frechet }) =>
        ([1, 2] as const).map((n) => ({
          average: `average at ${100 * averageAt} % of the steps`,
          strength,
          sampling: `${n} step${n > 1 ? 's' : ''}`,
          distance: frechet[n],
        })),
      ),
    },
    facet: { field: 'sampling', type: 'nominal', title: null },
    columns: 2,
    resolve: { scale: { y: 'independent' } },
    spec: {
      width: 340,
      height: 280,
      mark: { type: 'line', point: true },
      encoding: {
        x: { field: 'strength', type: 'quantitative', title: 'w (1: no guidance)', scale: { zero: false } },
        y: {
          field: 'distance',
          aggregate: 'mean',
          type: 'quantitative',
          title: 'Fréchet distance',
          scale: { type: 'log', nice: false },
          axis: { values: distanceTicks },
        },
        color: { field: 'average', type: 'nominal', title: null, legend: { labelLimit: 400 } },
      },
    },
  }),
};
