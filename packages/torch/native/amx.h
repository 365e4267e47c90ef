// Products of bfloat16 by the CPU's tiles (AMX): registers of 16 rows of 64 bytes, of which one instruction multiplies two and adds to a third.
// They do sixteen times the work of its vectors.
#pragma once
#include <functional>

#include "lanes.h"

namespace cm {

struct Pair16;

#if defined(__AMX_BF16__) && defined(__AVX512BF16__) && defined(__linux__)
#define CM_AMX
/** Whether this CPU has tiles and the system lets this process use them. */
extern const bool AMX;
#else
constexpr bool AMX = false;
#endif

/** Factors along the sum that products by tiles take multiples of. */
constexpr int64_t AMX_STEP = 8;

/** Rows of a first factor, 16 to a tile: `run` tiles of rows that lie `row` numbers apart, then as many `jump` numbers after those. */
struct AmxRows {
  const BFloat16 *at;
  int64_t row, run = INT64_MAX, jump = 0;
  const BFloat16 *tile(int64_t i) const { return at + i / run * jump + i % run * 16 * row; }
};

/** Products that are added up: of the first factor `offsets[i]` numbers on and the second one i·step pairs on. */
struct AmxTaps {
  const int64_t *offsets;
  int64_t count, step;
};
constexpr int64_t NO_OFFSET = 0;
constexpr AmxTaps ONE_TAP{&NO_OFFSET, 1, 0};

/** Called with the row and the column of each 32 × 32 sums, or what there is of them, once they are in memory. */
using AmxDone = std::function<void(int64_t row, int64_t column)>;

/**
 * c [rows, columns] = Σ over taps of a [rows, steps] · b [steps, columns], or c += it; b has rows of pairs ldb apart, c rows of numbers ldc apart.
 * `steps` is a multiple of AMX_STEP, `columns` of 16.
 */
void amx_product(const AmxRows &a, const AmxTaps &taps, const Pair16 *b, int64_t ldb, float *c, int64_t ldc, int64_t rows, int64_t steps,
                 int64_t columns, bool add, const AmxDone &done = {});

}  // namespace cm
