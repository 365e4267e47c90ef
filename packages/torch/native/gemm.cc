#include "gemm.h"

#include <numeric>

#include "factors.h"
#include "scratch.h"

namespace cm {
namespace {

constexpr int64_t PANEL = TILE_VECTORS * LANES;
/** Rows, and factors along the sum, that are multiplied at a time: both factors' pieces lie in the second-level cache. */
constexpr int64_t ROWS = 16 * TILE_ROWS, DEPTH = 512;
/** Factors that stay there from one block of rows to the next. */
constexpr int64_t NEAR = 131072;

bool in_pairs(const Tensor &a, const Tensor &b) {
  if (!HAS_PAIRS) return false;
  return settings().precision == Precision::bfloat16 || a.scalar_type() == at::kBFloat16 || b.scalar_type() == at::kBFloat16;
}

/**
 * Panels of b [depth, columns], rows `columns` apart: panel j is a dense [depth, PANEL], the last one as narrow as it is. Those of columns first
 * to end; a few rows at a time, so that they are read along their length.
 */
template <typename T, typename E>
void pack(const E *b, T *to, int64_t depth, int64_t columns, int64_t first, int64_t end) {
  constexpr int64_t step = WIDTH<T>, band = 8;
  const int64_t steps = (depth + step - 1) / step;
  for (int64_t from = 0; from < depth; from += band)
    for (int64_t j = first; j < end; j += PANEL) {
      const int64_t wide = std::min(PANEL, columns - j);
      lay_columns(b + from * columns + j, columns, to + j * steps + from / step * wide, std::min(band, depth - from), wide);
    }
}

/** Rows first to first + count of a [rows, depth] as factors, or of aᵀ of a [depth, rows], count then a multiple of LANES: at `to`, or where they lie. */
template <typename T, typename E>
Strided<T> lay_out(const E *a, bool transposed, T *to, int64_t first, int64_t count, int64_t rows, int64_t depth) {
  const int64_t steps = depth / WIDTH<T>;
  if (transposed) return lay_transposed(a + first, rows, to, depth, count, steps);
  a += first * depth;
  if constexpr (std::is_same_v<E, Number<T>>) return {as_factors(a, to, depth), steps, 1};
  for (int64_t i = 0; i < count; i++) as_factors(a + i * depth, to + i * steps, depth);
  return {to, steps, 1};
}

template <typename T, typename A, typename B, typename Y>
void multiply(const A *a, bool transpose_a, const B *b, bool transpose_b, Y *y, int64_t rows, int64_t depth, int64_t columns) {
  constexpr bool converts = !std::is_same_v<A, Number<T>>, direct = std::is_same_v<Y, float>;
  const int64_t steps = depth / WIDTH<T>, panels = (columns + PANEL - 1) / PANEL;
  const Tensor packed = at::empty({steps * columns}, at::dtype(at::kFloat));
  T *factors = room<T>(packed);
  const auto lay = [&](int64_t first, int64_t end) {
    if (!transpose_b) return pack(b, factors, depth, columns, first * PANEL, std::min(columns, end * PANEL));
    for (int64_t j = first * PANEL; j < std::min(columns, end * PANEL); j += PANEL)
      lay_rows(b + j * depth, depth, factors + j * steps, depth, std::min(PANEL, columns - j));
  };
  // Fewer rows at a time where there are few, so that every thread has some.
  const bool tiled = by_tiles<T>();
  const int64_t tile = tiled ? 32 : transpose_a ? std::lcm(TILE_ROWS, LANES) : TILE_ROWS, tiles = (rows + tile - 1) / tile;
  int64_t block = tiled ? 128 : ROWS;
  while (block > std::max<int64_t>(tile, 4 * TILE_ROWS) && (rows + block - 1) / block * panels < 4 * at::get_num_threads()) block /= 2;
  const int64_t blocks = (rows + block - 1) / block, tasks = blocks * panels;
  // Blocks differ by a tile at most, so that threads have as much to do.
  const auto start_of = [&](int64_t at) { return std::min(rows, tiles * at / blocks * tile); };
  // Tasks of which `share` follow each other with the same rows, from one panel on.
  const auto run = [&](int64_t first, int64_t end, int64_t panel, int64_t share) {
    const int64_t of_left = converts || transpose_a ? block * steps : 0, of_sums = direct ? 0 : block * PANEL;
    Scratch scratch(4 * (of_left + of_sums) + 64);
    T *laid_out = scratch.take<T>(of_left);
    float *sums = scratch.take(of_sums);
    const bool far = !tiled && share * steps * PANEL > NEAR;
    Strided<T> left{};
    for (int64_t task = first; task < end; task++) {
      const int64_t from = start_of(task / share), j = (panel + task % share) * PANEL;
      const int64_t count = start_of(task / share + 1) - from, wide = std::min(PANEL, columns - j);
      if (task == first || task % share == 0) left = lay_out(a, transpose_a, laid_out, from, count, rows, depth);
      float *c;
      if constexpr (direct) c = y + from * columns + j;
      else c = sums;
      const int64_t ldc = direct ? columns : wide;
      for (int64_t d = 0; d < steps; d += DEPTH) {
        const Strided<T> from_left{left.at + d * left.column, left.row, left.column};
        const T *piece = factors + j * steps + d * wide;
        const int64_t deep = std::min(DEPTH, steps - d);
        if (far) product_before(piece + deep * wide, from_left, piece, wide, c, ldc, count, deep, wide, d > 0);
        else small_product(from_left, piece, wide, c, ldc, count, deep, wide, d > 0);
      }
      if constexpr (!direct)
        for (int64_t i = 0; i < count; i++)
          for (int64_t k = 0; k < wide; k += LANES) store(y + (from + i) * columns + j + k, load(sums + i * wide + k));
    }
  };
  // Threads that share columns lay out their own, which then lie in their caches and which nobody waits for; each reads all of a.
  if (!converts && !transpose_a && columns >= rows && panels % at::get_num_threads() == 0)
    return at::parallel_for(0, panels, std::max<int64_t>(1, 8 * GRAIN / (rows * depth * PANEL)), [&](int64_t first, int64_t end) {
      lay(first, end);
      run(0, blocks * (end - first), first, end - first);
    });
  at::parallel_for(0, panels, std::max<int64_t>(1, GRAIN / (depth * PANEL)), lay);
  at::parallel_for(0, tasks, std::max<int64_t>(1, 8 * GRAIN / (block * depth * PANEL)), [&](int64_t first, int64_t end) { run(first, end, 0, panels); });
}

template <typename T, typename A, typename B>
Tensor multiply_over_rows(const A *a, const B *b, int64_t depth, int64_t rows, int64_t columns) {
  // Each thread sums over its own share; the sums of all are added in order, so that the result does not depend on timing.
  const int64_t parts = std::max<int64_t>(1, std::min<int64_t>(at::get_num_threads(), depth / (2 * ROWS)));
  const Tensor sums = at::empty({parts, rows, columns}, at::dtype(at::kFloat));
  float *to = sums.data_ptr<float>();
  const int64_t at_a_time = by_tiles<T>() ? DEPTH : ROWS, most = steps_of<T>(at_a_time);
  at::parallel_for(0, parts, 1, [&](int64_t begin, int64_t end) {
    Scratch scratch(4 * most * (rows + columns) + 64);
    T *left = scratch.take<T>(most * rows), *right = scratch.take<T>(most * columns);
    for (int64_t part = begin; part < end; part++) {
      const int64_t start = depth * part / parts, stop = depth * (part + 1) / parts;
      for (int64_t from = start; from < stop; from += at_a_time) {
        const int64_t count = std::min(at_a_time, stop - from), steps = steps_of<T>(count);
        const Strided<T> summed = lay_transposed(a + from * rows, rows, left, count, rows, steps);
        for (int64_t j = 0; j < columns; j += PANEL) {
          const int64_t wide = std::min(PANEL, columns - j);
          T *panel = right + j * steps;
          lay_columns(b + from * columns + j, columns, panel, count, wide, steps);
          small_product(summed, panel, wide, to + part * rows * columns + j, columns, rows, steps, wide, from > start);
        }
      }
    }
  });
  return parts == 1 ? sums[0] : sums.sum(0);
}

// What a factor is and what its products are of, as types: f(numbers of a, numbers of b, Factor).
template <typename F>
void by_factors(const Tensor &a, const Tensor &b, F f) {
  by_type(a, [&](auto p) {
    using A = decltype(p);
    by_type(b, [&](auto q) {
      using B = decltype(q);
      if constexpr (HAS_PAIRS)
        if (in_pairs(a, b)) return f(A{}, B{}, Pair16{});
      if constexpr (!HAS_PAIRS || (std::is_same_v<A, float> && std::is_same_v<B, float>)) f(A{}, B{}, float{});
    });
  });
}

}  // namespace

bool gemm_fits(const Tensor &a, bool transpose_a, const Tensor &b, int64_t rows, int64_t depth, int64_t columns) {
  if (!is_typed(a) || !is_typed(b) || rows < 8 || depth < 8 || columns < LANES || columns % LANES != 0) return false;
  if (transpose_a && rows % LANES != 0) return false;
  return !in_pairs(a, b) || depth % (AMX ? 2 * AMX_STEP : 2) == 0;
}

bool gemm_over_rows_fits(const Tensor &a, const Tensor &b) {
  const int64_t depth = a.size(0), rows = a.size(1), columns = b.size(1);
  return is_typed(a) && is_typed(b) && rows > 0 && rows % LANES == 0 && columns > 0 && columns % LANES == 0 &&
         depth >= 4 * std::max(rows, columns);
}

Tensor gemm(const Tensor &a, bool transpose_a, const Tensor &b, bool transpose_b, at::ScalarType type) {
  const int64_t rows = a.size(transpose_a), depth = a.size(!transpose_a), columns = b.size(!transpose_b);
  const Tensor y = at::empty({rows, columns}, a.options().dtype(type));
  by_factors(a, b, [&](auto p, auto q, auto factor) {
    using A = decltype(p);
    using B = decltype(q);
    using T = decltype(factor);
    by_type(y, [&](auto r) {
      using Y = decltype(r);
      multiply<T>(values<A>(a), transpose_a, values<B>(b), transpose_b, room<Y>(y), rows, depth, columns);
    });
  });
  return y;
}

Tensor gemm_over_rows(const Tensor &a, const Tensor &b) {
  Tensor y;
  by_factors(a, b, [&](auto p, auto q, auto factor) {
    using A = decltype(p);
    using B = decltype(q);
    y = multiply_over_rows<decltype(factor)>(values<A>(a), values<B>(b), a.size(0), a.size(1), b.size(1));
  });
  return y;
}

}  // namespace cm
