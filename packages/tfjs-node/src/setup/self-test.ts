/**
 * A script for a process of its own, so that a binding that crashes takes nothing with it: multiplies matrices whose product is known, and
 * prints what {@link SelfTest} describes.
 */
export const selfTest = `
const b = require(process.argv[1]);
const n = 512;
const values = (period) => Float32Array.from({ length: n * n }, (_, i) => i % period);
const matrices = [values(7), values(5)].map((data) => b.createTensor([n, n], b.TF_FLOAT, data));
const attributes = [
  { name: 'T', type: b.TF_ATTR_TYPE, value: b.TF_FLOAT },
  { name: 'transpose_a', type: b.TF_ATTR_BOOL, value: false },
  { name: 'transpose_b', type: b.TF_ATTR_BOOL, value: false },
];
const multiply = () => b.executeOp('MatMul', attributes, matrices, 1)[0].id;
const product = b.tensorDataSync(multiply());
for (const [i, j] of [[0, 0], [3, 5], [511, 510]]) {
  let expected = 0;
  for (let k = 0; k < n; k++) expected += ((i * n + k) % 7) * ((k * n + j) % 5);
  if (Math.abs(product[i * n + j] / expected - 1) > 1e-2) {
    throw new Error('a matrix product is ' + product[i * n + j] + ', expected ' + expected);
  }
}
let best = Infinity;
for (let round = 0; round < 10; round++) {
  const start = performance.now();
  const id = multiply();
  b.tensorDataSync(id);
  best = Math.min(best, performance.now() - start);
  b.deleteTensor(id);
}
console.log(JSON.stringify({ version: b.TF_Version, gpu: b.isUsingGpuDevice(), rate: (2 * n ** 3) / best / 1e6 }));
`;

/** What the test prints. */
export interface SelfTest {
  /** TensorFlow's version. */
  readonly version: string;
  /** Whether a GPU computed. */
  readonly gpu: boolean;
  /** GFLOP/s of a matrix product, with reading it. */
  readonly rate: number;
}
