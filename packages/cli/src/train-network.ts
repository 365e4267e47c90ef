import { basename } from 'node:path';
import type { Checkpoint } from '@cm/checkpoints';
import { openCheckpoint } from '@cm/checkpoints/node';
import type { Recipe } from '@cm/ect';
import { dhariwalUNetConfig, edmPresets, songUNetConfig } from '@cm/edm-unet';
import { type Edm2Size, edm2Config, edm2Preset } from '@cm/edm2-unet';
import { differences } from './differences';
import { type NetworkConfig, networkConfigOf, networkOf } from './network';
import { checkKey, type FileConfig } from './train-config';

/** Where the parameters before training come from. */
export interface Start {
  /** The network, with the recipe's dropout. */
  readonly config: NetworkConfig;
  /** The file's name, or `random`. */
  readonly name: string;
  /** The file, where it is one. */
  readonly checkpoint?: Checkpoint;
}

/**
 * The network that is trained: a checkpoint's, or at random the configuration file's, or else the one that the recipe names.
 *
 * @throws Error when the checkpoint cannot be used, there is neither a checkpoint nor leave to begin at random, or both
 */
export async function startOf(
  recipe: Recipe,
  { transfer, random, network }: { transfer?: string; random: boolean; network?: FileConfig['network'] },
): Promise<Start> {
  if (transfer !== undefined) {
    if (random) throw new Error('--transfer and --init random are given, expected one of them');
    if (network) throw new Error('the configuration has a network, and --transfer brings its own: leave one out');
    const checkpoint = await openCheckpoint(transfer);
    const config = withDropout(recipe, networkConfigOf(transfer, checkpoint));
    return { config, name: basename(transfer), checkpoint };
  }
  if (!random && recipe.start !== 'random') {
    throw new Error(`${recipe.name} starts from ${recipe.start}: --transfer says where it is, or --init random`);
  }
  return { config: withDropout(recipe, network ? givenNetwork(network) : publishedNetwork(recipe)), name: 'random' };
}

/** The network that a recipe names. @throws Error when the name is none that is known here. */
export function publishedNetwork({ name, network, start }: Recipe): NetworkConfig {
  const size = /^EDM2-(XS|S|M|L|XL|XXL)\b/.exec(network)?.[1];
  if (size) return { family: 'edm2', config: edm2Preset(size as Edm2Size) };
  const labels = start.includes('-cond-') ? 'cond' : 'uncond';
  const presets = {
    'DDPM++': edmPresets[`cifar10-${labels}-ddpmpp`],
    'NCSN++': edmPresets[`cifar10-${labels}-ncsnpp`],
    ADM: edmPresets['imagenet64-cond-adm'],
  };
  const preset = Object.entries(presets).find(([known]) => network.startsWith(known))?.[1];
  if (!preset) throw new Error(`${name}: network is ${network}, expected EDM2, DDPM++, NCSN++ or ADM`);
  const numBlocks = preset.numBlocks * (network.includes('twice the blocks') ? 2 : 1);
  return { family: 'edm', config: { ...preset, numBlocks } };
}

/** How a network differs from the one that a recipe names, as text: `network.parameters: 55,733,891, here 48,275`. */
export function networkChanges(recipe: Recipe, config: NetworkConfig): string[] {
  const [published, own] = [networkOf(publishedNetwork(recipe)), networkOf(config)].map((network) => ({
    resolution: network.imageShape[0],
    classes: network.classes,
    parameters: network.parameters,
  }));
  return differences(published, own, 'network').map(({ path, a, b }) => `${path}: ${a}, here ${b}`);
}

const families = {
  edm2: (options: Resolved): NetworkConfig => ({ family: 'edm2', config: edm2Config(options) }),
  song: (options: Resolved): NetworkConfig => ({ family: 'edm', config: songUNetConfig(options) }),
  dhariwal: (options: Resolved): NetworkConfig => ({ family: 'edm', config: dhariwalUNetConfig(options) }),
};
type Resolved = { readonly resolution: number };

function givenNetwork({ family, ...options }: NonNullable<FileConfig['network']>): NetworkConfig {
  if (!Object.hasOwn(families, family as string)) {
    throw new Error(`network.family is ${family}, expected one of ${Object.keys(families).join(', ')}`);
  }
  const make = families[family as keyof typeof families];
  const known = Object.keys(make({ resolution: 64 }).config);
  for (const key of Object.keys(options)) checkKey('network', `network.${key}`, key, known, 'network.');
  return make(options as unknown as Resolved);
}

/** Dropout is the recipe's, not that with which the checkpoint was trained. */
function withDropout({ name, dropout }: Recipe, network: NetworkConfig): NetworkConfig {
  const { rate, maxResolution = null } = dropout;
  if (network.family === 'edm2') {
    return { ...network, config: { ...network.config, dropout: rate, dropoutMaxResolution: maxResolution } };
  }
  if (maxResolution !== null && rate > 0) {
    throw new Error(
      `${name}: dropout.maxResolution is ${maxResolution}, which networks of EDM do not have here: dropout.rate 0 turns dropout off`,
    );
  }
  return { ...network, config: { ...network.config, dropout: rate } };
}
