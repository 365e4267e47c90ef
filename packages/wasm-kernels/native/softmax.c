#include "softmax.h"

#include "parallel.h"

static void softmax_body(const void *arguments, int from, int to, int thread) {
  const Job *job = arguments;
  const int n = job->n[0];
  for (int row = from; row < to; row++) softmax_row(INPUT(0) + row * n, OUTPUT(0) + row * n, n, 1.0f);
}

/** Softmax of each row of x [rows, n]. */
void EXPORT(softmax)(const float *x, float *y, int rows, int n) {
  Job job = {.in = {x}, .out = {y}, .n = {n}};
  parallel(softmax_body, &job, rows, grain_of(n, GRAIN / 4));
}
