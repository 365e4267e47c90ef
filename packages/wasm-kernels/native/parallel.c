#include "parallel.h"

enum {
  // A thread that is held up delays a job by a piece: many are little to wait for.
  PIECES_PER_THREAD = 8,
  // Looks at the state (about a nanosecond each) before an idle worker sleeps, which takes 25 microseconds to wake from, and before
  // the caller, where it may, leaves the core to a worker that has none.
  WORKER_SPINS = 100000,
  CALLER_SPINS = 20000,
  NAP_NANOSECONDS = 50000,
};

typedef struct {
  // generation · 2³² + pieces · 2¹⁶ + next piece. One word, so that a piece is only ever taken from the job that was read.
  uint64_t state;
  int done, sleepers;
  Body *body;
  const void *arguments;
  int n, piece;
  int threads, may_wait;
} Pool;

// A WebAssembly global: each thread's instance has its own. 0 before there is a pool.
static __attribute__((address_space(1))) int pool_address;

#define LOAD(p) __atomic_load_n(p, __ATOMIC_SEQ_CST)
#define ADD(p, value) __atomic_add_fetch(p, value, __ATOMIC_SEQ_CST)

/** Takes pieces of the present job and does them until none is left. */
static void take_pieces(Pool *pool, int thread) {
  for (;;) {
    uint64_t state = LOAD(&pool->state);
    int pieces = (state >> 16) & 0xffff, next = state & 0xffff;
    if (next >= pieces) return;
    Body *body = pool->body;
    const void *arguments = pool->arguments;
    int from = next * pool->piece, to = min_int(pool->n, from + pool->piece);
    // Succeeds only while the job is the one whose fields were read.
    if (!__atomic_compare_exchange_n(&pool->state, &state, state + 1, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) continue;
    body(arguments, from, to, thread);
    ADD(&pool->done, 1);
  }
}

void parallel(Body *body, const void *arguments, int n, int grain) {
  Pool *pool = (Pool *)pool_address;
  if (n <= grain || !pool || pool->threads == 1) {
    if (n > 0) body(arguments, 0, n, 0);
    return;
  }
  int pieces = min_int((n + grain - 1) / grain, pool->threads * PIECES_PER_THREAD);
  pool->piece = (n + pieces - 1) / pieces;
  pieces = (n + pool->piece - 1) / pool->piece;
  pool->body = body, pool->arguments = arguments, pool->n = n, pool->done = 0;
  uint64_t generation = (uint32_t)(pool->state >> 32) + 1;
  __atomic_store_n(&pool->state, generation << 32 | (uint64_t)pieces << 16, __ATOMIC_SEQ_CST);
  if (LOAD(&pool->sleepers)) __builtin_wasm_memory_atomic_notify((int *)&pool->state + 1, pool->threads);
  take_pieces(pool, 0);
  for (int spins = 0, done; (done = LOAD(&pool->done)) < pieces; spins++)
    if (pool->may_wait && spins >= CALLER_SPINS) __builtin_wasm_memory_atomic_wait32(&pool->done, done, NAP_NANOSECONDS);
}

static void sum_parts_body(const void *arguments, int from, int to, int thread) {
  const Job *job = arguments;
  const float *parts = INPUT(0);
  const int count = job->n[0], size = job->n[1];
  for (int i = from * 4; i < min_int(to * 4, size); i += 4) {
    if (i + 4 <= size) {
      f32x4 sum = load4(parts + i);
      for (int part = 1; part < count; part++) sum = wasm_f32x4_add(sum, load4(parts + part * size + i));
      store4(OUTPUT(0) + i, sum);
      continue;
    }
    for (int j = i; j < size; j++) {
      float sum = parts[j];
      for (int part = 1; part < count; part++) sum += parts[part * size + j];
      OUTPUT(0)[j] = sum;
    }
  }
}

void sum_parts(const float *parts, int count, int size, float *sum) {
  Job job = {.in = {parts}, .out = {sum}, .n = {count, size}};
  parallel(sum_parts_body, &job, (size + 3) / 4, grain_of(4 * count, GRAIN));
}

int EXPORT(threads)(void) { return pool_address ? ((Pool *)pool_address)->threads : 1; }

int EXPORT(pool_bytes)(void) { return sizeof(Pool); }

/** Makes zeroed memory the pool of this instance, the caller's. It may block (wait) everywhere but on a browser's main thread. */
void EXPORT(pool_start)(Pool *pool, int threads, int may_wait) {
  pool->threads = threads, pool->may_wait = may_wait;
  pool_address = (int)pool;
}

/** What a worker does, without end. */
void EXPORT(pool_work)(Pool *pool, int thread) {
  uint32_t seen = 0;
  for (;;) {
    uint32_t generation = LOAD(&pool->state) >> 32;
    for (int spins = 0; generation == seen && spins < WORKER_SPINS; spins++) generation = LOAD(&pool->state) >> 32;
    if (generation == seen) {
      ADD(&pool->sleepers, 1);
      __builtin_wasm_memory_atomic_wait32((int *)&pool->state + 1, (int)seen, -1);
      ADD(&pool->sleepers, -1);
      continue;
    }
    seen = generation;
    if (thread < pool->threads) take_pieces(pool, thread);
  }
}
