// Collective operations among processes, by c10d's Gloo over a TCP store. An addon of its own: c10d's C++ classes are the part of libtorch that
// changes most, and the backend does without them. Tensors come from the backend's addon and go back to it by address: see its kernels
// `lend` and `adopt`. Every operation is a promise; waiting happens on a thread of Node's pool.
#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>
#include <node_api.h>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

#include <cstring>
#include <functional>
#include <map>

namespace cm {
namespace {

using at::Tensor;
using Milliseconds = std::chrono::milliseconds;
using Gloo = c10d::ProcessGroupGloo;
using Tensors = std::vector<Tensor>;

/** Groups by number. Never destroyed: at exit, libtorch's own statics may be gone first. */
std::map<int64_t, c10::intrusive_ptr<Gloo>> &groups() {
  static auto *const all = new std::map<int64_t, c10::intrusive_ptr<Gloo>>;
  return *all;
}

template <typename F>
std::string error_of(F &&body) {
  try {
    c10::InferenceMode guard;
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
  c10::intrusive_ptr<Gloo> group() {
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

/** Copies of tensors of one type, one behind the other, in main memory. */
Tensor flat_of(const Tensors &tensors) {
  TORCH_CHECK(!tensors.empty(), "expected at least one tensor");
  int64_t total = 0, at = 0;
  for (const auto &tensor : tensors) total += tensor.numel();
  // float32 tensors may be bfloat16 inside.
  const auto type = tensors[0].scalar_type() == at::kBFloat16 ? at::kFloat : tensors[0].scalar_type();
  Tensor flat = at::empty({total}, at::device(at::kCPU).dtype(type));
  for (const auto &tensor : tensors) {
    flat.narrow(0, at, tensor.numel()).copy_(tensor.reshape({-1}));
    at += tensor.numel();
  }
  return flat;
}

/** The parts of a flat tensor, shaped and placed like others. */
Tensors parts_of(const Tensor &flat, const Tensors &like) {
  Tensors parts;
  int64_t at = 0;
  for (const auto &tensor : like) {
    parts.push_back(flat.narrow(0, at, tensor.numel()).reshape(tensor.sizes()).to(tensor.device()));
    at += tensor.numel();
  }
  return parts;
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
          groups()[++last] = std::move(*group);
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
    const auto group = in.group();
    const Tensors tensors = in.tensors();
    const bool mean = in.integer() != 0;
    Tensors flat{flat_of(tensors)};
    const auto work = group->allreduce(flat);
    return promise(
        env,
        [=]() mutable {
          work->wait();
          if (mean) flat[0].div_(group->getSize());
        },
        [=](napi_env env) { return addresses(env, parts_of(flat[0], tensors)); });
  });
}

/** broadcast(group, tensors, root): the root's values. */
napi_value broadcast(napi_env env, napi_callback_info info) {
  return guarded(env, [&] {
    In in(env, info);
    const auto group = in.group();
    const Tensors tensors = in.tensors();
    c10d::BroadcastOptions options;
    options.rootRank = in.integer();
    Tensors flat{flat_of(tensors)};
    const auto work = group->broadcast(flat, options);
    return promise(env, [=] { work->wait(); },
                   [=](napi_env env) { return addresses(env, parts_of(flat[0], tensors)); });
  });
}

std::pair<c10::intrusive_ptr<c10d::Work>, Tensors> gathered(Gloo &group, const Tensor &own) {
  std::vector<Tensors> outputs(1);
  for (int rank = 0; rank < group.getSize(); rank++) outputs[0].push_back(at::empty_like(own));
  Tensors inputs{own};
  auto work = group.allgather(outputs, inputs);
  return {work, outputs[0]};
}

/** allGather(group, [tensor]): that of every process, of one shape and type. */
napi_value all_gather(napi_env env, napi_callback_info info) {
  return guarded(env, [&] {
    In in(env, info);
    const auto group = in.group();
    const Tensors own = in.tensors();
    const auto [work, all] = gathered(*group, flat_of(own));
    return promise(env, [work = work] { work->wait(); },
                   [=, all = all](napi_env env) {
                     Tensors shaped;
                     for (const auto &flat : all) shaped.push_back(parts_of(flat, own)[0]);
                     return addresses(env, shaped);
                   });
  });
}

/** gatherBytes(group, bytes): those of every process, as many each, one behind the other. */
napi_value gather_bytes(napi_env env, napi_callback_info info) {
  return guarded(env, [&] {
    In in(env, info);
    const auto group = in.group();
    const auto [work, all] = gathered(*group, in.bytes());
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

/** close(group) */
napi_value close(napi_env env, napi_callback_info info) {
  return guarded(env, [&]() -> napi_value {
    groups().erase(In(env, info).integer());
    return nullptr;
  });
}

napi_value init(napi_env env, napi_value exports) {
  const napi_property_descriptor functions[] = {
#define FUNCTION(name, f) {name, nullptr, f, nullptr, nullptr, nullptr, napi_enumerable, nullptr}
      FUNCTION("open", open),           FUNCTION("allReduce", all_reduce),
      FUNCTION("broadcast", broadcast), FUNCTION("allGather", all_gather),
      FUNCTION("gatherBytes", gather_bytes), FUNCTION("close", close),
#undef FUNCTION
  };
  napi_define_properties(env, exports, sizeof(functions) / sizeof(functions[0]), functions);
  return exports;
}

}  // namespace
}  // namespace cm

NAPI_MODULE(cm_distributed, cm::init)
