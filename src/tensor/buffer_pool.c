/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory of results, used again by the next run: a fresh large buffer costs a page fault for every
 * 4 KB, at each run, and these can take as long as the run itself. What is idle stays within what
 * one request had in use, and goes when it was not needed for a while. Tensors are freed by any
 * thread and may outlive the session: whoever gives back the last block frees a closed pool.
 */
#include "tensor/tensor.h"

#include <pthread.h>
#include <string.h>

#if defined(__SANITIZE_ADDRESS__)
#define POISONS 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define POISONS 1
#endif
#endif
#ifdef POISONS
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(at, size)   ((void)(at), (void)(size))
#define ASAN_UNPOISON_MEMORY_REGION(at, size) ((void)(at), (void)(size))
#endif

/* Smaller buffers stay with malloc; idle blocks go after so many requests; a block may be larger
 * than what it is lent for by an eighth. */
enum { HEAD = 64, SMALLEST = 16384, IDLE_ROUNDS = 16, SLACK = 8 };

/* In front of its memory, in HEAD bytes. */
typedef struct block {
    ubp_pool *pool;
    size_t size;
    uint64_t round; /* of the request it was lent to, or given back in */
} block;

struct ubp_pool {
    pthread_mutex_t lock;
    block **idle; /* [n], smallest first */
    size_t n, cap, lent;
    size_t idle_bytes, in_round, most, bound; /* in_round: lent to this request */
    uint64_t round;
    bool closed;
};

static void *memory_of(block *b)
{
    return (char *)b + HEAD;
}

static void drop(block *b)
{
    ASAN_UNPOISON_MEMORY_REGION(memory_of(b), b->size);
    ubp_free(b);
}

static block *remove_idle(ubp_pool *p, size_t i)
{
    block *b = p->idle[i];
    memmove(&p->idle[i], &p->idle[i + 1], (--p->n - i) * sizeof *p->idle);
    p->idle_bytes -= b->size;
    return b;
}

/* The first idle block that is not smaller. */
static size_t find(const ubp_pool *p, size_t size)
{
    size_t low = 0, high = p->n;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (p->idle[middle]->size < size)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Frees the longest idle until no more than `bytes` are left. */
static void shrink(ubp_pool *p, size_t bytes)
{
    while (p->n && p->idle_bytes > bytes) {
        size_t oldest = 0;
        for (size_t i = 1; i < p->n; i++)
            if (p->idle[i]->round < p->idle[oldest]->round)
                oldest = i;
        drop(remove_idle(p, oldest));
    }
}

static void destroy(ubp_pool *p)
{
    pthread_mutex_destroy(&p->lock);
    ubp_free(p->idle);
    ubp_free(p);
}

ub_status ubp_pool_new(ubp_pool **out, ub_error *err)
{
    *out = NULL;
    ubp_pool *p = ubp_calloc(1, sizeof *p);
    if (!p)
        return ubp_fail_memory(err, sizeof *p);
    if (pthread_mutex_init(&p->lock, NULL) != 0) {
        ubp_free(p);
        return ubp_fail(err, UB_ERR_MEMORY, "no lock for a session's buffers");
    }
    p->bound = SIZE_MAX;
    *out = p;
    return UB_OK;
}

void ubp_pool_close(ubp_pool *p)
{
    if (!p)
        return;
    pthread_mutex_lock(&p->lock);
    shrink(p, 0);
    p->closed = true;
    const bool last = p->lent == 0;
    pthread_mutex_unlock(&p->lock);
    if (last)
        destroy(p);
}

void ubp_pool_round(ubp_pool *p)
{
    pthread_mutex_lock(&p->lock);
    p->round++;
    p->in_round = 0;
    for (size_t i = p->n; i-- > 0;)
        if (p->idle[i]->round + IDLE_ROUNDS < p->round)
            drop(remove_idle(p, i));
    pthread_mutex_unlock(&p->lock);
}

void ubp_pool_bound(ubp_pool *p, size_t bytes)
{
    pthread_mutex_lock(&p->lock);
    p->bound = bytes;
    shrink(p, bytes);
    pthread_mutex_unlock(&p->lock);
}

size_t ubp_pool_idle(ubp_pool *p)
{
    pthread_mutex_lock(&p->lock);
    const size_t bytes = p->idle_bytes;
    pthread_mutex_unlock(&p->lock);
    return bytes;
}

static void take_back(block *b)
{
    ubp_pool *p = b->pool;
    pthread_mutex_lock(&p->lock);
    p->lent--;
    if (b->round == p->round)
        p->in_round -= b->size;
    b->round = p->round;
    const size_t most = p->most < p->bound ? p->most : p->bound;
    const bool last = p->closed && p->lent == 0;
    bool keep = !p->closed && b->size <= most && p->idle_bytes <= most - b->size;
    keep = keep && ubp_grow((void **)&p->idle, &p->cap, p->n, sizeof *p->idle, NULL) == UB_OK;
    if (keep) {
        const size_t at = find(p, b->size);
        memmove(&p->idle[at + 1], &p->idle[at], (p->n++ - at) * sizeof *p->idle);
        p->idle[at] = b;
        p->idle_bytes += b->size;
        ASAN_POISON_MEMORY_REGION(memory_of(b), b->size);
    }
    pthread_mutex_unlock(&p->lock);
    if (!keep)
        drop(b);
    if (last)
        destroy(p);
}

static void release(ub_buffer *b)
{
    take_back(b->owner);
}

/* Lends a block; the lock is held. */
static void lend(ubp_pool *p, block *b)
{
    b->round = p->round;
    p->lent++;
    p->in_round += b->size;
    if (p->in_round > p->most)
        p->most = p->in_round;
}

static ub_status wrap(ub_buffer **out, block *b, size_t size, ub_error *err)
{
    ASAN_POISON_MEMORY_REGION(memory_of(b), b->size);
    ASAN_UNPOISON_MEMORY_REGION(memory_of(b), size);
    const ub_status st = ubp_buffer_wrap(out, memory_of(b), size, release, b, err);
    if (st != UB_OK)
        take_back(b);
    return st;
}

ub_status ubp_pool_reuse(ub_buffer **out, ubp_pool *p, size_t size, ub_error *err)
{
    *out = NULL;
    if (!p || size < SMALLEST)
        return UB_OK;
    pthread_mutex_lock(&p->lock);
    const size_t at = find(p, size);
    block *b = NULL;
    if (at < p->n && p->idle[at]->size - size <= size / SLACK) {
        b = remove_idle(p, at);
        lend(p, b);
    }
    pthread_mutex_unlock(&p->lock);
    return b ? wrap(out, b, size, err) : UB_OK;
}

ub_status ubp_pool_buffer(ub_buffer **out, ubp_pool *p, size_t size, ub_error *err)
{
    size_t bytes;
    if (!p || size < SMALLEST)
        return ubp_buffer_new(out, size, false, err);
    UBP_TRY(ubp_pool_reuse(out, p, size, err));
    if (*out)
        return UB_OK;
    if (!ubp_add_size(size, HEAD, &bytes))
        return ubp_fail_memory(err, SIZE_MAX);
    pthread_mutex_lock(&p->lock);
    /* What is idle makes room for what is new. */
    const size_t most = p->most < p->bound ? p->most : p->bound;
    const size_t left = p->in_round < most ? most - p->in_round : 0;
    shrink(p, left > size ? left - size : 0);
    block *b = ubp_malloc_aligned(bytes);
    if (b) {
        *b = (block){.pool = p, .size = size};
        lend(p, b);
    }
    pthread_mutex_unlock(&p->lock);
    return b ? wrap(out, b, size, err) : ubp_fail_memory(err, size);
}
