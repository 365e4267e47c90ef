import type { KernelModule } from '../module';

/** C = op(A) op(B) of contiguous float32 matrices at heap offsets; op(A) is m × k, op(B) k × n. */
export function multiply(
  module: KernelModule,
  a: number,
  transposeA: boolean,
  b: number,
  transposeB: boolean,
  c: number,
  [m, n, k]: readonly [m: number, n: number, k: number],
): void {
  const { native } = module;
  const [aRow, aColumn] = transposeA ? [1, m] : [k, 1];
  const [bRow, bColumn] = transposeB ? [1, k] : [n, 1];
  module.withScratch(native.gemm_scratch_bytes(), (scratch) =>
    native.gemm(a, aRow, aColumn, b, bRow, bColumn, c, m, n, k, scratch),
  );
}
