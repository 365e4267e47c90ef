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
  const rows = new Float64Array(size * size);
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
    subtractProjections(rows, row, rank, size);
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

/** row −= Σ_{r < rank} R[r, rank] R[r, ·], from column `rank` on; four rows for each time `row` is read. */
function subtractProjections(rows: Float64Array, row: Float64Array, rank: number, size: number): void {
  let r = 0;
  for (; r + 4 <= rank; r += 4) {
    const r0 = rows.subarray(r * size, (r + 1) * size);
    const r1 = rows.subarray((r + 1) * size, (r + 2) * size);
    const r2 = rows.subarray((r + 2) * size, (r + 3) * size);
    const r3 = rows.subarray((r + 3) * size, (r + 4) * size);
    const a0 = r0[rank]!;
    const a1 = r1[rank]!;
    const a2 = r2[rank]!;
    const a3 = r3[rank]!;
    for (let c = rank; c < size; c++) row[c]! -= a0 * r0[c]! + a1 * r1[c]! + a2 * r2[c]! + a3 * r3[c]!;
  }
  for (; r < rank; r++) {
    const from = r * size;
    const a = rows[from + rank]!;
    for (let c = rank; c < size; c++) row[c]! -= a * rows[from + c]!;
  }
}

/** R_a R_bᵀ, [rank of a, rank of b] row-major, where a and b are factors of matrices of the same size. */
export function factorProduct(a: Factor, b: Factor): Float64Array {
  const size = a.order.length;
  // b's columns in a's order, so that a's zeros left of the diagonal are skipped.
  const place = new Uint32Array(size);
  for (let c = 0; c < size; c++) place[b.order[c]!] = c;
  const right = Array.from({ length: b.rank }, (_, r) =>
    Float64Array.from(a.order, (column) => b.rows[r * size + place[column]!]!),
  );
  const none = new Float64Array(size);
  const product = new Float64Array(a.rank * b.rank);
  for (let i = 0; i < a.rank; i++) {
    const left = a.rows.subarray(i * size, (i + 1) * size);
    for (let j = 0; j < b.rank; j += 4) {
      const r0 = right[j]!;
      const r1 = right[j + 1] ?? none;
      const r2 = right[j + 2] ?? none;
      const r3 = right[j + 3] ?? none;
      let s0 = 0;
      let s1 = 0;
      let s2 = 0;
      let s3 = 0;
      for (let c = i; c < size; c++) {
        const x = left[c]!;
        s0 += x * r0[c]!;
        s1 += x * r1[c]!;
        s2 += x * r2[c]!;
        s3 += x * r3[c]!;
      }
      product.set([s0, s1, s2, s3].slice(0, b.rank - j), i * b.rank + j);
    }
  }
  return product;
}

function swap(array: Float64Array | Uint32Array, i: number, j: number): void {
  const moved = array[i]!;
  array[i] = array[j]!;
  array[j] = moved;
}
