import { writeFile } from 'node:fs/promises';
import {
  type ConsistencySchedule,
  edmWeighting,
  exponentialCurriculum,
  fixedGapSchedule,
  geometricCurriculum,
  gridSchedule,
  inverseGap,
  phaseGrid,
  progressiveSchedule,
  smoother,
  snrWeighting,
  squareRootCurriculum,
  truncatedSnrWeighting,
} from '@cm/schedules';
import { posteriorLogWeights, referenceSet } from '@cm/stable-target';
import { useWasm } from '@cm/testing/wasm';
import * as tf from '@tensorflow/tfjs-core';
import * as vega from 'vega';
import { compile, type TopLevelSpec } from 'vega-lite';

// The figures of docs/guides: npx tsx scripts/figures.ts. Everything is computed here, from fixed seeds, in seconds.

/** Standard-normal numbers (Box and Muller over a linear congruential generator): plain, and the same everywhere. */
function normals(seed: number): () => number {
  let state = seed;
  const uniform = () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return (state + 0.5) / 2 ** 32;
  };
  return () => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform());
}

const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
const range = (count: number) => Array.from({ length: count }, (_, i) => i);
/** `count` levels from `from` to `to`, evenly spaced in their logarithms. */
const levels = (from: number, to: number, count: number) =>
  range(count).map((i) => from * (to / from) ** (i / (count - 1)));

const size = {
  width: 600,
  height: 320,
  background: 'white',
  padding: 10,
  config: { axis: { labelFontSize: 12, titleFontSize: 13 } },
} as const;
const line = { type: 'line', strokeWidth: 2 } as const;
const log = (title: string, field = 't') =>
  ({
    field,
    type: 'quantitative',
    scale: { type: 'log', nice: false },
    title,
    axis: { tickCount: 6, format: '~g' },
  }) as const;
const colour = {
  field: 'method',
  type: 'nominal',
  title: null,
  sort: null,
  legend: { labelLimit: 0, labelFontSize: 13, orient: 'bottom', columns: 2 },
} as const;

/** Eight points on a line, whose posterior and probability-flow ODE are known exactly. */
const points = [-1.9, -1.7, -1.2, -0.4, 0.1, 0.5, 1.4, 1.8];
function posteriorMean(x: number, t: number, among: readonly number[] = points): number {
  const logits = among.map((point) => -((x - point) ** 2) / (2 * t * t));
  const top = Math.max(...logits);
  const weights = logits.map((logit) => Math.exp(logit - top));
  return sum(among.map((point, i) => point * weights[i]!)) / sum(weights);
}

/** x_r from x_t on the true path: many small Euler steps, evenly spaced in t^(1/7). */
function truePath(x: number, t: number, r: number): { t: number; x: number }[] {
  const steps = 400;
  const level = (i: number) => (t ** (1 / 7) + (i / steps) * (r ** (1 / 7) - t ** (1 / 7))) ** 7;
  const path = [{ t, x }];
  for (let i = 0; i < steps; i++) {
    const [a, b] = [level(i), level(i + 1)];
    const last = path[i]!.x;
    path.push({ t: b, x: last + ((b - a) * (last - posteriorMean(last, a))) / a });
  }
  return path;
}

/** One step of the Markov decision process: where each estimate of the reward takes x_t. */
function rewardFigure(): TopLevelSpec {
  const [t, r, x] = [2, 1.4, 0.9];
  const path = truePath(x, t, 0.01).map((at) => ({ ...at, method: 'the true path' }));
  const to = (estimate: number) => estimate + (r / t) * (x - estimate);
  // Given x_t, the one sample is any of the points, as often as the posterior says.
  const weights = points.map((point) => Math.exp(-((x - point) ** 2) / (2 * t * t)));
  const samples = points.flatMap((point, i) => {
    const method = 'one sample (Eq. 11), as opaque as likely';
    const opacity = weights[i]! / Math.max(...weights);
    return [
      { t, x, method, id: point, opacity },
      { t: r, x: to(point), method, id: point, opacity },
    ];
  });
  const half = points.filter((_, i) => i % 2 === 0);
  const lines = [
    { method: 'mean over four points (Eq. 14)', x: to(posteriorMean(x, t, half)) },
    { method: 'mean over all points (Eq. 14)', x: to(posteriorMean(x, t)) },
  ].flatMap(({ method, x: end }) => [
    { t, x, method },
    { t: r, x: end, method },
  ]);
  const encoding = {
    x: {
      field: 't',
      type: 'quantitative' as const,
      title: 'noise level: t = 2, r = 1.4, and on to 0',
      scale: { reverse: true, domain: [0, 2.1] },
    },
    y: { field: 'x', type: 'quantitative' as const, title: 'x', scale: { zero: false } },
    color: colour,
  };
  return {
    ...size,
    layer: [
      {
        data: { values: samples },
        mark: { type: 'line', strokeWidth: 1.5 },
        encoding: {
          ...encoding,
          detail: { field: 'id', type: 'nominal' },
          opacity: { field: 'opacity', type: 'quantitative', legend: null },
        },
      },
      {
        data: { values: path },
        mark: { type: 'line', strokeWidth: 3 },
        encoding: { ...encoding, order: { field: 't', type: 'quantitative', sort: 'descending' } },
      },
      { data: { values: lines }, mark: { type: 'line', strokeWidth: 2, strokeDash: [6, 3] }, encoding },
    ],
  };
}

/** Root mean squared distance of each estimate's x_r from the true path, over many x_t. */
function errorFigure(): TopLevelSpec {
  const normal = normals(7);
  const draws = range(400).map((i) => ({
    x0: points[i % points.length]!,
    noise: normal(),
    other: range(3).map((j) => points[(i * 5 + j * 3 + 1) % points.length]!),
  }));
  const rows = levels(0.05, 20, 17).flatMap((t) => {
    const r = t / 2;
    const errors: Record<string, number[]> = {};
    for (const { x0, noise, other } of draws) {
      const x = x0 + t * noise;
      const truth = truePath(x, t, r).at(-1)!.x;
      const to = (estimate: number) => estimate + (r / t) * (x - estimate);
      // Heun's step along the exact denoiser.
      const first = posteriorMean(x, t);
      const second = posteriorMean(to(first), r);
      const estimates = {
        'one sample (CT, ECT)': to(x0),
        'posterior mean over four': to(posteriorMean(x, t, [x0, ...other])),
        'posterior mean over all (SCT)': to(first),
        'exact model, Heun (CD)': to(first + (t / (2 * r)) * (second - first)),
      };
      for (const [method, end] of Object.entries(estimates)) {
        errors[method] = [...(errors[method] ?? []), (end - truth) ** 2];
      }
    }
    return Object.entries(errors).map(([method, squares]) => ({
      method,
      t,
      error: Math.sqrt(sum(squares) / squares.length) / t,
    }));
  });
  return {
    ...size,
    data: { values: rows.filter(({ error }) => error > 1e-6) },
    mark: { ...line, point: true },
    encoding: {
      x: log('noise level t; r = t/2'),
      y: log('distance of x_r from the true path, over t', 'error'),
      color: colour,
    },
  };
}

const ectSchedule = { q: 2, d: 25_000 };
const ict = exponentialCurriculum({ s0: 10, s1: 1280, iterations: 400_000 });

/** How the relative gap at t = 1 shrinks in each method's training. */
function gapFigure(): TopLevelSpec {
  const methods: [string, ConsistencySchedule, number][] = [
    ['CT', gridSchedule({ levels: squareRootCurriculum({ s0: 2, s1: 150, iterations: 800_000 }) }), 800_000],
    ['iCT', gridSchedule({ levels: ict }), 400_000],
    ['MCM', gridSchedule({ levels: geometricCurriculum({ s0: 64, s1: 1280, iterations: 100_000 }) }), 200_000],
    ['ECT', progressiveSchedule(ectSchedule), 200_000],
    ['SCT', progressiveSchedule(smoother(ectSchedule)), 200_000],
    ['Δt = t/256', fixedGapSchedule(), 200_000],
  ];
  const values = methods.flatMap(([method, schedule, iterations]) =>
    range(401).map((i) => {
      const { t, gap } = schedule(1, Math.min(Math.floor((i / 400) * iterations), iterations - 1));
      return { method, progress: i / 400, gap: gap / t };
    }),
  );
  return {
    ...size,
    data: { values },
    mark: { ...line, interpolate: 'step-after' },
    encoding: {
      x: { field: 'progress', type: 'quantitative', title: 'part of the training', axis: { format: '%' } },
      y: { ...log('(t − r)/t of the interval at t = 1', 'gap'), scale: { type: 'log', domainMin: 0.003 } },
      color: colour,
    },
  };
}

/** r/t over t at some stages of ECT, on iCT's first grid, and in phases. */
function scheduleFigure(): TopLevelSpec {
  const phases = phaseGrid({ phases: 4 });
  const methods: [string, ConsistencySchedule, number][] = [
    ['ECT, first stage', progressiveSchedule(ectSchedule), 0],
    ['ECT, third stage', progressiveSchedule(ectSchedule), 50_000],
    ['ECT, last stage', progressiveSchedule(ectSchedule), 199_999],
    ['iCT, first grid', gridSchedule({ levels: ict }), 0],
    ['SCT in four phases, first stage', progressiveSchedule({ ...smoother(ectSchedule), phases }), 0],
  ];
  const values = methods.flatMap(([method, schedule, iteration]) =>
    levels(0.01, 80, 600).map((t) => {
      const { t: at, r } = schedule(t, iteration);
      return { method, t, ratio: r / at };
    }),
  );
  return {
    ...size,
    data: { values },
    mark: line,
    encoding: {
      x: log('noise level t'),
      y: { field: 'ratio', type: 'quantitative', title: 'r/t' },
      color: colour,
    },
  };
}

/** The weightings over t, at ECT's first stage. */
function weightingFigure(): TopLevelSpec {
  const schedule = progressiveSchedule(ectSchedule);
  const weightings = {
    '1/(t − r)': inverseGap(),
    '1/(t − r + δ), δ = 0.1': inverseGap({ delta: 0.1 }),
    'EDM, σ_d = 0.5': edmWeighting(),
    'SNR + 1': snrWeighting({ offset: 1 }),
    'max(SNR, 1)': truncatedSnrWeighting,
  };
  const values = levels(0.01, 80, 120).flatMap((t) =>
    Object.entries(weightings).map(([method, weighting]) => ({ method, t, weight: weighting(schedule(t, 0)) })),
  );
  return {
    ...size,
    data: { values },
    mark: line,
    encoding: { x: log('noise level t'), y: log('weight', 'weight'), color: colour },
  };
}

/**
 * The largest error of a posterior weight, against float64: of logits that are expanded squares in float32, and of the library's, which are relative
 * to the row's own sample.
 */
async function float32Figure(): Promise<TopLevelSpec> {
  await useWasm();
  const normal = normals(3);
  const [count, dims, batch] = [64, 3072, 8];
  // Images of one scene, a thousandth apart: which made x_t is undecided at small t.
  const scene = Float32Array.from(range(dims), () => 0.5 * normal());
  const images = Float32Array.from(range(count * dims), (at) => scene[at % dims]! + 1e-3 * normal());
  const row = (i: number) => images.subarray(i * dims, (i + 1) * dims);
  const noise = Float32Array.from(range(batch * dims), normal);
  const set = referenceSet({ images, shape: [count, dims] });
  const own = range(batch);
  const x0 = tf.tensor2d(images.slice(0, batch * dims), [batch, dims]);

  const values = levels(0.01, 2, 13).flatMap((t) => {
    const { logWeights } = posteriorLogWeights({
      references: set,
      x0,
      noise: tf.tensor2d(noise, [batch, dims]),
      t: own.map(() => t),
      ownIndex: own,
    });
    const mine = tf.exp(logWeights).dataSync();
    let [naiveError, ownError] = [0, 0];
    for (const i of own) {
      const [clean, e] = [row(i), noise.subarray(i * dims, (i + 1) * dims)];
      const noisy = Float32Array.from(clean, (v, d) => v + t * e[d]!);
      const dot = (a: Float32Array, b: Float32Array) =>
        a.reduce((total, v, d) => Math.fround(total + Math.fround(v * b[d]!)), 0);
      const exact: number[] = [];
      const expanded: number[] = [];
      for (let j = 0; j < count; j++) {
        const other = row(j);
        exact.push(
          -clean.reduce((total, v, d) => total + (v - other[d]!) * (v - other[d]! + 2 * t * e[d]!), 0) / (2 * t * t),
        );
        const square = Math.fround(Math.fround(dot(noisy, noisy) + dot(other, other)) - 2 * dot(noisy, other));
        expanded.push(-square / (2 * t * t));
      }
      const softmax = (logits: number[]) => {
        const top = Math.max(...logits);
        const weights = logits.map((logit) => Math.exp(logit - top));
        return weights.map((weight) => weight / sum(weights));
      };
      const [truth, naive] = [softmax(exact), softmax(expanded)];
      truth.forEach((weight, j) => {
        naiveError = Math.max(naiveError, Math.abs(naive[j]! - weight));
        ownError = Math.max(ownError, Math.abs(mine[i * count + j]! - weight));
      });
    }
    return [
      { t, method: '|x_t|² − 2·x_t·x + |x|² in float32', error: naiveError },
      { t, method: 'relative to the own sample (this library)', error: ownError },
    ];
  });
  return {
    ...size,
    data: { values: values.filter(({ error }) => error > 0) },
    mark: { ...line, point: true },
    encoding: {
      x: log('noise level t'),
      y: log('largest error of a weight', 'error'),
      color: colour,
    },
  };
}

/** The share of training rows above a noise level, of ln t ~ N(mean, std²), and where sampling starts. */
function noiseLevelFigure(): TopLevelSpec {
  const settings = [
    { method: 'CIFAR-10: P_mean −1.1, P_std 2', mean: -1.1, std: 2, sigmaMax: 80 },
    { method: 'ImageNet-64: P_mean −0.8, P_std 1.6', mean: -0.8, std: 1.6, sigmaMax: 80 },
    { method: 'quickstart: P_mean 0, P_std 1.5', mean: 0, std: 1.5, sigmaMax: 10 },
  ];
  const step = 0.005;
  const above = (t: number, { mean, std }: { mean: number; std: number }) => {
    const z = (Math.log(t) - mean) / std;
    return (sum(range(2000).map((i) => Math.exp(-((z + (i + 0.5) * step) ** 2) / 2))) * step) / Math.sqrt(2 * Math.PI);
  };
  const values = settings.flatMap((setting) =>
    levels(0.1, 200, 80).map((t) => ({ t, method: setting.method, share: above(t, setting) })),
  );
  const starts = settings.map((setting) => ({
    t: setting.sigmaMax,
    method: setting.method,
    share: above(setting.sigmaMax, setting),
  }));
  const encoding = {
    x: log('noise level t'),
    y: { ...log('share of rows above t', 'share'), axis: { format: '~%' } },
    color: colour,
  };
  return {
    ...size,
    layer: [
      { data: { values }, mark: line, encoding },
      { data: { values: starts }, mark: { type: 'point', filled: true, size: 90 }, encoding },
    ],
  };
}

const figures: Record<string, TopLevelSpec> = {
  'methods-reward': rewardFigure(),
  'methods-error': errorFigure(),
  'methods-gap': gapFigure(),
  'methods-schedule': scheduleFigure(),
  'methods-weighting': weightingFigure(),
  'noise-levels': noiseLevelFigure(),
  'numerics-float32': await float32Figure(),
};
for (const [name, spec] of Object.entries(figures)) {
  const view = new vega.View(vega.parse(compile(spec).spec), { renderer: 'none' });
  await writeFile(new URL(`../docs/images/${name}.svg`, import.meta.url), `${await view.toSVG()}\n`);
  console.log(`docs/images/${name}.svg`);
}
