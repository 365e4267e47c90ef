import * as vega from 'vega';
import { compile } from 'vega-lite';
import { markdownTable } from '../tools/testing/src/markdown';
import { type Origin, origin } from '../tools/testing/src/origin';
import { start } from './process';
import { shown, summary } from './results';

/** What the cost of a step is measured against; of `references`, that of the stable target alone. */
export type Axis = 'batch' | 'resolution' | 'channels' | 'references';

interface Curve {
  readonly points: readonly number[];
  /** The exponents that the arithmetic gives, where it dominates. */
  readonly expected: Readonly<Record<Quantity, number>>;
}

type Quantity = 'time' | 'memory';

/** Convolutions are linear in batch and pixels, and quadratic in channels; activations are linear in all three. */
const curves: Readonly<Record<Axis, Curve>> = {
  batch: { points: [4, 8, 16, 32], expected: { time: 1, memory: 1 } },
  resolution: { points: [16, 32, 64, 128], expected: { time: 2, memory: 2 } },
  channels: { points: [32, 64, 128, 256], expected: { time: 2, memory: 1 } },
  references: { points: [4000, 8000, 16_000, 32_000], expected: { time: 1, memory: 1 } },
};

interface Point {
  readonly axis: Axis;
  readonly at: number;
  readonly quantity: Quantity;
  readonly value: number;
  readonly minimum: number;
  readonly maximum: number;
}

/** The least-squares slope of log y over log x. */
export function slope(points: readonly { readonly at: number; readonly value: number }[]): number {
  const logs = points.map(({ at, value }) => [Math.log(at), Math.log(value)] as const);
  const mean = (part: 0 | 1) => logs.reduce((sum, log) => sum + log[part], 0) / logs.length;
  const [x, y] = [mean(0), mean(1)];
  const covariance = logs.reduce((sum, log) => sum + (log[0] - x) * (log[1] - y), 0);
  return covariance / logs.reduce((sum, log) => sum + (log[0] - x) ** 2, 0);
}

/** What `pnpm bench` keeps of them. */
export interface Curves {
  readonly origin: Origin;
  readonly rounds: number;
  readonly about: string;
  readonly points: readonly Point[];
}

/** Measures the cost curves on libtorch. */
export async function measureCurves(rounds: number): Promise<Curves> {
  const began = origin();
  const points: Point[] = [];
  let about = '';
  for (const [axis, { points: at }] of Object.entries(curves) as [Axis, Curve][]) {
    for (const value of at) {
      const participant = { script: 'suites/curve.ts', args: [axis, String(value)] };
      const process = await start(participant, { python: '' });
      about = process.about;
      const times: number[] = [];
      for (let round = 0; round < rounds; round++) times.push(await process.measure('time'));
      const { median, minimum, maximum } = summary(times);
      points.push({ axis, at: value, quantity: 'time', value: median, minimum, maximum });
      const memory = Math.round(await process.measure('memory'));
      points.push({ axis, at: value, quantity: 'memory', value: memory, minimum: memory, maximum: memory });
      process.end();
      console.error(`curves: ${axis} ${value}: ${median} ms, ${memory} MiB`);
    }
  }
  return { origin: began, rounds, about, points };
}

/** Exponents, expected and measured, of each quantity against each axis. */
export function curvesTable({ points }: Curves): string {
  const rows = (Object.keys(curves) as Axis[]).flatMap((axis) =>
    (['time', 'memory'] as const).map((quantity) => {
      const own = points.filter((point) => point.axis === axis && point.quantity === quantity);
      const unit = quantity === 'time' ? 'ms' : 'MiB';
      const values = own.map(({ at, value }) => `${shown(at)}: ${shown(value)} ${unit}`).join(', ');
      return [
        axis,
        quantity,
        values,
        String(curves[axis].expected[quantity]),
        slope(own).toFixed(2),
        slope(own.slice(-2)).toFixed(2),
      ];
    }),
  );
  return markdownTable(['against', 'of', 'measured', 'exponent expected', 'measured', 'of the last two'], rows);
}

/** Draws them, as SVG. */
export async function curvesPlot({ points }: Curves): Promise<string> {
  const view = new vega.View(vega.parse(compile(plot(points)).spec), { renderer: 'none' });
  return `${await view.toSVG()}\n`;
}

const plot = (points: readonly Point[]): Parameters<typeof compile>[0] => {
  const log = (field: string) =>
    ({ field, type: 'quantitative', scale: { type: 'log' }, title: null, axis: { tickCount: 5 } }) as const;
  return {
    background: 'white',
    data: { values: points as Point[] },
    facet: {
      row: {
        field: 'quantity',
        title: null,
        header: { labelExpr: "datum.value == 'time' ? 'time, ms' : 'memory, MiB'" },
      },
      column: { field: 'axis', title: null, sort: Object.keys(curves) },
    },
    resolve: { scale: { x: 'independent', y: 'independent' } },
    spec: { width: 170, height: 140, mark: { type: 'line', point: true }, encoding: { x: log('at'), y: log('value') } },
  };
};
