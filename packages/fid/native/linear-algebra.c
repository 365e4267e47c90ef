// The inner loops of the Fréchet distance in float64, two numbers at a time.
typedef double pair __attribute__((vector_size(16), aligned(8), may_alias));
#define EXPORT(name) __attribute__((export_name(#name))) void name
#define AT(pointer) (*(pair *)(pointer))

/** row -= a0 r0 + a1 r1 + a2 r2 + a3 r3 over rows of a matrix, `count` of them, `size` apart; from column `from` on. */
EXPORT(subtractProjections)(const double *rows, double *row, int count, int from, int size) {
  int r = 0;
  for (; r + 4 <= count; r += 4) {
    const double *r0 = rows + (long)r * size, *r1 = r0 + size, *r2 = r1 + size, *r3 = r2 + size;
    double a0 = r0[from], a1 = r1[from], a2 = r2[from], a3 = r3[from];
    int c = from;
    for (; c + 2 <= size; c += 2) {
      AT(row + c) -= a0 * AT(r0 + c) + a1 * AT(r1 + c) + a2 * AT(r2 + c) + a3 * AT(r3 + c);
    }
    for (; c < size; c++) row[c] -= a0 * r0[c] + a1 * r1[c] + a2 * r2[c] + a3 * r3[c];
  }
  for (; r < count; r++) {
    const double *other = rows + (long)r * size;
    double a = other[from];
    for (int c = from; c < size; c++) row[c] -= a * other[c];
  }
}

/**
 * out = left rightᵀ for rows of `size` columns, [rows, columns]; row i of `left` is zero before column i. Both have room for three rows of
 * zeros more: tiles of 4 × 4 products need no remainder. `out` has rows and columns rounded up to multiples of 4.
 */
EXPORT(multiplyTransposed)(const double *left, const double *right, double *out, int rows, int columns, int size) {
  int stride = (columns + 3) & ~3;
  for (int i = 0; i < rows; i += 4) {
    for (int j = 0; j < columns; j += 4) {
      pair sums[4][4];
      double rest[4][4];
      for (int p = 0; p < 4; p++) {
        for (int q = 0; q < 4; q++) {
          sums[p][q] = (pair){0, 0};
          rest[p][q] = 0;
        }
      }
      const double *l = left + (long)i * size, *r = right + (long)j * size;
      int c = i;
      for (; c + 2 <= size; c += 2) {
        pair x0 = AT(l + c), x1 = AT(l + size + c), x2 = AT(l + 2 * size + c), x3 = AT(l + 3 * size + c);
#pragma clang loop unroll(full)
        for (int q = 0; q < 4; q++) {
          pair y = AT(r + (long)q * size + c);
          sums[0][q] += x0 * y;
          sums[1][q] += x1 * y;
          sums[2][q] += x2 * y;
          sums[3][q] += x3 * y;
        }
      }
      for (; c < size; c++) {
        for (int p = 0; p < 4; p++) {
          for (int q = 0; q < 4; q++) rest[p][q] += l[(long)p * size + c] * r[(long)q * size + c];
        }
      }
      for (int p = 0; p < 4; p++) {
        for (int q = 0; q < 4; q++) out[(long)(i + p) * stride + j + q] = sums[p][q][0] + sums[p][q][1] + rest[p][q];
      }
    }
  }
}

/** Makes of x, from `start` on, the vector v of the reflection I − factor v vᵀ that takes x to `length` times a unit vector. */
static double reflect(double *x, int start, int end, double *length) {
  double squares = 0;
  for (int i = start; i < end; i++) squares += x[i] * x[i];
  double head = x[start], root = __builtin_sqrt(squares);
  // Away from the head's own sign, so that nothing cancels.
  *length = head > 0 ? -root : root;
  x[start] = head - *length;
  double norm = squares - head * *length;
  return norm > 0 ? 1 / norm : 0;
}

/**
 * The bidiagonal form d_0, e_0, d_1, … of a matrix of at least as many rows as columns, which is destroyed. `work`: 4 (rows + columns)
 * zeros. Each step reflects a column by v and a row by u, A ← A − v wᵀ − y uᵀ; the subtraction is put off to the next step, where the
 * same pass over the matrix takes the product with the next v.
 */
EXPORT(bidiagonalize)(double *a, int rows, int columns, double *beside, double *work) {
  double *v = work, *nextV = v + rows, *y = nextV + rows, *nextY = y + rows;
  double *w = nextY + rows, *nextW = w + columns, *u = nextW + columns, *nextU = u + columns;
  for (int k = 0; k < columns; k++) {
    for (int i = k; i < rows; i++) nextV[i] = a[(long)i * columns + k] - v[i] * w[k] - y[i] * u[k];
    double left = reflect(nextV, k, rows, beside + 2 * k);
    if (k == columns - 1) break;

    for (int j = k + 1; j < columns; j++) nextW[j] = 0;
    int i = k;
    for (; i + 2 <= rows; i += 2) {
      double *r0 = a + (long)i * columns, *r1 = r0 + columns;
      double v0 = v[i], v1 = v[i + 1], y0 = y[i], y1 = y[i + 1], n0 = nextV[i], n1 = nextV[i + 1];
      int j = k + 1;
      for (; j + 2 <= columns; j += 2) {
        pair wj = AT(w + j), uj = AT(u + j);
        pair x0 = AT(r0 + j) - v0 * wj - y0 * uj;
        pair x1 = AT(r1 + j) - v1 * wj - y1 * uj;
        AT(r0 + j) = x0;
        AT(r1 + j) = x1;
        AT(nextW + j) += n0 * x0 + n1 * x1;
      }
      for (; j < columns; j++) {
        double x0 = r0[j] - v0 * w[j] - y0 * u[j];
        double x1 = r1[j] - v1 * w[j] - y1 * u[j];
        r0[j] = x0;
        r1[j] = x1;
        nextW[j] += n0 * x0 + n1 * x1;
      }
    }
    for (; i < rows; i++) {
      double *row = a + (long)i * columns;
      for (int j = k + 1; j < columns; j++) {
        row[j] -= v[i] * w[j] + y[i] * u[j];
        nextW[j] += nextV[i] * row[j];
      }
    }
    for (int j = k + 1; j < columns; j++) nextW[j] *= left;

    for (int j = k + 1; j < columns; j++) nextU[j] = a[(long)k * columns + j] - nextV[k] * nextW[j];
    double right = reflect(nextU, k + 1, columns, beside + 2 * k + 1);
    double wu = 0;
    for (int j = k + 1; j < columns; j++) wu += nextW[j] * nextU[j];
    i = k + 1;
    for (; i + 4 <= rows; i += 4) {
      const double *r0 = a + (long)i * columns, *r1 = r0 + columns, *r2 = r1 + columns, *r3 = r2 + columns;
      pair s0 = {0, 0}, s1 = {0, 0}, s2 = {0, 0}, s3 = {0, 0};
      double t0 = 0, t1 = 0, t2 = 0, t3 = 0;
      int j = k + 1;
      for (; j + 2 <= columns; j += 2) {
        pair x = AT(nextU + j);
        s0 += AT(r0 + j) * x;
        s1 += AT(r1 + j) * x;
        s2 += AT(r2 + j) * x;
        s3 += AT(r3 + j) * x;
      }
      for (; j < columns; j++) {
        t0 += r0[j] * nextU[j];
        t1 += r1[j] * nextU[j];
        t2 += r2[j] * nextU[j];
        t3 += r3[j] * nextU[j];
      }
      nextY[i] = right * (s0[0] + s0[1] + t0 - nextV[i] * wu);
      nextY[i + 1] = right * (s1[0] + s1[1] + t1 - nextV[i + 1] * wu);
      nextY[i + 2] = right * (s2[0] + s2[1] + t2 - nextV[i + 2] * wu);
      nextY[i + 3] = right * (s3[0] + s3[1] + t3 - nextV[i + 3] * wu);
    }
    for (; i < rows; i++) {
      double sum = 0;
      for (int j = k + 1; j < columns; j++) sum += a[(long)i * columns + j] * nextU[j];
      nextY[i] = right * (sum - nextV[i] * wu);
    }
    double *swap = v; v = nextV; nextV = swap;
    swap = w; w = nextW; nextW = swap;
    swap = y; y = nextY; nextY = swap;
    swap = u; u = nextU; nextU = swap;
  }
}
