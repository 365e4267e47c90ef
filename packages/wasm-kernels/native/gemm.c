// C = op(A) op(B) for float32 matrices, plain loops first.
#include "common.h"

void EXPORT(gemm)(const float *a, int a_row, int a_col, const float *b, int b_row, int b_col, float *c, int m, int n, int k) {
  for (int i = 0; i < m; i++)
    for (int j = 0; j < n; j++) {
      float sum = 0;
      for (int p = 0; p < k; p++) sum += a[i * a_row + p * a_col] * b[p * b_row + j * b_col];
      c[i * n + j] = sum;
    }
}
