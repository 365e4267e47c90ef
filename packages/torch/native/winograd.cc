#include "winograd.h"

#include <array>
#include <vector>

#include "loops.h"
#include "scratch.h"
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

struct Tile {
  int64_t image, row, column;
};
Tile tile_of(const Images &s, int64_t tile) {
  return {tile / (s.rows() * s.columns()), tile / s.columns() % s.rows(), tile % s.columns()};
}

/** Where a tile's 4 × 4 inputs lie; those outside of the image are 0, and so are all of a tile that there is not. */
template <typename E>
struct Inputs {
  const E *at[4][4];
};
template <typename E>
Inputs<E> inputs_of(const E *x, const Images &s, int64_t tile, bool exists = true) {
  const auto [image, row, column] = tile_of(s, tile);
  static const std::vector<E> nothing(MOST_CHANNELS, E{});
  Inputs<E> inputs;
  for (int64_t i = 0; i < 4; i++)
    for (int64_t j = 0; j < 4; j++) {
      const int64_t h = 2 * row + i - 1, w = 2 * column + j - 1;
      const bool inside = exists && h >= 0 && h < s.height && w >= 0 && w < s.width;
      inputs.at[i][j] = inside ? x + ((image * s.height + h) * s.width + w) * s.channels : nothing.data();
    }
  return inputs;
}

/** put(place, LANES numbers) of the transform of a tile's inputs, from a channel on. */
template <typename E, typename Put>
inline void transform(const Inputs<E> &inputs, int64_t c, Put put) {
  Lanes t[4][4];
#pragma GCC unroll 4
  for (int j = 0; j < 4; j++) {
    const auto in = [&](int i) { return load(inputs.at[i][j] + c); };
    const Lanes d1 = in(1), d2 = in(2);
    t[0][j] = in(0) - d2, t[1][j] = d1 + d2, t[2][j] = d2 - d1, t[3][j] = d1 - in(3);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; i++) {
    put(4 * i, t[i][0] - t[i][2]), put(4 * i + 1, t[i][1] + t[i][2]);
    put(4 * i + 2, t[i][2] - t[i][1]), put(4 * i + 3, t[i][1] - t[i][3]);
  }
}

/** A tile's 2 × 2 outputs from its 16 places. */
template <typename E>
void transform_outputs(const float *from, int64_t step, const Images &s, int64_t tile, E *y) {
  const auto [image, row, column] = tile_of(s, tile);
  E *to = y + ((image * s.height + 2 * row) * s.width + 2 * column) * s.channels;
  for (int64_t c = 0; c < s.channels; c += LANES) {
    Lanes t[2][4];
    for (int j = 0; j < 4; j++) {
      const auto in = [&](int i) { return load(from + (4 * i + j) * step + c); };
      const Lanes m1 = in(1), m2 = in(2);
      t[0][j] = in(0) + m1 + m2, t[1][j] = m1 - m2 - in(3);
    }
    for (int i = 0; i < 2; i++) {
      E *out = to + i * s.width * s.channels + c;
      store(out, t[i][0] + t[i][1] + t[i][2]);
      store(out + s.channels, t[i][1] - t[i][2] - t[i][3]);
    }
  }
}

/** Where the gradients of a tile's 2 × 2 outputs lie. */
template <typename E>
struct Gradients {
  const E *at[2][2];
};
template <typename E>
Gradients<E> gradients_of(const E *dy, const Images &s, int64_t tile, bool exists = true) {
  const auto [image, row, column] = tile_of(s, tile);
  static const std::vector<E> nothing(MOST_CHANNELS, E{});
  Gradients<E> gradients;
  for (int64_t i = 0; i < 2; i++)
    for (int64_t j = 0; j < 2; j++)
      gradients.at[i][j] = exists ? dy + ((image * s.height + 2 * row + i) * s.width + 2 * column + j) * s.channels : nothing.data();
  return gradients;
}

/** put(place, LANES numbers) of A·dy·Aᵀ, from a channel on: the transpose of transform_outputs. */
template <typename E, typename Put>
inline void transform(const Gradients<E> &gradients, int64_t c, Put put) {
  Lanes t[4][2];
#pragma GCC unroll 2
  for (int j = 0; j < 2; j++) {
    const Lanes g0 = load(gradients.at[0][j] + c), g1 = load(gradients.at[1][j] + c);
    t[0][j] = g0, t[1][j] = g0 + g1, t[2][j] = g0 - g1, t[3][j] = -g1;
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; i++) {
    put(4 * i, t[i][0]), put(4 * i + 1, t[i][0] + t[i][1]);
    put(4 * i + 2, t[i][0] - t[i][1]), put(4 * i + 3, -t[i][1]);
  }
}

using Places = std::array<Lanes, PLACES>;

/** U = G·g·Gᵀ of LANES filters, their nine values `step` apart. */
Places transform_filter(const float *g, int64_t step) {
  Lanes t[4][3];
  for (int j = 0; j < 3; j++) {
    const auto in = [&](int i) { return load(g + (3 * i + j) * step); };
    const Lanes even = 0.5f * (in(0) + in(2)), odd = 0.5f * in(1);
    t[0][j] = in(0), t[1][j] = even + odd, t[2][j] = even - odd, t[3][j] = in(2);
  }
  Places u;
  for (int i = 0; i < 4; i++) {
    const Lanes even = 0.5f * (t[i][0] + t[i][2]), odd = 0.5f * t[i][1];
    u[4 * i] = t[i][0], u[4 * i + 1] = even + odd, u[4 * i + 2] = even - odd, u[4 * i + 3] = t[i][2];
  }
  return u;
}

/** U of a filter [3, 3, channels, outputs] for products of T, [16, channels, outputs]; of pairs along the channels half as many. */
template <typename T>
Tensor transformed(const Tensor &filter) {
  constexpr int64_t width = WIDTH<T>;
  const int64_t channels = filter.size(2), outputs = filter.size(3), depth = channels / width;
  const Tensor u = at::empty({PLACES, depth, outputs}, filter.options());
  const float *g = filter.data_ptr<float>();
  T *to = room<T>(u);
  at::parallel_for(0, depth, 16, [=](int64_t first, int64_t end) {
    for (int64_t d = first; d < end; d++)
      for (int64_t o = 0; o < outputs; o += LANES) {
        const Places even = transform_filter(g + d * width * outputs + o, channels * outputs);
        T *at = to + d * outputs + o;
#ifdef __AVX512BF16__
        if constexpr (width == 2) {
          const Places odd = transform_filter(g + (d * width + 1) * outputs + o, channels * outputs);
          for (int place = 0; place < PLACES; place++) store(at + place * depth * outputs, paired(even[place], odd[place]));
        } else
#endif
          for (int place = 0; place < PLACES; place++) store(at + place * depth * outputs, even[place]);
      }
  });
  return u;
}

/** Gᵀ·dU·G, the filter's gradient, from parts [parts, 16, channels, outputs] whose sum is that of its transform. */
Tensor gradient_of_filter(const Tensor &du) {
  const int64_t parts = du.size(0), size = du.size(2) * du.size(3);
  const Tensor dg = at::empty({3, 3, du.size(2), du.size(3)}, du.options());
  const float *from = du.data_ptr<float>();
  float *to = dg.data_ptr<float>();
  const auto row = [](Lanes a, Lanes b, Lanes c, Lanes d) {
    return std::array<Lanes, 3>{a + 0.5f * (b + c), 0.5f * (b - c), 0.5f * (b + c) + d};
  };
  at::parallel_for(0, size / LANES, 256, [=](int64_t first, int64_t end) {
    for (int64_t at = first * LANES; at < end * LANES; at += LANES) {
      const auto u = [&](int place) {
        Lanes sum = load(from + place * size + at);
        for (int64_t part = 1; part < parts; part++) sum += load(from + (part * PLACES + place) * size + at);
        return sum;
      };
      std::array<std::array<Lanes, 3>, 4> t;
      for (int i = 0; i < 4; i++) t[i] = row(u(4 * i), u(4 * i + 1), u(4 * i + 2), u(4 * i + 3));
      for (int j = 0; j < 3; j++) {
        const auto column = row(t[0][j], t[1][j], t[2][j], t[3][j]);
        for (int i = 0; i < 3; i++) store(to + (3 * i + j) * size + at, column[i]);
      }
    }
  });
  return dg;
}

/** f(first tile, tiles, room for `bytes`) over blocks of tiles, on libtorch's threads. */
template <typename F>
void over_blocks(const Images &s, int64_t block, int64_t bytes, F f) {
  const int64_t blocks = (s.tiles() + block - 1) / block;
  at::parallel_for(0, blocks, 1, [&](int64_t first, int64_t end) {
    uint8_t *room = Scratch(bytes).take<uint8_t>(bytes);
    for (int64_t b = first; b < end; b++) f(b * block, std::min(block, s.tiles() - b * block), room);
  });
}

/** Of what lies at `given`, all channels' transforms to `to`, the places `step` apart. */
template <typename Given, typename E>
void transform_all(const Given &given, int64_t channels, E *to, int64_t step) {
  for (int64_t c = 0; c < channels; c += LANES) transform(given, c, [=](int place, Lanes x) { store(to + place * step + c, x); });
}
#ifdef __AVX512BF16__
/** The same of two tiles, in pairs. */
template <typename Given>
void transform_pair(const Given &given, const Given &next, int64_t channels, Pair16 *to, int64_t step) {
  for (int64_t c = 0; c < channels; c += LANES) {
    Halves first[PLACES];
    transform(given, c, [&](int place, Lanes x) { first[place] = halved(x); });
    transform(next, c, [&, to](int place, Lanes x) { store(to + place * step + c, paired(first[place], halved(x))); });
  }
}
#endif

template <typename T, typename E, typename Y>
void forward(const Tensor &x, const Tensor &u, const Tensor &y) {
  using N = Number<T>;
  const Images s = images_of(x), out = images_of(y);
  const int64_t channels = s.channels, outputs = out.channels, block = block_of(s, outputs), depth = channels / WIDTH<T>;
  const E *from = values<E>(x);
  const T *weights = values<T>(u);
  Y *to = room<Y>(y);
  const int64_t transformed = PLACES * block * channels;
  over_blocks(s, block, transformed * sizeof(N) + PLACES * block * outputs * sizeof(float), [&](int64_t first, int64_t tiles, uint8_t *room) {
    N *v = reinterpret_cast<N *>(room);
    float *m = reinterpret_cast<float *>(v + transformed);
    for (int64_t i = 0; i < tiles; i++) transform_all(inputs_of(from, s, first + i), channels, v + i * channels, block * channels);
    for (int place = 0; place < PLACES; place++)
      small_product(Strided{reinterpret_cast<const T *>(v + place * block * channels), depth, 1}, weights + place * depth * outputs,
                    outputs, m + place * block * outputs, outputs, tiles, depth, outputs, false);
    for (int64_t i = 0; i < tiles; i++) transform_outputs(m + i * outputs, block * outputs, out, first + i, to);
  });
}

template <typename T, typename E, typename G>
Tensor filter_gradient(const Tensor &x, const Tensor &dy) {
  constexpr int64_t width = WIDTH<T>;
  const Images s = images_of(x), out = images_of(dy);
  const int64_t channels = s.channels, outputs = out.channels, block = block_of(s, outputs);
  // Each thread sums over its own tiles; the sums of all are added in order, so that the result does not depend on timing.
  const int64_t threads = std::max<int64_t>(1, std::min<int64_t>(at::get_num_threads(), s.tiles() / block));
  const Tensor du = at::empty({threads, PLACES, channels, outputs}, at::dtype(at::kFloat));
  const E *from = values<E>(x);
  const G *gradient = values<G>(dy);
  float *to = du.data_ptr<float>();
  at::parallel_for(0, threads, 1, [&](int64_t begin, int64_t end) {
    const int64_t size = PLACES * block / width;
    T *v = Scratch(size * (channels + outputs) * sizeof(T)).take<T>(size * (channels + outputs)), *m = v + size * channels;
    for (int64_t thread = begin; thread < end; thread++) {
      const int64_t start = s.tiles() * thread / threads, last = s.tiles() * (thread + 1) / threads;
      for (int64_t first = start; first < last; first += block) {
        const int64_t tiles = std::min(block, last - first), depth = (tiles + width - 1) / width;
        for (int64_t i = 0; i < depth; i++) {
          const int64_t tile = first + i * width;
          T *at = v + i * channels, *slope = m + i * outputs;
#ifdef __AVX512BF16__
          if constexpr (width == 2) {
            // After the last tile comes one of zeros where their number is odd.
            const bool next = tile + 1 < last;
            transform_pair(inputs_of(from, s, tile), inputs_of(from, s, tile + 1, next), channels, at, block / width * channels);
            transform_pair(gradients_of(gradient, out, tile), gradients_of(gradient, out, tile + 1, next), outputs, slope, block / width * outputs);
          }
#endif
          if constexpr (width == 1) {
            transform_all(inputs_of(from, s, tile), channels, at, block * channels);
            transform_all(gradients_of(gradient, out, tile), outputs, slope, block * outputs);
          }
        }
        for (int place = 0; place < PLACES; place++)
          small_product(Strided<T>{v + place * block / width * channels, 1, channels}, m + place * block / width * outputs, outputs,
                        to + (thread * PLACES + place) * channels * outputs, outputs, channels, depth, outputs, first > start);
      }
    }
  });
  return gradient_of_filter(du);
}

/** What products multiply, as a type: f(Factor). */
template <typename F>
void by_factor(F f) {
  if constexpr (HAS_PAIRS)
    if (settings().precision == Precision::bfloat16) return f(Pair16{});
  f(float{});
}

}  // namespace

bool winograd_fits(const Tensor &x, int64_t outputs, int64_t least_tiles) {
  return is_typed(x) && x.dim() == 4 && x.size(1) % 2 == 0 && x.size(2) % 2 == 0 && x.size(3) >= 32 && x.size(3) % LANES == 0 &&
         x.size(3) <= MOST_CHANNELS && outputs >= 32 && outputs % LANES == 0 && images_of(x).tiles() >= least_tiles;
}

Tensor winograd(const Tensor &x, const Tensor &filter) {
  const Tensor whole = filter.to(at::kFloat).contiguous();
  const Tensor y = at::empty({x.size(0), x.size(1), x.size(2), filter.size(3)}, x.options().dtype(image_type(x)));
  by_factor([&](auto factor) {
    using T = decltype(factor);
    const Tensor u = transformed<T>(whole);
    by_type(x, [&](auto p) { by_type(y, [&](auto r) { forward<T, decltype(p), decltype(r)>(x, u, y); }); });
  });
  return y;
}

Tensor winograd_filter_gradient(const Tensor &x, const Tensor &dy) {
  Tensor dw;
  by_factor([&](auto factor) {
    by_type(x, [&](auto p) { by_type(dy, [&](auto q) { dw = filter_gradient<decltype(factor), decltype(p), decltype(q)>(x, dy); }); });
  });
  return dw;
}

}  // namespace cm
