/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ATen's operators that give a copy of a tensor with some of its elements replaced, and diagonals.
 */
#include <math.h>
#include <string.h>

#include "load/pt2.h"

static bool read_self(ubp_at *a, int32_t *x, ubp_pt2_meta *m)
{
    *x = ubp_at_tensor(a, "self");
    return ubp_at_meta(a, "self", m);
}

/* ---- Elements along an axis -------------------------------------------------------------------
 */

/* What leaves the other operand of a reduction as it is. */
static int32_t neutral(ubp_at *a, const char *how, ub_dtype d)
{
    const bool top = strcmp(how, "min") == 0;
    if (strcmp(how, "add") == 0 || strcmp(how, "mul") == 0)
        return ubp_emit_integer(a->e, d, *how == 'm');
    if (ubp_is_float(d))
        return ubp_emit_number(a->e, d, top ? INFINITY : -INFINITY);
    if (d == UB_BOOL || ubp_is_unsigned(d) || ub_dtype_size(d) > 8) {
        if (top)
            ubp_at_refuse(a, "this kind of reduction of such integers");
        return ubp_emit_integer(a->e, d, 0);
    }
    const int shift = 64 - 8 * (int)ub_dtype_size(d);
    return ubp_emit_integer(a->e, d, top ? INT64_MAX >> shift : INT64_MIN >> shift);
}

static int32_t scattered(ubp_at *a, const char *how, int axis, int32_t x, int32_t index,
                         int32_t src)
{
    const int32_t in[] = {x, index, src};
    const ubp_attr attrs[] = {ubp_emit_int("axis", axis), ubp_emit_string("reduction", how)};
    return ubp_emit_node(a->e, "ScatterElements", 3, in, 2, attrs);
}

static int32_t everywhere(ubp_at *a, int32_t number, int32_t like)
{
    return ubp_emit_2(a->e, "Expand", number, ubp_emit_shape(a->e, like));
}

/* The sums over how many they are. */
static int32_t averaged(ubp_at *a, int32_t sum, const ubp_pt2_meta *m, int axis, int32_t index,
                        bool inside)
{
    ubp_emit *e = a->e;
    const int32_t one = ubp_emit_integer(e, m->dtype, 1);
    const int32_t first = everywhere(a, ubp_emit_integer(e, m->dtype, inside), sum);
    const int32_t count = ubp_emit_2(
        e, "Max", scattered(a, "add", axis, first, index, everywhere(a, one, index)), one);
    if (!ubp_is_float(m->dtype)) /* rounded down */
        sum = ubp_emit_2(e, "Sub", sum, ubp_emit_2(e, "Mod", sum, count));
    return ubp_emit_2(e, "Div", sum, count);
}

/* How `reduce` is called in ONNX, "mean" as it is; NULL: not known. */
static const char *reduction(ubp_at *a)
{
    static const char *const names[][2] = {{"sum", "add"},     {"prod", "mul"}, {"amax", "max"},
                                           {"amin", "min"},    {"add", "add"},  {"mean", "mean"},
                                           {"multiply", "mul"}};
    if (!ubp_at_given(a, "reduce"))
        return ubp_at_word(a);
    const char *asked = ubp_at_string(a, "reduce", "");
    for (int i = 0; i < UBP_COUNT(names); i++)
        if (strcmp(asked, names[i][0]) == 0)
            return names[i][1];
    return NULL;
}

/* src, or value for every index; of a larger src the part over the index counts. */
static int32_t scatter_source(ubp_at *a, const ubp_pt2_meta *m, int32_t index)
{
    ubp_pt2_meta im, sm;
    if (!ubp_at_given(a, "src"))
        return everywhere(a, ubp_at_operand(a, "value", m->dtype), index);
    int32_t src = ubp_at_tensor(a, "src");
    if (!ubp_at_meta(a, "index", &im) || !ubp_at_meta(a, "src", &sm) || im.rank != sm.rank)
        return src;
    for (int i = 0; i < im.rank; i++)
        if (im.dims[i] >= 0 && sm.dims[i] != im.dims[i])
            src = ubp_emit_slice(a->e, src, i, 0, im.dims[i], 1);
    return src;
}

static void make_scatter(ubp_at *a)
{
    ubp_pt2_meta m;
    int32_t x;
    if (!read_self(a, &x, &m))
        return;
    const int32_t index = ubp_at_tensor(a, "index");
    const int axis = ubp_at_axis(a, "dim", 0, m.rank);
    const char *how = reduction(a);
    const bool inside = ubp_at_bool(a, "include_self", true);
    if (!how || m.rank == 0) {
        ubp_at_refuse(a, "this kind of reduction");
        return;
    }
    const bool mean = strcmp(how, "mean") == 0;
    how = mean ? "add" : how;
    const int32_t src = scatter_source(a, &m, index);
    if (!inside) /* what is written to counts from nothing */
        x = scattered(a, "none", axis, x, index, everywhere(a, neutral(a, how, m.dtype), index));
    x = scattered(a, how, axis, x, index, src);
    ubp_at_give(a, 0, mean ? averaged(a, x, &m, axis, index, inside) : x);
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
        const int32_t there = ubp_emit_2(e, "Gather", turned, index);
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

/* ---- Parts of an axis -------------------------------------------------------------------------
 */

/* slice_scatter, select_scatter: self with a part of an axis replaced. */
static void make_part_scatter(ubp_at *a)
{
    ubp_emit *e = a->e;
    ubp_pt2_meta m;
    int32_t x;
    if (!read_self(a, &x, &m))
        return;
    int32_t src = ubp_at_tensor(a, "src");
    const int64_t axis = ubp_at_axis(a, "dim", 0, m.rank);
    const bool select = strcmp(ubp_at_word(a), "select") == 0;
    ubp_pt2_view v = {.kind = UBP_PT2_SLICE, .axis = (int)axis, .step = ubp_at_int(a, "step", 1)};
    v.start = ubp_at_int(a, select ? "index" : "start", 0);
    v.end = ubp_at_int(a, "end", INT64_MAX);
    if (select)
        v.end = v.start == -1 ? INT64_MAX : v.start + (v.start < INT64_MAX);
    if (m.rank == 0) {
        ubp_at_refuse(a, "a scalar");
        return;
    }
    if (select)
        src = ubp_emit_unsqueeze(e, src, &axis, 1);
    const int32_t y = ubp_pt2_put_slice(e, x, &v, m.dims[axis], src);
    if (y == UBP_NO_VALUE)
        ubp_at_refuse(a, "every n-th entry of an axis that is very long or of no fixed size");
    ubp_at_give(a, 0, y);
}

/* ---- Diagonals --------------------------------------------------------------------------------
 */

enum { MOST = 1 << 12 }; /* of an axis */

/* True where c - r is offset: [rows, columns]. */
static int32_t diagonal_mask(ubp_at *a, int64_t rows, int64_t columns, int64_t offset)
{
    ubp_emit *e = a->e;
    const int64_t last = -1;
    int64_t *v = ubp_at_array(a, (size_t)(rows > columns ? rows : columns), sizeof(*v));
    if (!v)
        return UBP_NO_VALUE;
    for (int64_t i = 0; i < columns; i++)
        v[i] = i;
    const int32_t c = ubp_emit_ints(e, v, (int)columns);
    for (int64_t i = 0; i < rows; i++)
        v[i] = i + offset;
    const int32_t r = ubp_emit_unsqueeze(e, ubp_emit_ints(e, v, (int)rows), &last, 1);
    return ubp_emit_2(e, "Equal", c, r);
}

/* A tensor of n axes whose last one is a diagonal of [rows, columns] where one stands in its place:
 * its entries where they are, at least. */
static int32_t spread_diagonal(ubp_at *a, int32_t x, int n, int64_t have, int64_t rows,
                               int64_t columns, int64_t offset)
{
    ubp_emit *e = a->e;
    int64_t pads[2 * UB_MAX_RANK] = {0};
    /* Entry k lies in row k, or, under the main diagonal, in column k. */
    const int64_t size = offset >= 0 ? rows : columns, behind = offset >= 0 ? n : n - 1;
    pads[2 * n - 1] = size - have;
    if (size != have)
        x = ubp_emit_2(e, "Pad", x, ubp_emit_ints(e, pads, 2 * n));
    return ubp_emit_unsqueeze(e, x, &behind, 1);
}

/* From axes with p and q last to their places. */
static int32_t axes_to_place(ubp_at *a, int32_t x, int rank, int p, int q)
{
    int64_t perm[UB_MAX_RANK];
    int next = 0;
    for (int i = 0; i < rank; i++)
        perm[i] = i == p ? rank - 2 : i == q ? rank - 1 : next++;
    return ubp_emit_transpose(a->e, x, rank, perm);
}

static void make_diag_embed(ubp_at *a)
{
    ubp_emit *e = a->e;
    ubp_pt2_meta m;
    int32_t x;
    if (!read_self(a, &x, &m))
        return;
    const int64_t offset = ubp_at_int(a, "offset", 0);
    const int p = ubp_at_axis(a, "dim1", -2, m.rank + 1);
    const int q = ubp_at_axis(a, "dim2", -1, m.rank + 1);
    const int64_t have = m.rank > 0 ? m.dims[m.rank - 1] : -1;
    if (have < 0 || have > MOST || offset > MOST || offset < -MOST || p == q ||
        m.rank + 1 > UB_MAX_RANK) {
        ubp_at_refuse(a, "a diagonal of %lld entries", (long long)have);
        return;
    }
    const int64_t size = have + (offset < 0 ? -offset : offset);
    const int32_t wide = spread_diagonal(a, x, m.rank, have, size, size, offset);
    const int32_t mask = diagonal_mask(a, size, size, offset);
    const int32_t y = ubp_emit_3(e, "Where", mask, wide, ubp_emit_number(e, m.dtype, 0));
    ubp_at_give(a, 0, axes_to_place(a, y, m.rank + 1, p, q));
}

/* self with a diagonal of two of its axes replaced. */
static void make_diagonal_scatter(ubp_at *a)
{
    ubp_pt2_meta m, sm;
    int64_t perm[UB_MAX_RANK];
    int32_t x;
    int n = 0;
    if (!read_self(a, &x, &m))
        return;
    const int32_t src = ubp_at_tensor(a, "src");
    const int64_t offset = ubp_at_int(a, "offset", 0);
    const int p = ubp_at_axis(a, "dim1", 0, m.rank), q = ubp_at_axis(a, "dim2", 1, m.rank);
    if (!ubp_at_meta(a, "src", &sm) || m.rank < 2 || sm.rank != m.rank - 1 || p == q ||
        m.dims[p] < 0 || m.dims[p] > MOST || m.dims[q] < 0 || m.dims[q] > MOST ||
        offset > m.dims[q] || -offset > m.dims[p]) {
        ubp_at_refuse(a, "axes that are very long or of no fixed size");
        return;
    }
    for (int i = 0; i < m.rank; i++)
        if (i != p && i != q)
            perm[n++] = i;
    perm[n++] = p;
    perm[n] = q;
    const int32_t wide =
        spread_diagonal(a, src, sm.rank, sm.dims[sm.rank - 1], m.dims[p], m.dims[q], offset);
    const int32_t y = ubp_emit_3(a->e, "Where", diagonal_mask(a, m.dims[p], m.dims[q], offset),
                                 wide, ubp_emit_transpose(a->e, x, m.rank, perm));
    ubp_at_give(a, 0, axes_to_place(a, y, m.rank, p, q));
}

const ubp_pt2_op ubp_pt2_ops_scatter[] = {
    {"scatter", make_scatter, "none"},
    {"scatter_add", make_scatter, "add"},
    {"scatter_reduce", make_scatter, "none"},
    {"index_add", make_index_write, "add"},
    {"index_copy", make_index_write, "copy"},
    {"index_fill", make_index_write, "fill"},
    {"slice_scatter", make_part_scatter, "slice"},
    {"select_scatter", make_part_scatter, "select"},
    {"diag_embed", make_diag_embed, ""},
    {"diagonal_scatter", make_diagonal_scatter, ""},
    {0},
};
