import { describe, expect, it } from 'vitest';
import { noiseAt, wrapped } from '../src/noise-map';

const size = 4096;
const moments = (noise: Float32Array) => {
  const mean = noise.reduce((sum, z) => sum + z, 0) / noise.length;
  return { mean, variance: noise.reduce((sum, z) => sum + (z - mean) ** 2, 0) / noise.length };
};

describe('the square of noises', () => {
  it('has standard-normal noise at every point', () => {
    for (let i = 0; i < 20; i++) {
      const { mean, variance } = moments(noiseAt(1, [{ across: i / 20, down: (7 * i) / 20 }], size));
      // Five standard deviations of the two estimates.
      expect(Math.abs(mean)).toBeLessThan(5 / Math.sqrt(size));
      expect(Math.abs(variance - 1)).toBeLessThan(5 * Math.sqrt(2 / size));
    }
  });

  it('has no edges, and changes little over a little way', () => {
    const here = noiseAt(3, [{ across: 0.999, down: 0.5 }], size);
    const over = noiseAt(3, [wrapped({ across: 1.001, down: -0.5 })], size);
    const distance = Math.sqrt(here.reduce((sum, z, i) => sum + (z - over[i]!) ** 2, 0) / size);
    // The arc of a circle of radius 1/√2.
    expect(distance).toBeCloseTo((2 * Math.PI * 0.002) / Math.SQRT2, 3);
  });

  it('gives many points at once what it gives each alone', () => {
    const positions = [0, 0.3, 0.9].map((across) => ({ across, down: across / 2 }));
    const together = noiseAt(2, positions, 16);
    positions.forEach((position, i) => {
      expect(together.slice(16 * i, 16 * (i + 1))).toEqual(noiseAt(2, [position], 16));
    });
  });
});
