import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as vega from 'vega';
import { compile } from 'vega-lite';
import { start } from './process';
import { commit, machine, summary } from './results';

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
}

/** The least-squares slope of log y over log x. */
export function slope(points: readonly { readonly at: number; readonly value: number }[]): number {
  const logs = points.map(({ at, value }) => [Math.log(at), Math.log(value)] as const);
  const mean = (part: 0 | 1) => logs.reduce((sum, log) => sum + log[part], 0) / logs.length;
  const [x, y] = [mean(0), mean(1)];
  const covariance = logs.reduce((sum, log) => sum + (log[0] - x) * (log[1] - y), 0);
  return covariance / logs.reduce((sum, log) => sum + (log[0] - x) ** 2, 0);
}

/** Measures the cost curves on libtorch; writes `curves.json` and `curves.md` into a folder, and the plot to docs/images. */
export async function measureCurves(folder: string, rounds: number): Promise<void> {
  const points: Point[] = [];
  for (const [axis, { points: at }] of Object.entries(curves) as [Axis, Curve][]) {
    for (const value of at) {
      const { measure, end } = await start({ script: 'suites/curve.ts', args: [axis, String(value)] }, '');
      const times: number[] = [];
      for (let round = 0; round < rounds; round++) times.push(await measure('time'));
      points.push({ axis, at: value, quantity: 'time', value: summary(times).median });
      points.push({ axis, at: value, quantity: 'memory', value: Math.round(await measure('memory')) });
      end();
      console.error('curves', ...points.slice(-2).map(({ quantity, value }) => `${axis} ${value} ${quantity}`));
    }
  }
  await writeFile(
    join(folder, 'curves.json'),
    `${JSON.stringify({ machine: machine(), commit: commit(), points }, null, 1)}\n`,
  );
  const rows = (Object.keys(curves) as Axis[]).flatMap((axis) =>
    (['time', 'memory'] as const).map((quantity) => {
      const own = points.filter((point) => point.axis === axis && point.quantity === quantity);
      const values = own.map(({ at, value }) => `${at}: ${value} ${quantity === 'time' ? 'ms' : 'MiB'}`).join(', ');
      const upper = slope(own.slice(-2)).toFixed(2);
      return `| ${axis} | ${quantity} | ${values} | ${curves[axis].expected[quantity]} | ${slope(own).toFixed(2)} | ${upper} |`;
    }),
  );
  const table = [
    '| against | of | measured | exponent expected | measured | of the last two |',
    '| --- | --- | --- | --: | --: | --: |',
    ...rows,
  ].join('\n');
  await writeFile(join(folder, 'curves.md'), `${table}\n\nAt ${commit()}: ${machine()}.\n`);
  const view = new vega.View(vega.parse(compile(plot(points)).spec), { renderer: 'none' });
  const image = fileURLToPath(new URL('../docs/images/cost-curves.svg', import.meta.url));
  await writeFile(image, `${await view.toSVG()}\n`);
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
