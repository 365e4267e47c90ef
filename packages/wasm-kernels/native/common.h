// What every kernel shares. There is no C library and no data segment: the module lives on TensorFlow.js's heap, so
// whatever it needs is on its own small stack or in memory that the caller hands it. Constants must be immediates.
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <wasm_simd128.h>

#define EXPORT(name) __attribute__((export_name(#name))) name
#define INLINE static inline __attribute__((always_inline))

typedef v128_t f32x4;

INLINE int min_int(int a, int b) { return a < b ? a : b; }
INLINE int max_int(int a, int b) { return a > b ? a : b; }
INLINE int round_up(int value, int multiple) { return (value + multiple - 1) / multiple * multiple; }

/** The outputs [first, last) along an axis for which a tap's input, output·stride + offset, is within [0, extent). */
INLINE int first_inside(int offset, int stride) { return offset >= 0 ? 0 : (-offset + stride - 1) / stride; }
INLINE int last_inside(int offset, int stride, int extent, int outputs) {
  return offset >= extent ? 0 : min_int(outputs, (extent - 1 - offset) / stride + 1);
}

INLINE f32x4 load4(const float *p) { return wasm_v128_load(p); }
INLINE void store4(float *p, f32x4 v) { wasm_v128_store(p, v); }
INLINE f32x4 splat4(float v) { return wasm_f32x4_splat(v); }
INLINE f32x4 splat_load4(const float *p) { return wasm_v128_load32_splat(p); }
/** a * b + c: in one rounding where the build has relaxed SIMD and the processor fuses, else in two. */
INLINE f32x4 multiply_add4(f32x4 a, f32x4 b, f32x4 c) {
#ifdef __wasm_relaxed_simd__
  return wasm_f32x4_relaxed_madd(a, b, c);
#else
  return wasm_f32x4_add(wasm_f32x4_mul(a, b), c);
#endif
}

/** The greater and the smaller lane, NaN where either is, and of two zeros a: wasm_f32x4_max sees to the zeros' signs too, at twice the time. */
INLINE f32x4 maximum4(f32x4 a, f32x4 b) { return wasm_v128_or(wasm_f32x4_pmax(a, b), wasm_f32x4_ne(b, b)); }
INLINE f32x4 minimum4(f32x4 a, f32x4 b) { return wasm_v128_or(wasm_f32x4_pmin(a, b), wasm_f32x4_ne(b, b)); }
