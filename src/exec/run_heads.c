/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Running attention: each thread takes a run of heads, or of blocks of their rows, and each of them
 * through both products and all that is between, while the scores lie in its cache.
 */
#include "exec/exec.h"

typedef struct work {
    const ubp_plan_step *s;
    const ubp_run *run;
    char *scratch; /* [team][slot_bytes] */
    int team;
    _Atomic int status;
} work;

/* What one thread works on. */
typedef struct worker {
    const ubp_plan_step *s;
    const ubp_heads *a;
    ubp_call call; /* its products belong to */
    ubp_product (*products)[2];
    char *scratch;
    int64_t head;                  /* whose K and V are at hand, or -1 */
    const void *k, *v;             /* [depth][columns], [columns][width] */
    int64_t index[UBP_HEADS_RANK]; /* [lead] of the head */
    int64_t first, rows;           /* of the block */
} worker;

/* Of tensor t, spread over all heads: the head's matrix; of its rows, if it has as many as Q, those
 * of the block. */
static ub_tensor matrix_of(const worker *w, const ub_tensor *t, bool by_rows)
{
    ub_tensor m = {.dtype = t->dtype, .rank = 2, .dims = {1, 1}};
    const int missing = w->a->lead + 2 - t->rank;
    int64_t offset = 0;
    for (int i = 0; i < t->rank; i++) {
        const int axis = i + missing - w->a->lead; /* of the matrix */
        if (axis >= 0) {
            m.dims[axis] = t->dims[i];
            m.strides[axis] = t->strides[i];
        } else if (t->dims[i] > 1) {
            offset += w->index[i + missing] * t->strides[i];
        }
    }
    if (by_rows && m.dims[0] > 1) {
        offset += w->first * m.strides[0];
        m.dims[0] = w->rows;
    }
    m.data = (char *)t->data + offset;
    return m;
}

/* The head's matrix of input `part`, copied without gaps where it has to be. like: the copy. */
static const void *matrix_in(const worker *w, ubp_heads_part part, const ub_tensor *like)
{
    const ub_tensor from = matrix_of(w, w->s->in_tensors[part], part == UBP_HEADS_Q);
    if (!w->a->copies[part])
        return from.data;
    ub_tensor to = *like;
    to.data = w->scratch + w->a->at[part];
    to.dims[0] = from.dims[0];
    ubp_tensor_move(&to, &from);
    return to.data;
}

/* The nodes between the products, over the scores where they lie: [rows][columns]. */
static ub_status run_middle(const worker *w, ub_tensor *scores)
{
    for (int i = 0; i < w->a->n_nodes; i++) {
        const ubp_heads_node *n = &w->a->nodes[i];
        ub_tensor views[3], *out[1] = {scores};
        const ub_tensor *in[3] = {0};
        for (int j = 0; j < n->n_in; j++) {
            if (n->in[j] == UBP_HEADS_SCORES_AT) {
                in[j] = scores;
            } else if (n->in[j] >= 0) {
                const ub_tensor *t = w->s->in_tensors[n->in[j]];
                views[j] = matrix_of(w, t, true);
                if (ub_tensor_count(t) == 1)
                    views[j].rank = 0;
                in[j] = &views[j];
            }
        }
        const ubp_call call = {.op = n->node->op,
                               .node = n->node,
                               .attr = n->attr,
                               .n_in = n->n_in,
                               .n_out = 1,
                               .in = in,
                               .out = out,
                               .run = w->call.run};
        UBP_TRY(n->node->op->ref(&call));
    }
    return UB_OK;
}

/* One block of rows of one head. */
static ub_status run_block(worker *w, int64_t block)
{
    const ubp_heads *a = w->a;
    const int64_t head = block / a->blocks;
    w->first = block % a->blocks * a->block;
    w->rows = a->rows - w->first < a->block ? a->rows - w->first : a->block;
    const int rest = w->rows < a->block;
    const ubp_product *qk = &w->products[0][rest], *sv = &w->products[1][rest];
    if (head != w->head) {
        int64_t left = head;
        for (int i = a->lead - 1; i >= 0; left /= a->dims[i--])
            w->index[i] = left % a->dims[i];
        w->k = matrix_in(w, UBP_HEADS_K, &qk->b);
        w->v = matrix_in(w, UBP_HEADS_V, &sv->b);
        w->head = head;
    }
    ub_tensor scores = sv->a;
    scores.data = w->scratch + a->at[UBP_HEADS_SCORES];
    void *kernel = w->scratch + a->kernel_at;
    UBP_TRY(ubp_product_run(qk, &w->call, matrix_in(w, UBP_HEADS_Q, &qk->a), w->k, scores.data,
                            kernel));
    UBP_TRY(run_middle(w, &scores));
    const ub_tensor out = matrix_of(w, w->s->out_tensors[0], true);
    const bool dense = out.dims[0] == 1 || out.strides[0] == sv->c.strides[0];
    ub_tensor result = sv->c;
    result.data = dense ? out.data : w->scratch + a->at[UBP_HEADS_RESULT];
    UBP_TRY(ubp_product_run(sv, &w->call, scores.data, w->v, result.data, kernel));
    if (!dense)
        ubp_tensor_move(&out, &result);
    return UB_OK;
}

/* Threads number [begin, end) of the team. */
static void run_share(void *arg, int64_t begin, int64_t end)
{
    work *w = arg;
    const ubp_heads *a = w->s->heads;
    const int64_t blocks = a->heads * a->blocks;
    ubp_run run = *w->run;
    run.threads = 1;
    run.scratch = NULL; /* shared by all threads; none of these kernels needs it */
    for (int64_t t = begin; t < end; t++) {
        worker one = {.s = w->s,
                      .a = a,
                      .call = {.node = w->s->node, .run = &run},
                      .products = a->products[t].p,
                      .scratch = w->scratch + (size_t)t * a->slot_bytes,
                      .head = -1};
        const int64_t last = (t + 1) * blocks / w->team;
        for (int64_t b = t * blocks / w->team; b < last && !w->status; b++) {
            const ub_status st = ubp_run_cancelled(&run) ? UB_ERR_CANCELLED : run_block(&one, b);
            if (st != UB_OK)
                w->status = (int)st;
        }
    }
}

/* Code and memory objects of all products, made before threads share them. */
static ub_status get_ready(const ubp_plan_step *s, const ubp_run *run, ub_error *err)
{
    ubp_heads *a = s->heads;
    const ubp_call call = {.node = s->node, .run = run, .err = err};
    for (int t = 0; t < a->team && !a->ready; t++)
        for (int i = 0; i < 2; i++)
            for (int rest = 0; rest < 2; rest++)
                UBP_TRY(ubp_product_ready(&a->products[t].p[i][rest], &call));
    a->ready = true;
    return UB_OK;
}

ub_status ubp_heads_run(const ubp_plan_step *s, const ubp_run *run, void *scratch, ub_error *err)
{
    const ubp_heads *a = s->heads;
    work w = {.s = s, .run = run, .scratch = scratch};
    UBP_TRY(get_ready(s, run, err));
    w.team = run->threads < a->team ? run->threads : a->team;
    w.team = w.team > 0 ? w.team : 1;
    ubp_parallel(w.team, w.team, 1, run_share, &w);
    if (w.status == UB_ERR_CANCELLED)
        return ubp_fail(err, UB_ERR_CANCELLED, "interrupted");
    if (w.status)
        return ubp_fail(err, (ub_status)w.status, "node '%s' (%s): a kernel failed", s->node->name,
                        s->label);
    return UB_OK;
}
