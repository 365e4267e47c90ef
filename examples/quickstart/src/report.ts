import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as vega from 'vega';
import { compile, type TopLevelSpec } from 'vega-lite';
import type { Summary } from './summary';

/** The whole outcome of a run as one page: pictures and plots inside it, nothing to load. */
export async function reportHtml(folder: string, summary: Summary): Promise<string> {
  const { runs, diffusion, variance, settings } = summary;
  const picture = async (file: string, caption: string) => {
    const data = (await readFile(join(folder, file))).toString('base64');
    return `<figure><img alt="${escaped(caption)}" src="data:image/png;base64,${data}"><figcaption>${escaped(caption)}</figcaption></figure>`;
  };
  const sections: string[] = [];

  sections.push(
    `<h1>One-step digits by Stable Consistency Tuning</h1>
<p>A small EDM2 network (${settings.parameters.toLocaleString('en')} parameters), pretrained as a diffusion model of MNIST at
${settings.resolution} × ${settings.resolution}, was tuned for ${settings.steps} steps of ${settings.batchSize} images by each method from the
same weights, with the same images, noise and noise levels. Samples of all methods start from the same noise. Lower Fréchet distances are better;
they are taken between features of a small classifier over ${settings.samples.toLocaleString('en')} samples and over all training images, so they
compare with one another, not with published FIDs.</p>`,
  );
  sections.push('<h2>Result</h2>', table(summary));

  sections.push('<h2>Samples after tuning</h2>');
  for (const run of runs) {
    const grids = run.samples.map(({ steps, frechet, file }) =>
      picture(file, `${run.title}, ${count(steps, 'step')}: ${frechet.toFixed(1)}`),
    );
    sections.push(`<div class="row">${(await Promise.all(grids)).join('')}</div>`);
  }
  sections.push('<h2>The diffusion model before tuning</h2>');
  const before = diffusion.map(({ steps, evaluations, frechet, file }) =>
    picture(file, `${count(steps, 'Heun step')} (${count(evaluations, 'evaluation')}): ${frechet.toFixed(1)}`),
  );
  sections.push(`<div class="row">${(await Promise.all(before)).join('')}</div>`);

  sections.push('<h2>Fréchet distance during tuning</h2>', await svg(curveChart(summary)));
  sections.push(
    `<h2>Variance of the training target</h2>
<p>Mean squared distance, per pixel, of each estimate of E[x₀ | x_t] from the posterior mean over the whole training set, which is exact for this data
set. ECT uses the one image that x_t was made from; SCT the posterior mean over references. With the whole set as references the distance is zero by definition.</p>`,
    await svg(varianceChart(summary)),
    varianceTable(variance),
  );
  return page(sections.join('\n'));
}

const escaped = (text: string) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;');
const count = (n: number, noun: string) => `${n} ${noun}${n === 1 ? '' : 's'}`;

function table({ runs, diffusion, testFrechet }: Summary): string {
  const steps = runs[0]?.samples.map((sample) => sample.steps) ?? [];
  const rows = runs.map(
    ({ title, samples, imagesPerSecond }) =>
      `<tr><th>${escaped(title)}</th>${samples.map(({ frechet }) => `<td>${frechet.toFixed(1)}</td>`).join('')}<td>${imagesPerSecond.toFixed(0)}</td></tr>`,
  );
  const reference = diffusion
    .map(({ evaluations, frechet }) => `${count(evaluations, 'evaluation')} ${frechet.toFixed(1)}`)
    .join(', ');
  return `<table><thead><tr><th>Fréchet distance</th>${steps.map((n) => `<th>${count(n, 'step')}</th>`).join('')}<th>images/s in training</th></tr></thead>
<tbody>${rows.join('')}</tbody></table>
<p>For comparison, the diffusion model: ${reference}; real test images: ${testFrechet.toFixed(1)}.</p>`;
}

function varianceTable(variance: Summary['variance']): string {
  const labels = [...new Set(variance.map(({ estimator }) => estimator))];
  const levels = [...new Set(variance.map(({ t }) => t))];
  const cell = (t: number, label: string) =>
    variance.find((row) => row.t === t && row.estimator === label)?.variance.toExponential(2) ?? '';
  return `<table><thead><tr><th>t</th>${labels.map((label) => `<th>${escaped(label)}</th>`).join('')}</tr></thead><tbody>${levels
    .map((t) => `<tr><th>${t}</th>${labels.map((label) => `<td>${cell(t, label)}</td>`).join('')}</tr>`)
    .join('')}</tbody></table>`;
}

const curveChart = ({ runs }: Summary): TopLevelSpec => ({
  width: 560,
  height: 320,
  data: {
    values: runs.flatMap(({ title, curve }) =>
      curve.flatMap(({ step, frechet }) =>
        Object.entries(frechet).map(([steps, distance]) => ({
          method: title,
          sampling: count(Number(steps), 'step'),
          step,
          distance,
        })),
      ),
    ),
  },
  mark: { type: 'line', point: true },
  encoding: {
    x: { field: 'step', type: 'quantitative', title: 'training steps' },
    y: { field: 'distance', type: 'quantitative', scale: { type: 'log' }, title: 'Fréchet distance' },
    color: { field: 'method', type: 'nominal', title: null },
    strokeDash: { field: 'sampling', type: 'nominal', title: null },
  },
});

const varianceChart = ({ variance }: Summary): TopLevelSpec => ({
  width: 560,
  height: 320,
  data: { values: variance.filter((row) => row.variance > 0) },
  mark: { type: 'line', point: true },
  encoding: {
    x: { field: 't', type: 'quantitative', scale: { type: 'log' }, title: 'noise level t' },
    y: {
      field: 'variance',
      type: 'quantitative',
      scale: { type: 'log' },
      title: 'variance per pixel',
      axis: { format: '.0e' },
    },
    color: { field: 'estimator', type: 'nominal', title: null, sort: null, legend: { labelLimit: 400 } },
  },
});

const svg = (spec: TopLevelSpec) =>
  new vega.View(vega.parse(compile({ background: 'transparent', ...spec }).spec), { renderer: 'none' }).toSVG();

const page = (body: string) => `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>One-step digits by Stable Consistency Tuning</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; max-width: 64rem; margin: 2rem auto; padding: 0 1rem; color: #222; background: #fff; }
.row { display: grid; grid-template-columns: repeat(auto-fit, minmax(14rem, 1fr)); gap: 1rem; } figure { margin: 0 0 1rem; } figcaption { font-size: .85rem; }
img { image-rendering: pixelated; width: 100%; } svg { max-width: 100%; height: auto; }
table { border-collapse: collapse; margin: 1rem 0; } th, td { padding: .3rem .8rem; border-bottom: 1px solid #ddd; text-align: right; font-variant-numeric: tabular-nums; }
th:first-child { text-align: left; }
</style></head><body>
${body}
</body></html>
`;
