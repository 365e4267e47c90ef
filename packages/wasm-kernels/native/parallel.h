// Work shared among threads: the one that calls the kernels and workers, each with an instance of this module on the same, shared
// memory. Without workers everything runs on the caller. Results do not depend on the number of threads: a job's pieces write apart,
// and none's arithmetic depends on where it begins.
#pragma once
#include "common.h"

/** Does the items [from, to) of a job. `thread` is 0 for the caller and 1, 2, … for workers: the part of scratch to use. */
typedef void Body(const void *arguments, int from, int to, int thread);

/** Arguments of bodies that need no names for them. */
typedef struct {
  const void *in[4];
  void *out[3];
  float f[8];
  int n[8];
} Job;

#define INPUT(i) ((const float *)job->in[i])
#define OUTPUT(i) ((float *)job->out[i])

/** Elements below which sharing simple work costs more than it saves. */
enum { GRAIN = 16384 };

/** Runs body over [0, n) on all threads, in pieces of at least `grain` items. */
void parallel(Body *body, const void *arguments, int n, int grain);

/** sum[i] = Σ_part parts[part·size + i], in order, on all threads: what pieces of one sum have come to. */
void sum_parts(const float *parts, int count, int size, float *sum);

/** How many threads there are: scratch that a body writes to is needed as many times. */
int EXPORT(threads)(void);

/** The grain of items of `size` elements (or multiply-adds) each, of which `enough` are worth a piece. */
INLINE int grain_of(int size, int enough) { return max_int(1, enough / max_int(1, size)); }
