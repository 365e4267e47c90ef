import { blocksOf, type Edm2Config } from './config';
import { parametersOf } from './parameters';

/**
 * Floating-point operations of one forward pass for one image: two for every multiply-add of its convolutions, matrix
 * products and attention. Element-wise work is not counted. A training step costs about three times as much for the student.
 */
export function edm2Flops(config: Edm2Config): number {
  const resolutions = new Map(blocksOf(config).map(({ name, resolution }) => [name, resolution]));
  let multiplyAdds = 0;
  for (const spec of parametersOf(config)) {
    if (spec.kind !== 'weight' || spec.name.startsWith('logvar')) continue;
    const size = spec.shape.reduce((product, extent) => product * extent, 1);
    const blockName = spec.name.split('.').slice(0, 3).join('.');
    const resolution = resolutions.get(blockName) ?? config.resolution;
    multiplyAdds += size * (spec.shape.length === 4 ? resolution ** 2 : 1);
  }
  for (const { attention, resolution, channels } of blocksOf(config)) {
    if (attention) multiplyAdds += 2 * resolution ** 4 * channels;
  }
  return 2 * multiplyAdds;
}

/** How many numbers the network learns: weights and gains. */
export function edm2ParameterCount(config: Edm2Config): number {
  return parametersOf(config)
    .filter(({ kind }) => kind === 'weight' || kind === 'gain')
    .reduce((sum, { shape }) => sum + shape.reduce((product, extent) => product * extent, 1), 0);
}
