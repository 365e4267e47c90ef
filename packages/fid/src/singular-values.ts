import { tridiagonalEigenvalues } from './tridiagonal';

/**
 * The singular values of a matrix, in no order: Householder's reflections from the left and the right make it bidiagonal
 * (Golub and Kahan), and the bidiagonal matrix B's singular values σ are the eigenvalues ±σ of the symmetric tridiagonal matrix
 * with zero diagonal beside which B's entries d_0, e_0, d_1, e_1, … stand. Exact to rounding relative to the largest one:
 * nothing is squared.
 *
 * @param matrix [rows, columns] row-major.
 */
export function singularValues(matrix: Float64Array, rows: number, columns: number): Float64Array {
  if (rows < columns) return singularValues(transpose(matrix, rows, columns), columns, rows);
  if (columns === 0) return new Float64Array(0);
  const beside = bidiagonalize(matrix.slice(), rows, columns);
  const eigenvalues = tridiagonalEigenvalues(new Float64Array(2 * columns), beside);
  return eigenvalues.sort().subarray(columns).map(Math.abs);
}

/**
 * d_0, e_0, d_1, …, d_{columns − 1} of the bidiagonal form of a matrix of at least as many rows as columns, which is destroyed.
 *
 * Each step reflects a column by v and a row by u: A ← A − v wᵀ − y uᵀ. The subtraction is put off to the next step, where the
 * same pass over the matrix takes the product with the next v; so there are two passes a step in place of four.
 */
function bidiagonalize(a: Float64Array, rows: number, columns: number): Float64Array {
  const beside = new Float64Array(2 * columns - 1);
  let [v, w, y, u] = [
    new Float64Array(rows),
    new Float64Array(columns),
    new Float64Array(rows),
    new Float64Array(columns),
  ];
  for (let k = 0; k < columns; k++) {
    const nextV = new Float64Array(rows);
    for (let i = k; i < rows; i++) nextV[i] = a[i * columns + k]! - v[i]! * w[k]! - y[i]! * u[k]!;
    const left = reflection(nextV, k);
    beside[2 * k] = left.length;
    if (k === columns - 1) break;

    const nextW = new Float64Array(columns);
    for (let i = k; i < rows; i++) {
      const row = a.subarray(i * columns, (i + 1) * columns);
      const vi = v[i]!;
      const yi = y[i]!;
      const ni = nextV[i]!;
      for (let j = k + 1; j < columns; j++) {
        const value = row[j]! - vi * w[j]! - yi * u[j]!;
        row[j] = value;
        nextW[j]! += ni * value;
      }
    }
    for (let j = k + 1; j < columns; j++) nextW[j]! *= left.factor;

    const nextU = new Float64Array(columns);
    for (let j = k + 1; j < columns; j++) nextU[j] = a[k * columns + j]! - nextV[k]! * nextW[j]!;
    const right = reflection(nextU, k + 1);
    beside[2 * k + 1] = right.length;

    const nextY = new Float64Array(rows);
    multiply(a, nextU, nextY, k + 1, rows, columns);
    let wu = 0;
    for (let j = k + 1; j < columns; j++) wu += nextW[j]! * nextU[j]!;
    for (let i = k + 1; i < rows; i++) nextY[i] = right.factor * (nextY[i]! - nextV[i]! * wu);
    [v, w, y, u] = [nextV, nextW, nextY, nextU];
  }
  return beside;
}

/**
 * Makes of x, zero before `start`, the vector v of the reflection I − factor · v vᵀ that takes x to a multiple `length` of the unit
 * vector at `start`.
 */
function reflection(x: Float64Array, start: number): { factor: number; length: number } {
  let squares = 0;
  for (let i = start; i < x.length; i++) squares += x[i]! * x[i]!;
  const head = x[start]!;
  // Away from the head's own sign, so that nothing cancels.
  const length = head > 0 ? -Math.sqrt(squares) : Math.sqrt(squares);
  x[start] = head - length;
  const norm = squares - head * length;
  return { factor: norm > 0 ? 1 / norm : 0, length };
}

/** out[i] = Σ_j a[i, j] x[j] for rows and columns from `start` on, four rows for each time x is read. */
function multiply(
  a: Float64Array,
  x: Float64Array,
  out: Float64Array,
  start: number,
  rows: number,
  columns: number,
): void {
  let i = start;
  for (; i + 4 <= rows; i += 4) {
    const a0 = a.subarray(i * columns, (i + 1) * columns);
    const a1 = a.subarray((i + 1) * columns, (i + 2) * columns);
    const a2 = a.subarray((i + 2) * columns, (i + 3) * columns);
    const a3 = a.subarray((i + 3) * columns, (i + 4) * columns);
    let s0 = 0;
    let s1 = 0;
    let s2 = 0;
    let s3 = 0;
    for (let j = start; j < columns; j++) {
      const xj = x[j]!;
      s0 += a0[j]! * xj;
      s1 += a1[j]! * xj;
      s2 += a2[j]! * xj;
      s3 += a3[j]! * xj;
    }
    out[i] = s0;
    out[i + 1] = s1;
    out[i + 2] = s2;
    out[i + 3] = s3;
  }
  for (; i < rows; i++) {
    let sum = 0;
    for (let j = start; j < columns; j++) sum += a[i * columns + j]! * x[j]!;
    out[i] = sum;
  }
}

function transpose(matrix: Float64Array, rows: number, columns: number): Float64Array {
  const transposed = new Float64Array(matrix.length);
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < columns; j++) transposed[j * rows + i] = matrix[i * columns + j]!;
  }
  return transposed;
}
