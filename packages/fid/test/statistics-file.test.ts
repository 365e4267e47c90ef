import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type FileTensor, readNpz, writeNpz } from '@cm/checkpoints';
import { readJsonFixture } from '@cm/testing';
import { describe, expect, it } from 'vitest';
import { featureStatistics, frechetDistance, readStatistics, writeStatistics } from '../src/index';
import { openImages, readStatisticsFile } from '../src/node';
import { x, y } from './features';

/** Files of other tools with the statistics of four images, made by scripts/statistics_fixtures.py. */
const written = readJsonFixture<{ mean: number[]; covariance: number[]; files: Record<string, string> }>(
  new URL('fixtures/statistics.json', import.meta.url),
);
const fileOf = (name: string) => new Uint8Array(Buffer.from(written.files[name]!, 'base64'));

const array = (values: Float64Array | Float32Array, ...shape: number[]): FileTensor => ({
  dtype: values instanceof Float64Array ? 'F64' : 'F32',
  shape,
  data: new Uint8Array(values.slice().buffer),
});
const a = featureStatistics(x);
const size = a.mean.length;

describe('a statistics file', () => {
  it('comes back bit for bit, and has the names that other tools read', () => {
    const spatial = featureStatistics(y);
    const bytes = writeStatistics({ ...a, spatial });
    expect(Object.keys(readNpz(bytes))).toEqual(['mu', 'sigma', 'count', 'mu_s', 'sigma_s']);
    const { mean, covariance } = spatial;
    expect(readStatistics(bytes)).toEqual({ ...a, spatial: { mean, covariance } });
    expect(frechetDistance(readStatistics(bytes), spatial)).toBe(frechetDistance(a, spatial));
  });

  describe('that another tool wrote', () => {
    const expected = { mean: Float64Array.from(written.mean), covariance: Float64Array.from(written.covariance) };
    const inFolder = async <T>(name: string, use: (path: string) => Promise<T>): Promise<T> => {
      const folder = mkdtempSync(join(tmpdir(), 'fid-'));
      try {
        writeFileSync(join(folder, name), fileOf(name));
        return await use(join(folder, name));
      } finally {
        rmSync(folder, { recursive: true });
      }
    };

    it.each(Object.keys(written.files))('%s is read, from bytes and from disk', async (name) => {
      const read = readStatistics(fileOf(name));
      expect({ mean: read.mean, covariance: read.covariance }).toEqual(expected);
      expect(await inFolder(name, (path) => readStatisticsFile(path))).toEqual(read);
    });

    it('edm2.pkl has FD-DINOv2’s beside FID’s, and the number of images', () => {
      const { mean, count } = readStatistics(fileOf('edm2.pkl'), 'fd_dinov2');
      expect(mean).toEqual(expected.mean.map((value) => 2 * value + 1));
      expect(count).toBe(4);
    });

    it('adm.npz has sFID’s in single precision, and images', async () => {
      const { spatial } = readStatistics(fileOf('adm.npz'));
      expect(spatial!.mean).toEqual(expected.mean.map((value) => 2 * value + 1));
      expect((await inFolder('adm.npz', (path) => openImages(path))).count).toBe(2);
    });
  });

  it('of other tools is read: float32, without a count', () => {
    const bytes = writeNpz({
      mu: array(Float32Array.from(a.mean), size),
      sigma: array(Float32Array.from(a.covariance), size, size),
    });
    const read = readStatistics(bytes);
    expect(Object.keys(read)).toEqual(['mean', 'covariance']);
    expect(read.mean).toEqual(Float64Array.from(Float32Array.from(a.mean)));
  });

  it.each<[string, Record<string, FileTensor>, string]>([
    ['without statistics', { arr_0: array(a.mean, size) }, 'the file has arr_0, expected mu and sigma'],
    [
      'of shapes that do not fit',
      { mu: array(a.mean, size), sigma: array(a.mean, size) },
      'expected [size] and [size, size]',
    ],
    [
      'with NaN',
      { mu: array(Float64Array.of(1, Number.NaN), 2), sigma: array(new Float64Array(4), 2, 2) },
      'mu holds NaN at 1',
    ],
    [
      'with no covariance',
      { mu: array(new Float64Array(2), 2), sigma: array(Float64Array.of(1, 2, 3, 4), 2, 2) },
      'sigma has 3 at [1, 0] and 2 at [0, 1], expected a symmetric matrix',
    ],
  ])('%s is refused', (_, arrays, message) => {
    expect(() => readStatistics(writeNpz(arrays))).toThrow(message);
  });
});
