import type { Preconditioning } from './config';

type Iddpm = Extract<Preconditioning, { kind: 'iddpm' }>;

/**
 * The noise levels u_0 > … > u_M = 0 of improved DDPM (EDM, Table 1): u_{j−1} = √((u_j² + 1)/max(ᾱ_{j−1}/ᾱ_j, C₁) − 1) with
 * ᾱ_j = sin²(π/2 · j/(M(C₂ + 1))).
 */
export function iddpmNoiseLevels({ c1, c2, timesteps }: Iddpm): number[] {
  const alphaBar = (j: number) => Math.sin((0.5 * Math.PI * j) / timesteps / (c2 + 1)) ** 2;
  const levels = new Array<number>(timesteps + 1).fill(0);
  for (let j = timesteps; j > 0; j--) {
    levels[j - 1] = Math.sqrt((levels[j]! ** 2 + 1) / Math.max(alphaBar(j - 1) / alphaBar(j), c1) - 1);
  }
  return levels;
}
