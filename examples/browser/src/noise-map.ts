import { key, normalArray, split } from '@cm/random';

/** A point of the pad, in turns: 0 ≤ across, down < 1. Both directions wrap around. */
export interface Position {
  readonly across: number;
  readonly down: number;
}

/**
 * The noises at points of the pad, one after another, each of `size` values.
 *
 * The pad is a torus in the space of noises: z(a, b) = (cos a·z₁ + sin a·z₂ + cos b·z₃ + sin b·z₄)/√2 with a and b the point's angles and four
 * independent standard-normal noises z of the seed. The squares of the factors sum to one, so the noise at any point is standard normal, too.
 */
export function noiseAt(seed: number, positions: readonly Position[], size: number): Float32Array {
  const noises = [1, 2, 3, 4].map((i) => normalArray(split(key(seed), 'pad', i), size));
  const result = new Float32Array(positions.length * size);
  positions.forEach(({ across, down }, row) => {
    const [a, b] = [2 * Math.PI * across, 2 * Math.PI * down];
    const factors = [Math.cos(a), Math.sin(a), Math.cos(b), Math.sin(b)].map((factor) => factor / Math.SQRT2);
    for (let i = 0; i < size; i++) {
      result[row * size + i] = factors.reduce((sum, factor, j) => sum + factor * noises[j]![i]!, 0);
    }
  });
  return result;
}

/** The same point within one turn. */
export const wrapped = ({ across, down }: Position): Position => ({
  across: across - Math.floor(across),
  down: down - Math.floor(down),
});
