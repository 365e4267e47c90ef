// Images a second, and a second of processor time, which other work on the machine leaves alone, of DINOv2's ViT-B/14 with formula weights: npx tsx bench/dino.bench.ts [threads, default 1]; the other side: bench/dino.py.
import { configureTorch, isInstalled } from '@cm/torch';
import * as tf from '@tensorflow/tfjs-core';
import { useWasm } from '../../../tools/testing/src/wasm';
import { dinoV2Extractor, dinoV2ParameterShapes, dinoV2Sizes, prepareDinoV2 } from '../src/index';

const threads = Number(process.argv[2] ?? 1);
const backends: Record<string, () => Promise<void>> = {
  ...(isInstalled() && {
    torch: async () => {
      await tf.setBackend('torch');
      configureTorch({ device: 'cpu', threads });
    },
  }),
  ...(threads === 1 && { wasm: useWasm }),
};
for (const [name, use] of Object.entries(backends)) {
  await use();
  const shapes = dinoV2ParameterShapes(dinoV2Sizes.vitb14);
  const parameters = Object.fromEntries(
    Object.entries(shapes).map(([key, shape], i) => [key, tf.randomUniform([...shape], -0.05, 0.05, 'float32', i + 1)]),
  );
  const extract = dinoV2Extractor(prepareDinoV2(parameters));
  const batch = 8;
  const images = tf.randomUniform([batch, 64, 64, 3], -1, 1, 'float32', 1) as tf.Tensor4D;
  let [best, least] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
  for (let i = 0; i < 3; i++) {
    const start = performance.now();
    const before = process.cpuUsage();
    const features = extract(images);
    await features.data();
    features.dispose();
    const { user, system } = process.cpuUsage(before);
    best = Math.min(best, (performance.now() - start) / 1000);
    least = Math.min(least, (user + system) / 1e6);
  }
  console.log(
    `${name}, ${threads} thread(s): ${(batch / best).toFixed(2)} images/s, ${(batch / least).toFixed(2)} a second of processor time`,
  );
}
