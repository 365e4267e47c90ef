/**
 * The eigenvalues of a symmetric tridiagonal matrix, in no order, by implicit QL steps with Wilkinson's shift. Exact to rounding
 * relative to the largest one.
 *
 * @param diagonal [n].
 * @param beside [n − 1], the elements next to it.
 */
export function tridiagonalEigenvalues(diagonal: Float64Array, beside: Float64Array): Float64Array {
  const n = diagonal.length;
  const d = diagonal.slice();
  const e = new Float64Array(n);
  e.set(beside);
  let size = 0;
  for (let i = 0; i < n; i++) size = Math.max(size, Math.abs(d[i]!) + Math.abs(e[i]!));
  const negligible = Number.EPSILON * size;

  for (let first = 0; first < n; first++) {
    for (let step = 0; ; step++) {
      let last = first;
      while (last < n - 1 && Math.abs(e[last]!) > negligible) last++;
      if (last === first) break;
      if (step === 100) throw new Error(`tridiagonalEigenvalues: eigenvalue ${first} of ${n} does not converge`);

      const ahead = (d[first + 1]! - d[first]!) / (2 * e[first]!);
      const root = Math.sqrt(ahead * ahead + 1);
      let g = d[last]! - d[first]! + e[first]! / (ahead < 0 ? ahead - root : ahead + root);
      // The bulge that the shift makes is chased from the end of the block to its beginning by plane rotations (sine, cosine).
      let sine = 1;
      let cosine = 1;
      let carried = 0;
      let i = last - 1;
      for (; i >= first; i--) {
        const f = sine * e[i]!;
        const b = cosine * e[i]!;
        const r = Math.sqrt(f * f + g * g);
        e[i + 1] = r;
        if (r === 0) break;
        sine = f / r;
        cosine = g / r;
        g = d[i + 1]! - carried;
        const s = (d[i]! - g) * sine + 2 * cosine * b;
        carried = sine * s;
        d[i + 1] = g + carried;
        g = cosine * s - b;
      }
      if (i >= first) {
        // The rotation vanished: the block falls apart here.
        d[i + 1]! -= carried;
        e[last] = 0;
        continue;
      }
      d[first]! -= carried;
      e[first] = g;
      e[last] = 0;
    }
  }
  return d;
}
