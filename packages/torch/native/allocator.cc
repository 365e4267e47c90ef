#include "allocator.h"

#include <c10/core/Allocator.h>
#include <c10/core/CPUAllocator.h>
#include <sys/mman.h>
#include <torch/version.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <vector>

namespace cm {
namespace {

constexpr size_t ALIGNMENT = 64;
// Blocks below this size are the C library's: it is quick at them, and they do not come from the system one by one. AddressSanitizer watches
// the C library's blocks only.
#ifdef __SANITIZE_ADDRESS__
constexpr size_t POOLED = SIZE_MAX;
#else
constexpr size_t POOLED = size_t{64} << 10;
#endif
constexpr size_t HUGE_PAGE = size_t{2} << 20;
constexpr size_t PAGE = 4096;

/** Stands right before a block's data, one alignment long. */
struct Header {
  size_t size;  // of the whole block, header included
  void *base;   // what munmap or free takes
};

/** The block's size for `bytes`: steps of an eighth, so that at most an eighth is lost and sizes repeat. */
size_t class_of(size_t bytes) {
  size_t step = PAGE;
  while (step * 16 < bytes) step *= 2;
  return (bytes + step - 1) / step * step;
}

class Pool {
 public:
  void *take(size_t bytes) {
    const size_t whole = bytes + ALIGNMENT;
    if (whole < POOLED) {
      void *base = nullptr;
      if (posix_memalign(&base, ALIGNMENT, whole) != 0) return nullptr;
      return place(base, whole);
    }
    const size_t size = class_of(whole);
    const std::lock_guard<std::mutex> lock(mutex_);
    // A block a quarter larger will do: what a step asks for comes in many sizes, and mapping memory costs more than it.
    for (auto found = free_.lower_bound(size); found != free_.end() && found->first <= size + size / 4; ++found) {
      if (found->second.empty()) continue;
      Header *header = found->second.back();
      found->second.pop_back();
      cached_ -= header->size;
      count(header->size);
      return reinterpret_cast<char *>(header) + ALIGNMENT;
    }
    count(size);
    // Unused blocks of other sizes make room, so that the pool never grows far beyond what was in use at once.
    if (use_.mapped + size > use_.peak + use_.peak / 2) trim(use_.mapped + size - use_.peak - use_.peak / 2);
    void *base = map(size);
    if (base == nullptr) {
      trim(cached_);
      base = map(size);
    }
    if (base == nullptr) {
      use_.used -= size;
      return nullptr;
    }
    use_.mapped += size;
    return place(base, size);
  }

  void give(void *data) {
    auto *header = reinterpret_cast<Header *>(static_cast<char *>(data) - ALIGNMENT);
    if (header->size < POOLED) {
      free(header->base);
      return;
    }
    const std::lock_guard<std::mutex> lock(mutex_);
    use_.used -= header->size;
    cached_ += header->size;
    free_[header->size].push_back(header);
  }

  PoolUse use() {
    const std::lock_guard<std::mutex> lock(mutex_);
    return use_;
  }

 private:
  void count(size_t size) {
    use_.used += size;
    if (use_.used > use_.peak) use_.peak = use_.used;
  }

  static void *place(void *base, size_t size) {
    *static_cast<Header *>(base) = {size, base};
    return static_cast<char *>(base) + ALIGNMENT;
  }

  static void *map(size_t size) {
    if (size < 2 * HUGE_PAGE) {
      void *at = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
      return at == MAP_FAILED ? nullptr : at;
    }
    // Aligned to huge pages: fewer faults, and fewer misses of the translation cache.
    void *at = mmap(nullptr, size + HUGE_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED) return nullptr;
    auto from = reinterpret_cast<uintptr_t>(at);
    const uintptr_t aligned = (from + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
    if (aligned > from) munmap(at, aligned - from);
    const uintptr_t end = from + size + HUGE_PAGE;
    if (end > aligned + size) munmap(reinterpret_cast<void *>(aligned + size), end - aligned - size);
    madvise(reinterpret_cast<void *>(aligned), size, MADV_HUGEPAGE);
    return reinterpret_cast<void *>(aligned);
  }

  /** Gives unused blocks back to the system, the largest first, until `bytes` are gone. */
  void trim(size_t bytes) {
    size_t gone = 0;
    for (auto of_size = free_.rbegin(); of_size != free_.rend() && gone < bytes; ++of_size) {
      auto &blocks = of_size->second;
      while (!blocks.empty() && gone < bytes) {
        munmap(blocks.back()->base, of_size->first);
        blocks.pop_back();
        gone += of_size->first;
      }
    }
    use_.mapped -= gone;
    cached_ -= gone;
  }

  std::mutex mutex_;
  std::map<size_t, std::vector<Header *>> free_;
  PoolUse use_{0, 0, 0};
  size_t cached_ = 0;
};

Pool &pool() {
  static Pool *const instance = new Pool;
  return *instance;
}

/** oneDNN gives back what it never took: null. */
void give_back(void *data) {
  if (data != nullptr) pool().give(data);
}

class PooledAllocator final : public c10::Allocator {
 public:
#if TORCH_VERSION_MAJOR > 2 || (TORCH_VERSION_MAJOR == 2 && TORCH_VERSION_MINOR >= 3)
  c10::DataPtr allocate(size_t bytes) override { return make(bytes); }
  void copy_data(void *to, const void *from, size_t bytes) const override { std::memcpy(to, from, bytes); }
#else
  c10::DataPtr allocate(size_t bytes) const override { return make(bytes); }
#endif
  c10::DeleterFnPtr raw_deleter() const override { return &give_back; }

 private:
  static c10::DataPtr make(size_t bytes) {
    if (bytes == 0) return {nullptr, nullptr, &none, c10::Device(c10::DeviceType::CPU)};
    void *data = pool().take(bytes);
    TORCH_CHECK(data != nullptr, "out of memory: cannot allocate ", bytes, " bytes, with ", pool().use().used,
                " in use");
    return {data, data, &give_back, c10::Device(c10::DeviceType::CPU)};
  }
  static void none(void *) {}
};

}  // namespace

void pool_cpu_memory() {
  static PooledAllocator allocator;
  c10::SetCPUAllocator(&allocator, 1);
}

PoolUse pool_use() { return pool().use(); }

}  // namespace cm
