// Prints the polynomials of src/native/philox.c: interpolation at Chebyshev nodes, within a few percent of the best possible.
import { argv } from 'node:process';

/** Coefficients, lowest first, of the polynomial of a degree that equals f at the Chebyshev nodes of [low, high]. */
function chebyshevFit(f, low, high, degree) {
  const nodes = Array.from(
    { length: degree + 1 },
    (_, i) => (low + high) / 2 + ((high - low) / 2) * Math.cos((Math.PI * (i + 0.5)) / (degree + 1)),
  );
  const newton = nodes.map(f);
  for (let order = 1; order <= degree; order++) {
    for (let i = degree; i >= order; i--) newton[i] = (newton[i] - newton[i - 1]) / (nodes[i] - nodes[i - order]);
  }
  let coefficients = [newton[degree]];
  for (let i = degree - 1; i >= 0; i--) {
    const shifted = [0, ...coefficients];
    coefficients = shifted.map((c, j) => c - nodes[i] * (coefficients[j] ?? 0));
    coefficients[0] += newton[i];
  }
  return coefficients;
}

const polynomials = {
  // -2 ln(1 + f) = -2 f + f² Q(f), for 1 + f in [√½, √2]
  log: [(f) => (2 * f - 2 * Math.log1p(f)) / (f * f), Math.SQRT1_2 - 1, Math.SQRT2 - 1, Number(argv[2] ?? 8)],
  // sin(π/4 y) = y S(y²) and cos(π/4 y) = C(y²), for y in [-1, 1]
  sin: [(z) => Math.sin((Math.PI / 4) * Math.sqrt(z)) / Math.sqrt(z), 0, 1, 3],
  cos: [(z) => Math.cos((Math.PI / 4) * Math.sqrt(z)), 0, 1, 4],
};

for (const [name, [f, low, high, degree]] of Object.entries(polynomials)) {
  const coefficients = chebyshevFit(f, low, high, degree).map(Math.fround);
  let error = 0;
  for (let i = 1; i < 10_000; i++) {
    const x = low + ((high - low) * i) / 10_000;
    if (Math.abs(x) < 1e-3) continue;
    error = Math.max(error, Math.abs(coefficients.reduceRight((sum, c) => sum * x + c, 0) - f(x)));
  }
  console.log(
    name,
    coefficients.map((c) => `${c.toPrecision(9)}f`).join(', '),
    'largest error',
    error.toExponential(2),
  );
}
