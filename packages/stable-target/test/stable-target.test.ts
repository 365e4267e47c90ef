import { expectClose, expectNoLeak, onEveryBackend, readSafetensorsFixture, unit } from '@cm/testing';
import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type KeptAs, posteriorLogWeights, referenceSet, stableTarget } from '../src';

const { tensors } = readSafetensorsFixture(new URL('fixtures/stable-target.safetensors', import.meta.url));
const data = <T = Float64Array>(name: string) => tensors[name]!.data as unknown as T;
const [count, dims] = tensors.references!.shape as [number, number];
const batch = tensors.t!.shape[0]!;

/** The reference's rows; x_0 is the reference sample that own_index names. */
function fixture() {
  const all = tf.tensor2d(data<Float32Array>('references'), [count, dims]);
  const ownIndex = Array.from(data<Int32Array>('own_index'));
  return {
    x0: tf.gather(all, tf.tensor1d(ownIndex, 'int32')),
    noise: tf.tensor2d(data<Float32Array>('eps'), [batch, dims]),
    t: Array.from(data('t')),
    ownIndex,
    references: (options = {}) =>
      referenceSet({
        images: data<Float32Array>('references'),
        shape: [count, dims],
        labels: data<Int32Array>('labels'),
        ...options,
      }),
    labels: ownIndex.map((index) => data<Int32Array>('labels')[index]!),
  };
}

/**
 * Weights [batch, references], with those of samples 0 and 32, which are one and the same, added up: at t = 0.002 float32 does not
 * resolve how the posterior shares its weight between them (nor does it matter to the mean).
 */
function mergedTwins(weights: tf.Tensor | Float64Array): Float64Array {
  const merged = Float64Array.from(weights instanceof tf.Tensor ? weights.dataSync() : weights);
  for (let row = 0; row < batch; row++) {
    merged[row * count]! += merged[row * count + 32]!;
    merged[row * count + 32] = 0;
  }
  return merged;
}

const tensor = (name: string, shape: number[]) => tf.tensor(unit(name, shape), shape);

/** Posterior in float64, straight from the definition. */
function bruteForce(x0: number[][], noise: number[][], t: number[], references: number[][], own: number[]) {
  return x0.map((clean, row) => {
    const samples = own[row]! < 0 ? [...references, clean] : references;
    const noisy = clean.map((value, d) => value + t[row]! * noise[row]![d]!);
    const logits = samples.map(
      (sample) => -sample.reduce((sum, value, d) => sum + (noisy[d]! - value) ** 2, 0) / (2 * t[row]! ** 2),
    );
    const top = Math.max(...logits);
    const weights = logits.map((logit) => Math.exp(logit - top));
    const total = weights.reduce((sum, w) => sum + w, 0);
    return clean.map((_, d) => samples.reduce((sum, sample, i) => sum + (weights[i]! / total) * sample[d]!, 0));
  });
}

onEveryBackend(() => {
  describe('the reference numbers', () => {
    it('of posterior mean and ε over all references', () => {
      const { x0, noise, t, ownIndex, references } = fixture();
      const { posteriorMean, epsilon } = stableTarget({ references: references(), x0, noise, t, ownIndex });
      expectClose(posteriorMean, data('posterior_mean'), 1e-5);
      // ε̂ is (x_t − x̂)/t: an error of 1e-5 in x̂ is one of 1e-5/t in it.
      const expected = data('epsilon');
      const mine = epsilon.dataSync();
      t.forEach((level, row) => {
        for (let d = row * dims; d < (row + 1) * dims; d++) {
          expect(Math.abs(mine[d]! - expected[d]!)).toBeLessThan(1e-5 * Math.max(1, 1 / level) * 4);
        }
      });
    });

    it('of the weights', () => {
      const { x0, noise, t, ownIndex, references } = fixture();
      const { logWeights, ownLogWeight } = posteriorLogWeights({ references: references(), x0, noise, t, ownIndex });
      expectClose(mergedTwins(tf.exp(logWeights)), mergedTwins(data('weights')), 1e-5);
      expect(Math.max(...ownLogWeight.dataSync())).toBe(Number.NEGATIVE_INFINITY);
    });

    it('within the class', () => {
      const { x0, noise, t, ownIndex, references, labels } = fixture();
      const options = { references: references(), x0, noise, t, ownIndex, labels };
      expectClose(stableTarget(options).posteriorMean, data('class_posterior_mean'), 1e-5);
      expectClose(
        mergedTwins(tf.exp(posteriorLogWeights(options).logWeights)),
        mergedTwins(data('class_weights')),
        1e-5,
      );
    });

    it('with a prior', () => {
      const { x0, noise, t, ownIndex, references } = fixture();
      const prior = tf.tensor1d(Float32Array.from(data('prior'), Math.log));
      const options = { references: references(), x0, noise, t, ownIndex, logPrior: prior };
      expectClose(
        mergedTwins(tf.exp(posteriorLogWeights(options).logWeights)),
        mergedTwins(data('prior_weights')),
        1e-5,
      );
      const wide = tf.tile(tf.expandDims(prior, 0), [batch, 1]) as tf.Tensor2D;
      expectClose(
        stableTarget({ ...options, logPrior: wide }).posteriorMean,
        stableTarget(options).posteriorMean,
        1e-6,
      );
    });
  });

  it('the weights sum to one, the own sample included once whether or not it is among the references', () => {
    const { x0, noise, t, ownIndex, references } = fixture();
    for (const own of [ownIndex, ownIndex.map(() => -1)]) {
      const { logWeights, ownLogWeight } = posteriorLogWeights({
        references: references(),
        x0,
        noise,
        t,
        ownIndex: own,
      });
      expectClose(tf.add(tf.sum(tf.exp(logWeights), 1), tf.exp(ownLogWeight)), new Float64Array(batch).fill(1), 1e-6);
    }
  });

  it('one reference, the own sample, is the target of consistency training to the bit', () => {
    const x0 = tensor('x0', [1, 5]);
    const noise = tensor('noise', [1, 5]);
    for (const t of [0.002, 1, 80]) {
      for (const references of ['batch' as const, referenceSet({ images: x0 })]) {
        const { posteriorMean, epsilon, effectiveSampleSize } = stableTarget({
          references,
          x0,
          noise,
          t: [t],
          ownIndex: [0],
        });
        expectClose(posteriorMean, x0, 0);
        expectClose(epsilon, noise, 0);
        expectClose(effectiveSampleSize, [1], 0);
      }
    }
  });

  it('at small noise is the own sample, at large noise the mean of all', () => {
    const references = tensor('references', [40, 6]);
    const set = referenceSet({ images: references });
    const rows = { x0: tf.slice(references, [0, 0], [3, 6]), noise: tensor('noise', [3, 6]), ownIndex: [0, 1, 2] };
    expectClose(stableTarget({ references: set, ...rows, t: [1e-4, 1e-4, 1e-4] }).posteriorMean, rows.x0, 0);
    const far = stableTarget({ references: set, ...rows, t: [1e5, 1e5, 1e5] });
    expectClose(far.posteriorMean, tf.tile(tf.mean(references, 0, true), [3, 1]), 1e-3);
    expectClose(far.effectiveSampleSize, [40, 40, 40], 1e-3);
    expectClose(
      far.posteriorVariance,
      tf.fill([3], (() => tf.mean(tf.moments(references, 0).variance).dataSync()[0]!)()),
      1e-3,
    );
  });

  it('agrees with the definition in float64, own samples among the references or not, in chunks of any size', () => {
    fc.assert(
      fc.property(
        fc.record({
          n: fc.integer({ min: 1, max: 12 }),
          rows: fc.integer({ min: 1, max: 4 }),
          d: fc.integer({ min: 1, max: 5 }),
          seed: fc.nat(1e6),
          chunkSize: fc.integer({ min: 1, max: 13 }),
          keep: fc.constantFrom('float32' as const, 'bytes' as const, 'none' as const),
          spread: fc.constantFrom(0.01, 1, 30),
        }),
        ({ n, rows, d, seed, chunkSize, keep, spread }) => {
          tf.tidy(() => {
            const numbers = unit(`r${seed}`, [n, d]);
            const bytes = Uint8Array.from(numbers, (value) => 128 + 40 * value);
            const images = keep === 'bytes' ? Float32Array.from(bytes, (byte) => byte / 127.5 - 1) : numbers;
            const nested = (values: Float32Array, count: number) =>
              Array.from({ length: count }, (_, i) => Array.from(values.subarray(i * d, (i + 1) * d)));
            const references = nested(images, n);
            const own = Array.from({ length: rows }, (_, row) => ((seed + row) % 2 ? (seed + row) % n : -1));
            const x0 = nested(unit(`x${seed}`, [rows, d]), rows).map((clean, row) =>
              own[row]! < 0 ? clean : references[own[row]!]!,
            );
            const noise = nested(unit(`e${seed}`, [rows, d]), rows);
            const t = Array.from({ length: rows }, (_, row) => spread * (1 + row));
            const set = referenceSet({ images: keep === 'bytes' ? bytes : images, shape: [n, d], chunkSize, keep });
            const { posteriorMean } = stableTarget({
              references: set,
              x0: tf.tensor2d(x0, [rows, d]),
              noise: tf.tensor2d(noise, [rows, d]),
              t,
              ownIndex: own,
            });
            expectClose(posteriorMean, bruteForce(x0, noise, t, references, own).flat(), 2e-5);
            set.dispose();
          });
        },
      ),
      { numRuns: 60 },
    );
  });

  it('does not depend on the order of the references, nor on whether they come as bytes, floats or a tensor', () => {
    const bytes = Uint8Array.from(unit('bytes', [30, 8]), (value) => Math.round(127.5 + 60 * value));
    const floats = Float32Array.from(bytes, (value) => value / 127.5 - 1);
    const rows = { x0: tf.tensor2d(floats.slice(0, 16), [2, 8]), noise: tensor('n', [2, 8]), t: [0.3, 1] };
    const of = (set: Parameters<typeof referenceSet>[0], ownIndex: number[]) =>
      stableTarget({ references: referenceSet(set), ...rows, ownIndex }).posteriorMean;
    const expected = of({ images: bytes, shape: [30, 8] }, [0, 1]);
    expectClose(of({ images: floats, shape: [30, 8] }, [0, 1]), expected, 1e-6);
    expectClose(of({ images: tf.tensor2d(floats, [30, 8]) }, [0, 1]), expected, 1e-6);
    expectClose(of({ images: tf.reverse(tf.tensor2d(floats, [30, 8]), 0) }, [29, 28]), expected, 1e-6);
  });

  it('knows only the ratio of σ and α', () => {
    const references = referenceSet({ images: tensor('r', [20, 4]) });
    const rows = { references, x0: tensor('x', [2, 4]), noise: tensor('n', [2, 4]) };
    const plain = stableTarget({ ...rows, t: [0.5, 2] });
    const scaled = stableTarget({ ...rows, t: [0.25, 0.4], alpha: [0.5, 0.2] });
    expectClose(scaled.posteriorMean, plain.posteriorMean, 1e-6);
    expectClose(scaled.epsilon, plain.epsilon, 1e-6);
  });

  it('of a class without references is the own sample', () => {
    const references = referenceSet({ images: tensor('r', [6, 4]), labels: [0, 0, 0, 1, 1, 1] });
    const x0 = tensor('x', [3, 4]);
    const { posteriorMean } = stableTarget({
      references,
      x0,
      noise: tensor('n', [3, 4]),
      t: [9, 9, 9],
      labels: [1, 7, 0],
    });
    expectClose(tf.slice(posteriorMean, 1, 1), tf.slice(x0, 1, 1), 0);
    expect(tf.max(tf.abs(tf.sub(tf.slice(posteriorMean, 0, 1), tf.slice(x0, 0, 1)))).dataSync()[0]).toBeGreaterThan(
      0.1,
    );
  });

  it('over the batch is that over a set of the batch’s samples', () => {
    const x0 = tensor('x', [6, 2, 3]);
    const rows = { x0, noise: tensor('n', [6, 2, 3]), t: [0.1, 0.3, 1, 3, 10, 30], labels: [0, 1, 0, 1, 0, 1] };
    const set = referenceSet({ images: x0, labels: rows.labels });
    for (const { labels, ...rest } of [rows, { ...rows, labels: undefined }]) {
      const options = { ...rest, ...(labels && { labels }) };
      const inBatch = stableTarget({ references: 'batch', ...options });
      expectClose(
        inBatch.posteriorMean,
        stableTarget({ references: set, ...options, ownIndex: [0, 1, 2, 3, 4, 5] }).posteriorMean,
        1e-6,
      );
    }
  });

  it('strays from the one-sample target by the posterior’s variance, and far less from draw to draw', () => {
    // 256 points: E[x_0 | x_t] over them is known exactly. Rows draw x_0 from them, so given x_t it is a posterior sample.
    const points = tensor('points', [256, 3]);
    const whole = referenceSet({ images: points });
    const rows = 512;
    const ownIndex = Array.from({ length: rows }, (_, row) => row % 256);
    const x0 = tf.gather(points, tf.tensor1d(ownIndex, 'int32'));
    const noise = tf.randomNormal([rows, 3], 0, 1, 'float32', 7);
    const t = new Array<number>(rows).fill(0.5);
    const { posteriorMean: truth, posteriorVariance } = stableTarget({ references: whole, x0, noise, t, ownIndex });
    const spread = (estimate: tf.Tensor) => tf.mean(tf.squaredDifference(estimate, truth)).dataSync()[0]!;
    const oneSample = spread(x0);
    expect(oneSample / tf.mean(posteriorVariance).dataSync()[0]!).toBeCloseTo(1, 0);
    const some = stableTarget({
      references: referenceSet({ images: tf.slice(points, 0, 64) }),
      x0,
      noise,
      t,
      ownIndex: ownIndex.map((i) => (i < 64 ? i : -1)),
    });
    expect(spread(some.posteriorMean)).toBeLessThan(0.6 * oneSample);
  });

  it('leaves no tensors but its results, and none of the set after dispose', async () => {
    const before = tf.memory().numTensors;
    const images = tensor('r', [20, 4]);
    const x0 = tensor('x', [3, 4]);
    const noise = tensor('n', [3, 4]);
    const set = referenceSet({ images, labels: Array.from({ length: 20 }, (_, i) => i % 3), chunkSize: 7 });
    const free = (target: ReturnType<typeof stableTarget>) => tf.dispose({ ...target });
    await expectNoLeak(() => {
      free(stableTarget({ references: set, x0, noise, t: [1, 2, 3], labels: [0, 1, 2] }));
      free(stableTarget({ references: set, x0, noise, t: [1, 2, 3], ownIndex: [0, -1, 5] }));
      free(stableTarget({ references: 'batch', x0, noise, t: [1, 2, 3] }));
      tf.dispose({ ...posteriorLogWeights({ references: set, x0, noise, t: [1, 2, 3] }) });
    });
    set.dispose();
    tf.dispose([images, x0, noise]);
    expect(tf.memory().numTensors).toBe(before);
  });

  it('keeps to a few chunks of memory where the set is not to stay on the backend', () => {
    const [n, d] = [20_000, 64];
    const set = referenceSet({
      images: new Uint8Array(n * d).map((_, i) => (i * 7919) % 256),
      shape: [n, d],
      keep: 'none',
      chunkSize: 500,
    });
    const x0 = tensor('x', [16, d]);
    const noise = tensor('n', [16, d]);
    const before = tf.memory().numBytes;
    let peak = 0;
    const watched = {
      ...set,
      withChunk: ((chunk, use) =>
        set.withChunk(chunk, (rows) => {
          const result = use(rows);
          peak = Math.max(peak, tf.memory().numBytes - before);
          return result;
        })) as typeof set.withChunk,
    };
    tf.dispose({ ...stableTarget({ references: watched, x0, noise, t: new Array(16).fill(1) }) });
    // In float32 the whole set would have 5.3 MB.
    expect(peak).toBeLessThan(1e6);
    expect(tf.memory().numBytes).toBe(before);
  });

  it('keeps bytes on the backend as bytes, exactly, of classes too, and frees them', () => {
    const [n, d] = [300, 64];
    const images = Uint8Array.from({ length: n * d }, (_, i) => (i < 256 ? i : (i * 7919) >> 3));
    const labels = Array.from({ length: n }, (_, i) => (i * 5) % 3);
    const make = (keep: KeptAs) => referenceSet({ images, shape: [n, d], labels, keep, chunkSize: 77 });
    const before = tf.memory();
    const [kept, converted] = [make('bytes'), make('none')];
    for (const [mine, expected] of [
      [kept, converted],
      [kept.ofClass(2)!.references, converted.ofClass(2)!.references],
    ] as const) {
      expect(mine.chunks).toEqual(expected.chunks);
      for (const chunk of mine.chunks) {
        tf.tidy(() => {
          const [rows, exact] = [mine, expected].map((set) => set.withChunk(chunk, tf.clone)) as [tf.Tensor, tf.Tensor];
          const parts = (of: tf.Tensor) => tf.split(of, [d, 1, 1], 1);
          const [values, squares, ones] = parts(rows);
          const [exactValues, exactSquares, exactOnes] = parts(exact);
          expectClose(values!, exactValues!, 2.5e-7);
          expectClose(squares!, exactSquares!, 1e-6);
          expectClose(ones!, exactOnes!, 0);
        });
      }
    }
    const means = 4 * 4 * d;
    const isFused = tf.getKernel('ReferenceRows', tf.getBackend()) !== undefined;
    const bytes = (count: number) => count * (isFused ? d : 4 * (Math.ceil(d / 3) + 1));
    const shifts = (sets: readonly { chunks: readonly unknown[] }[]) =>
      sets.reduce((sum, { chunks }) => sum + 4 * d * chunks.length, 0);
    expect(tf.memory().numBytes - before.numBytes).toBe(
      means + bytes(n) + bytes(100) + shifts([kept, kept.ofClass(2)!.references]),
    );
    kept.dispose();
    converted.dispose();
    expect(tf.memory().numTensors).toBe(before.numTensors);
    expect(() => referenceSet({ images: new Float32Array(4), shape: [2, 2], keep: 'bytes' })).toThrow(
      "keep is 'bytes', expected images that are a Uint8Array",
    );
  });

  it('names the argument that does not fit', () => {
    const references = referenceSet({ images: tensor('r', [6, 4]), labels: [0, 0, 0, 1, 1, 1] });
    const x0 = tensor('x', [2, 4]);
    const noise = tensor('n', [2, 4]);
    const good = { references, x0, noise, t: [1, 1] };
    const expectError = (changes: object, message: string) =>
      expect(() => stableTarget({ ...good, ...changes })).toThrow(message);
    expectError({ labels: [0, 1, 1] }, 'stableTarget: labels has 3 entries, expected batch 2');
    expectError({ t: [1] }, 't has 1 entries, expected batch 2');
    expectError({ t: [1, 0] }, 't[1] is 0, expected a finite noise level above 0');
    expectError({ t: [Number.NaN, 1] }, 't[0] is NaN');
    expectError({ alpha: 0 }, 'alpha is 0 in row 0');
    expectError({ noise: x0.shape && tensor('n', [2, 3]) }, 'noise has shape [2,3], expected [2,4]');
    expectError({ x0: tensor('x', [2, 3]), noise: tensor('n', [2, 3]) }, "expected the references' [4]");
    expectError({ ownIndex: [0, 6] }, 'ownIndex[1] is 6, expected from -1 to 5');
    expectError({ labels: [0, 1], ownIndex: [0, 1] }, 'labels[1] is 1, expected 0, the class of its own sample 1');
    expectError({ logPrior: tf.zeros([5]) }, 'logPrior has shape [5], expected [6] or [2, 6]');
    expectError(
      { references: referenceSet({ images: tensor('r', [6, 4]) }), labels: [0, 1] },
      'expected references with labels',
    );
    expect(() => referenceSet({ images: new Uint8Array(4) })).toThrow('shape is missing');
    expect(() => referenceSet({ images: new Uint8Array(0), shape: [0, 4] })).toThrow('at least one sample');
    expect(() => referenceSet({ images: new Uint8Array(7), shape: [2, 4] })).toThrow('7 values, expected 8');
    expect(() => referenceSet({ images: Float32Array.of(Number.NaN), shape: [1, 1] })).toThrow('not finite');
  });
});
