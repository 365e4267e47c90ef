#include "call.h"

namespace cm {

int64_t Table::put(Tensor tensor) {
  if (free_.empty()) {
    slots_.push_back(std::move(tensor));
    return static_cast<int64_t>(slots_.size()) - 1;
  }
  const int64_t handle = free_.back();
  free_.pop_back();
  slots_[handle] = std::move(tensor);
  return handle;
}

const Tensor &Table::get(double handle) const {
  const auto index = static_cast<size_t>(handle);
  TORCH_CHECK(handle >= 0 && index < slots_.size() && slots_[index].defined(), "there is no tensor ", handle);
  return slots_[index];
}

void Table::drop(int64_t handle) {
  if (handle < 0 || handle >= static_cast<int64_t>(slots_.size()) || !slots_[handle].defined()) return;
  slots_[handle].reset();
  free_.push_back(handle);
}

Table &table() {
  // Never destroyed: at exit, libtorch's own statics may be gone first.
  static Table *const instance = new Table;
  return *instance;
}

at::ScalarType scalar_type(int64_t code) {
  static const at::ScalarType types[] = {at::kFloat, at::kInt, at::kBool, at::kComplexFloat};
  TORCH_CHECK(code >= 0 && code < 4, "unknown type ", code);
  return types[code];
}

int64_t type_code(at::ScalarType type) {
  switch (type) {
    case at::kFloat:
    case at::kBFloat16: return 0;
    case at::kInt: return 1;
    case at::kBool: return 2;
    case at::kComplexFloat: return 3;
    default: TORCH_CHECK(false, "a kernel gave ", at::toString(type), ", which JavaScript has no type for");
  }
}

void Results::tensor(Tensor tensor) {
  if (tensor.scalar_type() == at::kLong) tensor = tensor.to(at::kInt);
  if (tensor.scalar_type() == at::kDouble) tensor = tensor.to(at::kFloat);
  const int64_t type = type_code(tensor.scalar_type());
  const auto sizes = tensor.sizes().vec();
  const auto handle = table().put(std::move(tensor));
  number(static_cast<double>(handle));
  number(static_cast<double>(type));
  number(static_cast<double>(sizes.size()));
  for (auto size : sizes) number(static_cast<double>(size));
}

std::vector<NamedKernel> &kernels() {
  static auto *const list = new std::vector<NamedKernel>;
  return *list;
}

Registration::Registration(const char *name, Kernel kernel) { kernels().push_back({name, kernel}); }

Settings &settings() {
  static Settings instance;
  return instance;
}

}  // namespace cm
