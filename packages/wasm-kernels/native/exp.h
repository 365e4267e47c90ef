#pragma once
#include "common.h"

// exp(x) to about 1e-7 relative, for x clamped to where the result is a normal number: 2^n·e^r with n the nearest whole
// number to x/ln 2 and r = x - n·ln 2 in [-ln2/2, ln2/2], ln 2 in two parts so that n times the first is exact. Adding
// 1.5·2^23 rounds to a whole number and leaves it in the low bits. The polynomial's coefficients are Cephes'; its terms
// are paired, which shortens the chain of dependent operations.
INLINE f32x4 exp4(f32x4 x) {
  x = wasm_f32x4_pmin(wasm_f32x4_pmax(x, splat4(-87.0f)), splat4(88.0f));
  const f32x4 magic = splat4(12582912.0f);
  const f32x4 bits = multiply_add4(x, splat4(1.44269504088896341f), magic);
  const f32x4 n = wasm_f32x4_sub(bits, magic);
  f32x4 r = wasm_f32x4_sub(x, wasm_f32x4_mul(n, splat4(0.693359375f)));
  r = multiply_add4(n, splat4(2.12194440e-4f), r);
  const f32x4 square = wasm_f32x4_mul(r, r);
  const f32x4 high = multiply_add4(r, splat4(1.9875691500e-4f), splat4(1.3981999507e-3f));
  const f32x4 middle = multiply_add4(r, splat4(8.3334519073e-3f), splat4(4.1665795894e-2f));
  const f32x4 low = multiply_add4(r, splat4(1.6666665459e-1f), splat4(5.0000001201e-1f));
  const f32x4 p = multiply_add4(multiply_add4(high, square, middle), square, low);
  const f32x4 power = wasm_f32x4_add(multiply_add4(p, square, r), splat4(1.0f));
  return wasm_i32x4_add(power, wasm_i32x4_shl(bits, 23));
}
