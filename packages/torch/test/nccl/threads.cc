// NCCL's interface among threads of one process, on main memory: what a machine without GPUs can try the calls of nccl_group.cc with. As in NCCL, operations
// of a communicator come in one order in all processes, and one that some have not come to is waited for until the communicator is aborted.
#include <condition_variable>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "nccl_abi.h"

namespace {

using cm::CudaStream;
using cm::NcclComm;
using cm::NcclId;

constexpr int INVALID_USAGE = 5, REMOTE_ERROR = 6;

struct Operation {
  int kind = 0, type = 0, detail = 0;
  size_t count = 0;
  const void *send = nullptr;
  void *receive = nullptr;
};

struct World {
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<Operation> given;
  size_t come = 0, round = 0;
  int result = cm::NCCL_SUCCESS;
  bool broken = false;
};

struct Comm {
  std::shared_ptr<World> world;
  size_t rank;
};

template <typename T>
void sum(const std::vector<Operation> &all) {
  std::vector<T> total(all[0].count);
  for (const auto &each : all) {
    for (size_t i = 0; i < each.count; i++) total[i] += static_cast<const T *>(each.send)[i];
  }
  for (const auto &each : all) std::memcpy(each.receive, total.data(), total.size() * sizeof(T));
}

enum { ALL_REDUCE, BROADCAST, ALL_GATHER, MEETING };

int carried_out(const std::vector<Operation> &all) {
  const auto &[kind, type, detail, count, send, receive] = all[0];
  for (const auto &each : all) {
    if (each.kind != kind || each.type != type || each.detail != detail || each.count != count) return INVALID_USAGE;
  }
  const size_t bytes = count * (type == cm::NCCL_UINT8 ? 1 : 4);
  if (kind == ALL_REDUCE) {
    if (type == cm::NCCL_FLOAT32) sum<float>(all);
    else sum<int>(all);
  } else if (kind == BROADCAST) {
    const std::vector<char> value(static_cast<const char *>(all[detail].send), static_cast<const char *>(all[detail].send) + bytes);
    for (const auto &each : all) std::memcpy(each.receive, value.data(), bytes);
  } else if (kind == ALL_GATHER) {
    for (const auto &to : all) {
      for (size_t rank = 0; rank < all.size(); rank++) {
        std::memcpy(static_cast<char *>(to.receive) + rank * bytes, all[rank].send, bytes);
      }
    }
  }
  return cm::NCCL_SUCCESS;
}

int together(const Comm &comm, const Operation &own) {
  World &world = *comm.world;
  std::unique_lock<std::mutex> lock(world.mutex);
  world.given[comm.rank] = own;
  const size_t round = world.round;
  if (++world.come == world.given.size()) {
    world.result = carried_out(world.given);
    world.come = 0;
    world.round++;
    world.changed.notify_all();
    return world.result;
  }
  world.changed.wait(lock, [&] { return world.round != round || world.broken; });
  return world.round != round ? world.result : REMOTE_ERROR;
}

const Comm &of(NcclComm comm) { return *static_cast<const Comm *>(comm); }

}  // namespace

extern "C" {

int ncclGetVersion(int *version) {
  *version = 20000;
  return cm::NCCL_SUCCESS;
}

const char *ncclGetErrorString(int result) { return result == INVALID_USAGE ? "processes differ" : "another process has gone"; }

int ncclGetUniqueId(NcclId *id) {
  static int last = 0;
  std::memset(id, 0, sizeof(*id));
  std::memcpy(id, &++last, sizeof(last));
  return cm::NCCL_SUCCESS;
}

int ncclCommInitRank(NcclComm *comm, int size, NcclId id, int rank) {
  static std::mutex mutex;
  static std::map<std::string, std::shared_ptr<World>> worlds;
  std::shared_ptr<World> world;
  {
    const std::lock_guard<std::mutex> lock(mutex);
    auto &found = worlds[std::string(id.bytes, sizeof(id.bytes))];
    if (!found) {
      found = std::make_shared<World>();
      found->given.resize(size);
    }
    world = found;
  }
  auto *own = new Comm{world, static_cast<size_t>(rank)};
  *comm = own;
  Operation meeting;
  meeting.kind = MEETING;
  return together(*own, meeting);
}

int ncclCommDestroy(NcclComm comm) {
  delete static_cast<Comm *>(comm);
  return cm::NCCL_SUCCESS;
}

// What is aborted is not freed: a thread may be waiting in it.
int ncclCommAbort(NcclComm comm) {
  World &world = *of(comm).world;
  {
    const std::lock_guard<std::mutex> lock(world.mutex);
    world.broken = true;
  }
  world.changed.notify_all();
  return cm::NCCL_SUCCESS;
}

int ncclCommGetAsyncError(NcclComm comm, int *error) {
  World &world = *of(comm).world;
  const std::lock_guard<std::mutex> lock(world.mutex);
  *error = world.broken ? REMOTE_ERROR : cm::NCCL_SUCCESS;
  return cm::NCCL_SUCCESS;
}

int ncclAllReduce(const void *send, void *receive, size_t count, int type, int operation, NcclComm comm, CudaStream) {
  if (operation != cm::NCCL_SUM || type == cm::NCCL_UINT8) return INVALID_USAGE;
  return together(of(comm), {ALL_REDUCE, type, operation, count, send, receive});
}

int ncclBroadcast(const void *send, void *receive, size_t count, int type, int root, NcclComm comm, CudaStream) {
  return together(of(comm), {BROADCAST, type, root, count, send, receive});
}

int ncclAllGather(const void *send, void *receive, size_t count, int type, NcclComm comm, CudaStream) {
  return together(of(comm), {ALL_GATHER, type, 0, count, send, receive});
}
}
