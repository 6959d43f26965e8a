/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ATen's products of matrices, distances and embeddings as our operators. Weights stay as they are
 * in the file; what ONNX wants turned is turned by a node.
 */
#include <math.h>
#include <string.h>

#include "load/pt2.h"

/* ---- Products ---------------------------------------------------------------------------------
 */

static int32_t transposed(ubp_at *a, int32_t w, int rank)
{
    return ubp_emit_swap(a->e, w, rank, rank - 2, rank - 1);
}

static void make_linear(ubp_at *a)
{
    ubp_pt2_meta x, w;
    const int32_t in[] = {ubp_at_tensor(a, "input"), ubp_at_tensor(a, "weight"),
                          ubp_at_optional(a, "bias")};
    if (!ubp_at_meta(a, "input", &x) || !ubp_at_meta(a, "weight", &w))
        return;
    if (x.rank == 2 && w.rank == 2) {
        const ubp_attr turn = ubp_emit_int("transB", 1);
        ubp_at_give(a, 0, ubp_emit_node(a->e, "Gemm", 3, in, 1, &turn));
        return;
    }
    const int32_t turned = w.rank == 2 ? transposed(a, in[1], 2) : in[1];
    int32_t y = ubp_emit_2(a->e, "MatMul", in[0], turned);
    if (in[2] != UBP_NO_VALUE)
        y = ubp_emit_2(a->e, "Add", y, in[2]);
    ubp_at_give(a, 0, y);
}

static void make_matmul(ubp_at *a)
{
    const bool vector = strcmp(ubp_at_word(a), "vec") == 0;
    const char *right = vector ? "vec" : strcmp(ubp_at_word(a), "mat2") == 0 ? "mat2" : "other";
    if (ubp_at_given(a, "tensor"))
        right = "tensor";
    const int32_t x = ubp_at_tensor(a, "self"), y = ubp_at_tensor(a, right);
    ubp_at_give(a, 0, ubp_emit_2(a->e, "MatMul", x, y));
}

/* Sums over the last axes of both: the result has the other axes of self, then those of other. */
static void make_inner(ubp_at *a)
{
    ubp_pt2_meta mx, my;
    const int32_t x = ubp_at_tensor(a, "self"), y = ubp_at_tensor(a, "other");
    if (!ubp_at_meta(a, "self", &mx) || !ubp_at_meta(a, "other", &my))
        return;
    if (mx.rank == 0 || my.rank == 0)
        ubp_at_give(a, 0, ubp_emit_2(a->e, "Mul", x, y));
    else if (my.rank > 2)
        ubp_at_refuse(a, "tensors of %d and %d axes", mx.rank, my.rank);
    else
        ubp_at_give(a, 0, ubp_emit_2(a->e, "MatMul", x, my.rank == 2 ? transposed(a, y, 2) : y));
}

/* beta * self + alpha * (x @ y) */
static void make_addmm(ubp_at *a)
{
    static const char *const names[][2] = {
        {"mat1", "mat2"}, {"batch1", "batch2"}, {"mat", "vec"}, {"vec1", "vec2"}};
    const int k = *ubp_at_word(a) - '0';
    const int64_t front = 0, back = 1;
    ubp_pt2_meta m;
    ubp_emit *e = a->e;
    int32_t in[] = {ubp_at_tensor(a, names[k][0]), ubp_at_tensor(a, names[k][1]),
                    ubp_at_tensor(a, "self")};
    const double alpha = ubp_at_float(a, "alpha", 1), beta = ubp_at_float(a, "beta", 1);
    if (!ubp_at_out_meta(a, 0, &m))
        return;
    if (k == 0 && ubp_is_float(m.dtype)) {
        const ubp_attr attrs[] = {ubp_emit_float("alpha", alpha), ubp_emit_float("beta", beta)};
        ubp_at_give(a, 0, ubp_emit_node(e, "Gemm", beta == 0 ? 2 : 3, in, 2, attrs));
        return;
    }
    if (strcmp(a->base, "addr") == 0) { /* a column and a row */
        in[0] = ubp_emit_unsqueeze(e, in[0], &back, 1);
        in[1] = ubp_emit_unsqueeze(e, in[1], &front, 1);
    }
    int32_t y = ubp_emit_2(e, k == 3 ? "Mul" : "MatMul", in[0], in[1]);
    if (strcmp(a->base, "addbmm") == 0)
        y = ubp_emit_reduce(e, "ReduceSum", y, &front, 1, false);
    if (alpha != 1)
        y = ubp_emit_2(e, "Mul", y, ubp_emit_number(e, m.dtype, alpha));
    int32_t more = in[2];
    if (beta != 1)
        more = ubp_emit_2(e, "Mul", more, ubp_emit_number(e, m.dtype, beta));
    ubp_at_give(a, 0, beta == 0 ? y : ubp_emit_2(e, "Add", y, more));
}

static void make_outer(ubp_at *a)
{
    const int64_t back = 1, front = 0;
    const int32_t x = ubp_emit_unsqueeze(a->e, ubp_at_tensor(a, "self"), &back, 1);
    const int32_t y = ubp_emit_unsqueeze(a->e, ubp_at_tensor(a, "vec2"), &front, 1);
    ubp_at_give(a, 0, ubp_emit_2(a->e, "Mul", x, y));
}

/* The axes of both that are summed over meet as one: a product of two matrices. */
static void make_tensordot(ubp_at *a)
{
    ubp_emit *e = a->e;
    ubp_pt2_meta m[2];
    static const char *const names[] = {"self", "other"}, *const lists[] = {"dims_self",
                                                                            "dims_other"};
    int32_t side[2];
    ubp_pt2_size sizes[2 * UB_MAX_RANK];
    int n_sizes = 0;
    for (int k = 0; k < 2; k++) {
        int64_t over[UB_MAX_RANK], perm[UB_MAX_RANK];
        bool summed[UB_MAX_RANK] = {false};
        const int32_t x = ubp_at_tensor(a, names[k]);
        const int n = ubp_at_ints(a, lists[k], over, UB_MAX_RANK);
        if (!ubp_at_meta(a, names[k], &m[k]) || n < 0)
            return;
        int64_t all = 1;
        for (int i = 0; i < n; i++) {
            if (!ubp_normalize_axis(&over[i], m[k].rank) || summed[over[i]] ||
                m[k].dims[over[i]] < 0 || !ubp_mul_i64(all, m[k].dims[over[i]], &all)) {
                ubp_at_refuse(a, "a sum over axes whose sizes are not fixed");
                return;
            }
            summed[over[i]] = true;
        }
        int at = k == 0 ? 0 : n;
        for (int i = 0; i < m[k].rank; i++)
            if (!summed[i]) {
                perm[at++] = i;
                sizes[n_sizes] = (ubp_pt2_size){m[k].dims[i], UBP_NO_VALUE};
                if (m[k].dims[i] < 0)
                    sizes[n_sizes].value = ubp_emit_size(e, x, i);
                n_sizes++;
            }
        for (int i = 0; i < n; i++)
            perm[k == 0 ? m[k].rank - n + i : i] = over[i];
        const int64_t dims[] = {k == 0 ? -1 : all, k == 0 ? all : -1};
        side[k] = ubp_emit_reshape(e, ubp_emit_transpose(e, x, m[k].rank, perm), 2, dims);
    }
    ubp_at_give(a, 0,
                ubp_emit_2(e, "Reshape", ubp_emit_2(e, "MatMul", side[0], side[1]),
                           ubp_at_shape(a, sizes, n_sizes)));
}

static void make_einsum(ubp_at *a)
{
    int32_t *in = NULL;
    const char *equation = ubp_at_string(a, "equation", "");
    char *copy = ubp_at_array(a, strlen(equation) + 1, 1);
    const int n = ubp_at_tensors(a, "tensors", &in, NULL);
    if (ubp_at_given(a, "path"))
        ubp_at_ignore(a, "path");
    if (!copy)
        return;
    strcpy(copy, equation);
    const ubp_attr attr = ubp_emit_string("equation", copy);
    ubp_at_give(a, 0, ubp_emit_node(a->e, "Einsum", n, in, 1, &attr));
}

/* x1' W x2 for each feature of the result. */
static void make_bilinear(ubp_at *a)
{
    const int32_t x = ubp_at_tensor(a, "input1"), y = ubp_at_tensor(a, "input2");
    const int32_t w = ubp_at_tensor(a, "weight"), b = ubp_at_optional(a, "bias");
    const ubp_attr first = ubp_emit_string("equation", "...i,oij->...oj");
    const ubp_attr second = ubp_emit_string("equation", "...oj,...j->...o");
    const int32_t in[] = {x, w};
    const int32_t half[] = {ubp_emit_node(a->e, "Einsum", 2, in, 1, &first), y};
    int32_t out = ubp_emit_node(a->e, "Einsum", 2, half, 1, &second);
    if (b != UBP_NO_VALUE)
        out = ubp_emit_2(a->e, "Add", out, b);
    ubp_at_give(a, 0, out);
}

/* dot(x, y) / (max(|x|, eps) * max(|y|, eps)) along an axis. */
static void make_cosine(ubp_at *a)
{
    ubp_emit *e = a->e;
    ubp_pt2_meta m;
    const int32_t x = ubp_at_tensor(a, "x1"), y = ubp_at_tensor(a, "x2");
    if (!ubp_at_meta(a, "x1", &m))
        return;
    const int64_t axis = ubp_at_axis(a, "dim", 1, m.rank);
    const int32_t least = ubp_emit_number(e, m.dtype, ubp_at_float(a, "eps", 1e-8));
    const int32_t dot =
        ubp_emit_reduce(e, "ReduceSum", ubp_emit_2(e, "Mul", x, y), &axis, 1, false);
    const int32_t nx =
        ubp_emit_2(e, "Max", ubp_emit_reduce(e, "ReduceL2", x, &axis, 1, false), least);
    const int32_t ny =
        ubp_emit_2(e, "Max", ubp_emit_reduce(e, "ReduceL2", y, &axis, 1, false), least);
    ubp_at_give(a, 0, ubp_emit_2(e, "Div", dot, ubp_emit_2(e, "Mul", nx, ny)));
}

/* Entries start .. start + 3 of an axis of three, in turn. */
static int32_t turned(ubp_at *a, int32_t x, int axis, int64_t start)
{
    const int32_t parts[] = {ubp_emit_slice(a->e, x, axis, start, INT64_MAX, 1),
                             ubp_emit_slice(a->e, x, axis, 0, start, 1)};
    return ubp_emit_concat(a->e, parts, 2, axis);
}

static void make_cross(ubp_at *a)
{
    ubp_emit *e = a->e;
    ubp_pt2_meta m;
    const int32_t x = ubp_at_tensor(a, "self"), y = ubp_at_tensor(a, "other");
    if (!ubp_at_meta(a, "self", &m))
        return;
    int axis = -1;
    if (strcmp(a->base, "cross") != 0 || ubp_at_given(a, "dim"))
        axis = ubp_at_axis(a, "dim", -1, m.rank);
    for (int i = 0; i < m.rank && axis < 0; i++)
        axis = m.dims[i] == 3 ? i : -1;
    if (axis < 0 || m.rank == 0 || m.dims[axis] != 3) {
        ubp_at_refuse(a, "no axis of three");
        return;
    }
    const int32_t p = ubp_emit_2(e, "Mul", turned(a, x, axis, 1), turned(a, y, axis, 2));
    const int32_t q = ubp_emit_2(e, "Mul", turned(a, x, axis, 2), turned(a, y, axis, 1));
    ubp_at_give(a, 0, ubp_emit_2(e, "Sub", p, q));
}

/* The decomposed form of bilinear: the sum over some axes of a product of three, each with new
 * axes.
 */
static void make_trilinear(ubp_at *a)
{
    static const char *const names[][2] = {{"i1", "expand1"}, {"i2", "expand2"}, {"i3", "expand3"}};
    ubp_emit *e = a->e;
    int32_t y = UBP_NO_VALUE;
    int64_t axes[UB_MAX_RANK];
    for (int k = 0; k < 3; k++) {
        int32_t x = ubp_at_tensor(a, names[k][0]);
        const int n = ubp_at_ints(a, names[k][1], axes, UB_MAX_RANK);
        if (n > 0)
            x = ubp_emit_unsqueeze(e, x, axes, n);
        y = k == 0 ? x : ubp_emit_2(e, "Mul", y, x);
    }
    const int n = ubp_at_ints(a, "sumdim", axes, UB_MAX_RANK);
    ubp_at_ignore(a, "unroll_dim");
    ubp_at_give(a, 0, n > 0 ? ubp_emit_reduce(e, "ReduceSum", y, axes, n, false) : y);
}

/* ---- Distances --------------------------------------------------------------------------------
 */

/* The p-norm over the last axis of what is not negative. */
static int32_t p_norm(ubp_at *a, int32_t x, double p, ub_dtype d)
{
    ubp_emit *e = a->e;
    const int64_t last = -1;
    if (p == 2)
        return ubp_emit_reduce(e, "ReduceL2", x, &last, 1, false);
    if (p == 1)
        return ubp_emit_reduce(e, "ReduceSum", x, &last, 1, false);
    if (isinf(p))
        return ubp_emit_reduce(e, "ReduceMax", x, &last, 1, false);
    if (p == 0)
        return ubp_emit_reduce(e, "ReduceSum", ubp_emit_cast(e, ubp_emit_cast(e, x, UB_BOOL), d),
                               &last, 1, false);
    const int32_t power = ubp_emit_2(e, "Pow", x, ubp_emit_number(e, d, p));
    return ubp_emit_2(e, "Pow", ubp_emit_reduce(e, "ReduceSum", power, &last, 1, false),
                      ubp_emit_number(e, d, 1 / p));
}

/* The distances of all rows of x1 from all rows of x2. */
static void make_cdist(ubp_at *a)
{
    ubp_emit *e = a->e;
    ubp_pt2_meta m, my;
    const int32_t x = ubp_at_tensor(a, "x1"), y = ubp_at_tensor(a, "x2");
    ubp_at_ignore(a, "compute_mode"); /* another order of the same arithmetic */
    if (!ubp_at_meta(a, "x1", &m) || !ubp_at_meta(a, "x2", &my))
        return;
    if (m.rank < 2 || my.rank < 2) {
        ubp_at_refuse(a, "rows of %d axes", m.rank);
        return;
    }
    const int64_t rows = m.rank - 1, columns = my.rank - 2;
    const int32_t gap = ubp_emit_2(e, "Sub", ubp_emit_unsqueeze(e, x, &rows, 1),
                                   ubp_emit_unsqueeze(e, y, &columns, 1));
    ubp_at_give(a, 0, p_norm(a, ubp_emit_1(e, "Abs", gap), ubp_at_float(a, "p", 2), m.dtype));
}

static void make_pairwise_distance(ubp_at *a)
{
    ubp_emit *e = a->e;
    ubp_pt2_meta m;
    const int64_t last = -1;
    const int32_t x = ubp_at_tensor(a, "x1"), y = ubp_at_tensor(a, "x2");
    if (!ubp_at_meta(a, "x1", &m))
        return;
    const int32_t eps = ubp_emit_number(e, m.dtype, ubp_at_float(a, "eps", 1e-6));
    const int32_t gap = ubp_emit_2(e, "Add", ubp_emit_2(e, "Sub", x, y), eps);
    const int32_t d = p_norm(a, ubp_emit_1(e, "Abs", gap), ubp_at_float(a, "p", 2), m.dtype);
    ubp_at_give(a, 0, ubp_at_bool(a, "keepdim", false) ? ubp_emit_unsqueeze(e, d, &last, 1) : d);
}

/* ---- Embeddings -------------------------------------------------------------------------------
 */

static void make_embedding(ubp_at *a)
{
    const int32_t in[] = {ubp_at_tensor(a, "weight"), ubp_at_tensor(a, "indices")};
    const ubp_attr axis = ubp_emit_int("axis", 0);
    ubp_at_ignore(a, "padding_idx"); /* only of use in training */
    ubp_at_give(a, 0, ubp_emit_node(a->e, "Gather", 2, in, 1, &axis));
}

/* How long each bag is, when offsets count up from 0 by one step, as they do for rows of indices;
 * else 0. */
static int64_t bag_length(ubp_at *a, int32_t offsets)
{
    const ubp_graph *g = a->p->g;
    int64_t ends[3] = {0};
    if (a->e->status != UB_OK || offsets < 0 || g->values[offsets].producer < 0)
        return 0;
    const ubp_node *n = &g->nodes[g->values[offsets].producer];
    if (strcmp(n->op_type, "Range") != 0 || n->n_in != 3)
        return 0;
    for (int i = 0; i < 3; i += 2) {
        const ub_tensor *t = g->values[n->in[i]].constant;
        if (!t || t->dtype != UB_I64 || ub_tensor_count(t) != 1)
            return 0;
        memcpy(&ends[i], t->data, sizeof(ends[i]));
    }
    return ends[0] == 0 && ends[2] > 0 ? ends[2] : 0;
}

/* Sums, means or maxima of the rows that each bag names. Padding counts as not being there. */
static void make_embedding_bag(ubp_at *a)
{
    ubp_emit *e = a->e;
    ubp_pt2_meta m;
    const int64_t bag = 1, last = -1;
    const int32_t w = ubp_at_tensor(a, "weight");
    const int32_t index = ubp_at_tensor(a, "indices"), offsets = ubp_at_tensor(a, "offsets");
    const int64_t mode = ubp_at_int(a, "mode", 0);
    const int64_t padding = ubp_at_given(a, "padding_idx") ? ubp_at_int(a, "padding_idx", -1) : -1;
    const int64_t length = bag_length(a, offsets), dims[] = {-1, length};
    if (!ubp_at_meta(a, "weight", &m) || length == 0 || mode < 0 || mode > 2 ||
        ubp_at_bool(a, "include_last_offset", false)) {
        ubp_at_refuse(a, "bags that are not rows of one length");
        return;
    }
    const int32_t rows = ubp_emit_reshape(e, index, 2, dims);
    int32_t x = ubp_emit_2(e, "Gather", w, rows), count = UBP_NO_VALUE;
    if (ubp_at_given(a, "per_sample_weights")) {
        const int32_t each = ubp_emit_reshape(e, ubp_at_tensor(a, "per_sample_weights"), 2, dims);
        x = ubp_emit_2(e, "Mul", x, ubp_emit_unsqueeze(e, each, &last, 1));
    }
    if (padding >= 0) {
        const int32_t none = ubp_emit_2(e, "Equal", rows, ubp_emit_integer(e, UB_I64, padding));
        const int32_t there = ubp_emit_cast(e, ubp_emit_1(e, "Not", none), m.dtype);
        count = ubp_emit_2(e, "Max", ubp_emit_reduce(e, "ReduceSum", there, &bag, 1, true),
                           ubp_emit_number(e, m.dtype, 1));
        x = ubp_emit_3(e, "Where", ubp_emit_unsqueeze(e, none, &last, 1),
                       ubp_emit_number(e, m.dtype, mode == 2 ? -INFINITY : 0), x);
    }
    static const char *const words[] = {"ReduceSum", "ReduceMean", "ReduceMax"};
    int32_t y = ubp_emit_reduce(e, words[padding >= 0 && mode == 1 ? 0 : mode], x, &bag, 1, false);
    if (padding >= 0 && mode == 1)
        y = ubp_emit_2(e, "Div", y, count);
    if (padding >= 0 && mode == 2) /* a bag of nothing but padding */
        y = ubp_emit_3(e, "Where",
                       ubp_emit_2(e, "Equal", y, ubp_emit_number(e, m.dtype, -INFINITY)),
                       ubp_emit_number(e, m.dtype, 0), y);
    ubp_at_give(a, 0, y);
}

const ubp_pt2_op ubp_pt2_ops_product[] = {
    {"linear", make_linear, ""},
    {"matmul", make_matmul, "other"},
    {"mm", make_matmul, "mat2"},
    {"bmm", make_matmul, "mat2"},
    {"mv", make_matmul, "vec"},
    {"dot", make_matmul, "other"},
    {"inner", make_inner, ""},
    {"addmm", make_addmm, "0"},
    {"addmv", make_addmm, "2"},
    {"baddbmm", make_addmm, "1"},
    {"outer", make_outer, ""},
    {"ger", make_outer, ""},
    {"einsum", make_einsum, ""},
    {"bilinear", make_bilinear, ""},
    {"_trilinear", make_trilinear, ""},
    {"cosine_similarity", make_cosine, ""},
    {"embedding", make_embedding, ""},
    {"addbmm", make_addmm, "1"},
    {"addr", make_addmm, "3"},
    {"vdot", make_matmul, "other"},
    {"tensordot", make_tensordot, ""},
    {"linalg_cross", make_cross, ""},
    {"cross", make_cross, ""},
    {"cdist", make_cdist, ""},
    {"_cdist_forward", make_cdist, ""},
    {"pairwise_distance", make_pairwise_distance, ""},
    {"embedding_bag", make_embedding_bag, ""},
    {"_embedding_bag", make_embedding_bag, ""},
    {"_embedding_bag_forward_only", make_embedding_bag, ""},
    {0},
};
