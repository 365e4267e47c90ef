// The 128-bit multiply-add peak of a core: what the shares of the kernels' bench are shares of.
import { hasRelaxedSimd } from '../src/simd';

const sums = 12;
const v128 = 0x7b;
const f32 = 0x7d;
const i32 = 0x7f;

/** A section of a WebAssembly binary, or anything else that its length precedes. */
const sized = (...bytes: number[]) => [...leb128(bytes.length), ...bytes];
const section = (id: number, ...bytes: number[]) => [id, ...sized(...bytes)];
const leb128 = (value: number): number[] => (value < 128 ? [value] : [(value & 127) | 128, ...leb128(value >>> 7)]);
const name = (text: string) => sized(...Buffer.from(text));
const get = (local: number) => [0x20, local];
const set = (local: number) => [0x21, local];
const splat = [0xfd, 0x13];
const add = [0xfd, ...leb128(0xe4)];
const multiply = [0xfd, ...leb128(0xe6)];
const multiplyAdd = [0xfd, ...leb128(0x105)];

/**
 * (count, x, y) => the sum over the lanes 0 of 12 registers, each of which x has been multiplied by and y added to, `count` times: enough chains for the
 * multipliers' latency, and no memory. Fused where the engine has relaxed SIMD.
 */
function assemble(): (count: number, x: number, y: number) => number {
  const [x, y, first] = [3, 4, 5];
  const chains = Array.from({ length: sums }, (_, i) => first + i);
  const step = chains.flatMap((sum) =>
    hasRelaxedSimd()
      ? [...get(sum), ...get(x), ...get(y), ...multiplyAdd, ...set(sum)]
      : [...get(sum), ...get(x), ...multiply, ...get(y), ...add, ...set(sum)],
  );
  const body = [
    ...[...get(1), ...splat, ...set(x), ...get(2), ...splat, ...set(y)],
    // loop: the step; count -= 1; again while it is not 0
    ...[0x03, 0x40, ...step, ...get(0), 0x41, 1, 0x6b, 0x22, 0, 0x0d, 0, 0x0b],
    ...chains.flatMap((sum, i) => [...get(sum), ...(i > 0 ? add : [])]),
    // f32x4.extract_lane 0; end
    ...[0xfd, 0x1f, 0, 0x0b],
  ];
  const binary = [
    ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, 1, 0x60, 3, i32, f32, f32, 1, f32),
    ...section(3, 1, 0),
    ...section(7, 1, ...name('peak'), 0, 0),
    ...section(10, 1, ...sized(1, 2 + sums, v128, ...body)),
  ];
  return new WebAssembly.Instance(new WebAssembly.Module(Uint8Array.from(binary))).exports.peak as ReturnType<
    typeof assemble
  >;
}

const peak = assemble();

/** GFLOP/s of independent multiply-adds on registers, measured for about a millisecond. */
export function multiplyAddPeak(): number {
  const count = 600_000;
  const start = performance.now();
  peak(count, 0.5, 0.25);
  return (count * sums * 4 * 2) / (performance.now() - start) / 1e6;
}
