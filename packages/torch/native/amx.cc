#include "amx.h"

#ifdef CM_AMX
#include <sys/syscall.h>
#include <unistd.h>

#include "simd.h"

namespace cm {
namespace {

/** Linux gives a process the memory that tiles are saved in when it first asks. */
bool allowed() {
  constexpr int ARCH_REQ_XCOMP_PERM = 0x1023, XFEATURE_XTILEDATA = 18;
  return syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0;
}

struct alignas(64) Shapes {
  uint8_t palette = 1, first_row = 0, reserved[14] = {};
  uint16_t bytes[16] = {};
  uint8_t rows[16] = {};
};

/** Tiles 0 to 3 are sums, 4 and 5 of a, 6 and 7 of b: two rows of two sums, `upper` and `lower` high. It sets all to zero. */
void shape_tiles(int64_t upper, int64_t lower, int64_t steps) {
  Shapes shapes;
  const auto set = [&](int tile, int64_t rows, int64_t columns) {
    shapes.rows[tile] = static_cast<uint8_t>(rows), shapes.bytes[tile] = static_cast<uint16_t>(4 * columns);
  };
  set(0, upper, 16), set(1, upper, 16), set(2, lower, 16), set(3, lower, 16);
  set(4, upper, steps), set(5, lower, steps), set(6, steps, 16), set(7, steps, 16);
  // GCC 12's intrinsic says that it reads eight bytes of them.
  asm volatile("ldtilecfg %0" ::"m"(shapes));
}

/** Sums of one or two tiles each way. */
template <bool LOWER, bool RIGHT>
void block(const BFloat16 *upper, const BFloat16 *lower, int64_t row, const AmxTaps &taps, const Pair16 *b, int64_t ldb, float *c, int64_t ldc,
           int64_t steps, int64_t step, bool add) {
  const int64_t a_bytes = 2 * row, b_bytes = 4 * ldb, c_bytes = 4 * ldc;
  float *const below = c + 16 * ldc;
  if (add) {
    _tile_loadd(0, c, c_bytes);
    if constexpr (RIGHT) _tile_loadd(1, c + 16, c_bytes);
    if constexpr (LOWER) _tile_loadd(2, below, c_bytes);
    if constexpr (LOWER && RIGHT) _tile_loadd(3, below + 16, c_bytes);
  } else {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
  }
  for (int64_t tap = 0; tap < taps.count; tap++, b += taps.step)
    for (int64_t p = 0; p < steps; p += step) {
      const int64_t along = taps.offsets[tap] + 2 * p;
      const Pair16 *from = b + p * ldb;
      _tile_loadd(4, upper + along, a_bytes);
      if constexpr (LOWER) _tile_loadd(5, lower + along, a_bytes);
      _tile_loadd(6, from, b_bytes);
      if constexpr (RIGHT) _tile_loadd(7, from + 16, b_bytes);
      _tile_dpbf16ps(0, 4, 6);
      if constexpr (RIGHT) _tile_dpbf16ps(1, 4, 7);
      if constexpr (LOWER) _tile_dpbf16ps(2, 5, 6);
      if constexpr (LOWER && RIGHT) _tile_dpbf16ps(3, 5, 7);
    }
  _tile_stored(0, c, c_bytes);
  if constexpr (RIGHT) _tile_stored(1, c + 16, c_bytes);
  if constexpr (LOWER) _tile_stored(2, below, c_bytes);
  if constexpr (LOWER && RIGHT) _tile_stored(3, below + 16, c_bytes);
}

}  // namespace

const bool AMX = allowed();

void amx_product(const AmxRows &a, const AmxTaps &taps, const Pair16 *b, int64_t ldb, float *c, int64_t ldc, int64_t rows, int64_t steps,
                 int64_t columns, bool add, const AmxDone &done) {
  // What the caller wrote is in memory: compilers are not told what loads of tiles read.
  asm volatile("" ::: "memory");
  const int64_t step = steps % 16 == 0 ? 16 : AMX_STEP;
  const auto run = [&](auto lower, int64_t first, int64_t end) {
    constexpr bool LOWER = decltype(lower)::value;
    for (int64_t j = 0; j < columns; j += 32)
      for (int64_t i = first; i < end; i += 32) {
        const BFloat16 *tile = a.tile(i / 16), *next = LOWER ? a.tile(i / 16 + 1) : tile;
        if (j + 16 < columns) block<LOWER, true>(tile, next, a.row, taps, b + j, ldb, c + i * ldc + j, ldc, steps, step, add);
        else block<LOWER, false>(tile, next, a.row, taps, b + j, ldb, c + i * ldc + j, ldc, steps, step, add);
        if (done) done(i, j);
      }
  };
  const int64_t whole = rows / 32 * 32, rest = rows - whole;
  if (whole > 0) {
    shape_tiles(16, 16, step);
    run(std::true_type{}, 0, whole);
  }
  if (rest > 16) {
    shape_tiles(16, rest - 16, step);
    run(std::true_type{}, whole, rows);
  } else if (rest > 0) {
    shape_tiles(rest, 1, step);
    run(std::false_type{}, whole, rows);
  }
  _tile_release();
}

}  // namespace cm
#endif
