import { withMemory } from './linear-algebra';

/** A symmetric positive semi-definite matrix as Rᵀ R: {@link factorize}. */
export interface Factor {
  /** The matrix's rank, the number of R's rows. */
  readonly rank: number;
  /** Which column of the matrix each column of R is. */
  readonly order: Uint32Array;
  /** R, [rank, size] row-major, with columns in that order: zero left of the diagonal. */
  readonly rows: Float64Array;
}

/**
 * Cholesky's factorisation with the largest remaining diagonal element first: M = Rᵀ R once R's columns are put back in order.
 * What remains at the end is rounding: it stops when no diagonal element exceeds size · 2^−52 times the largest one of M,
 * so a singular matrix gives as many rows as its rank, and a full one is factorised whole.
 *
 * @param matrix [size, size], symmetric and positive semi-definite.
 */
export function factorize(matrix: Float64Array, size: number): Factor {
  const order = Uint32Array.from({ length: size }, (_, i) => i);
  const remaining = Float64Array.from(order, (i) => matrix[i * (size + 1)]!);
  const { functions, values: rows, addressOf } = withMemory(size * size);
  const tolerance = size * Number.EPSILON * remaining.reduce((a, b) => Math.max(a, b), 0);
  let rank = 0;
  for (; rank < size; rank++) {
    let largest = rank;
    for (let c = rank + 1; c < size; c++) if (remaining[c]! > remaining[largest]!) largest = c;
    if (!(remaining[largest]! > tolerance)) break;
    swap(order, rank, largest);
    swap(remaining, rank, largest);
    for (let r = 0; r < rank; r++) swap(rows, r * size + rank, r * size + largest);

    const row = rows.subarray(rank * size, (rank + 1) * size);
    const from = order[rank]! * size;
    for (let c = rank; c < size; c++) row[c] = matrix[from + order[c]!]!;
    functions.subtractProjections(addressOf(0), addressOf(rank * size), rank, rank, size);
    const pivot = Math.sqrt(remaining[rank]!);
    row[rank] = pivot;
    for (let c = rank + 1; c < size; c++) {
      const value = row[c]! / pivot;
      row[c] = value;
      remaining[c]! -= value * value;
    }
  }
  return { rank, order, rows: rows.subarray(0, rank * size) };
}

/** R_a R_bᵀ, [rank of a, rank of b] row-major, where a and b are factors of matrices of the same size. */
export function factorProduct(a: Factor, b: Factor): Float64Array {
  const size = a.order.length;
  // b's columns in a's order, so that a's zeros left of the diagonal are skipped.
  const place = new Uint32Array(size);
  for (let c = 0; c < size; c++) place[b.order[c]!] = c;
  const padded = (count: number) => 4 * Math.ceil(count / 4);
  const [rows, columns] = [padded(a.rank), padded(b.rank)];
  const { functions, values, addressOf } = withMemory((rows + columns) * size + rows * columns);
  values.set(a.rows);
  const right = rows * size;
  for (let r = 0; r < b.rank; r++) {
    for (let c = 0; c < size; c++) values[right + r * size + c] = b.rows[r * size + place[a.order[c]!]!]!;
  }
  const out = right + columns * size;
  functions.multiplyTransposed(addressOf(0), addressOf(right), addressOf(out), a.rank, b.rank, size);
  const product = new Float64Array(a.rank * b.rank);
  for (let i = 0; i < a.rank; i++) {
    product.set(values.subarray(out + i * columns, out + i * columns + b.rank), i * b.rank);
  }
  return product;
}

function swap(array: Float64Array | Uint32Array, i: number, j: number): void {
  const moved = array[i]!;
  array[i] = array[j]!;
  array[j] = moved;
}
