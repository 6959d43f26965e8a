/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Gemm: alpha * A' * B' + beta * C, where A' is A or its transpose and C broadcasts to the result
 * in one direction. Order of additions: gemm.h; alpha, then C, are applied once at the end.
 */
#include "ops/attrs.h"
#include "ops/follow.h"
#include "ops/gemm.h"

static ub_status gemm_attrs(const ubp_node *node, void *attr, ubp_arena *arena, ub_error *err)
{
    ubp_gemm_attr *a = attr;
    double alpha, beta;
    int64_t trans_a, trans_b;
    (void)arena;
    UBP_TRY(ubp_attr_float(node, "alpha", 1, &alpha, err));
    UBP_TRY(ubp_attr_float(node, "beta", 1, &beta, err));
    UBP_TRY(ubp_attr_int(node, "transA", 0, &trans_a, err));
    UBP_TRY(ubp_attr_int(node, "transB", 0, &trans_b, err));
    a->alpha = (float)alpha;
    a->beta = (float)beta;
    a->trans_a = trans_a != 0;
    a->trans_b = trans_b != 0;
    return UB_OK;
}

static ub_status gemm_infer(const ubp_call *call)
{
    const ubp_gemm_attr *attr = call->attr;
    UBP_TRY(ubp_want_rank(call, 0, 2, 2));
    UBP_TRY(ubp_want_rank(call, 1, 2, 2));
    UBP_TRY(ubp_want_same_dtype(call, 0, 1));
    const ub_tensor *a = call->in[0], *b = call->in[1];
    if (!ubp_is_float(a->dtype) && !ubp_gemm_takes(a->dtype))
        return ubp_op_fail(call, UB_ERR_UNSUPPORTED,
                           "products of %s are not supported (floats, 32- and 64-bit integers are)",
                           ub_dtype_name(a->dtype));
    int64_t dims[2] = {a->dims[attr->trans_a], b->dims[!attr->trans_b]};
    if (a->dims[!attr->trans_a] != b->dims[attr->trans_b])
        return ubp_op_fail(call, UB_ERR_SHAPE, "A%s has %lld columns but B%s has %lld rows",
                           attr->trans_a ? " transposed" : "", (long long)a->dims[!attr->trans_a],
                           attr->trans_b ? " transposed" : "", (long long)b->dims[attr->trans_b]);
    if (ubp_has_in(call, 2)) {
        const ub_tensor *c = call->in[2];
        UBP_TRY(ubp_want_same_dtype(call, 0, 2));
        UBP_TRY(ubp_want_rank(call, 2, 0, 2));
        for (int i = 0; i < c->rank; i++) {
            int64_t to = dims[2 - c->rank + i];
            if (c->dims[i] != 1 && c->dims[i] != to) {
                char cs[UBP_SHAPE_TEXT];
                return ubp_op_fail(
                    call, UB_ERR_SHAPE, "C of shape %s does not broadcast to (%lld, %lld)",
                    ubp_shape_text(cs, c->rank, c->dims), (long long)dims[0], (long long)dims[1]);
            }
        }
    }
    return ubp_set_out(call, 0, a->dtype, 2, dims);
}

static void gemm_batch(ubp_batch *b)
{
    const ubp_gemm_attr *attr = b->call->attr;
    ubp_follow f = ubp_follow_begin(b, 0);
    const int row[2] = {attr->trans_a, !attr->trans_b}; /* the axis each operand hands on */
    bool sums = false;
    for (int i = 0; i < 2; i++) {
        if (!ubp_follow_has(&f, i))
            continue;
        if (b->in[i].axis == row[i])
            ubp_follow_input(&f, i, i);
        else
            sums = true;
    }
    if (ubp_has_in(b->call, 2)) {
        const ub_tensor *c = b->call->in[2];
        int own = f.axis - 2 + c->rank;
        if (ubp_follow_has(&f, 2))
            ubp_follow_input(&f, 2, 2 - c->rank + b->in[2].axis);
        else if (f.found && b->n != 1 && own >= 0 && c->dims[own] != 1)
            ubp_samples_couple(b, 0, "an operand has fixed entries for each sample");
    }
    for (int i = 0; i < b->call->n_in; i++)
        ubp_follow_data(b, 0, i);
    if (sums)
        ubp_samples_couple(b, 0, "matrix product sums over the batch axis");
    ubp_follow_end(&f);
}

/* y = alpha*y + beta*c; c is NULL or broadcasts by its strides. */
typedef struct finish {
    const ub_tensor *y, *c;
    int64_t c_row, c_col; /* bytes */
    float alpha, beta;
} finish;

static void finish_f32(const finish *f, float *y, int64_t y_col, const char *c, int64_t n)
{
    for (int64_t j = 0; j < n; j++) {
        float v = f->alpha * y[j * y_col];
        if (c)
            v += f->beta * *(const float *)(c + j * f->c_col);
        y[j * y_col] = v;
    }
}

/* Integers wrap when alpha and beta are 1; else the scaled sum is truncated. */
static void finish_any(const finish *f, char *y, const char *c, int64_t n)
{
    ub_dtype d = f->y->dtype;
    bool exact = f->alpha == 1 && f->beta == 1 && ubp_is_integer(d);
    for (int64_t j = 0; j < n; j++, y += f->y->strides[1]) {
        const char *cj = c ? c + j * f->c_col : NULL;
        if (exact && cj)
            ubp_write_i64(y, d,
                          (int64_t)((uint64_t)ubp_read_i64(y, d) + (uint64_t)ubp_read_i64(cj, d)));
        else
            ubp_write_f64(y, d,
                          (double)f->alpha * ubp_read_f64(y, d) +
                              (cj ? (double)f->beta * ubp_read_f64(cj, d) : 0));
    }
}

static void finish_rows(void *arg, int64_t begin, int64_t end)
{
    const finish *f = arg;
    for (int64_t i = begin; i < end; i++) {
        char *y = (char *)f->y->data + i * f->y->strides[0];
        const char *c = f->c ? (const char *)f->c->data + i * f->c_row : NULL;
        if (f->y->dtype == UB_F32)
            finish_f32(f, (float *)(void *)y, f->y->strides[1] / 4, c, f->y->dims[1]);
        else
            finish_any(f, y, c, f->y->dims[1]);
    }
}

static ub_status gemm_ref(const ubp_call *call)
{
    const ubp_gemm_attr *attr = call->attr;
    const ub_tensor *a = call->in[0], *b = call->in[1], *y = call->out[0];
    const ub_tensor *c = ubp_has_in(call, 2) && attr->beta != 0 ? call->in[2] : NULL;
    int64_t size = (int64_t)ub_dtype_size(a->dtype);
    ubp_gemm_job job = {.dtype = a->dtype, .items = 1};
    if (ubp_run_cancelled(call->run))
        return UBP_CANCELLED(call);
    job.gemm = (ubp_gemm){
        .m = y->dims[0],
        .n = y->dims[1],
        .k = a->dims[!attr->trans_a],
        .a = a->data,
        .a_row = a->strides[attr->trans_a] / size,
        .a_col = a->strides[!attr->trans_a] / size,
        .b = b->data,
        .b_row = b->strides[attr->trans_b] / size,
        .b_col = b->strides[!attr->trans_b] / size,
        .c = y->data,
        .c_row = y->strides[0] / size,
        .c_col = y->strides[1] / size,
    };
    ubp_gemm_run(call->run, &job);
    finish f = {.y = y, .c = c, .alpha = attr->alpha, .beta = attr->beta};
    if (c) {
        int col = c->rank - 1, row = c->rank - 2;
        f.c_col = col >= 0 && c->dims[col] != 1 ? c->strides[col] : 0;
        f.c_row = row >= 0 && c->dims[row] != 1 ? c->strides[row] : 0;
    }
    if (c || attr->alpha != 1)
        ubp_run_parallel(call->run, y->dims[0], 16, finish_rows, &f);
    return UB_OK;
}

static int64_t gemm_macs(const ubp_call *call)
{
    const ubp_gemm_attr *attr = call->attr;
    return ub_tensor_count(call->out[0]) * call->in[0]->dims[!attr->trans_a];
}

const ubp_op ubp_op_Gemm = {
    .name = "Gemm",
    .domain = "",
    .min_in = 2,
    .max_in = 3,
    .min_out = 1,
    .max_out = 1,
    .flags = UBP_STRIDED | UBP_WIDEN,
    .attr_size = sizeof(ubp_gemm_attr),
    .attrs = gemm_attrs,
    .infer = gemm_infer,
    .batch = gemm_batch,
    .ref = gemm_ref,
    .macs = gemm_macs,
};
