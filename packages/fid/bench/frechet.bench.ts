import { featureAccumulator, frechetDistance } from '../src/index';

/** Uniform features, mixed between neighbours so that the covariance is not diagonal. */
function features(rows: number, size: number): { shape: [number, number]; values: Float32Array } {
  const values = Float32Array.from({ length: rows * size }, Math.random);
  for (let i = 1; i < values.length; i++) values[i]! += 0.5 * values[i - 1]!;
  return { shape: [rows, size], values };
}

function seconds(f: () => void): number {
  const start = performance.now();
  f();
  return (performance.now() - start) / 1000;
}

const table: Record<string, string | number>[] = [];
for (const size of process.argv
  .slice(2)
  .map(Number)
  .concat(process.argv.length > 2 ? [] : [64, 256, 1024, 2048])) {
  const a = featureAccumulator(size);
  const b = featureAccumulator(size);
  const batches = Math.ceil((1.2 * size) / 64);
  const batch = features(64, size);
  a.add(batch);
  const accumulate = seconds(() => {
    for (let i = 0; i < batches; i++) a.add(features(64, size));
  });
  for (let i = 0; i < batches; i++) b.add(features(64, size));
  const [left, right] = [a.statistics(), b.statistics()];
  const distance = seconds(() => frechetDistance(left, right));
  table.push({
    features: size,
    'images/s (features made included)': Math.round((batches * 64) / accumulate),
    'distance, s': distance.toFixed(3),
  });
}
console.table(table);
