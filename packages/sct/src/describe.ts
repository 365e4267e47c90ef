import type { Recipe } from '@cm/ect';
import { type RecipeName, recipes, type SctRecipe } from './recipes';

/**
 * All that a recipe says, as lines of text: of one by name, or of one of your own.
 *
 * @throws Error when there is no recipe of this name
 *
 * @example
 * ```ts
 * import { describeRecipe } from '@cm/sct';
 *
 * console.log(describeRecipe('sct-cifar10').split('\n')[0]); // sct-cifar10
 * ```
 */
export function describeRecipe(which: RecipeName | Recipe): string {
  const recipe: (Recipe & Partial<SctRecipe>) | undefined = typeof which === 'string' ? recipes[which] : which;
  if (!recipe) throw new Error(`describeRecipe: name is ${which}, expected one of ${Object.keys(recipes).join(', ')}`);
  const { dropout, optimizer, learningRate, ema, guidance } = recipe;
  const { lr, warmupSteps, decaySteps } = learningRate;
  const lines: [string, string | undefined][] = [
    ['reproduces', `${recipe.reproduces}${fidText(recipe)}`],
    ['source', recipe.source],
    ['notes', recipe.notes],
    ['network', recipe.network],
    ['dropout', `${dropout.rate}${dropout.maxResolution ? ` at resolutions up to ${dropout.maxResolution}` : ''}`],
    ['start from', recipe.start],
    ['optimizer', `${optimizer.name === 'adam' ? 'Adam' : 'RAdam'}, β ${optimizer.beta1}, ${optimizer.beta2}`],
    [
      'learning rate',
      `${lr}${warmupSteps ? `, rising over ${number(warmupSteps)} steps` : ''}${decaySteps ? `, as 1/√step from step ${number(decaySteps)}` : ''}`,
    ],
    ['batch × steps', `${number(recipe.batchSize)} × ${number(recipe.steps)}`],
    ['estimator', estimatorText(recipe)],
    ['target network', targetText(recipe)],
    ['noise levels', noiseText(recipe)],
    ['schedule', scheduleText(recipe)],
    ['phases', recipe.phases > 1 ? `${recipe.phases}${recipe.eta ? `, sampled with η ${recipe.eta}` : ''}` : undefined],
    ['metric', metricText(recipe)],
    ['weighting', weightingText(recipe)],
    ['average', 'decay' in ema ? `decay ${ema.decay}` : `power function, σ_rel ${ema.sigmaRel.join(', ')}, post-hoc`],
    ['two steps', recipe.middle === undefined ? undefined : `by way of t = ${recipe.middle}`],
    [
      'guidance',
      guidance && `strength ${guidance.strength}, by the average at ${100 * guidance.averageAt} % of the steps`,
    ],
  ];
  const shown = lines.filter(([, text]) => text !== undefined).map(([what, text]) => `  ${what.padEnd(15)}${text}`);
  return [recipe.name, ...shown].join('\n');
}

const number = (value: number) => value.toLocaleString('en');

function fidText({ fid, guidedFid = {} }: Recipe & Partial<SctRecipe>): string {
  const values = Object.entries(fid).map(([steps, value]) => {
    const guided = guidedFid[Number(steps)];
    return `${value}${guided === undefined ? '' : ` (${guided} with guidance)`} in ${steps} step${steps === '1' ? '' : 's'}`;
  });
  return values.length > 0 ? `: FID ${values.join(', ')}` : '';
}

function estimatorText({ estimator }: Recipe): string {
  switch (estimator.name) {
    case 'one-sample':
      return 'the one sample (Eq. 11)';
    case 'distillation':
      return `distillation, ${estimator.steps} ${estimator.solver === 'heun' ? 'Heun' : 'Euler'} step${estimator.steps === 1 ? '' : 's'} (Eq. 9)`;
    case 'stable-target': {
      const of = {
        batch: 'the batch',
        'batch-of-class': 'the batch, own class',
        all: 'all images',
        'all-of-class': 'all images of the class',
      };
      return `posterior mean over ${of[estimator.references]} (Eq. 14)`;
    }
  }
}

function targetText({ target }: Recipe): string {
  if (target.name === 'student') return 'the student, without gradient';
  if (target.name === 'average') return `average of the student, decay ${target.decay}`;
  return `average of the student, decay μ(k) from ${target.decay}`;
}

function noiseText({ noise }: Recipe): string {
  if ('rho' in noise) return `t^(1/${noise.rho}) uniform`;
  const within = noise.max === undefined ? '' : `, within [${noise.min ?? 0}, ${noise.max}]`;
  return `ln t ~ N(${noise.mean}, ${noise.std}²)${within}`;
}

function scheduleText({ schedule }: Recipe): string {
  if ('fraction' in schedule) return `Δt = ${schedule.fraction}·t`;
  if ('curriculum' in schedule) {
    const { curriculum } = schedule;
    if (curriculum.name === 'constant') return `neighbours on a grid of ${curriculum.levels} levels`;
    const { name, s0, s1, iterations } = curriculum;
    return `neighbours on a grid whose intervals grow from ${s0} to ${s1} in ${number(iterations)} iterations (${name})`;
  }
  const { q, d, k, b, initialExponent = 1 } = schedule;
  return `Eq. 15, q ${Number(q.toPrecision(6))}, d ${number(d)}, from exponent ${initialExponent}, k ${k ?? 8}, b ${b ?? 1}`;
}

function metricText({ metric }: Recipe): string {
  if (metric.name === 'perceptual') return metric.network;
  if (metric.name !== 'pseudo-huber') return metric.name;
  return metric.c === 0 ? 'L2 norm' : `pseudo-Huber, c ${Number(metric.c.toPrecision(3))}`;
}

function weightingText({ weighting }: Recipe): string {
  switch (weighting.name) {
    case 'inverse-gap':
      return weighting.delta === 0 ? '1/(t − r)' : `1/(t − r + ${weighting.delta})`;
    case 'edm':
      return `(t² + σ_d²)/(t·σ_d)², σ_d ${weighting.sigmaData}`;
    case 'snr':
      return weighting.offset === 0 ? 'SNR' : `SNR + ${weighting.offset}`;
    case 'truncated-snr':
      return 'max(SNR, 1)';
    case 'uniform':
      return 'uniform';
  }
}
