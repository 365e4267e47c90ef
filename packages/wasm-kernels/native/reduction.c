// Sums and maxima over the middle one of three axes. Long sums are taken in blocks, which keeps float32's rounding small.
#include "parallel.h"

enum { BLOCK = 128 };

INLINE float lanes_sum(f32x4 v) {
  return (wasm_f32x4_extract_lane(v, 0) + wasm_f32x4_extract_lane(v, 1)) +
         (wasm_f32x4_extract_lane(v, 2) + wasm_f32x4_extract_lane(v, 3));
}

/** Sum of n contiguous values, block sums added in double precision. */
static float sum_run(const float *x, int n) {
  double total = 0;
  int i = 0;
  while (i + 16 <= n) {
    f32x4 s0 = splat4(0), s1 = s0, s2 = s0, s3 = s0;
    for (int end = min_int(n, i + 16 * BLOCK); i + 16 <= end; i += 16) {
      s0 = wasm_f32x4_add(s0, load4(x + i)), s1 = wasm_f32x4_add(s1, load4(x + i + 4));
      s2 = wasm_f32x4_add(s2, load4(x + i + 8)), s3 = wasm_f32x4_add(s3, load4(x + i + 12));
    }
    total += lanes_sum(wasm_f32x4_add(wasm_f32x4_add(s0, s1), wasm_f32x4_add(s2, s3)));
  }
  for (; i < n; i++) total += x[i];
  return (float)total;
}

/** A reduction: x [outer, middle, inner] to y [outer, inner]. Items are runs of 16 of inner, or all of outer where inner is 1. */
typedef struct {
  const float *x;
  float *y;
  int middle, inner;
  float factor;
} Reduction;

enum { RUN = 16 };

static void reduce(Body *body, Reduction job, int outer) {
  int runs = round_up(job.inner, RUN) / RUN;
  parallel(body, &job, outer * runs, grain_of(job.middle * min_int(RUN, job.inner), GRAIN));
}

static void sum_body(const void *arguments, int from, int to, int thread) {
  const Reduction *job = arguments;
  const int middle = job->middle, inner = job->inner, runs = round_up(inner, RUN) / RUN;
  for (int item = from; item < to; item++) {
    const float *x = job->x + item / runs * middle * inner;
    float *y = job->y + item / runs * inner;
    if (inner == 1) {
      *y = sum_run(x, middle) * job->factor;
      continue;
    }
    int i = item % runs * RUN;
    if (i + RUN <= inner) {
      f32x4 t0 = splat4(0), t1 = t0, t2 = t0, t3 = t0;
      for (int m = 0; m < middle;) {
        f32x4 s0 = splat4(0), s1 = s0, s2 = s0, s3 = s0;
        for (int end = min_int(middle, m + BLOCK); m < end; m++) {
          const float *row = x + m * inner + i;
          s0 = wasm_f32x4_add(s0, load4(row)), s1 = wasm_f32x4_add(s1, load4(row + 4));
          s2 = wasm_f32x4_add(s2, load4(row + 8)), s3 = wasm_f32x4_add(s3, load4(row + 12));
        }
        t0 = wasm_f32x4_add(t0, s0), t1 = wasm_f32x4_add(t1, s1);
        t2 = wasm_f32x4_add(t2, s2), t3 = wasm_f32x4_add(t3, s3);
      }
      f32x4 f = splat4(job->factor);
      store4(y + i, wasm_f32x4_mul(t0, f)), store4(y + i + 4, wasm_f32x4_mul(t1, f));
      store4(y + i + 8, wasm_f32x4_mul(t2, f)), store4(y + i + 12, wasm_f32x4_mul(t3, f));
      continue;
    }
    for (; i < inner; i++) {
      float total = 0;
      for (int m = 0; m < middle;) {
        float sum = 0;
        for (int end = min_int(middle, m + BLOCK); m < end; m++) sum += x[m * inner + i];
        total += sum;
      }
      y[i] = total * job->factor;
    }
  }
}

/** y[o][i] = factor · Σ_m x[o][m][i] */
void EXPORT(sum_middle)(const float *x, float *y, int outer, int middle, int inner, float factor) {
  reduce(sum_body, (Reduction){x, y, middle, inner, factor}, outer);
}

static void max_body(const void *arguments, int from, int to, int thread) {
  const Reduction *job = arguments;
  const int middle = job->middle, inner = job->inner, runs = round_up(inner, RUN) / RUN;
  const f32x4 lowest = splat4(-__builtin_inff());
  for (int item = from; item < to; item++) {
    const float *x = job->x + item / runs * middle * inner;
    float *y = job->y + item / runs * inner;
    if (inner == 1) {
      f32x4 a = lowest, b = lowest;
      int m = 0;
      for (; m + 8 <= middle; m += 8) a = maximum4(a, load4(x + m)), b = maximum4(b, load4(x + m + 4));
      for (; m < middle; m++) a = maximum4(a, splat4(x[m]));
      a = maximum4(a, b);
      a = maximum4(a, wasm_i32x4_shuffle(a, a, 2, 3, 0, 1));
      a = maximum4(a, wasm_i32x4_shuffle(a, a, 1, 0, 3, 2));
      *y = wasm_f32x4_extract_lane(a, 0);
      continue;
    }
    int i = item % runs * RUN;
    const int end = min_int(inner, i + RUN);
    for (; i + 4 <= end; i += 4) {
      f32x4 a = lowest;
      for (int m = 0; m < middle; m++) a = maximum4(a, load4(x + m * inner + i));
      store4(y + i, a);
    }
    for (; i < end; i++) {
      f32x4 a = lowest;
      for (int m = 0; m < middle; m++) a = maximum4(a, splat4(x[m * inner + i]));
      y[i] = wasm_f32x4_extract_lane(a, 0);
    }
  }
}

/** y[o][i] = max_m x[o][m][i], NaN where one is; minus infinity of nothing. */
void EXPORT(max_middle)(const float *x, float *y, int outer, int middle, int inner) {
  reduce(max_body, (Reduction){x, y, middle, inner, 1}, outer);
}
