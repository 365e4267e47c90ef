import type { FeatureExtractor } from '@cm/fid';
import type * as tf from '@tensorflow/tfjs-core';
import { useBackend } from '../backend';
import { serve, timed } from '../serve';

/** Serves the extraction of images' features on the backend that the first argument names, and what all sides must find: the first 64 numbers. */
export async function serveExtraction(prepare: () => Promise<{ extract: FeatureExtractor; images: tf.Tensor4D }>) {
  const { about } = await useBackend(process.argv[2]!);
  const found: number[] = [];
  const features = timed(async () => {
    const { extract, images } = await prepare();
    return async () => {
      const extracted = extract(images);
      const values = await extracted.data();
      if (found.length === 0) found.push(...values.slice(0, 64));
      extracted.dispose();
    };
  });
  await serve({ features }, { about, check: () => found });
}
