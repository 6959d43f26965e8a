/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Quantised operators of com.microsoft, for QOperator files: QLinearAdd, QLinearMul,
 * QLinearLeakyRelu, QLinearSigmoid, QLinearConcat, QLinearGlobalAveragePool, QLinearAveragePool,
 * QLinearSoftmax, QGemm.
 * Bytes become numbers by scale and zero point (one each for a tensor), the result is rounded back,
 * ties to even. Version 1.
 */
#include "ops/attrs.h"
#include "ops/follow.h"
#include "ops/gemm.h"
#include "ops/move.h"
#include "ops/numbers.h"
#include "ops/rows.h"

#include <math.h>
#include <string.h>

static bool is_byte(const ub_tensor *t)
{
    return t->dtype == UB_U8 || t->dtype == UB_I8;
}

/* Input `in` is of bytes, `in` + 1 one positive float32, `in` + 2 absent or one of the bytes. */
static ub_status want_scale(const ubp_call *c, int scale, const ub_tensor *of)
{
    const ub_tensor *zero = ubp_has_in(c, scale + 1) ? c->in[scale + 1] : NULL;
    if (!ubp_has_in(c, scale) || c->in[scale]->dtype != UB_F32 ||
        ub_tensor_count(c->in[scale]) != 1)
        return ubp_op_fail(c, UB_ERR_UNSUPPORTED, "input %d, expected one float32 as scale", scale);
    if (zero && (ub_tensor_count(zero) != 1 || zero->dtype != of->dtype))
        return ubp_op_fail(c, UB_ERR_SHAPE, "input %d, expected one %s as zero point", scale + 1,
                           ub_dtype_name(of->dtype));
    return UB_OK;
}

static ub_status want_bytes(const ubp_call *c, int in)
{
    if (!ubp_has_in(c, in) || !is_byte(c->in[in]))
        return ubp_op_fail(c, UB_ERR_UNSUPPORTED, "input %d is not uint8 or int8", in);
    return want_scale(c, in + 1, c->in[in]);
}

/* The scale at `in` and the zero point behind it. */
typedef struct scale {
    float scale;
    float zero;
} scale;

static scale read_scale(const ubp_call *c, int in)
{
    scale s = {*(const float *)c->in[in]->data, 0};
    if (ubp_has_in(c, in + 1))
        s.zero = (float)ubp_any_number(c->in[in + 1], 0);
    return s;
}

static float number(const ub_tensor *t, int64_t i, scale s)
{
    const int v = t->dtype == UB_I8 ? ((const int8_t *)t->data)[i] : ((const uint8_t *)t->data)[i];
    return ((float)v - s.zero) * s.scale;
}

static void put_byte(const ub_tensor *t, int64_t i, float v, scale s)
{
    const float low = t->dtype == UB_I8 ? -128 : 0, high = t->dtype == UB_I8 ? 127 : 255;
    v = rintf(v / s.scale) + s.zero;
    v = !(v > low) ? low : v > high ? high : v;
    if (t->dtype == UB_I8)
        ((int8_t *)t->data)[i] = (int8_t)v;
    else
        ((uint8_t *)t->data)[i] = (uint8_t)v;
}

/* Scales and zero points may not differ between samples: all outputs mix where they do. */
static void follow_scales(ubp_batch *b, int first, int last)
{
    for (int i = first; i <= last && i < b->call->n_in; i++)
        ubp_follow_shared(b, 0, i);
}

/* ---- QLinearAdd, QLinearMul -------------------------------------------------------------------
 */

enum { A, A_SCALE, A_ZERO, B, B_SCALE, B_ZERO, C_SCALE, C_ZERO };

static ub_status binary_infer(const ubp_call *c)
{
    int rank;
    int64_t dims[UB_MAX_RANK];
    UBP_TRY(want_bytes(c, A));
    UBP_TRY(want_bytes(c, B));
    UBP_TRY(ubp_want_same_dtype(c, A, B));
    UBP_TRY(want_scale(c, C_SCALE, c->in[A]));
    if (!ubp_broadcast_dims(&rank, dims, c->in[A]->rank, c->in[A]->dims, c->in[B]->rank,
                            c->in[B]->dims))
        return ubp_op_fail(c, UB_ERR_SHAPE, "inputs %d and %d do not broadcast", A, B);
    return ubp_set_out(c, 0, c->in[A]->dtype, rank, dims);
}

/* Both operands as if they were neighbours. */
static void binary_batch(ubp_batch *b)
{
    ubp_call pair = *b->call;
    const ub_tensor *in[2] = {b->call->in[A], b->call->in[B]};
    ubp_samples maps[2] = {b->in[A], b->in[B]};
    pair.n_in = 2;
    pair.in = in;
    ubp_batch both = *b;
    both.call = &pair;
    both.in = maps;
    ubp_samples_broadcast(&both, 0, 0, 1);
    follow_scales(b, A_SCALE, A_ZERO);
    follow_scales(b, B_SCALE, C_ZERO);
}

static ub_status run_binary(const ubp_call *c, bool times)
{
    const ub_tensor *y = c->out[0];
    const scale sa = read_scale(c, A_SCALE), sb = read_scale(c, B_SCALE);
    const scale sy = read_scale(c, C_SCALE);
    ub_tensor a, b;
    UBP_TRY(ub_tensor_broadcast(&a, c->in[A], y->rank, y->dims, c->err));
    UBP_TRY(ub_tensor_broadcast(&b, c->in[B], y->rank, y->dims, c->err));
    int64_t at[UB_MAX_RANK] = {0};
    for (int64_t i = 0; i < ub_tensor_count(y); i++, ubp_next_index(at, y->rank, y->dims)) {
        int64_t in_a = 0, in_b = 0;
        for (int k = 0; k < y->rank; k++) {
            in_a += at[k] * a.strides[k];
            in_b += at[k] * b.strides[k];
        }
        const float u = number(&a, in_a, sa), v = number(&b, in_b, sb);
        put_byte(y, i, times ? u * v : u + v, sy);
    }
    return UB_OK;
}

static ub_status add_ref(const ubp_call *c)
{
    return run_binary(c, false);
}

static ub_status mul_ref(const ubp_call *c)
{
    return run_binary(c, true);
}

/* ---- One operand: QLinearLeakyRelu, QLinearSigmoid, QLinearSoftmax, QLinearGlobalAveragePool ---
 */

enum { X, X_SCALE, X_ZERO, Y_SCALE, Y_ZERO };

typedef struct unary_attr {
    double alpha;
    int64_t axis, opset, channels_last;
} unary_attr;

static ub_status unary_attrs(const ubp_node *n, void *attr, ubp_arena *arena, ub_error *err)
{
    unary_attr *a = attr;
    (void)arena;
    UBP_TRY(ubp_attr_float(n, "alpha", 0.01, &a->alpha, err));
    UBP_TRY(ubp_attr_int(n, "axis", -1, &a->axis, err));
    UBP_TRY(ubp_attr_int(n, "opset", 13, &a->opset, err));
    UBP_TRY(ubp_attr_int(n, "channels_last", 0, &a->channels_last, err));
    if (a->channels_last == 0)
        return UB_OK;
    return ubp_fail(err, UB_ERR_UNSUPPORTED, "node '%s' (%s): channels_last is not supported",
                    n->name, n->op_type);
}

static ub_status unary_infer(const ubp_call *c)
{
    UBP_TRY(want_bytes(c, X));
    UBP_TRY(want_scale(c, Y_SCALE, c->in[X]));
    return ubp_set_like(c, 0, X);
}

static void unary_batch(ubp_batch *b)
{
    ubp_samples_keep(b, 0, X);
    follow_scales(b, X_SCALE, Y_ZERO);
}

static ub_status leaky_ref(const ubp_call *c)
{
    const float alpha = (float)((const unary_attr *)c->attr)->alpha;
    const scale sx = read_scale(c, X_SCALE), sy = read_scale(c, Y_SCALE);
    for (int64_t i = 0; i < ub_tensor_count(c->in[X]); i++) {
        const float v = number(c->in[X], i, sx);
        put_byte(c->out[0], i, v < 0 ? alpha * v : v, sy);
    }
    return UB_OK;
}

static ub_status sigmoid_ref(const ubp_call *c)
{
    const scale sx = read_scale(c, X_SCALE), sy = read_scale(c, Y_SCALE);
    for (int64_t i = 0; i < ub_tensor_count(c->in[X]); i++)
        put_byte(c->out[0], i, (float)(1 / (1 + exp(-(double)number(c->in[X], i, sx)))), sy);
    return UB_OK;
}

/* Lines along one axis; from it on in the form before opset 13. */
static ub_status softmax_lines(const ubp_call *c, int *axis, int64_t *n, int64_t *inner)
{
    const unary_attr *a = c->attr;
    const ub_tensor *x = c->in[X];
    UBP_TRY(ubp_want_axis(c, a->axis, x->rank, axis));
    *n = a->opset < 13 ? ubp_span(x->dims, *axis, x->rank) : x->dims[*axis];
    *inner = a->opset < 13 ? 1 : ubp_span(x->dims, *axis + 1, x->rank);
    return UB_OK;
}

static ub_status softmax_infer(const ubp_call *c)
{
    int axis;
    int64_t n, inner;
    UBP_TRY(ubp_want_rank(c, X, 1, UB_MAX_RANK));
    UBP_TRY(softmax_lines(c, &axis, &n, &inner));
    return unary_infer(c);
}

static void softmax_batch(ubp_batch *b)
{
    const unary_attr *a = b->call->attr;
    int axis = 0;
    int64_t n, inner;
    unary_batch(b);
    if (softmax_lines(b->call, &axis, &n, &inner) != UB_OK || !ubp_has_samples(b, X))
        return;
    if (b->in[X].axis == axis || (a->opset < 13 && b->in[X].axis > axis))
        ubp_samples_couple(b, 0, "softmax over the batch axis");
}

static ub_status softmax_ref(const ubp_call *c)
{
    const ub_tensor *x = c->in[X];
    const scale sx = read_scale(c, X_SCALE), sy = read_scale(c, Y_SCALE);
    int axis = 0;
    int64_t n = 0, inner = 0;
    UBP_TRY(softmax_lines(c, &axis, &n, &inner));
    const int64_t lines = n > 0 ? ub_tensor_count(x) / n : 0;
    for (int64_t line = 0; line < lines; line++) {
        const int64_t first = line / inner * inner * n + line % inner;
        double high = -INFINITY, sum = 0;
        for (int64_t i = 0; i < n; i++)
            high = fmax(high, (double)number(x, first + i * inner, sx));
        for (int64_t i = 0; i < n; i++)
            sum += exp((double)number(x, first + i * inner, sx) - high);
        for (int64_t i = 0; i < n; i++) {
            const int64_t at = first + i * inner;
            put_byte(c->out[0], at, (float)(exp((double)number(x, at, sx) - high) / sum), sy);
        }
    }
    return UB_OK;
}

static ub_status pool_infer(const ubp_call *c)
{
    int64_t dims[UB_MAX_RANK];
    UBP_TRY(want_bytes(c, X));
    UBP_TRY(want_scale(c, Y_SCALE, c->in[X]));
    UBP_TRY(ubp_want_rank(c, X, 3, UB_MAX_RANK));
    const ub_tensor *x = c->in[X];
    for (int i = 0; i < x->rank; i++)
        dims[i] = i < 2 ? x->dims[i] : 1;
    return ubp_set_out(c, 0, x->dtype, x->rank, dims);
}

static void pool_batch(ubp_batch *b)
{
    if (ubp_has_samples(b, X) && b->in[X].axis < 2)
        ubp_samples_axis(b, 0, X, b->in[X].axis);
    else if (ubp_has_samples(b, X))
        ubp_samples_couple(b, 0, "pooling along the batch axis");
    follow_scales(b, X_SCALE, Y_ZERO);
    ubp_samples_fit(b, 0);
}

static ub_status pool_ref(const ubp_call *c)
{
    const ub_tensor *x = c->in[X];
    const scale sx = read_scale(c, X_SCALE), sy = read_scale(c, Y_SCALE);
    const int64_t each = ubp_span(x->dims, 2, x->rank);
    for (int64_t plane = 0; plane < ub_tensor_count(c->out[0]); plane++) {
        int64_t sum = 0;
        for (int64_t i = plane * each; i < (plane + 1) * each; i++)
            sum += x->dtype == UB_I8 ? ((const int8_t *)x->data)[i] : ((const uint8_t *)x->data)[i];
        const double mean = (double)sum / (double)each - (double)sx.zero;
        put_byte(c->out[0], plane, (float)(mean * (double)sx.scale), sy);
    }
    return UB_OK;
}

/* ---- QLinearAveragePool: AveragePool of the numbers -------------------------------------------
 */

extern const ubp_op ubp_op_AveragePool;

static ub_status average_attrs(const ubp_node *n, void *attr, ubp_arena *arena, ub_error *err)
{
    unary_attr own;
    UBP_TRY(unary_attrs(n, &own, arena, err));
    return ubp_op_AveragePool.attrs(n, attr, arena, err);
}

/* The call of AveragePool on x and y in place of the bytes. */
static ubp_call average_call(const ubp_call *c, const ub_tensor *const *x, ub_tensor *const *y)
{
    ubp_call inner = *c;
    inner.op = &ubp_op_AveragePool;
    inner.n_in = inner.n_out = 1;
    inner.in = x;
    inner.out = y;
    return inner;
}

static ub_status average_infer(const ubp_call *c)
{
    UBP_TRY(want_bytes(c, X));
    UBP_TRY(want_scale(c, Y_SCALE, c->in[X]));
    ub_tensor numbers = *c->in[X], pooled;
    const ub_tensor *in[] = {&numbers};
    ub_tensor *out[] = {&pooled};
    const ubp_call inner = average_call(c, in, out);
    numbers.dtype = UB_F32;
    numbers.data = NULL;
    UBP_TRY(ubp_op_AveragePool.infer(&inner));
    return ubp_set_out(c, 0, c->in[X]->dtype, pooled.rank, pooled.dims);
}

static void average_batch(ubp_batch *b)
{
    ubp_batch own = *b;
    const ubp_call inner = average_call(b->call, b->call->in, b->call->out);
    own.call = &inner;
    ubp_op_AveragePool.batch(&own);
    follow_scales(b, X_SCALE, Y_ZERO);
}

static ub_status average_ref(const ubp_call *c)
{
    const scale sx = read_scale(c, X_SCALE), sy = read_scale(c, Y_SCALE);
    ub_tensor x, y;
    const ub_tensor *in[] = {&x};
    ub_tensor *out[] = {&y};
    const ubp_call inner = average_call(c, in, out);
    UBP_TRY(ubp_tensor_describe(&x, UB_F32, c->in[X]->rank, c->in[X]->dims, c->err));
    UBP_TRY(ubp_tensor_describe(&y, UB_F32, c->out[0]->rank, c->out[0]->dims, c->err));
    x.data = ubp_run_scratch(c, ubp_tensor_bytes(&x));
    y.data = ubp_run_scratch(c, ubp_tensor_bytes(&y));
    if (!x.data || !y.data)
        return UB_ERR_MEMORY;
    for (int64_t i = 0; i < ub_tensor_count(&x); i++)
        ((float *)x.data)[i] = number(c->in[X], i, sx);
    UBP_TRY(ubp_op_AveragePool.ref(&inner));
    for (int64_t i = 0; i < ub_tensor_count(&y); i++)
        put_byte(c->out[0], i, ((const float *)y.data)[i], sy);
    return UB_OK;
}

/* ---- QLinearConcat: scale and zero point of the output, then three inputs a part --------------
 */

static ub_status concat_attrs(const ubp_node *n, void *attr, ubp_arena *arena, ub_error *err)
{
    (void)arena;
    return ubp_attr_int(n, "axis", 0, attr, err);
}

static ub_status concat_infer(const ubp_call *c)
{
    const int64_t *wanted = c->attr;
    int64_t dims[UB_MAX_RANK];
    int axis = 0;
    if (c->n_in < 5 || (c->n_in - 2) % 3 != 0)
        return ubp_op_fail(c, UB_ERR_FILE, "%d inputs, expected 2 and 3 a part", c->n_in);
    for (int i = 2; i < c->n_in; i += 3) {
        UBP_TRY(want_bytes(c, i));
        UBP_TRY(ubp_want_same_dtype(c, 2, i));
    }
    const ub_tensor *first = c->in[2];
    UBP_TRY(want_scale(c, 0, first));
    UBP_TRY(ubp_want_axis(c, *wanted, first->rank, &axis));
    memcpy(dims, first->dims, sizeof dims);
    for (int i = 5; i < c->n_in; i += 3) {
        const ub_tensor *t = c->in[i];
        UBP_TRY(ubp_want_rank(c, i, first->rank, first->rank));
        for (int k = 0; k < t->rank; k++)
            if (k != axis && t->dims[k] != dims[k])
                return ubp_op_fail(c, UB_ERR_SHAPE, "input %d differs on axis %d", i, k);
        if (!ubp_add_i64(dims[axis], t->dims[axis], &dims[axis]))
            return ubp_op_fail(c, UB_ERR_SHAPE, "axis %d is too long", axis);
    }
    return ubp_set_out(c, 0, first->dtype, first->rank, dims);
}

static void concat_batch(ubp_batch *b)
{
    const int64_t *wanted = b->call->attr;
    ubp_follow f = ubp_follow_begin(b, 0);
    int axis = 0;
    if (ubp_want_axis(b->call, *wanted, b->call->in[2]->rank, &axis) != UB_OK)
        return;
    follow_scales(b, 0, 1);
    for (int i = 2; i < b->call->n_in; i += 3) {
        ubp_follow_data(b, 0, i);
        follow_scales(b, i + 1, i + 2);
        if (!ubp_follow_has(&f, i))
            continue;
        if (b->in[i].axis == axis)
            ubp_samples_couple(b, 0, "parts are joined along the batch axis");
        else
            ubp_follow_input(&f, i, b->in[i].axis);
    }
    for (int i = 2; f.found && b->n != 1 && i < b->call->n_in; i += 3)
        if (!ubp_follow_has(&f, i))
            ubp_samples_couple(b, 0, "an operand has fixed entries for each sample");
    ubp_follow_end(&f);
    ubp_samples_fit(b, 0);
}

static ub_status concat_ref(const ubp_call *c)
{
    const int64_t *wanted = c->attr;
    const ub_tensor *y = c->out[0];
    const scale sy = read_scale(c, 0);
    int axis = 0;
    UBP_TRY(ubp_want_axis(c, *wanted, y->rank, &axis));
    const int64_t after = ubp_span(y->dims, axis + 1, y->rank);
    int64_t at = 0;
    for (int i = 2; i < c->n_in; i += 3) {
        const ub_tensor *x = c->in[i];
        const scale sx = read_scale(c, i + 1);
        const int64_t line = x->dims[axis] * after, pitch = y->dims[axis] * after;
        for (int64_t k = 0; k < ub_tensor_count(x); k++)
            put_byte(y, k / line * pitch + at + k % line, number(x, k, sx), sy);
        at += line;
    }
    return UB_OK;
}

/* ---- QGemm ------------------------------------------------------------------------------------
 */

enum { Q_A, Q_A_SCALE, Q_A_ZERO, Q_B, Q_B_SCALE, Q_B_ZERO, Q_C, Q_Y_SCALE, Q_Y_ZERO };

typedef struct gemm_attr {
    int64_t trans_a, trans_b;
    double alpha;
} gemm_attr;

static ub_status gemm_attrs(const ubp_node *n, void *attr, ubp_arena *arena, ub_error *err)
{
    gemm_attr *a = attr;
    (void)arena;
    UBP_TRY(ubp_attr_int(n, "transA", 0, &a->trans_a, err));
    UBP_TRY(ubp_attr_int(n, "transB", 0, &a->trans_b, err));
    a->trans_a = a->trans_a != 0;
    a->trans_b = a->trans_b != 0;
    return ubp_attr_float(n, "alpha", 1, &a->alpha, err);
}

/* B's scale and zero point: one, or one a column. */
static ub_status want_columns(const ubp_call *c, int in, int64_t columns)
{
    if (!ubp_has_in(c, in))
        return UB_OK;
    const int64_t n = ub_tensor_count(c->in[in]);
    if (n == 1 || (c->in[in]->rank == 1 && n == columns))
        return UB_OK;
    return ubp_op_fail(c, UB_ERR_SHAPE, "input %d has %lld elements, expected 1 or %lld", in,
                       (long long)n, (long long)columns);
}

static ub_status gemm_infer(const ubp_call *c)
{
    const gemm_attr *a = c->attr;
    UBP_TRY(want_bytes(c, Q_A));
    UBP_TRY(ubp_want_rank(c, Q_A, 2, 2));
    UBP_TRY(ubp_want_rank(c, Q_B, 2, 2));
    const ub_tensor *x = c->in[Q_A], *w = c->in[Q_B];
    const int64_t dims[] = {x->dims[a->trans_a], w->dims[!a->trans_b]};
    const bool rounds = ubp_has_in(c, Q_Y_SCALE);
    if (!is_byte(w) || x->dims[!a->trans_a] != w->dims[a->trans_b] ||
        c->in[Q_B_SCALE]->dtype != UB_F32)
        return ubp_op_fail(c, UB_ERR_SHAPE,
                           "A and B do not fit, or B or its scale has another "
                           "type");
    UBP_TRY(want_columns(c, Q_B_SCALE, dims[1]));
    UBP_TRY(want_columns(c, Q_B_ZERO, dims[1]));
    if (ubp_has_in(c, Q_B_ZERO))
        UBP_TRY(ubp_want_same_dtype(c, Q_B, Q_B_ZERO));
    if (ubp_has_in(c, Q_C)) {
        int rank;
        int64_t both[UB_MAX_RANK];
        const ub_tensor *t = c->in[Q_C];
        if (t->dtype != UB_I32 || !ubp_broadcast_dims(&rank, both, 2, dims, t->rank, t->dims) ||
            rank != 2 || both[0] != dims[0] || both[1] != dims[1])
            return ubp_op_fail(c, UB_ERR_SHAPE, "C is not int32 of a shape that broadcasts");
    }
    if (rounds)
        UBP_TRY(want_scale(c, Q_Y_SCALE, ubp_has_in(c, Q_Y_ZERO) ? c->in[Q_Y_ZERO] : x));
    const ub_dtype narrow = ubp_has_in(c, Q_Y_ZERO) ? c->in[Q_Y_ZERO]->dtype : x->dtype;
    return ubp_set_out(c, 0, rounds ? narrow : UB_F32, 2, dims);
}

static void gemm_batch(ubp_batch *b)
{
    const gemm_attr *a = b->call->attr;
    ubp_rows rows = {.why = "a product over the batch axis"};
    for (int i = 0; i < UBP_ROWS_PORTS; i++)
        rows.in_axis[i] = UBP_ROWS_SHARED;
    rows.in_axis[Q_A] = (int8_t)a->trans_a;
    if (ubp_has_in(b->call, Q_C) && b->call->in[Q_C]->rank == 2)
        rows.in_axis[Q_C] = 0;
    ubp_rows_batch(b, &rows);
}

/* A or B less zero point as float64: exact, as all sums of them are. */
static ub_status widen(const ubp_call *c, int in, double **out)
{
    const ub_tensor *t = c->in[in], *zero = ubp_has_in(c, in + 2) ? c->in[in + 2] : NULL;
    const gemm_attr *a = c->attr;
    const int64_t n = ub_tensor_count(t);
    size_t bytes;
    if (!ubp_mul_size((size_t)n, sizeof(double), &bytes))
        return ubp_fail_memory(c->err, SIZE_MAX);
    *out = ubp_run_scratch(c, bytes);
    if (!*out)
        return UB_ERR_MEMORY;
    const bool each = in == Q_B && zero && ub_tensor_count(zero) > 1;
    for (int64_t i = 0; i < n; i++) {
        const int64_t column = a->trans_b ? i / t->dims[1] : i % t->dims[1];
        (*out)[i] = ubp_any_number(t, i) - (zero ? ubp_any_number(zero, each ? column : 0) : 0);
    }
    return UB_OK;
}

static void gemm_finish(const ubp_call *c, const double *sums)
{
    const gemm_attr *a = c->attr;
    const ub_tensor *y = c->out[0], *bias = ubp_has_in(c, Q_C) ? c->in[Q_C] : NULL;
    const ub_tensor *sb = c->in[Q_B_SCALE];
    const float sa = *(const float *)c->in[Q_A_SCALE]->data;
    const int64_t columns = y->dims[1];
    for (int64_t i = 0; i < ub_tensor_count(y); i++) {
        const int64_t row = i / columns, column = i % columns;
        const float b = ((const float *)sb->data)[ub_tensor_count(sb) > 1 ? column : 0];
        double sum = sums[i];
        if (bias) {
            const int64_t last = bias->rank ? bias->dims[bias->rank - 1] : 1;
            const int64_t rows = bias->rank == 2 ? bias->dims[0] : 1;
            sum += ubp_any_number(bias, (rows > 1 ? row * last : 0) + (last > 1 ? column : 0));
        }
        const float v = (float)sum * ((float)a->alpha * sa * b);
        if (y->dtype == UB_F32)
            ((float *)y->data)[i] = v;
        else
            put_byte(y, i, v, read_scale(c, Q_Y_SCALE));
    }
}

static ub_status gemm_ref(const ubp_call *c)
{
    const gemm_attr *at = c->attr;
    const ub_tensor *x = c->in[Q_A], *w = c->in[Q_B], *y = c->out[0];
    double *a, *b;
    size_t bytes;
    UBP_TRY(widen(c, Q_A, &a));
    UBP_TRY(widen(c, Q_B, &b));
    if (!ubp_mul_size((size_t)ub_tensor_count(y), sizeof(double), &bytes))
        return ubp_fail_memory(c->err, SIZE_MAX);
    double *sums = ubp_run_scratch(c, bytes); /* (rows, columns) */
    if (!sums)
        return UB_ERR_MEMORY;
    const ubp_gemm_job job = {.dtype = UB_F64,
                              .items = 1,
                              .gemm = {.m = y->dims[0],
                                       .n = y->dims[1],
                                       .k = x->dims[!at->trans_a],
                                       .a = a,
                                       .a_row = at->trans_a ? 1 : x->dims[1],
                                       .a_col = at->trans_a ? x->dims[1] : 1,
                                       .b = b,
                                       .b_row = at->trans_b ? 1 : w->dims[1],
                                       .b_col = at->trans_b ? w->dims[1] : 1,
                                       .c = sums,
                                       .c_row = y->dims[1],
                                       .c_col = 1}};
    ubp_gemm_run(c->run, &job);
    gemm_finish(c, sums);
    return UB_OK;
}

/* ---- The table --------------------------------------------------------------------------------
 */

#define QUANT(NAME, LEAST, MOST, ATTR, ATTRS, INFER, BATCH, REF)                                   \
    const ubp_op ubp_op_ms_##NAME = {                                                              \
        .name = #NAME,                                                                             \
        .domain = "com.microsoft",                                                                 \
        .min_in = LEAST,                                                                           \
        .max_in = MOST,                                                                            \
        .min_out = 1,                                                                              \
        .max_out = 1,                                                                              \
        .attr_size = sizeof(ATTR),                                                                 \
        .attrs = ATTRS,                                                                            \
        .infer = INFER,                                                                            \
        .batch = BATCH,                                                                            \
        .ref = REF,                                                                                \
    }
QUANT(QLinearAdd, 7, 8, unary_attr, unary_attrs, binary_infer, binary_batch, add_ref);
QUANT(QLinearMul, 7, 8, unary_attr, unary_attrs, binary_infer, binary_batch, mul_ref);
QUANT(QLinearLeakyRelu, 4, 5, unary_attr, unary_attrs, unary_infer, unary_batch, leaky_ref);
QUANT(QLinearSigmoid, 4, 5, unary_attr, unary_attrs, unary_infer, unary_batch, sigmoid_ref);
QUANT(QLinearSoftmax, 5, 5, unary_attr, unary_attrs, softmax_infer, softmax_batch, softmax_ref);
QUANT(QLinearGlobalAveragePool, 5, 5, unary_attr, unary_attrs, pool_infer, pool_batch, pool_ref);
QUANT(QLinearConcat, 5, 127, int64_t, concat_attrs, concat_infer, concat_batch, concat_ref);
QUANT(QGemm, 6, 9, gemm_attr, gemm_attrs, gemm_infer, gemm_batch, gemm_ref);
QUANT(QLinearAveragePool, 4, 5, ubp_pool_attr, average_attrs, average_infer, average_batch,
      average_ref);
