#include "winograd.h"

#include <ATen/Parallel.h>

#include <vector>

#include "simd.h"

namespace cm {
namespace {

using at::Tensor;

// With tiles of 2 × 2 outputs and 4 × 4 inputs d, filter g and their transforms V = Bᵀ·d·B and U = G·g·Gᵀ, an output tile is
// Aᵀ·(Σ over channels of U∘V)·A. Each of the 16 places of the transforms is a matrix product of its own, over many tiles:
// [tiles, channels] · [channels, outputs].
constexpr int PLACES = 16;
constexpr int64_t MOST_CHANNELS = 1 << 13;

struct Images {
  int64_t batch, height, width, channels;
  int64_t rows() const { return height / 2; }
  int64_t columns() const { return width / 2; }
  int64_t tiles() const { return batch * rows() * columns(); }
};

Images images_of(const Tensor &x) { return {x.size(0), x.size(1), x.size(2), x.size(3)}; }

/** Tiles at a time: as many as keep their transforms in the second-level cache, but enough to be worth reading the filter's for. */
int64_t block_of(const Images &s, int64_t outputs) {
  const int64_t fitting = (640 << 10) / (PLACES * 4 * (s.channels + outputs));
  const int64_t block = std::max<int64_t>(60, std::min<int64_t>(96, fitting));
  // A share for each thread, where there are few.
  const int64_t share = (s.tiles() + at::get_num_threads() - 1) / at::get_num_threads();
  return (std::min(block, share) + TILE_ROWS - 1) / TILE_ROWS * TILE_ROWS;
}

/** Place by place, the transform of a tile's 4 × 4 inputs, for all channels; inputs outside of the image are 0. */
void transform_inputs(const float *x, const Images &s, int64_t tile, float *to, int64_t step) {
  const int64_t image = tile / (s.rows() * s.columns()), row = tile / s.columns() % s.rows(), column = tile % s.columns();
  static const std::vector<float> nothing(MOST_CHANNELS, 0.0f);
  const float *at[4][4];
  for (int64_t i = 0; i < 4; i++)
    for (int64_t j = 0; j < 4; j++) {
      const int64_t h = 2 * row + i - 1, w = 2 * column + j - 1;
      const bool inside = h >= 0 && h < s.height && w >= 0 && w < s.width;
      at[i][j] = inside ? x + ((image * s.height + h) * s.width + w) * s.channels : nothing.data();
    }
  for (int64_t c = 0; c < s.channels; c += LANES) {
    Lanes t[4][4];
    for (int j = 0; j < 4; j++) {
      const auto in = [&](int i) { return *reinterpret_cast<const Lanes *>(at[i][j] + c); };
      const Lanes d0 = in(0), d1 = in(1), d2 = in(2), d3 = in(3);
      t[0][j] = d0 - d2, t[1][j] = d1 + d2, t[2][j] = d2 - d1, t[3][j] = d1 - d3;
    }
    for (int i = 0; i < 4; i++) {
      const auto out = [&](int j) -> Lanes & { return *reinterpret_cast<Lanes *>(to + (4 * i + j) * step + c); };
      out(0) = t[i][0] - t[i][2], out(1) = t[i][1] + t[i][2], out(2) = t[i][2] - t[i][1], out(3) = t[i][1] - t[i][3];
    }
  }
}

/** A tile's 2 × 2 outputs from its 16 places. */
void transform_outputs(const float *from, int64_t step, const Images &s, int64_t tile, float *y) {
  const int64_t image = tile / (s.rows() * s.columns()), row = tile / s.columns() % s.rows(), column = tile % s.columns();
  float *to = y + ((image * s.height + 2 * row) * s.width + 2 * column) * s.channels;
  for (int64_t c = 0; c < s.channels; c += LANES) {
    Lanes t[2][4];
    for (int j = 0; j < 4; j++) {
      const auto in = [&](int i) { return *reinterpret_cast<const Lanes *>(from + (4 * i + j) * step + c); };
      const Lanes m1 = in(1), m2 = in(2);
      t[0][j] = in(0) + m1 + m2, t[1][j] = m1 - m2 - in(3);
    }
    for (int i = 0; i < 2; i++) {
      float *out = to + i * s.width * s.channels + c;
      *reinterpret_cast<Lanes *>(out) = t[i][0] + t[i][1] + t[i][2];
      *reinterpret_cast<Lanes *>(out + s.channels) = t[i][1] - t[i][2] - t[i][3];
    }
  }
}

/** Place by place, A·dy·Aᵀ of a tile's 2 × 2 outputs' gradients: the transpose of transform_outputs. */
void transform_gradients(const float *dy, const Images &s, int64_t tile, float *to, int64_t step) {
  const int64_t image = tile / (s.rows() * s.columns()), row = tile / s.columns() % s.rows(), column = tile % s.columns();
  const float *from = dy + ((image * s.height + 2 * row) * s.width + 2 * column) * s.channels;
  for (int64_t c = 0; c < s.channels; c += LANES) {
    Lanes t[4][2];
    for (int j = 0; j < 2; j++) {
      const auto in = [&](int i) {
        return *reinterpret_cast<const Lanes *>(from + (i * s.width + j) * s.channels + c);
      };
      const Lanes g0 = in(0), g1 = in(1);
      t[0][j] = g0, t[1][j] = g0 + g1, t[2][j] = g0 - g1, t[3][j] = -g1;
    }
    for (int i = 0; i < 4; i++) {
      const auto out = [&](int j) -> Lanes & { return *reinterpret_cast<Lanes *>(to + (4 * i + j) * step + c); };
      out(0) = t[i][0], out(1) = t[i][0] + t[i][1], out(2) = t[i][0] - t[i][1], out(3) = -t[i][1];
    }
  }
}

/** U = G·g·Gᵀ for every channel and output: [16, channels, outputs] of a filter [3, 3, channels, outputs]. */
Tensor transform_filter(const Tensor &filter) {
  const int64_t size = filter.size(2) * filter.size(3);
  const Tensor u = at::empty({PLACES, filter.size(2), filter.size(3)}, filter.options());
  const float *g = filter.data_ptr<float>();
  float *to = u.data_ptr<float>();
  at::parallel_for(0, size / LANES, 256, [=](int64_t first, int64_t end) {
    for (int64_t at = first * LANES; at < end * LANES; at += LANES) {
      Lanes t[4][3];
      for (int j = 0; j < 3; j++) {
        const auto in = [&](int i) { return *reinterpret_cast<const Lanes *>(g + (3 * i + j) * size + at); };
        const Lanes even = 0.5f * (in(0) + in(2)), odd = 0.5f * in(1);
        t[0][j] = in(0), t[1][j] = even + odd, t[2][j] = even - odd, t[3][j] = in(2);
      }
      for (int i = 0; i < 4; i++) {
        const auto out = [&](int j) -> Lanes & { return *reinterpret_cast<Lanes *>(to + (4 * i + j) * size + at); };
        const Lanes even = 0.5f * (t[i][0] + t[i][2]), odd = 0.5f * t[i][1];
        out(0) = t[i][0], out(1) = even + odd, out(2) = even - odd, out(3) = t[i][2];
      }
    }
  });
  return u;
}

/** Gᵀ·dU·G: the filter's gradient from that of its transform. */
Tensor gradient_of_filter(const Tensor &du) {
  const auto row = [](const Tensor &a, const Tensor &b, const Tensor &c, const Tensor &d) {
    return std::array<Tensor, 3>{a + (b + c) * 0.5, (b - c) * 0.5, (b + c) * 0.5 + d};
  };
  const auto u = du.unbind(0);
  std::array<std::array<Tensor, 3>, 4> t;
  for (int i = 0; i < 4; i++) t[i] = row(u[4 * i], u[4 * i + 1], u[4 * i + 2], u[4 * i + 3]);
  std::vector<Tensor> g(9);
  for (int j = 0; j < 3; j++) {
    const auto column = row(t[0][j], t[1][j], t[2][j], t[3][j]);
    for (int i = 0; i < 3; i++) g[3 * i + j] = column[i];
  }
  return at::stack(g).view({3, 3, du.size(1), du.size(2)});
}

/** f(first tile, tiles, room for `numbers`) over blocks of tiles, on libtorch's threads. */
template <typename F>
void over_blocks(const Images &s, int64_t block, int64_t numbers, F f) {
  const int64_t blocks = (s.tiles() + block - 1) / block;
  at::parallel_for(0, blocks, 1, [&](int64_t first, int64_t end) {
    const Tensor room = at::empty({numbers}, at::dtype(at::kFloat));
    for (int64_t b = first; b < end; b++) f(b * block, std::min(block, s.tiles() - b * block), room.data_ptr<float>());
  });
}

}  // namespace

bool winograd_fits(const Tensor &x, int64_t outputs, int64_t least_tiles) {
  return x.is_cpu() && x.scalar_type() == at::kFloat && x.dim() == 4 && x.size(1) % 2 == 0 && x.size(2) % 2 == 0 &&
         x.size(3) >= 32 && x.size(3) % LANES == 0 && x.size(3) <= MOST_CHANNELS && outputs >= 32 && outputs % LANES == 0 &&
         images_of(x).tiles() >= least_tiles;
}

Tensor winograd(const Tensor &x, const Tensor &filter) {
  const Images s = images_of(x);
  const int64_t channels = s.channels, outputs = filter.size(3), block = block_of(s, outputs);
  const Tensor u = transform_filter(filter.contiguous());
  const Tensor y = at::empty({s.batch, s.height, s.width, outputs}, x.options());
  const Images out{s.batch, s.height, s.width, outputs};
  const float *from = x.data_ptr<float>(), *weights = u.data_ptr<float>();
  float *to = y.data_ptr<float>();
  over_blocks(s, block, PLACES * block * (channels + outputs), [&](int64_t first, int64_t tiles, float *room) {
    float *v = room, *m = room + PLACES * block * channels;
    for (int64_t i = 0; i < tiles; i++) transform_inputs(from, s, first + i, v + i * channels, block * channels);
    for (int place = 0; place < PLACES; place++)
      small_product({v + place * block * channels, channels, 1}, weights + place * channels * outputs, outputs,
                    m + place * block * outputs, outputs, tiles, channels, outputs, false);
    for (int64_t i = 0; i < tiles; i++) transform_outputs(m + i * outputs, block * outputs, out, first + i, to);
  });
  return y;
}

Tensor winograd_filter_gradient(const Tensor &x, const Tensor &dy) {
  const Images s = images_of(x), out = images_of(dy);
  const int64_t channels = s.channels, outputs = out.channels, block = block_of(s, outputs);
  // Each thread sums over its own tiles; the sums of all are added in order, so that the result does not depend on timing.
  const int64_t threads = std::max<int64_t>(1, std::min<int64_t>(at::get_num_threads(), s.tiles() / block));
  const Tensor du = at::zeros({threads, PLACES, channels, outputs}, x.options());
  const float *from = x.data_ptr<float>(), *gradient = dy.data_ptr<float>();
  float *to = du.data_ptr<float>();
  at::parallel_for(0, threads, 1, [&](int64_t begin, int64_t end) {
    const Tensor room = at::empty({PLACES * block * (channels + outputs)}, x.options());
    float *v = room.data_ptr<float>(), *m = v + PLACES * block * channels;
    for (int64_t thread = begin; thread < end; thread++) {
      const int64_t last = s.tiles() * (thread + 1) / threads;
      for (int64_t first = s.tiles() * thread / threads; first < last; first += block) {
        const int64_t tiles = std::min(block, last - first);
        for (int64_t i = 0; i < tiles; i++) {
          transform_inputs(from, s, first + i, v + i * channels, block * channels);
          transform_gradients(gradient, out, first + i, m + i * outputs, block * outputs);
        }
        for (int place = 0; place < PLACES; place++)
          small_product({v + place * block * channels, 1, channels}, m + place * block * outputs, outputs,
                        to + (thread * PLACES + place) * channels * outputs, outputs, channels, tiles, outputs, true);
      }
    }
  });
  return gradient_of_filter(threads == 1 ? du.squeeze(0) : du.sum(0));
}

}  // namespace cm
