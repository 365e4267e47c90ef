// Adam and its kin, with averages over training, over all parameters in one pass.
#include <ATen/Parallel.h>

#include <cmath>

#include "call.h"

namespace cm {
namespace {

/** Numbers that a thread takes at a time. */
constexpr int64_t CHUNK = 16384;

struct Step {
  double beta1, beta2, factor, epsilon, keep;
  bool adaptive;
};

/** m′ = β₁m + (1 − β₁)g, v′ = β₂v + (1 − β₂)g², p′ = keep·p − factor·d with d = m′/(√v′ + ε), or m′ where the step is not adaptive. */
void update(const Step &step, int64_t count, const float *p, const float *g, const float *m, const float *v, float *p1, float *m1,
            float *v1) {
  const float b1 = step.beta1, rest1 = 1 - step.beta1, b2 = step.beta2, rest2 = 1 - step.beta2, factor = step.factor,
              epsilon = step.epsilon, keep = step.keep;
  if (step.adaptive) {
#pragma omp simd
    for (int64_t i = 0; i < count; i++) {
      m1[i] = b1 * m[i] + rest1 * g[i];
      v1[i] = b2 * v[i] + rest2 * g[i] * g[i];
      p1[i] = keep * p[i] - factor * (m1[i] / (std::sqrt(v1[i]) + epsilon));
    }
  } else {
#pragma omp simd
    for (int64_t i = 0; i < count; i++) {
      m1[i] = b1 * m[i] + rest1 * g[i];
      v1[i] = b2 * v[i] + rest2 * g[i] * g[i];
      p1[i] = keep * p[i] - factor * m1[i];
    }
  }
}

std::vector<Tensor> on_cuda(const Step &step, at::TensorList p, at::TensorList g, at::TensorList m, at::TensorList v,
                            std::vector<at::TensorList> averages, const std::vector<double> &betas) {
  auto m1 = at::_foreach_mul(m, step.beta1);
  at::_foreach_add_(m1, g, 1 - step.beta1);
  auto v1 = at::_foreach_mul(v, step.beta2);
  at::_foreach_addcmul_(v1, g, g, 1 - step.beta2);
  auto p1 = at::_foreach_mul(p, step.keep);
  if (step.adaptive) {
    auto root = at::_foreach_sqrt(v1);
    at::_foreach_add_(root, step.epsilon);
    at::_foreach_addcdiv_(p1, m1, root, -step.factor);
  } else {
    at::_foreach_add_(p1, m1, -step.factor);
  }
  std::vector<Tensor> results;
  for (auto *list : {&p1, &m1, &v1}) results.insert(results.end(), list->begin(), list->end());
  for (size_t j = 0; j < betas.size(); j++) {
    auto average = at::_foreach_mul(averages[j], betas[j]);
    at::_foreach_add_(average, p1, 1 - betas[j]);
    results.insert(results.end(), average.begin(), average.end());
  }
  return results;
}

/** Parameters, gradients, m, v, averages, as many tensors of each; gives parameters, m, v, averages. */
KERNEL(AdamUpdateAll) {
  auto given = in.tensors();
  std::vector<double> betas(static_cast<size_t>(in.integer()));
  for (auto &beta : betas) beta = in.number();
  Step step{};
  step.beta1 = in.number(), step.beta2 = in.number(), step.factor = in.number(), step.epsilon = in.number();
  step.keep = in.number(), step.adaptive = in.flag();
  const size_t lists = 4 + betas.size(), count = given.size() / lists;
  TORCH_CHECK(given.size() == count * lists, "got ", given.size(), " tensors, expected ", lists, " of each parameter");
  for (size_t i = 0; i < given.size(); i++) {
    TORCH_CHECK(given[i].sizes() == given[i % count].sizes(), "shapes ", given[i % count].sizes(), " and ", given[i].sizes(), " differ");
    TORCH_CHECK(given[i].scalar_type() == at::kFloat, "expected float32, got ", at::toString(given[i].scalar_type()));
    given[i] = given[i].contiguous();
  }
  if (count == 0) return;
  const auto list = [&](size_t i) { return at::TensorList(given).slice(i * count, count); };
  if (!own_loops(given[0])) {
    std::vector<at::TensorList> averages;
    for (size_t j = 0; j < betas.size(); j++) averages.push_back(list(4 + j));
    for (auto &tensor : on_cuda(step, list(0), list(1), list(2), list(3), averages, betas)) out.tensor(tensor);
    return;
  }

  std::vector<Tensor> made;
  for (size_t i = 0; i < count * (lists - 1); i++) made.push_back(at::empty(given[i % count].sizes(), given[0].options()));
  struct Chunk {
    size_t tensor;
    int64_t from, count;
  };
  std::vector<Chunk> chunks;
  for (size_t i = 0; i < count; i++)
    for (int64_t from = 0; from < given[i].numel(); from += CHUNK)
      chunks.push_back({i, from, std::min(CHUNK, given[i].numel() - from)});
  at::parallel_for(0, static_cast<int64_t>(chunks.size()), 1, [&](int64_t first, int64_t end) {
    for (int64_t c = first; c < end; c++) {
      const Chunk &chunk = chunks[c];
      const auto from = [&](size_t i) { return given[i * count + chunk.tensor].data_ptr<float>() + chunk.from; };
      const auto to = [&](size_t i) { return made[i * count + chunk.tensor].data_ptr<float>() + chunk.from; };
      float *p1 = to(0);
      update(step, chunk.count, from(0), from(1), from(2), from(3), p1, to(1), to(2));
      for (size_t j = 0; j < betas.size(); j++) {
        const float *average = from(4 + j), beta = betas[j], rest = 1 - betas[j];
        float *moved = to(3 + j);
#pragma omp simd
        for (int64_t i = 0; i < chunk.count; i++) moved[i] = beta * average[i] + rest * p1[i];
      }
    }
  });
  for (auto &tensor : made) out.tensor(tensor);
}

}  // namespace
}  // namespace cm
