/* SPDX-License-Identifier: Apache-2.0 */
/*
 * .npy files and bytes as tensors, and back. A large file whose elements can be used as they lie is
 * mapped (private: writing to the tensor does not change the file); everything else is copied, with
 * the bytes of foreign order swapped. Fortran order becomes strides.
 */
#include "file/file.h"

#include <string.h>

/* Below this a copy costs less than a mapping that stays. */
enum { MAP_LEAST = 1 << 18 };

/* Checks that the elements are there: `size` is what the file has, header included. */
static ub_status check_size(const ubp_npy_header *h, const ub_tensor *t, size_t size, ub_error *err)
{
    const size_t need = ubp_tensor_bytes(t), have = size - h->size;
    if (need <= have)
        return UB_OK;
    char shape[UBP_SHAPE_TEXT];
    return ubp_fail_at(err, UB_ERR_FILE, (int64_t)size,
                       "truncated: %s of %s needs %zu bytes after the header, the file has %zu",
                       ubp_shape_text(shape, t->rank, t->dims), ub_dtype_name(t->dtype), need,
                       have);
}

static void swap_bytes(uint8_t *p, size_t n, size_t size)
{
    for (; n > 0; n--, p += size)
        for (size_t i = 0; i < size / 2; i++) {
            const uint8_t low = p[i];
            p[i] = p[size - 1 - i];
            p[size - 1 - i] = low;
        }
}

void ubp_npy_to_host(const ubp_npy_header *h, void *data, size_t bytes)
{
    uint8_t *p = data; /* [count * size of an element] */
    const size_t size = ub_dtype_size(h->dtype);
    if (h->swap)
        swap_bytes(p, bytes / size, size);
    /* A file may hold any byte here; our bools are 0 or 1. NumPy takes any byte but 0 as true. */
    if (h->dtype == UB_BOOL)
        for (size_t i = 0; i < bytes; i++)
            p[i] = p[i] != 0;
}

/* A tensor of its own from the bytes of a whole .npy file. */
static ub_status copy_elements(ub_tensor **out, ub_tensor *t, const ubp_npy_header *h,
                               const uint8_t *bytes, ub_error *err)
{
    const size_t need = ubp_tensor_bytes(t);
    UBP_TRY(ubp_buffer_new(&t->buffer, need, false, err));
    t->data = t->buffer->data;
    if (need > 0)
        memcpy(t->data, bytes + h->size, need);
    ubp_npy_to_host(h, t->data, need);
    const ub_status status = ubp_tensor_handle(out, t, err);
    ubp_buffer_unref(t->buffer);
    return status == UB_OK && h->text ? ubp_npy_strings(out, err) : status;
}

static ub_status parse(ub_tensor *t, ubp_npy_header *h, const void *bytes, size_t size,
                       ub_error *err)
{
    UBP_TRY(ubp_npy_header_parse(h, bytes, size, err));
    UBP_TRY(ubp_npy_header_tensor(t, h, err));
    return check_size(h, t, size, err);
}

ub_status ub_npy_parse(ub_tensor **out, const void *bytes, size_t size, ub_error *err)
{
    ubp_npy_header h;
    ub_tensor t;
    *out = NULL;
    UBP_TRY(parse(&t, &h, bytes, size, err));
    return copy_elements(out, &t, &h, bytes, err);
}

static ub_status load_mapped(ub_tensor **out, ub_buffer *file, ub_error *err)
{
    ubp_npy_header h;
    ub_tensor t;
    UBP_TRY(parse(&t, &h, file->data, file->size, err));
    uint8_t *elements = (uint8_t *)file->data + h.size;
    const bool usable = !h.swap && !h.text && h.dtype != UB_BOOL &&
                        (uintptr_t)elements % ub_dtype_size(h.dtype) == 0;
    if (!usable || file->size < MAP_LEAST)
        return copy_elements(out, &t, &h, file->data, err);
    t.data = elements;
    t.buffer = file;
    return ubp_tensor_handle(out, &t, err);
}

ub_status ub_npy_load(ub_tensor **out, const char *path, ub_error *err)
{
    ub_buffer *file = NULL;
    *out = NULL;
    UBP_TRY(ubp_map_file_private(&file, path, err));
    const ub_status status = load_mapped(out, file, err);
    if (status != UB_OK)
        ubp_error_prefix(err, "cannot read '%s'", path);
    ubp_buffer_unref(file);
    return status;
}

/* ---- Writing ----------------------------------------------------------------------------------
 */

ub_dtype ub_npy_dtype(ub_dtype dtype)
{
    switch (dtype) {
    case UB_I4:
    case UB_I2:
        return UB_I8;
    case UB_U4:
    case UB_U2:
        return UB_U8;
    default:
        return dtype == UB_BF16 || ubp_is_narrow_float(dtype) ? UB_F32 : dtype;
    }
}

ub_status ubp_npy_encode(ubp_npy_written *out, const ub_tensor *t, ub_error *err)
{
    ub_tensor as = *t;
    as.dtype = ub_npy_dtype(t->dtype);
    *out = (ubp_npy_written){.bytes = t->data, .size = ubp_tensor_bytes(&as)};
    ub_status status = UB_OK;
    if (t->dtype == UB_STRING) {
        UBP_TRY(ubp_npy_characters(&out->copy, t, err));
        out->bytes = out->copy->data;
        out->size = ubp_tensor_bytes(out->copy);
        as.dtype = UB_U32;
        status = ubp_npy_header_text(&out->header, &as, out->copy->dims[1], err);
        if (status != UB_OK)
            ubp_npy_written_release(out);
        return status;
    }
    status = ubp_npy_header_text(&out->header, &as, 0, err);
    if (status == UB_OK && as.dtype != t->dtype)
        status = ub_tensor_cast(&out->copy, t, as.dtype, err);
    else if (status == UB_OK && !ub_tensor_is_contiguous(t))
        status = ub_tensor_copy(&out->copy, t, err);
    if (status == UB_OK && out->copy)
        out->bytes = out->copy->data;
    if (status != UB_OK)
        ubp_npy_written_release(out);
    return status;
}

void ubp_npy_written_release(ubp_npy_written *w)
{
    ub_tensor_free(w->copy);
    ubp_text_free(&w->header);
    *w = (ubp_npy_written){0};
}

static ub_status write_file(const char *path, const ubp_npy_written *w, ub_error *err)
{
    ubp_output file;
    UBP_TRY(ubp_output_open(&file, path, err));
    ub_status status = ubp_output_write(&file, w->header.s, w->header.len, err);
    if (status == UB_OK)
        status = ubp_output_write(&file, w->bytes, w->size, err);
    if (status == UB_OK)
        return ubp_output_commit(&file, err);
    ubp_output_abort(&file);
    return status;
}

ub_status ub_npy_save(const char *path, const ub_tensor *t, ub_error *err)
{
    ubp_npy_written w;
    UBP_TRY(ubp_npy_encode(&w, t, err));
    const ub_status status = write_file(path, &w, err);
    ubp_npy_written_release(&w);
    return status;
}

ub_status ub_npy_format(char **out, size_t *size, const ub_tensor *t, ub_error *err)
{
    ubp_npy_written w;
    *out = NULL;
    *size = 0;
    UBP_TRY(ubp_npy_encode(&w, t, err));
    ub_status status = UB_OK;
    ubp_text_addn(&w.header, w.bytes, w.size);
    if (w.header.failed) {
        status = ubp_fail_memory(err, w.header.len + w.size);
    } else {
        *out = w.header.s;
        *size = w.header.len;
        w.header = (ubp_text){0};
    }
    ubp_npy_written_release(&w);
    return status;
}
