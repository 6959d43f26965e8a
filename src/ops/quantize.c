/* SPDX-License-Identifier: Apache-2.0 */
/*
 * QuantizeLinear and DequantizeLinear between floats and the integers of 2 to 16 bits (int32 to
 * dequantize) or the floats of 4 to 8 bits, with a scale and a zero point for the tensor, for each
 * index of an axis, or for each block along an axis. y = saturate(round(x / scale) + zero), ties to
 * even, the quotient rounded to the scale's type; x = (y - zero) * scale in float32. ONNX opset 28.
 */
#include "ops/ops.h"

#include "ops/follow.h"

#include <math.h>

typedef struct quantize_attr {
    int64_t axis, block, output, precision, saturate;
} quantize_attr;

static ub_status quantize_attrs(const ubp_node *node, void *attr, ubp_arena *arena, ub_error *err)
{
    quantize_attr *a = attr;
    (void)arena;
    UBP_TRY(ubp_attr_int(node, "axis", 1, &a->axis, err));
    UBP_TRY(ubp_attr_int(node, "block_size", 0, &a->block, err));
    UBP_TRY(ubp_attr_int(node, "output_dtype", 0, &a->output, err));
    UBP_TRY(ubp_attr_int(node, "precision", 0, &a->precision, err));
    UBP_TRY(ubp_attr_int(node, "saturate", 1, &a->saturate, err));
    enum { MOST = 127 }; /* of ONNX's TensorProto.DataType, with room */
    if (a->output < 0 || a->output > MOST || a->precision < 0 || a->precision > MOST)
        return ubp_fail(err, UB_ERR_FILE, "node '%s' (%s): output_dtype %lld, precision %lld",
                        node->name, node->op_type, (long long)a->output, (long long)a->precision);
    if (a->block < 0)
        return ubp_fail(err, UB_ERR_FILE, "node '%s' (%s): block_size is %lld", node->name,
                        node->op_type, (long long)a->block);
    return UB_OK;
}

/* ---- Which scale belongs to which element ---------------------------------------------------- */

/* Elements are [outer][n][inner] around the axis; the scale's index is
 * (outer * scales + n / block) * inner + inner when blocked, n for an axis, 0 for the tensor. */
typedef struct spread {
    int axis; /* -1: one scale for the tensor */
    bool blocked;
    int64_t n, inner, block, scales;
} spread;

static ub_status find_spread(const ubp_call *call, spread *s)
{
    const quantize_attr *a = call->attr;
    const ub_tensor *x = call->in[0], *scale = call->in[1];
    int64_t axis = a->axis;
    *s = (spread){.axis = -1, .n = 1, .inner = 1, .block = 1, .scales = 1};
    if (a->block == 0 && (scale->rank == 0 || (scale->rank == 1 && scale->dims[0] == 1)))
        return UB_OK;
    if (!ubp_normalize_axis(&axis, x->rank))
        return ubp_op_fail(call, UB_ERR_SHAPE, "axis %lld is outside of %d dimensions",
                           (long long)a->axis, x->rank);
    s->axis = (int)axis;
    s->n = x->dims[axis];
    s->blocked = a->block > 0;
    s->block = s->blocked ? a->block : 1;
    s->scales = s->n / s->block + (s->n % s->block != 0);
    for (int i = (int)axis + 1; i < x->rank; i++)
        s->inner *= x->dims[i];
    bool fits = scale->rank == (s->blocked ? x->rank : 1);
    for (int i = 0; fits && s->blocked && i < x->rank; i++)
        fits = scale->dims[i] == (i == axis ? s->scales : x->dims[i]);
    if (fits && (s->blocked || scale->dims[0] == s->n))
        return UB_OK;
    char xs[UBP_SHAPE_TEXT], ss[UBP_SHAPE_TEXT];
    return ubp_op_fail(call, UB_ERR_SHAPE,
                       "a scale of shape %s does not fit %s on axis %lld (block size %lld)",
                       ubp_shape_text(ss, scale->rank, scale->dims),
                       ubp_shape_text(xs, x->rank, x->dims), (long long)axis, (long long)a->block);
}

/* First element of a run that shares a scale, and of its length, from element `at` on. */
static int64_t scale_of(const spread *s, int64_t at, int64_t *run)
{
    if (s->axis < 0) {
        *run = INT64_MAX;
        return 0;
    }
    int64_t i = at % s->inner, n = at / s->inner % s->n, o = at / s->inner / s->n;
    *run = s->blocked ? 1 : s->inner - i;
    return s->blocked ? (o * s->scales + n / s->block) * s->inner + i : n;
}

/* ---- Shape and samples ----------------------------------------------------------------------- */

/* float8_e8m0fnu holds scales, not numbers. */
static bool is_quantized_float(ub_dtype d)
{
    return ubp_is_narrow_float(d) && d != UB_F8E8M0;
}

static bool is_quantized(ub_dtype d)
{
    return d == UB_I8 || d == UB_U8 || d == UB_I16 || d == UB_U16 || ubp_is_narrow_integer(d) ||
           is_quantized_float(d);
}

static ub_status want_scale(const ubp_call *call)
{
    ub_dtype d = call->in[1]->dtype;
    if (d != UB_F32 && d != UB_F16 && d != UB_BF16 && d != UB_F8E8M0 && d != UB_I32)
        return ubp_op_fail(call, UB_ERR_SHAPE,
                           "the scale is %s, expected float32, float16, bfloat16, float8_e8m0fnu "
                           "or int32",
                           ub_dtype_name(d));
    if (ubp_has_in(call, 2) && !ubp_same_dims(call->in[1], call->in[2]) &&
        ub_tensor_count(call->in[2]) != 1)
        return ubp_op_fail(call, UB_ERR_SHAPE, "scale and zero point have different shapes");
    spread s;
    return find_spread(call, &s);
}

static ub_status refuse(const ubp_call *call, ub_dtype d)
{
    return ubp_op_fail(call, UB_ERR_SHAPE,
                       "%s is no quantised type, expected an integer of at most 16 bits or a float "
                       "of at most 8",
                       ub_dtype_name(d));
}

static ub_status quantize_infer(const ubp_call *call)
{
    const quantize_attr *a = call->attr;
    const ub_tensor *x = call->in[0];
    ub_dtype out = a->output ? (ub_dtype)a->output : UB_U8;
    if (!ubp_is_float(x->dtype) && x->dtype != UB_I32)
        return ubp_op_fail(call, UB_ERR_SHAPE, "input 0 is %s, expected floats or int32",
                           ub_dtype_name(x->dtype));
    if (a->precision && !ubp_is_float((ub_dtype)a->precision))
        return ubp_op_fail(call, UB_ERR_SHAPE, "the precision is %s, expected floats",
                           ub_dtype_name((ub_dtype)a->precision));
    UBP_TRY(want_scale(call));
    if (ubp_has_in(call, 2))
        out = call->in[2]->dtype;
    if (a->output && out != (ub_dtype)a->output)
        return ubp_op_fail(call, UB_ERR_SHAPE, "the zero point is %s, output_dtype says %s",
                           ub_dtype_name(out), ub_dtype_name((ub_dtype)a->output));
    if (!is_quantized(out))
        return refuse(call, out);
    return ubp_set_out(call, 0, out, x->rank, x->dims);
}

static ub_status dequantize_infer(const ubp_call *call)
{
    const quantize_attr *a = call->attr;
    const ub_tensor *x = call->in[0];
    ub_dtype out = a->output ? (ub_dtype)a->output : call->in[1]->dtype;
    if (!is_quantized(x->dtype) && x->dtype != UB_I32)
        return refuse(call, x->dtype);
    UBP_TRY(want_scale(call));
    if (ubp_has_in(call, 2))
        UBP_TRY(ubp_want_same_dtype(call, 0, 2));
    if (!ubp_is_float(out))
        return ubp_op_fail(call, UB_ERR_SHAPE,
                           "the output would be %s, expected floats (output_dtype says which)",
                           ub_dtype_name(out));
    return ubp_set_out(call, 0, out, x->rank, x->dims);
}

static void quantize_batch(ubp_batch *b)
{
    ubp_follow f = ubp_follow_begin(b, 0);
    spread s;
    if (find_spread(b->call, &s) != UB_OK)
        return;
    if (ubp_follow_has(&f, 0))
        ubp_follow_input(&f, 0, b->in[0].axis);
    for (int i = 1; i < b->call->n_in; i++) {
        if (!ubp_has_in(b->call, i))
            continue;
        const ub_tensor *t = b->call->in[i];
        bool whole = ub_tensor_count(t) == 1;
        int axis = s.blocked ? b->in[i].axis : s.axis;
        if (ubp_follow_has(&f, i) && whole && s.axis < 0)
            ubp_samples_couple(b, 0, "a scale is different for each sample");
        else if (ubp_follow_has(&f, i))
            ubp_follow_to(&f, axis, b->in[i].outer,
                          axis == s.axis ? b->in[i].inner * s.block : b->in[i].inner);
        else if (f.found && b->n != 1 && !whole && (s.blocked || f.axis == s.axis) &&
                 t->dims[s.blocked ? f.axis : 0] != 1)
            ubp_samples_couple(b, 0, "an operand has fixed entries for each sample");
        ubp_follow_data(b, 0, i);
    }
    ubp_follow_data(b, 0, 0);
    ubp_follow_end(&f);
}

/* ---- Running --------------------------------------------------------------------------------- */

enum { CHUNK = 256 };

typedef struct quantize {
    spread spread;
    const ub_tensor *x, *y;
    const double *scale, *zero; /* [scales] */
    bool dequantize;
    bool saturate;      /* to floats */
    ub_dtype precision; /* of the quotient */
    int32_t low, high;  /* of the quantised integers */
} quantize;

static double to_precision(ub_dtype d, double q)
{
    if (d == UB_F16)
        return (double)ubp_f16_to_f32(ubp_f64_to_f16(q));
    if (d == UB_BF16)
        return (double)ubp_bf16_to_f32(ubp_f32_to_bf16((float)q));
    return d == UB_F64 ? q : (double)(float)q;
}

static int32_t clamp(const quantize *j, double v)
{
    if (!(v > (double)j->low)) /* NaN too */
        return j->low;
    return v > (double)j->high ? j->high : (int32_t)v;
}

/* At most CHUNK elements with one scale. */
static void quantize_run(const quantize *j, int64_t at, int64_t n, int64_t k)
{
    double x[CHUNK];
    int32_t q[CHUNK];
    int64_t in = (int64_t)ub_dtype_size(j->x->dtype), out = (int64_t)ub_dtype_size(j->y->dtype);
    const double scale = j->scale[k], zero = j->zero[k];
    uint8_t *bytes = (uint8_t *)j->y->data + at;
    ubp_convert(x, UB_F64, (const char *)j->x->data + at * in, j->x->dtype, n);
    if (is_quantized_float(j->y->dtype)) {
        for (int64_t i = 0; i < n; i++)
            bytes[i] = ubp_narrow_of_f32((float)(to_precision(j->precision, x[i] / scale) + zero),
                                         j->y->dtype, j->saturate);
        return;
    }
    for (int64_t i = 0; i < n; i++)
        q[i] = clamp(j, rint(to_precision(j->precision, x[i] / scale)) + zero);
    ubp_convert((char *)j->y->data + at * out, j->y->dtype, q, UB_I32, n);
}

static void dequantize_run(const quantize *j, int64_t at, int64_t n, int64_t k)
{
    double q[CHUNK];
    float x[CHUNK];
    int64_t in = (int64_t)ub_dtype_size(j->x->dtype), out = (int64_t)ub_dtype_size(j->y->dtype);
    ubp_convert(q, UB_F64, (const char *)j->x->data + at * in, j->x->dtype, n);
    for (int64_t i = 0; i < n; i++)
        x[i] = (float)(q[i] - j->zero[k]) * (float)j->scale[k];
    ubp_convert((char *)j->y->data + at * out, j->y->dtype, x, UB_F32, n);
}

static void run_chunks(void *arg, int64_t begin, int64_t end)
{
    const quantize *j = arg;
    int64_t last = end * CHUNK < ub_tensor_count(j->x) ? end * CHUNK : ub_tensor_count(j->x);
    for (int64_t at = begin * CHUNK, run; at < last; at += run) {
        int64_t k = scale_of(&j->spread, at, &run);
        run = run < CHUNK ? run : CHUNK;
        run = run < last - at ? run : last - at;
        if (j->dequantize)
            dequantize_run(j, at, run, k);
        else
            quantize_run(j, at, run, k);
    }
}

/* Scales and zero points as float64, one each. */
static ub_status load_scales(const ubp_call *call, quantize *j)
{
    const ub_tensor *scale = call->in[1], *zero = ubp_has_in(call, 2) ? call->in[2] : NULL;
    int64_t n = ub_tensor_count(scale);
    double *s = ubp_run_scratch(call, (size_t)n * sizeof *s);
    double *z = ubp_run_scratch(call, (size_t)n * sizeof *z);
    if (!s || !z)
        return UB_ERR_MEMORY;
    ubp_convert(s, UB_F64, scale->data, scale->dtype, n);
    bool one = zero && ub_tensor_count(zero) == 1;
    if (zero && !one)
        ubp_convert(z, UB_F64, zero->data, zero->dtype, n);
    for (int64_t i = 0; i < n && (!zero || one); i++)
        z[i] = zero ? ubp_read_f64(zero->data, zero->dtype) : 0;
    j->scale = s;
    j->zero = z;
    return UB_OK;
}

static ub_status run(const ubp_call *call, bool dequantize)
{
    const quantize_attr *a = call->attr;
    quantize j = {.x = call->in[0], .y = call->out[0], .dequantize = dequantize};
    const ub_dtype kind = j.y->dtype;
    const int bits = ubp_dtype_bits(kind);
    if (ub_tensor_count(j.x) == 0)
        return UB_OK;
    UBP_TRY(find_spread(call, &j.spread));
    UBP_TRY(load_scales(call, &j));
    j.precision = a->precision ? (ub_dtype)a->precision : call->in[1]->dtype;
    if (j.precision == UB_I32)
        j.precision = UB_F64;
    j.saturate = a->saturate != 0;
    if (!dequantize && !is_quantized_float(kind)) {
        const bool has_sign = ubp_is_signed(kind) || kind == UB_I4 || kind == UB_I2;
        j.low = has_sign ? -(1 << (bits - 1)) : 0;
        j.high = has_sign ? (1 << (bits - 1)) - 1 : (1 << bits) - 1;
    }
    ubp_run_parallel(call->run, (ub_tensor_count(j.x) - 1) / CHUNK + 1, 16, run_chunks, &j);
    return UB_OK;
}

static ub_status quantize_ref(const ubp_call *call)
{
    return run(call, false);
}

static ub_status dequantize_ref(const ubp_call *call)
{
    return run(call, true);
}

const ubp_op ubp_op_QuantizeLinear = {
    .name = "QuantizeLinear",
    .domain = "",
    .min_in = 2,
    .max_in = 3,
    .min_out = 1,
    .max_out = 1,
    .attr_size = sizeof(quantize_attr),
    .attrs = quantize_attrs,
    .infer = quantize_infer,
    .batch = quantize_batch,
    .ref = quantize_ref,
};

const ubp_op ubp_op_DequantizeLinear = {
    .name = "DequantizeLinear",
    .domain = "",
    .min_in = 2,
    .max_in = 3,
    .min_out = 1,
    .max_out = 1,
    .attr_size = sizeof(quantize_attr),
    .attrs = quantize_attrs,
    .infer = dequantize_infer,
    .batch = quantize_batch,
    .ref = dequantize_ref,
};
