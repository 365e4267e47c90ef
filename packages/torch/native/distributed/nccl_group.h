#pragma once
#include <ATen/ATen.h>

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include "nccl_abi.h"

namespace cm {

/** NCCL's functions, of a library by name or path. Loaded once. Throws what the system says, or that it lacks a function. */
const NcclLibrary &load_nccl(const std::string &path);

/**
 * A communicator of NCCL, and the thread that gives it work: calls of NCCL may wait for other processes, and have to come in the same order in all of them.
 * Work goes to the default stream of the device, which every kernel of the backend is on: it comes after the kernels that made its input, and before those
 * that take its result.
 */
class NcclGroup : public std::enable_shared_from_this<NcclGroup> {
 public:
  using Milliseconds = std::chrono::milliseconds;
  using Call = std::function<int(const NcclLibrary &, NcclComm, CudaStream)>;
  using Wait = std::function<void()>;

  NcclGroup(const NcclLibrary &library, at::Device device, Milliseconds timeout);

  /** Meets the other processes. To be waited for. */
  Wait open(NcclId id, int rank, int size);
  /** Gives NCCL a call, and what waits until the device has done it: that throws after the time-out, when NCCL reports an error, or when the group fails. */
  Wait start(Call call);
  /** Ends what is under way, here and so in the other processes, and everything later, with an error. */
  void fail(const std::string &reason);
  /** Leaves the others, who do too. Waits for them no longer than ten seconds. */
  void close();

  at::Device device() const { return device_; }

 private:
  using Task = std::function<void()>;
  /** Runs a task on the thread, after those before it. */
  Wait post(Task task, Milliseconds limit);
  void work();
  void check(int result) const;
  /** Throws when the group has failed, or NCCL has an error, or it is too late. */
  void check_on(std::chrono::steady_clock::time_point deadline);

  const NcclLibrary &library_;
  const at::Device device_;
  const Milliseconds timeout_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Task> tasks_;
  bool running_ = false, ended_ = false;
  NcclComm comm_ = nullptr;
  std::string failure_;
};

}  // namespace cm
