// Memory of a thread for what a kernel lays out on its way.
#pragma once
#include <ATen/ATen.h>
#include <sys/mman.h>

#include <cstdlib>

namespace cm {

/**
 * This thread's memory, aligned, its values undefined: the same at every call, so that it stays in cache, and in huge pages, whose addresses do
 * not collide there. One at a time in each thread.
 */
class Scratch {
 public:
  explicit Scratch(int64_t bytes) : at_(block(static_cast<size_t>(bytes))) {}

  /** Room for `count` things of four bytes or less. */
  template <typename T = float>
  T *take(int64_t count) {
    T *taken = reinterpret_cast<T *>(at_);
    at_ += padded(count * static_cast<int64_t>(sizeof(T)));
    return taken;
  }
  /** What `take` needs for that many bytes. */
  static constexpr int64_t padded(int64_t bytes) { return (bytes + 63) / 64 * 64; }

 private:
  static char *block(size_t bytes) {
    static thread_local struct Block {
      char *at = nullptr;
      size_t size = 0;
      ~Block() { std::free(at); }
    } own;
    constexpr size_t HUGE_PAGE = size_t{2} << 20;
    if (own.size < bytes) {
      std::free(own.at);
      own.size = (bytes + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
      own.at = static_cast<char *>(std::aligned_alloc(HUGE_PAGE, own.size));
      if (own.at == nullptr) own.size = 0;
      TORCH_CHECK(own.at != nullptr, "out of memory: cannot allocate ", bytes, " bytes");
      madvise(own.at, own.size, MADV_HUGEPAGE);
    }
#ifdef __SANITIZE_ADDRESS__
    // So that AddressSanitizer sees what lies beyond.
    std::free(own.at);
    own.size = bytes, own.at = static_cast<char *>(std::aligned_alloc(64, (bytes + 63) / 64 * 64));
#endif
    return own.at;
  }

  char *at_;
};

}  // namespace cm
