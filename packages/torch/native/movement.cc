// What only moves values: slices, joins, gathers, scatters. Results are dense.
#include "call.h"

namespace cm {
namespace {

KERNEL(Identity) { out.tensor(in.held()); }
KERNEL(Reshape) {
  const Tensor x = in.held();
  out.tensor(x.reshape(in.integers()));
}

KERNEL(Slice) {
  Tensor x = in.tensor();
  const auto begin = in.integers(), size = in.integers();
  for (size_t i = 0; i < begin.size(); i++)
    if (size[i] != x.size(i)) x = x.narrow(i, begin[i], size[i]);
  out.tensor(x.contiguous());
}

/** x[begin : end : step] on every axis; a negative step walks down, and `end` may then be −1. */
KERNEL(StridedSlice) {
  Tensor x = in.tensor();
  const auto begin = in.integers(), end = in.integers(), step = in.integers();
  for (size_t i = 0; i < begin.size(); i++) {
    if (begin[i] == 0 && end[i] == x.size(i) && step[i] == 1) continue;
    x = x.index_select(i, at::arange(begin[i], step[i] > 0 ? std::max(begin[i], end[i]) : std::min(begin[i], end[i]),
                                     step[i], options(at::kLong)));
  }
  out.tensor(x.contiguous());
}

KERNEL(Concat) {
  const auto axis = in.integer();
  out.tensor(at::cat(in.tensors(), axis));
}

KERNEL(SplitV) {
  const Tensor x = in.tensor();
  const auto axis = in.integer();
  int64_t from = 0;
  for (const auto size : in.integers()) {
    out.tensor(x.narrow(axis, from, size).contiguous());
    from += size;
  }
}

/** Paddings are pairs of before and after, axis by axis. */
KERNEL(PadV2) {
  const Tensor x = in.tensor();
  const auto pairs = in.integers();
  std::vector<int64_t> from_last;
  for (size_t i = pairs.size() / 2; i-- > 0;) {
    from_last.push_back(pairs[2 * i]);
    from_last.push_back(pairs[2 * i + 1]);
  }
  out.tensor(at::constant_pad_nd(x, from_last, in.number()).contiguous());
}

/** Padding by reflection, with the edge repeated (symmetric, offset 1) or not (reflect, offset 0). */
KERNEL(MirrorPad) {
  Tensor x = in.tensor();
  const auto pairs = in.integers();
  const auto offset = in.integer();
  for (size_t axis = 0; axis < pairs.size() / 2; axis++) {
    const auto size = x.size(axis), before = pairs[2 * axis], after = pairs[2 * axis + 1];
    if (before == 0 && after == 0) continue;
    std::vector<int64_t> from;
    for (auto i = -before; i < size + after; i++) {
      from.push_back(i < 0 ? -i - offset : i >= size ? 2 * (size - 1) - i + offset : i);
    }
    x = x.index_select(axis, at::tensor(from, at::kLong).to(x.device()));
  }
  out.tensor(x);
}

KERNEL(Transpose) {
  const Tensor x = in.tensor();
  out.tensor(x.permute(in.integers()).contiguous());
}

KERNEL(Reverse) {
  const Tensor x = in.tensor();
  out.tensor(x.flip(in.integers()));
}

KERNEL(Tile) {
  const Tensor x = in.tensor();
  out.tensor(x.repeat(in.integers()));
}

void check_indices(const Tensor &indices, int64_t size) {
  // On another device the check would be a wait for it.
  if (!indices.is_cpu() || indices.numel() == 0) return;
  const auto low = indices.min().item<int64_t>(), high = indices.max().item<int64_t>();
  TORCH_CHECK(low >= 0 && high < size, "the index value ", low < 0 ? low : high, " is not in [0, ", size - 1, "]");
}

/** x [batch, outer, size, inner] by indices [batch, count] along its third axis: [batch, outer, count, inner]. */
KERNEL(GatherV2) {
  const Tensor x = in.tensor(), indices = in.tensor().to(at::kLong);
  check_indices(indices, x.size(2));
  if (x.size(0) == 1) return out.tensor(x.index_select(2, indices.view({-1})));
  const auto count = indices.size(1);
  out.tensor(at::gather(x, 2, indices.view({x.size(0), 1, count, 1}).expand({-1, x.size(1), -1, x.size(3)})));
}

/** The row that each index vector [count, depth] names, where the axes it indexes have these sizes. */
Tensor rows_of(const Tensor &indices, at::IntArrayRef sizes) {
  Tensor row = at::zeros({indices.size(0)}, indices.options().dtype(at::kLong));
  for (size_t i = 0; i < sizes.size(); i++) {
    const Tensor column = indices.select(1, i).to(at::kLong);
    check_indices(column, sizes[i]);
    row = row * sizes[i] + column;
  }
  return row;
}

/** x [rows, inner] by indices [count, depth]: [count, inner]. */
KERNEL(GatherNd) {
  const Tensor x = in.tensor(), indices = in.tensor();
  out.tensor(x.index_select(0, rows_of(indices, in.integers())));
}

/** Zeros [rows, inner] with updates [count, inner] added at indices [count, depth]. */
KERNEL(ScatterNd) {
  const Tensor indices = in.tensor(), updates = in.tensor();
  const auto sizes = in.integers();
  int64_t rows = 1;
  for (const auto size : sizes) rows *= size;
  const Tensor number = updates.scalar_type() == at::kBool ? updates.to(at::kInt) : updates;
  const Tensor sum = at::zeros({rows, updates.size(1)}, number.options()).index_add(0, rows_of(indices, sizes), number);
  out.tensor(sum.to(updates.scalar_type()));
}

/** x [rows, inner] with its rows at indices replaced by updates. */
KERNEL(TensorScatterUpdate) {
  const Tensor x = in.tensor(), indices = in.tensor(), updates = in.tensor();
  out.tensor(x.index_copy(0, rows_of(indices, in.integers()), updates));
}

KERNEL(OneHot) {
  const Tensor indices = in.tensor();
  const auto depth = in.integer();
  const double on = in.number(), off = in.number();
  const auto type = scalar_type(in.integer());
  const Tensor hot = indices.unsqueeze(-1) == at::arange(depth, indices.options());
  out.tensor(at::where(hot, at::full({}, on, options(type)), at::full({}, off, options(type))));
}

KERNEL(Diag) {
  const Tensor x = in.tensor();
  auto shape = x.sizes().vec();
  shape.insert(shape.end(), x.sizes().begin(), x.sizes().end());
  out.tensor(at::diag_embed(x.reshape({-1})).view(shape));
}

KERNEL(Einsum) {
  // The equation's letters as numbers, for the buffer holds numbers only.
  std::string equation;
  for (const auto letter : in.integers()) equation.push_back(static_cast<char>(letter));
  out.tensor(at::einsum(equation, in.tensors()));
}

}  // namespace
}  // namespace cm
