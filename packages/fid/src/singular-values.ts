import { withMemory } from './linear-algebra';
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
  const beside = bidiagonalize(matrix, rows, columns);
  const eigenvalues = tridiagonalEigenvalues(new Float64Array(2 * columns), beside);
  return eigenvalues.sort().subarray(columns).map(Math.abs);
}

/** d_0, e_0, d_1, …, d_{columns − 1} of the bidiagonal form of a matrix of at least as many rows as columns. */
function bidiagonalize(matrix: Float64Array, rows: number, columns: number): Float64Array {
  const besideAt = rows * columns;
  const workAt = besideAt + 2 * columns;
  const { functions, values, addressOf } = withMemory(workAt + 4 * (rows + columns));
  values.set(matrix);
  functions.bidiagonalize(addressOf(0), rows, columns, addressOf(besideAt), addressOf(workAt));
  return values.slice(besideAt, besideAt + 2 * columns - 1);
}

function transpose(matrix: Float64Array, rows: number, columns: number): Float64Array {
  const transposed = new Float64Array(matrix.length);
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < columns; j++) transposed[j * rows + i] = matrix[i * columns + j]!;
  }
  return transposed;
}
