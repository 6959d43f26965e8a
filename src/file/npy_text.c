/* SPDX-License-Identifier: Apache-2.0 */
/*
 * NumPy's text: every string of an array has the same number of characters, those after its end are
 * 0. U has UCS-4, S has bytes, which are taken as UTF-8.
 */
#include "file/file.h"

#include <string.h>

/* Characters of one string: without the zeros after its end. */
static int64_t length_of(const char *at, int64_t n, int64_t stride, ub_dtype dtype)
{
    while (n > 0 && ubp_read_i64(at + (n - 1) * stride, dtype) == 0)
        n--;
    return n;
}

/* The string as UTF-8 in the arena; NULL: no memory, or a 0 in its middle (*bad). */
static const char *text_of(const char *at, int64_t n, int64_t stride, ub_dtype dtype,
                           ubp_arena *arena, bool *bad)
{
    enum { MOST = 4 }; /* bytes of a character */
    size_t size;
    n = length_of(at, n, stride, dtype);
    if (!ubp_mul_size((size_t)n, dtype == UB_U32 ? MOST : 1, &size))
        return NULL;
    char *text = ubp_arena_alloc(arena, size + 1), *to = text;
    for (int64_t i = 0; text && i < n; i++) {
        const uint32_t c = (uint32_t)ubp_read_i64(at + i * stride, dtype);
        *bad = *bad || c == 0;
        if (dtype == UB_U32)
            to += ubp_utf8_put(to, c);
        else
            *to++ = (char)c;
    }
    if (text)
        *to = '\0';
    return text;
}

/* elements: [count of the axes but the last]. */
static ub_status read_texts(const char **elements, const ub_tensor *codes, ubp_arena *arena,
                            ub_error *err)
{
    const int last = codes->rank - 1;
    int64_t index[UB_MAX_RANK] = {0}, count = 1;
    const char *at = codes->data;
    for (int a = 0; a < last; a++)
        count *= codes->dims[a];
    for (int64_t i = 0; i < count; i++) {
        bool bad = false;
        elements[i] =
            text_of(at, codes->dims[last], codes->strides[last], codes->dtype, arena, &bad);
        if (!elements[i])
            return ubp_fail_memory(err, (size_t)codes->dims[last]);
        if (bad)
            return ubp_fail(err, UB_ERR_UNSUPPORTED, "a string has a zero character inside");
        for (int a = last - 1; a >= 0; a--) {
            at += codes->strides[a];
            if (++index[a] < codes->dims[a])
                break;
            at -= codes->strides[a] * codes->dims[a];
            index[a] = 0;
        }
    }
    return UB_OK;
}

ub_status ubp_npy_strings(ub_tensor **t, ub_error *err)
{
    ub_tensor *codes = *t, strings;
    ubp_arena arena = {0};
    *t = NULL;
    ub_status status = ubp_tensor_describe(&strings, UB_STRING, codes->rank - 1, codes->dims, err);
    if (status == UB_OK) {
        strings.data = ubp_arena_alloc(&arena, ubp_tensor_bytes(&strings) + 1);
        if (!strings.data)
            status = ubp_fail_memory(err, ubp_tensor_bytes(&strings));
    }
    if (status == UB_OK)
        status = read_texts(strings.data, codes, &arena, err);
    if (status == UB_OK)
        status = ubp_strings_copy(t, &strings, err);
    ubp_arena_release(&arena);
    ub_tensor_free(codes);
    return status;
}

/* ---- Writing ----------------------------------------------------------------------------------
 */

static int64_t characters_in(const char *s)
{
    uint32_t c;
    int64_t n = 0;
    for (; *s; n++)
        s += ubp_utf8_next(s, &c);
    return n;
}

ub_status ubp_npy_characters(ub_tensor **out, const ub_tensor *t, ub_error *err)
{
    ub_tensor *own = NULL;
    int64_t longest = 1;
    *out = NULL;
    UBP_TRY(ub_tensor_copy(&own, t, err)); /* row-major */
    const int64_t count = ub_tensor_count(t);
    const char *const *elements = own->data;
    for (int64_t i = 0; i < count; i++) {
        const int64_t n = characters_in(ubp_string_at(&elements[i]));
        longest = n > longest ? n : longest;
    }
    const int64_t dims[2] = {count, longest};
    const ub_status status = ub_tensor_new(out, UB_U32, 2, dims, err);
    for (int64_t i = 0; i < count && status == UB_OK; i++) {
        uint32_t *to = (uint32_t *)(*out)->data + i * longest;
        for (const char *s = ubp_string_at(&elements[i]); *s; to++)
            s += ubp_utf8_next(s, to);
    }
    ub_tensor_free(own);
    return status;
}
