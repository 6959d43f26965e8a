/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bump allocator: a list of zero-filled blocks that grow with use. An allocation that would waste
 * much of a block gets a block of its own, behind the current one.
 */
#include "base/base.h"

#include <stdalign.h>
#include <stdio.h>
#include <string.h>

enum { ARENA_ALIGN = 16, FIRST_BLOCK = 1 << 12, LAST_BLOCK = 1 << 18 };

typedef struct ubp_arena_block {
    alignas(ARENA_ALIGN) struct ubp_arena_block *next;
    size_t size, used;
} block;

static block *block_new(size_t size)
{
    size_t bytes = 0;
    if (!ubp_add_size(size, sizeof(block), &bytes))
        return NULL;
    block *b = ubp_calloc(1, bytes);
    if (b)
        b->size = size;
    return b;
}

static void *block_take(block *b, size_t size)
{
    char *p = (char *)(b + 1) + b->used;
    b->used += size;
    return p;
}

/* A block with room for size bytes, or NULL. */
static block *block_find(ubp_arena *a, size_t size)
{
    block *head = a->blocks;
    if (head && head->size - head->used >= size)
        return head;
    size_t wanted = FIRST_BLOCK;
    while (wanted < LAST_BLOCK && wanted < a->used)
        wanted *= 2;
    const bool own = head && size > wanted / 4;
    block *b = block_new(own || size > wanted ? size : wanted);
    if (!b)
        return NULL;
    if (own) {
        b->next = head->next;
        head->next = b;
    } else {
        b->next = head;
        a->blocks = b;
    }
    return b;
}

void *ubp_arena_alloc(ubp_arena *a, size_t size)
{
    size_t total = 0;
    if (!ubp_add_size(size ? size : 1, ARENA_ALIGN - 1, &size))
        return NULL;
    size &= ~(size_t)(ARENA_ALIGN - 1);
    if (!ubp_add_size(a->used, size, &total) || (a->cap && total > a->cap))
        return NULL;
    block *b = block_find(a, size);
    if (!b)
        return NULL;
    a->used = total;
    return block_take(b, size);
}

void *ubp_arena_array(ubp_arena *a, size_t count, size_t size)
{
    size_t bytes = 0;
    return ubp_mul_size(count, size, &bytes) ? ubp_arena_alloc(a, bytes) : NULL;
}

char *ubp_arena_strdup(ubp_arena *a, const char *s)
{
    return ubp_arena_strndup(a, s, strlen(s));
}

char *ubp_arena_strndup(ubp_arena *a, const char *s, size_t n)
{
    size_t bytes = 0;
    char *copy = ubp_add_size(n, 1, &bytes) ? ubp_arena_alloc(a, bytes) : NULL;
    if (copy && n > 0)
        memcpy(copy, s, n);
    return copy;
}

char *ubp_arena_printf(ubp_arena *a, const char *fmt, ...)
{
    va_list args, again;
    va_start(args, fmt);
    va_copy(again, args);
    const int n = vsnprintf(NULL, 0, fmt, args);
    char *text = n < 0 ? NULL : ubp_arena_alloc(a, (size_t)n + 1);
    if (text)
        vsnprintf(text, (size_t)n + 1, fmt, again);
    va_end(again);
    va_end(args);
    return text;
}

void ubp_arena_reset(ubp_arena *a)
{
    block *keep = a->blocks;
    if (!keep || keep->size > LAST_BLOCK) {
        ubp_arena_release(a);
        return;
    }
    a->blocks = keep->next;
    ubp_arena_release(a);
    memset(keep + 1, 0, keep->used);
    keep->next = NULL;
    keep->used = 0;
    a->blocks = keep;
}

void ubp_arena_release(ubp_arena *a)
{
    for (block *b = a->blocks; b;) {
        block *next = b->next;
        ubp_free(b);
        b = next;
    }
    a->blocks = NULL;
    a->used = 0;
}
