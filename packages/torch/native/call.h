// How JavaScript calls a kernel. Arguments are written as float64 numbers into a buffer that both sides see, results come back
// the same way, and tensors are handles: indices of a table. A call thus costs one crossing, whatever its arguments.
#pragma once
#include <ATen/ATen.h>

#include <string>
#include <vector>

namespace cm {

using at::Tensor;

/** Tensors by handle. */
class Table {
 public:
  int64_t put(Tensor tensor);
  const Tensor &get(double handle) const;
  void drop(int64_t handle);
  size_t size() const { return slots_.size() - free_.size(); }

 private:
  std::vector<Tensor> slots_;
  std::vector<int64_t> free_;
};
Table &table();

/** Reads a call's arguments in order. Lists are preceded by their length; a tensor that is absent has handle -1. */
class Arguments {
 public:
  Arguments(const double *at, size_t count) : at_(at), end_(at + count) {}
  double number() {
    TORCH_CHECK(at_ < end_, "too few arguments");
    return *at_++;
  }
  int64_t integer() { return static_cast<int64_t>(number()); }
  bool flag() { return number() != 0; }
  std::vector<int64_t> integers() {
    std::vector<int64_t> list(static_cast<size_t>(integer()));
    for (auto &item : list) item = integer();
    return list;
  }
  /** As it is held: float32 tensors may be bfloat16 inside. */
  const Tensor &held() { return table().get(number()); }
  /** In the type that JavaScript sees. */
  Tensor tensor() { return widened(held()); }
  Tensor optional() {
    const double handle = number();
    return handle < 0 ? Tensor() : widened(table().get(handle));
  }
  std::vector<Tensor> tensors() {
    std::vector<Tensor> list(static_cast<size_t>(integer()));
    for (auto &item : list) item = tensor();
    return list;
  }
  static Tensor widened(const Tensor &x) { return x.scalar_type() == at::kBFloat16 ? x.to(at::kFloat) : x; }

 private:
  const double *at_, *end_;
};

/** Writes results: for each tensor its handle, type, rank and shape. */
class Results {
 public:
  Results(double *at, size_t room) : at_(at), end_(at + room) {}
  void tensor(Tensor tensor);
  void number(double value) {
    TORCH_CHECK(at_ < end_, "too many results");
    *at_++ = value;
  }

 private:
  double *at_, *end_;
};

/** JavaScript's types: float32, int32, bool, complex64. */
at::ScalarType scalar_type(int64_t code);
int64_t type_code(at::ScalarType type);

using Kernel = void (*)(Arguments &, Results &);
struct Registration {
  Registration(const char *name, Kernel kernel);
};
struct NamedKernel {
  const char *name;
  Kernel kernel;
};
std::vector<NamedKernel> &kernels();

// KERNEL(Name) { … in.tensor() … out.tensor(…); }
#define KERNEL(name)                                       \
  static void kernel_##name(Arguments &in, Results &out);  \
  static const Registration registration_##name{#name, kernel_##name}; \
  static void kernel_##name([[maybe_unused]] Arguments &in, [[maybe_unused]] Results &out)

enum class Precision : int64_t { float32 = 0, tf32 = 1, bfloat16 = 2 };

struct Settings {
  at::Device device{at::kCPU};
  Precision precision = Precision::float32;
  /** Whether the CPU, too, goes the GPU's way, compositions of ATen's: for tests of them where there is no GPU. */
  bool composed = false;
};
Settings &settings();

/** Whether loops of this package's own compute what x is given to. */
inline bool own_loops(const Tensor &x) { return x.is_cpu() && !settings().composed; }

inline at::TensorOptions options(at::ScalarType type) { return at::device(settings().device).dtype(type); }

/** What images are held as between kernels: bfloat16 where that precision is chosen. */
inline at::ScalarType image_type(const Tensor &x) {
  return settings().precision == Precision::bfloat16 && x.scalar_type() == at::kFloat ? at::kBFloat16 : x.scalar_type();
}

/** What ATen's products and convolutions are given: bfloat16 where that precision is chosen, but not on CPUs that would have to imitate it. */
inline Tensor narrowed(const Tensor &x) {
#ifndef __AVX512BF16__
  if (x.is_cpu()) return Arguments::widened(x);
#endif
  return settings().precision == Precision::bfloat16 ? x.to(image_type(x)) : Arguments::widened(x);
}
/** What it gives back: float32. */
inline Tensor result(const Tensor &x) { return Arguments::widened(x); }

}  // namespace cm
