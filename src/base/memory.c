/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one door to heap memory: everything the library allocates itself passes here, so a test can
 * make the n-th allocation fail by linking with -Wl,--wrap=malloc and so on. Also the growing of
 * arrays.
 */
#include "base/base.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { KERNEL_ALIGN = 64, LARGE_PAGE = 2 << 20 };

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

/* Systems mostly give large pages to those who ask. Only whole ones are asked for, so that no more
 * memory is resident than is used. */
void *ubp_malloc_aligned(size_t size)
{
    const size_t align = size < LARGE_PAGE ? KERNEL_ALIGN : LARGE_PAGE;
    size_t padded = 0;
    if (!ubp_add_size(size ? size : 1, align - 1, &padded))
        return NULL;
    void *p = aligned_alloc(align, padded & ~(align - 1));
#ifdef MADV_HUGEPAGE
    if (p && align == LARGE_PAGE) /* only advice: no harm when it fails */
        madvise(p, size & ~(align - 1), MADV_HUGEPAGE);
#endif
    return p;
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
