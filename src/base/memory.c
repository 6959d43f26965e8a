/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one door to heap memory: everything the library allocates itself passes here, so a test can
 * make the n-th allocation fail by linking with -Wl,--wrap=malloc and so on. Also the growing of
 * arrays.
 */
#include "base/base.h"

#include <stdlib.h>
#include <string.h>

enum { KERNEL_ALIGN = 64 };

void *ubp_malloc(size_t size)
{
    return malloc(size ? size : 1);
}

void *ubp_calloc(size_t count, size_t size)
{
    size_t bytes = 0;
    if (!ubp_mul_size(count, size, &bytes))
        return NULL;
    return calloc(bytes ? bytes : 1, 1);
}

void *ubp_realloc(void *p, size_t size)
{
    return realloc(p, size ? size : 1);
}

void ubp_free(void *p)
{
    free(p);
}

void *ubp_malloc_aligned(size_t size)
{
    size_t padded = 0;
    if (!ubp_add_size(size ? size : 1, KERNEL_ALIGN - 1, &padded))
        return NULL;
    return aligned_alloc(KERNEL_ALIGN, padded & ~(size_t)(KERNEL_ALIGN - 1));
}

ub_status ubp_grow(void **items, size_t *cap, size_t count, size_t item_size, ub_error *err)
{
    if (count < *cap)
        return UB_OK;
    size_t more = *cap ? *cap : 4;
    size_t bytes = 0;
    if (!ubp_mul_size(more, 2, &more) || !ubp_mul_size(more, item_size, &bytes))
        return ubp_fail_memory(err, SIZE_MAX);
    /* Callers pass (void **)&typed_pointer; memcpy keeps that within the aliasing rules. */
    void *old = NULL;
    memcpy(&old, items, sizeof(old));
    void *fresh = ubp_realloc(old, bytes);
    if (!fresh)
        return ubp_fail_memory(err, bytes);
    memcpy(items, &fresh, sizeof(fresh));
    *cap = more;
    return UB_OK;
}
