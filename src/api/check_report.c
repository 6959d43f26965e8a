/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reports, lists of values and comparing: see check.h.
 */
#include "api/check.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

ub_status ubp_report_new(ub_report **out, ub_error *err)
{
    *out = ubp_calloc(1, sizeof **out);
    return *out ? UB_OK : ubp_fail_memory(err, sizeof **out);
}

void ub_report_free(ub_report *r)
{
    if (!r)
        return;
    ubp_arena_release(&r->arena);
    ubp_free(r->findings);
    ubp_free(r);
}

int ub_report_count(const ub_report *r)
{
    return (int)r->n;
}

const ub_finding *ub_report_at(const ub_report *r, int i)
{
    return i < 0 || (size_t)i >= r->n ? NULL : &r->findings[i];
}

bool ub_report_holds(const ub_report *r)
{
    for (size_t i = 0; i < r->n; i++)
        if (r->findings[i].verdict == UB_BROKEN)
            return false;
    return true;
}

ub_finding *ubp_report_add(ub_report *r, ub_error *err)
{
    if (ubp_grow((void **)&r->findings, &r->cap, r->n, sizeof *r->findings, err) != UB_OK)
        return NULL;
    ub_finding *f = &r->findings[r->n++];
    *f = (ub_finding){.what = "", .node = "", .op = "", .detail = "", .sample = -1, .rank = -1};
    return f;
}

/* ---- Lists of values --------------------------------------------------------------------------
 */

typedef struct lister {
    ubp_check_list *list;
    const ubp_graph *g;
    bool *seen; /* [n_values] */
    ubp_arena *arena;
    ub_error *err;
} lister;

static ub_status add_value(lister *l, int32_t value, const char *name)
{
    if (value < 0 || l->seen[value] || l->g->values[value].constant)
        return UB_OK;
    l->seen[value] = true;
    l->list->values[l->list->n] = value;
    l->list->names[l->list->n] = ubp_arena_strdup(l->arena, name);
    return l->list->names[l->list->n++] ? UB_OK : ubp_fail_memory(l->err, strlen(name));
}

static ub_status add_border(lister *l, const ubp_layer *layer, bool in)
{
    const int n = in ? layer->n_in : layer->n_out;
    ub_status st = UB_OK;
    for (int k = 0; k < n && st == UB_OK; k++) {
        char name[1024], port[16] = "";
        if (k > 0)
            snprintf(port, sizeof port, "%d", k);
        snprintf(name, sizeof name, "%s%s%s", layer->name, in ? ":in" : k ? ":out" : "", port);
        st = add_value(l, in ? layer->in[k] : layer->out[k], name);
    }
    return st;
}

static ub_status list_new(lister *l, ubp_check_list *out, const ub_session *s, ubp_arena *arena,
                          ub_error *err)
{
    const ubp_graph *g = s->model->graph;
    *l = (lister){.list = out, .g = g, .arena = arena, .err = err};
    out->n = 0;
    out->values = ubp_arena_array(arena, g->n_values + 1, sizeof *out->values);
    out->names = ubp_arena_array(arena, g->n_values + 1, sizeof *out->names);
    l->seen = ubp_arena_array(arena, g->n_values + 1, sizeof *l->seen);
    return out->values && out->names && l->seen ? UB_OK : ubp_fail_memory(err, g->n_values);
}

ub_status ubp_check_values(ubp_check_list *out, const ub_session *s, const char *const *what, int n,
                           ubp_arena *arena, ub_error *err)
{
    const ubp_graph *g = s->model->graph;
    lister l;
    UBP_TRY(list_new(&l, out, s, arena, err));
    for (int i = 0; i < n; i++) {
        ubp_address a;
        UBP_TRY(ubp_address_parse(&a, g, what[i], err));
        if (a.slice)
            return ubp_fail(err, UB_ERR_ARGUMENT, "'%s': whole values are checked, not slices",
                            what[i]);
        UBP_TRY(add_value(&l, a.value, what[i]));
    }
    if (n > 0)
        return UB_OK;
    for (size_t i = 0; i < g->n_layers; i++) {
        if (!g->layers[i].no_in)
            UBP_TRY(add_border(&l, &g->layers[i], true));
        if (!g->layers[i].no_out)
            UBP_TRY(add_border(&l, &g->layers[i], false));
    }
    for (int i = 0; i < g->n_outputs; i++)
        UBP_TRY(add_value(&l, g->outputs[i], g->output_names[i]));
    return UB_OK;
}

ub_status ubp_check_all_values(ubp_check_list *out, const ub_session *s, ubp_arena *arena,
                               ub_error *err)
{
    const ubp_graph *g = s->model->graph;
    ubp_check_list outputs = {0};
    UBP_TRY(ubp_check_values(&outputs, s, NULL, 0, arena, err));
    ubp_ask ask = ubp_session_ask(s, outputs.values, outputs.n, 1);
    int32_t *nodes;
    int count;
    UBP_TRY(ubp_cone(&ask, &nodes, &count, arena, err));
    lister l;
    UBP_TRY(list_new(&l, out, s, arena, err));
    for (size_t i = 0; i < s->n_given; i++)
        UBP_TRY(add_value(&l, s->given[i].value, g->values[s->given[i].value].name));
    for (int i = 0; i < count; i++)
        for (int k = 0; k < g->nodes[nodes[i]].n_out; k++) {
            const int32_t v = g->nodes[nodes[i]].out[k];
            if (v >= 0)
                UBP_TRY(add_value(&l, v, g->values[v].name));
        }
    return UB_OK;
}

ub_status ubp_check_session(ub_session **out, const ub_session *s, int threads, ub_error *err)
{
    ub_session_options o = s->options;
    o.threads = threads;
    o.progress = NULL;
    UBP_TRY(ub_session_new(out, s->model, &o, err));
    for (size_t i = 0; i < s->n_given; i++) {
        ub_status st = ubp_session_give(*out, &s->given[i], err);
        if (st != UB_OK) {
            ub_session_free(*out);
            *out = NULL;
            return st;
        }
    }
    return UB_OK;
}

int ubp_check_group(const ub_session *s, const ubp_check_list *list, int first, int64_t n)
{
    /* Bytes of one group's values, counted as the file has them; unknown dims count as `each`. */
    const double most = s->options.memory_limit ? (double)s->options.memory_limit / 8 : 2.56e8;
    const double unknown = 64;
    double bytes = 0;
    int k = first;
    for (; k < list->n && k - first < 64; k++) {
        const ubp_value *v = &s->model->graph->values[list->values[k]];
        double size = 4 * (double)n;
        for (int a = 0; a < v->rank; a++)
            size *= v->dims[a] > 0 ? (double)v->dims[a] : a ? unknown : 1;
        bytes += v->rank < 0 ? 4e6 * (double)n : size;
        if (bytes > most)
            break;
    }
    return k > first ? k - first : 1;
}

/* ---- Comparing --------------------------------------------------------------------------------
 */

void ubp_check_index(ub_finding *f, const ub_tensor *t, int64_t at)
{
    f->rank = t->rank;
    for (int a = t->rank - 1; a >= 0; a--) {
        f->index[a] = t->dims[a] > 0 ? at % t->dims[a] : 0;
        at = t->dims[a] > 0 ? at / t->dims[a] : 0;
    }
}

/* Row-major bytes of t, and row-major doubles; *numbers NULL: they are strings. */
static ub_status both(ub_tensor **bytes, ub_tensor **numbers, const ub_tensor *t, ub_error *err)
{
    UBP_TRY(ub_tensor_copy(bytes, t, err));
    return t->dtype == UB_STRING ? UB_OK : ub_tensor_cast(numbers, t, UB_F64, err);
}

static bool same_element(const ub_tensor *a, const ub_tensor *b, int64_t i)
{
    const size_t size = ub_dtype_size(a->dtype), at = (size_t)i * size;
    const char *x = (const char *)a->data + at, *y = (const char *)b->data + at;
    if (a->dtype == UB_STRING)
        return strcmp(ubp_string_at(x), ubp_string_at(y)) == 0;
    return memcmp(x, y, size) == 0;
}

/* x, y: the elements of a and b as numbers, or NULL where they are strings. */
static void compare(ubp_difference *out, const ub_tensor *a, const ub_tensor *b, const ub_tensor *x,
                    const ub_tensor *y)
{
    for (int64_t i = 0; i < out->compared; i++) {
        const double from = x ? ((const double *)x->data)[i] : 0;
        const double to = y ? ((const double *)y->data)[i] : INFINITY;
        if (x && isfinite(from) && fabs(from) > out->largest)
            out->largest = fabs(from);
        if (same_element(a, b, i) || (isnan(from) && isnan(to)))
            continue; /* of a NaN neither sign nor payload is promised */
        const double off = fabs(from - to);
        out->differing++;
        if (out->first < 0)
            out->first = i;
        if (!(off <= out->worst) && from != to)
            out->worst = isnan(off) ? INFINITY : off;
    }
}

ub_status ubp_check_compare(ubp_difference *out, const ub_tensor *a, const ub_tensor *b,
                            ub_error *err)
{
    *out = (ubp_difference){.first = -1};
    if (a->dtype != b->dtype || !ubp_same_dims(a, b)) {
        char have[UBP_SHAPE_TEXT], other[UBP_SHAPE_TEXT];
        return ubp_fail(err, UB_ERR_SHAPE, "%s %s and %s %s are not comparable",
                        ub_dtype_name(a->dtype), ubp_shape_text(have, a->rank, a->dims),
                        ub_dtype_name(b->dtype), ubp_shape_text(other, b->rank, b->dims));
    }
    out->compared = ub_tensor_count(a);
    ub_tensor *ca = NULL, *cb = NULL, *na = NULL, *nb = NULL;
    ub_status st = both(&ca, &na, a, err);
    if (st == UB_OK)
        st = both(&cb, &nb, b, err);
    if (st == UB_OK)
        compare(out, ca, cb, na, nb);
    ub_tensor_free(ca);
    ub_tensor_free(cb);
    ub_tensor_free(na);
    ub_tensor_free(nb);
    return st;
}
