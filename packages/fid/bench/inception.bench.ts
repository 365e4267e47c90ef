// Errors of each stage against torch-fidelity's numbers (formula weights, test/fixtures), and images a second.
// npx tsx bench/inception.bench.ts [threads, default 1]; the other side: bench/torch_fidelity.py.
import { configureTorch, isInstalled } from '@cm/torch';
import * as tf from '@tensorflow/tfjs-core';
import { useWasm } from '../../../tools/testing/src/wasm';
import { foldInception, inceptionExtractor, inceptionFeatures } from '../src/index';
import { formulaParameters, reference, referenceImages } from '../test/inception-reference';

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
const names = ['64', '192', '768', '2048', 'logits_unbiased'] as const;
for (const [name, use] of Object.entries(backends)) {
  await use();
  const weights = foldInception(formulaParameters());
  const found = inceptionFeatures(weights, referenceImages(), names);
  const errors = names.map((feature): [string, string] => {
    const expected = reference.tensors[`features.${feature}`]!.data as Float32Array;
    const actual = found[feature].dataSync();
    const largest = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    const error = expected.reduce((most, value, i) => Math.max(most, Math.abs(value - actual[i]!)), 0);
    return [feature, (error / largest).toExponential(1)];
  });
  const extract = inceptionExtractor(weights);
  const batch = 32;
  const images = tf.randomUniform([batch, 32, 32, 3], -1, 1, 'float32', 1) as tf.Tensor4D;
  let best = Number.POSITIVE_INFINITY;
  for (let i = 0; i < 3; i++) {
    const start = performance.now();
    const features = extract(images);
    await features.data();
    features.dispose();
    best = Math.min(best, (performance.now() - start) / 1000);
  }
  const listed = errors.map(([feature, error]) => `${feature}: ${error}`).join(', ');
  console.log(`${name}, ${threads} thread(s): errors ${listed}; ${(batch / best).toFixed(1)} images/s`);
}
