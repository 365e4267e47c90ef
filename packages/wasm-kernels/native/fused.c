// Element-wise operations of magnitude-preserving networks, each in one pass over memory.
// Tensors are dense float32, channels last. "rows" counts pixels, "channels" the values of one.
#include "common.h"

#define SILU_GAIN (1.0f / 0.596f)

// exp(x) to about 1e-7 relative, for x clamped to where the result is a normal number: 2^n·e^r with n the nearest whole
// number to x/ln 2 and r = x - n·ln 2 in [-ln2/2, ln2/2], ln 2 in two parts so that n times the first is exact. The
// polynomial's coefficients are Cephes'. Adding 1.5·2^23 rounds to a whole number and leaves it in the low bits.
INLINE f32x4 exp4(f32x4 x) {
  x = wasm_f32x4_pmin(wasm_f32x4_pmax(x, splat4(-87.0f)), splat4(88.0f));
  const f32x4 magic = splat4(12582912.0f);
  const f32x4 bits = wasm_f32x4_add(wasm_f32x4_mul(x, splat4(1.44269504088896341f)), magic);
  const f32x4 n = wasm_f32x4_sub(bits, magic);
  x = wasm_f32x4_sub(x, wasm_f32x4_mul(n, splat4(0.693359375f)));
  x = wasm_f32x4_add(x, wasm_f32x4_mul(n, splat4(2.12194440e-4f)));
  f32x4 p = multiply_add4(splat4(1.9875691500e-4f), x, splat4(1.3981999507e-3f));
  p = multiply_add4(p, x, splat4(8.3334519073e-3f));
  p = multiply_add4(p, x, splat4(4.1665795894e-2f));
  p = multiply_add4(p, x, splat4(1.6666665459e-1f));
  p = multiply_add4(p, x, splat4(5.0000001201e-1f));
  p = wasm_f32x4_add(multiply_add4(wasm_f32x4_mul(p, x), x, x), splat4(1.0f));
  return wasm_i32x4_add(p, wasm_i32x4_shl(bits, 23));
}

INLINE f32x4 mp_silu4(f32x4 x) {
  const f32x4 e = exp4(wasm_f32x4_neg(x));
  return wasm_f32x4_div(wasm_f32x4_mul(x, splat4(SILU_GAIN)), wasm_f32x4_add(e, splat4(1.0f)));
}

// d/dx of mp_silu: s·(1 + x·(1 - s))/0.596, with 1 - s = e·s for e = exp(-x).
INLINE f32x4 mp_silu_slope4(f32x4 x) {
  const f32x4 one = splat4(1.0f);
  const f32x4 e = exp4(wasm_f32x4_neg(x));
  const f32x4 s = wasm_f32x4_div(one, wasm_f32x4_add(e, one));
  const f32x4 slope = multiply_add4(wasm_f32x4_mul(x, wasm_f32x4_mul(e, s)), s, s);
  return wasm_f32x4_mul(slope, splat4(SILU_GAIN));
}

INLINE f32x4 load_some(const float* p, int n) {
  float lane[4];
  store4(lane, splat4(0));
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

// Runs `body` over n values, `v(p)` being four of them (fewer at the end, the rest zero).
#define FOR_EACH_4(n, full, some)          \
  int i = 0;                               \
  for (; i + 4 <= (n); i += 4) { full; }   \
  if (i < (n)) { const int left = (n) - i; some; }

void EXPORT(mp_silu)(const float* x, float* y, int n) {
  FOR_EACH_4(n, store4(y + i, mp_silu4(load4(x + i))),
             store_some(y + i, mp_silu4(load_some(x + i, left)), left))
}

void EXPORT(mp_silu_grad)(const float* x, const float* dy, float* dx, int n) {
  FOR_EACH_4(n,
             store4(dx + i, wasm_f32x4_mul(load4(dy + i), mp_silu_slope4(load4(x + i)))),
             store_some(dx + i, wasm_f32x4_mul(load_some(dy + i, left), mp_silu_slope4(load_some(x + i, left))), left))
}

// y = mp_silu(x * scale), scale [batch, channels], x [batch, pixels, channels].
void EXPORT(modulated_mp_silu)(const float* x, const float* scale, float* y, int batch, int pixels, int channels) {
  for (int b = 0; b < batch; b++, scale += channels) {
    for (int p = 0; p < pixels; p++, x += channels, y += channels) {
      FOR_EACH_4(channels,
                 store4(y + i, mp_silu4(wasm_f32x4_mul(load4(x + i), load4(scale + i)))),
                 store_some(y + i, mp_silu4(wasm_f32x4_mul(load_some(x + i, left), load_some(scale + i, left))), left))
    }
  }
}

void EXPORT(modulated_mp_silu_grad)(const float* x, const float* scale, const float* dy, float* dx, float* dscale,
                                   int batch, int pixels, int channels) {
  for (int b = 0; b < batch; b++, scale += channels, dscale += channels) {
    for (int c = 0; c < channels; c++) dscale[c] = 0;
    for (int p = 0; p < pixels; p++, x += channels, dy += channels, dx += channels) {
      FOR_EACH_4(
          channels,
          {
            f32x4 vx = load4(x + i);
            f32x4 vs = load4(scale + i);
            f32x4 g = wasm_f32x4_mul(load4(dy + i), mp_silu_slope4(wasm_f32x4_mul(vx, vs)));
            store4(dx + i, wasm_f32x4_mul(g, vs));
            store4(dscale + i, wasm_f32x4_add(load4(dscale + i), wasm_f32x4_mul(g, vx)));
          },
          {
            f32x4 vx = load_some(x + i, left);
            f32x4 vs = load_some(scale + i, left);
            f32x4 g = wasm_f32x4_mul(load_some(dy + i, left), mp_silu_slope4(wasm_f32x4_mul(vx, vs)));
            store_some(dx + i, wasm_f32x4_mul(g, vs), left);
            store_some(dscale + i, wasm_f32x4_add(load_some(dscale + i, left), wasm_f32x4_mul(g, vx)), left);
          })
    }
  }
}

INLINE float norm_of(const float* x, int channels) {
  f32x4 sum = splat4(0);
  FOR_EACH_4(channels, { f32x4 v = load4(x + i); sum = wasm_f32x4_add(sum, wasm_f32x4_mul(v, v)); },
             { f32x4 v = load_some(x + i, left); sum = wasm_f32x4_add(sum, wasm_f32x4_mul(v, v)); })
  return __builtin_sqrtf(sum4(sum));
}

// y = x / (epsilon + |x| / sqrt(channels)) for each pixel.
void EXPORT(pixel_norm)(const float* x, float* y, int rows, int channels, float epsilon) {
  const float inverse_root = 1.0f / __builtin_sqrtf((float)channels);
  for (int r = 0; r < rows; r++, x += channels, y += channels) {
    f32x4 factor = splat4(1.0f / (epsilon + norm_of(x, channels) * inverse_root));
    FOR_EACH_4(channels, store4(y + i, wasm_f32x4_mul(load4(x + i), factor)),
               store_some(y + i, wasm_f32x4_mul(load_some(x + i, left), factor), left))
  }
}

// With m = epsilon + |x|/sqrt(C): dx = dy/m - x (dy·x) / (m² |x| sqrt(C)); the second term is 0 at x = 0.
void EXPORT(pixel_norm_grad)(const float* x, const float* dy, float* dx, int rows, int channels, float epsilon) {
  const float inverse_root = 1.0f / __builtin_sqrtf((float)channels);
  for (int r = 0; r < rows; r++, x += channels, dy += channels, dx += channels) {
    f32x4 dots = splat4(0);
    {
      FOR_EACH_4(channels,
                 dots = wasm_f32x4_add(dots, wasm_f32x4_mul(load4(x + i), load4(dy + i))),
                 dots = wasm_f32x4_add(dots, wasm_f32x4_mul(load_some(x + i, left), load_some(dy + i, left))))
    }
    const float norm = norm_of(x, channels);
    const float m = epsilon + norm * inverse_root;
    f32x4 a = splat4(1.0f / m);
    f32x4 b = splat4(norm > 0 ? sum4(dots) * inverse_root / (m * m * norm) : 0);
    FOR_EACH_4(channels,
               store4(dx + i, wasm_f32x4_sub(wasm_f32x4_mul(load4(dy + i), a),
                                                      wasm_f32x4_mul(load4(x + i), b))),
               store_some(dx + i, wasm_f32x4_sub(wasm_f32x4_mul(load_some(dy + i, left), a),
                                                 wasm_f32x4_mul(load_some(x + i, left), b)), left))
  }
}

// y = alpha a + beta b, clipped to [-clip, clip].
void EXPORT(clipped_sum)(const float* a, const float* b, float* y, int n, float alpha, float beta, float clip) {
  f32x4 va = splat4(alpha);
  f32x4 vb = splat4(beta);
  f32x4 high = splat4(clip);
  f32x4 low = splat4(-clip);
#define SUM(p, q) \
  wasm_f32x4_pmin(wasm_f32x4_pmax(wasm_f32x4_add(wasm_f32x4_mul(p, va), wasm_f32x4_mul(q, vb)), low), high)
  FOR_EACH_4(n, store4(y + i, SUM(load4(a + i), load4(b + i))),
             store_some(y + i, SUM(load_some(a + i, left), load_some(b + i, left)), left))
#undef SUM
}

// da = alpha dy and db = beta dy where y is within the clip, else 0.
void EXPORT(clipped_sum_grad)(const float* y, const float* dy, float* da, float* db, int n, float alpha, float beta,
                              float clip) {
  f32x4 va = splat4(alpha);
  f32x4 vb = splat4(beta);
  f32x4 bound = splat4(clip);
#define KEPT(p, q) wasm_v128_and(q, wasm_f32x4_lt(wasm_f32x4_abs(p), bound))
  FOR_EACH_4(n,
             {
               f32x4 g = KEPT(load4(y + i), load4(dy + i));
               store4(da + i, wasm_f32x4_mul(g, va));
               store4(db + i, wasm_f32x4_mul(g, vb));
             },
             {
               f32x4 g = KEPT(load_some(y + i, left), load_some(dy + i, left));
               store_some(da + i, wasm_f32x4_mul(g, va), left);
               store_some(db + i, wasm_f32x4_mul(g, vb), left);
             })
#undef KEPT
}

INLINE void scale_into(const float* x, float* y, int n, float factor) {
  f32x4 f = splat4(factor);
  FOR_EACH_4(n, store4(y + i, wasm_f32x4_mul(load4(x + i), f)),
             store_some(y + i, wasm_f32x4_mul(load_some(x + i, left), f), left))
}

void EXPORT(scale)(const float* x, float* y, int n, float factor) { scale_into(x, y, n, factor); }

// y = [alpha a, beta b] along channels.
void EXPORT(scaled_concat)(const float* a, const float* b, float* y, int rows, int channels_a, int channels_b,
                          float alpha, float beta) {
  for (int r = 0; r < rows; r++, a += channels_a, b += channels_b, y += channels_a + channels_b) {
    scale_into(a, y, channels_a, alpha);
    scale_into(b, y + channels_a, channels_b, beta);
  }
}

void EXPORT(scaled_split)(const float* y, float* a, float* b, int rows, int channels_a, int channels_b, float alpha,
                         float beta) {
  for (int r = 0; r < rows; r++, a += channels_a, b += channels_b, y += channels_a + channels_b) {
    scale_into(y, a, channels_a, alpha);
    scale_into(y + channels_a, b, channels_b, beta);
  }
}

// y = factor * mean over 2x2 blocks; y has half the height and width of x.
void EXPORT(downsample_2x)(const float* x, float* y, int batch, int height, int width, int channels, float factor) {
  const int line = width * channels;
  f32x4 f = splat4(0.25f * factor);
  for (int r = 0; r < batch * height / 2; r++, x += 2 * line) {
    for (int c = 0; c < width / 2; c++, y += channels) {
      const float* p = x + 2 * c * channels;
#define SUM(load)                                                                     \
  wasm_f32x4_mul(f, wasm_f32x4_add(wasm_f32x4_add(load(p + i), load(p + channels + i)), \
                                   wasm_f32x4_add(load(p + line + i), load(p + line + channels + i))))
#define SOME(q) load_some(q, left)
      FOR_EACH_4(channels, store4(y + i, SUM(load4)), store_some(y + i, SUM(SOME), left))
#undef SOME
#undef SUM
    }
  }
}

// y = factor * each value of x repeated over a 2x2 block; height and width are those of x.
void EXPORT(upsample_2x)(const float* x, float* y, int batch, int height, int width, int channels, float factor) {
  const int line = 2 * width * channels;
  for (int r = 0; r < batch * height; r++, y += 2 * line) {
    for (int c = 0; c < width; c++, x += channels) {
      float* q = y + 2 * c * channels;
      scale_into(x, q, channels, factor);
      __builtin_memcpy(q + channels, q, channels * sizeof(float));
    }
    __builtin_memcpy(y + line, y, line * sizeof(float));
  }
}
