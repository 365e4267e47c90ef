import type * as tf from '@tensorflow/tfjs-core';
import { eachKernel } from './each-kernel';

interface Row {
  ms: number;
  calls: number;
  'GFLOP/s'?: number;
}

type Shaped = Record<string, { readonly shape: number[] } | undefined>;

/** Milliseconds and calls of every kernel that `f` runs, slowest first; convolutions by filter, with their speed. */
export function profileKernels(f: () => void): Record<string, Row> {
  const spent = new Map<string, { ms: number; calls: number; flops: number }>();
  eachKernel(f, ({ name, inputs, attributes, ms }) => {
    const convolution = convolutionOf(name, inputs as unknown as Shaped, attributes);
    const id = convolution ? `${name} ${convolution.filter.join('×')}` : name;
    const entry = spent.get(id) ?? { ms: 0, calls: 0, flops: 0 };
    spent.set(id, {
      ms: entry.ms + ms,
      calls: entry.calls + 1,
      flops: entry.flops + (convolution?.flops ?? 0),
    });
  });
  const sorted = [...spent].sort(([, a], [, b]) => b.ms - a.ms).slice(0, 30);
  return Object.fromEntries(
    sorted.map(([name, { ms, calls, flops }]) => [
      name,
      { ms: round(ms), calls, ...(flops > 0 && { 'GFLOP/s': round(flops / ms / 1e6) }) },
    ]),
  );
}

const round = (value: number) => Number(value.toFixed(1));

/** Filter and work of a convolution of stride 1 or of one of its gradients. */
function convolutionOf(name: string, { x, filter, dy }: Shaped, attributes: tf.NamedAttrMap) {
  if (!name.startsWith('Conv2D')) return undefined;
  const shape = filter?.shape ?? (attributes.filterShape as number[]);
  const pixels = (x ?? dy)!.shape.slice(0, 3).reduce((product, extent) => product * extent, 1);
  return { filter: shape, flops: 2 * pixels * shape.reduce((product, extent) => product * extent, 1) };
}
