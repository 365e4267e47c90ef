import { readJsonFixture, u } from '@cm/testing';
import type { FeatureMatrix } from '../src/index';

/** Numbers of the reference implementations, for features made by formula. */
export const fixture = readJsonFixture<{
  tag: string;
  dim: number;
  n1: number;
  n2: number;
  frechet: number;
  frechet_rank_deficient_first_half_rows: number;
  kid_mmd2_unbiased: number;
  precision_first200: number;
  recall_first200: number;
}>(new URL('fixtures/frechet.json', import.meta.url));

/** unit(tag + name) @ (unit(tag + mixing) / √dim) + offset, in float64. */
function mixed(name: string, mixing: string, rows: number, offset: number): FeatureMatrix {
  const { tag, dim } = fixture;
  const x = u(tag + name, rows * dim);
  const m = u(tag + mixing, dim * dim);
  const values = Float64Array.from({ length: rows * dim }, (_, at) => {
    const [row, column] = [Math.floor(at / dim), at % dim];
    let sum = 0;
    for (let k = 0; k < dim; k++) sum += 3 * x[row * dim + k]! * m[k * dim + column]!;
    return sum / Math.sqrt(dim) + offset;
  });
  return { shape: [rows, dim], values };
}

export const x = mixed('x', 'A', fixture.n1, 0.3);
export const y = mixed('y', 'B', fixture.n2, 0);

/** Some rows of a matrix. */
export const rows = ({ shape: [, size], values }: FeatureMatrix, from: number, to: number): FeatureMatrix => ({
  shape: [to - from, size],
  values: values.slice(from * size, to * size),
});

/** Every value through a function. */
export const mapped = ({ shape, values }: FeatureMatrix, f: (value: number) => number): FeatureMatrix => ({
  shape,
  values: values.map(f),
});
