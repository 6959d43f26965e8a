/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ai.onnx.ml CategoryMapper and the first form of LabelEncoder: strings become integers or integers
 * strings, by two lists side by side; what is in neither becomes the default. LabelEncoder has the
 * strings only, their integers are their places. Of an entry that occurs twice the last counts, as
 * in LabelEncoder's newer form. Opset 1.
 */
#include "ops/ml.h"
#include "ops/string_ops.h"

#include <string.h>

typedef struct mapper_attr {
    ubp_ml_labels strings, ints; /* as many of either */
    const char *no_string;
    int64_t no_int;
    int64_t *by_string, *by_int; /* [n]: places in order of the entry, equal ones last first */
} mapper_attr;

/* Entry i against entry k. */
static int compare(const mapper_attr *a, bool strings, int64_t i, int64_t k)
{
    if (strings)
        return strcmp(a->strings.strings[i], a->strings.strings[k]);
    return (a->ints.ints[i] > a->ints.ints[k]) - (a->ints.ints[i] < a->ints.ints[k]);
}

/* Merges order [from, middle) and [middle, to). */
static void merge(const mapper_attr *a, bool strings, int64_t *order, int64_t *space, int64_t from,
                  int64_t middle, int64_t to)
{
    int64_t x = from, y = middle;
    for (int64_t i = from; i < to; i++) {
        const bool left = y == to || (x < middle && compare(a, strings, order[x], order[y]) < 0);
        space[i] = left ? order[x++] : order[y++];
    }
    memcpy(order + from, space + from, (size_t)(to - from) * sizeof *order);
}

static ub_status sort(const mapper_attr *a, bool strings, int64_t **out, ubp_arena *arena,
                      ub_error *err)
{
    const int64_t n = a->strings.n;
    int64_t *order = ubp_arena_array(arena, (size_t)n + 1, sizeof *order);
    int64_t *space = ubp_arena_array(arena, (size_t)n + 1, sizeof *space);
    if (!order || !space)
        return ubp_fail_memory(err, (size_t)n * sizeof *space);
    for (int64_t i = 0; i < n; i++)
        order[i] = i;
    for (int64_t run = 1; run < n; run *= 2)
        for (int64_t from = 0; from + run < n; from += 2 * run)
            merge(a, strings, order, space, from, from + run,
                  from + 2 * run < n ? from + 2 * run : n);
    *out = order;
    return UB_OK;
}

/* The integers beside LabelEncoder's strings. */
static ub_status count_up(ubp_ml_labels *ints, int64_t n, ubp_arena *arena, ub_error *err)
{
    int64_t *v = ubp_arena_array(arena, (size_t)n + 1, sizeof *v);
    if (!v)
        return ubp_fail_memory(err, (size_t)n * sizeof *v);
    for (int64_t i = 0; i < n; i++)
        v[i] = i;
    *ints = (ubp_ml_labels){.n = n, .ints = v};
    return UB_OK;
}

static ub_status mapper_attrs(const ubp_node *n, void *attr, ubp_arena *arena, ub_error *err)
{
    mapper_attr *a = attr;
    const bool encoder = ubp_node_attr(n, "classes_strings") != NULL;
    const char *strings = encoder ? "classes_strings" : "cats_strings";
    UBP_TRY(ubp_ml_read_labels(n, "", strings, &a->strings, err));
    if (encoder)
        UBP_TRY(count_up(&a->ints, a->strings.n, arena, err));
    else
        UBP_TRY(ubp_ml_read_labels(n, "cats_int64s", "", &a->ints, err));
    UBP_TRY(ubp_attr_string(n, "default_string", "_Unused", &a->no_string, err));
    UBP_TRY(ubp_attr_int(n, "default_int64", -1, &a->no_int, err));
    if (a->strings.n != a->ints.n || a->strings.n < 1)
        return ubp_fail(err, UB_ERR_FILE,
                        "node '%s' (%s): %lld strings and %lld integers, expected as many of"
                        " either",
                        n->name, n->op_type, (long long)a->strings.n, (long long)a->ints.n);
    UBP_TRY(sort(a, true, &a->by_string, arena, err));
    return sort(a, false, &a->by_int, arena, err);
}

static ub_status mapper_infer(const ubp_call *c)
{
    const ub_tensor *x = c->in[0];
    if (x->dtype != UB_STRING && x->dtype != UB_I64)
        return ubp_op_fail(c, UB_ERR_SHAPE, "input 0 is %s, expected string or int64",
                           ub_dtype_name(x->dtype));
    return ubp_set_out(c, 0, x->dtype == UB_STRING ? UB_I64 : UB_STRING, x->rank, x->dims);
}

/* The place of what src holds, the last of equal ones; -1: none. */
static int64_t find(const mapper_attr *a, bool strings, const char *src)
{
    const int64_t *order = strings ? a->by_string : a->by_int;
    const char *text = strings ? ubp_string_at(src) : "";
    const int64_t number = strings ? 0 : ubp_read_i64(src, UB_I64);
    int64_t low = 0, high = a->strings.n;
    while (low < high) {
        const int64_t middle = low + (high - low) / 2, k = order[middle];
        if (strings ? strcmp(a->strings.strings[k], text) < 0 : a->ints.ints[k] < number)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == a->strings.n)
        return -1;
    const int64_t k = order[low];
    const bool same =
        strings ? strcmp(a->strings.strings[k], text) == 0 : a->ints.ints[k] == number;
    return same ? k : -1;
}

static void map_row(char *const *p, const int64_t *step, int64_t n, const void *arg)
{
    const ubp_call *c = arg;
    const mapper_attr *a = c->attr;
    const bool strings = c->in[0]->dtype == UB_STRING;
    for (int64_t i = 0; i < n; i++) {
        const int64_t k = find(a, strings, p[1] + i * step[1]);
        if (strings)
            ubp_write_i64(p[0] + i * step[0], UB_I64, k < 0 ? a->no_int : a->ints.ints[k]);
        else
            ubp_string_put(p[0] + i * step[0], k < 0 ? a->no_string : a->strings.strings[k]);
    }
}

static ub_status mapper_ref(const ubp_call *c)
{
    const ub_tensor *operands[] = {c->out[0], c->in[0]};
    ubp_ew_walk(c->run, 2, operands, map_row, c);
    return UB_OK;
}

const ubp_op ubp_op_CategoryMapper = {
    .name = "CategoryMapper",
    .domain = "ai.onnx.ml",
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .flags = UBP_STRIDED,
    .attr_size = sizeof(mapper_attr),
    .attrs = mapper_attrs,
    .infer = mapper_infer,
    .batch = ubp_batch_elementwise,
    .ref = mapper_ref,
};
