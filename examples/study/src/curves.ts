import { withDenoiser } from '@cm/trainer';
import type { TopLevelSpec } from 'vega-lite';
import { distanceTicks } from './distance-axis';
import { distinct, markdown, spread } from './statistics';
import type { CommonSettings, PlannedRun } from './study';
import { type Objective, stepsDistance, tune } from './tune';
import type { Workbench } from './workbench';

/** Settings of an experiment that compares methods by their distances along training. */
export interface CurveSettings extends CommonSettings {
  readonly steps: number;
  readonly evaluateEvery: number;
  readonly seeds: number;
  /** Samples behind each distance. */
  readonly samples: number;
}

/** How a method's distance from the images fell. */
export interface Curve {
  readonly method: string;
  readonly seed: number;
  readonly points: readonly { readonly step: number; readonly frechet: Readonly<Record<1 | 2, number>> }[];
}

/** Makes the objectives to compare, by name. */
export type Methods = Readonly<Record<string, (bench: Workbench) => Objective | Promise<Objective>>>;

/** A run for every method and seed, seeds first, so that what is there at any time compares all methods. */
export function planCurves(settings: CurveSettings, methods: Methods): PlannedRun<Curve>[] {
  const { steps, evaluateEvery, seeds, samples } = settings;
  const visitAt = Array.from({ length: Math.floor(steps / evaluateEvery) }, (_, i) => (i + 1) * evaluateEvery);
  return Array.from({ length: seeds }, (_, seed) => seed).flatMap((seed) =>
    Object.entries(methods).map(([method, objective]) => ({
      name: `${method}, seed ${seed}`,
      make: async (bench, onProgress) => {
        const points: { step: number; frechet: Record<1 | 2, number> }[] = [];
        await tune(bench, {
          objective: await objective(bench),
          seed,
          steps,
          visitAt,
          visit: (step, ema) =>
            withDenoiser(bench.network, ema, async (model) => {
              const distance = (n: 1 | 2) => stepsDistance(bench, model, n, samples);
              points.push({ step, frechet: { 1: await distance(1), 2: await distance(2) } });
            }),
          onProgress,
        });
        return { method, seed, points };
      },
    })),
  );
}

/** One- and two-step distances, mean ± standard deviation over seeds, one row a method. */
export function curveTable(curves: readonly Curve[]): string {
  const steps = distinct(curves.flatMap(({ points }) => points.map(({ step }) => step)));
  return markdown([
    ['one-step / two-step distance', ...steps.map((step) => `${step} steps`)],
    ...distinct(curves.map(({ method }) => method)).map((method) => [
      method,
      ...steps.map((step) => {
        const points = curves
          .filter((curve) => curve.method === method)
          .map((curve) => curve.points.find((point) => point.step === step)!);
        return ([1, 2] as const).map((n) => spread(points.map(({ frechet }) => frechet[n]))).join(' / ');
      }),
    ]),
  ]);
}

/** Distances along training: the mean over seeds, and from the least to the greatest. */
export function curvePlot(curves: readonly Curve[]): TopLevelSpec {
  const x = { field: 'step', type: 'quantitative', title: 'training steps' } as const;
  const color = {
    field: 'method',
    type: 'nominal',
    title: null,
    sort: null,
    legend: { labelLimit: 0, labelFontSize: 13, symbolOpacity: 1, orient: 'bottom', columns: 2 },
  } as const;
  const y = {
    field: 'distance',
    type: 'quantitative',
    scale: { type: 'log', nice: false },
    title: 'Fréchet distance',
    axis: { values: distanceTicks },
  } as const;
  return {
    background: 'white',
    config: { axis: { labelFontSize: 12, titleFontSize: 13 } },
    data: {
      values: curves.flatMap(({ method, points }) =>
        points.flatMap(({ step, frechet }) =>
          ([1, 2] as const).map((n) => ({
            method,
            step,
            sampling: `${n} step${n > 1 ? 's' : ''}`,
            distance: frechet[n],
          })),
        ),
      ),
    },
    facet: { field: 'sampling', type: 'nominal', title: null },
    columns: 2,
    resolve: { scale: { y: 'independent' } },
    spec: {
      width: 340,
      height: 280,
      layer: [
        {
          mark: { type: 'area', opacity: 0.15 },
          encoding: { x, y: { ...y, aggregate: 'min' }, y2: { field: 'distance', aggregate: 'max' }, color },
        },
        { mark: { type: 'line', point: true }, encoding: { x, y: { ...y, aggregate: 'mean' }, color } },
      ],
    },
  };
}
