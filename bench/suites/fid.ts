import { featureAccumulator, foldInception, frechetDistance, inceptionExtractor } from '@cm/fid';
import { key, normalArray } from '@cm/random';
import * as tf from '@tensorflow/tfjs-core';
import { formulaParameters } from '../../packages/fid/test/inception-reference';
import { useBackend } from '../backend';
import { serve, timed } from '../serve';

await useBackend(process.argv[2]!);

/** Statistics of 3,000 rows of 2,048 correlated features. */
function statistics(seed: number) {
  const accumulator = featureAccumulator(2048);
  for (let batch = 0; batch < 30; batch++) {
    const values = normalArray(key(100 * seed + batch), 100 * 2048);
    for (let i = 1; i < values.length; i++) values[i]! += 0.5 * values[i - 1]!;
    accumulator.add({ shape: [100, 2048], values });
  }
  return accumulator.statistics();
}

await serve({
  'Inception-v3, 32 images': timed(() => {
    const extract = inceptionExtractor(foldInception(formulaParameters()));
    const images = tf.randomUniform([32, 32, 32, 3], -1, 1, 'float32', 1) as tf.Tensor4D;
    return async () => {
      const features = extract(images);
      await features.data();
      features.dispose();
    };
  }),
  ...(process.argv[2] === 'torch' && {
    'Fréchet distance, 2,048 features': timed(() => {
      const [a, b] = [statistics(1), statistics(2)];
      return () => frechetDistance(a, b);
    }),
  }),
});
