/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Arguments of a call, by the names of its operator's schema. The file leaves out those that have
 * their default. Each one that was looked at is noted: what no operator looked at is refused, so
 * that nothing the file says is passed over in silence.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "load/pt2.h"

/* ---- Finding one ------------------------------------------------------------------------------
 */

/* {"as_int": 3}: the kind and what it holds. */
static const json_t *unwrap(const json_t *arg, const char **kind)
{
    void *at = json_object_iter((json_t *)(uintptr_t)arg); /* only read */
    *kind = at ? json_object_iter_key(at) : "";
    return at ? json_object_iter_value(at) : NULL;
}

static const json_t *find(ubp_at *a, const char *name, const char **kind)
{
    size_t i = 0;
    json_t *input = NULL;
    json_array_foreach(a->inputs, i, input)
    {
        const json_t *have = json_object_get(input, "name");
        if (!json_is_string(have) || strcmp(json_string_value(have), name) != 0)
            continue;
        if (i < 64)
            a->taken |= UINT64_C(1) << i;
        const json_t *value = unwrap(json_object_get(input, "arg"), kind);
        return strcmp(*kind, "as_none") == 0 ? NULL : value;
    }
    *kind = "";
    return NULL;
}

void *ubp_at_array(ubp_at *a, size_t count, size_t size)
{
    void *p = ubp_arena_array(&a->p->g->arena, count, size);
    if (!p && a->e->status == UB_OK)
        a->e->status = ubp_fail_memory(a->p->err, count);
    return p;
}

void ubp_at_refuse(ubp_at *a, const char *fmt, ...)
{
    char text[256];
    va_list args;
    if (a->refused)
        return;
    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    char *copy = ubp_at_array(a, strlen(text) + 1, 1);
    a->refused = copy ? strcpy(copy, text) : "";
}

/* The argument is of a kind that its word does not take. */
static void refuse_kind(ubp_at *a, const char *name, const char *kind)
{
    if (*kind)
        ubp_at_refuse(a, "argument '%s' is %s", name, kind);
    else
        ubp_at_refuse(a, "argument '%s' is missing", name);
}

static bool is(const char *kind, const char *what)
{
    return strcmp(kind, what) == 0;
}

bool ubp_at_given(ubp_at *a, const char *name)
{
    const char *kind;
    const uint64_t taken = a->taken;
    const json_t *v = find(a, name, &kind);
    if (v)
        a->taken = taken; /* it is yet to be looked at */
    if (is(kind, "as_optional_tensor"))
        return json_object_get(v, "as_tensor") != NULL;
    return v != NULL;
}

void ubp_at_ignore(ubp_at *a, const char *name)
{
    const char *kind;
    find(a, name, &kind);
}

/* ---- Tensors ----------------------------------------------------------------------------------
 */

/* The entry of {"name": ...}, or NULL when it is no tensor. */
static const ubp_pt2_entry *tensor_entry(ubp_at *a, const json_t *named)
{
    const json_t *name = json_object_get(named, "name");
    const int32_t i =
        json_is_string(name) ? ubp_pt2_find(a->p, a->scope, json_string_value(name)) : -1;
    if (i < 0 || a->p->entries[i].kind != UBP_PT2_TENSOR)
        return NULL;
    return &a->p->entries[i];
}

static int32_t read_tensor(ubp_at *a, const json_t *named)
{
    int32_t value = UBP_NO_VALUE;
    ubp_pt2 *p = a->p;
    const ubp_pt2_entry *entry = tensor_entry(a, named);
    if (!entry) {
        const json_t *name = json_object_get(named, "name");
        ubp_at_refuse(a, "it reads '%.100s', which nothing gives",
                      json_is_string(name) ? json_string_value(name) : "");
        return UBP_NO_VALUE;
    }
    const int32_t number = (int32_t)(entry - p->entries);
    if (a->e->status == UB_OK)
        a->e->status = ubp_pt2_read(p, entry->tensor, &value);
    if (a->e->status == UB_OK && p->recording) {
        a->e->status =
            ubp_grow((void **)&p->uses, &p->cap_uses, p->n_uses, sizeof(*p->uses), p->err);
        if (a->e->status == UB_OK)
            p->uses[p->n_uses++] = (ubp_pt2_use){number, value};
    }
    return a->e->status == UB_OK ? value : UBP_NO_VALUE;
}

/* Where {"name": ...} of the argument is; NULL: not given. */
static const json_t *find_tensor(ubp_at *a, const char *name)
{
    const char *kind;
    const json_t *v = find(a, name, &kind);
    if (is(kind, "as_optional_tensor"))
        return json_object_get(v, "as_tensor");
    if (v && !is(kind, "as_tensor")) {
        refuse_kind(a, name, kind);
        return NULL;
    }
    return v;
}

int32_t ubp_at_optional(ubp_at *a, const char *name)
{
    const json_t *v = find_tensor(a, name);
    return v ? read_tensor(a, v) : UBP_NO_VALUE;
}

int32_t ubp_at_tensor(ubp_at *a, const char *name)
{
    const json_t *v = find_tensor(a, name);
    if (!v)
        ubp_at_refuse(a, "argument '%s' is missing", name);
    return v ? read_tensor(a, v) : UBP_NO_VALUE;
}

bool ubp_at_is_tensor(ubp_at *a, const char *name)
{
    const char *kind;
    find(a, name, &kind);
    return is(kind, "as_tensor");
}

/* What is said of a tensor that was read before. */
static bool entry_meta(ubp_at *a, const json_t *named, ubp_pt2_meta *m)
{
    const ubp_pt2_entry *entry = tensor_entry(a, named);
    *m = (ubp_pt2_meta){.rank = 0};
    return entry && ubp_pt2_read_meta(m, a->p->tensors[entry->tensor].meta);
}

bool ubp_at_meta(ubp_at *a, const char *name, ubp_pt2_meta *m)
{
    const char *kind;
    const json_t *v = find(a, name, &kind);
    if (is(kind, "as_optional_tensor"))
        v = json_object_get(v, "as_tensor");
    if (v && entry_meta(a, v, m))
        return true;
    *m = (ubp_pt2_meta){.rank = 0};
    ubp_at_refuse(a, "the shape of argument '%s' is not in the file", name);
    return false;
}

bool ubp_at_out_meta(ubp_at *a, int k, ubp_pt2_meta *m)
{
    const ubp_pt2_scope *s = &a->p->scopes[a->scope];
    *m = (ubp_pt2_meta){.rank = 0};
    if (k < a->n_out && a->names[k] && ubp_pt2_read_meta(m, json_object_get(s->metas, a->names[k])))
        return true;
    ubp_at_refuse(a, "the shape of output %d is not in the file", k);
    return false;
}

int ubp_at_tensors(ubp_at *a, const char *name, int32_t **out, ubp_pt2_meta **metas)
{
    const char *kind;
    ubp_arena *arena = &a->p->g->arena;
    const json_t *list = find(a, name, &kind);
    const size_t n = json_array_size(list);
    *out = ubp_arena_array(arena, n, sizeof(**out));
    if (metas)
        *metas = ubp_arena_array(arena, n, sizeof(**metas));
    if (!*out || (metas && !*metas)) {
        if (a->e->status == UB_OK)
            a->e->status = ubp_fail_memory(a->p->err, n * sizeof(**metas));
        return 0;
    }
    if (!list || (!is(kind, "as_tensors") && !is(kind, "as_optional_tensors")) || n > INT32_MAX) {
        refuse_kind(a, name, kind);
        return 0;
    }
    for (size_t i = 0; i < n; i++) {
        const json_t *one = json_array_get(list, i);
        if (is(kind, "as_optional_tensors"))
            one = json_object_get(one, "as_tensor");
        (*out)[i] = one ? read_tensor(a, one) : UBP_NO_VALUE;
        if (metas && one && !entry_meta(a, one, &(*metas)[i]))
            ubp_at_refuse(a, "the shape of a tensor of '%s' is not in the file", name);
    }
    return (int)n;
}

/* ---- Numbers ----------------------------------------------------------------------------------
 */

/* A float may be a string: "Infinity", "-Infinity", "NaN". */
static bool to_number(const json_t *v, double *out)
{
    if (json_is_string(v)) {
        char *end = NULL;
        *out = strtod(json_string_value(v), &end);
        return *json_string_value(v) && !*end;
    }
    *out = json_is_boolean(v) ? (double)json_is_true(v) : json_number_value(v);
    return json_is_number(v) || json_is_boolean(v);
}

double ubp_at_float(ubp_at *a, const char *name, double def)
{
    const char *kind;
    double out = def;
    const json_t *v = find(a, name, &kind);
    if (v && !((is(kind, "as_float") || is(kind, "as_int") || is(kind, "as_bool")) &&
               to_number(v, &out)))
        refuse_kind(a, name, kind);
    return out;
}

bool ubp_at_bool(ubp_at *a, const char *name, bool def)
{
    const char *kind;
    const json_t *v = find(a, name, &kind);
    if (!v)
        return def;
    if (is(kind, "as_int") && json_is_integer(v))
        return json_integer_value(v) != 0;
    if (!is(kind, "as_bool") || !json_is_boolean(v))
        refuse_kind(a, name, kind);
    return json_is_true(v);
}

const char *ubp_at_string(ubp_at *a, const char *name, const char *def)
{
    const char *kind;
    const json_t *v = find(a, name, &kind);
    if (!v)
        return def;
    if (!is(kind, "as_string") || !json_is_string(v)) {
        refuse_kind(a, name, kind);
        return def ? def : "";
    }
    return json_string_value(v);
}

bool ubp_at_is_bool(ubp_at *a, const char *name)
{
    const char *kind;
    find(a, name, &kind);
    return is(kind, "as_bool");
}

bool ubp_at_is_int(ubp_at *a, const char *name)
{
    const char *kind;
    find(a, name, &kind);
    return is(kind, "as_int") || is(kind, "as_sym_int") || is(kind, "as_bool");
}

/* One of {"as_int": 3}, {"as_name": "sym_size_int"}, or what these wrap. */
static ubp_pt2_size to_size(ubp_at *a, const char *name, const json_t *v)
{
    ubp_pt2_size out = {0, UBP_NO_VALUE};
    if (json_is_object(v)) {
        const json_t *symbol = json_object_get(v, "as_name");
        const int32_t i =
            json_is_string(symbol) ? ubp_pt2_find(a->p, a->scope, json_string_value(symbol)) : -1;
        if (symbol && i >= 0 && a->p->entries[i].kind == UBP_PT2_INT) {
            const ubp_pt2_entry *e = &a->p->entries[i];
            return (ubp_pt2_size){e->known, e->value};
        }
        if (symbol) {
            ubp_at_refuse(a, "argument '%s' is a number ('%.60s') that hangs on data", name,
                          json_is_string(symbol) ? json_string_value(symbol) : "");
            return out;
        }
        v = json_object_get(v, "as_int");
    }
    if (json_is_integer(v))
        out.known = json_integer_value(v);
    else
        ubp_at_refuse(a, "argument '%s' is no integer", name);
    return out;
}

ubp_pt2_size ubp_at_size(ubp_at *a, const char *name, int64_t def)
{
    const char *kind;
    const json_t *v = find(a, name, &kind);
    if (!v)
        return (ubp_pt2_size){def, UBP_NO_VALUE};
    if (is(kind, "as_int") || is(kind, "as_sym_int"))
        return to_size(a, name, v);
    if (is(kind, "as_bool"))
        return (ubp_pt2_size){json_is_true(v), UBP_NO_VALUE};
    refuse_kind(a, name, kind);
    return (ubp_pt2_size){def, UBP_NO_VALUE};
}

ubp_pt2_size ubp_at_operand_size(ubp_at *a, size_t i)
{
    const char *kind;
    const json_t *v = unwrap(json_object_get(json_array_get(a->inputs, i), "arg"), &kind);
    if (i < 64)
        a->taken |= UINT64_C(1) << i;
    if (is(kind, "as_int") || is(kind, "as_sym_int"))
        return to_size(a, "of a number", v);
    ubp_at_refuse(a, "operand %zu is no integer", i);
    return (ubp_pt2_size){0, UBP_NO_VALUE};
}

int64_t ubp_at_int(ubp_at *a, const char *name, int64_t def)
{
    const ubp_pt2_size s = ubp_at_size(a, name, def);
    if (s.value != UBP_NO_VALUE)
        ubp_at_refuse(a, "argument '%s' is not a fixed number", name);
    return s.known;
}

int ubp_at_sizes(ubp_at *a, const char *name, ubp_pt2_size *out, int max)
{
    const char *kind;
    const json_t *v = find(a, name, &kind);
    if (!v)
        return -1;
    if (is(kind, "as_int") || is(kind, "as_sym_int")) {
        out[0] = to_size(a, name, v);
        return 1;
    }
    const size_t n = json_array_size(v);
    if (!(is(kind, "as_ints") || is(kind, "as_sym_ints")) || n > (size_t)max) {
        refuse_kind(a, name, n > (size_t)max ? "too long" : kind);
        return 0;
    }
    for (size_t i = 0; i < n; i++)
        out[i] = to_size(a, name, json_array_get(v, i));
    return (int)n;
}

int ubp_at_ints(ubp_at *a, const char *name, int64_t *out, int max)
{
    ubp_pt2_size sizes[UBP_PT2_MAX_LIST];
    const int n = ubp_at_sizes(a, name, sizes, max < UBP_PT2_MAX_LIST ? max : UBP_PT2_MAX_LIST);
    for (int i = 0; i < n; i++) {
        out[i] = sizes[i].known;
        if (sizes[i].value != UBP_NO_VALUE)
            ubp_at_refuse(a, "argument '%s' is not a list of fixed numbers", name);
    }
    return n;
}

int ubp_at_floats(ubp_at *a, const char *name, double *out, int max)
{
    const char *kind;
    const json_t *v = find(a, name, &kind);
    if (!v)
        return -1;
    const size_t n = json_array_size(v);
    if (!(is(kind, "as_floats") || is(kind, "as_ints")) || n > (size_t)max) {
        refuse_kind(a, name, kind);
        return 0;
    }
    for (size_t i = 0; i < n; i++)
        if (!to_number(json_array_get(v, i), &out[i]))
            refuse_kind(a, name, kind);
    return (int)n;
}

ub_dtype ubp_at_dtype(ubp_at *a, const char *name, ub_dtype def)
{
    const char *kind;
    const json_t *v = find(a, name, &kind);
    if (!v)
        return def;
    const int64_t code = json_is_integer(v) ? json_integer_value(v) : -1;
    const ub_dtype dtype = ubp_pt2_dtype(code);
    if (!is(kind, "as_scalar_type") || dtype == UB_UNDEFINED)
        ubp_at_refuse(a, "dtype %s", ubp_pt2_dtype_name(code));
    return dtype;
}

/* ---- Words on top of these --------------------------------------------------------------------
 */

int ubp_at_axis(ubp_at *a, const char *name, int64_t def, int rank)
{
    int64_t axis = ubp_at_int(a, name, def);
    if (rank == 0 && (axis == 0 || axis == -1))
        return 0;
    if (!ubp_normalize_axis(&axis, rank)) {
        ubp_at_refuse(a, "axis %lld of a tensor of %d axes", (long long)axis, rank);
        return 0;
    }
    return (int)axis;
}

int32_t ubp_at_shape(ubp_at *a, const ubp_pt2_size *sizes, int n)
{
    int64_t known[UBP_PT2_MAX_LIST];
    int32_t parts[UBP_PT2_MAX_LIST];
    int n_known = 0, n_parts = 0;
    /* Runs of known sizes are one constant each. */
    for (int i = 0; i < n; i++) {
        if (sizes[i].value == UBP_NO_VALUE)
            known[n_known++] = sizes[i].known;
        if (n_known > 0 && (sizes[i].value != UBP_NO_VALUE || i == n - 1)) {
            parts[n_parts++] = ubp_emit_ints(a->e, known, n_known);
            n_known = 0;
        }
        if (sizes[i].value != UBP_NO_VALUE)
            parts[n_parts++] = sizes[i].value;
    }
    if (n_parts == 0)
        return ubp_emit_ints(a->e, known, 0);
    return n_parts == 1 ? parts[0] : ubp_emit_concat(a->e, parts, n_parts, 0);
}

void ubp_at_give(ubp_at *a, int k, int32_t value)
{
    if (k < a->n_out)
        a->out[k] = value;
}

void ubp_at_view(ubp_at *a, int k, ubp_pt2_view view)
{
    if (k < a->n_out)
        a->views[k] = view;
}
