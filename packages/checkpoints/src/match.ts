/** A checkpoint that does not fit a network: every tensor that is at fault. */
export class MismatchError extends Error {
  override name = 'MismatchError';
  /** Names that the network has and the checkpoint has not. */
  readonly missing: readonly string[];
  /** Names that the checkpoint has and the network has not. */
  readonly unexpected: readonly string[];
  /** Names that both have, in different shapes. */
  readonly misshapen: readonly { name: string; shape: readonly number[]; expected: readonly number[] }[];

  constructor(
    missing: MismatchError['missing'],
    unexpected: MismatchError['unexpected'],
    misshapen: MismatchError['misshapen'],
  ) {
    const shapes = misshapen.map(({ name, shape, expected }) => `${name} [${shape}], expected [${expected}]`);
    const parts = [
      ...(missing.length ? [`missing ${missing.join(', ')}`] : []),
      ...(unexpected.length ? [`unexpected ${unexpected.join(', ')}`] : []),
      ...(shapes.length ? [`misshapen ${shapes.join('; ')}`] : []),
    ];
    super(`matchTensors: the checkpoint does not fit the network: ${parts.join('; ')}`);
    this.missing = missing;
    this.unexpected = unexpected;
    this.misshapen = misshapen;
  }
}

/**
 * The tensors of a checkpoint that a network expects, in the network's order. A single number may be of shape [] or [1], for published
 * checkpoints have both.
 *
 * @param tensors What was found: of a file or of tfjs.
 * @param expected Shape by name, laid out as in the checkpoint.
 * @throws MismatchError that lists every missing, unexpected and misshapen tensor
 *
 * @example
 * ```ts
 * import { matchTensors } from '@cm/checkpoints';
 *
 * const tensors = { weight: { shape: [2, 3] }, extra: { shape: [1] } };
 * try {
 *   matchTensors(tensors, { weight: [3, 2] });
 * } catch (error) {
 *   console.log((error as Error).name); // MismatchError
 * }
 * ```
 */
export function matchTensors<T extends { readonly shape: readonly number[] }>(
  tensors: Readonly<Record<string, T>>,
  expected: Readonly<Record<string, readonly number[]>>,
): Record<string, T> {
  const names = Object.keys(expected);
  const missing = names.filter((name) => !Object.hasOwn(tensors, name));
  const unexpected = Object.keys(tensors).filter((name) => !Object.hasOwn(expected, name));
  const misshapen = names
    .filter((name) => Object.hasOwn(tensors, name) && !sameShape(tensors[name]!.shape, expected[name]!))
    .map((name) => ({ name, shape: tensors[name]!.shape, expected: expected[name]! }));
  if (missing.length + unexpected.length + misshapen.length > 0)
    throw new MismatchError(missing, unexpected, misshapen);
  return Object.fromEntries(names.map((name) => [name, tensors[name]!]));
}

function sameShape(a: readonly number[], b: readonly number[]): boolean {
  const single = (shape: readonly number[]) => shape.every((extent) => extent === 1) && shape.length <= 1;
  return a.join() === b.join() || (single(a) && single(b));
}
