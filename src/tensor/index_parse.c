/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The text of a NumPy index to items:
 *
 *     index := '[' items ']' | items        items := item (',' item)* [',']
 *     item  := INT | [INT] ':' [INT] [':' [INT]] | '...' | None | newaxis | True | False | list
 *     list  := '[' (list | INT | True | False), ... ']'
 *
 * The outer brackets are taken off when the first '[' closes at the very end, so "[0, 2]" are two
 * indices and "[[0, 2]]" is one list, as behind a name in Python.
 */
#include "tensor/tensor.h"

#include <string.h>

typedef struct parser {
    const char *text; /* all of it, for messages */
    const char *at, *end;
    ub_error *err;
} parser;

static void skip_spaces(parser *p)
{
    while (p->at < p->end && (*p->at == ' ' || *p->at == '\t' || *p->at == '\n' || *p->at == '\r'))
        p->at++;
}

static bool next_is(parser *p, char c)
{
    skip_spaces(p);
    return p->at < p->end && *p->at == c;
}

static bool take(parser *p, char c)
{
    if (!next_is(p, c))
        return false;
    p->at++;
    return true;
}

static bool is_name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

static bool take_word(parser *p, const char *word)
{
    skip_spaces(p);
    size_t n = strlen(word);
    if ((size_t)(p->end - p->at) < n || memcmp(p->at, word, n) != 0)
        return false;
    if (p->at + n < p->end && is_name_char(word[0]) && is_name_char(p->at[n]))
        return false;
    p->at += n;
    return true;
}

static ub_status fail_expected(const parser *p, const char *expected)
{
    int at = (int)(p->at - p->text);
    if (p->at >= p->end)
        return ubp_fail(p->err, UB_ERR_ARGUMENT, "index '%.200s' ends early, expected %s", p->text,
                        expected);
    return ubp_fail(p->err, UB_ERR_ARGUMENT, "index '%.200s' has '%c' at character %d, expected %s",
                    p->text, *p->at, at + 1, expected);
}

static bool next_is_number(parser *p)
{
    skip_spaces(p);
    if (p->at >= p->end)
        return false;
    const char *digit = p->at + (*p->at == '-' || *p->at == '+');
    return digit < p->end && *digit >= '0' && *digit <= '9';
}

/* An integer; one that does not fit becomes INT64_MAX with its sign, and *fits false. */
static int64_t take_number(parser *p, bool *fits)
{
    bool negative = *p->at == '-';
    if (*p->at == '-' || *p->at == '+')
        p->at++;
    int64_t v = 0;
    *fits = true;
    for (; p->at < p->end && *p->at >= '0' && *p->at <= '9'; p->at++)
        if (!ubp_mul_i64(v, 10, &v) || !ubp_add_i64(v, *p->at - '0', &v)) {
            v = INT64_MAX / 10 + 1; /* further digits overflow again */
            *fits = false;
        }
    if (!*fits)
        v = INT64_MAX;
    return negative ? -v : v;
}

/* ---- Lists ------------------------------------------------------------------------------------
 */

/* A list as it is read: its elements in row-major order and what is known of its shape. */
typedef struct list {
    int64_t *values; /* owned */
    size_t count, cap;
    bool any_integer;
    int depth;                   /* brackets open now */
    int rank;                    /* most brackets open so far */
    int leaf;                    /* depth of the elements, 0 when none was seen */
    int64_t length[UB_MAX_RANK]; /* entries so far of the open list at each depth */
    int64_t dims[UB_MAX_RANK];   /* -1 until the first list at this depth was closed */
} list;

static ub_status fail_ragged(const parser *p)
{
    return ubp_fail(p->err, UB_ERR_ARGUMENT,
                    "index '%.200s' has a list whose parts differ in length or depth", p->text);
}

static ub_status open_list(parser *p, list *l)
{
    if (l->depth == UB_MAX_RANK)
        return ubp_fail(p->err, UB_ERR_ARGUMENT, "index '%.200s' has lists over %d deep", p->text,
                        (int)UB_MAX_RANK);
    if (l->leaf && l->depth >= l->leaf)
        return fail_ragged(p);
    if (l->depth > 0)
        l->length[l->depth - 1]++;
    l->length[l->depth++] = 0;
    if (l->depth > l->rank)
        l->rank = l->depth;
    return UB_OK;
}

static ub_status close_list(parser *p, list *l)
{
    int level = --l->depth;
    if (l->dims[level] < 0)
        l->dims[level] = l->length[level];
    return l->dims[level] == l->length[level] ? UB_OK : fail_ragged(p);
}

static ub_status add_element(parser *p, list *l)
{
    int64_t value = 0;
    bool fits = true;
    if (take_word(p, "True")) {
        value = 1;
    } else if (next_is_number(p)) {
        value = take_number(p, &fits);
        l->any_integer = true;
    } else if (!take_word(p, "False")) {
        return fail_expected(p, "an integer, True, False or a list");
    }
    if (!fits)
        return ubp_fail(p->err, UB_ERR_ARGUMENT, "index '%.200s' has a number over 64 bits",
                        p->text);
    if (l->leaf == 0)
        l->leaf = l->depth;
    if (l->leaf != l->depth || l->rank != l->depth)
        return fail_ragged(p);
    void *values = l->values;
    UBP_TRY(ubp_grow(&values, &l->cap, l->count, sizeof(*l->values), p->err));
    l->values = values;
    l->values[l->count++] = value;
    l->length[l->depth - 1]++;
    return UB_OK;
}

/* Reads from '[' to its ']'. Not recursive: the text may nest as it likes. */
static ub_status read_list(parser *p, list *l)
{
    p->at++;
    UBP_TRY(open_list(p, l));
    bool entry_may_follow = true;
    while (l->depth > 0) {
        if (take(p, ']')) {
            UBP_TRY(close_list(p, l));
            entry_may_follow = false;
        } else if (!entry_may_follow) {
            if (!take(p, ','))
                return fail_expected(p, "',' or ']'");
            entry_may_follow = true;
        } else if (take(p, '[')) {
            UBP_TRY(open_list(p, l));
        } else {
            UBP_TRY(add_element(p, l));
            entry_may_follow = false;
        }
    }
    return UB_OK;
}

static ub_status make_array(ub_tensor **out, const parser *p, const list *l)
{
    /* As in NumPy, booleans among integers count 0 and 1, and an empty list is one of integers. */
    bool mask = l->count > 0 && !l->any_integer;
    UBP_TRY(ubp_tensor_make(out, mask ? UB_BOOL : UB_I64, l->rank, l->dims, p->err));
    ubp_convert((*out)->data, (*out)->dtype, l->values, UB_I64, (int64_t)l->count);
    return UB_OK;
}

static ub_status parse_list(ub_tensor **out, parser *p)
{
    list l = {0};
    for (int i = 0; i < UB_MAX_RANK; i++)
        l.dims[i] = -1;
    ub_status status = read_list(p, &l);
    if (status == UB_OK)
        status = make_array(out, p, &l);
    ubp_free(l.values);
    return status;
}

/* ---- Items -------------------------------------------------------------------------------------
 */

static ub_status make_scalar_mask(ub_tensor **out, bool value, ub_error *err)
{
    UBP_TRY(ub_tensor_new(out, UB_BOOL, 0, NULL, err));
    *(uint8_t *)(*out)->data = value;
    return UB_OK;
}

/* "start:stop:step" or a single integer. */
static ub_status parse_numbers(parser *p, ub_index_item *item)
{
    int64_t part[3] = {UB_SLICE_NONE, UB_SLICE_NONE, UB_SLICE_NONE};
    int n = 0;
    bool fits = true;
    for (;;) {
        /* Bounds of slices are clipped to the axis anyway: too large is as good as INT64_MAX. */
        if (next_is_number(p))
            part[n] = take_number(p, &fits);
        n++;
        if (n == 3 || !take(p, ':'))
            break;
    }
    if (n == 1 && part[0] == UB_SLICE_NONE)
        return fail_expected(p, "an integer, a slice, '...', None or a list");
    if (n == 1 && !fits)
        return ubp_fail(p->err, UB_ERR_ARGUMENT, "index '%.200s' has a number over 64 bits",
                        p->text);
    item->kind = n == 1 ? UB_INDEX_INT : UB_INDEX_SLICE;
    item->value = n == 1 ? part[0] : 0;
    item->start = part[0];
    item->stop = part[1];
    item->step = part[2];
    return UB_OK;
}

static ub_status parse_item(parser *p, ub_index_item *item, ub_tensor **array)
{
    item->kind = UB_INDEX_ARRAY;
    if (next_is(p, '['))
        UBP_TRY(parse_list(array, p));
    else if (take_word(p, "True"))
        UBP_TRY(make_scalar_mask(array, true, p->err));
    else if (take_word(p, "False"))
        UBP_TRY(make_scalar_mask(array, false, p->err));
    else if (take_word(p, "..."))
        item->kind = UB_INDEX_ELLIPSIS;
    else if (take_word(p, "None") || take_word(p, "newaxis"))
        item->kind = UB_INDEX_NEWAXIS;
    else
        UBP_TRY(parse_numbers(p, item));
    item->array = *array;
    return UB_OK;
}

/* Takes the outer brackets off; *bare tells whether there were none. */
static void strip_brackets(parser *p, bool *bare)
{
    *bare = true;
    skip_spaces(p);
    const char *last = p->end;
    while (last > p->at && strchr(" \t\r\n", last[-1]))
        last--;
    int depth = 0;
    for (const char *c = p->at; c < last; c++) {
        depth += (*c == '[') - (*c == ']');
        if (depth == 0 && c != last - 1)
            return;
    }
    if (last - p->at < 2 || *p->at != '[' || depth != 0)
        return;
    p->at++;
    p->end = last - 1;
    *bare = false;
}

static ub_status parse_items(ubp_index *out, parser *p)
{
    bool bare = true;
    strip_brackets(p, &bare);
    skip_spaces(p);
    if (p->at == p->end && bare)
        return UB_OK; /* x[()] */
    do {
        if (out->n == UBP_COUNT(out->items))
            return ubp_fail(p->err, UB_ERR_ARGUMENT, "too many indices: over %d",
                            UBP_COUNT(out->items));
        int at = out->n++;
        UBP_TRY(parse_item(p, &out->items[at], &out->arrays[at]));
        skip_spaces(p);
        if (p->at == p->end)
            return UB_OK;
        if (!take(p, ','))
            return fail_expected(p, "','");
        skip_spaces(p);
    } while (p->at < p->end);
    return UB_OK;
}

ub_status ubp_index_parse(ubp_index *out, const char *text, ub_error *err)
{
    memset(out, 0, sizeof(*out));
    parser p = {text, text, text + strlen(text), err};
    ub_status status = parse_items(out, &p);
    if (status != UB_OK)
        ubp_index_release(out);
    return status;
}

void ubp_index_release(ubp_index *ix)
{
    for (int i = 0; i < ix->n; i++)
        ub_tensor_free(ix->arrays[i]);
    memset(ix, 0, sizeof(*ix));
}
