/* SPDX-License-Identifier: Apache-2.0 */
/*
 * StringConcat, StringSplit, RegexFullMatch. Strings are UTF-8; text that is made belongs to the
 * run, substrings of whole inputs are the inputs' own. ONNX opset 20.
 */
#include "ops/elementwise.h"
#include "ops/move.h"
#include "ops/regex.h"
#include "ops/string_ops.h"

#include <string.h>

ub_status ubp_want_strings(const ubp_call *c, int in)
{
    if (ubp_has_in(c, in) && c->in[in]->dtype == UB_STRING)
        return UB_OK;
    return ubp_op_fail(c, UB_ERR_SHAPE, "input %d is %s, expected strings", in,
                       ubp_has_in(c, in) ? ub_dtype_name(c->in[in]->dtype) : "missing");
}

ub_status ubp_string_walk(const ubp_call *c, int n_operands, const ub_tensor *const *operands,
                          ubp_ew_fn fn, const void *arg)
{
    ubp_run one = *c->run; /* the run's text is made by one thread */
    one.threads = 1;
    ubp_ew_walk(&one, n_operands, operands, fn, arg);
    return UB_OK;
}

/* What a loop over strings has to tell. */
typedef struct string_job {
    const ubp_call *c;
    const ubp_regex *regex;
    ub_status *status;
} string_job;

/* ---- StringConcat ------------------------------------------------------------------------------
 */

static ub_status concat_infer(const ubp_call *c)
{
    int rank;
    int64_t dims[UB_MAX_RANK];
    UBP_TRY(ubp_want_strings(c, 0));
    UBP_TRY(ubp_want_strings(c, 1));
    UBP_TRY(ubp_ew_dims(c, &rank, dims));
    return ubp_set_out(c, 0, UB_STRING, rank, dims);
}

static void concat_row(char *const *p, const int64_t *step, int64_t n, const void *arg)
{
    const string_job *j = arg;
    for (int64_t i = 0; i < n && *j->status == UB_OK; i++) {
        const char *a = ubp_string_at(p[1] + i * step[1]), *b = ubp_string_at(p[2] + i * step[2]);
        const size_t na = strlen(a), nb = strlen(b);
        char *text = NULL;
        if (na > 0 && nb > 0) {
            size_t size = 0;
            text = ubp_run_text(j->c, ubp_add_size(na, nb, &size) ? size : SIZE_MAX);
            if (!text) {
                *j->status = UB_ERR_MEMORY;
                return;
            }
            memcpy(text, a, na);
            memcpy(text + na, b, nb);
        }
        ubp_string_put(p[0] + i * step[0], text ? text : na > 0 ? a : b);
    }
}

static ub_status concat_ref(const ubp_call *c)
{
    ub_status status = UB_OK;
    const string_job job = {c, NULL, &status};
    const ub_tensor *operands[] = {c->out[0], c->in[0], c->in[1]};
    UBP_TRY(ubp_string_walk(c, 3, operands, concat_row, &job));
    return status;
}

const ubp_op ubp_op_StringConcat = {
    .name = "StringConcat",
    .domain = "",
    .min_in = 2,
    .max_in = 2,
    .min_out = 1,
    .max_out = 1,
    .flags = UBP_STRIDED,
    .infer = concat_infer,
    .batch = ubp_batch_elementwise,
    .ref = concat_ref,
};

/* ---- StringSplit ------------------------------------------------------------------------------
 */

typedef struct split_attr {
    const char *delimiter; /* "": any run of white space */
    int64_t most;          /* splits; -1: as many as there are */
} split_attr;

static ub_status split_attrs(const ubp_node *node, void *attr, ubp_arena *arena, ub_error *err)
{
    split_attr *a = attr;
    (void)arena;
    UBP_TRY(ubp_attr_string(node, "delimiter", "", &a->delimiter, err));
    return ubp_attr_int(node, "maxsplit", -1, &a->most, err);
}

/* As Python's str.isspace(). */
static bool is_space(uint32_t c)
{
    return (c >= 9 && c <= 13) || (c >= 0x1c && c <= 0x20) || c == 0x85 || c == 0xa0 ||
           c == 0x1680 || (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 ||
           c == 0x202f || c == 0x205f || c == 0x3000;
}

/* Steps over white space. */
static const char *skip_space(const char *s)
{
    for (uint32_t c;;) {
        const int size = ubp_utf8_next(s, &c);
        if (!is_space(c))
            return s;
        s += size;
    }
}

static const char *find_space(const char *s)
{
    for (uint32_t c;;) {
        const int size = ubp_utf8_next(s, &c);
        if (c == 0 || is_space(c))
            return s;
        s += size;
    }
}

/* The next part of *s, as [*part, *part + *size); false when there is none. `last`: the rest is one
 * part. *s is NULL when nothing follows. */
static bool next_part(const char **s, const char *delimiter, bool last, const char **part,
                      size_t *size)
{
    const char *end;
    if (!*s)
        return false;
    *part = *delimiter ? *s : skip_space(*s);
    if (!*delimiter && !**part)
        return false;
    end = last ? NULL : *delimiter ? strstr(*part, delimiter) : find_space(*part);
    *size = end ? (size_t)(end - *part) : strlen(*part);
    *s = !end ? NULL : end + strlen(delimiter);
    return true;
}

static int64_t count_parts(const split_attr *a, const char *s)
{
    const char *part;
    size_t size;
    int64_t n = 0;
    while (next_part(&s, a->delimiter, n == a->most, &part, &size))
        n++;
    return n;
}

static ub_status split_infer(const ubp_call *c)
{
    const ub_tensor *x = c->in[0];
    int64_t dims[UB_MAX_RANK + 1], most = 0;
    ub_tensor dense;
    void *owned;
    UBP_TRY(ubp_want_strings(c, 0));
    if (x->rank == UB_MAX_RANK)
        return ubp_op_fail(c, UB_ERR_SHAPE, "input 0 has %d dimensions, no more fits", x->rank);
    if (!x->data && ub_tensor_count(x) > 0)
        return UBP_NEEDS_DATA;
    UBP_TRY(ubp_dense_input(c, 0, &dense, &owned));
    const char *const *elements = dense.data;
    for (int64_t i = 0; i < ub_tensor_count(x); i++) {
        const int64_t n = count_parts(c->attr, ubp_string_at(&elements[i]));
        most = n > most ? n : most;
    }
    ubp_free(owned);
    memcpy(dims, x->dims, sizeof x->dims);
    dims[x->rank] = most;
    UBP_TRY(ubp_set_out(c, 0, UB_STRING, x->rank + 1, dims));
    return ubp_set_out(c, 1, UB_I64, x->rank, x->dims);
}

static ub_status split_ref(const ubp_call *c)
{
    const split_attr *a = c->attr;
    const ub_tensor *x = c->in[0];
    const char *const *from = x->data;                            /* [count] */
    const char **to = ubp_has_out(c, 0) ? c->out[0]->data : NULL; /* [count][width] */
    int64_t *counts = ubp_has_out(c, 1) ? c->out[1]->data : NULL; /* [count] */
    const int64_t width = to ? c->out[0]->dims[x->rank] : 0;
    for (int64_t i = 0; i < ub_tensor_count(x); i++) {
        const char *s = ubp_string_at(&from[i]), *part;
        size_t size;
        int64_t n = 0;
        for (; next_part(&s, a->delimiter, n == a->most, &part, &size); n++) {
            if (!to)
                continue;
            const char *text = s ? ubp_run_string(c, part, size) : part;
            if (!text)
                return UB_ERR_MEMORY;
            to[i * width + n] = text;
        }
        for (int64_t k = n; k < width; k++)
            to[i * width + k] = NULL;
        if (counts)
            counts[i] = n;
        if (ubp_run_cancelled(c->run))
            return UBP_CANCELLED(c);
    }
    return UB_OK;
}

static void split_batch(ubp_batch *b)
{
    for (int k = 0; k < b->call->n_out; k++)
        ubp_samples_like(b, k, 0, 0);
}

const ubp_op ubp_op_StringSplit = {
    .name = "StringSplit",
    .domain = "",
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 2,
    .attr_size = sizeof(split_attr),
    .attrs = split_attrs,
    .infer = split_infer,
    .batch = split_batch,
    .ref = split_ref,
};

/* ---- RegexFullMatch ----------------------------------------------------------------------------
 */

typedef struct match_attr {
    const ubp_regex *regex;
} match_attr;

static ub_status match_attrs(const ubp_node *node, void *attr, ubp_arena *arena, ub_error *err)
{
    match_attr *a = attr;
    const char *pattern, *why = NULL;
    UBP_TRY(ubp_attr_string(node, "pattern", NULL, &pattern, err));
    if (!pattern)
        return ubp_fail(err, UB_ERR_FILE, "node '%s' (%s): attribute 'pattern' is missing",
                        node->name, node->op_type);
    a->regex = ubp_regex_make(pattern, arena, &why);
    if (a->regex)
        return UB_OK;
    return ubp_fail(err, why ? UB_ERR_UNSUPPORTED : UB_ERR_MEMORY,
                    "node '%s' (%s): pattern '%.200s': %s", node->name, node->op_type, pattern,
                    why ? why : "out of memory");
}

static ub_status match_infer(const ubp_call *c)
{
    UBP_TRY(ubp_want_strings(c, 0));
    return ubp_set_out(c, 0, UB_BOOL, c->in[0]->rank, c->in[0]->dims);
}

static void match_row(char *const *p, const int64_t *step, int64_t n, const void *arg)
{
    const string_job *j = arg;
    for (int64_t i = 0; i < n && *j->status == UB_OK; i++) {
        bool matched = false;
        if (!ubp_regex_match(j->regex, ubp_string_at(p[1] + i * step[1]), &matched))
            *j->status = ubp_fail_memory(j->c->err, 1);
        else if (ubp_run_cancelled(j->c->run))
            *j->status = UBP_CANCELLED(j->c);
        *(uint8_t *)(p[0] + i * step[0]) = matched;
    }
}

static ub_status match_ref(const ubp_call *c)
{
    ub_status status = UB_OK;
    const string_job job = {c, ((const match_attr *)c->attr)->regex, &status};
    const ub_tensor *operands[] = {c->out[0], c->in[0]};
    UBP_TRY(ubp_string_walk(c, 2, operands, match_row, &job));
    return status;
}

const ubp_op ubp_op_RegexFullMatch = {
    .name = "RegexFullMatch",
    .domain = "",
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .flags = UBP_STRIDED,
    .attr_size = sizeof(match_attr),
    .attrs = match_attrs,
    .infer = match_infer,
    .batch = ubp_batch_elementwise,
    .ref = match_ref,
};
