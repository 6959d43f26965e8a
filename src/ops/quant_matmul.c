/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MatMulInteger (int8 or uint8 matrices, less their zero points, to int32) and QLinearMatMul (the
 * same, rounded back to int8 or uint8). Sums are exact. ONNX: MatMulInteger-10, QLinearMatMul-21.
 */
#include "ops/matmul.h"
#include "ops/quant.h"

/* Places in the lists of inputs. */
typedef struct places {
    int a, b, a_zero, b_zero;
} places;

static const places integer = {0, 1, 2, 3};
static const places linear = {0, 3, 2, 5};
enum { A_SCALE = 1, B_SCALE = 4, Y_SCALE = 6, Y_ZERO = 7 };

typedef struct params {
    ubp_quant_param a_zero, b_zero;          /* over a and over b */
    ubp_quant_param a_scale, b_scale, scale; /* over the output */
    ubp_quant_param zero;
} params;

/* The axes of the output that rows of a and columns of b become; -1: a vector has none. */
static int row_axis(const ub_tensor *a, const ub_tensor *b, int rank)
{
    return a->rank < 2 ? -1 : rank - (b->rank < 2 ? 1 : 2);
}

static int column_axis(const ub_tensor *b, int rank)
{
    return b->rank < 2 ? -1 : rank - 1;
}

static ub_status find_params(const ubp_call *call, const places *p, int rank, const int64_t *dims,
                             params *out)
{
    const ub_tensor *a = call->in[p->a], *b = call->in[p->b];
    int row = row_axis(a, b, rank), column = column_axis(b, rank);
    *out = (params){.zero = {.t = NULL}};
    UBP_TRY(ubp_quant_param_find(call, p->a_zero, a->rank, a->dims, a->rank - 2, &out->a_zero));
    UBP_TRY(ubp_quant_param_find(call, p->b_zero, b->rank, b->dims, b->rank - 1, &out->b_zero));
    if (p == &integer)
        return UB_OK;
    UBP_TRY(ubp_quant_param_find(call, A_SCALE, rank, dims, row, &out->a_scale));
    UBP_TRY(ubp_quant_param_find(call, B_SCALE, rank, dims, column, &out->b_scale));
    UBP_TRY(ubp_quant_param_find(call, Y_SCALE, rank, dims, row, &out->scale));
    return ubp_quant_param_find(call, Y_ZERO, rank, dims, row, &out->zero);
}

static ub_status infer(const ubp_call *call, const places *p, ub_dtype out)
{
    int rank;
    int64_t dims[UB_MAX_RANK];
    params found;
    UBP_TRY(ubp_quant_want(call, p->a, p->b));
    UBP_TRY(ubp_matmul_dims(call, p->a, p->b, &rank, dims));
    UBP_TRY(find_params(call, p, rank, dims, &found));
    if (found.a_zero.t)
        UBP_TRY(ubp_want_same_dtype(call, p->a, p->a_zero));
    if (found.b_zero.t)
        UBP_TRY(ubp_want_same_dtype(call, p->b, p->b_zero));
    return ubp_set_out(call, 0, out, rank, dims);
}

static ub_status integer_infer(const ubp_call *call)
{
    return infer(call, &integer, UB_I32);
}

static ub_status linear_infer(const ubp_call *call)
{
    UBP_TRY(ubp_quant_want(call, linear.a, Y_ZERO));
    UBP_TRY(ubp_want_float(call, A_SCALE));
    UBP_TRY(ubp_want_same_dtype(call, A_SCALE, B_SCALE));
    UBP_TRY(ubp_want_same_dtype(call, A_SCALE, Y_SCALE));
    return infer(call, &linear, call->in[Y_ZERO]->dtype);
}

static void batch(ubp_batch *b, const places *p)
{
    const ub_tensor *x = b->call->in[p->a], *w = b->call->in[p->b];
    int rank = b->call->out[0]->rank, row = row_axis(x, w, rank), column = column_axis(w, rank);
    ubp_matmul_follow(b, p->a, p->b);
    ubp_quant_follow(b, p->a_zero, row);
    ubp_quant_follow(b, p->b_zero, column);
    if (p == &integer)
        return;
    ubp_quant_follow(b, A_SCALE, row);
    ubp_quant_follow(b, B_SCALE, column);
    ubp_quant_follow(b, Y_SCALE, row);
    ubp_quant_follow(b, Y_ZERO, row);
}

static void integer_batch(ubp_batch *b)
{
    batch(b, &integer);
}

static void linear_batch(ubp_batch *b)
{
    batch(b, &linear);
}

/* dst: int32 of the output's dims. */
static ub_status multiply(const ubp_call *call, const places *p, const params *found,
                          const ub_tensor *dst)
{
    ub_tensor a, b;
    UBP_TRY(ubp_quant_widen(call, p->a, &found->a_zero, &a));
    UBP_TRY(ubp_quant_widen(call, p->b, &found->b_zero, &b));
    ubp_matmul_run(call->run, UB_I32, &a, &b, dst);
    return UB_OK;
}

static ub_status integer_ref(const ubp_call *call)
{
    const ub_tensor *y = call->out[0];
    params found;
    UBP_TRY(find_params(call, &integer, y->rank, y->dims, &found));
    return multiply(call, &integer, &found, y);
}

static ub_status linear_ref(const ubp_call *call)
{
    const ub_tensor *y = call->out[0];
    ub_tensor sums;
    params found;
    UBP_TRY(find_params(call, &linear, y->rank, y->dims, &found));
    UBP_TRY(ubp_tensor_describe(&sums, UB_I32, y->rank, y->dims, call->err));
    sums.data = ubp_run_scratch(call, ubp_tensor_bytes(&sums));
    if (!sums.data)
        return UB_ERR_MEMORY;
    UBP_TRY(multiply(call, &linear, &found, &sums));
    ubp_quant_narrow(call, sums.data, &found.a_scale, &found.b_scale, &found.scale, &found.zero);
    return UB_OK;
}

static int64_t matmul_macs(const ubp_call *call)
{
    return ubp_matmul_macs(call->in[0], call->out[0]);
}

const ubp_op ubp_op_MatMulInteger = {
    .name = "MatMulInteger",
    .domain = "",
    .min_in = 2,
    .max_in = 4,
    .min_out = 1,
    .max_out = 1,
    .infer = integer_infer,
    .batch = integer_batch,
    .ref = integer_ref,
    .macs = matmul_macs,
};

const ubp_op ubp_op_QLinearMatMul = {
    .name = "QLinearMatMul",
    .domain = "",
    .min_in = 8,
    .max_in = 8,
    .min_out = 1,
    .max_out = 1,
    .infer = linear_infer,
    .batch = linear_batch,
    .ref = linear_ref,
    .macs = matmul_macs,
};
