// Values four at a time, and what is left of them.
#pragma once
#include "common.h"

INLINE f32x4 load_some(const float* p, int n) {
  float lane[4] = {0, 0, 0, 0};
  for (int i = 0; i < n; i++) lane[i] = p[i];
  return load4(lane);
}

INLINE void store_some(float* p, f32x4 v, int n) {
  float lane[4];
  store4(lane, v);
  for (int i = 0; i < n; i++) p[i] = lane[i];
}

INLINE float sum4(f32x4 v) {
  return (wasm_f32x4_extract_lane(v, 0) + wasm_f32x4_extract_lane(v, 1)) +
         (wasm_f32x4_extract_lane(v, 2) + wasm_f32x4_extract_lane(v, 3));
}

// All lanes set in the last `n` of four: what is new in four values that overlap those before.
INLINE v128_t last_lanes(int n) { return wasm_i32x4_gt(wasm_i32x4_make(0, 1, 2, 3), wasm_i32x4_splat(3 - n)); }

#define LOAD_LEFT(p) load_some(p, left)

// y[i] = value(load, i) for i in [0, n), where `value` makes four results from what `load` reads at i. Sixteen at a time,
// so that the processor has independent work; a remainder overlaps the results before it.
#define MAP(n, y, value)                                                    \
  {                                                                         \
    int i = 0;                                                              \
    for (; i + 16 <= (n); i += 16) {                                        \
      const f32x4 r0 = value(load4, i), r1 = value(load4, i + 4);           \
      const f32x4 r2 = value(load4, i + 8), r3 = value(load4, i + 12);      \
      store4((y) + i, r0), store4((y) + i + 4, r1);                         \
      store4((y) + i + 8, r2), store4((y) + i + 12, r3);                    \
    }                                                                       \
    for (; i + 4 <= (n); i += 4) store4((y) + i, value(load4, i));          \
    const int left = (n) - i;                                               \
    if (left > 0 && (n) >= 4) store4((y) + (n) - 4, value(load4, (n) - 4)); \
    else if (left > 0) store_some((y) + i, value(LOAD_LEFT, i), left);      \
  }

// The sum of value(load, i) for i in [0, n), `value` being 0 where what it reads is 0.
#define SUM(n, result, value)                                                                                          \
  {                                                                                                                    \
    f32x4 even = splat4(0), odd = splat4(0);                                                                           \
    int i = 0;                                                                                                         \
    for (; i + 8 <= (n); i += 8) {                                                                                     \
      even = wasm_f32x4_add(even, value(load4, i));                                                                    \
      odd = wasm_f32x4_add(odd, value(load4, i + 4));                                                                  \
    }                                                                                                                  \
    for (; i + 4 <= (n); i += 4) even = wasm_f32x4_add(even, value(load4, i));                                         \
    const int left = (n) - i;                                                                                          \
    if (left > 0 && (n) >= 4) odd = wasm_f32x4_add(odd, wasm_v128_and(value(load4, (n) - 4), last_lanes(left)));       \
    else if (left > 0) odd = wasm_f32x4_add(odd, value(LOAD_LEFT, i));                                                 \
    result = sum4(wasm_f32x4_add(even, odd));                                                                          \
  }
