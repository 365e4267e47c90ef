import {
  computeFeatures,
  type FeatureAccumulator,
  type FeatureExtractor,
  type FeatureMatrix,
  type FeatureStatistics,
  featureAccumulator,
  type ImageBatches,
} from '@cm/fid';
import type { ImageSource } from '@cm/fid/node';
import { type Communicator, inAll } from '@cm/trainer';

// One set of images over several processes, each with its part of them.

/** Images [from, to) of a source. */
export function partOf(source: ImageSource, from: number, to: number): ImageSource {
  return {
    count: to - from,
    async *entries() {
      let at = 0;
      for await (const entry of source.entries()) {
        if (at >= to) return;
        if (at++ >= from) yield entry;
      }
    },
  };
}

/** The moments of all processes' images, the same in each, merged in the order of ranks. */
export async function mergedMoments(communicator: Communicator, own: FeatureAccumulator): Promise<FeatureAccumulator> {
  const { count, mean, scatter } = own.moments();
  const size = mean.length;
  const sent = new Float64Array(1 + size + size * size);
  sent[0] = count;
  sent.set(mean, 1);
  sent.set(scatter, 1 + size);
  const merged = featureAccumulator(size);
  for (const bytes of await communicator.allGatherBytes(new Uint8Array(sent.buffer))) {
    const values = new Float64Array(bytes.slice().buffer);
    merged.merge({ count: values[0]!, mean: values.subarray(1, 1 + size), scatter: values.subarray(1 + size) });
  }
  return merged;
}

/**
 * Statistics of the features of images that processes share, the same in each: those of one process, up to the rounding of float64. Each batch is freed.
 *
 * @param own Gives this process's batches.
 */
export async function sharedStatistics(
  communicator: Communicator | undefined,
  extract: FeatureExtractor,
  own: () => ImageBatches,
): Promise<FeatureStatistics> {
  let accumulator: FeatureAccumulator | undefined;
  const sizes = await inAll(communicator, async () => {
    for await (const batch of own()) {
      const features = await computeFeatures(extract, [batch]);
      accumulator ??= featureAccumulator(features.shape[1]);
      accumulator.add(features);
      // Lets the others hear that this process is at work.
      await new Promise(setImmediate);
    }
    return accumulator?.moments().mean.length ?? 0;
  });
  const all = accumulator ?? featureAccumulator(Math.max(...sizes));
  return (communicator ? await mergedMoments(communicator, all) : all).statistics();
}

/** The features of each process's images. */
export async function gatheredFeatures(communicator: Communicator, own: FeatureMatrix): Promise<FeatureMatrix[]> {
  const size = own.shape[1];
  const bytes = new Uint8Array(own.values.buffer, own.values.byteOffset, own.values.byteLength);
  return (await communicator.allGatherBytes(bytes)).map((part) => {
    const values = new Float32Array(part.slice().buffer);
    return { shape: [values.length / size, size], values };
  });
}
