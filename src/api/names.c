/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ub_match: a pattern becomes the addresses it stands for. Also what an address says of its value
 * before anything runs: its kind, the names of its columns.
 */
#include "api/api.h"

#include <stdio.h>
#include <string.h>

struct ub_names {
    ubp_address_list list;
};

ub_status ub_match(ub_names **out, const ub_model *m, const char *pattern, ub_error *err)
{
    *out = NULL;
    ub_names *n = ubp_calloc(1, sizeof *n);
    if (!n)
        return ubp_fail_memory(err, sizeof *n);
    ub_status st = ubp_address_match(&n->list, m->graph, pattern, err);
    if (st != UB_OK) {
        ub_names_free(n);
        return st;
    }
    *out = n;
    return UB_OK;
}

/* Which labels the columns of output k have, as attributes; NULL: none. */
static const ubp_attr *column_labels(const ubp_node *n, int k)
{
    static const char *const names[] = {"classlabels_strings", "classlabels_int64s",
                                        "classlabels_ints"};
    const bool zip = strcmp(n->op_type, "ZipMap") == 0;
    if (strcmp(n->domain, "ai.onnx.ml") != 0 || !n->op || k != (zip ? 0 : 1))
        return NULL;
    for (int i = 0; i < UBP_COUNT(names); i++) {
        const ubp_attr *a = ubp_node_attr(n, names[i]);
        if (a && a->n > 0 && (a->kind == UBP_ATTR_STRINGS || a->kind == UBP_ATTR_INTS))
            return a;
    }
    return NULL;
}

static ub_status add_label(ubp_address_list *list, const ubp_attr *a, size_t k, ub_error *err)
{
    char number[32];
    const char *text = a->kind == UBP_ATTR_STRINGS ? a->strings[k] : number;
    snprintf(number, sizeof number, "%lld", a->kind == UBP_ATTR_INTS ? (long long)a->ints[k] : 0);
    UBP_TRY(ubp_grow((void **)&list->items, &list->cap, list->n, sizeof *list->items, err));
    char *copy = ubp_malloc(strlen(text) + 1);
    if (!copy)
        return ubp_fail_memory(err, strlen(text) + 1);
    strcpy(copy, text);
    list->items[list->n++] = copy;
    return UB_OK;
}

/* The graph an address's value is in. */
static const ubp_graph *graph_of(const ub_model *m, const ubp_address *a)
{
    const ubp_graph *g = m->graph;
    for (int i = 0; a->inside && i < a->tap.n_steps; i++)
        g = ubp_tap_body(g, &a->tap.steps[i]);
    return g;
}

ub_status ub_columns(ub_names **out, const ub_model *m, const char *what, ub_error *err)
{
    ubp_address a;
    *out = NULL;
    UBP_TRY(ubp_address_parse(&a, m->graph, what, err));
    const ubp_graph *g = graph_of(m, &a);
    const ubp_value *v = &g->values[a.inside ? a.tap.value : a.value];
    const ubp_attr *labels =
        v->producer < 0 ? NULL : column_labels(&g->nodes[v->producer], v->producer_out);
    if (!labels)
        return UB_OK;
    ub_names *n = ubp_calloc(1, sizeof *n);
    if (!n)
        return ubp_fail_memory(err, sizeof *n);
    ub_status st = UB_OK;
    for (size_t k = 0; k < labels->n && st == UB_OK; k++)
        st = add_label(&n->list, labels, k, err);
    if (st == UB_OK)
        *out = n;
    else
        ub_names_free(n);
    return st;
}

ub_status ub_value_kind(ub_kind *out, const ub_model *m, const char *what, ub_error *err)
{
    ubp_address a;
    UBP_TRY(ubp_address_parse(&a, m->graph, what, err));
    *out = a.slice || a.element >= 0
               ? UB_KIND_TENSOR
               : graph_of(m, &a)->values[a.inside ? a.tap.value : a.value].kind;
    return UB_OK;
}

void ub_names_free(ub_names *n)
{
    if (!n)
        return;
    ubp_address_list_release(&n->list);
    ubp_free(n);
}

int ub_names_count(const ub_names *n)
{
    return (int)n->list.n;
}

const char *ub_names_at(const ub_names *n, int i)
{
    return i < 0 || (size_t)i >= n->list.n ? NULL : n->list.items[i];
}
