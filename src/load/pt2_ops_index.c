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

/* Brings the axes with indices to the front, the others behind them in their order. */
static int32_t to_front(ubp_at *a, const indexed *ix, int32_t x, int64_t *perm)
{
    bool moved[UB_MAX_RANK] = {false};
    int n = 0;
    for (int k = 0; k < ix->n; k++) {
        perm[n++] = ix->axes[k];
        moved[ix->axes[k]] = true;
    }
    for (int i = 0; i < ix->m.rank; i++)
        if (!moved[i])
            perm[n++] = i;
    bool same = true;
    for (int i = 0; i < n; i++)
        same &= perm[i] == i;
    return same ? x : ubp_emit_transpose(a->e, x, n, perm);
}

/* How many axes the indices have together, which stand in front of what GatherND gives. */
static int index_rank(const indexed *ix)
{
    int rank = 0;
    for (int k = 0; k < ix->n; k++)
        if (ix->metas[ix->axes[k]].rank > rank)
            rank = ix->metas[ix->axes[k]].rank;
    return rank;
}

/* From [index axes, axes before, axes behind], as GatherND gives it, to [axes before, index axes,
 * axes behind], as PyTorch has it; or back. */
static int32_t to_place(ubp_at *a, const indexed *ix, int32_t v, bool back)
{
    const int n = index_rank(ix), before = ix->adjacent ? ix->axes[0] : 0;
    const int rank = n + ix->m.rank - ix->n;
    int64_t perm[2 * UB_MAX_RANK];
    if (before == 0 || n == 0)
        return v;
    if (rank > UB_MAX_RANK) {
        ubp_at_refuse(a, "%d axes", rank);
        return v;
    }
    for (int i = 0; i < rank; i++)
        perm[i] = i;
    for (int i = 0; i < n + before; i++)
        perm[i] = back ? (i < n ? before + i : i - n) : (i < before ? n + i : i - before);
    return ubp_emit_transpose(a->e, v, rank, perm);
}

static void make_index(ubp_at *a)
{
    indexed ix = {.n = 0};
    bool fixed = true;
    int rank = 0;
    int64_t perm[UB_MAX_RANK];
    if (!read_indexed(a, &ix))
        return;
    for (int k = 0; k < ix.n; k++)
        fixed &= ix.m.dims[ix.axes[k]] >= 0;
    if (ix.n == 1)
        ubp_at_give(a, 0, gather(a->e, "Gather", ix.x, ix.index[ix.axes[0]], ix.axes[0]));
    else if (fixed)
        ubp_at_give(a, 0, gather_flat(a, &ix, &rank));
    else
        ubp_at_give(
            a, 0,
            to_place(a, &ix,
                     ubp_emit_2(a->e, "GatherND", to_front(a, &ix, ix.x, perm), tuples(a, &ix)),
                     false));
}

/* x[mask] = number */
static void put_masked(ubp_at *a, int32_t x, int rank, int32_t mask, int mask_rank, int32_t v)
{
    int64_t axes[UB_MAX_RANK];
    for (int i = mask_rank; i < rank; i++)
        axes[i - mask_rank] = i;
    if (mask_rank < rank)
        mask = ubp_emit_unsqueeze(a->e, mask, axes, rank - mask_rank);
    ubp_at_give(a, 0, ubp_emit_3(a->e, "Where", mask, v, x));
}

/* x[i, j] = values, or += */
static void make_index_put(ubp_at *a)
{
    indexed ix = {.n = 0};
    ubp_emit *e = a->e;
    ubp_pt2_meta values;
    int32_t *index = NULL;
    int64_t perm[UB_MAX_RANK], inverse[UB_MAX_RANK];
    ubp_pt2_meta *metas = NULL, m;
    const bool add = ubp_at_bool(a, "accumulate", false);
    int32_t v = ubp_at_tensor(a, "values"), x = UBP_NO_VALUE;
    const int n = ubp_at_tensors(a, "indices", &index, &metas);
    if (!ubp_at_meta(a, "values", &values) || !read_self(a, &x, &m))
        return;
    if (values.dtype != m.dtype)
        v = ubp_emit_cast(e, v, m.dtype);
    if (n == 1 && index[0] != UBP_NO_VALUE && metas[0].dtype == UB_BOOL && values.rank == 0 &&
        !add) {
        put_masked(a, x, m.rank, index[0], metas[0].rank, v);
        return;
    }
    if (!read_indexed(a, &ix))
        return;
    const int32_t front = to_front(a, &ix, ix.x, perm), at = tuples(a, &ix);
    /* values broadcast to what is written: the shape of what would be read there. */
    const int32_t there = to_place(a, &ix, ubp_emit_2(e, "GatherND", front, at), false);
    const int32_t wide = ubp_emit_2(e, "Expand", v, ubp_emit_shape(e, there));
    const int32_t in[] = {front, at, to_place(a, &ix, wide, true)};
    const ubp_attr how = ubp_emit_string("reduction", add ? "add" : "none");
    const int32_t put = ubp_emit_node(e, "ScatterND", 3, in, 1, &how);
    for (int i = 0; i < m.rank; i++)
        inverse[perm[i]] = i;
    ubp_at_give(a, 0, front == ix.x ? put : ubp_emit_transpose(e, put, m.rank, inverse));
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
    const int32_t at = ubp_at_tensor(a, "index");
    ubp_at_ignore(a, "sparse_grad");
    const int axis = ubp_at_axis(a, "dim", 0, m.rank);
    if (m.rank == 0)
        ubp_at_refuse(a, "a scalar");
    else
        ubp_at_give(a, 0, gather(a->e, "GatherElements", x, at, axis));
}

/* The axes where other has entries and it has one, repeated; but for that one. */
static int32_t broadcast(ubp_at *a, int32_t x, const ubp_pt2_meta *m, int32_t other,
                         const ubp_pt2_meta *om, int but)
{
    ubp_pt2_size sizes[UB_MAX_RANK];
    bool any = false;
    for (int i = 0; i < m->rank; i++) {
        sizes[i] = (ubp_pt2_size){1, UBP_NO_VALUE}; /* as it is */
        if (i == but || m->dims[i] != 1 || om->dims[i] == 1)
            continue;
        any = true;
        sizes[i].known = om->dims[i];
        if (om->dims[i] < 0)
            sizes[i].value = ubp_emit_size(a->e, other, i);
    }
    return any ? ubp_emit_2(a->e, "Expand", x, ubp_at_shape(a, sizes, m->rank)) : x;
}

/* take_along_dim: gather whose other axes broadcast; without an axis, of all elements in a row. */
static void make_take_along(ubp_at *a)
{
    ubp_pt2_meta m, im;
    int32_t x;
    const int64_t flat = -1;
    if (!read_self(a, &x, &m))
        return;
    int32_t at = ubp_at_tensor(a, "indices");
    if (!ubp_at_meta(a, "indices", &im))
        return;
    if (!ubp_at_given(a, "dim")) {
        x = ubp_emit_reshape(a->e, x, 1, &flat);
        at = ubp_emit_reshape(a->e, at, 1, &flat);
        ubp_at_give(a, 0, gather(a->e, "GatherElements", x, at, 0));
        return;
    }
    const int axis = ubp_at_axis(a, "dim", 0, m.rank);
    if (m.rank == 0 || im.rank != m.rank) {
        ubp_at_refuse(a, "indices of %d axes for %d", im.rank, m.rank);
        return;
    }
    const int32_t wide = broadcast(a, x, &m, at, &im, axis);
    at = broadcast(a, at, &im, x, &m, axis);
    ubp_at_give(a, 0, gather(a->e, "GatherElements", wide, at, axis));
}

/* take: of all elements in a row. */
static void make_take(ubp_at *a)
{
    const int64_t flat = -1;
    const int32_t x = ubp_emit_reshape(a->e, ubp_at_tensor(a, "self"), 1, &flat);
    ubp_at_give(a, 0, gather(a->e, "Gather", x, ubp_at_tensor(a, "index"), 0));
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
    {"take_along_dim", make_take_along, ""},
    {"take", make_take, ""},
    {"one_hot", make_one_hot, ""},
    {"bucketize", make_bucketize, ""},
    {"searchsorted", make_bucketize, "search"},
    {0},
};
