#include "nccl_group.h"

#include <c10/core/DeviceGuard.h>
#include <c10/core/Stream.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <dlfcn.h>

#include <algorithm>
#include <future>
#include <map>
#include <thread>

namespace cm {
namespace {

constexpr std::chrono::microseconds PAUSE{100};
constexpr NcclGroup::Milliseconds LEAVING{10'000};
using Clock = std::chrono::steady_clock;

}  // namespace

const NcclLibrary &load_nccl(const std::string &path) {
  static auto *const loaded = new std::map<std::string, NcclLibrary>;
  const auto found = loaded->find(path);
  if (found != loaded->end()) return found->second;
  void *handle = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  TORCH_CHECK(handle != nullptr, dlerror());
  NcclLibrary library;
#define NCCL_FUNCTION(member, symbol, result, parameters)                                  \
  library.member = reinterpret_cast<decltype(library.member)>(dlsym(handle, #symbol)); \
  TORCH_CHECK(library.member != nullptr, path, " has no function " #symbol);
  NCCL_FUNCTIONS(NCCL_FUNCTION)
#undef NCCL_FUNCTION
  return loaded->emplace(path, library).first->second;
}

NcclGroup::NcclGroup(const NcclLibrary &library, at::Device device, Milliseconds timeout)
    : library_(library), device_(device), timeout_(timeout) {}

void NcclGroup::check(int result) const {
  TORCH_CHECK(result == NCCL_SUCCESS || result == NCCL_IN_PROGRESS, "NCCL: ", library_.error_string(result));
}

NcclGroup::Wait NcclGroup::post(Task task, Milliseconds limit) {
  auto done = std::make_shared<std::promise<void>>();
  const auto future = done->get_future().share();
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    tasks_.push_back([task = std::move(task), done] {
      try {
        task();
        done->set_value();
      } catch (...) {
        done->set_exception(std::current_exception());
      }
    });
    // Never joined: a thread that is stuck in NCCL must not keep a process that has something to report.
    if (!running_) std::thread([self = shared_from_this()] { self->work(); }).detach();
    running_ = true;
  }
  changed_.notify_all();
  const auto deadline = Clock::now() + limit;
  return [self = shared_from_this(), future, deadline] {
    while (future.wait_for(10 * PAUSE) != std::future_status::ready) self->check_on(deadline);
    future.get();
  };
}

void NcclGroup::work() {
  // Which device a thread works on is the thread's own.
  const c10::DeviceGuard guard(device_);
  for (;;) {
    Task task;
    {
      std::unique_lock<std::mutex> lock(mutex_);
      changed_.wait(lock, [&] { return ended_ || !tasks_.empty(); });
      if (tasks_.empty()) return;
      task = std::move(tasks_.front());
      tasks_.pop_front();
    }
    task();
  }
}

void NcclGroup::check_on(Clock::time_point deadline) {
  std::string failure;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    failure = failure_;
    int error = NCCL_SUCCESS;
    // Under the lock, because who fails takes the communicator away.
    if (failure.empty() && comm_) check(library_.async_error(comm_, &error));
    if (error != NCCL_SUCCESS && error != NCCL_IN_PROGRESS) failure = library_.error_string(error);
  }
  if (failure.empty() && Clock::now() > deadline) failure = "nothing within the time-out";
  if (failure.empty()) return;
  fail(failure);
  TORCH_CHECK(false, "NCCL: ", failure);
}

NcclGroup::Wait NcclGroup::open(NcclId id, int rank, int size) {
  return post([this, self = shared_from_this(), id, rank, size] {
    NcclComm comm = nullptr;
    check(library_.init_rank(&comm, size, id, rank));
    const std::lock_guard<std::mutex> lock(mutex_);
    comm_ = comm;
  }, timeout_);
}

NcclGroup::Wait NcclGroup::start(Call call) {
  const c10::Stream stream = c10::impl::VirtualGuardImpl(device_.type()).getStream(device_);
  TORCH_CHECK(stream.id() == 0, "NCCL: the current stream is ", stream.id(), ", expected the default one");
  const Wait given = post([this, self = shared_from_this(), call = std::move(call)] {
    NcclComm comm = nullptr;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      comm = comm_;
      TORCH_CHECK(comm, "NCCL: ", failure_.empty() ? "the group is closed" : failure_);
    }
    check(call(library_, comm, nullptr));
  }, timeout_);
  const auto deadline = Clock::now() + timeout_;
  return [self = shared_from_this(), given, stream, deadline] {
    given();
    while (!stream.query()) {
      self->check_on(deadline);
      std::this_thread::sleep_for(PAUSE);
    }
    // A kernel that was aborted has ended too.
    self->check_on(Clock::time_point::max());
  };
}

void NcclGroup::fail(const std::string &reason) {
  NcclComm comm = nullptr;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (!failure_.empty()) return;
    failure_ = reason.empty() ? "the group has failed" : reason;
    std::swap(comm, comm_);
  }
  // On a thread of its own, for it may wait for kernels.
  if (comm) std::thread([self = shared_from_this(), comm] { self->library_.abort(comm); }).detach();
}

void NcclGroup::close() {
  const Wait closed = post([this, self = shared_from_this()] {
    NcclComm comm = nullptr;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      std::swap(comm, comm_);
      ended_ = true;
    }
    if (comm) check(library_.destroy(comm));
  }, std::min(timeout_, LEAVING));
  try {
    closed();
  } catch (const std::exception &) {
    // Nothing more is asked of it.
  }
}

}  // namespace cm
