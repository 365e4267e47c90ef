// All of CUDA's runtime that NCCL's header takes.
#pragma once
#include <stddef.h>

typedef struct CUstream_st *cudaStream_t;
