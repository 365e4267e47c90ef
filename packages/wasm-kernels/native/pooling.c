#include "common.h"

/** dx = each window's dy / (window_y · window_x), spread over the window. NHWC; padding counts in the divisor. */
void EXPORT(avg_pool_gradient)(const float *dy, float *dx, int batch, int height, int width, int channels, int out_height,
                               int out_width, int window_y, int window_x, int stride_y, int stride_x, int pad_top,
                               int pad_left) {
  const float share = 1.0f / (float)(window_y * window_x);
  __builtin_memset(dx, 0, (size_t)batch * height * width * channels * sizeof(float));
  for (int b = 0; b < batch; b++, dx += height * width * channels)
    for (int oy = 0; oy < out_height; oy++)
      for (int ox = 0; ox < out_width; ox++, dy += channels)
        for (int y = max_int(0, oy * stride_y - pad_top); y < min_int(height, oy * stride_y - pad_top + window_y); y++)
          for (int x = max_int(0, ox * stride_x - pad_left); x < min_int(width, ox * stride_x - pad_left + window_x);
               x++) {
            float *to = dx + (y * width + x) * channels;
            int c = 0;
            for (; c + 4 <= channels; c += 4) store4(to + c, multiply_add4(load4(dy + c), splat4(share), load4(to + c)));
            for (; c < channels; c++) to[c] += dy[c] * share;
          }
}
