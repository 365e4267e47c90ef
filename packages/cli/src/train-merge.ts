/** The kinds of a setting, and what each has; `?` marks what may be left out. A kind is told by its name or, where settings have none, by its first key. */
const kinds: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>> = {
  estimator: { 'one-sample': [], distillation: ['solver', 'steps'], 'stable-target': ['references'] },
  target: { student: [], average: ['decay'], 'curriculum-average': ['decay'] },
  metric: { 'pseudo-huber': ['c'], l1: [], l2: [], 'squared-l2': [], perceptual: ['network'] },
  weighting: { uniform: [], 'truncated-snr': [], 'inverse-gap': ['delta'], snr: ['offset'], edm: ['sigmaData'] },
  schedule: { fraction: ['fraction'], curriculum: ['curriculum'], q: ['q', 'd', 'k?', 'b?', 'initialExponent?'] },
  noise: { rho: ['rho'], mean: ['mean', 'std', 'min?', 'max?'] },
  ema: { decay: ['decay'], sigmaRel: ['sigmaRel'] },
};

type Part = Readonly<Record<string, unknown>>;
const isPart = (value: unknown): value is Part => typeof value === 'object' && value !== null && !Array.isArray(value);

/**
 * Settings with what changes say. Of a setting with parts, those that are not given stay, but a setting of another kind replaces the whole.
 *
 * @throws Error naming a part that the setting's kind does not have, or one that it lacks
 */
export function merge(settings: Part, changes: Part): Record<string, unknown> {
  const merged: Record<string, unknown> = { ...settings };
  for (const [key, change] of Object.entries(changes)) {
    const before = settings[key];
    merged[key] = isPart(before) && isPart(change) ? mergePart(key, before, change) : change;
  }
  return merged;
}

function mergePart(key: string, before: Part, change: Part): Part {
  const ofKinds = kinds[key];
  if (!ofKinds) return { ...before, ...change };
  const isNamed = 'name' in before;
  const kindIn = (part: Part) => (isNamed ? part.name : Object.keys(ofKinds).find((first) => first in part));
  const kind = (kindIn(change) ?? kindIn(before)) as string;
  const parts = ofKinds[kind]!;
  const known = parts.map((part) => part.replace('?', ''));
  const foreign = Object.keys(change).find((part) => part !== 'name' && !known.includes(part));
  if (foreign !== undefined) {
    throw new Error(
      `${key}.${foreign} is given, expected ${known.join(', ') || 'nothing but a name'} for ${key} of the kind ${kind}`,
    );
  }
  const merged = kind === kindIn(before) ? { ...before, ...change } : change;
  const missing = parts.find((part) => !part.endsWith('?') && !(part in merged));
  if (missing !== undefined) throw new Error(`${key}.${missing} is missing, expected for ${key} of the kind ${kind}`);
  return merged;
}
