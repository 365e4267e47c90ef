/** Loops over a shape in which each operand has its own stride (in elements) along every axis. */
export interface Walk {
  readonly shape: readonly number[];
  readonly strides: readonly (readonly number[])[];
}

/** Row-major strides of a shape. */
export function rowMajor(shape: readonly number[]): number[] {
  const strides = new Array<number>(shape.length);
  let stride = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    strides[axis] = stride;
    stride *= shape[axis]!;
  }
  return strides;
}

/** Strides of an operand of shape `from` broadcast to shape `to`: 0 where it repeats. */
export function broadcastStrides(from: readonly number[], to: readonly number[]): number[] {
  const own = rowMajor(from);
  const skipped = to.length - from.length;
  return to.map((extent, axis) => {
    const at = axis - skipped;
    return at < 0 || (from[at] === 1 && extent !== 1) ? 0 : own[at]!;
  });
}

/** The same loops with as few axes as possible: axes of extent 1 dropped, axes merged where every operand allows it. */
export function collapse({ shape, strides }: Walk): Walk {
  const extents: number[] = [];
  const kept: number[][] = strides.map(() => []);
  for (let axis = 0; axis < shape.length; axis++) {
    const extent = shape[axis]!;
    if (extent === 1) continue;
    const last = extents.length - 1;
    if (last >= 0 && strides.every((own, i) => kept[i]![last] === own[axis]! * extent)) {
      extents[last]! *= extent;
      for (const [i, own] of strides.entries()) kept[i]![last] = own[axis]!;
    } else {
      extents.push(extent);
      for (const [i, own] of strides.entries()) kept[i]!.push(own[axis]!);
    }
  }
  return { shape: extents, strides: kept };
}

type Four = readonly [number, number, number, number];

/**
 * Calls `body` with the collapsed loops' innermost four axes, once for every position of the axes outside them.
 * Missing axes have extent 1; the innermost then has stride 1, so that a kernel may treat it as contiguous.
 */
export function forFourAxes(walk: Walk, body: (extents: Four, strides: Four[], offsets: number[]) => void): void {
  if (walk.shape.includes(0)) return;
  const { shape, strides } = collapse(walk);
  const outer = Math.max(0, shape.length - 4);
  const four = (values: readonly number[], missing: Four): Four => {
    const inner = values.slice(outer);
    return [...missing.slice(0, 4 - inner.length), ...inner] as unknown as Four;
  };
  const extents = four(shape, [1, 1, 1, 1]);
  const innerStrides = strides.map((own) => four(own, [0, 0, 0, 1]));
  if (shape.length === 0) innerStrides.fill([0, 0, 0, 1]);
  const visit = (axis: number, offsets: number[]): void => {
    if (axis === outer) {
      body(extents, innerStrides, offsets);
      return;
    }
    for (let i = 0; i < shape[axis]!; i++) {
      visit(
        axis + 1,
        offsets.map((offset, operand) => offset + i * strides[operand]![axis]!),
      );
    }
  };
  visit(
    0,
    strides.map(() => 0),
  );
}
