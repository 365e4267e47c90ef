#pragma once
#include <cstddef>

namespace cm {

/**
 * Makes libtorch's CPU memory come from a pool. Training asks for the same large blocks every step; the C library would give each
 * back to the system and take page faults for it again, a fifth of a step.
 */
void pool_cpu_memory();

struct PoolUse {
  /** Bytes of tensors, their greatest so far, and bytes taken from the system. */
  size_t used, peak, mapped;
};
PoolUse pool_use();

}  // namespace cm
