/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tensors that own their data: making, freeing, copying, casting. Elements move through
 * strided_move.c; between dtypes they go line by line through ubp_convert.
 */
#include "tensor/strided.h"

#include <string.h>

static ub_status make(ub_tensor **out, ub_dtype dtype, int rank, const int64_t *dims, bool zero,
                      ub_error *err)
{
    *out = NULL;
    ub_tensor fresh;
    UBP_TRY(ub_tensor_wrap(&fresh, NULL, dtype, rank, dims, err));
    UBP_TRY(ubp_buffer_new(&fresh.buffer, ubp_tensor_bytes(&fresh), zero, err));
    fresh.data = fresh.buffer->data;
    ub_status status = ubp_tensor_handle(out, &fresh, err);
    ubp_buffer_unref(fresh.buffer); /* the handle has its own reference */
    return status;
}

ub_status ub_tensor_new(ub_tensor **out, ub_dtype dtype, int rank, const int64_t *dims,
                        ub_error *err)
{
    return make(out, dtype, rank, dims, true, err);
}

ub_status ubp_tensor_make(ub_tensor **out, ub_dtype dtype, int rank, const int64_t *dims,
                          ub_error *err)
{
    return make(out, dtype, rank, dims, false, err);
}

void ub_tensor_free(ub_tensor *t)
{
    if (!t)
        return;
    ubp_buffer_unref(t->buffer);
    ubp_free(t);
}

ub_status ub_tensor_copy(ub_tensor **out, const ub_tensor *t, ub_error *err)
{
    *out = NULL;
    UBP_TRY(ubp_tensor_need_data(t, err));
    if (t->dtype == UB_STRING)
        return ubp_strings_copy(out, t, err);
    UBP_TRY(make(out, t->dtype, t->rank, t->dims, false, err));
    ubp_tensor_move(*out, t);
    return UB_OK;
}

/* ---- Between dtypes ---------------------------------------------------------------------------
 */

/* n elements along one dim; what is not contiguous goes through a block on either side. */
static void convert_line(char *dst, ub_dtype dst_type, int64_t dst_stride, const char *src,
                         ub_dtype src_type, int64_t src_stride, int64_t n)
{
    enum { BLOCK = 256, WIDEST = 8 };
    char gathered[BLOCK * WIDEST], converted[BLOCK * WIDEST];
    int64_t dst_item = (int64_t)ub_dtype_size(dst_type),
            src_item = (int64_t)ub_dtype_size(src_type);
    bool dst_dense = dst_stride == dst_item || n == 1, src_dense = src_stride == src_item || n == 1;
    if (dst_dense && src_dense) {
        ubp_convert(dst, dst_type, src, src_type, n);
        return;
    }
    for (int64_t at = 0; at < n; at += BLOCK) {
        int64_t part = n - at < BLOCK ? n - at : BLOCK;
        const char *from = src + at * src_stride;
        char *to = dst + at * dst_stride;
        if (!src_dense) {
            ubp_move_line(gathered, src_item, from, src_stride, part, src_item);
            from = gathered;
        }
        ubp_convert(dst_dense ? to : converted, dst_type, from, src_type, part);
        if (!dst_dense)
            ubp_move_line(to, dst_stride, converted, dst_item, part, dst_item);
    }
}

/* Dims are merged where both sides allow, then walked line by line. */
static void convert_strided(const ub_tensor *dst, const ub_tensor *src)
{
    int64_t dims[UB_MAX_RANK], to[UB_MAX_RANK], from[UB_MAX_RANK], index[UB_MAX_RANK] = {0};
    int rank = 0;
    for (int i = 0; i < src->rank; i++) {
        if (src->dims[i] == 0)
            return;
        if (src->dims[i] == 1)
            continue;
        int last = rank - 1;
        if (rank && to[last] == dst->strides[i] * src->dims[i] &&
            from[last] == src->strides[i] * src->dims[i]) {
            dims[last] *= src->dims[i];
        } else {
            last = rank++;
            dims[last] = src->dims[i];
        }
        to[last] = dst->strides[i];
        from[last] = src->strides[i];
    }
    if (rank == 0) {
        ubp_convert(dst->data, dst->dtype, src->data, src->dtype, 1);
        return;
    }
    char *d = dst->data;
    const char *s = src->data;
    int last = rank - 1, i = 0;
    while (i >= 0) {
        convert_line(d, dst->dtype, to[last], s, src->dtype, from[last], dims[last]);
        for (i = last - 1; i >= 0; i--) {
            d += to[i];
            s += from[i];
            if (++index[i] < dims[i])
                break;
            d -= to[i] * dims[i];
            s -= from[i] * dims[i];
            index[i] = 0;
        }
    }
}

static ub_status refuse_strings(ub_dtype a, ub_dtype b, ub_error *err)
{
    if (a != UB_STRING && b != UB_STRING)
        return UB_OK;
    return ubp_fail(err, UB_ERR_UNSUPPORTED, "%s is not converted to %s", ub_dtype_name(b),
                    ub_dtype_name(a));
}

ub_status ub_tensor_cast(ub_tensor **out, const ub_tensor *t, ub_dtype dtype, ub_error *err)
{
    if (t->dtype == dtype)
        return ub_tensor_copy(out, t, err);
    *out = NULL;
    UBP_TRY(ubp_tensor_need_data(t, err));
    UBP_TRY(refuse_strings(dtype, t->dtype, err));
    UBP_TRY(make(out, dtype, t->rank, t->dims, false, err));
    convert_strided(*out, t);
    return UB_OK;
}

ub_status ub_tensor_copy_into(const ub_tensor *dst, const ub_tensor *src, ub_error *err)
{
    UBP_TRY(ubp_tensor_need_data(dst, err));
    UBP_TRY(ubp_tensor_need_data(src, err));
    if (!ubp_same_dims(dst, src)) {
        char from[UBP_SHAPE_TEXT], to[UBP_SHAPE_TEXT];
        return ubp_fail(err, UB_ERR_SHAPE, "cannot copy shape %s into shape %s, expected the same",
                        ubp_shape_text(from, src->rank, src->dims),
                        ubp_shape_text(to, dst->rank, dst->dims));
    }
    if (dst->dtype == src->dtype && dst->dtype != UB_STRING) {
        ubp_tensor_move(dst, src);
        return UB_OK;
    }
    UBP_TRY(refuse_strings(dst->dtype, src->dtype, err)); /* dst has no room for their text */
    convert_strided(dst, src);
    return UB_OK;
}
