import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { expectClose, unit } from '@cm/testing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { factorize, factorProduct } from '../src/factor';
import { sourceHash } from '../src/linear-algebra.generated';
import { singularValues } from '../src/singular-values';
import { tridiagonalEigenvalues } from '../src/tridiagonal';

/** a [m, k] times b [k, n], row-major. */
function product(a: ArrayLike<number>, b: ArrayLike<number>, m: number, k: number, n: number): Float64Array {
  return Float64Array.from({ length: m * n }, (_, at) => {
    let sum = 0;
    for (let l = 0; l < k; l++) sum += a[Math.floor(at / n) * k + l]! * b[l * n + (at % n)]!;
    return sum;
  });
}

const transposed = (a: ArrayLike<number>, m: number, n: number) =>
  Float64Array.from({ length: m * n }, (_, at) => a[(at % m) * n + Math.floor(at / m)]!);

const size = fc.integer({ min: 1, max: 14 });

describe('eigenvalues of a tridiagonal matrix', () => {
  it('with 0 on the diagonal and 1 beside it are 2 cos(π i / (n + 1))', () => {
    for (const n of [1, 2, 3, 50]) {
      const eigenvalues = tridiagonalEigenvalues(new Float64Array(n), new Float64Array(n - 1).fill(1)).sort();
      for (const [i, eigenvalue] of eigenvalues.entries()) {
        expect(eigenvalue).toBeCloseTo(-2 * Math.cos((Math.PI * (i + 1)) / (n + 1)), 13);
      }
    }
  });

  it('of a diagonal one are its diagonal', () => {
    expect([...tridiagonalEigenvalues(Float64Array.of(3, -1, 2), new Float64Array(2)).sort()]).toEqual([-1, 2, 3]);
  });
});

describe('singular values', () => {
  it('are those that a matrix was made with', () => {
    fc.assert(
      fc.property(size, size, fc.nat(1000), (m, n, name) => {
        // Between two reflections, which are orthogonal.
        const reflection = (side: string, k: number) => {
          const v = unit(side + name, [k]);
          const squares = v.reduce((sum, x) => sum + x * x, 0);
          return Float64Array.from({ length: k * k }, (_, at) => {
            const [i, j] = [Math.floor(at / k), at % k];
            return (i === j ? 1 : 0) - (2 * v[i]! * v[j]!) / squares;
          });
        };
        const rank = Math.min(m, n);
        // Some equal, some zero.
        const expected = Float64Array.from({ length: rank }, (_, i) => (i * name) % 5).sort();
        const middle = new Float64Array(m * n);
        expected.forEach((value, i) => {
          middle[i * n + i] = value;
        });
        const left = product(reflection('left', m), middle, m, m, n);
        const matrix = product(left, reflection('right', n), m, n, n);
        const before = matrix.slice();
        const actual = singularValues(matrix, m, n).sort();
        expect(matrix).toEqual(before);
        for (let i = 0; i < rank; i++) expect(Math.abs(actual[i]! - expected[i]!)).toBeLessThan(1e-13);
      }),
      { numRuns: 300 },
    );
  });

  it('of nothing are none', () => {
    expect(singularValues(new Float64Array(0), 0, 0)).toHaveLength(0);
    expect(singularValues(new Float64Array(0), 0, 3)).toHaveLength(0);
  });
});

describe('the factorisation of a covariance', () => {
  it('gives it back, with as many rows as its rank', () => {
    fc.assert(
      fc.property(size, size, fc.nat(1000), (n, rank, name) => {
        const root = unit(`root${name}`, [rank, n]);
        const matrix = product(transposed(root, rank, n), root, n, rank, n);
        const factor = factorize(matrix, n);
        expect(factor.rank).toBe(Math.min(n, rank));
        const inPlace = new Float64Array(factor.rank * n);
        for (let r = 0; r < factor.rank; r++) {
          for (let c = 0; c < n; c++) inPlace[r * n + factor.order[c]!] = factor.rows[r * n + c]!;
        }
        expectClose(product(transposed(inPlace, factor.rank, n), inPlace, n, factor.rank, n), matrix, 1e-13);

        const other = factorize(
          Float64Array.from({ length: n * n }, (_, i) => (i % (n + 1) === 0 ? 4 : 0)),
          n,
        );
        const doubled = product(
          inPlace,
          Float64Array.from({ length: n * n }, (_, i) => (i % (n + 1) === 0 ? 2 : 0)),
          factor.rank,
          n,
          n,
        );
        const columns = factorProduct(factor, other);
        for (let r = 0; r < factor.rank; r++) {
          for (let c = 0; c < n; c++) expect(columns[r * n + c]).toBeCloseTo(doubled[r * n + other.order[c]!]!, 12);
        }
      }),
      { numRuns: 200 },
    );
  });
});

it('the WebAssembly module is that of the C source', () => {
  const source = readFileSync(new URL('../native/linear-algebra.c', import.meta.url));
  expect(sourceHash, 'run scripts/build-wasm.mjs').toBe(createHash('sha256').update(source).digest('hex'));
});
