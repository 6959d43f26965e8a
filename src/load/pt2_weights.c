/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Weights of a .pt2 file. A record holds the bytes of one storage; parameters, buffers and
 * constants are strided parts of records. They become values under their names in the module
 * ("layer1.0.conv1.weight"), which are views of the mapped file wherever they lie row-major there.
 */
#include "load/pt2.h"

#include <string.h>

/* One of the two folders: data/weights, data/constants. */
typedef struct folder {
    const char *path; /* of the records, with its slash */
    const json_t *config;
    json_t *whole; /* owned */
} folder;

static ub_status open_folder(ubp_pt2 *p, const char *kind, folder *f)
{
    enum { MOST_JSON = 1 << 28 };
    ubp_arena *arena = &p->g->arena;
    ub_buffer *bytes = NULL;
    json_error_t problem;
    f->path = ubp_arena_printf(arena, "%sdata/%s/", p->root, kind);
    const char *path =
        ubp_arena_printf(arena, "%sdata/%s/%s_%s_config.json", p->root, kind, p->model, kind);
    if (!f->path || !path)
        return ubp_fail_memory(p->err, 1);
    const int i = ubp_zip_find(p->zip, path);
    if (i < 0) { /* what older releases wrote instead */
        const char *pickle = ubp_arena_printf(arena, "%s%s.pt", f->path, p->model);
        if (pickle && ubp_zip_find(p->zip, pickle) >= 0)
            return ubp_fail(p->err, UB_ERR_UNSUPPORTED,
                            "the weights are a pickle (%s), as an older torch wrote them; load the"
                            " program with torch.export.load() and save it with torch 2.9 or newer",
                            pickle);
        return UB_OK;
    }
    UBP_TRY(ubp_zip_member(&bytes, p->zip, i, MOST_JSON, p->err));
    f->whole = json_loadb(bytes->data, bytes->size, 0, &problem);
    ubp_buffer_unref(bytes);
    f->config = json_object_get(f->whole, "config");
    if (!json_is_object(f->config))
        return ubp_fail(p->err, UB_ERR_FILE, "damaged .pt2 file: %s: %s", path,
                        f->whole ? "there is no \"config\" in it" : problem.text);
    return UB_OK;
}

/* ---- One record -------------------------------------------------------------------------------
 */

static ub_status fail_weight(const ubp_pt2 *p, const char *name, const char *what)
{
    return ubp_fail(p->err, UB_ERR_FILE, "damaged .pt2 file: weight '%s' %s", name, what);
}

/* The bytes of a record: a view of the file, or, where it was compressed, memory of the model. */
static ub_status record_bytes(ubp_pt2 *p, int member, const uint8_t **data, size_t *size)
{
    ub_buffer *inflated = NULL;
    if (ubp_zip_is_stored(p->zip, member))
        return ubp_zip_view(p->zip, member, data, size, p->err);
    ubp_loaded *l = p->loaded;
    UBP_TRY(ubp_grow((void **)&l->external, &l->cap_external, l->n_external, sizeof(ub_buffer *),
                     p->err));
    UBP_TRY(ubp_zip_member(&inflated, p->zip, member, SIZE_MAX, p->err));
    l->external[l->n_external++] = inflated;
    *data = inflated->data;
    *size = inflated->size;
    return UB_OK;
}

static ub_status find_record(ubp_pt2 *p, const folder *f, const char *name, const json_t *entry,
                             const uint8_t **data, size_t *size)
{
    const json_t *file = json_object_get(entry, "path_name");
    if (!json_is_string(file))
        return fail_weight(p, name, "has no path_name");
    const char *s = json_string_value(file);
    if (strchr(s, '/') || strchr(s, '\\') || strcmp(s, "..") == 0 || strcmp(s, ".") == 0)
        return fail_weight(p, name, "has a path_name that leads out of its folder");
    const char *path = ubp_arena_printf(&p->g->arena, "%s%s", f->path, s);
    if (!path)
        return ubp_fail_memory(p->err, strlen(s));
    const int member = ubp_zip_find(p->zip, path);
    if (member < 0)
        return fail_weight(p, name, "has a record that is not in the file");
    return record_bytes(p, member, data, size);
}

/* Whether all elements of the strided part lie inside of a record of that many elements. */
static bool fits(const ubp_pt2_meta *m, size_t elements)
{
    int64_t last = m->offset;
    for (int i = 0; i < m->rank; i++) {
        int64_t reach = 0;
        if (m->dims[i] == 0)
            return true;
        if (!ubp_mul_i64(m->dims[i] - 1, m->strides[i], &reach) || !ubp_add_i64(last, reach, &last))
            return false;
    }
    return last >= 0 && (uint64_t)last < elements;
}

/* What the record must not be read as. */
static ub_status check_meta(ubp_pt2 *p, const char *name, const json_t *meta, ubp_pt2_meta *m)
{
    bool bad = !ubp_pt2_read_meta(m, meta);
    for (int i = 0; i < m->rank && !bad; i++)
        bad = m->dims[i] < 0;
    if (bad)
        return fail_weight(p, name, "has sizes that cannot be read");
    if (m->offset < 0)
        return fail_weight(p, name, "has a negative storage offset");
    if (!m->has_strides)
        return fail_weight(p, name, "has negative or missing strides");
    const json_t *layout = json_object_get(meta, "layout");
    if (json_is_integer(layout) && json_integer_value(layout) != 7)
        return ubp_fail(p->err, UB_ERR_UNSUPPORTED,
                        "weight '%s' is not a plain strided tensor (layout %lld)", name,
                        (long long)json_integer_value(layout));
    return UB_OK;
}

/* Sets the value to a row-major constant: a view of the record where it lies so. */
static ub_status set_constant(ubp_pt2 *p, int32_t value, const ubp_pt2_meta *m, const uint8_t *data)
{
    ubp_graph *g = p->g;
    ub_tensor strided;
    ub_tensor *t = ubp_arena_alloc(&g->arena, sizeof(*t));
    if (!t)
        return ubp_fail_memory(p->err, sizeof(*t));
    UBP_TRY(ubp_tensor_describe(t, m->dtype, m->rank, m->dims, p->err));
    const size_t size = ub_dtype_size(m->dtype), bytes = ubp_tensor_bytes(t);
    strided = *t;
    for (int i = 0; i < m->rank; i++)
        strided.strides[i] = m->strides[i] * (int64_t)size;
    strided.data = (void *)(uintptr_t)data;
    if (bytes > 0) /* that it is inside of the record was checked */
        strided.data = (char *)strided.data + (size_t)m->offset * size;
    bool same = true;
    for (int i = 0; i < m->rank; i++)
        same &= t->dims[i] <= 1 || strided.strides[i] == t->strides[i];
    if (bytes == 0 || same) {
        t->data = strided.data;
    } else {
        t->data = ubp_arena_alloc(&g->arena, bytes);
        if (!t->data)
            return ubp_fail_memory(p->err, bytes);
        ubp_tensor_move(t, &strided);
    }
    ubp_value *v = &g->values[value];
    v->constant = t;
    v->dtype = t->dtype;
    v->rank = t->rank;
    memcpy(v->dims, t->dims, sizeof(v->dims));
    return UB_OK;
}

/* A value that only fails when it is needed. */
static ub_status set_unknown(ubp_pt2 *p, const char *name, const ubp_pt2_meta *m, int32_t *value)
{
    const char *what = ubp_arena_printf(&p->g->arena, "weight '%s' of dtype %s", name,
                                        ubp_pt2_dtype_name(m->code));
    if (!what)
        return ubp_fail_memory(p->err, strlen(name));
    p->emit.name = "";
    ubp_emit_unknown(&p->emit, what, "torch", 0, NULL, 1, value);
    *value = ubp_emit_named(&p->emit, *value, name);
    return p->emit.status;
}

static ub_status add_weight(ubp_pt2 *p, const folder *f, const char *name, int32_t *value,
                            const json_t **meta)
{
    ubp_pt2_meta m;
    const uint8_t *data = NULL;
    size_t size = 0;
    const json_t *entry = json_object_get(f->config, name);
    *meta = json_object_get(entry, "tensor_meta");
    if (!json_is_object(entry))
        return fail_weight(p, name, "is not in the file");
    if (json_is_true(json_object_get(entry, "use_pickle")))
        return ubp_fail(p->err, UB_ERR_UNSUPPORTED,
                        "weight '%s' is a pickle, which is never loaded; save the model with plain"
                        " tensors as weights",
                        name);
    UBP_TRY(check_meta(p, name, *meta, &m));
    *value = ubp_table_find(&p->g->value_names, name);
    if (*value >= 0)
        return UB_OK;
    if (m.dtype == UB_UNDEFINED)
        return set_unknown(p, name, &m, value);
    UBP_TRY(find_record(p, f, name, entry, &data, &size));
    if (!fits(&m, size / ub_dtype_size(m.dtype)))
        return fail_weight(p, name, "has sizes and strides that reach outside of its record");
    if (data && m.dtype == UB_BOOL)
        for (size_t i = 0; i < size; i++)
            if (data[i] > 1)
                return fail_weight(p, name, "has bools that are neither 0 nor 1");
    UBP_TRY(ubp_graph_value(p->g, name, value, p->err));
    return set_constant(p, *value, &m, data);
}

/* ---- The signature ----------------------------------------------------------------------------
 */

/* Adds the tensor of one input_spec; those that are no weights are left alone. */
static ub_status add_spec(ubp_pt2 *p, const folder *weights, const folder *constants,
                          const json_t *spec)
{
    static const struct {
        const char *kind, *name;
    } kinds[] = {{"parameter", "parameter_name"},
                 {"buffer", "buffer_name"},
                 {"tensor_constant", "tensor_constant_name"}};
    for (int k = 0; k < UBP_COUNT(kinds); k++) {
        const json_t *one = json_object_get(spec, kinds[k].kind);
        const json_t *name = json_object_get(one, kinds[k].name);
        const json_t *arg = json_object_get(json_object_get(one, "arg"), "name");
        if (!one)
            continue;
        if (!json_is_string(name) || !json_is_string(arg))
            return ubp_fail(p->err, UB_ERR_FILE,
                            "damaged .pt2 file: an entry of input_specs cannot be read");
        const char *s = json_string_value(name);
        const folder *f = json_object_get(weights->config, s) ? weights : constants;
        ubp_pt2_tensor t = {.base = -1, .fixed = true};
        int32_t entry = 0;
        UBP_TRY(add_weight(p, f, s, &t.value, &t.meta));
        const json_t *said =
            json_object_get(p->scopes[0].metas, json_string_value(arg)); /* lives on */
        t.meta = said;
        UBP_TRY(ubp_pt2_add_tensor(p, 0, json_string_value(arg), &t, &entry));
    }
    return UB_OK;
}

static ub_status add_specs(ubp_pt2 *p, const folder *weights, const folder *constants)
{
    const json_t *signature = json_object_get(p->module, "signature");
    size_t i = 0;
    json_t *spec = NULL;
    json_array_foreach(json_object_get(signature, "input_specs"), i, spec)
    {
        UBP_TRY(add_spec(p, weights, constants, spec));
    }
    return UB_OK;
}

ub_status ubp_pt2_weights(ubp_pt2 *p)
{
    folder weights = {0}, constants = {0};
    ub_status status = open_folder(p, "weights", &weights);
    if (status == UB_OK)
        status = open_folder(p, "constants", &constants);
    if (status == UB_OK)
        status = add_specs(p, &weights, &constants);
    json_decref(weights.whole);
    json_decref(constants.whole);
    return status;
}
