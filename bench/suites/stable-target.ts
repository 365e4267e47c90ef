import { key, normal, normalArray } from '@cm/random';
import { referenceSet, stableTarget } from '@cm/stable-target';
import * as tf from '@tensorflow/tfjs-core';
import { useBackend } from '../backend';
import { serve, timed } from '../serve';

const wait = await useBackend(process.argv[2]!);
const [batch, dims] = [128, 3072];

function target(count: number, cacheBytes: number) {
  const pattern = Uint8Array.from(normalArray(key(1), 999_983), (z) => 128 + 40 * z);
  const images = new Uint8Array(count * dims);
  for (let at = 0; at < images.length; at += pattern.length) images.set(pattern.subarray(0, images.length - at), at);
  const references = referenceSet({ images, shape: [count, dims], cacheBytes });
  const x0 = tf.mul(normal(key(2), [batch, dims]), 0.3);
  const noise = normal(key(3), [batch, dims]);
  const t = Array.from(normalArray(key(4), batch), (z) => Math.exp(1.5 * z));
  return async () => {
    const result = stableTarget({ references, x0, noise, t });
    await result.posteriorMean.data();
    tf.dispose({ ...result });
    await wait();
  };
}

await serve({
  '5,000 references': timed(() => target(5000, 1e9)),
  '50,000 references': timed(() => target(50_000, 1e9)),
  '50,000 references, kept as bytes': timed(() => target(50_000, 0)),
});
