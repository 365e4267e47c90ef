import { createLoader, imageDataset } from '@cm/datasets';
import { key, normalArray } from '@cm/random';
import { useBackend } from '../backend';
import { serve, timed } from '../serve';

const { about } = await useBackend('torch');
await serve(
  {
    batches: timed(() => {
      const pattern = Uint8Array.from(normalArray(key(1), 999_983), (z) => 128 + 40 * z);
      const images = new Uint8Array(50_000 * 3072);
      for (let at = 0; at < images.length; at += pattern.length) {
        images.set(pattern.subarray(0, images.length - at), at);
      }
      const dataset = imageDataset({ images, shape: [50_000, 32, 32, 3] });
      const loader = createLoader({ dataset, batchSize: 128, key: key(0), flip: true });
      let position = 0;
      return () => loader.batchAt(position++).images.dispose();
    }),
  },
  { about },
);
