import { readFile } from 'node:fs/promises';
import { extname } from 'node:path';
import { parse as parseYaml } from 'yaml';
import { nearest } from './nearest';

/** What a value must be. */
interface Rule {
  readonly expected: string;
  readonly fits: (value: unknown) => boolean;
}
interface Rules {
  readonly [key: string]: Rule | Rules;
}

const isNumber = (value: unknown): value is number => typeof value === 'number' && Number.isFinite(value);
const number: Rule = { expected: 'a number', fits: isNumber };
const numbers: Rule = { expected: 'a list of numbers', fits: (value) => Array.isArray(value) && value.every(isNumber) };
const wholeFrom = (least: number): Rule => ({
  expected: `a whole number from ${least}`,
  fits: (value) => Number.isSafeInteger(value) && (value as number) >= least,
});
const whole = wholeFrom(1);
const flag: Rule = { expected: 'true or false', fits: (value) => typeof value === 'boolean' };
const text: Rule = { expected: 'text', fits: (value) => typeof value === 'string' };
const oneOf = (...names: string[]): Rule => ({
  expected: `one of ${names.join(', ')}`,
  fits: (value) => names.includes(value as string),
});

/** What of a recipe can be changed. Ranges are checked where the numbers are used. */
const recipeRules = {
  batchSize: whole,
  steps: whole,
  learningRate: { lr: number, decaySteps: whole, warmupSteps: whole },
  optimizer: { name: oneOf('adam', 'radam'), beta1: number, beta2: number },
  dropout: { rate: number, maxResolution: whole },
  estimator: {
    name: oneOf('one-sample', 'distillation', 'stable-target'),
    references: oneOf('batch', 'batch-of-class', 'all', 'all-of-class'),
    solver: oneOf('euler', 'heun'),
    steps: whole,
  },
  target: { name: oneOf('student', 'average', 'curriculum-average'), decay: number },
  noise: { mean: number, std: number, min: number, max: number, rho: number },
  schedule: {
    q: number,
    d: number,
    k: number,
    b: number,
    initialExponent: number,
    fraction: number,
    curriculum: {
      name: oneOf('constant', 'square-root', 'exponential', 'geometric'),
      levels: whole,
      s0: whole,
      s1: whole,
      iterations: whole,
    },
  },
  phases: whole,
  eta: number,
  metric: { name: oneOf('pseudo-huber', 'l1', 'l2', 'squared-l2', 'perceptual'), c: number, network: text },
  weighting: {
    name: oneOf('uniform', 'truncated-snr', 'inverse-gap', 'snr', 'edm'),
    delta: number,
    offset: number,
    sigmaData: number,
  },
  ema: { decay: number, sigmaRel: numbers },
  middle: number,
} as const satisfies Rules;

const runRules = {
  seed: wholeFrom(0),
  microBatch: whole,
  flip: flag,
  recompute: flag,
  sigmaMax: number,
  saveEvery: whole,
  keepStates: whole,
  snapshotEvery: whole,
  evaluateEvery: whole,
  evaluationImages: whole,
  gridImages: whole,
  logEvery: whole,
} as const satisfies Rules;

const networkRule: Rule = {
  expected: 'an object with a family',
  fits: (value) => isObject(value) && typeof value.family === 'string',
};

/** Numbers of a run that are none of the recipe's. Counts are of images, but for `logEvery`, which is of steps. */
export interface RunSettings {
  /** Of everything random. */
  readonly seed: number;
  /** Rows of one pass: the memory of a step is theirs. */
  readonly microBatch: number;
  /** Whether images are mirrored, each with probability one half. */
  readonly flip: boolean;
  /** Whether the backward pass computes activations again instead of keeping them. */
  readonly recompute: boolean;
  /** Noise level that samples start from, but in phases, which have their own. */
  readonly sigmaMax: number;
  readonly saveEvery: number;
  /** States that are kept, the newest. */
  readonly keepStates: number;
  readonly snapshotEvery: number;
  /** Sample grids, and Fréchet distances where there is an extractor. */
  readonly evaluateEvery: number;
  /** Samples behind a Fréchet distance. */
  readonly evaluationImages: number;
  readonly gridImages: number;
  readonly logEvery: number;
}

/** What a configuration file says: parts of a recipe and of {@link RunSettings}, and a network to begin at random. */
export interface FileConfig {
  readonly recipe: Readonly<Record<string, unknown>>;
  readonly run: Partial<RunSettings>;
  readonly network?: Readonly<Record<string, unknown>>;
}

/**
 * Reads a configuration: JSON, or YAML where the extension says so.
 *
 * @throws Error naming the file and the key that it should not have, with the nearest that it could, or the value that does not fit
 */
export async function readConfig(path: string): Promise<FileConfig> {
  const content = await readFile(path, 'utf8');
  const isYaml = /^\.ya?ml$/i.test(extname(path));
  let value: unknown;
  try {
    value = isYaml ? parseYaml(content) : JSON.parse(content);
  } catch (error) {
    throw new Error(`${path}: is no ${isYaml ? 'YAML' : 'JSON'} (${(error as Error).message})`, { cause: error });
  }
  return configOf(path, value);
}

/** @param where What messages call it. @throws Error as {@link readConfig}. */
export function configOf(where: string, value: unknown): FileConfig {
  if (!isObject(value)) throw new Error(`${where}: is ${shown(value)}, expected an object`);
  check(where, '', value, { ...recipeRules, ...runRules, network: networkRule });
  const part = (rules: Rules) => Object.fromEntries(Object.entries(value).filter(([key]) => Object.hasOwn(rules, key)));
  return {
    recipe: part(recipeRules),
    run: part(runRules),
    ...(value.network !== undefined && { network: value.network as Record<string, unknown> }),
  };
}

function check(where: string, path: string, value: Readonly<Record<string, unknown>>, rules: Rules): void {
  for (const [key, item] of Object.entries(value)) {
    const name = path + key;
    checkKey(where, name, key, Object.keys(rules), path);
    const rule = rules[key]!;
    if (isRule(rule)) {
      if (!rule.fits(item)) throw new Error(`${where}: ${name} is ${shown(item)}, expected ${rule.expected}`);
    } else {
      if (!isObject(item)) throw new Error(`${where}: ${name} is ${shown(item)}, expected an object`);
      check(where, `${name}.`, item, rule);
    }
  }
}

/** @throws Error naming a key that is none of `names`, with the nearest that is. */
export function checkKey(where: string, shownAs: string, key: string, names: readonly string[], path = ''): void {
  if (names.includes(key)) return;
  throw new Error(`${where}: unknown key ${shownAs}, did you mean ${path}${nearest(key, names)}?`);
}

const isRule = (rule: Rule | Rules): rule is Rule => typeof rule.fits === 'function';
const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const shown = (value: unknown) => JSON.stringify(value) ?? String(value);
