import { positive, that, whole } from './check';
import { karrasLevels } from './noise-levels';

/**
 * The noise levels that cut the ODE path into phases (section 4.3 of the SCT paper).
 * One grid serves training ({@link progressiveSchedule}) and sampling: a sampler with other edges asks a model for what it never learnt.
 */
export interface PhaseGrid {
  /** Edges s_1 > s_2 > … > s_n, descending from t_max to 0. */
  readonly edges: readonly number[];
  /**
   * s(t): the edge where the trajectory from t is to end, the largest edge strictly below t, so that phase i is s_(i−1) ≥ t > s_i.
   * A t above t_max belongs to the first phase, as t_max itself does.
   */
  edgeBelow(t: number): number;
}

/** Options of {@link phaseGrid} when the edges are to be spread by formula. */
export interface PhaseGridOptions {
  /** Number of phases, at least 1: as many as the steps of deterministic sampling. */
  readonly phases: number;
  /** t_max, the first edge. Default 80. */
  readonly sigmaMax?: number;
  /** The level that the spacing aims at; the last edge itself is 0. Default 0.002. */
  readonly sigmaMin?: number;
  /** Crowding towards small noise, as in {@link karrasGrid}. Default 7. */
  readonly rho?: number;
}

/**
 * Makes a {@link PhaseGrid} from given edges, or spreads the edges so that all phases span equally many steps of a Karras grid:
 * s_i = (σ_max^(1/ρ) + i/phases·(σ_min^(1/ρ) − σ_max^(1/ρ)))^ρ for i < phases, and 0 at the end.
 * The paper does not print its edges; four phases are 80, 17.5, 2.51, 0.170, 0 by default. One phase, `[t_max, 0]`, is Eq. 15.
 *
 * @param edges Edges descending strictly from t_max to 0, or the options of the formula.
 * @throws RangeError when there are fewer than two edges, they do not descend strictly, are not finite, or do not end at 0.
 * @see Stable Consistency Tuning (arXiv 2410.18958), section 4.3 and Eq. 17, 19.
 *
 * @example
 * ```ts
 * import { phaseGrid, progressiveSchedule } from '@cm/schedules';
 *
 * const phases = phaseGrid({ phases: 4 });
 * console.log(phases.edges); // [80, 17.5, 2.52, 0.17, 0]
 * console.log(phases.edgeBelow(1)); // 0.17
 *
 * const { r, edge } = progressiveSchedule({ q: 2, d: 25_000, phases })(1, 60_000);
 * console.log(r > edge); // true
 * ```
 */
export function phaseGrid(edges: readonly number[] | PhaseGridOptions): PhaseGrid {
  const all = isEdges(edges) ? checked(edges) : spread(edges);
  const ends = all.slice(1);
  return {
    edges: all,
    edgeBelow(t) {
      positive('edgeBelow', 't', t);
      return ends.find((edge) => edge < t)!;
    },
  };
}

const isEdges = (edges: readonly number[] | PhaseGridOptions): edges is readonly number[] => Array.isArray(edges);

function spread({ phases, sigmaMax = 80, sigmaMin = 0.002, rho = 7 }: PhaseGridOptions): readonly number[] {
  whole('phaseGrid', 'phases', phases, 1);
  return checked([...karrasLevels('phaseGrid', { points: phases + 1, sigmaMin, sigmaMax, rho }).slice(0, -1), 0]);
}

function checked(edges: readonly number[]): readonly number[] {
  if (edges.length < 2) throw new RangeError(`phaseGrid: edges has ${edges.length} entries, expected t_max, …, 0`);
  edges.forEach((edge, i) => {
    const last = i === edges.length - 1;
    if (last) that('phaseGrid', 'the last edge', edge, edge === 0, '0');
    else positive('phaseGrid', `edges[${i}]`, edge);
    if (i > 0) that('phaseGrid', `edges[${i}]`, edge, edge < edges[i - 1]!, `below edges[${i - 1}], ${edges[i - 1]}`);
  });
  return Object.freeze([...edges]);
}
