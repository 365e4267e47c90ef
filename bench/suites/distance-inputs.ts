import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type FileTensor, writeSafetensors } from '@cm/checkpoints';
import { featureAccumulator } from '@cm/fid';
import { key, normalArray } from '@cm/random';

// The statistics of two sets of 3,000 rows of 2,048 correlated features.

const size = 2048;
const file: Record<string, FileTensor> = {};
for (const seed of [1, 2]) {
  const accumulator = featureAccumulator(size);
  for (let batch = 0; batch < 30; batch++) {
    const values = normalArray(key(100 * seed + batch), 100 * size);
    for (let i = 1; i < values.length; i++) values[i]! += 0.5 * values[i - 1]!;
    accumulator.add({ shape: [100, size], values });
  }
  const { mean, covariance } = accumulator.statistics();
  const bytes = (values: Float64Array) => new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  file[`mean${seed}`] = { dtype: 'F64', shape: [size], data: bytes(Float64Array.from(mean)) };
  file[`covariance${seed}`] = { dtype: 'F64', shape: [size, size], data: bytes(Float64Array.from(covariance)) };
}
writeFileSync(join(process.argv[2]!, 'distance.safetensors'), writeSafetensors(file));
