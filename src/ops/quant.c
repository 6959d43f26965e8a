/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scales and zero points of quantised products; see quant.h. ONNX: MatMulInteger-10,
 * QLinearMatMul-21, ConvInteger-10, QLinearConv-10.
 */
#include "ops/quant.h"

#include "ops/follow.h"

#include <math.h>

static bool is_byte(const ub_tensor *t)
{
    return t->dtype == UB_I8 || t->dtype == UB_U8;
}

ub_status ubp_quant_want(const ubp_call *call, int a, int b)
{
    const int both[2] = {a, b};
    for (int i = 0; i < 2; i++)
        if (!is_byte(call->in[both[i]]))
            return ubp_op_fail(call, UB_ERR_UNSUPPORTED,
                               "input %d is %s; int8 and uint8 are supported", both[i],
                               ub_dtype_name(call->in[both[i]]->dtype));
    return UB_OK;
}

ub_status ubp_quant_param_find(const ubp_call *call, int in, int rank, const int64_t *dims,
                               int axis, ubp_quant_param *out)
{
    *out = (ubp_quant_param){.t = NULL};
    if (!ubp_has_in(call, in))
        return UB_OK;
    const ub_tensor *t = call->in[in];
    const int64_t size = (int64_t)ub_dtype_size(t->dtype);
    out->t = t;
    if (ub_tensor_count(t) == 1)
        return UB_OK;
    if (t->rank == 1 && axis >= 0 && axis < rank && t->dims[0] == dims[axis]) {
        out->step[axis] = size;
        return UB_OK;
    }
    bool fits = t->rank > 1 && t->rank <= rank;
    int64_t step = size;
    for (int i = t->rank - 1; fits && i >= 0; i--) {
        int at = rank - t->rank + i;
        fits = t->dims[i] == 1 || t->dims[i] == dims[at];
        out->step[at] = t->dims[i] == 1 ? 0 : step;
        step *= t->dims[i];
    }
    if (fits)
        return UB_OK;
    char have[UBP_SHAPE_TEXT], want[UBP_SHAPE_TEXT];
    return ubp_op_fail(call, UB_ERR_SHAPE, "input %d of shape %s does not fit %s", in,
                       ubp_shape_text(have, t->rank, t->dims), ubp_shape_text(want, rank, dims));
}

/* Where the parameter's element for a flat index lies. */
static const char *param_at(const ubp_quant_param *p, const ub_tensor *of, int64_t flat)
{
    int64_t at = 0;
    for (int d = of->rank - 1; d >= 0; d--) {
        at += flat % of->dims[d] * p->step[d];
        flat /= of->dims[d];
    }
    return (const char *)p->t->data + at;
}

static bool is_single(const ubp_quant_param *p)
{
    return !p->t || ub_tensor_count(p->t) == 1;
}

typedef struct widening {
    const ub_tensor *x;
    const ubp_quant_param *zero;
    int32_t *dst;
} widening;

static int32_t byte_at(const ub_tensor *t, const void *p)
{
    return t->dtype == UB_I8 ? *(const int8_t *)p : *(const uint8_t *)p;
}

static void widen_part(void *arg, int64_t begin, int64_t end)
{
    const widening *j = arg;
    const ub_tensor *zero = j->zero->t;
    const bool single = is_single(j->zero);
    int32_t z = zero && single ? byte_at(zero, zero->data) : 0;
    for (int64_t i = begin; i < end; i++) {
        if (!single)
            z = byte_at(zero, param_at(j->zero, j->x, i));
        j->dst[i] = byte_at(j->x, (const char *)j->x->data + i) - z;
    }
}

ub_status ubp_quant_widen(const ubp_call *call, int in, const ubp_quant_param *zero, ub_tensor *out)
{
    const ub_tensor *x = call->in[in];
    UBP_TRY(ubp_tensor_describe(out, UB_I32, x->rank, x->dims, call->err));
    out->data = ubp_run_scratch(call, ubp_tensor_bytes(out));
    if (!out->data)
        return UB_ERR_MEMORY;
    widening j = {x, zero, out->data};
    ubp_run_parallel(call->run, ub_tensor_count(x), 1 << 14, widen_part, &j);
    return UB_OK;
}

typedef struct narrowing {
    const int32_t *sums;
    const ub_tensor *y;
    const ubp_quant_param *a, *b, *scale, *zero;
    double low, high;
} narrowing;

static double read_at(const ubp_quant_param *p, const ub_tensor *of, int64_t flat)
{
    return p->t ? ubp_read_f64(param_at(p, of, flat), p->t->dtype) : 0;
}

/* a * b / y, rounded to the scales' type after each step. */
static double factor(const narrowing *j, int64_t i)
{
    double a = read_at(j->a, j->y, i), b = read_at(j->b, j->y, i);
    double y = read_at(j->scale, j->y, i);
    if (j->scale->t->dtype == UB_F16) {
        double ab = (double)ubp_f16_to_f32(ubp_f64_to_f16(a * b));
        return (double)ubp_f16_to_f32(ubp_f64_to_f16(ab / y));
    }
    return (double)((float)a * (float)b / (float)y);
}

static void narrow_part(void *arg, int64_t begin, int64_t end)
{
    const narrowing *j = arg;
    const bool single = is_single(j->a) && is_single(j->b) && is_single(j->scale);
    double scale = 0;
    for (int64_t i = begin; i < end; i++) {
        if (i == begin || !single)
            scale = factor(j, i);
        double v = rint((double)j->sums[i] * scale) + read_at(j->zero, j->y, i);
        v = !(v > j->low) ? j->low : v > j->high ? j->high : v;
        if (j->y->dtype == UB_I8)
            ((int8_t *)j->y->data)[i] = (int8_t)v;
        else
            ((uint8_t *)j->y->data)[i] = (uint8_t)v;
    }
}

void ubp_quant_narrow(const ubp_call *call, const int32_t *sums, const ubp_quant_param *a,
                      const ubp_quant_param *b, const ubp_quant_param *y,
                      const ubp_quant_param *zero)
{
    const ub_tensor *out = call->out[0];
    bool is_signed = out->dtype == UB_I8;
    narrowing j = {
        sums, out, a, b, y, zero, is_signed ? INT8_MIN : 0, is_signed ? INT8_MAX : UINT8_MAX};
    ubp_run_parallel(call->run, ub_tensor_count(out), 1 << 12, narrow_part, &j);
}

void ubp_quant_follow(ubp_batch *b, int in, int axis)
{
    const ubp_samples *s = &b->out[0];
    ubp_follow_shared(b, 0, in);
    if (!ubp_has_in(b->call, in) || s->kind != UBP_SAMPLES_AXIS || b->n == 1)
        return;
    const ub_tensor *t = b->call->in[in];
    int own = t->rank == 1 ? (s->axis == axis ? 0 : -1) : s->axis - b->call->out[0]->rank + t->rank;
    if (own >= 0 && t->dims[own] != 1)
        ubp_samples_couple(b, 0, "an operand has fixed entries for each sample");
}
