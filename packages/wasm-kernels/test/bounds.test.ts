import { inflateRawSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { wasm } from '../src/kernels.generated';
import type { Native } from '../src/module';

const PAGE = 65_536;
const PAGES = 64;
const compiled = new WebAssembly.Module(inflateRawSync(Buffer.from(wasm.plain, 'base64')));

/** The kernels on a memory of their own, whose end traps. What is read in `use` ends where the memory does, by `last` values. */
function atTheEnd(use: (native: Native, last: (values: number) => number, free: number) => void): void {
  const memory = new WebAssembly.Memory({ initial: PAGES, maximum: PAGES });
  const { exports } = new WebAssembly.Instance(compiled, { env: { memory } });
  (exports.__stack_pointer as WebAssembly.Global).value = 2 * PAGE;
  use(exports as unknown as Native, (values) => PAGES * PAGE - 4 * values, 2 * PAGE);
}

const sizes = [1, 2, 3, 4, 5, 6, 7, 9, 15, 19];
const sides = [5, 6] as const;
const geometry = (channels: number, results: number) => [
  2,
  ...sides,
  channels,
  ...sides,
  results,
  3,
  3,
  1,
  1,
  1,
  1,
  1,
  1,
];
const pixels = 2 * sides[0] * sides[1];

describe.each(sizes)('kernels read no value past the last one, of %i channels', (channels) => {
  it('convolutions', () => {
    for (const results of sizes) {
      const x = pixels * channels;
      const w = 9 * channels * results;
      const y = pixels * results;
      atTheEnd((native, last, free) => {
        const scratch = 16 * PAGE;
        const run = (name: 'conv_forward' | 'conv_input_gradient' | 'conv_filter_gradient', a: number, b: number) =>
          native[name](a, b, 8 * PAGE, ...geometry(channels, results), scratch);
        run('conv_forward', last(x), free);
        run('conv_forward', free, last(w));
        run('conv_input_gradient', last(y), free);
        run('conv_input_gradient', free, last(w));
        run('conv_filter_gradient', last(x), free);
        run('conv_filter_gradient', free, last(y));
      });
    }
  });

  it('depthwise convolutions', () => {
    for (const multiplier of [1, 2]) {
      const results = channels * multiplier;
      atTheEnd((native, last, free) => {
        const scratch = 16 * PAGE;
        const run = (
          name: 'depthwise_forward' | 'depthwise_input_gradient' | 'depthwise_filter_gradient',
          a: number,
          b: number,
        ) => native[name](a, b, 8 * PAGE, ...geometry(channels, multiplier), scratch);
        run('depthwise_forward', last(pixels * channels), free);
        run('depthwise_forward', free, last(9 * results));
        run('depthwise_input_gradient', last(pixels * results), free);
        run('depthwise_input_gradient', free, last(9 * results));
        run('depthwise_filter_gradient', last(pixels * channels), free);
        run('depthwise_filter_gradient', free, last(pixels * results));
      });
    }
  });

  it('matrix products', () => {
    for (const n of sizes)
      for (const m of [1, 3, 21])
        for (const [aRow, aColumn, bRow, bColumn] of [
          [channels, 1, n, 1],
          [1, m, n, 1],
          [channels, 1, 1, channels],
          [1, m, 1, channels],
        ] as const)
          atTheEnd((native, last, free) => {
            const run = (a: number, b: number) =>
              native.gemm(a, aRow, aColumn, 0, b, bRow, bColumn, 0, 8 * PAGE, m, n, channels, 1, 16 * PAGE);
            run(last(m * channels), free);
            run(free, last(channels * n));
          });
  });
});

it('reading further would trap', () => {
  atTheEnd((native, last, free) => {
    expect(() => native.gemm(last(3), 4, 1, 0, free, 4, 1, 0, 8 * PAGE, 1, 4, 4, 1, 16 * PAGE)).toThrow(
      'out of bounds',
    );
  });
});
