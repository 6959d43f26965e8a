/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attention: a product of two computed matrices, elementwise nodes (a scale, a mask), a Softmax
 * along its rows and a product with a third matrix become one step, which takes one head after the
 * other, a thread each, through all of them (exec/run_heads.c). The scores of all heads are
 * never in memory at once. Bits do not change: the products are MatMul's kernels, whose sums do not
 * hang on which rows or matrices they are given, the others the reference kernels, row by row.
 *
 * Found at the first product; the step stands in the last one's place, where all is computed that
 * its nodes read.
 */
#include "plan/maker.h"

#include "ops/attrs.h"

#include <string.h>

enum {
    WORTH = 4096,          /* scores of a head; with fewer, calls cost as much as the work */
    TILE = 1 << 18,        /* of its scores that are computed in one go, about */
    MOST_THREADS = 128,    /* each has products of its own */
    LEAST_ROWS = 32,       /* in one go, if heads are cut so that threads have the same to do */
    MOST_BYTES = INT32_MAX /* of a tensor: so far a MatMul of its own takes the same kernel */
};

struct ubp_heads_found {
    int32_t nodes[UBP_HEADS_NODES + 2]; /* the products first and last */
    int n;
    ubp_heads *plan;
};

/* ---- Which nodes ------------------------------------------------------------------------------
 */

static const ub_tensor *tensor_of(const ubp_maker *m, int32_t value)
{
    return &m->p->facts->values[value].t;
}

/* A matrix, or a stack of them, that is not known before the run. */
static bool is_computed(const ubp_maker *m, int32_t value)
{
    if (value < 0)
        return false;
    const ub_tensor *t = tensor_of(m, value);
    return t->dtype == UB_F32 && !t->data && t->rank >= 2 && t->rank <= UBP_HEADS_RANK &&
           ub_tensor_count(t) > 0 && ubp_tensor_bytes(t) < MOST_BYTES;
}

static bool is_product(const ubp_maker *m, const ubp_node *n)
{
    return ubp_node_is(n, "MatMul") && n->n_in == 2 && n->n_out == 1 && is_computed(m, n->in[0]) &&
           is_computed(m, n->in[1]) && is_computed(m, n->out[0]);
}

static bool is_softmax(const ubp_maker *m, int32_t index)
{
    const ubp_node *n = &m->g->nodes[index];
    if (!ubp_node_is(n, "Softmax"))
        return false;
    const ubp_softmax_attr *a = m->p->facts->attrs[index];
    const int last = tensor_of(m, n->out[0])->rank - 1;
    return a->axis == -1 || a->axis == last;
}

/* An elementwise node over `value` and operands that are spread over it. */
static bool is_elementwise(const ubp_maker *m, const ubp_node *n, int32_t value)
{
    const uint32_t flags = UBP_CHEAP | UBP_STRIDED;
    const ub_tensor *scores = tensor_of(m, value);
    int reads = 0;
    if (!n->op || n->op->domain[0] != '\0' || (n->op->flags & flags) != flags || n->n_out != 1 ||
        n->op->max_out != 1 || n->n_in < 1 || n->n_in > 3 ||
        !(ubp_make_joins(n) || ubp_node_is(n, "Where")))
        return false;
    for (int i = 0; i < n->n_in; i++) {
        if (n->in[i] < 0)
            continue;
        const ub_tensor *t = tensor_of(m, n->in[i]);
        reads += n->in[i] == value;
        if (t->rank > scores->rank || !(t->dtype == UB_F32 || (t->dtype == UB_BOOL && i == 0)))
            return false;
    }
    return reads == 1 && tensor_of(m, n->out[0])->dtype == UB_F32 &&
           ubp_same_dims(tensor_of(m, n->out[0]), scores);
}

/* The nodes from the product `first` to the one behind the Softmax. */
static bool find(const ubp_maker *m, int32_t first, struct ubp_heads_found *f)
{
    const ubp_node *n = &m->g->nodes[first];
    bool soft = false;
    if (!is_product(m, n))
        return false;
    f->nodes[0] = first;
    f->n = 1;
    for (int32_t value = n->out[0]; f->n < UBP_COUNT(f->nodes); value = n->out[0]) {
        const int32_t next = m->uses.count[value] == 1 ? m->uses.user[value] : UBP_NO_NODE;
        if (next < 0 || !m->uses.needed[next] || m->absorbed[next])
            return false;
        n = &m->g->nodes[next];
        f->nodes[f->n++] = next;
        if (soft && is_product(m, n))
            return n->in[0] == value;
        if (!soft && is_softmax(m, next))
            soft = true;
        else if (!is_elementwise(m, n, value))
            return false;
    }
    return false;
}

/* ---- How it is shared out ---------------------------------------------------------------------
 */

/* Whether the busiest thread has at most an eighth more to do than it had to. */
static bool is_even(int64_t parts, int64_t team)
{
    const int64_t rounds = (parts + team - 1) / team;
    return 8 * rounds * team <= 9 * parts;
}

/* The heads, and into how many blocks of rows each is cut; false: better left as steps. */
static bool share_out(ubp_heads *a, const ubp_maker *m, const struct ubp_heads_found *f)
{
    const ubp_node *first = &m->g->nodes[f->nodes[0]], *last = &m->g->nodes[f->nodes[f->n - 1]];
    const ub_tensor *scores = tensor_of(m, first->out[0]), *y = tensor_of(m, last->out[0]);
    const int r = scores->rank, threads = m->ask->run->threads;
    if (y->rank != r)
        return false;
    a->lead = r - 2;
    a->heads = 1;
    for (int i = 0; i < a->lead; i++) {
        if (y->dims[i] != scores->dims[i])
            return false;
        a->dims[i] = scores->dims[i];
        a->heads *= a->dims[i]; /* fits: the tensor exists */
    }
    a->rows = scores->dims[r - 2];
    a->columns = scores->dims[r - 1];
    a->depth = tensor_of(m, first->in[0])->dims[tensor_of(m, first->in[0])->rank - 1];
    a->width = y->dims[r - 1];
    if (a->rows * a->columns < WORTH)
        return false;
    a->block = TILE / a->columns > LEAST_ROWS ? TILE / a->columns : LEAST_ROWS;
    a->block = a->block < a->rows ? a->block : a->rows;
    a->team = threads < 1 ? 1 : threads < MOST_THREADS ? threads : MOST_THREADS;
    for (;; a->block = (a->block + 1) / 2) {
        a->blocks = (a->rows + a->block - 1) / a->block;
        if (is_even(a->heads * a->blocks, a->team))
            return true;
        if (a->block < 2 * LEAST_ROWS)
            return false;
    }
}

/* ---- The step ---------------------------------------------------------------------------------
 */

typedef struct making {
    ubp_maker *m;
    ubp_heads *a;
    int32_t in[3 + 3 * UBP_HEADS_NODES]; /* [n_in] slots */
    int n_in;
} making;

static int add_in(making *k, int32_t slot)
{
    k->in[k->n_in] = slot;
    return k->n_in++;
}

/* A contiguous copy of what a caller gave, which may lie askew; one for all that read it. */
static ub_status copy_given(ubp_maker *m, int32_t *slot, int32_t value)
{
    ub_tensor t = m->p->slots[*slot].t;
    int32_t copy;
    ubp_plan_step *s;
    ubp_tensor_set_strides(&t);
    for (size_t i = 0; i < m->p->n_slots; i++) {
        const ubp_slot *other = &m->p->slots[i];
        if (other->value == value && other->place == UBP_PLACE_ARENA &&
            ubp_same_dims(&other->t, &t) && ubp_make_same_strides(&other->t, &t)) {
            *slot = (int32_t)i;
            return UB_OK;
        }
    }
    UBP_TRY(ubp_make_slot(m, &copy, value, &t, UBP_PLACE_ARENA));
    UBP_TRY(ubp_make_step(m, &s, 1, 1));
    s->label = "layout";
    s->in[0] = *slot;
    s->out[0] = copy;
    *slot = copy;
    return UB_OK;
}

/* What an elementwise kernel reads must be aligned. */
static ub_status add_operand(making *k, int *at, int32_t value)
{
    ubp_maker *m = k->m;
    int32_t slot;
    UBP_TRY(ubp_make_aligned(m, &slot, value));
    if (m->p->slots[m->p->slots[slot].root].place == UBP_PLACE_GIVEN)
        UBP_TRY(copy_given(m, &slot, value));
    *at = add_in(k, slot);
    return UB_OK;
}

/* One head's matrix of an input without gaps: by rows, or by columns if it lies so. Notes whether
 * it must be copied for that. */
static ub_tensor dense_matrix(const making *k, int in, bool turnable)
{
    const ubp_slot *s = &k->m->p->slots[k->in[in]];
    const int r = s->t.rank;
    const int64_t size = (int64_t)sizeof(float);
    ub_tensor t = {.dtype = UB_F32, .rank = 2, .dims = {s->t.dims[r - 2], s->t.dims[r - 1]}};
    const int64_t row = s->t.strides[r - 2], column = s->t.strides[r - 1];
    ubp_tensor_set_strides(&t);
    if (turnable && row == size && column != size) {
        t.strides[0] = size;
        t.strides[1] = t.dims[0] * size;
    }
    k->a->copies[in] = (t.dims[0] > 1 && row != t.strides[0]) ||
                       (t.dims[1] > 1 && column != t.strides[1]) ||
                       k->m->p->slots[s->root].place == UBP_PLACE_GIVEN;
    return t;
}

/* The kernels of both products, for a whole block of rows and for what is left of the last, each
 * once for every thread. */
static ub_status prepare_products(making *k, const ubp_node *first, const ubp_node *last)
{
    ubp_heads *a = k->a;
    ubp_maker *m = k->m;
    const int64_t left = a->rows - (a->blocks - 1) * a->block;
    const ub_tensor right_of[2] = {dense_matrix(k, UBP_HEADS_K, true),
                                   dense_matrix(k, UBP_HEADS_V, true)};
    ub_tensor left_of[2] = {dense_matrix(k, UBP_HEADS_Q, false),
                            {.dtype = UB_F32, .rank = 2, .dims = {a->rows, a->columns}}};
    ubp_tensor_set_strides(&left_of[1]);
    for (int t = 0; t < a->team; t++)
        for (int i = 0; i < 2; i++)
            for (int rest = 0; rest < (left == a->block ? 1 : 2); rest++) {
                ubp_product *p = &a->products[t].p[i][rest];
                p->a = left_of[i];
                p->a.dims[0] = rest ? left : a->block;
                p->b = right_of[i];
                const ub_status st = ubp_product_prepare(p, m->onednn, 1, i ? last : first, m->err);
                if (st != UB_OK && st != UBP_DECLINED)
                    return st;
                a->scratch = p->scratch > a->scratch ? p->scratch : a->scratch;
            }
    return UB_OK;
}

/* Scratch memory of one thread: the scores, copies of what does not lie dense, the result. */
static ub_status measure(making *k)
{
    enum { ALIGN = 64 };
    ubp_heads *a = k->a;
    const int64_t counts[UBP_HEADS_PARTS] = {
        [UBP_HEADS_Q] = a->copies[UBP_HEADS_Q] ? a->block * a->depth : 0,
        [UBP_HEADS_K] = a->copies[UBP_HEADS_K] ? a->depth * a->columns : 0,
        [UBP_HEADS_V] = a->copies[UBP_HEADS_V] ? a->columns * a->width : 0,
        [UBP_HEADS_SCORES] = a->block * a->columns,
        [UBP_HEADS_RESULT] = a->block * a->width}; /* each at most a tensor */
    size_t bytes = 0;
    for (int i = 0; i < UBP_HEADS_PARTS; i++) {
        a->at[i] = bytes;
        bytes += ((size_t)counts[i] * sizeof(float) + ALIGN - 1) / ALIGN * ALIGN;
    }
    a->kernel_at = bytes;
    if (!ubp_add_size(bytes, a->scratch + ALIGN, &bytes))
        return ubp_fail_memory(k->m->err, SIZE_MAX);
    a->slot_bytes = bytes / ALIGN * ALIGN;
    if (!ubp_mul_size(a->slot_bytes, (size_t)a->team, &bytes))
        return ubp_fail_memory(k->m->err, SIZE_MAX);
    if (bytes > k->m->p->scratch_bytes)
        k->m->p->scratch_bytes = bytes;
    return UB_OK;
}

/* The layout in which a Transpose behind, as heads are put side by side again, has no gaps. */
static void lay_out_result(const ubp_maker *m, int32_t value, ub_tensor *t)
{
    const int32_t user = m->uses.count[value] == 1 ? m->uses.user[value] : UBP_NO_NODE;
    ub_tensor turned = *t;
    int order[UB_MAX_RANK];
    ubp_tensor_set_strides(t);
    if (user < 0 || !ubp_transpose_order(order, &m->g->nodes[user], t->rank) ||
        order[t->rank - 1] != t->rank - 1)
        return;
    for (int i = 0; i < t->rank; i++)
        turned.dims[i] = t->dims[order[i]];
    ubp_tensor_set_strides(&turned);
    for (int i = 0; i < t->rank; i++)
        t->strides[order[i]] = turned.strides[i];
}

static ub_status add_middle(making *k, const struct ubp_heads_found *f)
{
    static const ubp_softmax_attr rows = {.axis = -1};
    ubp_maker *m = k->m;
    ubp_heads *a = k->a;
    for (int i = 1; i + 1 < f->n; i++) {
        const ubp_node *n = &m->g->nodes[f->nodes[i]];
        const int32_t value = m->g->nodes[f->nodes[i - 1]].out[0];
        ubp_heads_node *to = &a->nodes[a->n_nodes++];
        *to = (ubp_heads_node){.node = n, .attr = m->p->facts->attrs[f->nodes[i]], .n_in = n->n_in};
        if (ubp_node_is(n, "Softmax"))
            to->attr = &rows; /* of a matrix, whatever the rank in the file */
        for (int j = 0; j < n->n_in; j++) {
            to->in[j] = n->in[j] < 0 ? -1 : UBP_HEADS_SCORES_AT;
            if (n->in[j] >= 0 && n->in[j] != value)
                UBP_TRY(add_operand(k, &to->in[j], n->in[j]));
        }
    }
    return UB_OK;
}

static double work_of(const ubp_heads *a)
{
    return 2e-9 * (double)(a->heads * a->rows) * (double)(a->columns) *
           (double)(a->depth + a->width);
}

static ub_status add_step(making *k, const struct ubp_heads_found *f)
{
    ubp_maker *m = k->m;
    ubp_plan *p = m->p;
    const ubp_node *last = &m->g->nodes[f->nodes[f->n - 1]];
    const char *label = m->g->nodes[f->nodes[0]].op->name;
    int32_t out;
    ub_tensor t = *tensor_of(m, last->out[0]);
    lay_out_result(m, last->out[0], &t);
    UBP_TRY(ubp_make_slot(m, &out, last->out[0], &t, UBP_PLACE_ARENA));
    m->slot_of[last->out[0]] = out;
    for (int i = 1; i < f->n && label; i++)
        label = ubp_arena_printf(&p->arena, "%s+%s", label, m->g->nodes[f->nodes[i]].op->name);
    ubp_plan_step *s;
    UBP_TRY(ubp_make_step(m, &s, k->n_in, 1));
    s->node = &m->g->nodes[f->nodes[0]];
    s->heads = k->a;
    s->label = label ? label : "";
    s->gflop = work_of(k->a);
    memcpy(s->in, k->in, (size_t)k->n_in * sizeof *s->in);
    s->out[0] = out;
    return UB_OK;
}

static ub_status make(ubp_maker *m, const struct ubp_heads_found *f, ubp_heads *a)
{
    const ubp_node *first = &m->g->nodes[f->nodes[0]], *last = &m->g->nodes[f->nodes[f->n - 1]];
    making k = {.m = m, .a = a};
    const int32_t matrices[3] = {first->in[0], first->in[1], last->in[1]};
    for (int i = 0; i < 3; i++) {
        int32_t slot;
        UBP_TRY(ubp_make_read(m, &slot, matrices[i]));
        add_in(&k, slot);
    }
    UBP_TRY(add_middle(&k, f));
    UBP_TRY(prepare_products(&k, first, last));
    UBP_TRY(measure(&k));
    for (int i = 0; i < f->n; i++)
        ubp_make_done(m, &m->g->nodes[f->nodes[i]]);
    return add_step(&k, f);
}

ub_status ubp_make_heads(ubp_maker *m, int32_t index, bool *made)
{
    struct ubp_heads_found found, *kept = m->heads[index];
    ubp_plan *p = m->p;
    *made = kept != NULL;
    if (kept)
        return make(m, kept, kept->plan);
    ubp_heads plan = {0};
    if (!find(m, index, &found) || !share_out(&plan, m, &found))
        return UB_OK;
    kept = ubp_arena_alloc(&p->arena, sizeof *kept);
    found.plan = ubp_arena_alloc(&p->arena, sizeof plan);
    plan.products = ubp_arena_array(&p->arena, (size_t)plan.team, sizeof *plan.products);
    if (!kept || !found.plan || !plan.products)
        return ubp_fail_memory(m->err, sizeof plan);
    plan.next = p->heads;
    *found.plan = plan;
    *kept = found;
    p->heads = found.plan;
    for (int i = 0; i + 1 < found.n; i++)
        m->absorbed[found.nodes[i]] = true;
    m->heads[found.nodes[found.n - 1]] = kept;
    *made = true;
    return UB_OK;
}

void ubp_heads_free(ubp_plan *p)
{
    for (ubp_heads *a = p->heads; a; a = a->next)
        for (int i = 0; i < a->team * 4; i++)
            ubp_product_free(&a->products[i / 4].p[i / 2 % 2][i % 2]);
}
