import { expectClose, expectNoLeak, onEveryBackend, unit } from '@cm/testing';
import { configureTorch } from '@cm/torch';
import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, it } from 'vitest';
import { referenceSet, stableTarget } from '../src';
import { addChunk, type Running } from '../src/posterior';

// The fused kernels where the backend has them, and the compositions elsewhere, against float64.

interface Case {
  readonly batch: number;
  readonly size: number;
  readonly width: number;
  /** Of the logits: large ones leave rows without a weight. */
  readonly spread: number;
  readonly own: readonly number[];
  readonly prior?: 'shared' | 'of rows';
}

const begin = 3;
const cases: Case[] = [
  { batch: 1, size: 1, width: 3, spread: 1, own: [-1] },
  { batch: 1, size: 1, width: 3, spread: 1, own: [begin] },
  { batch: 3, size: 7, width: 5, spread: 1, own: [4, 2, 10], prior: 'shared' },
  { batch: 5, size: 19, width: 34, spread: 10, own: [-1, 3, 21, 22, 0], prior: 'of rows' },
  { batch: 9, size: 70, width: 131, spread: 300, own: [3, -1, -1, -1, 9, 72, -1, -1, 40] },
];

function inputsOf({ batch, size, width, spread, prior }: Case) {
  const of = (name: string, shape: number[], scale = 1) =>
    unit(name, shape).map((value) => value * scale) as Float32Array;
  const count = begin + size + 2;
  return {
    // Rows by turns near the references' level and far below it.
    queries: of('queries', [batch, width], spread),
    rows: of('rows', [size, width]),
    max: of('max', [batch, 1], spread),
    squares: of('squares', [batch, 1]).map((value) => 2 + value),
    sums: of('sums', [batch, width]),
    ...(prior && { prior: of('prior', prior === 'shared' ? [count] : [batch, count]) }),
  };
}

function expected(
  { batch, size, width, own, prior: kind }: Case,
  { queries, rows, max, squares, sums, prior }: ReturnType<typeof inputsOf>,
) {
  const count = begin + size + 2;
  const after = {
    max: new Float64Array(batch),
    squares: new Float64Array(batch),
    sums: new Float64Array(batch * width),
  };
  for (let b = 0; b < batch; b++) {
    const logits = Array.from({ length: size }, (_, j) => {
      if (own[b] === begin + j) return Number.NEGATIVE_INFINITY;
      let logit = prior ? prior[(kind === 'shared' ? 0 : b * count) + begin + j]! : 0;
      for (let d = 0; d < width; d++) logit += queries[b * width + d]! * rows[j * width + d]!;
      return logit;
    });
    const top = Math.max(max[b]!, ...logits);
    const weights = logits.map((logit) => Math.exp(logit - top));
    const rescale = Math.exp(max[b]! - top);
    after.max[b] = top;
    after.squares[b] = squares[b]! * rescale ** 2 + weights.reduce((sum, w) => sum + w * w, 0);
    for (let d = 0; d < width; d++) {
      after.sums[b * width + d] =
        sums[b * width + d]! * rescale + weights.reduce((sum, w, j) => sum + w * rows[j * width + d]!, 0);
    }
  }
  return after;
}

function run({ batch, size, width, own, prior: kind }: Case, given: ReturnType<typeof inputsOf>): Running {
  const running = {
    max: tf.tensor2d(given.max, [batch, 1]),
    squares: tf.tensor2d(given.squares, [batch, 1]),
    sums: tf.tensor2d(given.sums, [batch, width]),
  };
  const { prior } = given;
  const logPrior = prior && (kind === 'shared' ? tf.tensor1d(prior) : tf.tensor2d(prior, [batch, begin + size + 2]));
  return addChunk(
    running,
    tf.tensor2d(given.queries, [batch, width]),
    tf.tensor2d(given.rows, [size, width]),
    { index: 0, begin, end: begin + size },
    { own: Int32Array.from(own), ...(logPrior && { logPrior }) },
  );
}

onEveryBackend((backend) => {
  it.each(cases)('a chunk of $size references for $batch rows of $width numbers, logits up to $spread', (each) => {
    const given = inputsOf(each);
    const { max, squares, sums } = run(each, given);
    const wanted = expected(each, given);
    expectClose(max, wanted.max, 1e-6);
    // A logit's rounding is relative to the largest of its terms.
    expectClose(squares, wanted.squares, 1e-6 * Math.max(1, each.spread));
    expectClose(sums, wanted.sums, 1e-6 * Math.max(1, each.spread));
  });

  it('leaves rows alone, to the bit, whose weights in the chunk all vanish, and takes the others in', () => {
    const each: Case = { batch: 4, size: 6, width: 9, spread: 1, own: [-1, -1, -1, -1] };
    const given = inputsOf(each);
    given.max.set([1000, 0, 90, Number.NEGATIVE_INFINITY]);
    const { max, squares, sums } = run(each, given);
    const wanted = expected(each, given);
    const values = sums.dataSync();
    for (const row of [0, 2]) {
      expect(max.dataSync()[row]).toBe(given.max[row]);
      expect(squares.dataSync()[row]).toBe(given.squares[row]);
      const part = [row * 9, row * 9 + 9] as const;
      expect(values.slice(...part)).toEqual(given.sums.slice(...part));
    }
    expectClose(tf.slice(sums, [1, 0], [1, 9]), wanted.sums.slice(9, 18), 1e-6);
    // What has had no weight so far is forgotten.
    expectClose(tf.slice(sums, [3, 0], [1, 9]), wanted.sums.slice(27), 1e-6);
  });

  it('a NaN stays one, in its row alone', () => {
    const each: Case = { batch: 3, size: 10, width: 6, spread: 1, own: [-1, -1, -1] };
    const given = inputsOf(each);
    given.queries[6] = Number.NaN;
    const finite = tf.tidy(() => tf.isFinite(run(each, given).sums).dataSync());
    expect(Array.from(finite)).toEqual(Array.from({ length: 18 }, (_, i) => (i < 6 || i >= 12 ? 1 : 0)));
  });

  it('references from bytes are those from the same numbers', () => {
    for (const [count, dims] of [
      [1, 1],
      [5, 7],
      [9, 40],
      [3, 1029],
    ] as const) {
      const bytes = Uint8Array.from(unit('bytes', [count, dims]), (value) => Math.round(127.5 + 127 * value));
      const floats = Float32Array.from(bytes, (value) => value / 127.5 - 1);
      const [fromBytes, fromFloats] = [bytes, floats].map((images) => {
        const set = referenceSet({ images, shape: [count, dims] });
        return set.withChunk(set.chunks[0]!, (rows) => rows);
      }) as [tf.Tensor2D, tf.Tensor2D];
      expect(fromBytes.shape).toEqual([count, dims + 2]);
      expectClose(fromBytes, fromFloats, 3e-7);
    }
  });

  describe.runIf(backend === 'torch')('in bfloat16', () => {
    it('logits are float32’s all the same', () => {
      const [x0, noise] = ['x0', 'noise'].map((name) => tf.tensor2d(unit(name, [6, 48]), [6, 48]));
      const images = unit('references', [50, 48]);
      const mean = () =>
        stableTarget({
          references: referenceSet({ images, shape: [50, 48] }),
          x0: x0!,
          noise: noise!,
          t: [0.3, 0.5, 0.7, 1, 1.5, 2],
        }).posteriorMean;
      const exact = mean();
      configureTorch({ precision: 'bfloat16', threads: 1 });
      try {
        expectClose(mean(), exact, 0);
      } finally {
        configureTorch({ threads: 1 });
      }
    });
  });

  describe.runIf(['wasm', 'torch'].includes(backend))('the kernels', () => {
    it('leave nothing behind, and say what does not fit', async () => {
      await expectNoLeak(() => tf.tidy(() => void run(cases[3]!, inputsOf(cases[3]!))));
      const kernel = (changes: tf.NamedTensorMap) => () => {
        const good = { queries: tf.ones([2, 5]), rows: tf.ones([3, 5]), own: tf.tensor1d([-1, -1], 'int32') };
        const sums = { max: tf.zeros([2, 1]), squares: tf.ones([2, 1]), sums: tf.ones([2, 5]) };
        tf.engine().runKernel('PosteriorSums', { ...good, ...sums, ...changes }, { begin: 0 });
      };
      expect(kernel({})).not.toThrow();
      expect(kernel({ rows: tf.ones([3, 4]) })).toThrow(/PosteriorSums: .*\[3, ?4\]/);
      expect(kernel({ own: tf.ones([2]) })).toThrow(/PosteriorSums: .*int32/);
      expect(kernel({ sums: tf.ones([2, 6]) })).toThrow(/PosteriorSums: .*\[2, ?6\]/);
      expect(kernel({ prior: tf.ones([2]) })).toThrow(/PosteriorSums: prior has shape \[2\]/);
      const bytes = tf.tensor2d([1, 0, 1], [1, 3], 'bool');
      expect(() => tf.engine().runKernel('ReferenceRows', { bytes, shift: tf.ones([4]) })).toThrow(
        /ReferenceRows: shift/,
      );
    });
  });
});
