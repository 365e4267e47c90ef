/**
 * A script for a process of its own, so that an addon that crashes takes nothing with it: multiplies matrices whose product is known,
 * in float32 and in bfloat16, and says how fast.
 */
export const selfTest = `
const module = { exports: {} };
process.dlopen(module, process.argv[1]);
const addon = module.exports;
const kernels = addon.kernelNames();
const n = 512;
addon.buffer.set([2, n, n]);
const a = addon.upload(Float32Array.from({ length: n * n }, (_, i) => i % 7), 0);
addon.buffer.set([2, n, n]);
const b = addon.upload(Float32Array.from({ length: n * n }, (_, i) => i % 5), 0);
const multiply = () => {
  addon.buffer.set([a, b, 0, 0]);
  addon.call(kernels.indexOf('BatchMatMul'), 4);
  return addon.buffer[0];
};
// Sums of such whole numbers are exact in any precision.
const rate = (precision) => {
  addon.buffer.set([-1, precision, 0]);
  addon.call(kernels.indexOf('configure'), 3);
  const product = new Float32Array(n * n);
  addon.download(multiply(), product);
  for (const [i, j] of [[0, 0], [3, 5], [511, 510]]) {
    let expected = 0;
    for (let k = 0; k < n; k++) expected += ((i * n + k) % 7) * ((k * n + j) % 5);
    if (product[i * n + j] !== expected) throw new Error('a matrix product is ' + product[i * n + j] + ', expected ' + expected);
  }
  let best = Infinity;
  for (let round = 0; round < 10; round++) {
    const start = performance.now();
    addon.release(multiply());
    best = Math.min(best, performance.now() - start);
  }
  return (2 * n ** 3 / best / 1e6).toFixed(0);
};
console.log('Tested: matrix products are right, at ' + rate(0) + ' GFLOP/s in float32 and ' + rate(2) + ' in bfloat16.');
`;
