/**
 * g_k(H) = ∫₀¹ e^(−H(1−u))·u^k·H du, the weight that an exponential integrator of length H gives to u^k: g_0 = 1 − e^(−H),
 * g_k = 1 − (k/H)·g_(k−1).
 */
export function exponentialMoment(k: number, H: number): number {
  if (H > 2) return k === 0 ? -Math.expm1(-H) : 1 - (k / H) * exponentialMoment(k - 1, H);
  // The recurrence cancels at small H; the series e^(−H)·Σ_j H^(j+1)/(j!·(j + k + 1)) has positive terms only.
  let total = 0;
  let power = H;
  for (let j = 0; power > 1e-18 * H; j++) {
    total += power / (j + k + 1);
    power *= H / (j + 1);
  }
  return Math.exp(-H) * total;
}

/**
 * Weights w_j such that Σ w_j·D_j is ∫₀¹ e^(−H(1−u))·P(u)·H du for the polynomial P through the points (u_j, D_j): the exponential
 * Adams methods' share of the data predictions.
 */
export function exponentialWeights(nodes: readonly number[], H: number): number[] {
  return solve(
    nodes.map((_, k) => nodes.map((u) => u ** k)),
    nodes.map((_, k) => exponentialMoment(k, H)),
  );
}

/** The solution of a small linear system, by elimination with pivots. */
function solve(matrix: readonly (readonly number[])[], right: readonly number[]): number[] {
  const rows = matrix.map((row, i) => [...row, right[i]!]);
  const n = rows.length;
  for (let column = 0; column < n; column++) {
    let pivot = column;
    for (let i = column + 1; i < n; i++) {
      if (Math.abs(rows[i]![column]!) > Math.abs(rows[pivot]![column]!)) pivot = i;
    }
    [rows[column], rows[pivot]] = [rows[pivot]!, rows[column]!];
    for (let i = 0; i < n; i++) {
      if (i === column) continue;
      const factor = rows[i]![column]! / rows[column]![column]!;
      for (let j = column; j <= n; j++) rows[i]![j] = rows[i]![j]! - factor * rows[column]![j]!;
    }
  }
  return rows.map((row, i) => row[n]! / row[i]!);
}
