/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What reference kernels need while they run: their share of the threads, scratch memory, and room
 * for the text of strings.
 */
#include "ops/ops.h"

#include <string.h>

void ubp_run_parallel(const ubp_run *run, int64_t n, int64_t grain,
                      void (*fn)(void *arg, int64_t begin, int64_t end), void *arg)
{
    if (n > 0)
        ubp_parallel(run ? run->threads : 1, n, grain, fn, arg);
}

void *ubp_run_scratch(const ubp_call *c, size_t size)
{
    enum { ALIGN = 64 };
    size_t padded;
    void *p = NULL;
    if (ubp_add_size(size, ALIGN, &padded) && c->run && c->run->scratch)
        p = ubp_arena_alloc(c->run->scratch, padded);
    if (!p) {
        ubp_fail_memory(c->err, size);
        return NULL;
    }
    uintptr_t address = (uintptr_t)p;
    return (char *)p + (ALIGN - address % ALIGN) % ALIGN;
}

char *ubp_run_text(const ubp_call *c, size_t size)
{
    size_t padded;
    char *s = NULL;
    if (ubp_add_size(size, 1, &padded) && c->run && c->run->strings)
        s = ubp_arena_alloc(c->run->strings, padded);
    if (!s)
        ubp_fail_memory(c->err, size);
    return s;
}

const char *ubp_run_string(const ubp_call *c, const char *s, size_t size)
{
    char *text = ubp_run_text(c, size);
    if (text && size > 0)
        memcpy(text, s, size);
    return text;
}
