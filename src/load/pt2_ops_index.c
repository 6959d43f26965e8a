/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ATen's indexing with tensors as our operators.
 */
#include <string.h>

#include "load/pt2.h"

static bool read_self(ubp_at *a, int32_t *x, ubp_pt2_meta *m)
{
    *x = ubp_at_tensor(a, "self");
    return ubp_at_meta(a, "self", m);
}

static int32_t gather(ubp_emit *e, const char *op, int32_t x, int32_t index, int axis)
{
    const int32_t in[] = {x, index};
    const ubp_attr attr = ubp_emit_int("axis", axis);
    return ubp_emit_node(e, op, 2, in, 1, &attr);
}

/* ---- index.Tensor -----------------------------------------------------------------------------
 */

/* x[:, i, j]: which axes have an index, and how they lie. */
typedef struct indexed {
    int32_t x;
    ubp_pt2_meta m;
    int32_t *index;
    ubp_pt2_meta *metas;
    int axes[UB_MAX_RANK]; /* that have one */
    int n;
    bool adjacent; /* one behind the other: the result has its axes there, else in front */
} indexed;

static bool read_indexed(ubp_at *a, indexed *ix)
{
    if (!read_self(a, &ix->x, &ix->m))
        return false;
    const int n = ubp_at_tensors(a, "indices", &ix->index, &ix->metas);
    ix->n = 0;
    ix->adjacent = true;
    if (n > ix->m.rank) {
        ubp_at_refuse(a, "%d indices of %d axes", n, ix->m.rank);
        return false;
    }
    for (int i = 0; i < n; i++) {
        if (ix->index[i] == UBP_NO_VALUE)
            continue;
        if (ix->metas[i].dtype == UB_BOOL || ix->metas[i].dtype == UB_U8) {
            ubp_at_refuse(a, "a mask: how many entries it picks hangs on data");
            return false;
        }
        ix->adjacent &= ix->n == 0 || ix->axes[ix->n - 1] == i - 1;
        ix->axes[ix->n++] = i;
    }
    if (ix->n == 0)
        ubp_at_refuse(a, "no index");
    return ix->n > 0 && !a->refused;
}

/* An index as int64 that counts from the front. */
static int32_t from_front(ubp_at *a, int32_t index, const ubp_pt2_meta *m, int32_t size)
{
    ubp_emit *e = a->e;
    if (m->dtype != UB_I64)
        index = ubp_emit_cast(e, index, UB_I64);
    const int32_t below = ubp_emit_2(e, "Less", index, ubp_emit_integer(e, UB_I64, 0));
    return ubp_emit_3(e, "Where", below, ubp_emit_2(e, "Add", index, size), index);
}

/* Axes of fixed sizes with indices are laid together as one, which is gathered from. */
static int32_t gather_flat(ubp_at *a, const indexed *ix, int *rank)
{
    ubp_emit *e = a->e;
    int64_t perm[UB_MAX_RANK], dims[UB_MAX_RANK];
    const int first = ix->adjacent ? ix->axes[0] : 0;
    int n = 0, n_dims = 0;
    int32_t flat = UBP_NO_VALUE;
    for (int i = 0, k = 0; i < ix->m.rank; i++) { /* those before, those with, those behind */
        const bool has = k < ix->n && ix->axes[k] == i;
        k += has;
        if (!has && n < first)
            perm[n++] = i;
    }
    for (int k = 0; k < ix->n; k++)
        perm[n++] = ix->axes[k];
    for (int i = 0; i < ix->m.rank; i++) {
        bool placed = false;
        for (int k = 0; k < n; k++)
            placed |= perm[k] == i;
        if (!placed)
            perm[n++] = i;
    }
    int64_t size = 1;
    for (int k = 0; k < ix->n; k++) {
        const int64_t d = ix->m.dims[ix->axes[k]];
        const int32_t one = from_front(a, ix->index[ix->axes[k]], &ix->metas[ix->axes[k]],
                                       ubp_emit_integer(e, UB_I64, d));
        flat = flat == UBP_NO_VALUE
                   ? one
                   : ubp_emit_2(e, "Add",
                                ubp_emit_2(e, "Mul", flat, ubp_emit_integer(e, UB_I64, d)), one);
        if (!ubp_mul_i64(size, d, &size))
            ubp_at_refuse(a, "axes that are too long");
    }
    int free_axes = 0;
    for (int i = 0; i < ix->m.rank; i++) {
        if (i > first && i < first + ix->n)
            continue;
        dims[n_dims] = i == first ? size : ix->m.dims[perm[i]];
        free_axes += dims[n_dims++] < 0;
    }
    if (free_axes > 1) {
        ubp_at_refuse(a, "several axes whose sizes are not fixed");
        return ix->x;
    }
    const int32_t turned = ubp_emit_transpose(e, ix->x, ix->m.rank, perm);
    *rank = n_dims;
    return gather(e, "Gather", ubp_emit_reshape(e, turned, n_dims, dims), flat, first);
}

/* Indices of the first axes, the samples among them, as tuples: [..., n]. */
static int32_t tuples(ubp_at *a, const indexed *ix)
{
    ubp_emit *e = a->e;
    int32_t parts[UB_MAX_RANK], all = UBP_NO_VALUE;
    const int64_t last = -1;
    for (int k = 0; k < ix->n; k++) {
        int32_t one = ix->index[ix->axes[k]];
        if (ix->metas[ix->axes[k]].dtype != UB_I64)
            one = ubp_emit_cast(e, one, UB_I64);
        parts[k] = one;
        all = all == UBP_NO_VALUE ? one : ubp_emit_2(e, "Add", all, one);
    }
    const int32_t shape = ubp_emit_shape(e, all); /* to which they broadcast */
    for (int k = 0; k < ix->n; k++)
        parts[k] = ubp_emit_unsqueeze(
            e, ix->n > 1 ? ubp_emit_2(e, "Expand", parts[k], shape) : parts[k], &last, 1);
    return ix->n > 1 ? ubp_emit_concat(e, parts, ix->n, -1) : parts[0];
}

static bool leads(const indexed *ix)
{
    return ix->adjacent && ix->axes[0] == 0;
}

static void make_index(ubp_at *a)
{
    indexed ix = {.n = 0};
    bool fixed = true;
    int rank = 0;
    if (!read_indexed(a, &ix))
        return;
    for (int k = 0; k < ix.n; k++)
        fixed &= ix.m.dims[ix.axes[k]] >= 0;
    if (ix.n == 1)
        ubp_at_give(a, 0, gather(a->e, "Gather", ix.x, ix.index[ix.axes[0]], ix.axes[0]));
    else if (fixed)
        ubp_at_give(a, 0, gather_flat(a, &ix, &rank));
    else if (leads(&ix))
        ubp_at_give(a, 0, ubp_emit_2(a->e, "GatherND", ix.x, tuples(a, &ix)));
    else
        ubp_at_refuse(a, "indices of an axis whose size is not fixed");
}

/* x[i, j] = values, or += */
static void make_index_put(ubp_at *a)
{
    indexed ix = {.n = 0};
    ubp_emit *e = a->e;
    ubp_pt2_meta values;
    int32_t *index = NULL;
    ubp_pt2_meta *metas = NULL, m;
    const bool add = ubp_at_bool(a, "accumulate", false);
    int32_t v = ubp_at_tensor(a, "values"), x = UBP_NO_VALUE;
    const int n = ubp_at_tensors(a, "indices", &index, &metas);
    if (!ubp_at_meta(a, "values", &values) || !read_self(a, &x, &m))
        return;
    if (values.dtype != m.dtype)
        v = ubp_emit_cast(e, v, m.dtype);
    /* x[mask] = number */
    if (n == 1 && index[0] != UBP_NO_VALUE && metas[0].dtype == UB_BOOL && values.rank == 0 &&
        !add) {
        int64_t axes[UB_MAX_RANK];
        for (int i = metas[0].rank; i < m.rank; i++)
            axes[i - metas[0].rank] = i;
        int32_t mask = index[0];
        if (metas[0].rank < m.rank)
            mask = ubp_emit_unsqueeze(e, mask, axes, m.rank - metas[0].rank);
        ubp_at_give(a, 0, ubp_emit_3(e, "Where", mask, v, x));
        return;
    }
    if (!read_indexed(a, &ix))
        return;
    if (!leads(&ix)) {
        ubp_at_refuse(a, "indices that are not of the first axes");
        return;
    }
    const int32_t at = tuples(a, &ix);
    /* values broadcast to what is written: the shape of what would be read there. */
    const int32_t shape = ubp_emit_shape(e, ubp_emit_2(e, "GatherND", ix.x, at));
    const int32_t in[] = {ix.x, at, ubp_emit_2(e, "Expand", v, shape)};
    const ubp_attr how = ubp_emit_string("reduction", add ? "add" : "none");
    ubp_at_give(a, 0, ubp_emit_node(e, "ScatterND", 3, in, 1, &how));
}

/* ---- Along one axis ---------------------------------------------------------------------------
 */

static void make_index_select(ubp_at *a)
{
    ubp_pt2_meta m, index;
    int32_t x;
    if (!read_self(a, &x, &m))
        return;
    const int32_t at = ubp_at_tensor(a, "index");
    const int axis = ubp_at_axis(a, "dim", 0, m.rank);
    if (!ubp_at_meta(a, "index", &index) || m.rank == 0 || index.rank != 1) {
        ubp_at_refuse(a, "a scalar");
        return;
    }
    ubp_at_give(a, 0, gather(a->e, "Gather", x, at, axis));
}

static void make_gather(ubp_at *a)
{
    ubp_pt2_meta m;
    int32_t x;
    if (!read_self(a, &x, &m))
        return;
    const char *name = ubp_at_given(a, "indices") ? "indices" : "index";
    const int32_t at = ubp_at_tensor(a, name);
    ubp_at_ignore(a, "sparse_grad");
    const int axis = ubp_at_axis(a, "dim", 0, m.rank);
    if (m.rank == 0)
        ubp_at_refuse(a, "a scalar");
    else
        ubp_at_give(a, 0, gather(a->e, "GatherElements", x, at, axis));
}

/* take: of all elements in a row. */
static void make_take(ubp_at *a)
{
    const int64_t flat = -1;
    const int32_t x = ubp_emit_reshape(a->e, ubp_at_tensor(a, "self"), 1, &flat);
    ubp_at_give(a, 0, gather(a->e, "Gather", x, ubp_at_tensor(a, "index"), 0));
}

static void make_scatter(ubp_at *a)
{
    static const char *const names[][2] = {{"sum", "add"},  {"prod", "mul"}, {"amax", "max"},
                                           {"amin", "min"}, {"add", "add"},  {"multiply", "mul"}};
    ubp_emit *e = a->e;
    ubp_pt2_meta m;
    int32_t x, src = UBP_NO_VALUE;
    const char *how = ubp_at_word(a);
    if (!read_self(a, &x, &m))
        return;
    const int32_t index = ubp_at_tensor(a, "index");
    const int axis = ubp_at_axis(a, "dim", 0, m.rank);
    if (ubp_at_given(a, "reduce")) {
        const char *asked = ubp_at_string(a, "reduce", "");
        how = NULL;
        for (int i = 0; i < UBP_COUNT(names); i++)
            if (strcmp(asked, names[i][0]) == 0)
                how = names[i][1];
    }
    if (!how || !ubp_at_bool(a, "include_self", true) || m.rank == 0) {
        ubp_at_refuse(a, "this kind of reduction");
        return;
    }
    if (ubp_at_given(a, "src"))
        src = ubp_at_tensor(a, "src");
    else
        src =
            ubp_emit_2(e, "Expand", ubp_at_operand(a, "value", m.dtype), ubp_emit_shape(e, index));
    if (ubp_at_given(a, "src")) { /* of a larger one, the part over the index counts */
        ubp_pt2_meta im, sm;
        if (!ubp_at_meta(a, "index", &im) || !ubp_at_meta(a, "src", &sm) || im.rank != sm.rank)
            return;
        for (int i = 0; i < im.rank; i++)
            if (im.dims[i] >= 0 && sm.dims[i] != im.dims[i])
                src = ubp_emit_slice(e, src, i, 0, im.dims[i], 1);
    }
    const int32_t in[] = {x, index, src};
    const ubp_attr attrs[] = {ubp_emit_int("axis", axis), ubp_emit_string("reduction", how)};
    ubp_at_give(a, 0, ubp_emit_node(e, "ScatterElements", 3, in, 2, attrs));
}

/* index_add, index_copy, index_fill: whole entries of an axis, which is brought to the front. */
static void make_index_write(ubp_at *a)
{
    ubp_emit *e = a->e;
    ubp_pt2_meta m, im;
    const int64_t last = -1;
    int32_t x, source;
    const char *word = ubp_at_word(a);
    if (!read_self(a, &x, &m))
        return;
    const int32_t index = ubp_at_tensor(a, "index");
    const int axis = ubp_at_axis(a, "dim", 0, m.rank);
    if (!ubp_at_meta(a, "index", &im) || m.rank == 0 || im.rank != 1) {
        ubp_at_refuse(a, "a scalar");
        return;
    }
    int32_t tuple = im.dtype == UB_I64 ? index : ubp_emit_cast(e, index, UB_I64);
    const int32_t turned = ubp_emit_swap(e, x, m.rank, 0, axis);
    if (strcmp(word, "fill") == 0) {
        const int32_t there = gather(e, "Gather", turned, index, 0);
        source =
            ubp_emit_2(e, "Expand", ubp_at_operand(a, "value", m.dtype), ubp_emit_shape(e, there));
    } else {
        source = ubp_emit_swap(e, ubp_at_tensor(a, "source"), m.rank, 0, axis);
    }
    const double alpha = ubp_at_float(a, "alpha", 1);
    if (alpha != 1)
        source = ubp_emit_2(e, "Mul", source, ubp_emit_number(e, m.dtype, alpha));
    tuple = ubp_emit_unsqueeze(e, tuple, &last, 1);
    const int32_t in[] = {turned, tuple, source};
    const ubp_attr how = ubp_emit_string("reduction", strcmp(word, "add") == 0 ? "add" : "none");
    ubp_at_give(a, 0,
                ubp_emit_swap(e, ubp_emit_node(e, "ScatterND", 3, in, 1, &how), m.rank, 0, axis));
}

/* slice_scatter, select_scatter: self with a part of an axis replaced. */
static void make_part_scatter(ubp_at *a)
{
    ubp_emit *e = a->e;
    ubp_pt2_meta m;
    int32_t x, parts[3];
    int n = 0;
    if (!read_self(a, &x, &m))
        return;
    int32_t src = ubp_at_tensor(a, "src");
    const int64_t axis = ubp_at_axis(a, "dim", 0, m.rank);
    const bool select = strcmp(ubp_at_word(a), "select") == 0;
    const int64_t step = ubp_at_int(a, "step", 1);
    int64_t start = ubp_at_int(a, select ? "index" : "start", 0);
    int64_t end = select ? (start == -1 ? INT64_MAX : start + 1) : ubp_at_int(a, "end", INT64_MAX);
    const int64_t size = m.rank > 0 ? m.dims[axis] : -1;
    if (step != 1 || m.rank == 0) {
        ubp_at_refuse(a, "step %lld", (long long)step);
        return;
    }
    if (size >= 0) {
        start = start < 0 ? start + size : start;
        end = end < 0 ? end + size : end;
        start = start < 0 ? 0 : start > size ? size : start;
        end = end < start ? start : end > size ? size : end;
    }
    if (select)
        src = ubp_emit_unsqueeze(e, src, &axis, 1);
    if (start != 0)
        parts[n++] = ubp_emit_slice(e, x, (int)axis, 0, start, 1);
    parts[n++] = src;
    if (end != INT64_MAX)
        parts[n++] = ubp_emit_slice(e, x, (int)axis, end, INT64_MAX, 1);
    ubp_at_give(a, 0, ubp_emit_concat(e, parts, n, (int)axis));
}

/* ---- Others -----------------------------------------------------------------------------------
 */

static void make_one_hot(ubp_at *a)
{
    static const int64_t values[] = {0, 1};
    const int32_t x = ubp_at_tensor(a, "self");
    const int64_t classes = ubp_at_int(a, "num_classes", -1);
    if (classes < 1) {
        ubp_at_refuse(a, "a number of classes that hangs on data");
        return;
    }
    const int32_t in[] = {x, ubp_emit_integer(a->e, UB_I64, classes),
                          ubp_emit_ints(a->e, values, 2)};
    const ubp_attr axis = ubp_emit_int("axis", -1);
    ubp_at_give(a, 0, ubp_emit_node(a->e, "OneHot", 3, in, 1, &axis));
}

/* How many of the sorted limits lie before each value. */
static void make_bucketize(ubp_at *a)
{
    ubp_emit *e = a->e;
    ubp_pt2_meta m, out;
    const int64_t last = -1;
    const bool search = strcmp(ubp_at_word(a), "search") == 0;
    const char *limits = search ? "sorted_sequence" : "boundaries";
    const ub_dtype d = ubp_at_promote(a, "self", limits);
    const int32_t x = ubp_at_operand(a, "self", d), b = ubp_at_operand(a, limits, d);
    const bool right =
        ubp_at_bool(a, "right", false) || strcmp(ubp_at_string(a, "side", "left"), "right") == 0;
    ubp_at_bool(a, "out_int32", false);
    if (!ubp_at_meta(a, limits, &m) || !ubp_at_out_meta(a, 0, &out) || m.rank != 1 ||
        ubp_at_given(a, "sorter")) {
        ubp_at_refuse(a, "limits of %d axes", m.rank);
        return;
    }
    const int32_t each = ubp_emit_unsqueeze(e, x, &last, 1);
    const int32_t before = ubp_emit_2(e, right ? "LessOrEqual" : "Less", b, each);
    ubp_at_give(
        a, 0,
        ubp_emit_reduce(e, "ReduceSum", ubp_emit_cast(e, before, out.dtype), &last, 1, false));
}

const ubp_pt2_op ubp_pt2_ops_index[] = {
    {"index", make_index, ""},
    {"index_put", make_index_put, ""},
    {"index_select", make_index_select, ""},
    {"gather", make_gather, ""},
    {"take_along_dim", make_gather, ""},
    {"take", make_take, ""},
    {"scatter", make_scatter, "none"},
    {"scatter_add", make_scatter, "add"},
    {"scatter_reduce", make_scatter, "none"},
    {"index_add", make_index_write, "add"},
    {"index_copy", make_index_write, "copy"},
    {"index_fill", make_index_write, "fill"},
    {"slice_scatter", make_part_scatter, "slice"},
    {"select_scatter", make_part_scatter, "select"},
    {"one_hot", make_one_hot, ""},
    {"bucketize", make_bucketize, ""},
    {"searchsorted", make_bucketize, "search"},
    {0},
};
