// Where tensors live and how exactly they are computed: the machine-wide settings, as kernels like the others.
#include <ATen/Parallel.h>
#include <c10/core/DeviceGuard.h>

#include "allocator.h"
#include "call.h"

namespace cm {
namespace {

/** configure(device: −1 for the CPU or the GPU's number, precision, deterministic) */
KERNEL(configure) {
  const auto device = in.integer();
  const auto precision = static_cast<Precision>(in.integer());
  const bool deterministic = in.flag();
  if (device >= 0) {
    TORCH_CHECK(at::globalContext().hasCUDA(), "no CUDA device is to be had");
    settings().device = at::Device(at::kCUDA, static_cast<c10::DeviceIndex>(device));
  } else {
    settings().device = at::Device(at::kCPU);
  }
  settings().precision = precision;
  const bool tf32 = precision != Precision::float32;
  at::globalContext().setAllowTF32CuBLAS(tf32);
  at::globalContext().setAllowTF32CuDNN(tf32);
  at::globalContext().setDeterministicCuDNN(deterministic);
  at::globalContext().setBenchmarkCuDNN(!deterministic && device >= 0);
  at::globalContext().setDeterministicAlgorithms(deterministic, /*warn_only=*/true);
}

/** compose(flag): see Settings. */
KERNEL(compose) { settings().composed = in.flag(); }

KERNEL(threads) {
  const auto count = in.integer();
  if (count > 0) at::set_num_threads(static_cast<int>(count));
  out.number(at::get_num_threads());
}

KERNEL(has_cuda) { out.number(at::globalContext().hasCUDA() ? 1 : 0); }

/** Waits until the device has done what it was asked. */
KERNEL(synchronize) {
  const auto device = settings().device;
  if (device.is_cpu()) return;
  const c10::impl::VirtualGuardImpl guard(device.type());
  guard.getStream(device).synchronize();
}

/** Handles in use, and of the CPU's pool: bytes in use, their peak, and bytes taken from the system. */
KERNEL(memory) {
  out.number(static_cast<double>(table().size()));
  const PoolUse use = pool_use();
  out.number(static_cast<double>(use.used));
  out.number(static_cast<double>(use.peak));
  out.number(static_cast<double>(use.mapped));
}

// For other addons, such as the one of collective operations: a tensor's address, which one reference goes with, and a tensor from an address
// that one comes with.
KERNEL(lend) {
  auto owned = in.held().getIntrusivePtr();
  out.number(static_cast<double>(reinterpret_cast<intptr_t>(owned.release())));
}
KERNEL(adopt) {
  auto *impl = reinterpret_cast<c10::TensorImpl *>(static_cast<intptr_t>(in.number()));
  out.tensor(Tensor(c10::intrusive_ptr<c10::TensorImpl, c10::UndefinedTensorImpl>::reclaim(impl)));
}

}  // namespace
}  // namespace cm
