/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Values that are not simply tensors of the model's graph: those inside bodies, sequences,
 * optionals and their elements. Each takes a run of its own, step by step.
 */
#include "api/api.h"

struct ub_list {
    ubp_item *item;
    ub_kind kind;
    ub_tensor **tensors; /* [n] owned */
    int64_t n;
    bool filled;
};

/* ---- Items ---------------------------------------------------------------------------------- */

/* What an optional holds; NULL: nothing. */
static const ubp_item *content(const ubp_item *item)
{
    if (item->kind != UBP_ITEM_OPTIONAL)
        return item;
    return item->n > 0 ? item->list[0] : NULL;
}

ub_status ubp_item_tensor(ub_tensor **out, const ubp_item *item, const char *name, ub_error *err)
{
    const ubp_item *held = content(item);
    if (!held)
        return ubp_fail(err, UB_ERR_ARGUMENT, "'%s' is an optional that holds nothing", name);
    if (held->kind != UBP_ITEM_TENSOR) {
        if (held->n == 0)
            return ubp_fail(err, UB_ERR_ARGUMENT, "'%s' is a sequence without elements", name);
        return ubp_fail(err, UB_ERR_ARGUMENT,
                        "'%s' is a sequence of %lld: ask for one element, '%s/0' to '%s/%lld'",
                        name, (long long)held->n, name, name, (long long)held->n - 1);
    }
    if (held->tensor->buffer && held->tensor->dtype != UB_STRING) /* text belongs to the run */
        return ubp_tensor_handle(out, held->tensor, err);
    return ub_tensor_copy(out, held->tensor, err);
}

ub_status ubp_item_element(const ubp_item **out, const ubp_item *item, int64_t k, const char *text,
                           ub_error *err)
{
    *out = item;
    if (k < 0)
        return UB_OK;
    const ubp_item *held = content(item);
    const int64_t n = !held ? 0 : held->kind == UBP_ITEM_SEQUENCE ? held->n : 1;
    if (held && held->kind == UBP_ITEM_TENSOR && item->kind == UBP_ITEM_TENSOR)
        return ubp_fail(err, UB_ERR_ARGUMENT, "'%s': a tensor, not a list, so it has no elements",
                        text);
    if (k >= n)
        return ubp_fail(err, UB_ERR_ARGUMENT, "'%s': the list has %lld element%s", text,
                        (long long)n, n == 1 ? "" : "s");
    *out = held->kind == UBP_ITEM_SEQUENCE ? held->list[k] : held;
    return UB_OK;
}

/* ---- Runs ----------------------------------------------------------------------------------- */

ub_status ubp_session_items(ub_session *s, ubp_item **results, const int32_t *values, int n_values,
                            int64_t n, ubp_tap *tap, ub_error *err)
{
    const int64_t fixed = s->model->fixed_batch;
    if ((fixed > 0 && n != fixed) || (s->options.alone && n > 1))
        return ubp_fail(err, UB_ERR_ARGUMENT,
                        "values inside bodies and elements of lists are computed for one run of the"
                        " model: give %lld sample%s, not %lld",
                        (long long)(fixed > 0 ? fixed : 1), fixed > 1 ? "s" : "", (long long)n);
    ubp_pool_round(s->pool);
    ubp_arena_reset(&s->strings); /* what came out of earlier runs has its own */
    ubp_ask ask = ubp_session_ask(s, values, n_values, n);
    ubp_control control = ubp_session_control(s);
    for (int i = 0; i < ask.n_given; i++)
        if (ask.given[i].tensor && !ask.given[i].tensor->data &&
            ub_tensor_count(ask.given[i].tensor) > 0)
            return ubp_fail(err, UB_ERR_ARGUMENT, "'%s' was given a shape but no data",
                            s->model->graph->values[ask.given[i].value].name);
    return ubp_eager_run(results, &ask, &control, tap, err);
}

/* Why the run did not come by a value inside a body. */
static ub_status fail_not_run(const ub_session *s, const ubp_tap *tap, const char *text,
                              ub_error *err)
{
    const ubp_graph *g = s->model->graph;
    const ubp_tap_step *at = &tap->steps[tap->reached];
    for (int i = 0; i <= tap->reached; i++) {
        const ubp_node *n = &g->nodes[tap->steps[i].node];
        if (i == tap->reached && tap->took)
            return ubp_fail(err, UB_ERR_ARGUMENT,
                            "'%s' was not computed: '%s' ran its '%.4s' branch", text,
                            ubp_node_title(g, n), tap->took);
        if (i == tap->reached)
            return ubp_fail(err, UB_ERR_ARGUMENT,
                            "'%s' was not computed: '%s' ran %lld iteration%s, there is no %lld",
                            text, ubp_node_title(g, n), (long long)tap->ran,
                            tap->ran == 1 ? "" : "s", (long long)at->iteration);
        g = ubp_tap_body(g, &tap->steps[i]);
    }
    return ubp_fail(err, UB_ERR_INTERNAL, "'%s' was not computed", text);
}

ub_status ubp_get_item(ub_session *s, ubp_item **out, const ubp_address *a, int64_t n,
                       const char *text, ub_error *err)
{
    ubp_tap tap = a->tap;
    ubp_item *item = NULL;
    UBP_TRY(ubp_session_items(s, &item, &a->value, 1, n, a->inside ? &tap : NULL, err));
    if (!a->inside) {
        *out = item;
        return UB_OK;
    }
    ubp_item_free(item);
    *out = tap.result;
    return tap.result ? UB_OK : fail_not_run(s, &tap, text, err);
}

/* ---- Lists ---------------------------------------------------------------------------------- */

static ub_status fill(ub_list *l, const char *what, ub_error *err)
{
    const ubp_item *held = content(l->item);
    const bool optional = l->item->kind == UBP_ITEM_OPTIONAL;
    const bool sequence = held && held->kind == UBP_ITEM_SEQUENCE;
    l->kind = optional && sequence ? UB_KIND_OPTIONAL_SEQUENCE
              : optional           ? UB_KIND_OPTIONAL
              : sequence           ? UB_KIND_SEQUENCE
                                   : UB_KIND_TENSOR;
    l->filled = held != NULL;
    const int64_t n = !held ? 0 : sequence ? held->n : 1;
    l->tensors = ubp_calloc((size_t)n + 1, sizeof(ub_tensor *));
    if (!l->tensors)
        return ubp_fail_memory(err, (size_t)n * sizeof(ub_tensor *));
    for (; l->n < n; l->n++)
        UBP_TRY(ubp_item_tensor(&l->tensors[l->n], sequence ? held->list[l->n] : held, what, err));
    return UB_OK;
}

static ub_status get_list(ub_list *l, ub_session *s, const char *what, ub_error *err)
{
    ubp_address a;
    int64_t n;
    UBP_TRY(ubp_address_parse(&a, s->model->graph, what, err));
    if (a.slice || a.element >= 0)
        return ubp_fail(err, UB_ERR_ARGUMENT, "'%s' names a part, expected a whole list", what);
    UBP_TRY(ubp_session_samples(s, &n, err));
    UBP_TRY(ubp_get_item(s, &l->item, &a, n, what, err));
    return fill(l, what, err);
}

ub_status ub_get_list(ub_list **out, ub_session *s, const char *what, ub_error *err)
{
    *out = NULL;
    ub_list *l = ubp_calloc(1, sizeof *l);
    if (!l)
        return ubp_fail_memory(err, sizeof *l);
    ubp_text_free(&s->note);
    const ub_status st = get_list(l, s, what, err);
    if (st != UB_OK)
        ub_list_free(l);
    else
        *out = l;
    return st;
}

void ub_list_free(ub_list *l)
{
    if (!l)
        return;
    for (int64_t i = 0; i < l->n; i++)
        ub_tensor_free(l->tensors[i]);
    ubp_free(l->tensors);
    ubp_item_free(l->item);
    ubp_free(l);
}

ub_kind ub_list_kind(const ub_list *l)
{
    return l->kind;
}

int64_t ub_list_count(const ub_list *l)
{
    return l->n;
}

bool ub_list_filled(const ub_list *l)
{
    return l->filled;
}

const ub_tensor *ub_list_at(const ub_list *l, int64_t i)
{
    return i < 0 || i >= l->n ? NULL : l->tensors[i];
}
