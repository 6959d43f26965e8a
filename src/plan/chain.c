/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Chains: elementwise nodes behind one another (the bias, Div, Erf, Add, Mul, Mul of a GELU, the
 * Sigmoid and Mul of a Swish ...) become one step. Any of them may read an earlier one, a tensor of
 * the same shape and layout that is there already, a vector along the innermost axis, or a number;
 * what is wanted or read by others is stored on the way. Bits do not change: the same kernels run
 * over the same elements, in another order of blocks.
 */
#include "plan/maker.h"

#include <string.h>

enum { WINDOW = 48 }; /* nodes looked at behind the first */

typedef struct chain {
    ubp_maker *m;
    ubp_chain c;
    ub_tensor domain;                 /* dims and strides of every member's result */
    int inner;                        /* its innermost axis; -1: one element */
    int32_t members[UBP_CHAIN_NODES]; /* [c.n_nodes] node numbers */
    int32_t values[UBP_CHAIN_NODES];  /* what they give */
    int last_use[UBP_CHAIN_NODES];    /* the last member that reads it; own number: none */
    bool stored[UBP_CHAIN_NODES];
    int32_t in[UBP_CHAIN_PARTS]; /* [n_in] slots read */
    int n_in;
    bool vectors;
} chain;

/* ---- Which nodes ------------------------------------------------------------------------------
 */

static bool is_binary(const char *name)
{
    static const char *const names[] = {"Add", "Sub", "Mul", "Div", "Pow", "Max", "Min", "PRelu"};
    for (int i = 0; i < UBP_COUNT(names); i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return false;
}

bool ubp_make_joins(const ubp_node *n)
{
    return n->op->max_in == 1 || (n->n_in == 2 && n->in[1] >= 0 && is_binary(n->op->name)) ||
           strcmp(n->op->name, "Clip") == 0;
}

static bool eligible(const ubp_maker *m, int32_t index)
{
    const ubp_node *n = &m->g->nodes[index];
    const uint32_t flags = UBP_CHEAP | UBP_STRIDED;
    const ubp_fact *facts = m->p->facts->values;
    if (!n->op || n->op->domain[0] != '\0' || (n->op->flags & flags) != flags || n->n_out != 1 ||
        n->op->max_out != 1 || n->out[0] < 0 || n->n_in < 1 || n->n_in > 3 || n->in[0] < 0)
        return false;
    if (!ubp_make_joins(n))
        return false;
    if (facts[n->out[0]].t.dtype != UB_F32 || facts[n->out[0]].t.data)
        return false;
    for (int i = 0; i < n->n_in; i++)
        if (n->in[i] >= 0 && facts[n->in[i]].t.dtype != UB_F32)
            return false;
    return true;
}

static int member_of(const chain *k, int32_t value)
{
    for (int i = 0; i < k->c.n_nodes; i++)
        if (k->values[i] == value)
            return i;
    return -1;
}

/* The innermost axis of t if it lies without gaps; -2 if not, -1 for one element. */
static int innermost(const ub_tensor *t)
{
    int64_t at = (int64_t)ub_dtype_size(t->dtype), left = ub_tensor_count(t);
    int inner = -1;
    while (left > 1) {
        int next = -1;
        for (int i = 0; i < t->rank && next < 0; i++)
            if (t->dims[i] > 1 && t->strides[i] == at)
                next = i;
        if (next < 0)
            return -2;
        inner = inner < 0 ? next : inner;
        at *= t->dims[next];
        left /= t->dims[next];
    }
    return inner;
}

/* How a tensor that is there already can be read beside the domain. */
static bool kind_of(const chain *k, const ub_tensor *t, ubp_part_kind *kind)
{
    *kind = UBP_PART_SCALAR;
    if (ub_tensor_count(t) == 1)
        return t->rank <= k->domain.rank;
    *kind = UBP_PART_ROWS;
    if (ubp_same_dims(t, &k->domain))
        return ubp_make_same_strides(t, &k->domain);
    *kind = UBP_PART_VECTOR;
    const int by = k->domain.rank - t->rank;
    if (by < 0 || k->inner < by)
        return false;
    for (int i = 0; i < t->rank; i++)
        if (t->dims[i] != (i + by == k->inner ? k->domain.dims[k->inner] : 1))
            return false;
    return t->strides[k->inner - by] == (int64_t)ub_dtype_size(t->dtype);
}

/* Whether value can be read now; *t: as it lies. */
static bool is_ready(const chain *k, int32_t value, ub_tensor *t)
{
    const ubp_maker *m = k->m;
    const ubp_fact *fact = &m->p->facts->values[value];
    *t = fact->t;
    if (fact->t.data)
        return true;
    const int32_t slot = m->slot_of[value];
    if (!m->uses.computed[value] || slot < 0)
        return false;
    *t = m->p->slots[slot].t;
    /* What the caller gave may lie askew. */
    return m->p->slots[m->p->slots[slot].root].place != UBP_PLACE_GIVEN;
}

/* Adds the node if all it reads can be had; false: it stays out. */
static bool join(chain *k, int32_t index)
{
    const ubp_maker *m = k->m;
    const ubp_node *n = &m->g->nodes[index];
    bool inside = false, vector = false;
    if (k->c.n_nodes == UBP_CHAIN_NODES ||
        !ubp_same_dims(&m->p->facts->values[n->out[0]].t, &k->domain))
        return false;
    for (int i = 0; i < n->n_in; i++) {
        ub_tensor t;
        ubp_part_kind kind;
        if (n->in[i] < 0)
            continue;
        if (member_of(k, n->in[i]) >= 0) {
            inside = true;
            continue;
        }
        if (!is_ready(k, n->in[i], &t) || !kind_of(k, &t, &kind))
            return false;
        vector = vector || kind == UBP_PART_VECTOR;
        inside = inside || k->c.n_nodes == 0;
    }
    if (!inside)
        return false;
    k->vectors = k->vectors || vector;
    const int at = k->c.n_nodes++;
    k->members[at] = index;
    k->values[at] = n->out[0];
    k->last_use[at] = at;
    for (int i = 0; i < n->n_in; i++) {
        const int from = n->in[i] < 0 ? -1 : member_of(k, n->in[i]);
        if (from >= 0 && from != at)
            k->last_use[from] = at;
    }
    return true;
}

/* The domain is that of the first node's result, laid out as one of its inputs. */
static bool start(chain *k, int32_t index)
{
    const ubp_maker *m = k->m;
    const ubp_node *n = &m->g->nodes[index];
    k->domain = m->p->facts->values[n->out[0]].t;
    if (k->domain.rank < 1 || ub_tensor_count(&k->domain) < 2)
        return false;
    for (int i = 0; i < n->n_in; i++) {
        ub_tensor t;
        if (n->in[i] < 0 || !is_ready(k, n->in[i], &t) || !ubp_same_dims(&t, &k->domain) || t.data)
            continue;
        k->inner = innermost(&t);
        memcpy(k->domain.strides, t.strides, sizeof t.strides);
        return k->inner >= 0 && join(k, index);
    }
    return false;
}

/* ---- The step ---------------------------------------------------------------------------------
 */

static int add_part(chain *k, ubp_part_kind kind, int at)
{
    k->c.parts[k->c.n_parts] = (ubp_part){.kind = kind, .at = at};
    return k->c.n_parts++;
}

/* The part for a value from outside, one for each slot. */
static ub_status outside(chain *k, int *part, int32_t value)
{
    ubp_maker *m = k->m;
    int32_t slot;
    UBP_TRY(ubp_make_aligned(m, &slot, value));
    for (int i = 0; i < k->c.n_parts; i++) {
        const ubp_part *p = &k->c.parts[i];
        if (p->kind <= UBP_PART_SCALAR && k->in[p->at] == slot) {
            *part = i;
            return UB_OK;
        }
    }
    ubp_part_kind kind;
    if (!kind_of(k, &m->p->slots[slot].t, &kind))
        return ubp_fail(m->err, UB_ERR_INTERNAL, "a chain reads a tensor that does not fit it");
    k->in[k->n_in] = slot;
    *part = add_part(k, kind, k->n_in++);
    return UB_OK;
}

/* Parts of all operands. Temporary blocks are taken again once their last reader has run; a node
 * may write the block it reads. */
static ub_status fill(chain *k)
{
    const ubp_maker *m = k->m;
    int parts[UBP_CHAIN_NODES], temp_of[UBP_CHAIN_NODES], n_stored = 0;
    bool busy[UBP_CHAIN_NODES] = {false};
    for (int i = 0; i < k->c.n_nodes; i++) {
        const ubp_node *n = &m->g->nodes[k->members[i]];
        ubp_chain_node *to = &k->c.nodes[i];
        *to =
            (ubp_chain_node){.node = n, .attr = m->p->facts->attrs[k->members[i]], .n_in = n->n_in};
        for (int a = 0; a < n->n_in; a++) {
            const int from = n->in[a] < 0 ? -1 : member_of(k, n->in[a]);
            to->in[a] = -1;
            if (from >= 0)
                to->in[a] = parts[from];
            else if (n->in[a] >= 0)
                UBP_TRY(outside(k, &to->in[a], n->in[a]));
        }
        for (int j = 0; j < i; j++)
            if (!k->stored[j] && k->last_use[j] == i)
                busy[temp_of[j]] = false;
        temp_of[i] = 0;
        while (!k->stored[i] && busy[temp_of[i]])
            temp_of[i]++;
        if (!k->stored[i]) {
            busy[temp_of[i]] = true;
            k->c.n_temps = temp_of[i] + 1 > k->c.n_temps ? temp_of[i] + 1 : k->c.n_temps;
        }
        parts[i] = to->out = k->stored[i] ? add_part(k, UBP_PART_STORED, n_stored++)
                                          : add_part(k, UBP_PART_TEMP, temp_of[i]);
    }
    return UB_OK;
}

/* Which results are read or wanted outside. */
static void find_stored(chain *k)
{
    const ubp_maker *m = k->m;
    for (int i = 0; i < k->c.n_nodes; i++) {
        int32_t reads = m->uses.count[k->values[i]];
        for (int j = 0; j < k->c.n_nodes; j++) {
            const ubp_node *n = &m->g->nodes[k->members[j]];
            for (int a = 0; a < n->n_in; a++)
                reads -= n->in[a] == k->values[i];
        }
        k->stored[i] = reads > 0;
    }
}

/* The slot of a stored result: a new one, or an input that nobody reads any more. */
static ub_status output_slot(chain *k, int32_t *out, int32_t value, bool in_place)
{
    ubp_maker *m = k->m;
    for (int i = 0; i < k->c.n_parts && in_place; i++) {
        int32_t others[UBP_CHAIN_PARTS];
        int n = 0;
        if (k->c.parts[i].kind != UBP_PART_ROWS)
            continue;
        const int32_t slot = k->in[k->c.parts[i].at];
        for (int j = 0; j < k->n_in; j++)
            if (k->in[j] != slot)
                others[n++] = k->in[j];
        if (!ubp_make_dies(m, slot, others, n))
            continue;
        UBP_TRY(ubp_make_slot(m, out, value, &k->domain, UBP_PLACE_VIEW));
        m->p->slots[*out].root = m->p->slots[slot].root;
        return UB_OK;
    }
    return ubp_make_slot(m, out, value, &k->domain, UBP_PLACE_ARENA);
}

static const char *label_of(chain *k)
{
    const char *label = k->c.nodes[0].node->op->name;
    for (int i = 1; i < k->c.n_nodes && label; i++)
        label = ubp_arena_printf(&k->m->p->arena, "%s+%s", label, k->c.nodes[i].node->op->name);
    return label ? label : "";
}

static ub_status add_step(chain *k)
{
    ubp_maker *m = k->m;
    ubp_plan *p = m->p;
    int32_t out[UBP_CHAIN_NODES];
    int n_out = 0;
    for (int i = 0; i < k->c.n_nodes; i++) {
        if (!k->stored[i])
            continue;
        /* What the last node writes is read by none behind it. */
        UBP_TRY(output_slot(k, &out[n_out], k->values[i], i + 1 == k->c.n_nodes));
        m->slot_of[k->values[i]] = out[n_out++];
    }
    ubp_plan_step *s;
    UBP_TRY(ubp_make_step(m, &s, k->n_in, n_out));
    ubp_chain *kept = ubp_arena_alloc(&p->arena, sizeof *kept);
    if (!kept)
        return ubp_fail_memory(m->err, sizeof *kept);
    *kept = k->c;
    s->node = k->c.nodes[0].node;
    s->chain = kept;
    s->label = label_of(k);
    memcpy(s->in, k->in, (size_t)k->n_in * sizeof *s->in);
    memcpy(s->out, out, (size_t)n_out * sizeof *s->out);
    return UB_OK;
}

/* Rows, columns and blocks; reserves scratch for the blocks of every thread. */
static ub_status measure(chain *k)
{
    ubp_chain *c = &k->c;
    const int64_t count = ub_tensor_count(&k->domain);
    c->columns = k->vectors ? k->domain.dims[k->inner] : 1;
    c->rows = count / c->columns;
    c->block = UBP_CHAIN_BLOCK / c->columns > 0 ? UBP_CHAIN_BLOCK / c->columns : 1;
    c->block = c->block < c->rows ? c->block : c->rows;
    size_t bytes = 0;
    if (!ubp_mul_size((size_t)(c->block * c->columns), sizeof(float), &bytes) ||
        !ubp_mul_size(bytes, UBP_CHAIN_TEAM * (size_t)c->n_temps, &bytes))
        return ubp_fail_memory(k->m->err, SIZE_MAX);
    if (bytes > k->m->p->scratch_bytes)
        k->m->p->scratch_bytes = bytes;
    return UB_OK;
}

ub_status ubp_make_chain(ubp_maker *m, int at, bool *made)
{
    const ubp_facts *f = m->p->facts;
    chain k = {.m = m};
    *made = false;
    if (!eligible(m, f->nodes[at]) || !start(&k, f->nodes[at]))
        return UB_OK;
    for (int i = at + 1; i < f->n_nodes && i < at + WINDOW; i++) {
        const int32_t index = f->nodes[i];
        if (m->uses.needed[index] && !m->absorbed[index] && eligible(m, index))
            join(&k, index);
    }
    if (k.c.n_nodes < 2)
        return UB_OK;
    *made = true;
    find_stored(&k);
    UBP_TRY(fill(&k));
    for (int i = 0; i < k.c.n_nodes; i++) {
        ubp_make_done(m, &m->g->nodes[k.members[i]]);
        m->absorbed[k.members[i]] = true;
    }
    UBP_TRY(measure(&k));
    return add_step(&k);
}
