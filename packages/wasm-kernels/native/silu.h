#pragma once
#include "exp.h"

// The activations' arithmetic is worth sharing sooner than a sum's.
enum { SILU_GRAIN = 4096 };

// gain·x/(1 + exp(-x))
INLINE f32x4 silu4(f32x4 x, float gain) {
  const f32x4 e = exp4(wasm_f32x4_neg(x));
  return wasm_f32x4_div(wasm_f32x4_mul(x, splat4(gain)), wasm_f32x4_add(e, splat4(1.0f)));
}

// Its derivative: gain·s·(1 + x·(1 - s)), with 1 - s = e·s for e = exp(-x).
INLINE f32x4 silu_slope4(f32x4 x, float gain) {
  const f32x4 one = splat4(1.0f);
  const f32x4 e = exp4(wasm_f32x4_neg(x));
  const f32x4 s = wasm_f32x4_div(one, wasm_f32x4_add(e, one));
  const f32x4 slope = multiply_add4(wasm_f32x4_mul(x, wasm_f32x4_mul(e, s)), s, s);
  return wasm_f32x4_mul(slope, splat4(gain));
}
