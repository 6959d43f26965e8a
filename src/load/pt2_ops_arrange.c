/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ATen's short words for arranging tensors (hstack, rot90, atleast_2d ...), by what they stand for.
 */
#include <string.h>

#include "load/pt2.h"

/* The first of the word's digits. */
static int digit(const char *word)
{
    return *word - '0';
}

/* ---- At least so many axes --------------------------------------------------------------------
 */

/* atleast_nd of x, whose rank becomes *rank. */
static int32_t at_least(ubp_at *a, int32_t x, int *rank, int n)
{
    int64_t axes[3];
    int added = 0;
    if (n == 3 && *rank < 3) { /* [n] -> [1, n, 1], [m, n] -> [m, n, 1] */
        for (int i = *rank; i < 2; i++)
            axes[added++] = *rank == 0 ? i : 0;
        axes[added++] = 2;
    } else {
        for (int i = *rank; i < n; i++, added++)
            axes[added] = added;
    }
    *rank += added;
    return added > 0 ? ubp_emit_unsqueeze(a->e, x, axes, added) : x;
}

static void make_at_least(ubp_at *a)
{
    ubp_pt2_meta m;
    const int32_t x = ubp_at_tensor(a, "self");
    if (!ubp_at_meta(a, "self", &m))
        return;
    const int rank = m.rank, n = digit(ubp_at_word(a));
    ubp_at_give(a, 0, at_least(a, x, &m.rank, n));
    ubp_at_view(a, 0, (ubp_pt2_view){.kind = m.rank == rank ? UBP_PT2_SAME : UBP_PT2_RESHAPE});
}

/* ---- Joining ----------------------------------------------------------------------------------
 */

/* hstack, vstack, dstack, column_stack; the word: axes that all have at least, axis of joining. */
static void make_stacked(ubp_at *a)
{
    ubp_pt2_meta out, *m = NULL;
    int32_t *in = NULL;
    const char *word = ubp_at_word(a);
    const int n = ubp_at_tensors(a, "tensors", &in, &m);
    int axis = digit(word + 1);
    if (!ubp_at_out_meta(a, 0, &out) || n == 0)
        return;
    for (int i = 0; i < n; i++) {
        int rank = m[i].rank;
        const int64_t back = 1;
        if (m[i].dtype != out.dtype)
            in[i] = ubp_emit_cast(a->e, in[i], out.dtype);
        in[i] = at_least(a, in[i], &rank, digit(word));
        if (strcmp(a->base, "column_stack") == 0 && rank == 1)
            in[i] = ubp_emit_unsqueeze(a->e, in[i], &back, 1);
    }
    if (strcmp(a->base, "hstack") == 0 && out.rank == 1)
        axis = 0;
    ubp_at_give(a, 0, ubp_emit_concat(a->e, in, n, axis));
}

static void make_broadcast(ubp_at *a)
{
    ubp_pt2_meta out, *m = NULL;
    int32_t *in = NULL;
    ubp_pt2_size sizes[UB_MAX_RANK];
    const int n = ubp_at_tensors(a, "tensors", &in, &m);
    if (!ubp_at_out_meta(a, 0, &out) || n == 0)
        return;
    for (int i = 0; i < out.rank; i++) {
        sizes[i] = (ubp_pt2_size){out.dims[i], UBP_NO_VALUE};
        for (int k = 0; k < n && out.dims[i] < 0; k++) {
            const int at = i - (out.rank - m[k].rank);
            if (at >= 0 && m[k].dims[at] != 1)
                sizes[i].value = ubp_emit_size(a->e, in[k], at);
        }
    }
    const int32_t shape = ubp_at_shape(a, sizes, out.rank);
    for (int k = 0; k < n; k++)
        ubp_at_give(a, k, ubp_emit_2(a->e, "Expand", in[k], shape));
}

/* ---- Turning ----------------------------------------------------------------------------------
 */

static void make_rot90(ubp_at *a)
{
    ubp_pt2_meta m;
    int64_t axes[2] = {0, 1};
    int32_t x = ubp_at_tensor(a, "self");
    const int64_t k = ((ubp_at_int(a, "k", 1) % 4) + 4) % 4;
    const int n = ubp_at_ints(a, "dims", axes, 2);
    if (!ubp_at_meta(a, "self", &m) || n == 0 || n == 1 || !ubp_normalize_axis(&axes[0], m.rank) ||
        !ubp_normalize_axis(&axes[1], m.rank)) {
        ubp_at_refuse(a, "axes that are not there");
        return;
    }
    /* 1: the second axis reversed, then both swapped; 2: both reversed; 3: the first one, swapped.
     */
    for (int i = 0; i < 2; i++)
        if (k == 2 || (k == 1 && i == 1) || (k == 3 && i == 0))
            x = ubp_emit_slice(a->e, x, (int)axes[i], -1, INT64_MIN, -1);
    if (k % 2 != 0)
        x = ubp_emit_swap(a->e, x, m.rank, (int)axes[0], (int)axes[1]);
    ubp_at_give(a, 0, x);
}

/* ---- Places in a triangle ---------------------------------------------------------------------
 */

static void make_triangle(ubp_at *a)
{
    enum { MOST = 1 << 16 };
    const bool upper = strcmp(ubp_at_word(a), "upper") == 0;
    ubp_pt2_meta out;
    const int64_t rows = ubp_at_int(a, "row", 0), columns = ubp_at_int(a, "col", 0);
    const int64_t offset = ubp_at_int(a, "offset", 0);
    ubp_at_dtype(a, "dtype", UB_I64);
    if (rows < 0 || columns < 0 || rows > MOST || columns > MOST || rows * columns > MOST ||
        offset > MOST || offset < -MOST) {
        ubp_at_refuse(a, "%lld x %lld places", (long long)rows, (long long)columns);
        return;
    }
    int64_t *v = ubp_at_array(a, (size_t)(2 * rows * columns), sizeof(*v)), n = 0;
    if (!v || !ubp_at_out_meta(a, 0, &out))
        return;
    for (int pass = 0; pass < 2; pass++)
        for (int64_t r = 0; r < rows; r++)
            for (int64_t c = 0; c < columns; c++)
                if (upper ? c - r >= offset : c - r <= offset)
                    v[n++] = pass == 0 ? r : c;
    const int64_t dims[] = {2, n / 2};
    const int32_t x = ubp_emit_reshape(a->e, ubp_emit_ints(a->e, v, (int)n), 2, dims);
    ubp_at_give(a, 0, out.dtype == UB_I64 ? x : ubp_emit_cast(a->e, x, out.dtype));
}

const ubp_pt2_op ubp_pt2_ops_arrange[] = {
    {"atleast_1d", make_at_least, "1"},
    {"atleast_2d", make_at_least, "2"},
    {"atleast_3d", make_at_least, "3"},
    {"hstack", make_stacked, "11"},
    {"vstack", make_stacked, "20"},
    {"row_stack", make_stacked, "20"},
    {"dstack", make_stacked, "32"},
    {"column_stack", make_stacked, "11"},
    {"broadcast_tensors", make_broadcast, ""},
    {"rot90", make_rot90, ""},
    {"triu_indices", make_triangle, "upper"},
    {"tril_indices", make_triangle, "lower"},
    {0},
};
