import * as tf from '@tensorflow/tfjs-core';
import { defineKernel, type WasmKernel } from '../kernel';
import type { Native } from '../module';

interface Attributes {
  readonly axis?: number | number[];
  readonly reductionIndices?: number | number[];
  readonly keepDims: boolean;
}

/** A run of neighbouring axes that are all reduced or all kept. */
interface Run {
  extent: number;
  readonly reduced: boolean;
}

function runsOf(shape: readonly number[], axes: ReadonlySet<number>): Run[] {
  const runs: Run[] = [];
  for (const [axis, extent] of shape.entries()) {
    if (extent === 1) continue;
    const reduced = axes.has(axis);
    const last = runs.at(-1);
    if (last?.reduced === reduced) last.extent *= extent;
    else runs.push({ extent, reduced });
  }
  return runs;
}

const extentOf = (runs: readonly Run[]): number => runs.reduce((product, { extent }) => product * extent, 1);

/**
 * Reduces over the middle of [outer, middle, inner], from one heap offset to another; `count` is how many elements go
 * into one result, given in the last pass alone.
 */
type MiddleReduction = (
  native: Native,
  from: number,
  to: number,
  extents: readonly [outer: number, middle: number, inner: number],
  count: number | undefined,
) => void;

/** A reduction over any axes: one pass over memory for each run of neighbouring axes, the innermost first. */
function reduction(name: string, reduceMiddle: MiddleReduction): WasmKernel {
  return defineKernel<'x', Attributes>(name, ({ inputs: { x }, attrs, module, stock }) => {
    if (x.dtype !== 'float32') return stock();
    const axes = new Set(tf.util.parseAxisParam(attrs.axis ?? attrs.reductionIndices!, x.shape));
    const kept = x.shape.filter((_, axis) => !axes.has(axis));
    const shape = attrs.keepDims ? x.shape.map((extent, axis) => (axes.has(axis) ? 1 : extent)) : kept;
    const y = module.output(shape, 'float32');
    const count = tf.util.sizeFromShape(x.shape) / tf.util.sizeFromShape(kept);

    const reduce = (from: number, runs: readonly Run[]): void => {
      const at = runs.findLastIndex(({ reduced }) => reduced);
      const outer = extentOf(runs.slice(0, Math.max(at, 0)));
      const middle = runs[at]?.extent ?? 1;
      const inner = extentOf(runs.slice(at + 1));
      const rest = runs.filter((_, i) => i !== at);
      if (!rest.some(({ reduced }) => reduced)) {
        reduceMiddle(module.native, from, module.offset(y), [outer, middle, inner], count);
        return;
      }
      module.withScratch(4 * outer * inner, (partial) => {
        reduceMiddle(module.native, from, partial, [outer, middle, inner], undefined);
        reduce(partial, rest);
      });
    };
    reduce(module.offset(x), runsOf(x.shape, axes));
    return y;
  });
}

const sum = (native: Native, from: number, to: number, extents: readonly [number, number, number], factor: number) =>
  native.sum_middle(from, to, ...extents, factor);

/** Sums, means and maxima over any axes. */
export const reductions: WasmKernel[] = [
  reduction(tf.Sum, (native, from, to, extents) => sum(native, from, to, extents, 1)),
  reduction(tf.Mean, (native, from, to, extents, count) =>
    sum(native, from, to, extents, count === undefined ? 1 : 1 / count),
  ),
  reduction(tf.Max, (native, from, to, extents) => native.max_middle(from, to, ...extents)),
];
