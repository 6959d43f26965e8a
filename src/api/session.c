/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ub_session: a model with its given values, on one thread.
 */
#include "api/api.h"

#include <string.h>

ub_status ub_session_new(ub_session **out, const ub_model *m, const ub_session_options *options,
                         ub_error *err)
{
    *out = NULL;
    ub_session *s = ubp_calloc(1, sizeof *s);
    if (!s)
        return ubp_fail_memory(err, sizeof *s);
    s->model = m;
    s->options = (ub_session_options)UB_SESSION_OPTIONS_INIT;
    if (options) /* a caller built against an older header has a shorter struct */
        memcpy(&s->options, options,
               options->size_of < sizeof s->options ? options->size_of : sizeof s->options);
    s->run.threads = s->options.threads > 0 ? s->options.threads : ubp_core_count();
    s->run.cancel = s->options.cancel;
    s->run.scratch = &s->scratch;
    s->run.strings = &s->strings;
    s->strings.cap = s->options.memory_limit;
    ub_status st = ubp_pool_new(&s->pool, err);
    if (st == UB_OK && !s->options.reference)
        st = ubp_onednn_new(&s->onednn, err);
    if (st != UB_OK) {
        ub_session_free(s);
        return st;
    }
    s->run.onednn = s->onednn;
    *out = s;
    return UB_OK;
}

void ub_session_free(ub_session *s)
{
    if (!s)
        return;
    ub_session_clear(s);
    ubp_kept_clear(&s->kept);
    ubp_cache_release(&s->cache);
    ubp_lanes_free(s);
    for (int i = 0; i < UBP_MAX_NESTING; i++)
        ubp_workspace_release(&s->workspaces[i]);
    ubp_pool_close(s->pool);
    ubp_arena_release(&s->scratch);
    ubp_arena_release(&s->strings);
    ubp_onednn_free(s->onednn);
    ubp_text_free(&s->note);
    ubp_free(s->given);
    ubp_free(s->given_tensors);
    ubp_free(s->step_ms);
    ubp_free(s->steps);
    ubp_free(s);
}

void ub_session_clear(ub_session *s)
{
    for (size_t i = 0; i < s->n_given; i++) {
        ubp_item_free(s->given[i].item);
        ubp_free(s->given_tensors[i]);
    }
    s->n_given = 0;
    ubp_kept_clear(&s->kept);
}

void ub_session_count(const ub_session *s, ub_session_counts *out)
{
    const size_t size = out->size_of < sizeof s->counts ? out->size_of : sizeof s->counts;
    const size_t given = out->size_of;
    ub_session_counts counts = s->counts;
    counts.cached_bytes = s->kept.bytes;
    memcpy(out, &counts, size);
    out->size_of = given;
}

const char *ub_session_note(const ub_session *s)
{
    return s->note.s ? s->note.s : "";
}

/* "(batch, 3, 224, 224)" as the file has it. */
static void shape_of_value(ubp_text *out, const ubp_value *v)
{
    ubp_text_add(out, "(");
    for (int a = 0; a < v->rank; a++) {
        ubp_text_add(out, a ? ", " : "");
        if (v->dims[a] >= 0)
            ubp_text_addf(out, "%lld", (long long)v->dims[a]);
        else
            ubp_text_add(out, v->dim_names[a] && v->dim_names[a][0] ? v->dim_names[a] : "?");
    }
    ubp_text_add(out, v->rank == 1 ? ",)" : ")");
}

/* dtype and dims of a given value against what the file says of it. */
static ub_status check_given(const ubp_value *v, const char *name, const ub_tensor *t,
                             int batch_axis, ub_error *err)
{
    bool fits = v->rank < 0 || v->rank == t->rank;
    for (int a = 0; a < v->rank && fits; a++)
        fits = a == batch_axis || v->dims[a] < 0 || v->dims[a] == t->dims[a];
    /* Another batch than the file's runs in blocks, but an inner axis must fit. */
    if (fits && (v->dtype == UB_UNDEFINED || v->dtype == t->dtype))
        return UB_OK;
    char found[UBP_SHAPE_TEXT];
    ubp_text expected = {0};
    if (v->rank >= 0)
        shape_of_value(&expected, v);
    ub_dtype dtype = v->dtype == UB_UNDEFINED ? t->dtype : v->dtype;
    ub_status st = ubp_fail(err, UB_ERR_SHAPE, "'%s': expected %s %s, found %s %s", name,
                            ub_dtype_name(dtype), expected.s ? expected.s : "of any shape",
                            ub_dtype_name(t->dtype), ubp_shape_text(found, t->rank, t->dims));
    ubp_text_free(&expected);
    return st;
}

/* The value a name stands for, and where its samples are. */
static ub_status find_given(const ub_model *m, const char *name, int32_t *value, int *axis,
                            ub_error *err)
{
    const ubp_graph *g = m->graph;
    if (!name) {
        if (g->n_inputs == 0)
            return ubp_fail(err, UB_ERR_ARGUMENT, "the model has no inputs");
        if (g->n_inputs != 1)
            return ubp_fail(err, UB_ERR_ARGUMENT,
                            "the model has %d inputs: say which one is given ('%s' ...)",
                            g->n_inputs, g->input_names[0]);
        name = g->input_names[0];
    }
    for (int i = 0; i < g->n_inputs; i++) {
        if (strcmp(g->input_names[i], name) != 0)
            continue;
        *value = g->inputs[i];
        *axis = m->inputs[i].batch_axis;
        return UB_OK;
    }
    ubp_address a;
    UBP_TRY(ubp_address_parse(&a, g, name, err));
    if (a.slice || a.element >= 0)
        return ubp_fail(err, UB_ERR_ARGUMENT, "'%s': a whole value is given, not a part of it",
                        name);
    if (a.inside)
        return ubp_fail(err, UB_ERR_ARGUMENT,
                        "'%s' is inside a body: only values of the model's own graph are given",
                        name);
    if (g->values[a.value].constant)
        return ubp_fail(err, UB_ERR_ARGUMENT, "'%s' is a constant of the model", name);
    *value = a.value;
    *axis = ubp_value_axis(g, a.value);
    return UB_OK;
}

/* The place for a given value: that which it has already, or a new one. */
static ub_status place_given(ub_session *s, int32_t id, size_t *place, ub_error *err)
{
    size_t i = 0;
    ubp_kept_clear(&s->kept);
    while (i < s->n_given && s->given[i].value != id)
        i++;
    *place = i;
    if (i < s->n_given) {
        ubp_item_free(s->given[i].item);
        s->given[i].item = NULL;
        return UB_OK;
    }
    UBP_TRY(ubp_grow((void **)&s->given, &s->cap_given, i, sizeof *s->given, err));
    UBP_TRY(
        ubp_grow((void **)&s->given_tensors, &s->cap_tensors, i, sizeof *s->given_tensors, err));
    s->given_tensors[i] = ubp_malloc(sizeof **s->given_tensors);
    if (!s->given_tensors[i])
        return ubp_fail_memory(err, sizeof **s->given_tensors);
    s->given[i] = (ubp_given){.value = id};
    s->n_given++;
    return UB_OK;
}

ub_status ubp_session_give(ub_session *s, const ubp_given *given, ub_error *err)
{
    size_t i;
    UBP_TRY(place_given(s, given->value, &i, err));
    s->given[i] = *given;
    if (given->item) {
        s->given[i].item = ubp_item_ref(given->item);
        return UB_OK;
    }
    *s->given_tensors[i] = *given->tensor;
    s->given[i].tensor = s->given_tensors[i];
    return UB_OK;
}

ub_status ub_session_set(ub_session *s, const char *name, const ub_tensor *value, ub_error *err)
{
    int32_t id = UBP_NO_VALUE;
    int axis = -1;
    UBP_TRY(find_given(s->model, name, &id, &axis, err));
    const ubp_value *v = &s->model->graph->values[id];
    if (v->kind != UB_KIND_TENSOR && v->kind != UB_KIND_OPTIONAL)
        return ubp_fail(err, UB_ERR_SHAPE, "'%s' is a sequence: give it with ub_session_set_list",
                        v->name);
    if (v->kind == UB_KIND_OPTIONAL)
        return ub_session_set_list(s, name, &value, 1, err);
    if (axis >= value->rank)
        axis = v->rank < 0 ? -1 : axis;
    UBP_TRY(check_given(v, name ? name : v->name, value, axis, err));
    return ubp_session_give(s, &(ubp_given){.value = id, .tensor = value, .batch_axis = axis}, err);
}

static ub_status make_given_list(ubp_item **out, ub_kind kind, const ub_tensor *const *elements,
                                 int n, ub_error *err)
{
    ubp_item *list = NULL, *optional = NULL;
    const bool in_optional = kind == UB_KIND_OPTIONAL_SEQUENCE;
    UBP_TRY(ubp_item_list(&list, kind == UB_KIND_OPTIONAL ? UBP_ITEM_OPTIONAL : UBP_ITEM_SEQUENCE,
                          n, err));
    ub_status st = UB_OK;
    for (int i = 0; i < n && st == UB_OK; i++)
        st = ubp_item_view(&list->list[i], elements[i], NULL, err);
    if (in_optional && st == UB_OK)
        st = ubp_item_list(&optional, UBP_ITEM_OPTIONAL, elements ? 1 : 0, err);
    if (st != UB_OK || !in_optional) {
        *out = st == UB_OK ? list : NULL;
        if (st != UB_OK)
            ubp_item_free(list);
        return st;
    }
    if (elements)
        optional->list[0] = list;
    else
        ubp_item_free(list);
    *out = optional;
    return UB_OK;
}

ub_status ub_session_set_list(ub_session *s, const char *name, const ub_tensor *const *elements,
                              int n, ub_error *err)
{
    int32_t id = UBP_NO_VALUE;
    int axis = -1;
    size_t i;
    ubp_item *item;
    UBP_TRY(find_given(s->model, name, &id, &axis, err));
    const ubp_value *v = &s->model->graph->values[id];
    if (v->kind == UB_KIND_TENSOR)
        return ubp_fail(err, UB_ERR_SHAPE,
                        "'%s' is a tensor, not a list: give it with"
                        " ub_session_set",
                        v->name);
    if (n < 0 || (v->kind == UB_KIND_OPTIONAL && n > 1) || (n > 0 && !elements))
        return ubp_fail(err, UB_ERR_ARGUMENT, "'%s' cannot be given %d elements", v->name, n);
    UBP_TRY(make_given_list(&item, v->kind, elements, n, err));
    const ub_status st = place_given(s, id, &i, err);
    if (st != UB_OK) {
        ubp_item_free(item);
        return st;
    }
    s->given[i] = (ubp_given){.value = id, .batch_axis = -1, .item = item};
    return UB_OK;
}

void ub_session_profile(ub_session *s, bool on)
{
    s->profile = on;
}

int ub_session_step_count(const ub_session *s)
{
    return s->n_steps;
}

const ub_step *ub_session_step(const ub_session *s, int i)
{
    return i < 0 || i >= s->n_steps ? NULL : &s->steps[i];
}
