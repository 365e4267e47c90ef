// Compiles if NCCL's own header declares what native/distributed/nccl_abi.h says.
#include <nccl.h>

#include <type_traits>

#include "nccl_abi.h"

namespace {

/** A type as calls pass it: enumerations are ints, handles are addresses. */
template <typename T>
struct Plain {
  using type = std::conditional_t<std::is_enum_v<T>, int, T>;
};
template <>
struct Plain<ncclUniqueId> {
  using type = cm::NcclId;
};
template <>
struct Plain<ncclComm_t> {
  using type = cm::NcclComm;
};
template <>
struct Plain<cudaStream_t> {
  using type = cm::CudaStream;
};
template <typename T>
struct PlainPointer {
  using type = typename Plain<T>::type;
};
template <typename T>
struct PlainPointer<T *> {
  using type =
      std::conditional_t<std::is_same_v<T *, typename Plain<T *>::type>, typename Plain<T>::type *, typename Plain<T *>::type>;
};
template <>
struct PlainPointer<const char *> {
  using type = const char *;
};
template <>
struct PlainPointer<const void *> {
  using type = const void *;
};
template <typename Function>
struct PlainFunction;
template <typename Result, typename... Parameters>
struct PlainFunction<Result(Parameters...)> {
  using type = typename PlainPointer<Result>::type(typename PlainPointer<Parameters>::type...);
};

#define NCCL_FUNCTION(member, symbol, result, parameters)                                                          \
  static_assert(std::is_same_v<PlainFunction<std::remove_reference_t<decltype(symbol)>>::type *,                   \
                               decltype(cm::NcclLibrary::member)>,                                                 \
                #symbol);
NCCL_FUNCTIONS(NCCL_FUNCTION)
#undef NCCL_FUNCTION

static_assert(sizeof(ncclUniqueId) == sizeof(cm::NcclId) && alignof(ncclUniqueId) == alignof(cm::NcclId));
static_assert(sizeof(ncclResult_t) == sizeof(int) && sizeof(ncclDataType_t) == sizeof(int) && sizeof(ncclRedOp_t) == sizeof(int));
static_assert(ncclSuccess == cm::NCCL_SUCCESS && ncclInProgress == cm::NCCL_IN_PROGRESS);
static_assert(ncclUint8 == cm::NCCL_UINT8 && ncclInt32 == cm::NCCL_INT32 && ncclFloat32 == cm::NCCL_FLOAT32);
static_assert(ncclSum == cm::NCCL_SUM);

}  // namespace
