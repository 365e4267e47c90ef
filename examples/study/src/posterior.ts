import { key, split } from '@cm/random';
import { type EstimatorError, estimatorErrors } from './estimator-errors';
import { distinct, markdown } from './statistics';
import type { CommonSettings, Study } from './study';

interface PosteriorSettings extends CommonSettings {
  readonly levels: readonly number[];
  readonly rows: number;
  readonly draws: number;
  readonly references: readonly number[];
  readonly seed: number;
}

/** Bias and variance of the estimates of E[x_0 | x_t], where the data set is finite and the truth is known. */
export const posterior: Study<PosteriorSettings, EstimatorError[]> = {
  name: 'posterior',
  title:
    'bias and variance of the estimators against the noise level and the number of references, the truth being known',
  settings: {
    full: {
      images: 60_000,
      levels: [0.2, 0.5, 1, 1.5, 2, 3, 5, 10],
      rows: 64,
      draws: 48,
      references: [8, 64, 128, 512, 4096],
      seed: 0,
    },
    quick: { images: 6000, levels: [0.5, 1, 2, 5], rows: 32, draws: 32, references: [8, 64, 512], seed: 0 },
  },

  plan: ({ levels, rows, draws, references, seed }) =>
    levels.map((t) => ({
      name: `t = ${t}`,
      make: async ({ images, references: whole, diffusion }, onProgress) =>
        estimatorErrors({
          dataset: images,
          whole: whole(),
          t,
          rows,
          draws,
          references,
          key: split(key(seed), String(t)),
          diffusion: await diffusion(),
          onDraw: (draw) => onProgress(`draw ${draw} of ${draws}`),
        }),
    })),

  table(results) {
    const errors = results.flat();
    const levels = distinct(errors.map(({ t }) => t));
    // An estimate that has none of what a table tells of is left out.
    const part = (title: string, has: (error: EstimatorError) => boolean, cell: (error: EstimatorError) => string) => [
      [title, ...levels.map((t) => `t = ${t}`)],
      ...distinct(errors.filter(has).map(label)).map((name) => [
        name,
        ...levels.map((t) => {
          const error = errors.find((entry) => entry.t === t && label(entry) === name);
          return error ? cell(error) : '';
        }),
      ]),
    ];
    return [
      markdown(
        part(
          'variance',
          ({ variance }) => variance > 1e-8,
          ({ variance }) => number(variance),
        ),
      ),
      markdown(part('squared bias', told, (error) => (told(error) ? number(error.bias) : '–'))),
    ].join('\n\n');
  },

  plot(results) {
    const panel = (title: string, values: { t: number; label: string; value: number }[]) => ({
      width: 380,
      height: 300,
      title,
      data: { values: values.filter(({ value }) => value > 1e-8) },
      mark: { type: 'line', point: true } as const,
      encoding: {
        x: { field: 't', type: 'quantitative', scale: { type: 'log' }, title: 'noise level t', axis: { format: '~g' } },
        y: {
          field: 'value',
          type: 'quantitative',
          scale: { type: 'log' },
          title: 'per pixel',
          axis: { format: '.0e' },
        },
        color: {
          field: 'label',
          type: 'nominal',
          title: null,
          sort: null,
          legend: { labelLimit: 0, labelFontSize: 13, orient: 'bottom', columns: 2 },
        },
      } as const,
    });
    const errors = results.flat().map((error) => ({ ...error, label: label(error) }));
    return {
      background: 'white',
      config: { axis: { labelFontSize: 12, titleFontSize: 13 } },
      hconcat: [
        panel(
          'variance of unbiased estimates',
          errors.filter((error) => !biased(error)).map((error) => ({ ...error, value: error.variance })),
        ),
        panel(
          'squared bias of the others',
          errors.filter((error) => biased(error) && told(error)).map((error) => ({ ...error, value: error.bias })),
        ),
      ],
      resolve: { scale: { color: 'independent', y: 'shared' } },
    };
  },
};

const biased = ({ estimator }: EstimatorError) =>
  estimator === 'without the own sample' || estimator === 'the diffusion model';

/** Whether a bias is told from 0. */
const told = ({ bias, biasError }: EstimatorError) => bias > Math.max(2 * biasError, 1e-8);

const number = (value: number) => (value < 5e-8 ? '0' : value.toPrecision(2));

const label = ({ estimator, references }: EstimatorError) =>
  references === 0 || estimator.startsWith('the ') ? estimator : `${estimator}, ${references}`;
