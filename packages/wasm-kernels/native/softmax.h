#pragma once
#include "exp.h"
#include "lanes.h"

// exp(x) to about 2e-7 relative for x ≤ 0, and 0 below −87, where float32's normal numbers end: exp4's reduction, and a polynomial of degree 5, fitted
// for the least relative error. Softmax is as fast as its exponential.
INLINE f32x4 weight4(f32x4 x) {
  const f32x4 magic = splat4(12582912.0f);
  const f32x4 bits = multiply_add4(x, splat4(1.44269504088896341f), magic);
  const f32x4 n = wasm_f32x4_sub(bits, magic);
  f32x4 r = multiply_add4(n, splat4(-0.693359375f), x);
  r = multiply_add4(n, splat4(2.12194440e-4f), r);
  f32x4 p = multiply_add4(r, splat4(8.290307596e-3f), splat4(4.189797863e-2f));
  p = multiply_add4(p, r, splat4(1.666763723e-1f));
  p = multiply_add4(p, r, splat4(4.999915063e-1f));
  p = multiply_add4(p, r, splat4(9.99999702e-1f));
  p = multiply_add4(p, r, splat4(1.0f));
  return wasm_v128_andnot(wasm_i32x4_add(p, wasm_i32x4_shl(bits, 23)), wasm_f32x4_lt(x, splat4(-87.0f)));
}

/** The largest lane; NaNs are passed over, for their weights are NaN all the same. */
INLINE float max4(f32x4 v) {
  v = wasm_f32x4_pmax(v, wasm_i32x4_shuffle(v, v, 2, 3, 0, 1));
  return wasm_f32x4_extract_lane(wasm_f32x4_pmax(v, wasm_i32x4_shuffle(v, v, 1, 0, 3, 2)), 0);
}

/** y = softmax(scale·x), scale > 0; y may be x. */
INLINE void softmax_row(const float *x, float *y, int n, float scale) {
  f32x4 even = splat4(-__builtin_inff()), odd = even;
  int i = 0;
  for (; i + 8 <= n; i += 8) even = wasm_f32x4_pmax(even, load4(x + i)), odd = wasm_f32x4_pmax(odd, load4(x + i + 4));
  for (; i < n; i++) even = wasm_f32x4_pmax(even, splat_load4(x + i));
  const f32x4 top = splat4(max4(wasm_f32x4_pmax(even, odd))), scale4 = splat4(scale);
#define WEIGHT(values) weight4(wasm_f32x4_mul(wasm_f32x4_sub(values, top), scale4))
  for (i = 0; i + 16 <= n; i += 16) {
    const f32x4 w0 = WEIGHT(load4(x + i)), w1 = WEIGHT(load4(x + i + 4));
    const f32x4 w2 = WEIGHT(load4(x + i + 8)), w3 = WEIGHT(load4(x + i + 12));
    store4(y + i, w0), store4(y + i + 4, w1), store4(y + i + 8, w2), store4(y + i + 12, w3);
  }
  for (; i + 4 <= n; i += 4) store4(y + i, WEIGHT(load4(x + i)));
  even = splat4(0), odd = even;
  for (i = 0; i + 8 <= n; i += 8) even = wasm_f32x4_add(even, load4(y + i)), odd = wasm_f32x4_add(odd, load4(y + i + 4));
  for (; i + 4 <= n; i += 4) even = wasm_f32x4_add(even, load4(y + i));
  float sum = sum4(wasm_f32x4_add(even, odd));
  for (; i < n; i++) sum += y[i] = wasm_f32x4_extract_lane(WEIGHT(splat_load4(x + i)), 0);
#undef WEIGHT
  const float share = 1.0f / sum;
  const f32x4 share4 = splat4(share);
  for (i = 0; i + 4 <= n; i += 4) store4(y + i, wasm_f32x4_mul(load4(y + i), share4));
  for (; i < n; i++) y[i] *= share;
}
