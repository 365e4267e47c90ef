// The stable target's weights and sums over a chunk of references, and references from bytes. Both products of a chunk are ATen's, in float32
// whatever the precision of others: a logit is a small difference of large numbers. Between them rows find their largest logit, and those for which
// every weight of the chunk vanishes beside what they have are left out of the second product: at small noise levels that is most of them.
#include <cmath>
#include <limits>

#include "call.h"
#include "loops.h"
#include "simd.h"

namespace cm {
namespace {

constexpr float NONE = -std::numeric_limits<float>::infinity();
/** Weights below exp(this) of the largest count as 0: even 10⁹ of them would not change a float32 total, which is 1 or more. */
constexpr float NEGLIGIBLE = -40.0f;

/** exp(x), x ≤ 0, and 0 where that is negligible. A NaN stays one. */
inline float weight(float x) {
  const float value = exponential(x);
  return x < NEGLIGIBLE ? 0.0f : x == x ? value : x;
}

struct Chunk {
  /** Where the chunk lies among the references: own samples and priors are told by index in all of them. */
  int64_t begin, size;
  const int32_t *own;
  /** Log-priors, `step` apart from row to row, 0 where all rows share them. */
  const float *prior;
  int64_t step;
};

/** Finishes a row's logits in place; gives the largest, or NaN where there is one. */
float largest(float *logits, const Chunk &chunk, int64_t row) {
  if (chunk.prior) {
    const float *prior = chunk.prior + row * chunk.step + chunk.begin;
#pragma omp simd
    for (int64_t j = 0; j < chunk.size; j++) logits[j] += prior[j];
  }
  const int64_t own = chunk.own[row] - chunk.begin;
  if (own >= 0 && own < chunk.size) logits[own] = NONE;
  float highest = NONE;
  int unordered = 0;
#pragma omp simd reduction(max : highest) reduction(| : unordered)
  for (int64_t j = 0; j < chunk.size; j++) {
    highest = logits[j] > highest ? logits[j] : highest;
    unordered |= logits[j] != logits[j];
  }
  return unordered ? std::numeric_limits<float>::quiet_NaN() : highest;
}

/** Logits become weights relative to exp(top); gives the sum of their squares. */
float weigh(float *logits, int64_t size, float top) {
  float squares = 0;
#pragma omp simd reduction(+ : squares)
  for (int64_t j = 0; j < size; j++) {
    const float w = weight(logits[j] - top);
    logits[j] = w;
    squares += w * w;
  }
  return squares;
}

/** Products in float32 on GPUs, too, while it lives. */
class Float32Products {
 public:
  Float32Products() { at::globalContext().setAllowTF32CuBLAS(false); }
  ~Float32Products() { at::globalContext().setAllowTF32CuBLAS(tf32_); }

 private:
  const bool tf32_ = at::globalContext().allowTF32CuBLAS();
};

struct Sums {
  Tensor max, squares, sums;
};

/** The same of ATen's operations, all rows in all products. */
Sums composed(Tensor logits, const Tensor &rows, const Tensor &own, const Tensor &prior, const Sums &before, int64_t begin) {
  const int64_t size = rows.size(0);
  if (prior.defined()) logits = logits + prior.narrow(-1, begin, size);
  const Tensor columns = at::arange(begin, begin + size, own.options());
  logits.masked_fill_(columns.eq(own.unsqueeze(1)), NONE);
  const Tensor top = at::maximum(before.max, logits.amax({1}, true));
  // Where nothing has had any weight so far there is nothing to rescale.
  const Tensor rescale = at::exp(at::where(before.max == top, at::zeros_like(top), before.max - top));
  const Tensor weights = at::exp(logits - top).masked_fill_(top == NONE, 0.0);
  return {top, before.squares * rescale.square() + weights.square().sum({1}, true), at::addmm(before.sums * rescale, weights, rows)};
}

KERNEL(PosteriorSums) {
  const Tensor queries = in.tensor(), rows = in.tensor().contiguous(), own = in.tensor().contiguous();
  Sums before;
  before.max = in.tensor().contiguous(), before.squares = in.tensor().contiguous(), before.sums = in.tensor().contiguous();
  Tensor prior = in.optional();
  const int64_t begin = in.integer();
  TORCH_CHECK(queries.dim() == 2 && rows.dim() == 2 && queries.size(1) == rows.size(1), "queries have shape ", queries.sizes(), ", rows ", rows.sizes(),
              ", expected [batch, n] and [chunk, n]");
  const int64_t batch = queries.size(0), size = rows.size(0), width = rows.size(1);
  TORCH_CHECK(own.numel() == batch && own.scalar_type() == at::kInt, "own has shape ", own.sizes(), ", expected int32 [", batch, "]");
  TORCH_CHECK(before.max.numel() == batch && before.squares.numel() == batch, "max has shape ", before.max.sizes(), ", squares ", before.squares.sizes(),
              ", expected [", batch, ", 1]");
  TORCH_CHECK(before.sums.sizes() == queries.sizes(), "sums have shape ", before.sums.sizes(), ", expected ", queries.sizes());
  if (prior.defined()) {
    prior = prior.contiguous();
    TORCH_CHECK(begin + size <= prior.size(-1) && (prior.dim() == 1 || (prior.dim() == 2 && prior.size(0) == batch)), "prior has shape ", prior.sizes(),
                ", expected [references] or [", batch, ", references] with ", begin + size, " or more");
  }
  const Float32Products exactly;
  const Tensor logits = at::mm(queries, rows.t());
  if (!own_loops(logits)) {
    const Sums after = composed(logits, rows, own, prior, before, begin);
    out.tensor(after.max), out.tensor(after.squares), out.tensor(after.sums);
    return;
  }

  const Sums after{at::empty_like(before.max), at::empty_like(before.squares), at::empty_like(before.sums)};
  float *const l = room<float>(logits), *const top = room<float>(after.max), *const squares = room<float>(after.squares), *const sums = room<float>(after.sums);
  const float *max = values<float>(before.max), *squared = values<float>(before.squares), *summed = values<float>(before.sums);
  const Chunk chunk{begin, size, values<int32_t>(own), prior.defined() ? values<float>(prior) : nullptr,
                    prior.defined() && prior.dim() == 2 ? prior.size(1) : 0};
  std::vector<char> counts(batch);
  over_rows(batch, size, [&](int64_t from, int64_t end) {
    for (int64_t row = from; row < end; row++) {
      const float highest = largest(l + row * size, chunk, row);
      // A NaN is larger than all, and counts.
      top[row] = highest <= max[row] ? max[row] : highest;
      counts[row] = !(highest == NONE || highest - top[row] < NEGLIGIBLE);
    }
  });
  std::vector<int64_t> active;
  for (int64_t row = 0; row < batch; row++) {
    if (!counts[row]) continue;
    const auto to = static_cast<int64_t>(active.size());
    if (to < row) std::copy_n(l + row * size, size, l + to * size);
    active.push_back(row);
  }
  const auto rescale = [=](int64_t row) { return max[row] == top[row] ? 1.0f : weight(max[row] - top[row]); };
  std::copy_n(squared, batch, squares);
  over_rows(static_cast<int64_t>(active.size()), size, [&](int64_t from, int64_t end) {
    for (int64_t i = from; i < end; i++) {
      const int64_t row = active[i];
      const float factor = rescale(row);
      squares[row] = squared[row] * factor * factor + weigh(l + i * size, size, top[row]);
    }
  });
  const Tensor added = at::mm(logits.narrow(0, 0, static_cast<int64_t>(active.size())), rows);
  const float *const add = values<float>(added);
  std::vector<const float *> of(batch, nullptr);
  for (size_t i = 0; i < active.size(); i++) of[active[i]] = add + i * width;
  over_rows(batch, width, [&](int64_t from, int64_t end) {
    for (int64_t row = from; row < end; row++) {
      const float *had = summed + row * width, *more = of[row];
      float *to = sums + row * width;
      if (!more) {
        std::copy_n(had, width, to);
        continue;
      }
      const float factor = rescale(row);
#pragma omp simd
      for (int64_t d = 0; d < width; d++) to[d] = had[d] * factor + more[d];
    }
  });
  out.tensor(after.max), out.tensor(after.squares), out.tensor(after.sums);
}

/** Values whose squares are summed in float32 before they join a float64 total. */
constexpr int64_t BLOCK = 128;

/** Bytes v [count, n], held as bool, as rows [v/127.5 + shift, Σ of their squares, 1]. */
KERNEL(ReferenceRows) {
  const Tensor given = in.held(), shift = in.tensor().contiguous();
  TORCH_CHECK(given.dim() == 2 && given.scalar_type() == at::kBool, "bytes have shape ", given.sizes(), ", expected bool [count, n]");
  const Tensor bytes = given.contiguous().view(at::kByte);
  const int64_t count = bytes.size(0), n = bytes.size(1), width = n + 2;
  TORCH_CHECK(shift.numel() == n, "shift has shape ", shift.sizes(), ", expected [", n, "]");
  if (!own_loops(bytes)) {
    const Tensor x = at::addcmul(shift, bytes.to(at::kFloat), at::full({}, 1 / 127.5, shift.options()));
    out.tensor(at::cat({x, x.square().sum({1}, true, at::kDouble).to(at::kFloat), at::ones({count, 1}, x.options())}, 1));
    return;
  }
  const Tensor rows = at::empty({count, width}, shift.options());
  const auto *const from = static_cast<const uint8_t *>(bytes.data_ptr());
  const float *const s = values<float>(shift);
  float *const to = room<float>(rows);
  over_rows(count, n, [=](int64_t first, int64_t end) {
    for (int64_t i = first; i < end; i++) {
      const uint8_t *v = from + i * n;
      float *x = to + i * width;
      double total = 0;
      for (int64_t d = 0; d < n; d += BLOCK) {
        const int64_t last = std::min(n, d + BLOCK);
        float squares = 0;
#pragma omp simd reduction(+ : squares)
        for (int64_t e = d; e < last; e++) {
          x[e] = static_cast<float>(v[e]) * (1 / 127.5f) + s[e];
          squares += x[e] * x[e];
        }
        total += squares;
      }
      x[n] = static_cast<float>(total);
      x[n + 1] = 1;
    }
  });
  out.tensor(rows);
}

}  // namespace
}  // namespace cm
