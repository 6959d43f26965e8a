/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ATen's reductions, sorts and running sums as our operators.
 */
#include <math.h>
#include <string.h>

#include "load/pt2.h"

/* ---- Axes -------------------------------------------------------------------------------------
 */

typedef struct over {
    int32_t x;
    ubp_pt2_meta m;
    int64_t axes[UB_MAX_RANK];
    int n;
    bool all, keep;
} over;

/* self, dim and keepdim. No dim, or an empty list of them: all axes. */
static bool read_over(ubp_at *a, over *o)
{
    *o = (over){.x = ubp_at_tensor(a, "self")};
    o->keep = ubp_at_bool(a, "keepdim", false);
    if (!ubp_at_meta(a, "self", &o->m))
        return false;
    int n = ubp_at_ints(a, "dim", o->axes, UB_MAX_RANK);
    o->all = n < 1;
    if (o->all) {
        n = o->m.rank;
        for (int i = 0; i < n; i++)
            o->axes[i] = i;
    }
    if (o->m.rank == 0)
        n = 0;
    for (int i = 0; i < n; i++)
        if (!ubp_normalize_axis(&o->axes[i], o->m.rank)) {
            ubp_at_refuse(a, "axis %lld of a tensor of %d axes", (long long)o->axes[i], o->m.rank);
            return false;
        }
    o->n = n;
    return !a->refused;
}

static int32_t reduced(ubp_at *a, const char *op, int32_t x, const over *o)
{
    if (o->n == 0)
        return ubp_emit_1(a->e, "Identity", x); /* a scalar */
    return ubp_emit_reduce(a->e, op, x, o->axes, o->n, o->keep);
}

/* How many entries are reduced; refuses when that is not fixed. */
static int64_t count(ubp_at *a, const over *o)
{
    int64_t n = 1;
    for (int i = 0; i < o->n; i++)
        if (o->m.dims[o->axes[i]] < 0 || !ubp_mul_i64(n, o->m.dims[o->axes[i]], &n)) {
            ubp_at_refuse(a, "an axis whose size is not fixed");
            return 1;
        }
    return n;
}

/* In the dtype of the result, which PyTorch computes in. */
static void to_output(ubp_at *a, over *o)
{
    ubp_pt2_meta out;
    ubp_at_dtype(a, "dtype", o->m.dtype);
    if (ubp_at_out_meta(a, 0, &out) && out.dtype != o->m.dtype)
        o->x = ubp_emit_cast(a->e, o->x, out.dtype);
    o->m.dtype = out.dtype;
}

/* ---- Sums, means, extremes --------------------------------------------------------------------
 */

static void make_reduce(ubp_at *a)
{
    over o;
    if (!read_over(a, &o))
        return;
    to_output(a, &o);
    ubp_at_give(a, 0, reduced(a, ubp_at_word(a), o.x, &o));
}

/* The sum without what is NaN. */
static void make_nansum(ubp_at *a)
{
    over o;
    if (!read_over(a, &o))
        return;
    if (ubp_is_float(o.m.dtype))
        o.x = ubp_emit_3(a->e, "Where", ubp_emit_1(a->e, "IsNaN", o.x),
                         ubp_emit_number(a->e, o.m.dtype, 0), o.x);
    to_output(a, &o);
    ubp_at_give(a, 0, reduced(a, "ReduceSum", o.x, &o));
}

static void make_aminmax(ubp_at *a)
{
    over o;
    if (!read_over(a, &o))
        return;
    if (o.m.dtype == UB_BOOL) {
        ubp_at_refuse(a, "bools");
        return;
    }
    ubp_at_give(a, 0, reduced(a, "ReduceMin", o.x, &o));
    ubp_at_give(a, 1, reduced(a, "ReduceMax", o.x, &o));
}

/* amax and amin; max.dim and min.dim give indices too; max.other takes two tensors. */
static void make_extreme(ubp_at *a)
{
    over o;
    const bool max = strcmp(ubp_at_word(a), "max") == 0;
    if (ubp_at_given(a, "other")) {
        const ub_dtype d = ubp_at_promote(a, "self", "other");
        const int32_t x = ubp_at_operand(a, "self", d), y = ubp_at_operand(a, "other", d);
        const char *op = d == UB_BOOL ? (max ? "Or" : "And") : max ? "Max" : "Min";
        ubp_at_give(a, 0, ubp_emit_2(a->e, op, x, y));
        return;
    }
    if (!read_over(a, &o))
        return;
    const bool logical = o.m.dtype == UB_BOOL;
    int32_t x = logical ? ubp_emit_cast(a->e, o.x, UB_I32) : o.x;
    int32_t y = reduced(a, max ? "ReduceMax" : "ReduceMin", x, &o);
    ubp_at_give(a, 0, logical ? ubp_emit_cast(a->e, y, UB_BOOL) : y);
    if (a->n_out < 2)
        return;
    const ubp_attr attrs[] = {ubp_emit_int("axis", o.axes[0]), ubp_emit_int("keepdims", o.keep)};
    if (o.n == 0)
        y = ubp_emit_integer(a->e, UB_I64, 0);
    else
        y = ubp_emit_node(a->e, max ? "ArgMax" : "ArgMin", 1, &x, 2, attrs);
    ubp_at_give(a, 1, y);
}

static void make_arg(ubp_at *a)
{
    over o;
    if (!read_over(a, &o))
        return;
    int32_t x = o.m.dtype == UB_BOOL ? ubp_emit_cast(a->e, o.x, UB_I32) : o.x;
    const int64_t flat = -1;
    if (o.all)
        x = ubp_emit_reshape(a->e, x, 1, &flat);
    const ubp_attr attrs[] = {ubp_emit_int("axis", o.all ? 0 : o.axes[0]),
                              ubp_emit_int("keepdims", o.keep && !o.all)};
    int32_t y = ubp_emit_node(a->e, ubp_at_word(a), 1, &x, 2, attrs);
    if (o.all && o.keep)
        y = ubp_emit_unsqueeze(a->e, y, o.axes, o.n);
    ubp_at_give(a, 0, y);
}

static void make_any(ubp_at *a)
{
    over o;
    if (!read_over(a, &o))
        return;
    int32_t x = o.m.dtype == UB_BOOL ? o.x : ubp_emit_cast(a->e, o.x, UB_BOOL);
    x = reduced(a, ubp_at_word(a), ubp_emit_cast(a->e, x, UB_I32), &o);
    ubp_at_give(a, 0, ubp_emit_cast(a->e, x, UB_BOOL));
}

static void make_count(ubp_at *a)
{
    over o;
    if (!read_over(a, &o))
        return;
    const int32_t is = o.m.dtype == UB_BOOL ? o.x : ubp_emit_cast(a->e, o.x, UB_BOOL);
    ubp_at_give(a, 0, reduced(a, "ReduceSum", ubp_emit_cast(a->e, is, UB_I64), &o));
}

/* ---- Variance ---------------------------------------------------------------------------------
 */

/* How many entries are reduced, less the correction, as a number that may come out in the run. */
static int32_t degrees(ubp_at *a, const over *o, double correction)
{
    ubp_emit *e = a->e;
    int32_t n = UBP_NO_VALUE;
    double known = 1;
    for (int i = 0; i < o->n; i++) {
        const int64_t size = o->m.dims[o->axes[i]];
        if (size >= 0) {
            known *= (double)size;
            continue;
        }
        const int32_t one = ubp_emit_cast(e, ubp_emit_size(e, o->x, (int)o->axes[i]), o->m.dtype);
        n = n == UBP_NO_VALUE ? one : ubp_emit_2(e, "Mul", n, one);
    }
    if (n == UBP_NO_VALUE)
        return ubp_emit_number(e, o->m.dtype, known > correction ? known - correction : 0);
    const int64_t front = 0;
    n = ubp_emit_squeeze(e, n, &front, 1);
    if (known != 1)
        n = ubp_emit_2(e, "Mul", n, ubp_emit_number(e, o->m.dtype, known));
    n = ubp_emit_2(e, "Sub", n, ubp_emit_number(e, o->m.dtype, correction));
    return ubp_emit_2(e, "Max", n, ubp_emit_number(e, o->m.dtype, 0));
}

static void make_var(ubp_at *a)
{
    ubp_emit *e = a->e;
    over o;
    const char *word = ubp_at_word(a);
    if (!read_over(a, &o))
        return;
    const bool unbiased = ubp_at_bool(a, "unbiased", true);
    const double correction = ubp_at_float(a, "correction", unbiased ? 1 : 0);
    const int32_t mean = ubp_emit_reduce(e, "ReduceMean", o.x, o.axes, o.n, true);
    const int32_t off = ubp_emit_2(e, "Sub", o.x, mean);
    const int32_t sum = reduced(a, "ReduceSum", ubp_emit_2(e, "Mul", off, off), &o);
    int32_t y = ubp_emit_2(e, "Div", sum, degrees(a, &o, correction));
    if (strncmp(word, "std", 3) == 0)
        y = ubp_emit_1(e, "Sqrt", y);
    ubp_at_give(a, 0, y);
    ubp_at_give(a, 1, reduced(a, "ReduceMean", o.x, &o));
}

/* ---- Norms ------------------------------------------------------------------------------------
 */

static void make_norm(ubp_at *a)
{
    ubp_emit *e = a->e;
    over o;
    const double p = ubp_at_float(a, strcmp(ubp_at_word(a), "p") == 0 ? "p" : "ord", 2);
    if (!read_over(a, &o))
        return;
    to_output(a, &o);
    const int32_t x = ubp_emit_1(e, "Abs", o.x);
    if (p == 2) {
        ubp_at_give(a, 0, reduced(a, o.n ? "ReduceL2" : "Abs", o.n ? o.x : x, &o));
    } else if (p == 1) {
        ubp_at_give(a, 0, reduced(a, "ReduceSum", x, &o));
    } else if (isinf(p)) {
        ubp_at_give(a, 0, reduced(a, p > 0 ? "ReduceMax" : "ReduceMin", x, &o));
    } else if (p == 0) {
        const int32_t is = ubp_emit_cast(e, ubp_emit_cast(e, x, UB_BOOL), o.m.dtype);
        ubp_at_give(a, 0, reduced(a, "ReduceSum", is, &o));
    } else {
        const int32_t power = ubp_emit_2(e, "Pow", x, ubp_emit_number(e, o.m.dtype, p));
        const int32_t sum = reduced(a, "ReduceSum", power, &o);
        ubp_at_give(a, 0, ubp_emit_2(e, "Pow", sum, ubp_emit_number(e, o.m.dtype, 1 / p)));
    }
}

/* ---- Running sums, sorts ----------------------------------------------------------------------
 */

static void make_cumulate(ubp_at *a)
{
    over o;
    if (!read_over(a, &o))
        return;
    to_output(a, &o);
    if (o.m.rank == 0) {
        ubp_at_give(a, 0, ubp_emit_1(a->e, "Identity", o.x));
        return;
    }
    const int32_t in[] = {o.x, ubp_emit_integer(a->e, UB_I64, o.axes[0])};
    ubp_at_give(a, 0, ubp_emit_node(a->e, ubp_at_word(a), 2, in, 0, NULL));
}

static void top(ubp_at *a, int32_t x, int axis, int32_t k, bool largest, int32_t *out)
{
    const int32_t in[] = {x, k};
    const ubp_attr attrs[] = {ubp_emit_int("axis", axis), ubp_emit_int("largest", largest),
                              ubp_emit_int("sorted", 1)};
    ubp_emit_many(a->e, "TopK", 2, in, 3, attrs, 2, out);
}

static void make_topk(ubp_at *a)
{
    ubp_pt2_meta m;
    int32_t out[2];
    const int32_t x = ubp_at_tensor(a, "self");
    const ubp_pt2_size k = ubp_at_size(a, "k", 1);
    if (!ubp_at_meta(a, "self", &m))
        return;
    const int axis = ubp_at_axis(a, "dim", -1, m.rank);
    ubp_at_ignore(a, "sorted");
    if (m.rank == 0) {
        ubp_at_refuse(a, "a scalar");
        return;
    }
    top(a, x, axis, ubp_at_shape(a, &k, 1), ubp_at_bool(a, "largest", true), out);
    ubp_at_give(a, 0, out[0]);
    ubp_at_give(a, 1, out[1]);
}

static void make_sort(ubp_at *a)
{
    ubp_pt2_meta m;
    int32_t out[2];
    int32_t x = ubp_at_tensor(a, "self");
    if (!ubp_at_meta(a, "self", &m))
        return;
    const bool rows = strcmp(a->base, "msort") == 0;
    const int axis = ubp_at_axis(a, "dim", rows ? 0 : -1, m.rank);
    if (m.rank == 0) {
        ubp_at_refuse(a, "a scalar");
        return;
    }
    const bool logical = m.dtype == UB_BOOL;
    if (logical)
        x = ubp_emit_cast(a->e, x, UB_I32);
    top(a, x, axis, ubp_emit_size(a->e, x, axis), ubp_at_bool(a, "descending", false), out);
    if (logical)
        out[0] = ubp_emit_cast(a->e, out[0], UB_BOOL);
    const bool indices = strcmp(ubp_at_word(a), "indices") == 0;
    ubp_at_give(a, 0, indices ? out[1] : out[0]);
    ubp_at_give(a, 1, out[1]);
}

/* The k-th smallest, and the median: the lower of two in the middle. */
static void make_kth(ubp_at *a)
{
    over o;
    int32_t out[2];
    const int64_t flat = -1;
    if (!read_over(a, &o))
        return;
    const bool median = strcmp(ubp_at_word(a), "median") == 0;
    if (!median && o.all && o.m.rank > 0) { /* the last axis, when none is given */
        o.all = false;
        o.axes[0] = o.m.rank - 1;
        o.n = 1;
    }
    const int64_t k = median ? (count(a, &o) + 1) / 2 : ubp_at_int(a, "k", 1);
    const int axis = o.all && o.m.rank != 1 ? 0 : (int)o.axes[0];
    const int32_t x = o.all ? ubp_emit_reshape(a->e, o.x, 1, &flat) : o.x;
    top(a, x, o.all ? 0 : axis, ubp_emit_ints(a->e, &k, 1), false, out);
    for (int i = 0; i < 2; i++) {
        const int64_t at = o.all ? 0 : axis;
        int32_t y = ubp_emit_slice(a->e, out[i], (int)at, k - 1, k, 1);
        if (o.all || !o.keep)
            y = ubp_emit_squeeze(a->e, y, &at, 1);
        ubp_at_give(a, i, y);
    }
}

const ubp_pt2_op ubp_pt2_ops_reduce[] = {
    {"sum", make_reduce, "ReduceSum"},
    {"mean", make_reduce, "ReduceMean"},
    {"prod", make_reduce, "ReduceProd"},
    {"logsumexp", make_reduce, "ReduceLogSumExp"},
    {"nansum", make_nansum, ""},
    {"aminmax", make_aminmax, ""},
    {"amax", make_extreme, "max"},
    {"amin", make_extreme, "min"},
    {"max", make_extreme, "max"},
    {"min", make_extreme, "min"},
    {"argmax", make_arg, "ArgMax"},
    {"argmin", make_arg, "ArgMin"},
    {"any", make_any, "ReduceMax"},
    {"all", make_any, "ReduceMin"},
    {"count_nonzero", make_count, ""},
    {"var", make_var, "var"},
    {"std", make_var, "std"},
    {"var_mean", make_var, "var"},
    {"std_mean", make_var, "std"},
    {"norm", make_norm, "p"},
    {"linalg_vector_norm", make_norm, "ord"},
    {"frobenius_norm", make_norm, "ord"},
    {"cumsum", make_cumulate, "CumSum"},
    {"cumprod", make_cumulate, "CumProd"},
    {"topk", make_topk, ""},
    {"sort", make_sort, ""},
    {"argsort", make_sort, "indices"},
    {"msort", make_sort, ""},
    {"kthvalue", make_kth, ""},
    {"median", make_kth, "median"},
    {0},
};
