/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MatMul (NumPy's matmul: (..., M, K) x (..., K, N), leading dims broadcast, a vector is a row or a
 * column) and the parts of it that the integer products share. Order of additions: gemm.h.
 */
#include "ops/matmul.h"

#include "ops/follow.h"

#include <string.h>

/* Leading dims of an operand: those before its matrix. */
static int leading(const ub_tensor *t)
{
    return t->rank > 2 ? t->rank - 2 : 0;
}

/* ---- Shape ----------------------------------------------------------------------------------- */

ub_status ubp_matmul_dims(const ubp_call *call, int a, int b, int *rank, int64_t *dims)
{
    UBP_TRY(ubp_want_rank(call, a, 1, UB_MAX_RANK));
    UBP_TRY(ubp_want_rank(call, b, 1, UB_MAX_RANK));
    const ub_tensor *x = call->in[a], *w = call->in[b];
    int64_t k = w->dims[w->rank == 1 ? 0 : w->rank - 2];
    int64_t lead[UB_MAX_RANK];
    int n = 0;
    if (x->dims[x->rank - 1] != k ||
        !ubp_broadcast_dims(&n, lead, leading(x), x->dims, leading(w), w->dims)) {
        char xs[UBP_SHAPE_TEXT], ws[UBP_SHAPE_TEXT];
        return ubp_op_fail(call, UB_ERR_SHAPE, "cannot multiply shapes %s and %s",
                           ubp_shape_text(xs, x->rank, x->dims),
                           ubp_shape_text(ws, w->rank, w->dims));
    }
    memcpy(dims, lead, (size_t)n * sizeof *dims);
    if (x->rank >= 2)
        dims[n++] = x->dims[x->rank - 2];
    if (w->rank >= 2)
        dims[n++] = w->dims[w->rank - 1];
    *rank = n;
    return UB_OK;
}

static ub_status matmul_infer(const ubp_call *call)
{
    int rank;
    int64_t dims[UB_MAX_RANK];
    UBP_TRY(ubp_matmul_dims(call, 0, 1, &rank, dims));
    UBP_TRY(ubp_want_same_dtype(call, 0, 1));
    ub_dtype dtype = call->in[0]->dtype;
    if (!ubp_is_float(dtype) && !ubp_gemm_takes(dtype))
        return ubp_op_fail(call, UB_ERR_UNSUPPORTED,
                           "products of %s are not supported (floats, 32- and 64-bit integers are)",
                           ub_dtype_name(dtype));
    return ubp_set_out(call, 0, dtype, rank, dims);
}

/* ---- Samples --------------------------------------------------------------------------------- */

/* Whether the operand has, without a map, entries of its own along leading axis `axis` of out. */
static bool fixed_rows(const ubp_batch *b, int i, const ub_tensor *t, int lead, int axis)
{
    int own = axis - lead + leading(t);
    return b->in[i].kind == UBP_SAMPLES_NONE && axis < lead && own >= 0 && t->dims[own] != 1;
}

void ubp_matmul_follow(ubp_batch *batch, int a, int b)
{
    const ub_tensor *x = batch->call->in[a], *w = batch->call->in[b];
    const ub_tensor *y = batch->call->out[0];
    ubp_follow f = ubp_follow_begin(batch, 0);
    int lead = leading(x) > leading(w) ? leading(x) : leading(w);
    bool sums = false;
    if (ubp_follow_has(&f, a)) {
        int axis = batch->in[a].axis;
        if (axis == x->rank - 1)
            sums = true;
        else if (axis == x->rank - 2)
            ubp_follow_input(&f, a, lead);
        else
            ubp_follow_input(&f, a, lead - leading(x) + axis);
    }
    if (ubp_follow_has(&f, b)) {
        int axis = batch->in[b].axis;
        if (w->rank == 1 || axis == w->rank - 2)
            sums = true;
        else if (axis == w->rank - 1)
            ubp_follow_input(&f, b, y->rank - 1);
        else
            ubp_follow_input(&f, b, lead - leading(w) + axis);
    }
    ubp_follow_data(batch, 0, a);
    ubp_follow_data(batch, 0, b);
    if (sums)
        ubp_samples_couple(batch, 0, "matrix product sums over the batch axis");
    /* With one sample the rows can only be that sample's own. */
    if (f.found && batch->n != 1 &&
        (fixed_rows(batch, a, x, lead, f.axis) || fixed_rows(batch, b, w, lead, f.axis)))
        ubp_samples_couple(batch, 0, "an operand has fixed entries for each sample");
    ubp_follow_end(&f);
}

static void matmul_batch(ubp_batch *b)
{
    ubp_matmul_follow(b, 0, 1);
}

/* ---- Running --------------------------------------------------------------------------------- */

/* The leading dims of the output and how far a step along each moves in a, b and c (elements). */
typedef struct leads {
    int n;
    int64_t dims[UB_MAX_RANK];
    int64_t a[UB_MAX_RANK], b[UB_MAX_RANK], c[UB_MAX_RANK];
    int64_t size; /* of an element */
} leads;

static int64_t stride(const ub_tensor *t, int axis, int64_t size)
{
    return axis < 0 || t->dims[axis] == 1 ? 0 : t->strides[axis] / size;
}

static void locate(const ubp_gemm_job *job, int64_t item, ubp_gemm *g)
{
    const leads *l = job->arg;
    int64_t a = 0, b = 0, c = 0;
    for (int i = l->n - 1; i >= 0; i--) {
        int64_t at = item % l->dims[i];
        item /= l->dims[i];
        a += at * l->a[i];
        b += at * l->b[i];
        c += at * l->c[i];
    }
    g->a = (const char *)g->a + a * l->size;
    g->b = (const char *)g->b + b * l->size;
    g->c = (char *)g->c + c * l->size;
}

/* (N, T, K) x (K, M) is one product of N*T rows. The bits are those of N products. */
static void merge_rows(leads *l, ubp_gemm *g)
{
    while (l->n > 0) {
        int i = l->n - 1;
        if (l->dims[i] != 1 &&
            (l->b[i] != 0 || l->a[i] != g->a_row * g->m || l->c[i] != g->c_row * g->m))
            return;
        g->m *= l->dims[i];
        l->n--;
    }
}

void ubp_matmul_run(const ubp_run *run, ub_dtype dtype, const ub_tensor *a, const ub_tensor *b,
                    const ub_tensor *dst)
{
    int64_t size = (int64_t)ub_dtype_size(dtype);
    leads l = {.size = size};
    ubp_gemm_job job = {.dtype = dtype, .items = 1, .locate = locate, .arg = &l};
    ubp_gemm *g = &job.gemm;
    int ra = a->rank, rb = b->rank;
    g->k = a->dims[ra - 1];
    g->m = ra > 1 ? a->dims[ra - 2] : 1;
    g->n = rb > 1 ? b->dims[rb - 1] : 1;
    g->a = a->data, g->b = b->data, g->c = dst->data;
    g->a_col = a->strides[ra - 1] / size;
    g->a_row = ra > 1 ? a->strides[ra - 2] / size : 0;
    g->b_row = b->strides[rb > 1 ? rb - 2 : 0] / size;
    g->b_col = rb > 1 ? b->strides[rb - 1] / size : 0;
    l.n = dst->rank - (ra > 1) - (rb > 1);
    g->c_row = ra > 1 ? dst->strides[l.n] / size : 0;
    g->c_col = rb > 1 ? dst->strides[dst->rank - 1] / size : 1;
    for (int i = 0; i < l.n; i++) {
        l.dims[i] = dst->dims[i];
        l.a[i] = stride(a, i - l.n + leading(a), size);
        l.b[i] = stride(b, i - l.n + leading(b), size);
        l.c[i] = stride(dst, i, size);
    }
    if (ub_tensor_count(dst) == 0)
        return;
    merge_rows(&l, g);
    for (int i = 0; i < l.n; i++)
        job.items *= l.dims[i];
    ubp_gemm_run(run, &job);
}

static ub_status matmul_ref(const ubp_call *call)
{
    if (ubp_run_cancelled(call->run))
        return UBP_CANCELLED(call);
    ubp_matmul_run(call->run, call->in[0]->dtype, call->in[0], call->in[1], call->out[0]);
    return UB_OK;
}

int64_t ubp_matmul_macs(const ub_tensor *a, const ub_tensor *dst)
{
    return ub_tensor_count(dst) * (a->rank ? a->dims[a->rank - 1] : 1);
}

static int64_t matmul_macs(const ubp_call *call)
{
    return ubp_matmul_macs(call->in[0], call->out[0]);
}

const ubp_op ubp_op_MatMul = {
    .name = "MatMul",
    .domain = "",
    .min_in = 2,
    .max_in = 2,
    .min_out = 1,
    .max_out = 1,
    .flags = UBP_STRIDED | UBP_WIDEN,
    .infer = matmul_infer,
    .batch = matmul_batch,
    .ref = matmul_ref,
    .macs = matmul_macs,
};
