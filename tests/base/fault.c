/* SPDX-License-Identifier: Apache-2.0 */
/* The allocation functions a test sees instead of the C library's: see fault.h. */
#include "base/fault.h"

#include <stddef.h>

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *p, size_t size);
void *__real_aligned_alloc(size_t align, size_t size);
void __real_free(void *p);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *p, size_t size);
void *__wrap_aligned_alloc(size_t align, size_t size);
void __wrap_free(void *p);

static _Atomic long wanted, live; /* wanted: allocations until one fails, 0 none, -1 it failed */

static bool fails(void)
{
    if (wanted <= 0)
        return false;
    if (--wanted > 0)
        return false;
    wanted = -1;
    return true;
}

static void *count(void *p)
{
    live += p != NULL;
    return p;
}

bool fault_next(long n)
{
    const bool go_on = n == 1 || wanted == -1;
    wanted = go_on ? n : 0;
    return go_on;
}

bool fault_stop(void)
{
    const bool failed = wanted == -1;
    /* fault_next() still has to know. */
    if (!failed)
        wanted = 0;
    return failed;
}

long fault_live(void)
{
    return live;
}

void *__wrap_malloc(size_t size)
{
    return fails() ? NULL : count(__real_malloc(size));
}

void *__wrap_calloc(size_t n, size_t size)
{
    return fails() ? NULL : count(__real_calloc(n, size));
}

void *__wrap_realloc(void *p, size_t size)
{
    if (fails())
        return NULL;
    void *moved = __real_realloc(p, size);
    if (!p)
        count(moved);
    return moved;
}

void *__wrap_aligned_alloc(size_t align, size_t size)
{
    return fails() ? NULL : count(__real_aligned_alloc(align, size));
}

void __wrap_free(void *p)
{
    live -= p != NULL;
    __real_free(p);
}
