/* SPDX-License-Identifier: Apache-2.0 */
/*
 * LSTM, GRU and RNN in float32: the reference kernel with oneDNN's matrix products in place of its
 * own. Each product is the prepared MatMul of dn_matmul.c, which keeps the bits; the cells are the
 * same code.
 */
#include "ops/onednn/onednn.h"
#include "ops/rnn.h"

#include <string.h>

/* rows by a constant matrix. */
typedef struct product {
    ubp_fast *fast;
    ub_tensor a, b, c; /* [rows][K], [K][G*H], [rows][G*H] */
    size_t scratch;
} product;

struct ubp_dn_recurrent {
    product w[2], r[2]; /* [direction] */
};

void ubp_dn_rnn_free(ubp_dn_recurrent *rnn)
{
    for (int d = 0; rnn && d < 2; d++) {
        ubp_fast_free(rnn->w[d].fast);
        ubp_fast_free(rnn->r[d].fast);
    }
    ubp_free(rnn);
}

static ub_status multiply(const product *p, const ubp_call *call, const void *rows, char *out)
{
    ub_tensor a = p->a, c = p->c;
    const ub_tensor *in[2] = {&a, &p->b};
    ub_tensor *to[1] = {&c};
    a.data = (void *)(uintptr_t)rows;
    c.data = out;
    const ubp_call one = {.op = ubp_op_find("MatMul", ""),
                          .node = call->node,
                          .n_in = 2,
                          .n_out = 1,
                          .in = in,
                          .out = to,
                          .run = call->run,
                          .err = call->err};
    void *scratch = p->scratch ? ubp_run_scratch(call, p->scratch) : NULL;
    if (p->scratch && !scratch)
        return UB_ERR_MEMORY;
    return ubp_fast_run(p->fast, &one, scratch);
}

static ub_status times_w(void *arg, const ubp_call *call, int direction, char *out)
{
    const ubp_dn_recurrent *rnn = arg;
    return multiply(&rnn->w[direction], call, call->in[UBP_RNN_X]->data, out);
}

static ub_status times_r(void *arg, const ubp_call *call, int direction, const char *state,
                         char *out)
{
    const ubp_dn_recurrent *rnn = arg;
    return multiply(&rnn->r[direction], call, state, out);
}

/* What the cells read must be aligned; a view of a file may not be. W and R are only packed. */
static ub_status run_aligned(ubp_fast *f, const ubp_call *call)
{
    const ubp_rnn_products products = {.arg = f->rnn, .times_w = times_w, .times_r = times_r};
    const ub_tensor *in[UBP_RNN_P + 1] = {0};
    ub_tensor aligned[UBP_RNN_P + 1];
    ubp_call copy = *call;
    for (int i = 0; i < call->n_in; i++) {
        in[i] = call->in[i];
        if (!in[i] || i == UBP_RNN_W || i == UBP_RNN_R || ubp_tensor_is_aligned(in[i]))
            continue;
        aligned[i] = *in[i];
        aligned[i].data = ubp_run_scratch(call, ubp_tensor_bytes(in[i]));
        if (!aligned[i].data)
            return UB_ERR_MEMORY;
        memcpy(aligned[i].data, in[i]->data, ubp_tensor_bytes(in[i]));
        in[i] = &aligned[i];
    }
    copy.in = in;
    return ubp_rnn_run(&copy, &products);
}

static ub_status run(ubp_fast *f, const ubp_call *call, void *scratch)
{
    (void)scratch;
    ub_status st = run_aligned(f, call);
    ubp_arena_reset(call->run->scratch);
    return st;
}

/* rows [rows][K] by the matrix [G*H][K] of a direction, turned. */
static ub_status prepare(product *p, ubp_fast *f, const ubp_call *call, int64_t rows,
                         const ub_tensor *matrix, int direction)
{
    const int64_t gates = matrix->dims[1], k = matrix->dims[2];
    const int64_t size = (int64_t)sizeof(float);
    p->a = (ub_tensor){.dtype = UB_F32, .rank = 2, .dims = {rows, k}};
    p->b = (ub_tensor){.dtype = UB_F32, .rank = 2, .dims = {k, gates}, .strides = {size, k * size}};
    p->c = (ub_tensor){.dtype = UB_F32, .rank = 2, .dims = {rows, gates}};
    ubp_tensor_set_strides(&p->a);
    ubp_tensor_set_strides(&p->c);
    p->b.data = (char *)matrix->data + direction * gates * k * size;
    const ub_tensor *in[2] = {&p->a, &p->b};
    ub_tensor *out[1] = {&p->c}, want[2] = {p->a, p->b};
    const ubp_call one = {.op = ubp_op_find("MatMul", ""),
                          .node = call->node,
                          .n_in = 2,
                          .n_out = 1,
                          .in = in,
                          .out = out,
                          .err = call->err};
    UBP_TRY(ubp_fast_prepare(&p->fast, f->d, &one, NULL, 0, want, &p->scratch));
    for (int i = 0; i < 2; i++)
        if (want[0].strides[i] != p->a.strides[i] || want[1].strides[i] != p->b.strides[i] ||
            p->c.strides[i] != (i ? size : gates * size))
            return UBP_DECLINED;
    return UB_OK;
}

ub_status ubp_dn_rnn(ubp_fast *f, const ubp_dn_request *r)
{
    const ubp_call *call = r->call;
    const ubp_rnn_attr *a = call->attr;
    const ub_tensor *x = call->in[UBP_RNN_X], *w = call->in[UBP_RNN_W], *rr = call->in[UBP_RNN_R];
    if (x->dtype != UB_F32 || r->n_posts || !w->data || !rr->data || ubp_rnn_is_split(a) ||
        ub_tensor_count(x) == 0 || !ub_tensor_is_contiguous(w) || !ub_tensor_is_contiguous(rr))
        return UBP_DECLINED;
    f->rnn = ubp_calloc(1, sizeof *f->rnn);
    if (!f->rnn)
        return ubp_fail_memory(call->err, sizeof *f->rnn);
    for (int d = 0; d < (a->direction == UBP_BOTH ? 2 : 1); d++) {
        UBP_TRY(prepare(&f->rnn->w[d], f, call, x->dims[0] * x->dims[1], w, d));
        UBP_TRY(prepare(&f->rnn->r[d], f, call, x->dims[!a->batch_first], rr, d));
    }
    f->run = run;
    for (int i = 0; i < call->n_in; i++)
        if (call->in[i])
            ubp_tensor_set_strides(&r->want[i]);
    for (int k = 0; k < call->n_out; k++)
        if (call->out[k])
            ubp_tensor_set_strides(call->out[k]);
    return UB_OK;
}
