// Matrix products of this package's own on the CPU, of float32 or of pairs of bfloat16: the second factor is packed into panels as wide as a tile
// of sums, the first is read where it lies or is laid out a block of rows at a time, and columns or blocks of rows are shared among threads. With
// few numbers to a product, or factors that would have to be converted or laid out anew first, libraries made for large ones lose a fifth.
#pragma once
#include "call.h"

namespace cm {

/** Whether op(a) · op(b) of this many rows, over this depth, into this many columns is computed here: on the CPU, of float32 or bfloat16. */
bool gemm_fits(const Tensor &a, bool transpose_a, const Tensor &b, int64_t rows, int64_t depth, int64_t columns);

/**
 * op(a) · op(b), op the transpose where that is asked for: of dense matrices, into [rows, columns]. Multiplies in bfloat16 where that is the
 * precision chosen or the type of a factor, sums in float32, gives numbers of `type`.
 */
Tensor gemm(const Tensor &a, bool transpose_a, const Tensor &b, bool transpose_b, at::ScalarType type);

/** Whether aᵀ · b of a [depth, rows] and b [depth, columns] is computed here as a sum over many rows, which is shared out. */
bool gemm_over_rows_fits(const Tensor &a, const Tensor &b);

/** aᵀ · b of a [depth, rows] and b [depth, columns], both dense: float32. */
Tensor gemm_over_rows(const Tensor &a, const Tensor &b);

}  // namespace cm
