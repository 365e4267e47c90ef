// Depthwise convolutions: x [B, H, W, C], w [taps_y, taps_x, C, M], y [B, Ho, Wo, C·M]; result c·M + m sees channel c alone.
#pragma once
#include "parallel.h"

typedef struct {
  int batch, height, width, channels, out_height, out_width, multiplier;
  int taps_y, taps_x, stride_y, stride_x, dilation_y, dilation_x, pad_top, pad_left;
} Geometry;

typedef struct {
  const float *a, *b;
  float *out;
  Geometry g;
} Depthwise;

/** Whether the functions below do rows of `pixels` results. */
int threes_fit(const Geometry *g, int pixels);

/** A row of y, of x and w. */
void threes_forward(const Depthwise *job, int row);

/** A row of dx, of dy and w. */
void threes_input(const Depthwise *job, int row);

/**
 * filter[tx][c] += Σ_oy Σ_ox dy[oy][ox][c] · x[oy·stride_y][ox·stride_x + tx − pad_left][c], c < channels, of which there are four at
 * least: what `rows` rows of dy and those of x that go with them in a row of the filter add to its gradient.
 */
void threes_filter(const Geometry *g, const float *x, const float *dy, int rows, int channels, float *filter);
