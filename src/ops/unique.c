/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Unique: the different elements of a tensor, or its different slices along an axis, with where
 * each was first, which one every entry is, and how often it is there. Sorted, or in the order of
 * first appearance. How many there are is only known from the data. Follows ONNX opset 28.
 */
#include <string.h>

#include "ops/move.h"

typedef struct unique_attr {
    int64_t axis, sorted;
    bool flat; /* no axis */
} unique_attr;

static ub_status unique_attrs(const ubp_node *node, void *attr, ubp_arena *arena, ub_error *err)
{
    unique_attr *a = attr;
    (void)arena;
    a->flat = !ubp_node_attr(node, "axis");
    UBP_TRY(ubp_attr_int(node, "axis", 0, &a->axis, err));
    return ubp_attr_int(node, "sorted", 1, &a->sorted, err);
}

/* The slices of the input and which of them are the same. */
typedef struct groups {
    int64_t n, len;  /* slices, elements in each */
    int64_t found;   /* different ones */
    uint64_t *keys;  /* [n][len], in the elements' order */
    int64_t *order;  /* [n] slices, sorted */
    int64_t *temp;   /* [n] */
    int64_t *group;  /* [n] of each slice; the groups in the order of the output */
    int64_t *first;  /* [found] the first slice of each group */
    int64_t *counts; /* [found] */
} groups;

static void groups_free(groups *g)
{
    ubp_free(g->keys);
    ubp_free(g->order);
}

static int compare(const groups *g, int64_t a, int64_t b)
{
    const uint64_t *x = g->keys + a * g->len, *y = g->keys + b * g->len;
    for (int64_t i = 0; i < g->len; i++)
        if (x[i] != y[i])
            return x[i] < y[i] ? -1 : 1;
    return 0;
}

/* Sorts g->order; slices that are the same stay in their order. */
static void merge_sort(groups *g)
{
    int64_t *from = g->order, *to = g->temp;
    for (int64_t width = 1; width < g->n; width *= 2) {
        for (int64_t low = 0; low < g->n; low += 2 * width) {
            int64_t mid = low + width < g->n ? low + width : g->n;
            int64_t high = mid + width < g->n ? mid + width : g->n, i = low, j = mid;
            for (int64_t k = low; k < high; k++)
                to[k] = i < mid && (j >= high || compare(g, from[i], from[j]) <= 0) ? from[i++]
                                                                                    : from[j++];
        }
        int64_t *swap = from;
        from = to;
        to = swap;
    }
    if (from != g->order)
        memcpy(g->order, from, (size_t)g->n * sizeof *from);
}

/* The keys of every slice along `axis` of a row-major tensor. */
static void fill_keys(groups *g, const ub_tensor *t, int axis, bool flat)
{
    size_t size = ub_dtype_size(t->dtype);
    int64_t after = flat ? 1 : ubp_span(t->dims, axis + 1, t->rank);
    const char *src = t->data; /* [len / after][n][after] */
    if (g->len == 1) {
        ubp_order_keys(g->keys, src, (int64_t)size, g->n, t->dtype);
        return;
    }
    for (int64_t i = 0; i < g->n; i++)
        for (int64_t e = 0; e < g->len; e += after)
            ubp_order_keys(g->keys + i * g->len + e,
                           src + (size_t)((e / after * g->n + i) * after) * size, (int64_t)size,
                           after, t->dtype);
}

/* Groups in sorted order first; then, unless sorted is asked for, by first appearance. */
static void number_groups(groups *g, bool sorted)
{
    g->found = 0;
    for (int64_t i = 0; i < g->n; i++) {
        int64_t slice = g->order[i];
        if (i == 0 || compare(g, g->order[i - 1], slice) != 0) {
            g->first[g->found] = slice;
            g->counts[g->found++] = 0;
        }
        g->group[slice] = g->found - 1;
        g->counts[g->found - 1]++;
    }
    if (sorted)
        return;
    int64_t *renamed = g->order, *counts = g->temp, next = 0;
    for (int64_t i = 0; i < g->n; i++)
        if (g->first[g->group[i]] == i) {
            renamed[g->group[i]] = next;
            counts[next++] = g->counts[g->group[i]];
        }
    memcpy(g->counts, counts, (size_t)g->found * sizeof *counts);
    for (int64_t i = 0, seen = 0; i < g->n; i++) {
        g->group[i] = renamed[g->group[i]];
        if (g->group[i] == seen)
            g->first[seen++] = i;
    }
}

static ub_status groups_make(groups *g, const ubp_call *c)
{
    const unique_attr *attr = c->attr;
    const ub_tensor *in = c->in[0];
    ub_tensor dense;
    void *owned;
    int axis = 0;
    memset(g, 0, sizeof *g);
    if (!attr->flat)
        UBP_TRY(ubp_want_axis(c, attr->axis, in->rank, &axis));
    int64_t count = ub_tensor_count(in);
    g->n = attr->flat ? count : in->dims[axis];
    g->len = g->n > 0 ? count / g->n : 0;
    size_t keys, lists;
    if (!ubp_mul_size((size_t)count, sizeof *g->keys, &keys) ||
        !ubp_mul_size((size_t)g->n, 5 * sizeof *g->order, &lists))
        return ubp_fail_memory(c->err, SIZE_MAX);
    UBP_TRY(ubp_dense_input(c, 0, &dense, &owned));
    g->keys = ubp_malloc(keys);
    g->order = ubp_malloc(lists);
    if (!g->keys || !g->order) {
        groups_free(g);
        ubp_free(owned);
        return ubp_fail_memory(c->err, keys);
    }
    g->temp = g->order + g->n;
    g->group = g->temp + g->n;
    g->first = g->group + g->n;
    g->counts = g->first + g->n;
    fill_keys(g, &dense, axis, attr->flat);
    ubp_free(owned);
    for (int64_t i = 0; i < g->n; i++)
        g->order[i] = i;
    merge_sort(g);
    number_groups(g, attr->sorted != 0);
    return UB_OK;
}

static ub_status unique_infer(const ubp_call *c)
{
    const unique_attr *attr = c->attr;
    const ub_tensor *in = c->in[0];
    int axis = 0;
    if (!ubp_is_float(in->dtype) && !ubp_is_integer(in->dtype) && in->dtype != UB_BOOL)
        return ubp_op_fail(c, UB_ERR_UNSUPPORTED, "input 0 is %s; numbers are supported",
                           ub_dtype_name(in->dtype));
    if (!attr->flat)
        UBP_TRY(ubp_want_axis(c, attr->axis, in->rank, &axis));
    if (!in->data && ub_tensor_count(in) > 0)
        return UBP_NEEDS_DATA;
    groups g;
    UBP_TRY(groups_make(&g, c));
    int64_t found = g.found, n = g.n;
    groups_free(&g);
    ub_tensor part = *in;
    part.dims[axis] = found;
    UBP_TRY(ubp_set_out(c, 0, in->dtype, attr->flat ? 1 : in->rank, part.dims));
    UBP_TRY(ubp_set_out(c, 1, UB_I64, 1, &found));
    UBP_TRY(ubp_set_out(c, 2, UB_I64, 1, &n));
    return ubp_set_out(c, 3, UB_I64, 1, &found);
}

static void unique_values(const groups *g, const ub_tensor *in, char *dst, int axis, bool flat)
{
    size_t size = ub_dtype_size(in->dtype);
    int64_t before = flat ? 1 : ubp_span(in->dims, 0, axis);
    size_t run = size * (size_t)(flat ? 1 : ubp_span(in->dims, axis + 1, in->rank));
    for (int64_t i = 0; i < before; i++)
        for (int64_t u = 0; u < g->found; u++, dst += run)
            ubp_copy_element(dst, (const char *)in->data + (size_t)(i * g->n + g->first[u]) * run,
                             run);
}

static ub_status unique_ref(const ubp_call *c)
{
    const unique_attr *attr = c->attr;
    int axis = 0;
    groups g;
    if (!attr->flat)
        UBP_TRY(ubp_want_axis(c, attr->axis, c->in[0]->rank, &axis));
    UBP_TRY(groups_make(&g, c));
    size_t found = (size_t)g.found * sizeof(int64_t);
    if (ubp_has_out(c, 0) && ub_tensor_count(c->out[0]) > 0)
        unique_values(&g, c->in[0], c->out[0]->data, axis, attr->flat);
    if (ubp_has_out(c, 1) && found > 0)
        memcpy(c->out[1]->data, g.first, found);
    if (ubp_has_out(c, 2) && found > 0)
        memcpy(c->out[2]->data, g.group, (size_t)g.n * sizeof(int64_t));
    if (ubp_has_out(c, 3) && found > 0)
        memcpy(c->out[3]->data, g.counts, found);
    groups_free(&g);
    return UB_OK;
}

static void unique_batch(ubp_batch *b)
{
    if (!ubp_samples_plain(b, 0, 0, "Unique looks at all samples together"))
        return;
    for (int k = 0; k < b->call->n_out; k++)
        ubp_samples_fit(b, k);
}

const ubp_op ubp_op_unique = {
    .name = "Unique",
    .domain = "",
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 4,
    .attr_size = sizeof(unique_attr),
    .attrs = unique_attrs,
    .infer = unique_infer,
    .batch = unique_batch,
    .ref = unique_ref,
};
