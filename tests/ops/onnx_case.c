/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads ONNX's conformance cases and compares as onnx.backend.test.runner does.
 */
#include "onnx_case.h"

#include "load/load.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

void onnx_path(char *path, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(path, ONNX_CASE_PATH, fmt, args);
    va_end(args);
    if (n < 0 || n >= ONNX_CASE_PATH)
        path[0] = '\0';
}

bool onnx_data_exists(const char *folder, int set)
{
    char path[ONNX_CASE_PATH];
    onnx_path(path, "%s/test_data_set_%d", folder, set);
    return access(path, R_OK) == 0;
}

static ub_status open_message(onnx_data *d, const char *path, ubp_proto *out, ub_error *err)
{
    ub_buffer *file;
    UBP_TRY(ubp_map_file(&file, path, err));
    d->files[d->n_files++] = file;
    const uint8_t *bytes = file->data;
    *out = (ubp_proto){bytes, bytes, bytes + file->size};
    return UB_OK;
}

/* SequenceProto and OptionalProto both have the name as field 1, tensors as field 3 and sequences
 * as field 5. */
static ub_status read_list(onnx_data *d, ubp_proto p, onnx_list *list, const char **name,
                           ub_error *err)
{
    for (;;) {
        ubp_proto_field f = {0};
        bool more = false;
        const char *ignored;
        UBP_TRY(ubp_proto_next(&p, &f, &more, err));
        if (!more)
            return UB_OK;
        if (f.number == 1 && name)
            *name = ubp_arena_strndup(&d->arena, (const char *)f.data, f.size);
        if (f.number == 5 && list->kind == UB_KIND_OPTIONAL_SEQUENCE) {
            list->filled = true;
            UBP_TRY(read_list(d, ubp_proto_sub(&p, &f), list, NULL, err));
        }
        if (f.number != 3)
            continue;
        list->filled = true;
        if (list->n == ONNX_CASE_PORTS)
            return ubp_fail(err, UB_ERR_UNSUPPORTED, "a list of more than %d", ONNX_CASE_PORTS);
        UBP_TRY(ubp_onnx_tensor(&list->items[list->n++], &ignored, ubp_proto_sub(&p, &f), &d->arena,
                                err));
    }
}

/* One side of a data set. */
typedef struct side {
    const char *prefix;
    ub_tensor *tensors;
    const onnx_list **lists;
    const char **names;
    const ub_port *(*port)(const ub_model *m, int i);
} side;

static ub_status read_port(onnx_data *d, const side *to, int i, const char *path, const ub_port *p,
                           ub_error *err)
{
    ubp_proto message;
    const char *name = NULL;
    UBP_TRY(open_message(d, path, &message, err));
    if (p && p->kind != UB_KIND_TENSOR) {
        onnx_list *list = ubp_arena_alloc(&d->arena, sizeof *list);
        if (!list)
            return ubp_fail_memory(err, sizeof *list);
        list->kind = p->kind;
        to->lists[i] = list;
        UBP_TRY(read_list(d, message, list, &name, err));
    } else {
        UBP_TRY(ubp_onnx_tensor(&to->tensors[i], &name, message, &d->arena, err));
    }
    if (to->names)
        to->names[i] = name ? name : "";
    return UB_OK;
}

/* input_0.pb, input_1.pb, ... as far as there are any. */
static ub_status read_ports(onnx_data *d, const char *folder, int set, const ub_model *m, int *n,
                            const side *to, ub_error *err)
{
    for (*n = 0; *n < ONNX_CASE_PORTS; ++*n) {
        char path[ONNX_CASE_PATH];
        onnx_path(path, "%s/test_data_set_%d/%s_%d.pb", folder, set, to->prefix, *n);
        if (access(path, R_OK) != 0)
            return UB_OK;
        ub_status st = read_port(d, to, *n, path, m ? to->port(m, *n) : NULL, err);
        if (st != UB_OK) {
            ubp_error_prefix(err, "%s_%d.pb", to->prefix, *n);
            return st;
        }
    }
    return ubp_fail(err, UB_ERR_UNSUPPORTED, "more than %d inputs or outputs", ONNX_CASE_PORTS);
}

ub_status onnx_data_read(onnx_data *d, const char *folder, int set, const ub_model *m,
                         ub_error *err)
{
    memset(d, 0, sizeof *d);
    const side in = {"input", d->in, d->in_list, d->in_name, ub_model_input};
    const side out = {"output", d->out, d->out_list, NULL, ub_model_output};
    UBP_TRY(read_ports(d, folder, set, m, &d->n_in, &in, err));
    return read_ports(d, folder, set, m, &d->n_out, &out, err);
}

void onnx_data_release(onnx_data *d)
{
    for (int i = 0; i < d->n_files; i++)
        ubp_buffer_unref(d->files[i]);
    ubp_arena_release(&d->arena);
    d->n_files = 0;
}

void onnx_case_limits(const char *folder, double *rtol, double *atol)
{
    char path[ONNX_CASE_PATH];
    onnx_path(path, "%s/case.json", folder);
    *rtol = 1e-3;
    *atol = 1e-7;
    json_t *limits = json_load_file(path, 0, NULL);
    json_t *r = json_object_get(limits, "rtol"), *a = json_object_get(limits, "atol");
    if (json_is_number(r))
        *rtol = json_number_value(r);
    if (json_is_number(a))
        *atol = json_number_value(a);
    json_decref(limits);
}

static bool close_enough(const void *got, const void *want, ub_dtype dtype, double rtol,
                         double atol)
{
    if (dtype == UB_STRING)
        return strcmp(ubp_string_at(got), ubp_string_at(want)) == 0;
    if (ubp_is_integer(dtype) && ubp_read_i64(got, dtype) == ubp_read_i64(want, dtype))
        return true;
    double g = ubp_read_f64(got, dtype), w = ubp_read_f64(want, dtype);
    if (isnan(g) || isnan(w))
        return isnan(g) && isnan(w);
    if (isinf(g) || isinf(w))
        return g == w;
    return fabs(g - w) <= atol + rtol * fabs(w);
}

/* Element number i in row-major order. */
static const void *element(const ub_tensor *t, int64_t i)
{
    const char *p = t->data;
    for (int axis = t->rank - 1; axis >= 0; axis--) {
        p += i % t->dims[axis] * t->strides[axis];
        i /= t->dims[axis];
    }
    return p;
}

bool onnx_same(const ub_tensor *got, const ub_tensor *want, double rtol, double atol, char *text,
               size_t size)
{
    char a[UBP_SHAPE_TEXT], b[UBP_SHAPE_TEXT];
    if (got->dtype != want->dtype) {
        snprintf(text, size, "dtype %s, expected %s", ub_dtype_name(got->dtype),
                 ub_dtype_name(want->dtype));
        return false;
    }
    if (!ubp_same_dims(got, want)) {
        snprintf(text, size, "shape %s, expected %s", ubp_shape_text(a, got->rank, got->dims),
                 ubp_shape_text(b, want->rank, want->dims));
        return false;
    }
    /* Seven bits of fraction: one unit in the last place is more than 1e-3. */
    if (got->dtype == UB_BF16)
        rtol = fmax(rtol, 0x1p-6);
    int64_t wrong = 0, first = -1, count = ub_tensor_count(want);
    for (int64_t i = 0; i < count; i++) {
        if (close_enough(element(got, i), element(want, i), want->dtype, rtol, atol))
            continue;
        wrong++;
        first = first < 0 ? i : first;
    }
    if (wrong == 0)
        return true;
    if (got->dtype == UB_STRING)
        snprintf(text, size, "%lld of %lld strings differ, the first at %lld: '%s', expected '%s'",
                 (long long)wrong, (long long)count, (long long)first,
                 ubp_string_at(element(got, first)), ubp_string_at(element(want, first)));
    else
        snprintf(text, size, "%lld of %lld elements differ, the first at %lld: %.9g, expected %.9g",
                 (long long)wrong, (long long)count, (long long)first,
                 ubp_read_f64(element(got, first), got->dtype),
                 ubp_read_f64(element(want, first), want->dtype));
    return false;
}
