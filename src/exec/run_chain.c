/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Running a chain of elementwise nodes: each thread takes a run of blocks, and over each block the
 * nodes' reference kernels one after another.
 */
#include "exec/exec.h"

typedef struct work {
    const ubp_plan_step *s;
    const ubp_run *run;
    char *scratch; /* [team][n_temps][block][columns] */
    int team;
    int64_t blocks;
    _Atomic int status;
} work;

/* Part k of rows [first, first + n), or the whole of a vector or number. */
static ub_tensor view_of(const work *w, int k, int64_t first, int64_t n, char *temps)
{
    const ubp_chain *c = w->s->chain;
    const ubp_part *p = &c->parts[k];
    const int64_t size = (int64_t)sizeof(float);
    ub_tensor t = {.dtype = UB_F32};
    if (p->kind == UBP_PART_SCALAR || p->kind == UBP_PART_VECTOR) {
        t.data = w->s->in_tensors[p->at]->data;
        t.rank = p->kind == UBP_PART_VECTOR;
        t.dims[0] = c->columns;
        t.strides[0] = size;
        return t;
    }
    t.rank = c->columns > 1 ? 2 : 1;
    t.dims[0] = n;
    t.dims[1] = c->columns;
    t.strides[0] = c->columns * size;
    t.strides[1] = size;
    if (p->kind == UBP_PART_TEMP) {
        t.data = temps + p->at * c->block * c->columns * size;
        return t;
    }
    char *base =
        p->kind == UBP_PART_ROWS ? w->s->in_tensors[p->at]->data : w->s->out_tensors[p->at]->data;
    t.data = base + first * c->columns * size;
    return t;
}

static ub_status run_block(const work *w, const ubp_run *run, int64_t b, char *temps)
{
    const ubp_chain *c = w->s->chain;
    const int64_t first = b * c->block;
    const int64_t n = c->rows - first < c->block ? c->rows - first : c->block;
    for (int i = 0; i < c->n_nodes; i++) {
        const ubp_chain_node *node = &c->nodes[i];
        ub_tensor parts[3], dst = view_of(w, node->out, first, n, temps), *out[1] = {&dst};
        const ub_tensor *in[3] = {0};
        for (int a = 0; a < node->n_in; a++) {
            if (node->in[a] < 0)
                continue;
            parts[a] = view_of(w, node->in[a], first, n, temps);
            in[a] = &parts[a];
        }
        const ubp_call call = {.op = node->node->op,
                               .node = node->node,
                               .attr = node->attr,
                               .n_in = node->n_in,
                               .n_out = 1,
                               .in = in,
                               .out = out,
                               .run = run};
        UBP_TRY(node->node->op->ref(&call));
    }
    return UB_OK;
}

/* Thread number [begin, end) of the team. */
static void run_share(void *arg, int64_t begin, int64_t end)
{
    work *w = arg;
    const ubp_chain *c = w->s->chain;
    ubp_run run = *w->run;
    run.threads = 1;
    run.scratch = NULL; /* shared by all threads; elementwise kernels need none */
    for (int64_t t = begin; t < end; t++) {
        char *temps = w->scratch;
        if (temps)
            temps += t * c->n_temps * c->block * c->columns * (int64_t)sizeof(float);
        const int64_t last = (t + 1) * w->blocks / w->team;
        for (int64_t b = t * w->blocks / w->team; b < last && !w->status; b++) {
            const ub_status st = run_block(w, &run, b, temps);
            if (st != UB_OK)
                w->status = (int)st;
        }
    }
}

ub_status ubp_chain_run(const ubp_plan_step *s, const ubp_run *run, void *scratch, ub_error *err)
{
    enum { ENOUGH = 1 << 14 }; /* elements times nodes that are worth a thread */
    const ubp_chain *c = s->chain;
    work w = {.s = s, .run = run, .scratch = scratch};
    const int64_t worth = c->rows * c->columns / (ENOUGH / c->n_nodes) + 1;
    w.blocks = (c->rows + c->block - 1) / c->block;
    w.team = run->threads < UBP_CHAIN_TEAM ? run->threads : UBP_CHAIN_TEAM;
    w.team = w.team < worth ? w.team : (int)worth;
    w.team = w.team < w.blocks ? w.team : (int)w.blocks;
    w.team = w.team > 0 ? w.team : 1;
    ubp_parallel(w.team, w.team, 1, run_share, &w);
    if (w.status)
        return ubp_fail(err, (ub_status)w.status, "node '%s' (%s): an elementwise kernel failed",
                        s->node->name, s->label);
    return UB_OK;
}
