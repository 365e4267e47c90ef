import type { Solver } from '../solver';

/**
 * Adams-Bashforth steps on dx/dt = ε: the noise prediction ε = (x − D)/t is extrapolated by a polynomial in a time τ(t) through the latest
 * `points` predictions (fewer at first) and integrated over the step: x_s = x_t + Σ_j C_j·ε_j, C_j = ∫_t^s ℓ_j(τ(σ)) dσ.
 */
export function adams(points: number, time: (sigma: number) => number): Solver {
  return (space, { x, memory }, { from, to, earlier }) => {
    const slope = space.sum([1 / from, x], [-1 / from, space.denoise(x, from)]);
    const slopes = [slope, ...memory].slice(0, points);
    const nodes = [from, ...earlier].slice(0, slopes.length).map(time);
    const weights = nodes.map((_, j) =>
      // In ln σ, in which the times of interest are smooth down to σ near 0.
      integrate((z) => lagrange(nodes, j, time(Math.exp(z))) * Math.exp(z), Math.log(from), Math.log(to)),
    );
    return { x: space.sum([1, x], ...slopes.map((s, j) => [weights[j]!, s] as const)), memory: slopes };
  };
}

/** ℓ_j(τ): the polynomial that is 1 at the j-th node and 0 at the others. */
function lagrange(nodes: readonly number[], j: number, time: number): number {
  return nodes.reduce((value, node, i) => (i === j ? value : (value * (time - node)) / (nodes[j]! - node)), 1);
}

/** ∫_a^b f by Gauss-Legendre's rule with five points on each of 32 parts: for the smooth f above, to float64's last digits. */
function integrate(f: (z: number) => number, a: number, b: number): number {
  const parts = 32;
  const half = (b - a) / (2 * parts);
  let total = 0;
  for (let i = 0; i < parts; i++) {
    const centre = a + (2 * i + 1) * half;
    for (const [node, weight] of gauss) total += weight * f(centre + node * half);
  }
  return total * half;
}

const inner = Math.sqrt(5 - 2 * Math.sqrt(10 / 7)) / 3;
const outer = Math.sqrt(5 + 2 * Math.sqrt(10 / 7)) / 3;
const innerWeight = (322 + 13 * Math.sqrt(70)) / 900;
const outerWeight = (322 - 13 * Math.sqrt(70)) / 900;
const gauss: readonly (readonly [number, number])[] = [
  [0, 128 / 225],
  [inner, innerWeight],
  [-inner, innerWeight],
  [outer, outerWeight],
  [-outer, outerWeight],
];
