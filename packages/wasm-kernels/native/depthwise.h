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

/** Whether the functions below do rows of `pixels` results; by the input, that many of each residue class modulo the stride. */
int threes_fit(const Geometry *g, int pixels);

/** A row of y, of x and w. */
void threes_forward(const Depthwise *job, int row);

/** A row of dx, of dy and w. */
void threes_input(const Depthwise *job, int row);

/** filter[ty][tx][c] += what the images [from, to) give to the filter's gradient, for `channels` channels from `first` on, of which there are four at least. */
void threes_filter(const Depthwise *job, int from, int to, int first, int channels, float *filter);
