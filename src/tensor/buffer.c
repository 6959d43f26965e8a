/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What keeps the data of tensors alive: reference-counted memory, our own or somebody's (a mapped
 * file), given back when the last tensor on it is freed. Counting is atomic, so tensors on one
 * buffer may be freed by different threads.
 */
#include "tensor/tensor.h"

#include <string.h>

enum { ALIGN = 64 };

static void release_memory(ub_buffer *b)
{
    ubp_free(b->owner);
}

ub_status ubp_buffer_wrap(ub_buffer **out, void *data, size_t size, void (*release)(ub_buffer *),
                          void *owner, ub_error *err)
{
    *out = NULL;
    ub_buffer *b = ubp_calloc(1, sizeof(*b));
    if (!b)
        return ubp_fail_memory(err, sizeof(*b));
    atomic_init(&b->refs, 1);
    b->data = data;
    b->size = size;
    b->release = release;
    b->owner = owner;
    *out = b;
    return UB_OK;
}

ub_status ubp_buffer_new(ub_buffer **out, size_t size, bool zero, ub_error *err)
{
    *out = NULL;
    size_t padded = 0;
    if (!ubp_add_size(size, ALIGN, &padded))
        return ubp_fail_memory(err, SIZE_MAX);
    /* Large zeroed blocks come from the system as pages that are not touched yet: aligning inside
     * such a block keeps that, clearing an aligned one would not. */
    void *raw = zero ? ubp_calloc(1, padded) : ubp_malloc_aligned(size);
    if (!raw)
        return ubp_fail_memory(err, size);
    size_t past = (size_t)((uintptr_t)raw % ALIGN);
    void *data = (char *)raw + (past ? ALIGN - past : 0);
    ub_status status = ubp_buffer_wrap(out, data, size, release_memory, raw, err);
    if (status != UB_OK)
        ubp_free(raw);
    return status;
}

void ubp_buffer_ref(ub_buffer *b)
{
    if (b)
        atomic_fetch_add_explicit(&b->refs, 1, memory_order_relaxed);
}

void ubp_buffer_unref(ub_buffer *b)
{
    if (!b || atomic_fetch_sub_explicit(&b->refs, 1, memory_order_acq_rel) != 1)
        return;
    if (b->release)
        b->release(b);
    ubp_free(b);
}
