/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reshape: the same elements in row-major order under other dims. A view where strides can say it,
 * else a row-major copy, as NumPy's reshape with order='C'.
 */
#include "tensor/tensor.h"

#include <inttypes.h>
#include <string.h>

/*
 * Splits old and new dims into the smallest groups of equal products and lays each new group over
 * its old one. That works when the old dims of a group lie in one run: strides[i] ==
 * dims[i+1]*strides[i+1]. Dims of 1 take no part.
 */
static bool share_strides(int64_t *strides, const ub_tensor *t, int rank, const int64_t *dims)
{
    int64_t old_dims[UB_MAX_RANK], old_strides[UB_MAX_RANK];
    int old_rank = 0;
    for (int i = 0; i < t->rank; i++)
        if (t->dims[i] != 1) {
            old_dims[old_rank] = t->dims[i];
            old_strides[old_rank++] = t->strides[i];
        }
    int old_at = 0, new_at = 0;
    while (old_at < old_rank && new_at < rank) {
        int old_end = old_at + 1, new_end = new_at + 1;
        int64_t old_count = old_dims[old_at], new_count = dims[new_at];
        while (old_count != new_count) {
            if (new_count < old_count)
                new_count *= dims[new_end++];
            else
                old_count *= old_dims[old_end++];
        }
        for (int i = old_at; i + 1 < old_end; i++)
            if (old_strides[i] != old_dims[i + 1] * old_strides[i + 1])
                return false;
        strides[new_end - 1] = old_strides[old_end - 1];
        for (int i = new_end - 1; i > new_at; i--)
            strides[i - 1] = strides[i] * dims[i];
        old_at = old_end;
        new_at = new_end;
    }
    /* What is left are ones. */
    for (; new_at < rank; new_at++)
        strides[new_at] = new_at ? strides[new_at - 1] : (int64_t)ub_dtype_size(t->dtype);
    return true;
}

bool ubp_reshape_view(ub_tensor *view, const ub_tensor *t, int rank, const int64_t *dims)
{
    ub_tensor shaped = {.dtype = t->dtype, .rank = rank};
    int64_t count = 1;
    for (int i = 0; i < rank; i++) {
        shaped.dims[i] = dims[i];
        if (!ubp_mul_i64(count, dims[i], &count))
            return false;
    }
    if (count != ub_tensor_count(t))
        return false;
    if (count == 0)
        ubp_tensor_set_strides(&shaped);
    else if (!share_strides(shaped.strides, t, rank, dims))
        return false;
    view->rank = rank;
    memcpy(view->dims, shaped.dims, (size_t)rank * sizeof(*dims));
    memcpy(view->strides, shaped.strides, (size_t)rank * sizeof(*dims));
    return true;
}

static ub_status fail_reshape(const ub_tensor *t, int rank, const int64_t *dims, ub_error *err)
{
    char from[UBP_SHAPE_TEXT], to[UBP_SHAPE_TEXT];
    return ubp_fail(
        err, UB_ERR_SHAPE, "shape %s with %" PRId64 " elements cannot be reshaped to %s",
        ubp_shape_text(from, t->rank, t->dims), ub_tensor_count(t), ubp_shape_text(to, rank, dims));
}

/* Copies dims to full with -1 worked out. */
static ub_status complete_dims(int64_t *full, const ub_tensor *t, int rank, const int64_t *dims,
                               ub_error *err)
{
    if (rank < 0 || rank > UB_MAX_RANK)
        return ubp_fail(err, UB_ERR_SHAPE, "%d dimensions found, 0 to %d expected", rank,
                        (int)UB_MAX_RANK);
    int unknown = -1;
    for (int i = 0; i < rank; i++) {
        full[i] = dims[i];
        if (dims[i] == -1 && unknown >= 0)
            return ubp_fail(err, UB_ERR_SHAPE, "dimensions %d and %d are both -1, expected one",
                            unknown, i);
        if (dims[i] == -1)
            unknown = i;
    }
    int64_t count = ub_tensor_count(t);
    if (unknown >= 0)
        full[unknown] = 1;
    ub_tensor wanted;
    UBP_TRY(ubp_tensor_describe(&wanted, t->dtype, rank, full, err));
    int64_t known = ub_tensor_count(&wanted);
    if (unknown >= 0 && known > 0)
        full[unknown] = count / known;
    if (unknown >= 0 ? known == 0 || count % known != 0 : known != count)
        return fail_reshape(t, rank, dims, err);
    return UB_OK;
}

ub_status ub_tensor_reshape(ub_tensor **out, const ub_tensor *t, int rank, const int64_t *dims,
                            ub_error *err)
{
    *out = NULL;
    int64_t full[UB_MAX_RANK];
    UBP_TRY(complete_dims(full, t, rank, dims, err));
    ub_tensor view = *t;
    if (ubp_reshape_view(&view, t, rank, full))
        return ubp_tensor_handle(out, &view, err);
    UBP_TRY(ub_tensor_copy(out, t, err));
    ubp_reshape_view(*out, *out, rank, full);
    return UB_OK;
}
