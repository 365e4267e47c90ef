// The surface that JavaScript sees, over Node-API: call, upload, download, release, configure, memory, describe.
#include <c10/core/InferenceMode.h>
#include <dlfcn.h>
#include <node_api.h>
#include <torch/version.h>

#include <cstring>

#include "allocator.h"
#include "call.h"

namespace cm {
namespace {

constexpr size_t BUFFER_NUMBERS = 1 << 16;
double *buffer = nullptr;

/** Throws the newest error to JavaScript; nothing of C++ may pass through Node's frames. */
template <typename F>
napi_value guarded(napi_env env, F &&body) {
  try {
    c10::InferenceMode guard;
    return body();
  } catch (const c10::Error &error) {
    napi_throw_error(env, "TORCH", error.what_without_backtrace());
  } catch (const std::exception &error) {
    napi_throw_error(env, "TORCH", error.what());
  } catch (...) {
    napi_throw_error(env, "TORCH", "unknown C++ exception");
  }
  return nullptr;
}

template <size_t N>
void arguments(napi_env env, napi_callback_info info, napi_value (&values)[N]) {
  size_t count = N;
  napi_get_cb_info(env, info, &count, values, nullptr, nullptr);
  TORCH_CHECK(count >= N, "expected ", N, " arguments, got ", count);
}

int64_t integer(napi_env env, napi_value value) {
  int64_t number = 0;
  TORCH_CHECK(napi_get_value_int64(env, value, &number) == napi_ok, "expected a number");
  return number;
}

napi_value number(napi_env env, double value) {
  napi_value result = nullptr;
  napi_create_double(env, value, &result);
  return result;
}

/** call(kernel, count): runs a kernel on the buffer's first `count` numbers and leaves its results there. */
napi_value call(napi_env env, napi_callback_info info) {
  return guarded(env, [&]() -> napi_value {
    napi_value values[2];
    arguments(env, info, values);
    const auto index = static_cast<size_t>(integer(env, values[0]));
    TORCH_CHECK(index < kernels().size(), "there is no kernel ", index);
    Arguments in(buffer, static_cast<size_t>(integer(env, values[1])));
    Results out(buffer, BUFFER_NUMBERS);
    kernels()[index].kernel(in, out);
    return nullptr;
  });
}

struct Bytes {
  void *data = nullptr;
  size_t length = 0;
};

Bytes bytes_of(napi_env env, napi_value value) {
  Bytes bytes;
  napi_typedarray_type type;
  size_t count = 0;
  TORCH_CHECK(napi_get_typedarray_info(env, value, &type, &count, &bytes.data, nullptr, nullptr) == napi_ok,
              "expected a typed array");
  const size_t size = type == napi_float32_array || type == napi_int32_array ? 4 : type == napi_float64_array ? 8 : 1;
  bytes.length = count * size;
  return bytes;
}

/** upload(data, type): a tensor from a typed array; the buffer holds rank and shape. */
napi_value upload(napi_env env, napi_callback_info info) {
  return guarded(env, [&] {
    napi_value values[2];
    arguments(env, info, values);
    const Bytes bytes = bytes_of(env, values[0]);
    Arguments in(buffer, BUFFER_NUMBERS);
    const auto shape = in.integers();
    Tensor host = at::empty(shape, at::dtype(scalar_type(integer(env, values[1]))));
    TORCH_CHECK(host.nbytes() == bytes.length, "shape ", shape, " takes ", host.nbytes(), " bytes, got ", bytes.length);
    if (bytes.length > 0) std::memcpy(host.data_ptr(), bytes.data, bytes.length);
    return number(env, static_cast<double>(table().put(host.to(settings().device))));
  });
}

/** download(handle, data): a tensor's values into a typed array. */
napi_value download(napi_env env, napi_callback_info info) {
  return guarded(env, [&]() -> napi_value {
    napi_value values[2];
    arguments(env, info, values);
    const Tensor host = Arguments::widened(table().get(integer(env, values[0]))).to(at::kCPU).contiguous();
    const Bytes bytes = bytes_of(env, values[1]);
    TORCH_CHECK(host.nbytes() == bytes.length, "the tensor has ", host.nbytes(), " bytes, the array ", bytes.length);
    if (bytes.length > 0) std::memcpy(bytes.data, host.data_ptr(), bytes.length);
    return nullptr;
  });
}

napi_value release(napi_env env, napi_callback_info info) {
  return guarded(env, [&]() -> napi_value {
    napi_value values[1];
    arguments(env, info, values);
    table().drop(integer(env, values[0]));
    return nullptr;
  });
}

/** The kernels' names in the order of their numbers. */
napi_value kernel_names(napi_env env, napi_callback_info) {
  return guarded(env, [&] {
    napi_value list = nullptr;
    napi_create_array(env, &list);
    for (size_t i = 0; i < kernels().size(); i++) {
      napi_value name = nullptr;
      napi_create_string_utf8(env, kernels()[i].name, NAPI_AUTO_LENGTH, &name);
      napi_set_element(env, list, static_cast<uint32_t>(i), name);
    }
    return list;
  });
}

napi_value version(napi_env env, napi_callback_info) {
  napi_value text = nullptr;
  napi_create_string_utf8(env, TORCH_VERSION, NAPI_AUTO_LENGTH, &text);
  return text;
}

/** reportMemory(bytes): tells V8 how much more, or less, memory its objects hold outside its heap. */
napi_value report_memory(napi_env env, napi_callback_info info) {
  return guarded(env, [&] {
    napi_value values[1];
    arguments(env, info, values);
    int64_t total = 0;
    napi_adjust_external_memory(env, integer(env, values[0]), &total);
    return number(env, static_cast<double>(total));
  });
}

/** loadLibrary(path): makes a library's registrations known to libtorch: its CUDA part. */
napi_value load_library(napi_env env, napi_callback_info info) {
  return guarded(env, [&]() -> napi_value {
    napi_value values[1];
    arguments(env, info, values);
    size_t length = 0;
    TORCH_CHECK(napi_get_value_string_utf8(env, values[0], nullptr, 0, &length) == napi_ok, "expected a path");
    std::string path(length + 1, 0);
    napi_get_value_string_utf8(env, values[0], path.data(), path.size(), &length);
    TORCH_CHECK(dlopen(path.c_str(), RTLD_NOW | RTLD_GLOBAL) != nullptr, dlerror());
    return nullptr;
  });
}

napi_value init(napi_env env, napi_value exports) {
  pool_cpu_memory();
  void *data = nullptr;
  napi_value shared = nullptr, array = nullptr;
  napi_create_arraybuffer(env, BUFFER_NUMBERS * sizeof(double), &data, &shared);
  buffer = static_cast<double *>(data);
  napi_create_typedarray(env, napi_float64_array, BUFFER_NUMBERS, shared, 0, &array);
  napi_set_named_property(env, exports, "buffer", array);
  const napi_property_descriptor functions[] = {
#define FUNCTION(name, f) {name, nullptr, f, nullptr, nullptr, nullptr, napi_enumerable, nullptr}
      FUNCTION("call", call),       FUNCTION("upload", upload),
      FUNCTION("download", download), FUNCTION("release", release),
      FUNCTION("kernelNames", kernel_names), FUNCTION("version", version),
      FUNCTION("reportMemory", report_memory), FUNCTION("loadLibrary", load_library),
#undef FUNCTION
  };
  napi_define_properties(env, exports, sizeof(functions) / sizeof(functions[0]), functions);
  // The exports keep the buffer alive as long as the module.
  return exports;
}

}  // namespace
}  // namespace cm

NAPI_MODULE(cm_torch, cm::init)
