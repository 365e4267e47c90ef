import type { KernelModule } from '../module';

/** A batch of matrix products: how many, and the elements from a factor to the next product's, 0 where they share it. */
export interface Batch {
  readonly batches: number;
  readonly aStride: number;
  readonly bStride: number;
}

const one: Batch = { batches: 1, aStride: 0, bStride: 0 };

/** C = op(A) op(B) of contiguous float32 matrices at heap offsets; op(A) is m × k, op(B) k × n. */
export function multiply(
  module: KernelModule,
  a: number,
  transposeA: boolean,
  b: number,
  transposeB: boolean,
  c: number,
  [m, n, k]: readonly [m: number, n: number, k: number],
  { batches, aStride, bStride } = one,
): void {
  const { native } = module;
  const [aRow, aColumn] = transposeA ? [1, m] : [k, 1];
  const [bRow, bColumn] = transposeB ? [1, k] : [n, 1];
  module.withScratch(native.gemm_scratch_bytes(m, n, k, batches), (scratch) =>
    native.gemm(a, aRow, aColumn, aStride, b, bRow, bColumn, bStride, c, m, n, k, batches, scratch),
  );
}
