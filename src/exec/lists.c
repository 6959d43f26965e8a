/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sequences and optionals. Lists share their elements: inserting one copies pointers, no tensor.
 * Each element knows its own samples; a list only whether its length, or which elements it has,
 * hangs on several samples.
 */
#include "exec/flow.h"

#include <string.h>

/* ---- Words ---------------------------------------------------------------------------------- */

static ub_status need_sequence(const ubp_flow *f, int in, const ubp_item **out)
{
    const ubp_item *item = f->in[in];
    *out = item;
    if (item && item->kind == UBP_ITEM_SEQUENCE)
        return UB_OK;
    return ubp_flow_fail(f, UB_ERR_SHAPE, "input %d is %s, expected a sequence", in,
                         item ? ubp_item_word(item) : "missing");
}

/* Input `in` as a place in a list of n, counted from the end when negative. */
static ub_status read_place(const ubp_flow *f, int in, int64_t n, int64_t *out)
{
    UBP_TRY(ubp_flow_scalar(f, f->in[in], "the position", out));
    if (*out >= -n && *out < n) {
        *out += *out < 0 ? n : 0;
        return UB_OK;
    }
    return ubp_flow_fail(f, UB_ERR_SHAPE, "position %lld is outside of a sequence of %lld",
                         (long long)*out, (long long)n);
}

/* A list of n places that hangs on samples as `like` does, and where a position does. */
static ub_status make_list(const ubp_flow *f, int64_t n, const ubp_item *like,
                           const ubp_item *place)
{
    UBP_TRY(ubp_item_list(&f->out[0], UBP_ITEM_SEQUENCE, n, f->err));
    if (like)
        f->out[0]->samples = like->samples;
    if (ubp_flow_by_sample(place))
        ubp_flow_couple(f, &f->out[0]->samples, "a position hangs on the samples");
    return UB_OK;
}

static bool has_input(const ubp_flow *f, int in)
{
    return in < f->node->n_in && f->in[in];
}

static ub_status make_number(const ubp_flow *f, ub_dtype dtype, int64_t v, const ubp_item *list)
{
    ub_tensor *t;
    UBP_TRY(ubp_tensor_make(&t, dtype, 0, NULL, f->err));
    ubp_write_i64(t->data, dtype, v);
    return ubp_item_take(&f->out[0], t, list ? &list->samples : NULL, f->err);
}

/* ---- Making and changing -------------------------------------------------------------------- */

ub_status ubp_list_construct(const ubp_flow *f)
{
    UBP_TRY(make_list(f, f->node->n_in, NULL, NULL));
    for (int i = 0; i < f->node->n_in; i++) {
        const ub_tensor *t = NULL, *first = NULL;
        UBP_TRY(ubp_flow_tensor(f, f->in[i], "an input", &t));
        UBP_TRY(ubp_flow_tensor(f, f->in[0], "an input", &first));
        if (t->dtype != first->dtype)
            return ubp_flow_fail(f, UB_ERR_SHAPE,
                                 "input %d is %s but input 0 is %s, expected the"
                                 " same",
                                 i, ub_dtype_name(t->dtype), ub_dtype_name(first->dtype));
        f->out[0]->list[i] = ubp_item_ref(f->in[i]);
    }
    return UB_OK;
}

ub_status ubp_list_empty(const ubp_flow *f)
{
    return make_list(f, 0, NULL, NULL);
}

ub_status ubp_list_insert(const ubp_flow *f)
{
    const ubp_item *list;
    const ub_tensor *t = NULL;
    UBP_TRY(need_sequence(f, 0, &list));
    UBP_TRY(ubp_flow_tensor(f, f->in[1], "input 1", &t));
    int64_t at = list->n;
    if (has_input(f, 2)) {
        UBP_TRY(ubp_flow_scalar(f, f->in[2], "the position", &at));
        if (at < -list->n || at > list->n)
            return ubp_flow_fail(f, UB_ERR_SHAPE, "position %lld is outside of a sequence of %lld",
                                 (long long)at, (long long)list->n);
        at += at < 0 ? list->n : 0;
    }
    if (list->n > 0 && list->list[0]->tensor->dtype != t->dtype)
        return ubp_flow_fail(f, UB_ERR_SHAPE, "inserts %s into a sequence of %s",
                             ub_dtype_name(t->dtype), ub_dtype_name(list->list[0]->tensor->dtype));
    UBP_TRY(make_list(f, list->n + 1, list, has_input(f, 2) ? f->in[2] : NULL));
    for (int64_t i = 0; i < list->n; i++)
        f->out[0]->list[i < at ? i : i + 1] = ubp_item_ref(list->list[i]);
    f->out[0]->list[at] = ubp_item_ref(f->in[1]);
    return UB_OK;
}

ub_status ubp_list_erase(const ubp_flow *f)
{
    const ubp_item *list;
    UBP_TRY(need_sequence(f, 0, &list));
    int64_t at = list->n - 1;
    if (has_input(f, 1))
        UBP_TRY(read_place(f, 1, list->n, &at));
    if (list->n == 0)
        return ubp_flow_fail(f, UB_ERR_SHAPE, "the sequence is empty: nothing can be erased");
    UBP_TRY(make_list(f, list->n - 1, list, has_input(f, 1) ? f->in[1] : NULL));
    for (int64_t i = 0, k = 0; i < list->n; i++)
        if (i != at)
            f->out[0]->list[k++] = ubp_item_ref(list->list[i]);
    return UB_OK;
}

/* ---- Reading -------------------------------------------------------------------------------- */

ub_status ubp_list_at(const ubp_flow *f)
{
    const ubp_item *list;
    int64_t at;
    UBP_TRY(need_sequence(f, 0, &list));
    UBP_TRY(read_place(f, 1, list->n, &at));
    f->out[0] = ubp_item_ref(list->list[at]);
    if (!list->samples.coupled && !ubp_flow_by_sample(f->in[1]))
        return UB_OK;
    ubp_samples map = f->out[0]->samples;
    ubp_flow_couple(f, &map, "which element is taken hangs on the samples");
    return ubp_flow_remap(f, &f->out[0], &map);
}

ub_status ubp_list_length(const ubp_flow *f)
{
    const ubp_item *list;
    UBP_TRY(need_sequence(f, 0, &list));
    return make_number(f, UB_I64, list->n, list);
}

/* ---- Splitting and joining ------------------------------------------------------------------ */

typedef struct splitting {
    const ubp_item *from;
    const ub_tensor *sizes; /* NULL: 1 each */
    int axis;
    bool keep;
} splitting;

/* Part i begins at `at`: how long it is. */
static ub_status part_size(const ubp_flow *f, const splitting *s, int64_t i, int64_t at,
                           int64_t *size)
{
    const int64_t whole = s->from->tensor->dims[s->axis];
    *size = 1;
    if (s->sizes) {
        const int64_t step = s->sizes->rank == 1 ? i * s->sizes->strides[0] : 0;
        if (s->sizes->rank == 1 && i >= s->sizes->dims[0])
            return ubp_flow_fail(f, UB_ERR_SHAPE, "the parts make %lld of %lld", (long long)at,
                                 (long long)whole);
        *size = ubp_read_i64((const char *)s->sizes->data + step, s->sizes->dtype);
    }
    if (s->sizes && s->sizes->rank == 0 && *size > whole - at)
        *size = whole - at;
    if (*size < 0 || *size > whole - at || (*size == 0 && (!s->sizes || s->sizes->rank == 0)))
        return ubp_flow_fail(f, UB_ERR_SHAPE, "a part of %lld does not fit into what is left, %lld",
                             (long long)*size, (long long)(whole - at));
    return UB_OK;
}

static ub_status add_part(const ubp_flow *f, const splitting *s, int64_t at, int64_t size,
                          ubp_item **out)
{
    ub_tensor view;
    ubp_samples map = s->from->samples;
    if (!s->keep)
        return ubp_flow_row(f, s->from, s->axis, at, out);
    UBP_TRY(ub_tensor_slice(&view, s->from->tensor, s->axis, at, at + size, 1, f->err));
    view.buffer = s->from->tensor->buffer;
    if (map.kind == UBP_SAMPLES_AXIS && map.axis == s->axis) {
        map.kind = UBP_SAMPLES_NONE;
        ubp_flow_couple(f, &map, "the samples are split apart");
    }
    return ubp_item_view(out, &view, &map, f->err);
}

static ub_status count_parts(const ubp_flow *f, const splitting *s, int64_t *n)
{
    const int64_t whole = s->from->tensor->dims[s->axis];
    int64_t size = 0;
    *n = 0;
    if (s->sizes && s->sizes->rank == 1) {
        *n = s->sizes->dims[0];
        int64_t at = 0;
        for (int64_t i = 0; i < *n; i++, at += size)
            UBP_TRY(part_size(f, s, i, at, &size));
        return at == whole ? UB_OK
                           : ubp_flow_fail(f, UB_ERR_SHAPE, "the parts make %lld of %lld",
                                           (long long)at, (long long)whole);
    }
    if (whole == 0)
        return UB_OK;
    UBP_TRY(part_size(f, s, 0, 0, &size));
    *n = (whole - 1) / size + 1;
    return UB_OK;
}

ub_status ubp_list_split(const ubp_flow *f)
{
    splitting s = {.from = f->in[0]};
    const ub_tensor *t = NULL;
    int64_t axis, keep, n, size = 0;
    UBP_TRY(ubp_flow_tensor(f, f->in[0], "input 0", &t));
    UBP_TRY(ubp_attr_int(f->node, "axis", 0, &axis, f->err));
    UBP_TRY(ubp_attr_int(f->node, "keepdims", 1, &keep, f->err));
    if (!ubp_normalize_axis(&axis, t->rank))
        return ubp_flow_fail(f, UB_ERR_SHAPE, "axis %lld is outside of %d dimensions",
                             (long long)axis, t->rank);
    if (has_input(f, 1)) {
        UBP_TRY(ubp_flow_tensor(f, f->in[1], "input 1", &s.sizes));
        if (s.sizes->rank > 1 || !ubp_is_integer(s.sizes->dtype))
            return ubp_flow_fail(f, UB_ERR_SHAPE,
                                 "input 1 is %s of %d dimensions, expected"
                                 " integers of 0 or 1",
                                 ub_dtype_name(s.sizes->dtype), s.sizes->rank);
    }
    s.axis = (int)axis;
    s.keep = keep != 0 || s.sizes;
    UBP_TRY(count_parts(f, &s, &n));
    UBP_TRY(make_list(f, n, NULL, has_input(f, 1) ? f->in[1] : NULL));
    const ubp_samples *map = &s.from->samples;
    if (map->coupled || (map->kind == UBP_SAMPLES_AXIS && map->axis == s.axis))
        ubp_flow_couple(f, &f->out[0]->samples, "the samples are split apart");
    for (int64_t i = 0, at = 0; i < n; i++, at += size) {
        UBP_TRY(part_size(f, &s, i, at, &size));
        UBP_TRY(add_part(f, &s, at, size, &f->out[0]->list[i]));
    }
    return UB_OK;
}

/* Element i as a part of the whole: with the new axis where there is one. */
static ub_status part_view(const ubp_flow *f, const ubp_item *list, int64_t i, int axis, bool fresh,
                           ub_tensor *view)
{
    *view = *list->list[i]->tensor;
    return fresh ? ub_tensor_expand_dims(view, list->list[i]->tensor, axis, f->err) : UB_OK;
}

/* The map that all elements have, moved by the new axis. */
static ubp_samples joined_map(const ubp_flow *f, const ubp_item *list, int axis, bool fresh)
{
    ubp_samples map = list->list[0]->samples;
    for (int64_t i = 1; i < list->n; i++) {
        const ubp_samples *s = &list->list[i]->samples;
        if (s->coupled)
            ubp_flow_couple(f, &map, s->why);
        if (s->kind != map.kind || s->axis != map.axis || s->outer != map.outer ||
            s->inner != map.inner || s->sized != map.sized)
            ubp_flow_couple(f, &map, "the parts have their samples in different places");
    }
    if (map.kind == UBP_SAMPLES_AXIS && fresh)
        map.axis += map.axis >= axis;
    if (map.kind == UBP_SAMPLES_AXIS && map.axis == axis && list->n > 1) {
        map.kind = UBP_SAMPLES_NONE;
        ubp_flow_couple(f, &map, "parts are joined along the batch axis");
    }
    if (list->samples.coupled)
        ubp_flow_couple(f, &map, list->samples.why);
    return map;
}

/* Dims of the whole. */
static ub_status joined_dims(const ubp_flow *f, const ubp_item *list, int axis, bool fresh,
                             ub_tensor *whole)
{
    int64_t total = 0;
    for (int64_t i = 0; i < list->n; i++) {
        ub_tensor part;
        UBP_TRY(part_view(f, list, i, axis, fresh, &part));
        bool fits = i == 0 || (part.rank == whole->rank && part.dtype == whole->dtype);
        for (int a = 0; a < part.rank && fits && i > 0; a++)
            fits = a == axis || part.dims[a] == whole->dims[a];
        if (!fits || !ubp_add_i64(total, part.dims[axis], &total))
            return ubp_flow_fail(f, UB_ERR_SHAPE, "element %lld does not fit to those before it",
                                 (long long)i);
        if (i == 0)
            *whole = part;
    }
    whole->dims[axis] = total;
    return UB_OK;
}

ub_status ubp_list_concat(const ubp_flow *f)
{
    const ubp_item *list;
    int64_t axis = 0, fresh, at = 0;
    ub_tensor whole = {0};
    UBP_TRY(need_sequence(f, 0, &list));
    UBP_TRY(ubp_attr_int(f->node, "axis", 0, &axis, f->err));
    UBP_TRY(ubp_attr_int(f->node, "new_axis", 0, &fresh, f->err));
    if (!ubp_node_attr(f->node, "axis"))
        return ubp_flow_fail(f, UB_ERR_FILE, "has no attribute 'axis'");
    if (list->n == 0)
        return ubp_flow_fail(f, UB_ERR_SHAPE, "the sequence is empty: nothing can be joined");
    const int rank = list->list[0]->tensor->rank + (fresh ? 1 : 0);
    if (!ubp_normalize_axis(&axis, rank))
        return ubp_flow_fail(f, UB_ERR_SHAPE, "axis %lld is outside of %d dimensions",
                             (long long)axis, rank);
    UBP_TRY(joined_dims(f, list, (int)axis, fresh != 0, &whole));
    UBP_TRY(ubp_runner_tensor(f->r, &f->out[0], whole.dtype, whole.rank, whole.dims, f->err));
    for (int64_t i = 0; i < list->n; i++) {
        ub_tensor part, to;
        UBP_TRY(part_view(f, list, i, (int)axis, fresh != 0, &part));
        UBP_TRY(ub_tensor_slice(&to, f->out[0]->tensor, (int)axis, at, at + part.dims[axis], 1,
                                f->err));
        ubp_tensor_move(&to, &part);
        at += part.dims[axis];
    }
    f->out[0]->samples = joined_map(f, list, (int)axis, fresh != 0);
    return UB_OK;
}

/* ---- Optionals ------------------------------------------------------------------------------ */

ub_status ubp_list_optional(const ubp_flow *f)
{
    const bool full = has_input(f, 0);
    UBP_TRY(ubp_item_list(&f->out[0], UBP_ITEM_OPTIONAL, full ? 1 : 0, f->err));
    if (full && f->in[0]->kind == UBP_ITEM_OPTIONAL)
        return ubp_flow_fail(f, UB_ERR_SHAPE, "an optional of an optional");
    if (full)
        f->out[0]->list[0] = ubp_item_ref(f->in[0]);
    return UB_OK;
}

ub_status ubp_list_has_element(const ubp_flow *f)
{
    const ubp_item *in = has_input(f, 0) ? f->in[0] : NULL;
    return make_number(f, UB_BOOL, in && (in->kind != UBP_ITEM_OPTIONAL || in->n > 0),
                       in && in->kind == UBP_ITEM_OPTIONAL ? in : NULL);
}

ub_status ubp_list_get_element(const ubp_flow *f)
{
    ubp_item *in = f->in[0];
    if (!in || (in->kind == UBP_ITEM_OPTIONAL && in->n == 0))
        return ubp_flow_fail(f, UB_ERR_SHAPE, "the optional is empty: there is no element");
    f->out[0] = ubp_item_ref(in->kind == UBP_ITEM_OPTIONAL ? in->list[0] : in);
    return UB_OK;
}
