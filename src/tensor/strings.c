/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tensors of strings. An element is a `const char *` to UTF-8 that ends with a zero byte; NULL is
 * the empty string, so that cleared memory is valid. Elements move like any others of eight bytes;
 * what they point to belongs to somebody else (a file's arena, a run, the caller) until an owned
 * copy is made: one block with the elements and behind them the text, each string once however
 * often it occurs.
 */
#include "tensor/tensor.h"

#include <stdlib.h>
#include <string.h>

const char *ubp_string_at(const void *element)
{
    const char *s;
    memcpy(&s, element, sizeof s);
    return s ? s : "";
}

void ubp_string_put(void *element, const char *s)
{
    memcpy(element, &s, sizeof s);
}

static int compare_addresses(const void *a, const void *b)
{
    uintptr_t x = (uintptr_t) * (const char *const *)a, y = (uintptr_t) * (const char *const *)b;
    return x < y ? -1 : x > y;
}

/* The different strings of n elements, sorted by address, and where each goes: offsets[i] from the
 * start of the text. */
typedef struct catalogue {
    const char **found; /* [n] */
    size_t *offsets;    /* [n] */
    size_t n, bytes;
} catalogue;

static void catalogue_free(catalogue *c)
{
    ubp_free(c->found);
    ubp_free(c->offsets);
}

static ub_status catalogue_make(catalogue *c, const char *const *elements, size_t n, ub_error *err)
{
    size_t bytes;
    *c = (catalogue){0};
    if (!ubp_mul_size(n + 1, sizeof *c->found, &bytes))
        return ubp_fail_memory(err, SIZE_MAX);
    c->found = ubp_malloc(bytes);
    c->offsets = ubp_malloc(bytes);
    if (!c->found || !c->offsets)
        return ubp_fail_memory(err, bytes);
    for (size_t i = 0; i < n; i++)
        if (elements[i] && *elements[i])
            c->found[c->n++] = elements[i];
    if (c->n > 0)
        qsort(c->found, c->n, sizeof *c->found, compare_addresses);
    size_t kept = 0;
    for (size_t i = 0; i < c->n; i++)
        if (kept == 0 || c->found[kept - 1] != c->found[i])
            c->found[kept++] = c->found[i];
    c->n = kept;
    for (size_t i = 0; i < kept; i++) {
        c->offsets[i] = c->bytes;
        if (!ubp_add_size(c->bytes, strlen(c->found[i]) + 1, &c->bytes))
            return ubp_fail_memory(err, SIZE_MAX);
    }
    return UB_OK;
}

/* Points n elements to copies of their strings in text, which has c->bytes. */
static void catalogue_apply(const catalogue *c, const char **elements, size_t n, char *text)
{
    for (size_t i = 0; i < c->n; i++)
        memcpy(text + c->offsets[i], c->found[i], strlen(c->found[i]) + 1);
    for (size_t i = 0; i < n; i++) {
        if (!elements[i] || !*elements[i]) {
            elements[i] = NULL;
            continue;
        }
        const char **at =
            bsearch(&elements[i], c->found, c->n, sizeof *c->found, compare_addresses);
        elements[i] = text + c->offsets[at - c->found];
    }
}

ub_status ubp_strings_copy(ub_tensor **out, const ub_tensor *t, ub_error *err)
{
    *out = NULL;
    const size_t n = (size_t)ub_tensor_count(t);
    ub_tensor fresh, moved;
    UBP_TRY(ubp_tensor_describe(&fresh, UB_STRING, t->rank, t->dims, err));
    moved = fresh;
    moved.data = ubp_malloc(ubp_tensor_bytes(&fresh));
    if (!moved.data)
        return ubp_fail_memory(err, ubp_tensor_bytes(&fresh));
    ubp_tensor_move(&moved, t);
    catalogue c;
    ub_status status = catalogue_make(&c, moved.data, n, err);
    size_t bytes = 0;
    if (status == UB_OK && !ubp_add_size(ubp_tensor_bytes(&fresh), c.bytes, &bytes))
        status = ubp_fail_memory(err, SIZE_MAX);
    if (status == UB_OK)
        status = ubp_buffer_new(&fresh.buffer, bytes, false, err);
    if (status == UB_OK) {
        fresh.data = fresh.buffer->data;
        if (n > 0)
            memcpy(fresh.data, moved.data, ubp_tensor_bytes(&fresh));
        catalogue_apply(&c, fresh.data, n, (char *)fresh.data + ubp_tensor_bytes(&fresh));
        status = ubp_tensor_handle(out, &fresh, err);
        ubp_buffer_unref(fresh.buffer);
    }
    catalogue_free(&c);
    ubp_free(moved.data);
    return status;
}

ub_status ubp_strings_own(ub_tensor **t, ub_error *err)
{
    if (!*t || (*t)->dtype != UB_STRING)
        return UB_OK;
    ub_tensor *own = NULL;
    const ub_status status = ubp_strings_copy(&own, *t, err);
    ub_tensor_free(*t);
    *t = own;
    return status;
}

ub_status ubp_strings_keep(const ub_tensor *t, ubp_arena *arena, ub_error *err)
{
    if (t->dtype != UB_STRING)
        return UB_OK;
    const size_t n = (size_t)ub_tensor_count(t);
    catalogue c;
    ub_status status = catalogue_make(&c, t->data, n, err);
    char *text = status == UB_OK ? ubp_arena_alloc(arena, c.bytes + 1) : NULL;
    if (text)
        catalogue_apply(&c, t->data, n, text);
    else if (status == UB_OK)
        status = ubp_fail_memory(err, c.bytes);
    catalogue_free(&c);
    return status;
}

/* ---- UTF-8 ----------------------------------------------------------------------------------- */

int ubp_utf8_next(const char *s, uint32_t *code)
{
    const uint8_t *u = (const uint8_t *)s;
    const int size = u[0] < 0x80             ? 1
                     : (u[0] & 0xe0) == 0xc0 ? 2
                     : (u[0] & 0xf0) == 0xe0 ? 3
                     : (u[0] & 0xf8) == 0xf0 ? 4
                                             : 0;
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    uint32_t c = size == 1 ? u[0] : u[0] & (0xffu >> (size + 1));
    for (int i = 1; i < size; i++) {
        if ((u[i] & 0xc0) != 0x80) { /* the end, too */
            *code = 0xfffd;
            return 1;
        }
        c = c << 6 | (u[i] & 0x3f);
    }
    if (size == 0 || c < least[size] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff)) {
        *code = 0xfffd;
        return 1;
    }
    *code = c;
    return size;
}

int ubp_utf8_put(char *s, uint32_t c)
{
    if (c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
        c = 0xfffd;
    if (c < 0x80) {
        s[0] = (char)c;
        return 1;
    }
    const int size = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    static const uint8_t lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (int i = size - 1; i > 0; i--, c >>= 6)
        s[i] = (char)(0x80 | (c & 0x3f));
    s[0] = (char)(lead[size] | c);
    return size;
}
