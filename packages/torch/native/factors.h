// Matrices laid out as factors of products: numbers, or pairs of bfloat16 ones along the sum.
#pragma once
#include "loops.h"
#include "simd.h"

namespace cm {

/** LANES numbers, or pairs of them and of those `ld` further on, the next along the sum; 0 where there is no next. */
template <typename E>
Lanes factors_down(const E *from, int64_t, bool, float) { return load(from); }
/** LANES numbers, or pairs of them, that follow each other. */
template <typename E>
Lanes factors_along(const E *from, float) { return load(from); }
/** A row as factors along it, at `to` where they are not those that lie there. */
template <typename E, typename T>
const T *as_factors(const E *row, T *to, int64_t count) {
  fill_row(reinterpret_cast<Number<T> *>(to), count, [=](auto at) { return at(row); });
  return to;
}
inline const float *as_factors(const float *row, float *, int64_t) { return row; }
#ifdef __AVX512BF16__
inline Lanes factors_down(const float *from, int64_t ld, bool has_next, Pair16) {
  return (Lanes)paired(load(from), has_next ? load(from + ld) : Lanes{});
}
inline Lanes factors_down(const BFloat16 *from, int64_t ld, bool has_next, Pair16) {
  const auto halves = [](const BFloat16 *at) { return (Halves) * reinterpret_cast<const HalvesInMemory *>(at); };
  return (Lanes)paired(halves(from), has_next ? halves(from + ld) : Halves{});
}
inline Lanes factors_along(const BFloat16 *from, Pair16) { return (Lanes)load(reinterpret_cast<const Pair16 *>(from)); }
inline Lanes factors_along(const float *from, Pair16) { return (Lanes)_mm512_cvtne2ps_pbh((__m512)load(from + LANES), (__m512)load(from)); }
inline const Pair16 *as_factors(const BFloat16 *row, Pair16 *, int64_t) { return reinterpret_cast<const Pair16 *>(row); }
#endif
/** LANES factors to where they belong. */
template <typename T>
void put_factors(T *to, Lanes x) { store(reinterpret_cast<float *>(to), x); }

/** A matrix [depth, wide], rows ld apart, as a second factor: dense [depth, wide]. */
template <typename T, typename E>
void lay_columns(const E *from, int64_t ld, T *to, int64_t depth, int64_t wide) {
  for (int64_t d = 0; d < depth; d += WIDTH<T>, to += wide)
    for (int64_t c = 0; c < wide; c += LANES) put_factors(to + c, factors_down(from + d * ld + c, ld, d + 1 < depth, T{}));
}

/** The same of `steps` factors a column, those after the last one zeros. */
template <typename T, typename E>
void lay_columns(const E *from, int64_t ld, T *to, int64_t depth, int64_t wide, int64_t steps) {
  lay_columns(from, ld, to, depth, wide);
  std::fill(to + (depth + WIDTH<T> - 1) / WIDTH<T> * wide, to + steps * wide, T{});
}

/** A second factor from its transpose [wide, depth], by squares of LANES by LANES, so that lines are read whole. */
template <typename T, typename E>
void lay_rows(const E *from, int64_t ld, T *to, int64_t depth, int64_t wide) {
  const int64_t steps = depth / WIDTH<T>;
  for (int64_t c = 0; c < wide; c += LANES)
    for (int64_t d = 0; d < steps; d += LANES) {
      const int64_t count = std::min(LANES, steps - d);
      const E *row = from + c * ld + d * WIDTH<T>;
      Lanes square[LANES];
#pragma GCC unroll 16
      for (int64_t i = 0; i < LANES; i++, row += ld) {
        E last[LANES * WIDTH<T>];
        if (count < LANES) std::copy_n(row, count * WIDTH<T>, last);
        square[i] = factors_along(count < LANES ? last : row, T{});
      }
      transpose(square);
      T *at = to + d * wide + c;
#pragma GCC unroll 16
      for (int64_t i = 0; i < LANES; i++)
        if (i < count) put_factors(at + i * wide, square[i]);
    }
}

/** Whether tiles multiply such factors. */
template <typename T>
bool by_tiles() { return AMX && WIDTH<T> == 2; }

/** The next multiple of a step. */
inline int64_t up_to(int64_t step, int64_t n) { return (n + step - 1) / step * step; }

/** Factors along a sum over so many numbers: where tiles multiply them, as many as those take. */
template <typename T>
int64_t steps_of(int64_t depth) {
  const int64_t steps = (depth + WIDTH<T> - 1) / WIDTH<T>;
  return by_tiles<T>() ? up_to(AMX_STEP, steps) : steps;
}

/** The transpose of a matrix [depth, count], rows ld apart, as a first factor of `steps` factors a row, those after the last one zeros. */
template <typename T, typename E>
Strided<T> lay_transposed(const E *from, int64_t ld, T *to, int64_t depth, int64_t count, int64_t steps) {
  if (!by_tiles<T>()) {
    lay_columns(from, ld, to, depth, count);
    return {to, 1, count};
  }
  // Tiles multiply what lies along rows.
  for (int64_t c = 0; c < count; c += LANES)
    for (int64_t s = 0; s < steps; s += LANES) {
      Lanes square[LANES];
#pragma GCC unroll 16
      for (int64_t i = 0; i < LANES; i++) {
        const int64_t d = (s + i) * WIDTH<T>;
        square[i] = d < depth ? factors_down(from + d * ld + c, ld, d + 1 < depth, T{}) : Lanes{};
      }
      transpose(square);
      T *at = to + c * steps + s;
#pragma GCC unroll 16
      for (int64_t i = 0; i < LANES; i++, at += steps) {
        if (s + LANES <= steps) {
          put_factors(at, square[i]);
        } else {
          T last[LANES];
          put_factors(last, square[i]);
          std::copy_n(last, steps - s, at);
        }
      }
    }
  return {to, steps, 1};
}

}  // namespace cm
