/**
 * What a solver computes with. X is a batch of images; in tests it is a number, which shows a solver's order in float64, or a linear form
 * of the noises, which shows the distribution of its result.
 */
export interface Space<X> {
  /** Σ coefficient·x. */
  sum(...terms: readonly (readonly [coefficient: number, x: X])[]): X;
  /** D(x, t): one evaluation of the model. */
  denoise(x: X, t: number): X;
  /** Fresh standard-normal noise. */
  noise(): X;
}

/** What passes from step to step. */
export interface State<X> {
  readonly x: X;
  /** What the solver remembers of earlier steps, newest first. */
  readonly memory: readonly X[];
}

/** A step from one noise level to a lower one above 0. */
export interface Step {
  readonly from: number;
  readonly to: number;
  /** The levels that earlier steps started from, newest first. */
  readonly earlier: readonly number[];
}

/** One step of a method. Its coefficients are float64 numbers; all that happens to images are sums and evaluations. */
export type Solver = <X>(space: Space<X>, state: State<X>, step: Step) => State<X>;

/** Something done before every step: it may raise the noise level. */
export type BeforeStep = <X>(space: Space<X>, x: X, t: number) => { readonly x: X; readonly t: number };

/** The step from levels[i] to levels[i + 1]. A step to 0 ends at the denoised image, whatever the solver: one evaluation. */
export function advance<X>(
  space: Space<X>,
  state: State<X>,
  levels: readonly number[],
  i: number,
  { solver, before }: { readonly solver: Solver; readonly before?: BeforeStep | undefined },
): State<X> {
  const { x, t } = before ? before(space, state.x, levels[i]!) : { x: state.x, t: levels[i]! };
  const to = levels[i + 1]!;
  if (to === 0) return { x: space.denoise(x, t), memory: [] };
  return solver(space, { x, memory: state.memory }, { from: t, to, earlier: levels.slice(0, i).reverse() });
}
