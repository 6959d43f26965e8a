/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ConvInteger (int8 or uint8 image and weights, less their zero points, to int32) and QLinearConv
 * (the same with an int32 bias, rounded back). Sums are exact; pads count as the zero point. ONNX:
 * ConvInteger-10, QLinearConv-10.
 */
#include "ops/conv.h"
#include "ops/quant.h"

/* Places in the lists of inputs. */
typedef struct places {
    int x, w, x_zero, w_zero, bias; /* bias -1: none */
} places;

static const places integer = {0, 1, 2, 3, -1};
static const places linear = {0, 3, 2, 5, 8};
enum { X_SCALE = 1, W_SCALE = 4, Y_SCALE = 6, Y_ZERO = 7 };

/* Input `in` is one number. */
static ub_status want_single(const ubp_call *call, int in)
{
    if (!ubp_has_in(call, in) || ub_tensor_count(call->in[in]) == 1)
        return UB_OK;
    return ubp_op_fail(call, UB_ERR_SHAPE, "input %d has %lld elements, expected one", in,
                       (long long)ub_tensor_count(call->in[in]));
}

static ub_status infer(const ubp_call *call, const places *p, ub_dtype out)
{
    ubp_window win;
    ubp_quant_param zero;
    int64_t dims[UB_MAX_RANK];
    UBP_TRY(ubp_quant_want(call, p->x, p->w));
    UBP_TRY(ubp_conv_window_of(call, p->x, p->w, &win));
    const ub_tensor *x = call->in[p->x], *w = call->in[p->w];
    UBP_TRY(want_single(call, p->x_zero));
    UBP_TRY(ubp_quant_param_find(call, p->w_zero, w->rank, w->dims, 0, &zero));
    if (ubp_has_in(call, p->x_zero))
        UBP_TRY(ubp_want_same_dtype(call, p->x, p->x_zero));
    if (zero.t)
        UBP_TRY(ubp_want_same_dtype(call, p->w, p->w_zero));
    int rank = ubp_conv_dims(&win, x->dims[0], w->dims[0], dims);
    return ubp_set_out(call, 0, out, rank, dims);
}

static ub_status integer_infer(const ubp_call *call)
{
    return infer(call, &integer, UB_I32);
}

static ub_status linear_infer(const ubp_call *call)
{
    UBP_TRY(ubp_quant_want(call, linear.x, Y_ZERO));
    UBP_TRY(infer(call, &linear, call->in[Y_ZERO]->dtype));
    int64_t m = call->in[linear.w]->dims[0];
    ubp_quant_param scale;
    const int singles[] = {X_SCALE, Y_SCALE, Y_ZERO}, scales[] = {X_SCALE, W_SCALE, Y_SCALE};
    for (int i = 0; i < UBP_COUNT(singles); i++)
        UBP_TRY(want_single(call, singles[i]));
    for (int i = 0; i < UBP_COUNT(scales); i++)
        UBP_TRY(ubp_want_float(call, scales[i]));
    UBP_TRY(ubp_quant_param_find(call, W_SCALE, 1, &m, 0, &scale));
    if (!ubp_has_in(call, linear.bias))
        return UB_OK;
    UBP_TRY(ubp_want_rank(call, linear.bias, 1, 1));
    const ub_tensor *bias = call->in[linear.bias];
    if (bias->dtype != UB_I32 || bias->dims[0] != m)
        return ubp_op_fail(call, UB_ERR_SHAPE,
                           "the bias is %s with %lld elements, expected %lld "
                           "of int32",
                           ub_dtype_name(bias->dtype), (long long)bias->dims[0], (long long)m);
    return UB_OK;
}

static void batch(ubp_batch *b, const places *p)
{
    ubp_window win;
    if (ubp_conv_window_of(b->call, p->x, p->w, &win) != UB_OK) {
        ubp_samples_couple(b, 0, "convolution of a shape that does not fit");
        return;
    }
    ubp_conv_follow(b, p->x, p->w, p->bias, &win);
    ubp_quant_follow(b, p->x_zero, 1);
    ubp_quant_follow(b, p->w_zero, 1);
    const int others[] = {X_SCALE, W_SCALE, Y_SCALE, Y_ZERO};
    for (int i = 0; i < UBP_COUNT(others) && p == &linear; i++)
        ubp_quant_follow(b, others[i], 1);
}

static void integer_batch(ubp_batch *b)
{
    batch(b, &integer);
}

static void linear_batch(ubp_batch *b)
{
    batch(b, &linear);
}

static ub_status convolve(const ubp_call *call, const places *p, void *dst)
{
    ubp_window win;
    ubp_quant_param x_zero, w_zero;
    ub_tensor x, w;
    const ub_tensor *xt = call->in[p->x], *wt = call->in[p->w];
    UBP_TRY(ubp_conv_window_of(call, p->x, p->w, &win));
    UBP_TRY(ubp_quant_param_find(call, p->x_zero, xt->rank, xt->dims, 0, &x_zero));
    UBP_TRY(ubp_quant_param_find(call, p->w_zero, wt->rank, wt->dims, 0, &w_zero));
    UBP_TRY(ubp_quant_widen(call, p->x, &x_zero, &x));
    UBP_TRY(ubp_quant_widen(call, p->w, &w_zero, &w));
    const void *bias = p->bias >= 0 && ubp_has_in(call, p->bias) ? call->in[p->bias]->data : NULL;
    ubp_conv_run(call->run, &win, UB_I32, xt->dims[0], xt->dims[1], wt->dims[0], x.data, w.data,
                 bias, dst);
    return UB_OK;
}

static ub_status integer_ref(const ubp_call *call)
{
    if (ub_tensor_count(call->out[0]) == 0)
        return UB_OK;
    return convolve(call, &integer, call->out[0]->data);
}

static ub_status linear_ref(const ubp_call *call)
{
    const ub_tensor *y = call->out[0];
    ubp_quant_param x, w, scale, zero;
    ub_tensor sums;
    if (ub_tensor_count(y) == 0)
        return UB_OK;
    UBP_TRY(ubp_quant_param_find(call, X_SCALE, y->rank, y->dims, 1, &x));
    UBP_TRY(ubp_quant_param_find(call, W_SCALE, y->rank, y->dims, 1, &w));
    UBP_TRY(ubp_quant_param_find(call, Y_SCALE, y->rank, y->dims, 1, &scale));
    UBP_TRY(ubp_quant_param_find(call, Y_ZERO, y->rank, y->dims, 1, &zero));
    UBP_TRY(ubp_tensor_describe(&sums, UB_I32, y->rank, y->dims, call->err));
    sums.data = ubp_run_scratch(call, ubp_tensor_bytes(&sums));
    if (!sums.data)
        return UB_ERR_MEMORY;
    UBP_TRY(convolve(call, &linear, sums.data));
    ubp_quant_narrow(call, sums.data, &x, &w, &scale, &zero);
    return UB_OK;
}

static int64_t conv_macs(const ubp_call *call)
{
    const ub_tensor *w = call->in[call->op->max_in == 9 ? linear.w : integer.w];
    return w->dims[0] ? ub_tensor_count(call->out[0]) * (ub_tensor_count(w) / w->dims[0]) : 0;
}

const ubp_op ubp_op_ConvInteger = {
    .name = "ConvInteger",
    .domain = "",
    .min_in = 2,
    .max_in = 4,
    .min_out = 1,
    .max_out = 1,
    .attr_size = sizeof(ubp_conv_attr),
    .attrs = ubp_conv_attrs,
    .infer = integer_infer,
    .batch = integer_batch,
    .ref = integer_ref,
    .macs = conv_macs,
};

const ubp_op ubp_op_QLinearConv = {
    .name = "QLinearConv",
    .domain = "",
    .min_in = 8,
    .max_in = 9,
    .min_out = 1,
    .max_out = 1,
    .attr_size = sizeof(ubp_conv_attr),
    .attrs = ubp_conv_attrs,
    .infer = linear_infer,
    .batch = linear_batch,
    .ref = linear_ref,
    .macs = conv_macs,
};
