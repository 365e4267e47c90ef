// Resident memory while statistics of many images are taken, of an array on disk of 10,000 images of 64 × 64 (123 MB).
// From the repository's root: npx tsx packages/fid/bench/memory.bench.ts
import { fork } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { writeNpz } from '@cm/checkpoints';
import { configureTorch, isInstalled } from '@cm/torch';
import * as tf from '@tensorflow/tfjs-core';
import { tableOf } from '../../../tools/testing/src/markdown';
import { useWasm } from '../../../tools/testing/src/wasm';
import {
  computeStatistics,
  type FeatureExtractor,
  featureAccumulator,
  foldInception,
  inceptionExtractor,
} from '../src/index';
import { featureChunks, openImages } from '../src/node';
import { formulaParameters } from '../test/inception-reference';

const [count, size] = [10_000, 64];
const resident = () => Math.round(process.memoryUsage().rss / 2 ** 20).toLocaleString('en-US');
const path = process.argv[2];
if (path) {
  // Another process, whose memory is not in the figures.
  const data = Uint8Array.from({ length: count * size * size * 3 }, (_, i) => (i * 2_654_435_761) >>> 24);
  writeFileSync(path, writeNpz({ arr_0: { dtype: 'U8', shape: [count, size, size, 3], data } }));
} else {
  const folder = mkdtempSync(join(tmpdir(), 'fid-memory-'));
  const file = join(folder, 'images.npz');
  try {
    await new Promise((done) => fork(import.meta.filename, [file]).on('exit', done));
    if (isInstalled()) {
      await tf.setBackend('torch');
      configureTorch({ device: 'cpu', threads: 1 });
    } else await useWasm();
    await measure(file);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

async function measure(file: string) {
  // 192 features: a picture of 8 × 8 places.
  const small: FeatureExtractor = (images) => tf.reshape(tf.avgPool(images, 8, 8, 'valid'), [images.shape[0], -1]);
  async function ofArray(extract: FeatureExtractor, features: number, every: number, most: number) {
    const before = resident();
    const accumulator = featureAccumulator(features);
    const seen: string[] = [];
    let done = 0;
    for await (const chunk of featureChunks(await openImages(file), extract)) {
      accumulator.add(chunk);
      done += chunk.shape[0];
      if (Math.floor(done / every) > Math.floor((done - chunk.shape[0]) / every)) seen.push(resident());
      if (done >= most) break;
    }
    return { before, 'while images are read': seen.join(', ') };
  }
  const ofFile = await ofArray(small, 192, 1024, count);

  const before = resident();
  const seen: string[] = [];
  function* drawn() {
    for (let i = 0; i < count; i += 32) {
      if (i % 1024 === 0) seen.push(resident());
      yield tf.randomUniform([32, size, size, 3], -1, 1, 'float32', i) as tf.Tensor4D;
    }
  }
  await computeStatistics(small, drawn());
  const ofGenerator = { before, 'while images are read': seen.join(', ') };

  const parameters = formulaParameters();
  const weights = foldInception(parameters);
  tf.dispose(parameters);
  const ofInception = await ofArray(inceptionExtractor(weights), 2048, 256, 1024);
  console.log(
    tableOf('resident memory, MiB', {
      'small extractor, array on disk, every 1,024 of 10,000': ofFile,
      'small extractor, tensors of a generator, every 1,024 of 10,000': ofGenerator,
      'Inception-v3, array on disk, every 256 of 1,024': ofInception,
    }),
  );
}
