// The part of NCCL's C interface that is used, as its binary interface on 64-bit Linux, the same from NCCL 2.14 to 2.30 at least. The library is loaded when
// a group is opened on GPUs, and neither its header nor CUDA's is needed to compile this. test/nccl/abi.cc compares with NCCL's own header.
#pragma once
#include <cstddef>

namespace cm {

/** What a process tells the others so that they meet. Passed by value. */
struct NcclId {
  char bytes[128];
};

using NcclComm = void *;
using CudaStream = void *;

// Enumerations are ints.
constexpr int NCCL_SUCCESS = 0, NCCL_IN_PROGRESS = 7;
constexpr int NCCL_UINT8 = 1, NCCL_INT32 = 2, NCCL_FLOAT32 = 7;
constexpr int NCCL_SUM = 0;

// NCCL_FUNCTION(member, symbol, result, (parameters))
#define NCCL_FUNCTIONS(NCCL_FUNCTION)                                                                       \
  NCCL_FUNCTION(version, ncclGetVersion, int, (int *))                                                      \
  NCCL_FUNCTION(error_string, ncclGetErrorString, const char *, (int))                                      \
  NCCL_FUNCTION(unique_id, ncclGetUniqueId, int, (NcclId *))                                                \
  NCCL_FUNCTION(init_rank, ncclCommInitRank, int, (NcclComm *, int size, NcclId, int rank))                 \
  NCCL_FUNCTION(destroy, ncclCommDestroy, int, (NcclComm))                                                  \
  NCCL_FUNCTION(abort, ncclCommAbort, int, (NcclComm))                                                      \
  NCCL_FUNCTION(async_error, ncclCommGetAsyncError, int, (NcclComm, int *))                                 \
  NCCL_FUNCTION(all_reduce, ncclAllReduce, int,                                                             \
                (const void *send, void *receive, size_t count, int type, int operation, NcclComm, CudaStream)) \
  NCCL_FUNCTION(broadcast, ncclBroadcast, int,                                                              \
                (const void *send, void *receive, size_t count, int type, int root, NcclComm, CudaStream))  \
  NCCL_FUNCTION(all_gather, ncclAllGather, int,                                                             \
                (const void *send, void *receive, size_t count, int type, NcclComm, CudaStream))

/** NCCL's functions. */
struct NcclLibrary {
#define NCCL_FUNCTION(member, symbol, result, parameters) result(*member) parameters = nullptr;
  NCCL_FUNCTIONS(NCCL_FUNCTION)
#undef NCCL_FUNCTION
};

}  // namespace cm
