// Collective operations among processes, by c10d's Gloo over a TCP store, and by NCCL where one has been opened and tensors are on its device. An addon of
// its own: c10d's C++ classes are the part of libtorch that changes most, and the backend does without them. Tensors come from the backend's addon and go
// back to it by address: see its kernels `lend` and `adopt`. Every operation is a promise; waiting happens on a thread of Node's pool.
#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <node_api.h>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

#include <cstring>
#include <functional>
#include <map>

#include "nccl_group.h"

namespace cm {
namespace {

using at::Tensor;
using Milliseconds = std::chrono::milliseconds;
using Gloo = c10d::ProcessGroupGloo;
using Tensors = std::vector<Tensor>;

struct Group {
  c10::intrusive_ptr<Gloo> gloo;
  std::shared_ptr<NcclGroup> nccl;
  Milliseconds timeout;
};

/** Groups by number. Never destroyed: at exit, libtorch's own statics may be gone first. */
std::map<int64_t, Group> &groups() {
  static auto *const all = new std::map<int64_t, Group>;
  return *all;
}

template <typename F>
std::string error_of(F &&body) {
  try {
    // Not inference mode: its tensors may not be written to outside it, and Gloo's threads, which write here, are outside.
    const at::NoGradGuard guard;
    body();
    return {};
  } catch (const c10::Error &error) {
    return error.what_without_backtrace();
  } catch (const std::exception &error) {
    return error.what();
  } catch (...) {
    return "unknown C++ exception";
  }
}

template <typename F>
napi_value guarded(napi_env env, F &&body) {
  napi_value value = nullptr;
  const std::string error = error_of([&] { value = body(); });
  if (error.empty()) return value;
  napi_throw_error(env, "TORCH", error.c_str());
  return nullptr;
}

/** Something that waits, away from the JavaScript thread, and what it then gives to JavaScript. */
struct Task {
  std::function<void()> wait;
  std::function<napi_value(napi_env)> result;
  std::string error;
  napi_deferred deferred = nullptr;
  napi_async_work work = nullptr;
};

napi_value promise(napi_env env, std::function<void()> wait, std::function<napi_value(napi_env)> result) {
  auto *task = new Task{std::move(wait), std::move(result)};
  napi_value value = nullptr, name = nullptr;
  napi_create_promise(env, &task->deferred, &value);
  napi_create_string_utf8(env, "cm_distributed", NAPI_AUTO_LENGTH, &name);
  napi_create_async_work(
      env, nullptr, name,
      [](napi_env, void *data) {
        auto *task = static_cast<Task *>(data);
        task->error = error_of(task->wait);
      },
      [](napi_env env, napi_status, void *data) {
        auto *task = static_cast<Task *>(data);
        napi_value value = nullptr;
        if (task->error.empty()) task->error = error_of([&] { value = task->result(env); });
        if (task->error.empty()) {
          napi_resolve_deferred(env, task->deferred, value);
        } else {
          napi_value text = nullptr, error = nullptr;
          napi_create_string_utf8(env, task->error.c_str(), NAPI_AUTO_LENGTH, &text);
          napi_create_error(env, nullptr, text, &error);
          napi_reject_deferred(env, task->deferred, error);
        }
        napi_delete_async_work(env, task->work);
        delete task;
      },
      task, &task->work);
  napi_queue_async_work(env, task->work);
  return value;
}

/** A call's arguments in order. */
class In {
 public:
  In(napi_env env, napi_callback_info info) : env_(env) {
    napi_get_cb_info(env, info, &count_, values_, nullptr, nullptr);
  }
  int64_t integer() {
    int64_t number = 0;
    TORCH_CHECK(napi_get_value_int64(env_, next(), &number) == napi_ok, "expected a number");
    return number;
  }
  std::string text() {
    napi_value value = next();
    size_t length = 0;
    TORCH_CHECK(napi_get_value_string_utf8(env_, value, nullptr, 0, &length) == napi_ok, "expected a string");
    std::string text(length + 1, 0);
    napi_get_value_string_utf8(env_, value, &text[0], text.size(), &length);
    text.resize(length);
    return text;
  }
  Group &group() {
    const auto found = groups().find(integer());
    TORCH_CHECK(found != groups().end(), "the process group is closed");
    return found->second;
  }
  /** A Float64Array of addresses, each with a reference that is now this function's. */
  Tensors tensors() {
    const auto [data, count] = array(napi_float64_array);
    Tensors tensors;
    for (size_t i = 0; i < count; i++) {
      auto *impl = reinterpret_cast<c10::TensorImpl *>(static_cast<intptr_t>(static_cast<const double *>(data)[i]));
      tensors.emplace_back(c10::intrusive_ptr<c10::TensorImpl, c10::UndefinedTensorImpl>::reclaim(impl));
    }
    return tensors;
  }
  /** A Uint8Array, copied. */
  Tensor bytes() {
    const auto [data, count] = array(napi_uint8_array);
    Tensor copy = at::empty({static_cast<int64_t>(count)}, at::kByte);
    if (count > 0) std::memcpy(copy.data_ptr(), data, count);
    return copy;
  }

 private:
  napi_value next() {
    TORCH_CHECK(at_ < count_, "too few arguments");
    return values_[at_++];
  }
  std::pair<void *, size_t> array(napi_typedarray_type expected) {
    void *data = nullptr;
    size_t count = 0;
    napi_typedarray_type type;
    TORCH_CHECK(napi_get_typedarray_info(env_, next(), &type, &count, &data, nullptr, nullptr) == napi_ok &&
                    type == expected,
                "expected a typed array of another type");
    return {data, count};
  }

  napi_env env_;
  size_t count_ = 10, at_ = 0;
  napi_value values_[10];
};

/** Addresses for the backend's addon to adopt. */
napi_value addresses(napi_env env, const Tensors &tensors) {
  void *data = nullptr;
  napi_value buffer = nullptr, array = nullptr;
  napi_create_arraybuffer(env, tensors.size() * sizeof(double), &data, &buffer);
  napi_create_typedarray(env, napi_float64_array, tensors.size(), buffer, 0, &array);
  for (size_t i = 0; i < tensors.size(); i++) {
    c10::intrusive_ptr<c10::TensorImpl, c10::UndefinedTensorImpl> owned = tensors[i].getIntrusivePtr();
    static_cast<double *>(data)[i] = static_cast<double>(reinterpret_cast<intptr_t>(owned.release()));
  }
  return array;
}

/** Where a tensor of so many elements ends that begins at a place: whole cache lines, so that parts lie as kernels like them. */
int64_t after(int64_t at, int64_t count) { return at + (count + 15) / 16 * 16; }

/** Copies of tensors of one type, one behind the other, on a device. */
Tensor flat_of(const Tensors &tensors, at::Device device) {
  TORCH_CHECK(!tensors.empty(), "expected at least one tensor");
  int64_t total = 0, at = 0;
  for (const auto &tensor : tensors) total = after(total, tensor.numel());
  // float32 tensors may be bfloat16 inside.
  const auto type = tensors[0].scalar_type() == at::kBFloat16 ? at::kFloat : tensors[0].scalar_type();
  Tensor flat = at::empty({total}, at::device(device).dtype(type));
  for (const auto &tensor : tensors) {
    flat.narrow(0, at, tensor.numel()).copy_(tensor.reshape({-1}));
    at = after(at, tensor.numel());
  }
  return flat;
}

/** The parts of a flat tensor, shaped and placed like others. */
Tensors parts_of(const Tensor &flat, const Tensors &like) {
  Tensors parts;
  int64_t at = 0;
  for (const auto &tensor : like) {
    parts.push_back(flat.narrow(0, at, tensor.numel()).reshape(tensor.sizes()).to(tensor.device()));
    at = after(at, tensor.numel());
  }
  return parts;
}

/** The numbers of a tensor, on its memory, as Gloo of every version knows them. */
Tensor plain(const Tensor &tensor) {
  if (tensor.is_complex()) return at::view_as_real(tensor);
  return tensor.scalar_type() == at::kBool ? tensor.view(at::kByte) : tensor;
}

int nccl_type(const Tensor &tensor) {
  const auto type = tensor.scalar_type();
  if (type == at::kFloat || type == at::kBFloat16) return NCCL_FLOAT32;
  if (type == at::kInt) return NCCL_INT32;
  if (type == at::kBool) return NCCL_UINT8;
  return -1;
}

/** The NCCL group that tensors can go by; none for those on another device, or of a type that NCCL does not know. */
std::shared_ptr<NcclGroup> nccl_of(const Group &group, const Tensors &tensors) {
  if (!group.nccl || nccl_type(tensors.at(0)) < 0) return nullptr;
  for (const auto &tensor : tensors) {
    if (tensor.device() != group.nccl->device()) return nullptr;
  }
  return group.nccl;
}

/**
 * open(host, port, serves, prefix, rank, size, timeout in ms, network interface or '', own address or ''): the group's number, when all have
 * come. Where there is neither interface nor address, the machine's name is looked up.
 */
napi_value open(napi_env env, napi_callback_info info) {
  return guarded(env, [&] {
    In in(env, info);
    const std::string host = in.text();
    c10d::TCPStoreOptions options;
    options.port = static_cast<std::uint16_t>(in.integer());
    options.isServer = in.integer() != 0;
    const std::string prefix = in.text();
    const int rank = static_cast<int>(in.integer()), size = static_cast<int>(in.integer());
    const Milliseconds timeout(in.integer());
    const std::string interface = in.text(), address = in.text();
    options.waitWorkers = false;
    options.timeout = timeout;
    auto group = std::make_shared<c10::intrusive_ptr<Gloo>>();
    return promise(
        env,
        [=] {
          auto store = c10::make_intrusive<c10d::PrefixStore>(prefix, c10::make_intrusive<c10d::TCPStore>(host, options));
          store->setTimeout(timeout);
          auto settings = Gloo::Options::create(timeout);
          settings->devices.push_back(!interface.empty() ? Gloo::createDeviceForInterface(interface)
                                      : !address.empty() ? Gloo::createDeviceForHostname(address)
                                                         : Gloo::createDefaultDevice());
          *group = c10::make_intrusive<Gloo>(store, rank, size, settings);
        },
        [=](napi_env env) {
          static int64_t last = 0;
          groups()[++last] = Group{std::move(*group), nullptr, timeout};
          napi_value number = nullptr;
          napi_create_int64(env, last, &number);
          return number;
        });
  });
}

/** allReduce(group, tensors, whether the mean): sums over processes, of tensors of one type. */
napi_value all_reduce(napi_env env, napi_callback_info info) {
  return guarded(env, [&] {
    In in(env, info);
    const Group &group = in.group();
    const Tensors tensors = in.tensors();
    const bool mean = in.integer() != 0;
    const int size = group.gloo->getSize();
    const auto nccl = nccl_of(group, tensors);
    Tensors flat{flat_of(tensors, nccl ? nccl->device() : at::kCPU)};
    std::function<void()> wait;
    if (nccl) {
      wait = nccl->start([flat = flat[0], type = nccl_type(flat[0])](const auto &library, NcclComm comm, CudaStream stream) {
        return library.all_reduce(flat.data_ptr(), flat.data_ptr(), flat.numel(), type, NCCL_SUM, comm, stream);
      });
    } else {
      Tensors sent{plain(flat[0])};
      wait = [work = group.gloo->allreduce(sent)] { work->wait(); };
    }
    return promise(
        env,
        [=] {
          wait();
          if (mean) Tensor(flat[0]).div_(size);
        },
        [=](napi_env env) { return addresses(env, parts_of(flat[0], tensors)); });
  });
}

/** broadcast(group, tensors, root): the root's values. */
napi_value broadcast(napi_env env, napi_callback_info info) {
  return guarded(env, [&] {
    In in(env, info);
    const Group &group = in.group();
    const Tensors tensors = in.tensors();
    const int root = static_cast<int>(in.integer());
    const auto nccl = nccl_of(group, tensors);
    Tensors flat{flat_of(tensors, nccl ? nccl->device() : at::kCPU)};
    std::function<void()> wait;
    if (nccl) {
      wait = nccl->start([flat = flat[0], type = nccl_type(flat[0]), root](const auto &library, NcclComm comm, CudaStream stream) {
        return library.broadcast(flat.data_ptr(), flat.data_ptr(), flat.numel(), type, root, comm, stream);
      });
    } else {
      c10d::BroadcastOptions options;
      options.rootRank = root;
      Tensors sent{plain(flat[0])};
      wait = [work = group.gloo->broadcast(sent, options)] { work->wait(); };
    }
    return promise(env, wait, [=](napi_env env) { return addresses(env, parts_of(flat[0], tensors)); });
  });
}

std::pair<c10::intrusive_ptr<c10d::Work>, Tensors> gathered(Gloo &group, const Tensor &own) {
  Tensors all;
  std::vector<Tensors> outputs(1);
  for (int rank = 0; rank < group.getSize(); rank++) {
    all.push_back(at::empty_like(own));
    outputs[0].push_back(plain(all.back()));
  }
  Tensors inputs{plain(own)};
  auto work = group.allgather(outputs, inputs);
  return {work, all};
}

/** allGather(group, [tensor]): that of every process, of one shape and type. */
napi_value all_gather(napi_env env, napi_callback_info info) {
  return guarded(env, [&] {
    In in(env, info);
    const Group &group = in.group();
    const Tensors own = in.tensors();
    const auto nccl = nccl_of(group, own);
    const Tensor flat = flat_of(own, nccl ? nccl->device() : at::kCPU);
    Tensors all;
    std::function<void()> wait;
    if (nccl) {
      const Tensor joined = at::empty({group.gloo->getSize(), flat.numel()}, flat.options());
      all = joined.unbind(0);
      wait = nccl->start([flat, joined, type = nccl_type(flat)](const auto &library, NcclComm comm, CudaStream stream) {
        return library.all_gather(flat.data_ptr(), joined.data_ptr(), flat.numel(), type, comm, stream);
      });
    } else {
      auto started = gathered(*group.gloo, flat);
      all = started.second;
      wait = [work = started.first] { work->wait(); };
    }
    return promise(env, wait, [=](napi_env env) {
      Tensors shaped;
      for (const auto &each : all) shaped.push_back(parts_of(each, own)[0]);
      return addresses(env, shaped);
    });
  });
}

/** gatherBytes(group, bytes): those of every process, as many each, one behind the other. */
napi_value gather_bytes(napi_env env, napi_callback_info info) {
  return guarded(env, [&] {
    In in(env, info);
    const Group &group = in.group();
    const auto [work, all] = gathered(*group.gloo, in.bytes());
    return promise(env, [work = work] { work->wait(); },
                   [all = all](napi_env env) {
                     const size_t each = static_cast<size_t>(all[0].numel());
                     void *data = nullptr;
                     napi_value buffer = nullptr, array = nullptr;
                     napi_create_arraybuffer(env, each * all.size(), &data, &buffer);
                     napi_create_typedarray(env, napi_uint8_array, each * all.size(), buffer, 0, &array);
                     for (size_t i = 0; i < all.size() && each > 0; i++) {
                       std::memcpy(static_cast<char *>(data) + i * each, all[i].data_ptr(), each);
                     }
                     return array;
                   });
  });
}

/** deviceOf([tensor]): its GPU's number, −1 for the CPU. */
napi_value device_of(napi_env env, napi_callback_info info) {
  return guarded(env, [&] {
    const auto device = In(env, info).tensors().at(0).device();
    napi_value number = nullptr;
    napi_create_int64(env, device.is_cpu() ? -1 : device.index(), &number);
    return number;
  });
}

/** ncclId(library, whether to make one): 128 bytes, from which processes open NCCL together, or none; throws where this process cannot. */
napi_value nccl_id(napi_env env, napi_callback_info info) {
  return guarded(env, [&] {
    In in(env, info);
    const auto &library = load_nccl(in.text());
    const bool makes = in.integer() != 0;
    int version = 0;
    NcclId id{};
    const int result = makes ? library.unique_id(&id) : library.version(&version);
    TORCH_CHECK(result == NCCL_SUCCESS, "NCCL: ", library.error_string(result));
    const size_t length = makes ? sizeof(id) : 0;
    void *data = nullptr;
    napi_value buffer = nullptr, array = nullptr;
    napi_create_arraybuffer(env, length, &data, &buffer);
    napi_create_typedarray(env, napi_uint8_array, length, buffer, 0, &array);
    if (makes) std::memcpy(data, &id, sizeof(id));
    return array;
  });
}

/** openNccl(group, library, id of process 0, device as `deviceOf` has it): when all have come, tensors of that device go by NCCL. */
napi_value open_nccl(napi_env env, napi_callback_info info) {
  return guarded(env, [&] {
    In in(env, info);
    const int64_t number = in.integer();
    TORCH_CHECK(groups().count(number), "the process group is closed");
    const Group &group = groups()[number];
    const auto &library = load_nccl(in.text());
    const Tensor bytes = in.bytes();
    NcclId id;
    TORCH_CHECK(bytes.numel() == sizeof(id), "expected an id of ", sizeof(id), " bytes");
    std::memcpy(&id, bytes.data_ptr(), sizeof(id));
    const int64_t index = in.integer();
    const at::Device device =
        index < 0 ? at::Device(at::kCPU) : at::Device(at::kCUDA, static_cast<c10::DeviceIndex>(index));
    const auto nccl = std::make_shared<NcclGroup>(library, device, group.timeout);
    return promise(env, nccl->open(id, group.gloo->getRank(), group.gloo->getSize()), [=](napi_env env) {
      groups()[number].nccl = nccl;
      napi_value nothing = nullptr;
      napi_get_undefined(env, &nothing);
      return nothing;
    });
  });
}

/** failNccl(group, reason): operations that wait for NCCL, and later ones, fail. */
napi_value fail_nccl(napi_env env, napi_callback_info info) {
  return guarded(env, [&]() -> napi_value {
    In in(env, info);
    const Group &group = in.group();
    if (group.nccl) group.nccl->fail(in.text());
    return nullptr;
  });
}

/** dropNccl(group): tensors go by Gloo. */
napi_value drop_nccl(napi_env env, napi_callback_info info) {
  return guarded(env, [&]() -> napi_value {
    Group &group = In(env, info).group();
    if (group.nccl) group.nccl->fail("it is not used");
    group.nccl.reset();
    return nullptr;
  });
}

/** close(group) */
napi_value close(napi_env env, napi_callback_info info) {
  return guarded(env, [&]() -> napi_value {
    const int64_t number = In(env, info).integer();
    const auto found = groups().find(number);
    if (found == groups().end()) return nullptr;
    if (found->second.nccl) found->second.nccl->close();
    groups().erase(found);
    return nullptr;
  });
}

napi_value init(napi_env env, napi_value exports) {
  const napi_property_descriptor functions[] = {
#define FUNCTION(name, f) {name, nullptr, f, nullptr, nullptr, nullptr, napi_enumerable, nullptr}
      FUNCTION("open", open),           FUNCTION("allReduce", all_reduce),
      FUNCTION("broadcast", broadcast), FUNCTION("allGather", all_gather),
      FUNCTION("gatherBytes", gather_bytes), FUNCTION("close", close),
      FUNCTION("deviceOf", device_of),  FUNCTION("ncclId", nccl_id),
      FUNCTION("openNccl", open_nccl),  FUNCTION("failNccl", fail_nccl),
      FUNCTION("dropNccl", drop_nccl),
#undef FUNCTION
  };
  napi_define_properties(env, exports, sizeof(functions) / sizeof(functions[0]), functions);
  return exports;
}

}  // namespace
}  // namespace cm

NAPI_MODULE(cm_distributed, cm::init)
