/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Einsum: operands are joined from left to right. Of two, labels in both that are needed later are
 * batch, labels of one are rows or columns, and those that nobody needs later are summed: a matrix
 * product (gemm.h gives the order of additions). Labels of one operand alone that nobody needs are
 * summed first. Which of these a label is follows from the equation, so a sample's bits do not
 * depend on the batch. ONNX: Einsum-12.
 */
#include "ops/einsum.h"

#include "ops/follow.h"
#include "ops/gemm.h"

#include <string.h>

typedef struct einsum_attr {
    const char *equation;
} einsum_attr;

static ub_status einsum_attrs(const ubp_node *node, void *attr, ubp_arena *arena, ub_error *err)
{
    einsum_attr *a = attr;
    (void)arena;
    UBP_TRY(ubp_attr_string(node, "equation", NULL, &a->equation, err));
    if (!a->equation)
        return ubp_fail(err, UB_ERR_FILE, "node '%s' (%s): attribute 'equation' is missing",
                        node->name, node->op_type);
    return UB_OK;
}

static ub_status parse(const ubp_call *call, ubp_einsum *e)
{
    return ubp_einsum_parse(call, ((const einsum_attr *)call->attr)->equation, e);
}

static ub_status einsum_infer(const ubp_call *call)
{
    ubp_einsum e;
    int64_t dims[UB_MAX_RANK];
    ub_dtype dtype = call->in[0]->dtype;
    if (!ubp_is_float(dtype) && !ubp_is_integer(dtype))
        return ubp_op_fail(call, UB_ERR_SHAPE, "input 0 is %s, expected numbers",
                           ub_dtype_name(dtype));
    for (int i = 0; i < call->n_in; i++)
        UBP_TRY(ubp_want_same_dtype(call, 0, i));
    UBP_TRY(parse(call, &e));
    for (int d = 0; d < e.out.rank; d++)
        dims[d] = e.size[e.out.label[d]];
    return ubp_set_out(call, 0, dtype, e.out.rank, dims);
}

/* ---- Samples --------------------------------------------------------------------------------- */

/* How often a label occurs in a term; *axis is where. */
static int occurs(const ubp_einsum_term *t, int label, int *axis)
{
    int n = 0;
    for (int d = 0; d < t->rank; d++) {
        if (t->label[d] == label) {
            *axis = d;
            n++;
        }
    }
    return n;
}

static void einsum_batch(ubp_batch *b)
{
    ubp_follow f = ubp_follow_begin(b, 0);
    ubp_einsum e;
    int label = -1, axis = 0;
    if (parse(b->call, &e) != UB_OK)
        return;
    for (int i = 0; i < e.n; i++) {
        ubp_follow_data(b, 0, i);
        if (!ubp_follow_has(&f, i))
            continue;
        label = e.in[i].label[b->in[i].axis];
        if (occurs(&e.in[i], label, &axis) > 1)
            ubp_samples_couple(b, 0, "a diagonal over the batch axis");
        if (occurs(&e.out, label, &axis) == 0)
            ubp_samples_couple(b, 0, "einsum sums over the batch axis");
        else
            ubp_follow_input(&f, i, axis);
    }
    for (int i = 0; i < e.n && label >= 0 && b->n != 1; i++)
        if (!ubp_follow_has(&f, i) && occurs(&e.in[i], label, &axis) > 0 &&
            b->call->in[i]->dims[axis] != 1)
            ubp_samples_couple(b, 0, "an operand has fixed entries for each sample");
    ubp_follow_end(&f);
}

/* ---- Running --------------------------------------------------------------------------------- */

/* A tensor by labels: element (l0, l1, ...) is at data + sum of l * step[l] elements. */
typedef struct operand {
    const void *data;
    bool has[UBP_EINSUM_LABELS];
    int64_t step[UBP_EINSUM_LABELS];
} operand;

typedef struct machine {
    const ubp_call *call;
    const ubp_einsum *e;
    ub_dtype dtype; /* that gemm takes */
} machine;

/* Some labels in order. */
typedef struct labels {
    int n;
    int label[UBP_EINSUM_LABELS];
    int64_t count; /* product of their sizes */
} labels;

static ub_status add_label(const machine *m, labels *l, int label)
{
    l->label[l->n++] = label;
    if (!ubp_mul_i64(l->count, m->e->size[label], &l->count))
        return ubp_fail_memory(m->call->err, SIZE_MAX);
    return UB_OK;
}

/* A strided tensor of an operand whose dims are the labels of up to three lists. */
static ub_status view(const machine *m, const operand *o, const labels *const *lists, int n,
                      ub_tensor *out)
{
    int64_t dims[UB_MAX_RANK], size = (int64_t)ub_dtype_size(m->dtype);
    int64_t strides[UB_MAX_RANK];
    int rank = 0;
    for (int i = 0; i < n; i++) {
        for (int k = 0; k < lists[i]->n; k++, rank++) {
            int label = lists[i]->label[k];
            if (rank == UB_MAX_RANK)
                return ubp_op_fail(m->call, UB_ERR_UNSUPPORTED,
                                   "a step of the equation has more than %d dims", UB_MAX_RANK);
            dims[rank] = m->e->size[label];
            strides[rank] = o->has[label] ? o->step[label] * size : 0;
        }
    }
    UBP_TRY(ubp_tensor_describe(out, m->dtype, rank, dims, m->call->err));
    memcpy(out->strides, strides, sizeof strides);
    out->data = (void *)(uintptr_t)o->data;
    return UB_OK;
}

/* The operand's elements row-major over the labels, in scratch. */
static ub_status pack(const machine *m, const operand *o, const labels *const *lists, int n,
                      void **out)
{
    ub_tensor src, dst;
    UBP_TRY(view(m, o, lists, n, &src));
    dst = src;
    ubp_tensor_set_strides(&dst);
    dst.data = *out = ubp_run_scratch(m->call, ubp_tensor_bytes(&dst));
    if (!dst.data)
        return UB_ERR_MEMORY;
    ubp_tensor_move(&dst, &src);
    return UB_OK;
}

/* Products a[i] [m][k] * b[i] [k][n] of packed operands. */
typedef struct products {
    const char *a, *b;
    char *c;
    int64_t a_step, b_step, c_step; /* bytes */
} products;

static void locate(const ubp_gemm_job *job, int64_t item, ubp_gemm *g)
{
    const products *p = job->arg;
    g->a = p->a + item * p->a_step;
    g->b = p->b + item * p->b_step;
    g->c = p->c + item * p->c_step;
}

/* Makes the labels of `lists` those of an operand that lies row-major at data. */
static void lay_out(const machine *m, operand *o, const void *data, const labels *const *lists,
                    int n)
{
    int64_t step = 1;
    memset(o, 0, sizeof *o);
    o->data = data;
    for (int i = n - 1; i >= 0; i--) {
        for (int k = lists[i]->n - 1; k >= 0; k--) {
            int label = lists[i]->label[k];
            o->has[label] = true;
            o->step[label] = step;
            step *= m->e->size[label] > 0 ? m->e->size[label] : 1;
        }
    }
}

/* *a = the sum over the labels not in keep of *a times *b. */
static ub_status multiply(const machine *m, operand *a, const operand *b, const bool *keep)
{
    labels batch = {.count = 1}, rows = {.count = 1}, columns = {.count = 1}, sums = {.count = 1};
    const int64_t size = (int64_t)ub_dtype_size(m->dtype);
    for (int l = 0; l < UBP_EINSUM_LABELS; l++) {
        if (!a->has[l] && !b->has[l])
            continue;
        UBP_TRY(add_label(m,
                          !keep[l]     ? &sums
                          : !b->has[l] ? &rows
                          : !a->has[l] ? &columns
                                       : &batch,
                          l));
    }
    const labels *const of_a[] = {&batch, &rows, &sums}, *const of_b[] = {&batch, &sums, &columns};
    const labels *const of_c[] = {&batch, &rows, &columns};
    operand result;
    ub_tensor c;
    void *pa, *pb;
    UBP_TRY(pack(m, a, of_a, 3, &pa));
    UBP_TRY(pack(m, b, of_b, 3, &pb));
    UBP_TRY(view(m, a, of_c, 3, &c)); /* checks the result's size */
    void *data = ubp_run_scratch(m->call, ubp_tensor_bytes(&c));
    if (!data)
        return UB_ERR_MEMORY;
    products p = {pa,
                  pb,
                  data,
                  rows.count * sums.count * size,
                  sums.count * columns.count * size,
                  rows.count * columns.count * size};
    ubp_gemm_job job = {.dtype = m->dtype,
                        .items = batch.count,
                        .gemm = {.m = rows.count,
                                 .n = columns.count,
                                 .k = sums.count,
                                 .a_row = sums.count,
                                 .a_col = 1,
                                 .b_row = columns.count,
                                 .b_col = 1,
                                 .c_row = columns.count,
                                 .c_col = 1},
                        .locate = locate,
                        .arg = &p};
    ubp_gemm_run(m->call->run, &job);
    lay_out(m, &result, data, of_c, 3);
    *a = result;
    return UB_OK;
}

/* Sums the labels of *o that neither keep nor the other operand has. */
static ub_status sum_alone(const machine *m, operand *o, const operand *other, const bool *keep)
{
    bool stay[UBP_EINSUM_LABELS], any = false;
    for (int l = 0; l < UBP_EINSUM_LABELS; l++) {
        stay[l] = keep[l] || (other && other->has[l]);
        any = any || (o->has[l] && !stay[l]);
    }
    if (!any)
        return UB_OK;
    void *one = ubp_run_scratch(m->call, sizeof(double));
    if (!one)
        return UB_ERR_MEMORY;
    ubp_write_f64(one, m->dtype, 1);
    const operand unit = {.data = one};
    return multiply(m, o, &unit, stay);
}

/* Input i by labels; narrow integers become int32. */
static ub_status load(const machine *m, int i, operand *o)
{
    const ub_tensor *t = m->call->in[i];
    int64_t step = 1, count = ub_tensor_count(t);
    memset(o, 0, sizeof *o);
    o->data = t->data;
    for (int d = t->rank - 1; d >= 0; d--) {
        int label = m->e->in[i].label[d];
        if (t->dims[d] != 1 || m->e->size[label] == 1) { /* else it stretches: a step of 0 */
            o->has[label] = true;
            o->step[label] += step; /* a diagonal steps along both dims */
        }
        step *= t->dims[d];
    }
    if (t->dtype == m->dtype)
        return UB_OK;
    size_t bytes;
    if (!ubp_mul_size((size_t)count, ub_dtype_size(m->dtype), &bytes))
        return ubp_fail_memory(m->call->err, SIZE_MAX);
    void *wide = ubp_run_scratch(m->call, bytes);
    if (!wide)
        return UB_ERR_MEMORY;
    ubp_convert(wide, m->dtype, t->data, t->dtype, count);
    o->data = wide;
    return UB_OK;
}

/* The labels of the output in its order. */
static ub_status store(const machine *m, const operand *o)
{
    const ub_tensor *y = m->call->out[0];
    labels order = {.count = 1};
    const labels *list = &order;
    for (int d = 0; d < m->e->out.rank; d++)
        UBP_TRY(add_label(m, &order, m->e->out.label[d]));
    void *data;
    ub_tensor src;
    UBP_TRY(view(m, o, &list, 1, &src));
    if (m->dtype == y->dtype) {
        ubp_tensor_move(y, &src);
        return UB_OK;
    }
    UBP_TRY(pack(m, o, &list, 1, &data));
    ubp_convert(y->data, y->dtype, data, m->dtype, ub_tensor_count(y));
    return UB_OK;
}

static ub_status einsum_ref(const ubp_call *call)
{
    ubp_einsum e;
    UBP_TRY(parse(call, &e));
    ub_dtype dtype = call->in[0]->dtype;
    const machine m = {call, &e, ubp_gemm_takes(dtype) ? dtype : UB_I32};
    operand acc, next;
    if (ub_tensor_count(call->out[0]) == 0)
        return UB_OK;
    UBP_TRY(load(&m, 0, &acc));
    for (int i = 1; i <= e.n; i++) {
        bool keep[UBP_EINSUM_LABELS] = {false};
        if (ubp_run_cancelled(call->run))
            return UBP_CANCELLED(call);
        for (int d = 0; d < e.out.rank; d++)
            keep[e.out.label[d]] = true;
        for (int k = i + 1; k < e.n; k++)
            for (int d = 0; d < e.in[k].rank; d++)
                keep[e.in[k].label[d]] = true;
        if (i == e.n) {
            UBP_TRY(sum_alone(&m, &acc, NULL, keep));
            break;
        }
        UBP_TRY(load(&m, i, &next));
        UBP_TRY(sum_alone(&m, &acc, &next, keep));
        UBP_TRY(sum_alone(&m, &next, &acc, keep));
        UBP_TRY(multiply(&m, &acc, &next, keep));
    }
    return store(&m, &acc);
}

static int64_t einsum_macs(const ubp_call *call)
{
    ubp_einsum e;
    int64_t macs = 1;
    if (parse(call, &e) != UB_OK)
        return 0;
    for (int l = 0; l < UBP_EINSUM_LABELS; l++)
        if (e.size[l] >= 0 && !ubp_mul_i64(macs, e.size[l], &macs))
            return INT64_MAX;
    return macs;
}

const ubp_op ubp_op_Einsum = {
    .name = "Einsum",
    .domain = "",
    .min_in = 1,
    .max_in = UBP_EINSUM_OPERANDS,
    .min_out = 1,
    .max_out = 1,
    .flags = UBP_WIDEN,
    .attr_size = sizeof(einsum_attr),
    .attrs = einsum_attrs,
    .infer = einsum_infer,
    .batch = einsum_batch,
    .ref = einsum_ref,
    .macs = einsum_macs,
};
