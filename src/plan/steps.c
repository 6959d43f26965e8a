/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Steps: the needed nodes of a cone become a list of kernel calls over slots. A node whose result
 * is only another look at its input (Transpose, Reshape, Slice ...) becomes a view and no step. A
 * fast kernel is taken where it accepts, with the elementwise nodes behind it absorbed; the
 * reference kernel otherwise. Where a kernel wants another layout than its input has, a copy goes
 * in between.
 */
#include "plan/maker.h"

#include <stdlib.h>
#include <string.h>

/* ---- Slots ---------------------------------------------------------------------------------- */

ub_status ubp_make_slot(ubp_maker *m, int32_t *out, int32_t value, const ub_tensor *t,
                        ubp_place_kind place)
{
    ubp_plan *p = m->p;
    UBP_TRY(ubp_grow((void **)&p->slots, &p->cap_slots, p->n_slots, sizeof *p->slots, m->err));
    ubp_slot *s = &p->slots[p->n_slots];
    *s = (ubp_slot){.value = value, .t = *t, .place = place, .first = -1, .last = -1};
    s->t.buffer = NULL;
    s->root = (int32_t)p->n_slots;
    *out = (int32_t)p->n_slots++;
    return UB_OK;
}

/* The slot a value is read from: made for given values and constants on first use. */
ub_status ubp_make_read(ubp_maker *m, int32_t *out, int32_t value)
{
    *out = m->slot_of[value];
    if (*out >= 0)
        return UB_OK;
    const ubp_fact *fact = &m->p->facts->values[value];
    ubp_place_kind place = fact->t.data ? UBP_PLACE_CONST : UBP_PLACE_GIVEN;
    ub_tensor t = fact->t;
    int which = -1;
    for (int i = 0; i < m->ask->n_given && place == UBP_PLACE_GIVEN; i++)
        if (m->ask->given[i].value == value)
            which = i;
    if (place == UBP_PLACE_GIVEN && which < 0)
        return ubp_fail(m->err, UB_ERR_INTERNAL, "value '%s' is read before it is computed",
                        m->g->values[value].name);
    UBP_TRY(ubp_make_slot(m, out, value, &t, place));
    m->p->slots[*out].given = which;
    m->slot_of[value] = *out;
    return UB_OK;
}

bool ubp_make_same_strides(const ub_tensor *a, const ub_tensor *b)
{
    for (int i = 0; i < a->rank; i++)
        if (a->dims[i] != 1 && a->strides[i] != b->strides[i])
            return false;
    return true;
}

ub_status ubp_make_step(ubp_maker *m, ubp_plan_step **out, int n_in, int n_out)
{
    ubp_plan *p = m->p;
    UBP_TRY(ubp_grow((void **)&p->steps, &p->cap_steps, p->n_steps, sizeof *p->steps, m->err));
    ubp_plan_step *s = &p->steps[p->n_steps];
    *s = (ubp_plan_step){.n_in = n_in, .n_out = n_out};
    s->in = ubp_arena_array(&p->arena, (size_t)n_in + 1, sizeof *s->in);
    s->out = ubp_arena_array(&p->arena, (size_t)n_out + 1, sizeof *s->out);
    s->in_tensors = ubp_arena_array(&p->arena, (size_t)n_in + 1, sizeof *s->in_tensors);
    s->out_tensors = ubp_arena_array(&p->arena, (size_t)n_out + 1, sizeof *s->out_tensors);
    if (!s->in || !s->out || !s->in_tensors || !s->out_tensors)
        return ubp_fail_memory(m->err, (size_t)n_in * sizeof *s->in);
    p->n_steps++;
    *out = s;
    return UB_OK;
}

/* Gives t the axis order of `like` (same rank), without gaps; false when like has no clear order
 * (an axis repeated by broadcasting). */
static bool follow_order(ub_tensor *t, const ub_tensor *like)
{
    int order[UB_MAX_RANK];
    for (int i = 0; i < t->rank; i++) {
        if (like->dims[i] != 1 && like->strides[i] <= 0)
            return false;
        int k = i;
        while (k > 0 && like->dims[i] != 1 && like->dims[order[k - 1]] != 1 &&
               like->strides[order[k - 1]] < like->strides[i]) {
            order[k] = order[k - 1];
            k--;
        }
        order[k] = i;
    }
    int64_t stride = (int64_t)ub_dtype_size(t->dtype);
    for (int k = t->rank - 1; k >= 0; k--) {
        t->strides[order[k]] = stride;
        stride *= t->dims[order[k]] > 1 ? t->dims[order[k]] : 1;
    }
    return true;
}

/* A slot with the elements of `from` in the layout of `want`: `from` itself where that is its
 * layout. Constants are copied here and now, others by a step. */
ub_status ubp_make_layout(ubp_maker *m, int32_t *out, int32_t from, const ub_tensor *want,
                          bool any_place)
{
    ubp_plan *p = m->p;
    *out = from;
    /* Weights that lie askew in the file would be straightened by every run of a reference kernel;
     * fast kernels pack them once anyway. */
    bool askew = !any_place && p->slots[from].place == UBP_PLACE_CONST &&
                 !ubp_tensor_is_aligned(&p->slots[from].t);
    const bool same = ubp_make_same_strides(&p->slots[from].t, want);
    ub_tensor dense = p->slots[from].t;
    if (same && !askew)
        return UB_OK;
    if (same) { /* the copy of a part of a weight has no gaps */
        if (!follow_order(&dense, &p->slots[from].t))
            ubp_tensor_set_strides(&dense);
        want = &dense;
    }
    int32_t value = p->slots[from].value;
    for (size_t i = 0; i < p->n_slots; i++) {
        const ubp_slot *s = &p->slots[i];
        if (value >= 0 && s->value == value && ubp_same_dims(&s->t, want) &&
            ubp_make_same_strides(&s->t, want) && s->place != UBP_PLACE_VIEW &&
            (!askew || ubp_tensor_is_aligned(&s->t))) {
            *out = (int32_t)i;
            return UB_OK;
        }
    }
    ub_tensor t = p->slots[from].t;
    memcpy(t.strides, want->strides, sizeof t.strides);
    if (p->slots[from].place == UBP_PLACE_CONST) {
        t.data = ubp_arena_alloc(&p->arena, ubp_tensor_bytes(&t) + 1);
        if (!t.data)
            return ubp_fail_memory(m->err, ubp_tensor_bytes(&t));
        ubp_tensor_move(&t, &p->slots[from].t);
        return ubp_make_slot(m, out, value, &t, UBP_PLACE_CONST);
    }
    ubp_plan_step *s;
    UBP_TRY(ubp_make_slot(m, out, value, &t, UBP_PLACE_ARENA));
    UBP_TRY(ubp_make_step(m, &s, 1, 1));
    s->label = "layout";
    s->in[0] = from;
    s->out[0] = *out;
    return UB_OK;
}

ub_status ubp_make_aligned(ubp_maker *m, int32_t *out, int32_t value)
{
    UBP_TRY(ubp_make_read(m, out, value));
    const ub_tensor as_it_lies = m->p->slots[*out].t;
    return ubp_make_layout(m, out, *out, &as_it_lies, false);
}

/* ---- Layouts -------------------------------------------------------------------------------- */

/* The layout a reference kernel writes: that of its input where it can, so that networks that are
 * channels-last inside stay so. */
static void choose_layout(const ubp_maker *m, const ubp_node *n, const int32_t *in, ub_tensor *t)
{
    ubp_tensor_set_strides(t);
    if (!(n->op->flags & UBP_STRIDED))
        return;
    for (int i = 0; i < n->n_in; i++) {
        if (in[i] < 0)
            continue;
        const ub_tensor *like = &m->p->slots[in[i]].t;
        if (like->rank != t->rank || t->rank < 3)
            continue;
        if ((n->op->flags & UBP_CHEAP) && !ubp_same_dims(like, t))
            continue;
        if (follow_order(t, like))
            return;
        ubp_tensor_set_strides(t);
    }
}

/* ---- One node ------------------------------------------------------------------------------- */

/* What the node reads as its input i. */
static int32_t read_of(const ubp_maker *m, const ubp_node *n, int i)
{
    const ubp_padded *b = m->padded[n - m->g->nodes];
    return i == 0 && b ? b->x : n->in[i];
}

void ubp_make_done(ubp_maker *m, const ubp_node *n)
{
    for (int i = 0; i < n->n_in; i++)
        if (n->in[i] >= 0)
            m->remaining[read_of(m, n, i)]--;
    for (int k = 0; k < n->n_out; k++)
        if (n->out[k] >= 0)
            m->uses.computed[n->out[k]] = true;
}

/* All outputs as views of input 0. */
static ub_status as_view(ubp_maker *m, const ubp_node *n, const ubp_call *call, const int32_t *in,
                         bool *done)
{
    *done = false;
    if (!n->op->view || n->n_in < 1 || in[0] < 0)
        return UB_OK;
    const ubp_slot *src = &m->p->slots[in[0]];
    int32_t root = src->root;
    int64_t base = src->place == UBP_PLACE_VIEW ? src->offset : 0;
    int64_t *offsets = ubp_arena_array(&m->p->arena, (size_t)n->n_out + 1, sizeof *offsets);
    ub_tensor *before = ubp_arena_array(&m->p->arena, (size_t)n->n_out + 1, sizeof *before);
    if (!offsets || !before)
        return ubp_fail_memory(m->err, sizeof *offsets);
    for (int k = 0; k < n->n_out; k++) {
        if (!call->out[k])
            continue;
        before[k] = *call->out[k];
        if (n->op->view(call, k, &offsets[k]))
            continue;
        while (k-- > 0) /* the layouts of the outputs that could have been views */
            if (call->out[k])
                *call->out[k] = before[k];
        return UB_OK;
    }
    for (int k = 0; k < n->n_out; k++) {
        if (!call->out[k])
            continue;
        int32_t slot;
        UBP_TRY(ubp_make_slot(m, &slot, n->out[k], call->out[k], UBP_PLACE_VIEW));
        m->p->slots[slot].root = root;
        m->p->slots[slot].offset = base + offsets[k];
        m->slot_of[n->out[k]] = slot;
    }
    *done = true;
    return UB_OK;
}

/* Whether this step may overwrite the memory of `slot`: it is all of its root's, and nobody reads
 * that afterwards. */
bool ubp_make_dies(const ubp_maker *m, int32_t slot, const int32_t *in, int n_in)
{
    const ubp_plan *p = m->p;
    int32_t root = p->slots[slot].root;
    if (p->slots[root].place != UBP_PLACE_ARENA ||
        (slot != root && (p->slots[slot].offset != 0 || ubp_tensor_bytes(&p->slots[slot].t) !=
                                                            ubp_tensor_bytes(&p->slots[root].t))))
        return false;
    for (int i = 0; i < n_in; i++)
        if (in[i] >= 0 && p->slots[in[i]].root == root)
            return false;
    for (size_t i = 0; i < p->n_slots; i++) {
        int32_t v = p->slots[i].value;
        if (p->slots[i].root == root && v >= 0 && m->remaining[v] > 0)
            return false;
    }
    return true;
}

/* Another look at a slot: axis i of the new one is axis order[i]. */
static ub_status turned_slot(ubp_maker *m, int32_t *out, int32_t slot, const int *order)
{
    const ubp_slot from = m->p->slots[slot];
    ub_tensor t = from.t;
    for (int i = 0; i < t.rank; i++) {
        t.dims[i] = from.t.dims[order[i]];
        t.strides[i] = from.t.strides[order[i]];
    }
    UBP_TRY(ubp_make_slot(m, out, UBP_NO_VALUE, &t, UBP_PLACE_VIEW));
    m->p->slots[*out].root = from.root;
    m->p->slots[*out].offset = from.place == UBP_PLACE_VIEW ? from.offset : 0;
    return UB_OK;
}

static bool in_order(const int *order, int rank)
{
    for (int i = 0; i < rank; i++)
        if (order[i] != i)
            return false;
    return true;
}

/* The slot a step with an absorbed Add writes: it must hold the residual already. perm: the axis of
 * `layout` that is axis i of the residual. */
static ub_status residual_slot(ubp_maker *m, int32_t *out, int32_t residual, int32_t result,
                               const ub_tensor *layout, const int *perm, const int32_t *in,
                               int n_in)
{
    int32_t slot;
    UBP_TRY(ubp_make_read(m, &slot, residual));
    const bool dies = ubp_make_dies(m, slot, in, n_in);
    if (!in_order(perm, layout->rank)) {
        int back[UB_MAX_RANK];
        for (int i = 0; i < layout->rank; i++)
            back[perm[i]] = i;
        UBP_TRY(turned_slot(m, &slot, slot, back));
    }
    if (dies && ubp_make_same_strides(&m->p->slots[slot].t, layout)) {
        ub_tensor t = m->p->slots[slot].t;
        UBP_TRY(ubp_make_slot(m, out, result, &t, UBP_PLACE_VIEW));
        m->p->slots[*out].root = m->p->slots[slot].root;
        return UB_OK;
    }
    ubp_plan_step *s;
    UBP_TRY(ubp_make_slot(m, out, result, layout, UBP_PLACE_ARENA));
    UBP_TRY(ubp_make_step(m, &s, 1, 1));
    s->label = "residual";
    s->in[0] = slot;
    s->out[0] = *out;
    return UB_OK;
}

/* Where the last absorbed node has its axes in another order than the kernel's result in `slot`,
 * its value is a view of that. */
static ub_status turn_result(ubp_maker *m, int32_t slot, int32_t value, const int *perm)
{
    int32_t view;
    if (in_order(perm, m->p->slots[slot].t.rank))
        return UB_OK;
    UBP_TRY(turned_slot(m, &view, slot, perm));
    m->p->slots[slot].value = UBP_NO_VALUE;
    m->p->slots[view].value = value;
    m->slot_of[value] = view;
    return UB_OK;
}

static const char *fused_label(ubp_maker *m, const ubp_node *n, const ubp_fusion *fusion)
{
    const char *label = m->padded[n - m->g->nodes] ? "Pad+Conv" : n->op->name;
    for (int i = 0; i < fusion->n && label; i++)
        label =
            ubp_arena_printf(&m->p->arena, "%s+%s", label, m->g->nodes[fusion->nodes[i]].op->name);
    return label ? label : "";
}

/* Asks for a fast kernel, absorbing as much as it takes. */
static ub_status prepare_fast(ubp_maker *m, ubp_fast **fast, const ubp_call *call,
                              ubp_fusion *fusion, ub_tensor *want)
{
    *fast = NULL;
    if (!m->onednn)
        return UB_OK;
    for (;; fusion->n--) {
        size_t scratch = 0;
        for (int i = 0; i < call->n_in; i++)
            if (call->in[i])
                want[i] = *call->in[i];
        ub_status st =
            ubp_fast_prepare(fast, m->onednn, call, fusion->posts, fusion->n, 0, want, &scratch);
        if (st == UB_OK && scratch > m->p->scratch_bytes)
            m->p->scratch_bytes = scratch;
        if (st != UBP_DECLINED)
            return st;
        *fast = NULL;
        if (fusion->n == 0)
            return UB_OK;
    }
}

/* Appends the step of a node; fast is taken over. */
static ub_status add_step(ubp_maker *m, const ubp_node *n, const ubp_call *call, ubp_fast *fast,
                          const ubp_fusion *fusion, int32_t *in, const ub_tensor *want)
{
    ubp_plan *p = m->p;
    int32_t *out = ubp_arena_array(&p->arena, (size_t)n->n_out + 1, sizeof *out);
    ub_status st = out ? UB_OK : ubp_fail_memory(m->err, sizeof *out);
    bool strided = fast || (n->op->flags & UBP_STRIDED);
    for (int i = 0; i < n->n_in && st == UB_OK; i++) {
        if (in[i] < 0 || (n->op->flags & UBP_SHAPE_ONLY))
            continue;
        ub_tensor layout = fast ? want[i] : p->slots[in[i]].t;
        if (!strided)
            ubp_tensor_set_strides(&layout);
        const bool bytes = i == 0 && (n->op->flags & UBP_BYTES);
        st = ubp_make_layout(m, &in[i], in[i], &layout, fast || bytes);
    }
    int sum = -1; /* the post that adds the residual */
    for (int i = 0; i < fusion->n; i++)
        if (fusion->posts[i].kind == UBP_POST_SUM)
            sum = i;
    for (int k = 0; k < n->n_out && st == UB_OK; k++) {
        out[k] = -1;
        if (!call->out[k])
            continue;
        int32_t value = fusion->n && k == 0 ? fusion->results[fusion->n] : n->out[k];
        if (k == 0 && sum >= 0)
            st = residual_slot(m, &out[k], fusion->residuals[sum], value, call->out[k],
                               fusion->perm[sum], in, n->n_in);
        else
            st = ubp_make_slot(m, &out[k], value, call->out[k], UBP_PLACE_ARENA);
        if (st == UB_OK)
            m->slot_of[value] = out[k];
        if (st == UB_OK && k == 0 && fusion->n)
            st = turn_result(m, out[k], value, fusion->perm[fusion->n]);
    }
    ubp_plan_step *s = NULL;
    if (st == UB_OK)
        st = ubp_make_step(m, &s, n->n_in, n->n_out);
    if (st != UB_OK) {
        ubp_fast_free(fast);
        return st;
    }
    s->node = n;
    s->attr = call->attr;
    s->fast = fast;
    s->label = fused_label(m, n, fusion);
    memcpy(s->in, in, (size_t)n->n_in * sizeof *in);
    memcpy(s->out, out, (size_t)n->n_out * sizeof *out);
    s->gflop = n->op->macs ? 2e-9 * (double)n->op->macs(call) : 0;
    return UB_OK;
}

static void absorb(ubp_maker *m, int32_t index)
{
    ubp_make_done(m, &m->g->nodes[index]);
    m->absorbed[index] = true;
}

static ub_status visit(ubp_maker *m, int32_t index)
{
    ubp_plan *p = m->p;
    const ubp_node *n = &m->g->nodes[index];
    const ubp_padded *padded = m->padded[index];
    size_t ni = (size_t)n->n_in + 1, no = (size_t)n->n_out + 1;
    int32_t *in = ubp_arena_array(&p->arena, ni, sizeof *in);
    ub_tensor *in_t = ubp_arena_array(&p->arena, 2 * ni, sizeof *in_t), *want = in_t + ni;
    ub_tensor *out_t = ubp_arena_array(&p->arena, no, sizeof *out_t);
    const ub_tensor **in_p = ubp_arena_array(&p->arena, ni, sizeof *in_p);
    ub_tensor **out_p = ubp_arena_array(&p->arena, no, sizeof *out_p);
    if (!in || !in_t || !out_t || !in_p || !out_p)
        return ubp_fail_memory(m->err, ni * sizeof *in_t);
    for (int i = 0; i < n->n_in; i++) {
        in[i] = -1;
        if (n->in[i] < 0)
            continue;
        UBP_TRY(ubp_make_read(m, &in[i], read_of(m, n, i)));
        if (i == 0 && padded && padded->turned)
            UBP_TRY(turned_slot(m, &in[i], in[i], padded->order));
        in_t[i] = p->slots[in[i]].t;
        in_p[i] = &in_t[i];
    }
    for (int k = 0; k < n->n_out; k++) {
        if (n->out[k] < 0)
            continue;
        out_t[k] = p->facts->values[n->out[k]].t;
        choose_layout(m, n, in, &out_t[k]);
        out_p[k] = &out_t[k];
    }
    ubp_call call = {.op = n->op,
                     .node = n,
                     .attr = padded ? &padded->attr : p->facts->attrs[index],
                     .n_in = n->n_in,
                     .n_out = n->n_out,
                     .in = in_p,
                     .out = out_p,
                     .err = m->err};
    bool done;
    UBP_TRY(as_view(m, n, &call, in, &done));
    if (done) {
        ubp_make_done(m, n);
        return UB_OK;
    }
    ubp_fusion fusion;
    ubp_fusion_find(&fusion, &m->uses, index);
    ubp_fast *fast;
    UBP_TRY(prepare_fast(m, &fast, &call, &fusion, want));
    if (!fast)
        fusion.n = 0;
    ubp_make_done(m, n);
    for (int i = 0; fusion.n && i <= fusion.n; i++) {
        for (int k = 0; k < fusion.n_transposes[i]; k++)
            absorb(m, fusion.transposes[i][k]);
        if (i < fusion.n)
            absorb(m, fusion.nodes[i]);
    }
    return add_step(m, n, &call, fast, &fusion, in, want);
}

/* ---- The plan ------------------------------------------------------------------------------- */

static bool must_compute(const ubp_maker *m, int32_t value)
{
    return value >= 0 && !m->p->facts->values[value].t.data;
}

/* Marks the nodes that have to run and counts who reads what. */
static void find_uses(ubp_maker *m)
{
    ubp_facts *f = m->p->facts;
    for (int i = 0; i < m->ask->n_wanted; i++)
        m->uses.count[m->ask->wanted[i]]++;
    for (int i = 0; i < m->ask->n_given; i++)
        m->uses.computed[m->ask->given[i].value] = true;
    for (int i = f->n_nodes - 1; i >= 0; i--) {
        const ubp_node *n = &m->g->nodes[f->nodes[i]];
        bool needed = false;
        for (int k = 0; k < n->n_out && !needed; k++)
            needed = must_compute(m, n->out[k]) && m->uses.count[n->out[k]] > 0;
        m->uses.needed[f->nodes[i]] = needed;
        for (int k = 0; k < n->n_in && needed; k++) {
            if (n->in[k] < 0)
                continue;
            const int32_t value = read_of(m, n, k);
            m->uses.count[value]++;
            m->uses.user[value] = f->nodes[i];
        }
    }
    memcpy(m->remaining, m->uses.count, m->g->n_values * sizeof *m->remaining);
}

/* Whether the slot holds its value to the end of the run once it has memory of its own: no step
 * writes another value over it. */
static bool lasts(const ubp_plan *p, int32_t slot)
{
    int writers = 0;
    for (size_t i = 0; i < p->n_steps; i++)
        for (int k = 0; k < p->steps[i].n_out; k++)
            writers += p->steps[i].out[k] >= 0 && p->slots[p->steps[i].out[k]].root == slot;
    return writers == 1;
}

/* Inner values that the caller wants to have for later runs: the deepest first, for they cost most.
 */
static ub_status put_aside(ubp_maker *m)
{
    ubp_plan *p = m->p;
    size_t left = m->ask->keep_bytes;
    if (left == 0)
        return UB_OK;
    int32_t *wanted =
        ubp_arena_array(&p->arena, p->n_slots + (size_t)p->n_wanted + 1, sizeof *wanted);
    if (!wanted)
        return ubp_fail_memory(m->err, p->n_slots * sizeof *wanted);
    memcpy(wanted, p->wanted, (size_t)p->n_wanted * sizeof *wanted);
    p->wanted = wanted;
    for (size_t i = p->n_steps; i-- > 0;) {
        const ubp_plan_step *s = &p->steps[i];
        for (int k = 0; k < s->n_out && s->node; k++) {
            const int32_t slot = s->out[k];
            if (slot < 0 || p->slots[slot].place != UBP_PLACE_ARENA || p->slots[slot].value < 0 ||
                p->slots[slot].t.dtype == UB_STRING || !lasts(p, slot) ||
                ubp_padded_by(m->g, p->slots[slot].value) >= 0) /* nothing starts from these */
                continue;
            const size_t bytes = ubp_tensor_bytes(&p->slots[slot].t);
            if (bytes > left)
                continue;
            left -= bytes;
            p->slots[slot].place = UBP_PLACE_OWN;
            wanted[p->n_wanted++] = slot;
        }
    }
    return UB_OK;
}

static ub_status make(ubp_maker *m)
{
    ubp_plan *p = m->p;
    const ubp_facts *f = p->facts;
    size_t nv = m->g->n_values + 1, nn = m->g->n_nodes + 1;
    m->slot_of = ubp_arena_array(&p->arena, nv, sizeof *m->slot_of);
    m->remaining = ubp_arena_array(&p->arena, nv, sizeof *m->remaining);
    m->absorbed = ubp_arena_array(&p->arena, nn, sizeof *m->absorbed);
    m->heads = ubp_arena_array(&p->arena, nn, sizeof *m->heads);
    m->uses.facts = f;
    m->uses.graph = m->g;
    m->uses.arena = &p->arena;
    m->uses.count = ubp_arena_array(&p->arena, nv, sizeof *m->uses.count);
    m->uses.user = ubp_arena_array(&p->arena, nv, sizeof *m->uses.user);
    m->uses.computed = ubp_arena_array(&p->arena, nv, sizeof *m->uses.computed);
    m->uses.needed = ubp_arena_array(&p->arena, nn, sizeof *m->uses.needed);
    p->wanted = ubp_arena_array(&p->arena, (size_t)m->ask->n_wanted + 1, sizeof *p->wanted);
    if (!m->slot_of || !m->remaining || !m->absorbed || !m->heads || !m->uses.count ||
        !m->uses.user || !m->uses.computed || !m->uses.needed || !p->wanted)
        return ubp_fail_memory(m->err, nv * sizeof *m->slot_of);
    memset(m->slot_of, -1, nv * sizeof *m->slot_of);
    memset(m->uses.user, -1, nv * sizeof *m->uses.user); /* wanted, and read by no node */
    UBP_TRY(ubp_make_padded(m));
    find_uses(m);
    for (int i = 0; i < f->n_nodes; i++) {
        bool joined = false;
        if (!m->uses.needed[f->nodes[i]] || m->absorbed[f->nodes[i]])
            continue;
        UBP_TRY(ubp_make_heads(m, f->nodes[i], &joined));
        if (!joined)
            UBP_TRY(ubp_make_chain(m, i, &joined));
        if (!joined)
            UBP_TRY(visit(m, f->nodes[i]));
    }
    p->n_wanted = m->ask->n_wanted;
    for (int i = 0; i < p->n_wanted; i++) {
        UBP_TRY(ubp_make_read(m, &p->wanted[i], m->ask->wanted[i]));
        ubp_slot *root = &p->slots[p->slots[p->wanted[i]].root];
        if (root->place == UBP_PLACE_ARENA)
            root->place = UBP_PLACE_OWN;
    }
    p->n_asked = p->n_wanted;
    UBP_TRY(put_aside(m));
    return ubp_plan_place(p, m->err);
}

/* Pointers from steps into slots, once the slots do not move any more. */
static void link_steps(ubp_plan *p)
{
    for (size_t i = 0; i < p->n_steps; i++) {
        ubp_plan_step *s = &p->steps[i];
        for (int k = 0; k < s->n_in; k++)
            s->in_tensors[k] = s->in[k] < 0 ? NULL : &p->slots[s->in[k]].t;
        for (int k = 0; k < s->n_out; k++)
            s->out_tensors[k] = s->out[k] < 0 ? NULL : &p->slots[s->out[k]].t;
    }
}

ub_status ubp_plan_new(ubp_plan **out, ubp_facts *facts, const ubp_ask *ask,
                       struct ubp_onednn *onednn, ub_error *err)
{
    *out = NULL;
    ubp_plan *p = ubp_calloc(1, sizeof *p);
    if (!p) {
        ubp_facts_free(facts);
        return ubp_fail_memory(err, sizeof *p);
    }
    p->facts = facts;
    ubp_maker m = {.p = p, .ask = ask, .g = ask->graph, .onednn = onednn, .err = err};
    ub_status st = make(&m);
    if (st != UB_OK) {
        ubp_plan_free(p);
        return st;
    }
    link_steps(p);
    *out = p;
    return UB_OK;
}

void ubp_plan_free(ubp_plan *p)
{
    if (!p)
        return;
    for (size_t i = 0; i < p->n_steps; i++)
        ubp_fast_free(p->steps[i].fast);
    ubp_heads_free(p);
    ubp_facts_free(p->facts);
    ubp_arena_release(&p->arena);
    ubp_free(p->steps);
    ubp_free(p->slots);
    ubp_free(p);
}
