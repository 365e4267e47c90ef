import { describeRecipe } from '@cm/sct';
import { type NetworkConfig, networkOf } from './network';
import { sizeOf } from './table';
import { costOf } from './train-cost';
import { networkChanges } from './train-network';
import type { ResolvedRun } from './train-recipe';

/** A run in full, for a terminal: the recipe, what it changes of the published one, the network and what it costs, and the run's own numbers. */
export function planText({ recipe, run, changes }: ResolvedRun, config: NetworkConfig): string {
  const network = networkOf(config);
  const { stepFlops, totalFlops, stateBytes } = costOf(network, recipe, run);
  const [height, width, channels] = network.imageShape;
  const facts: [string, string][] = [
    [
      'network',
      `${config.family === 'edm2' ? 'EDM2' : 'EDM'}, ${height} × ${width} × ${channels}, ${number(network.classes)} classes, ` +
        `${number(network.parameters)} parameters, ${si(network.flops)}FLOP an image and pass`,
    ],
    ['a step', `${si(stepFlops[0])}FLOP at first, ${si(stepFlops[1])}FLOP at the end`],
    ['all steps', `${si(totalFlops)}FLOP: ${hours(totalFlops / 1e14)} at 100 TFLOP/s`],
    ['state', `${sizeOf(stateBytes)}; a step holds it twice, and gradients, weights and activations beside`],
    [
      'run',
      Object.entries(run)
        .map(([name, value]) => `${name} ${typeof value === 'number' ? number(value) : value}`)
        .join(', '),
    ],
  ];
  const all = [...changes, ...networkChanges(recipe, config)];
  const changed =
    all.length > 0
      ? [`  changed        ${all.join('; ')}`, '                 so the published numbers are not to be expected']
      : [];
  return [describeRecipe(recipe), ...changed, ...facts.map(([name, fact]) => `  ${name.padEnd(15)}${fact}`)].join('\n');
}

const number = (value: number) => value.toLocaleString('en');

/** A number with a prefix: 21.2 G. */
function si(value: number): string {
  const prefixes = ['', 'k', 'M', 'G', 'T', 'P', 'E', 'Z'];
  const power = Math.min(prefixes.length - 1, Math.max(0, Math.floor(Math.log10(value) / 3)));
  return `${Number((value / 1000 ** power).toPrecision(3))} ${prefixes[power]}`;
}

function hours(seconds: number): string {
  const value = seconds / 3600;
  return value < 0.1
    ? `${Number(seconds.toPrecision(2))} s`
    : value < 48
      ? `${value.toFixed(1)} h`
      : `${(value / 24).toFixed(1)} days`;
}
