/* SPDX-License-Identifier: Apache-2.0 */
/*
 * .safetensors files: eight bytes of length, a JSON header, then the elements, row-major and little
 * endian. Tensors are views of the mapping; only what lies at odd addresses or holds bools is
 * copied. As the format asks, the elements of all tensors together must cover the rest of the file
 * without a gap and without overlapping. A tied tensor is stored once; "__metadata__" has its other
 * names. A model in several files has an index, model.safetensors.index.json.
 */
#include "file/file.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

enum { LENGTH_SIZE = 8, MAX_HEADER = 100 * 1000 * 1000 };

struct ub_safetensors {
    int n;
    char **names;        /* [n] owned */
    ub_tensor **tensors; /* [n] owned */
    size_t names_cap, tensors_cap;
    ubp_table ids; /* name -> number */
};

/* Where the elements of one tensor lie, for the check that all of them together cover the file. */
typedef struct range {
    uint64_t begin, end;
    const char *name; /* borrowed from the header */
} range;

/* One file being read. */
typedef struct reader {
    ub_safetensors *s;
    ub_buffer *file;
    json_t *header;
    const uint8_t *data; /* the elements */
    uint64_t size;       /* bytes of them */
    range *ranges;       /* [n_ranges] */
    size_t n_ranges;
    const json_t *places; /* tensor -> shard, or NULL: no index */
    const char *shard;    /* which of them this is */
    ub_error *err;
} reader;

static const struct {
    const char *name;
    ub_dtype dtype;
} dtypes[] = {
    {"F64", UB_F64},   {"F32", UB_F32},          {"F16", UB_F16},        {"BF16", UB_BF16},
    {"I64", UB_I64},   {"I32", UB_I32},          {"I16", UB_I16},        {"I8", UB_I8},
    {"U64", UB_U64},   {"U32", UB_U32},          {"U16", UB_U16},        {"U8", UB_U8},
    {"BOOL", UB_BOOL}, {"F8_E4M3", UB_F8E4M3FN}, {"F8_E5M2", UB_F8E5M2}, {"F8_E8M0", UB_F8E8M0},
};

/* ---- JSON --------------------------------------------------------------------------------------
 */

static ub_status parse_json(json_t **out, const void *bytes, size_t size, int64_t offset,
                            ub_error *err)
{
    json_error_t e;
    *out = json_loadb(bytes, size, JSON_REJECT_DUPLICATES, &e);
    if (*out && json_is_object(*out))
        return UB_OK;
    if (!*out && json_error_code(&e) == json_error_out_of_memory)
        return ubp_fail_memory(err, size);
    return ubp_fail_at(err, UB_ERR_FILE, offset + (*out ? 0 : e.position), "damaged header: %s",
                       *out ? "no JSON object" : e.text);
}

/* A whole number that is not negative. */
static bool read_count(const json_t *j, int64_t *out)
{
    *out = json_is_integer(j) ? json_integer_value(j) : -1;
    return *out >= 0;
}

/* ---- One tensor --------------------------------------------------------------------------------
 */

static ub_status find_dtype(ub_dtype *out, const json_t *j, ub_error *err)
{
    const char *name = json_string_value(j);
    for (int i = 0; name && i < UBP_COUNT(dtypes); i++)
        if (strcmp(name, dtypes[i].name) == 0) {
            *out = dtypes[i].dtype;
            return UB_OK;
        }
    if (!name)
        return ubp_fail(err, UB_ERR_FILE, "damaged header: there is no dtype");
    return ubp_fail(err, UB_ERR_UNSUPPORTED,
                    "dtype %.40s is not supported; F64, F32, F16, BF16, three F8,"
                    " the integers and BOOL are",
                    name);
}

static ub_status read_shape(ub_tensor *t, ub_dtype dtype, const json_t *shape, ub_error *err)
{
    int64_t dims[UB_MAX_RANK];
    const size_t rank = json_array_size(shape);
    if (!json_is_array(shape))
        return ubp_fail(err, UB_ERR_FILE, "damaged header: there is no shape");
    if (rank > UB_MAX_RANK)
        return ubp_fail(err, UB_ERR_UNSUPPORTED, "%zu dims, more than the %d supported", rank,
                        UB_MAX_RANK);
    for (size_t i = 0; i < rank; i++)
        if (!read_count(json_array_get(shape, i), &dims[i]))
            return ubp_fail(err, UB_ERR_FILE,
                            "damaged header: dim %zu of the shape is no whole"
                            " number",
                            i);
    return ubp_tensor_describe(t, dtype, (int)rank, dims, err);
}

static ub_status read_range(const reader *r, range *out, const json_t *offsets, size_t need)
{
    int64_t begin, end;
    if (json_array_size(offsets) != 2 || !read_count(json_array_get(offsets, 0), &begin) ||
        !read_count(json_array_get(offsets, 1), &end))
        return ubp_fail(r->err, UB_ERR_FILE,
                        "damaged header: data_offsets is no pair of whole"
                        " numbers");
    if (begin > end || (uint64_t)end > r->size)
        return ubp_fail(r->err, UB_ERR_FILE,
                        "its elements lie at %" PRId64 " to %" PRId64 ", the file has %" PRIu64
                        " bytes of them",
                        begin, end, r->size);
    if ((uint64_t)(end - begin) != need)
        return ubp_fail(r->err, UB_ERR_FILE, "its shape needs %zu bytes, it has %" PRId64, need,
                        end - begin);
    out->begin = (uint64_t)begin;
    out->end = (uint64_t)end;
    return UB_OK;
}

/* A view of the file where programs can read it as it lies, else a copy. */
static ub_status make_handle(ub_tensor **out, const ub_tensor *view, ub_error *err)
{
    if (view->dtype != UB_BOOL && ubp_tensor_is_aligned(view))
        return ubp_tensor_handle(out, view, err);
    UBP_TRY(ub_tensor_copy(out, view, err));
    uint8_t *bytes = (*out)->data;
    for (size_t i = 0, n = view->dtype == UB_BOOL ? ubp_tensor_bytes(view) : 0; i < n; i++)
        bytes[i] = bytes[i] != 0; /* a file may hold any byte here */
    return UB_OK;
}

/* Adds a tensor under its name; handle is taken over, also on failure. */
static ub_status add_tensor(ub_safetensors *s, const char *name, ub_tensor *handle, ub_error *err)
{
    const size_t count = (size_t)s->n;
    const size_t size = strlen(name) + 1;
    char *copy = NULL;
    ub_status status = ubp_grow((void **)&s->names, &s->names_cap, count, sizeof(*s->names), err);
    if (status == UB_OK)
        status = ubp_grow((void **)&s->tensors, &s->tensors_cap, count, sizeof(*s->tensors), err);
    if (status == UB_OK && !(copy = ubp_malloc(size)))
        status = ubp_fail_memory(err, size);
    if (status != UB_OK) {
        ub_tensor_free(handle);
        return status;
    }
    memcpy(copy, name, size);
    s->names[s->n] = copy;
    s->tensors[s->n] = handle;
    s->n++;
    if (ubp_table_find(&s->ids, copy) >= 0)
        return ubp_fail(err, UB_ERR_FILE, "two files of the index have it");
    return ubp_table_add(&s->ids, copy, s->n - 1, err);
}

/* Whether this file is the one that the index names for the tensor. */
static bool is_wanted(const reader *r, const char *name)
{
    const char *shard = r->places ? json_string_value(json_object_get(r->places, name)) : NULL;
    return !r->places || (shard && strcmp(shard, r->shard) == 0);
}

static ub_status read_tensor(reader *r, const char *name, const json_t *entry)
{
    ub_dtype dtype = UB_UNDEFINED;
    ub_tensor t, *handle = NULL;
    UBP_TRY(find_dtype(&dtype, json_object_get(entry, "dtype"), r->err));
    UBP_TRY(read_shape(&t, dtype, json_object_get(entry, "shape"), r->err));
    range *place = &r->ranges[r->n_ranges];
    UBP_TRY(read_range(r, place, json_object_get(entry, "data_offsets"), ubp_tensor_bytes(&t)));
    place->name = name;
    r->n_ranges++;
    if (!is_wanted(r, name))
        return UB_OK;
    t.data = (void *)(uintptr_t)(r->data + place->begin); /* the mapping is read-only */
    t.buffer = r->file;
    UBP_TRY(make_handle(&handle, &t, r->err));
    return add_tensor(r->s, name, handle, r->err);
}

/* ---- One file ----------------------------------------------------------------------------------
 */

static int compare_ranges(const void *a, const void *b)
{
    const range *x = a, *y = b;
    if (x->begin != y->begin)
        return x->begin < y->begin ? -1 : 1;
    return x->end < y->end ? -1 : x->end > y->end;
}

static ub_status check_cover(reader *r)
{
    uint64_t at = 0;
    if (r->n_ranges > 0)
        qsort(r->ranges, r->n_ranges, sizeof(range), compare_ranges);
    for (size_t i = 0; i < r->n_ranges; i++) {
        const range *p = &r->ranges[i];
        if (p->begin != at)
            return ubp_fail(r->err, UB_ERR_FILE,
                            "tensor '%.200s' begins at byte %" PRIu64 " of the elements, where the"
                            " one before ends at %" PRIu64,
                            p->name, p->begin, at);
        at = p->end;
    }
    if (at != r->size)
        return ubp_fail(r->err, UB_ERR_FILE,
                        "the tensors take %" PRIu64 " bytes, the file has %" PRIu64, at, r->size);
    return UB_OK;
}

/* Other names of tied tensors. What else the metadata holds ("format": "pt") is no tensor. */
static ub_status read_aliases(reader *r, const json_t *metadata)
{
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)metadata, name, value)
    {
        const char *target = json_string_value(value);
        const int32_t i = target ? ubp_table_find(&r->s->ids, target) : -1;
        ub_tensor *handle = NULL;
        if (i < 0 || ubp_table_find(&r->s->ids, name) >= 0 || json_object_get(r->header, name) ||
            json_object_get(r->places, name))
            continue;
        UBP_TRY(ubp_tensor_handle(&handle, r->s->tensors[i], r->err));
        UBP_TRY(add_tensor(r->s, name, handle, r->err));
    }
    return UB_OK;
}

static ub_status read_header(reader *r)
{
    const uint8_t *bytes = r->file->data;
    uint64_t length = 0;
    if (r->file->size < LENGTH_SIZE)
        return ubp_fail(r->err, UB_ERR_FILE, "not a safetensors file: it has %zu bytes",
                        r->file->size);
    for (int i = LENGTH_SIZE - 1; i >= 0; i--)
        length = length << 8 | bytes[i];
    if (length > MAX_HEADER || length > r->file->size - LENGTH_SIZE)
        return ubp_fail(r->err, UB_ERR_FILE,
                        "not a safetensors file, or truncated: a header of %" PRIu64
                        " bytes in a file of %zu",
                        length, r->file->size);
    r->data = bytes + LENGTH_SIZE + length;
    r->size = r->file->size - LENGTH_SIZE - length;
    UBP_TRY(parse_json(&r->header, bytes + LENGTH_SIZE, (size_t)length, LENGTH_SIZE, r->err));
    r->ranges = ubp_calloc(json_object_size(r->header) + 1, sizeof(range));
    return r->ranges ? UB_OK : ubp_fail_memory(r->err, json_object_size(r->header));
}

static ub_status read_file(reader *r)
{
    static const char metadata[] = "__metadata__";
    const char *name;
    json_t *entry;
    UBP_TRY(read_header(r));
    json_object_foreach(r->header, name, entry)
    {
        if (strcmp(name, metadata) == 0)
            continue;
        const ub_status status = read_tensor(r, name, entry);
        if (status != UB_OK) {
            ubp_error_prefix(r->err, "tensor '%.200s'", name);
            return status;
        }
    }
    UBP_TRY(check_cover(r));
    return read_aliases(r, json_object_get(r->header, metadata));
}

static ub_status read_buffer(ub_safetensors *s, ub_buffer *file, const json_t *places,
                             const char *shard, ub_error *err)
{
    reader r = {.s = s, .file = file, .places = places, .shard = shard, .err = err};
    const ub_status status = read_file(&r);
    json_decref(r.header);
    ubp_free(r.ranges);
    return status;
}

static ub_status read_path(ub_safetensors *s, const char *path, const json_t *places,
                           const char *shard, ub_error *err)
{
    ub_buffer *file = NULL;
    UBP_TRY(ubp_map_file(&file, path, err));
    const ub_status status = read_buffer(s, file, places, shard, err);
    if (status != UB_OK)
        ubp_error_prefix(err, "cannot read '%s'", path);
    ubp_buffer_unref(file);
    return status;
}

/* ---- An index ----------------------------------------------------------------------------------
 */

/* An index is not trusted to name files elsewhere. */
static bool is_plain_name(const char *name)
{
    return *name && *name != '.' && !strpbrk(name, "/\\:");
}

/* Reads one shard, in the folder of the index. */
static ub_status read_shard(ub_safetensors *s, const char *index, const json_t *places,
                            const char *shard, ub_error *err)
{
    const char *slash = strrchr(index, '/');
    ubp_text path = {0};
    ubp_text_addn(&path, index, slash ? (size_t)(slash - index) + 1 : 0);
    ubp_text_add(&path, shard);
    const ub_status status = path.failed ? ubp_fail_memory(err, strlen(index))
                                         : read_path(s, path.s, places, shard, err);
    ubp_text_free(&path);
    return status;
}

static ub_status read_shards(ub_safetensors *s, const char *index, const json_t *places,
                             ub_error *err)
{
    ubp_table seen = {0};
    ub_status status = UB_OK;
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)places, name, value)
    {
        const char *shard = json_string_value(value);
        if (!shard || !is_plain_name(shard))
            status = ubp_fail(err, UB_ERR_FILE,
                              "tensor '%.200s' lies in '%.200s'; the plain name of a file beside"
                              " the index was expected",
                              name, shard ? shard : "");
        else if (ubp_table_find(&seen, shard) < 0)
            status = ubp_table_add(&seen, shard, 0, err);
        else
            continue;
        if (status == UB_OK)
            status = read_shard(s, index, places, shard, err);
        if (status != UB_OK)
            break;
    }
    ubp_table_release(&seen);
    return status;
}

static ub_status check_index(const ub_safetensors *s, const json_t *places, ub_error *err)
{
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)places, name, value)
    {
        if (ubp_table_find(&s->ids, name) < 0)
            return ubp_fail(err, UB_ERR_FILE, "tensor '%.200s' is not in '%.200s'", name,
                            json_string_value(value));
    }
    return UB_OK;
}

static ub_status read_index(ub_safetensors *s, const char *path, ub_error *err)
{
    ub_buffer *file = NULL;
    json_t *index = NULL;
    UBP_TRY(ubp_map_file(&file, path, err));
    ub_status status = parse_json(&index, file->size ? file->data : "", file->size, 0, err);
    const json_t *places = json_object_get(index, "weight_map");
    if (status == UB_OK && !json_is_object(places))
        status = ubp_fail(err, UB_ERR_FILE, "not an index of safetensors files: no weight_map");
    if (status == UB_OK)
        status = read_shards(s, path, places, err);
    if (status == UB_OK)
        status = check_index(s, places, err);
    if (status != UB_OK && err && !strstr(err->message, "cannot read"))
        ubp_error_prefix(err, "cannot read '%s'", path);
    json_decref(index);
    ubp_buffer_unref(file);
    return status;
}

/* ---- Public ------------------------------------------------------------------------------------
 */

static ub_status finish(ub_safetensors **out, ub_safetensors *s, ub_status status)
{
    if (status != UB_OK)
        ub_safetensors_free(s);
    else
        *out = s;
    return status;
}

ub_status ub_safetensors_load(ub_safetensors **out, const char *path, ub_error *err)
{
    static const char suffix[] = ".json";
    const size_t n = strlen(path), m = sizeof(suffix) - 1;
    *out = NULL;
    ub_safetensors *s = ubp_calloc(1, sizeof(*s));
    if (!s)
        return ubp_fail_memory(err, sizeof(*s));
    if (n > m && strcmp(path + n - m, suffix) == 0)
        return finish(out, s, read_index(s, path, err));
    return finish(out, s, read_path(s, path, NULL, NULL, err));
}

ub_status ubp_safetensors_read(ub_safetensors **out, ub_buffer *file, ub_error *err)
{
    *out = NULL;
    ub_safetensors *s = ubp_calloc(1, sizeof(*s));
    if (!s)
        return ubp_fail_memory(err, sizeof(*s));
    return finish(out, s, read_buffer(s, file, NULL, NULL, err));
}

void ub_safetensors_free(ub_safetensors *s)
{
    if (!s)
        return;
    for (int i = 0; i < s->n; i++) {
        ubp_free(s->names[i]);
        ub_tensor_free(s->tensors[i]);
    }
    ubp_free(s->names);
    ubp_free(s->tensors);
    ubp_table_release(&s->ids);
    ubp_free(s);
}

int ub_safetensors_count(const ub_safetensors *s)
{
    return s->n;
}

const char *ub_safetensors_name(const ub_safetensors *s, int i)
{
    return i >= 0 && i < s->n ? s->names[i] : NULL;
}

const ub_tensor *ub_safetensors_tensor(const ub_safetensors *s, int i)
{
    return i >= 0 && i < s->n ? s->tensors[i] : NULL;
}
