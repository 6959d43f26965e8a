/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tensors that share memory. In the graph every value is made once, so what writes to a tensor
 * gives it a new value; if the tensor is a view, its base gets one too, in which the written part
 * is put in place; and a view whose base was written is made again when it is next read.
 */
#include "load/pt2.h"

#include <string.h>

/* ---- Reading ----------------------------------------------------------------------------------
 */

ub_status ubp_pt2_read(ubp_pt2 *p, int32_t tensor, int32_t *value)
{
    int32_t chain[UBP_PT2_MAX_CHAIN + 1];
    int n = 0;
    /* The views between it and its root that are older than what was written there. */
    for (int32_t t = tensor; p->tensors[t].base >= 0; t = p->tensors[t].base)
        if (p->tensors[t].version != p->tensors[p->tensors[t].root].version)
            chain[n++] = t; /* a chain is never longer */
    while (n > 0) {
        const int32_t t = chain[--n];
        const ubp_pt2_tensor old = p->tensors[t];
        int32_t again = UBP_NO_VALUE;
        /* So that the call that makes it reads its base as it is now, and not the view itself. */
        p->tensors[t].version = p->tensors[old.root].version;
        UBP_TRY(ubp_pt2_again(p, old.call, old.scope, old.output, &again));
        p->tensors[t].value = again;
    }
    *value = p->tensors[tensor].value;
    return UB_OK;
}

/* ---- Writing ----------------------------------------------------------------------------------
 */

static ub_status fail_write(ubp_pt2 *p, const char *name, const char *why)
{
    return ubp_fail(p->err, UB_ERR_UNSUPPORTED,
                    "node '%s' writes in place into %s; use the operation that does not write in"
                    " place in the model's code, or export.run_decompositions()",
                    name, why);
}

/* base with the entries start .. end of axis replaced. */
static int32_t put_range(ubp_emit *e, int32_t base, int axis, int64_t start, int64_t end,
                         int32_t value)
{
    int32_t parts[3];
    int n = 0;
    if (start != 0)
        parts[n++] = ubp_emit_slice(e, base, axis, 0, start, 1);
    parts[n++] = value;
    if (end != INT64_MAX)
        parts[n++] = ubp_emit_slice(e, base, axis, end, INT64_MAX, 1);
    return n == 1 ? value : ubp_emit_concat(e, parts, n, axis);
}

/* base with every step-th entry of an axis of known size replaced: the axis' entries are picked
 * from base and value laid behind each other. */
static int32_t put_steps(ubp_emit *e, int32_t base, const ubp_pt2_view *v, int64_t size,
                         int32_t value)
{
    enum { MOST = 1 << 16 };
    if (size > MOST)
        return UBP_NO_VALUE;
    int64_t *from = ubp_arena_array(&e->g->arena, (size_t)size, sizeof(*from));
    if (!from) {
        e->status = ubp_fail_memory(e->err, (size_t)size);
        return UBP_NO_VALUE;
    }
    int64_t next = size;
    for (int64_t i = 0; i < size; i++) {
        const bool inside = i >= v->start && i < v->end && (i - v->start) % v->step == 0;
        from[i] = inside ? next++ : i;
    }
    const int32_t both[] = {base, value};
    const int32_t in[] = {ubp_emit_concat(e, both, 2, v->axis), ubp_emit_ints(e, from, (int)size)};
    const ubp_attr axis = ubp_emit_int("axis", v->axis);
    return ubp_emit_node(e, "Gather", 2, in, 1, &axis);
}

int32_t ubp_pt2_put_slice(ubp_emit *e, int32_t base, const ubp_pt2_view *view, int64_t size,
                          int32_t value)
{
    ubp_pt2_view v = *view;
    if (size >= 0) { /* as Python's slices are resolved */
        v.start = v.start < 0 ? v.start + size : v.start;
        v.end = v.end < 0 ? v.end + size : v.end;
        v.start = v.start < 0 ? 0 : v.start > size ? size : v.start;
        v.end = v.end < v.start ? v.start : v.end > size ? size : v.end;
    }
    if (v.step == 1)
        return put_range(e, base, v.axis, v.start, v.end, value);
    return size >= 0 && v.step > 1 ? put_steps(e, base, &v, size, value) : UBP_NO_VALUE;
}

static ub_status put_part(ubp_pt2 *p, const ubp_pt2_tensor *t, int32_t base, int32_t *value,
                          const char *name)
{
    ubp_emit *e = &p->emit;
    ubp_pt2_meta m;
    ubp_pt2_view v = t->view;
    if (!ubp_pt2_read_meta(&m, p->tensors[t->base].meta) || v.axis >= m.rank)
        return fail_write(p, name, "a part of a tensor whose shape is not in the file");
    if (v.kind == UBP_PT2_SELECT) {
        const int64_t axis = v.axis;
        *value = ubp_emit_unsqueeze(e, *value, &axis, 1);
        v.end = v.start == -1 ? INT64_MAX : v.start + 1;
        v.step = 1;
    }
    *value = ubp_pt2_put_slice(e, base, &v, m.dims[v.axis], *value);
    if (*value == UBP_NO_VALUE && e->status == UB_OK)
        return fail_write(p, name,
                          "every n-th entry of an axis that is very long or of no fixed size");
    return e->status;
}

/* What the base of view t becomes when t becomes *value. */
static ub_status put_view(ubp_pt2 *p, const ubp_pt2_tensor *t, int32_t base, int32_t *value,
                          const char *name)
{
    ubp_emit *e = &p->emit;
    ubp_pt2_meta m;
    int64_t inverse[UB_MAX_RANK];
    switch (t->view.kind) {
    case UBP_PT2_RESHAPE:
        *value = ubp_emit_2(e, "Reshape", *value, ubp_emit_shape(e, base));
        return e->status;
    case UBP_PT2_PERMUTE:
        if (!ubp_pt2_read_meta(&m, p->tensors[t->base].meta))
            return fail_write(p, name, "a tensor whose shape is not in the file");
        for (int i = 0; i < m.rank; i++)
            inverse[t->view.perm[i]] = i;
        *value = ubp_emit_transpose(e, *value, m.rank, inverse);
        return e->status;
    case UBP_PT2_SLICE:
    case UBP_PT2_SELECT:
        return put_part(p, t, base, value, name);
    default:
        return fail_write(p, name,
                          "a view in which elements lie over each other or are"
                          " scattered");
    }
}

ub_status ubp_pt2_write(ubp_pt2 *p, int32_t tensor, int32_t value, const char *name)
{
    const int32_t root = p->tensors[tensor].root;
    const int32_t written = value;
    /* All bases are read before any of them changes. */
    for (int32_t t = tensor; p->tensors[t].base >= 0;) {
        const ubp_pt2_tensor view = p->tensors[t];
        int32_t base = UBP_NO_VALUE;
        UBP_TRY(ubp_pt2_read(p, view.base, &base));
        UBP_TRY(put_view(p, &view, base, &value, name));
        t = view.base;
    }
    p->tensors[root].value = value;
    p->tensors[root].version++;
    if (tensor != root) {
        p->tensors[tensor].value = written;
        p->tensors[tensor].version = p->tensors[root].version;
    }
    return UB_OK;
}
