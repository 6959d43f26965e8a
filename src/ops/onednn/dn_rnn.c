/* SPDX-License-Identifier: Apache-2.0 */
/*
 * LSTM, GRU and RNN in float32: the reference kernel with oneDNN's matrix products in place of its
 * own. Each product is the prepared MatMul of dn_matmul.c, which keeps the bits; the cells are the
 * same code. The samples, or if they are few the hidden units, are cut into parts for the cores of
 * this machine, each with a product of its own for one thread: some rows by R', or all rows by some
 * of its columns. Neither moves a sum.
 */
#include "ops/onednn/onednn.h"
#include "ops/product.h"
#include "ops/rnn.h"

#include <string.h>

enum { MOST_PARTS = 8 };

/* rows by a constant matrix: [rows][K], [K][columns]. */
typedef struct product {
    ubp_product p;
    void *memory; /* scratch memory of this run */
} product;

struct ubp_dn_recurrent {
    ubp_rnn_cut cut;
    product w[2], r[2][MOST_PARTS]; /* [direction], [direction][part] */
    bool turned;                    /* X lies with T and N exchanged */
    char *columns;                  /* [D][parts][G][units of the part][H]: R; or NULL */
};

void ubp_dn_rnn_free(ubp_dn_recurrent *rnn)
{
    for (int d = 0; rnn && d < 2; d++) {
        ubp_product_free(&rnn->w[d].p);
        for (int p = 0; p < MOST_PARTS; p++)
            ubp_product_free(&rnn->r[d][p].p);
    }
    if (rnn)
        ubp_free(rnn->columns);
    ubp_free(rnn);
}

static ub_status multiply(const product *p, const ubp_call *call, const void *rows, char *out)
{
    return ubp_product_run(&p->p, call, rows, NULL, out, p->memory);
}

static ub_status times_w(void *arg, const ubp_call *call, int direction, char *out)
{
    const ubp_dn_recurrent *rnn = arg;
    return multiply(&rnn->w[direction], call, call->in[UBP_RNN_X]->data, out);
}

static ub_status times_r(void *arg, const ubp_call *call, int direction, int part,
                         const char *state, char *out)
{
    const ubp_dn_recurrent *rnn = arg;
    ubp_run alone = *call->run;
    ubp_call one = *call;
    alone.threads = 1;
    alone.scratch = NULL; /* shared by all threads; the product has its own */
    one.run = &alone;
    one.err = NULL;
    return multiply(&rnn->r[direction][part], &one, state, out);
}

/* Scratch memory, weights and primitives are ready before threads share them. */
static ub_status get_ready(product *p, const ubp_call *call)
{
    p->memory = p->p.scratch ? ubp_run_scratch(call, p->p.scratch) : NULL;
    if (p->p.scratch && !p->memory)
        return UB_ERR_MEMORY;
    return ubp_product_ready(&p->p, call);
}

/* What the cells read must be aligned; a view of a file may not be. W and R are only packed. */
static ub_status run_aligned(ubp_fast *f, const ubp_call *call, void *xw)
{
    ubp_dn_recurrent *rnn = f->rnn;
    const ubp_rnn_products products = {.arg = rnn,
                                       .cut = rnn->cut,
                                       .xw = xw,
                                       .turned = rnn->turned,
                                       .times_w = times_w,
                                       .times_r = times_r};
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
    for (int d = 0; d < 2 && rnn->w[d].p.fast; d++) {
        UBP_TRY(get_ready(&rnn->w[d], call));
        for (int p = 0; p < rnn->cut.parts; p++)
            UBP_TRY(get_ready(&rnn->r[d][p], call));
    }
    return ubp_rnn_run(&copy, &products);
}

static ub_status run(ubp_fast *f, const ubp_call *call, void *scratch)
{
    ub_status st = run_aligned(f, call, scratch);
    ubp_arena_reset(call->run->scratch);
    return st;
}

/* rows [rows][K] by matrix [columns][K], turned; made for `threads` threads, 0: all. */
static ub_status prepare(product *p, ubp_fast *f, const ubp_call *call, int64_t rows, int64_t k,
                         int64_t columns, const void *matrix, int threads)
{
    const int64_t size = (int64_t)sizeof(float);
    p->p.a = (ub_tensor){.dtype = UB_F32, .rank = 2, .dims = {rows, k}};
    p->p.b =
        (ub_tensor){.dtype = UB_F32, .rank = 2, .dims = {k, columns}, .strides = {size, k * size}};
    ubp_tensor_set_strides(&p->p.a);
    p->p.b.data = (void *)(uintptr_t)matrix;
    return ubp_product_prepare(&p->p, f->d, threads, call->node, call->err);
}

/* Parts that are worth a thread: from a quarter of a megabyte of R on, which is read in each step.
 * Four rows hide that; fewer do not. */
static ubp_rnn_cut pick_cut(const ubp_fast *f, int64_t samples, int64_t gates, int64_t hidden)
{
    enum { VECTOR = 16, WORTH = 1 << 16, ROWS = 4 };
    const int64_t rows = samples / ROWS > 0 ? samples / ROWS : 1;
    const int64_t most = f->d->cores < MOST_PARTS ? f->d->cores : MOST_PARTS;
    int64_t worth = gates * hidden * hidden / WORTH, parts;
    worth = worth > INT32_MAX / rows ? INT32_MAX : worth * rows;
    const bool by_samples = rows >= most;
    const int64_t limit = by_samples ? rows : hidden / VECTOR;
    parts = worth < most ? worth : most;
    parts = parts < limit ? parts : limit;
    return (ubp_rnn_cut){.samples = samples,
                         .hidden = hidden,
                         .parts = parts < 1 ? 1 : (int)parts,
                         .by_samples = by_samples};
}

/* The rows of R of each part together. */
static ub_status cut_columns(ubp_dn_recurrent *rnn, const ub_tensor *r, int64_t gates,
                             const ubp_call *call)
{
    const int64_t h = r->dims[2], row = h * (int64_t)sizeof(float);
    char *to = rnn->columns = ubp_malloc_aligned(ubp_tensor_bytes(r));
    if (!to)
        return ubp_fail_memory(call->err, ubp_tensor_bytes(r));
    for (int64_t d = 0; d < r->dims[0]; d++)
        for (int i = 0; i < rnn->cut.parts; i++) {
            const ubp_rnn_part p = ubp_rnn_part_of(&rnn->cut, i);
            for (int64_t g = 0; g < gates; g++, to += p.units * row)
                memcpy(to, (const char *)r->data + (d * gates * h + g * h + p.unit) * row,
                       (size_t)(p.units * row));
        }
    return UB_OK;
}

static ub_status prepare_products(ubp_fast *f, const ubp_call *call)
{
    ubp_dn_recurrent *rnn = f->rnn;
    const ubp_rnn_attr *a = call->attr;
    const ub_tensor *x = call->in[UBP_RNN_X], *w = call->in[UBP_RNN_W], *r = call->in[UBP_RNN_R];
    const int64_t size = (int64_t)sizeof(float), gates = ubp_rnn_gates(a->kind);
    const int64_t h = r->dims[2], in = w->dims[2];
    rnn->cut = pick_cut(f, x->dims[!a->batch_first], gates, h);
    if (rnn->cut.parts > 1 && !rnn->cut.by_samples)
        UBP_TRY(cut_columns(rnn, r, gates, call));
    for (int d = 0; d < (a->direction == UBP_BOTH ? 2 : 1); d++) {
        const int64_t at = d * gates * h;
        UBP_TRY(prepare(&rnn->w[d], f, call, x->dims[0] * x->dims[1], in, gates * h,
                        (const char *)w->data + at * in * size, 0));
        for (int i = 0; i < rnn->cut.parts; i++) {
            const ubp_rnn_part p = ubp_rnn_part_of(&rnn->cut, i);
            const char *from = rnn->columns ? rnn->columns + (at + gates * p.unit) * h * size
                                            : (const char *)r->data + at * h * size;
            UBP_TRY(prepare(&rnn->r[d][i], f, call, p.samples, h, gates * p.units, from, 1));
        }
    }
    return UB_OK;
}

/* As the Transpose leaves it that exporters put before a batch-first module. */
static bool lies_turned(const ub_tensor *x)
{
    ub_tensor t = *x;
    t.dims[0] = x->dims[1];
    t.dims[1] = x->dims[0];
    ubp_tensor_set_strides(&t);
    return x->dims[0] > 1 && x->dims[1] > 1 && x->strides[0] == t.strides[1] &&
           x->strides[1] == t.strides[0] && x->strides[2] == t.strides[2];
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
    f->rnn->turned = lies_turned(x);
    UBP_TRY(prepare_products(f, call));
    f->own_scratch = ubp_tensor_bytes(&f->rnn->w[0].p.c);
    f->run = run;
    for (int i = 0; i < call->n_in; i++)
        if (call->in[i] && !(i == UBP_RNN_X && f->rnn->turned))
            ubp_tensor_set_strides(&r->want[i]);
    for (int k = 0; k < call->n_out; k++)
        if (call->out[k])
            ubp_tensor_set_strides(call->out[k]);
    return UB_OK;
}
