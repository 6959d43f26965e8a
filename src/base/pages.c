/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Blocks that live about equally long (a session's packed weights) side by side in a few chunks of
 * large pages: of a block of its own, what is smaller than such a page lies on small ones. A
 * chunk's memory is the system's until it is written to, and goes back with its last block.
 */
#include "base/base.h"

enum { BLOCK_ALIGN = 64 };

struct ubp_pages_chunk {
    struct ubp_pages_chunk *next;
    char *memory;
    size_t size, used; /* bytes */
    size_t blocks;     /* not given back */
};

static struct ubp_pages_chunk *chunk_new(ubp_pages *p, size_t least)
{
    const size_t usual = (size_t)(p->chunks ? 32 : 4) << 20;
    struct ubp_pages_chunk *c = ubp_calloc(1, sizeof *c);
    if (!c)
        return NULL;
    c->size = least > usual ? least : usual;
    c->memory = ubp_malloc_aligned(c->size);
    if (!c->memory) {
        ubp_free(c);
        return NULL;
    }
    c->next = p->chunks;
    p->chunks = c;
    return c;
}

void *ubp_pages_take(ubp_pages *p, size_t size)
{
    if (!ubp_add_size(size ? size : 1, BLOCK_ALIGN - 1, &size))
        return NULL;
    size -= size % BLOCK_ALIGN;
    struct ubp_pages_chunk *c = p->chunks;
    if (!c || size > c->size - c->used)
        c = chunk_new(p, size);
    if (!c)
        return NULL;
    char *block = c->memory + c->used;
    c->used += size;
    c->blocks++;
    return block;
}

void ubp_pages_give(ubp_pages *p, const void *block)
{
    const uintptr_t at = (uintptr_t)block;
    for (struct ubp_pages_chunk **to = &p->chunks; block && *to; to = &(*to)->next) {
        struct ubp_pages_chunk *c = *to;
        if (at < (uintptr_t)c->memory || at >= (uintptr_t)c->memory + c->size)
            continue;
        if (--c->blocks == 0) {
            *to = c->next;
            ubp_free(c->memory);
            ubp_free(c);
        }
        return;
    }
}
