/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Dims and strides as numbers: describing a tensor with checked arithmetic, counting, comparing,
 * broadcasting, the bytes a view touches. No data is read here.
 */
#include "tensor/tensor.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

ub_status ubp_tensor_describe(ub_tensor *t, ub_dtype dtype, int rank, const int64_t *dims,
                              ub_error *err)
{
    size_t item = ub_dtype_size(dtype);
    if (item == 0 && dtype != UB_STRING)
        return ubp_fail(err, UB_ERR_SHAPE, "element type %d is not known", (int)dtype);
    if (rank < 0 || rank > UB_MAX_RANK)
        return ubp_fail(err, UB_ERR_SHAPE, "%d dimensions found, 0 to %d expected", rank,
                        (int)UB_MAX_RANK);
    ub_tensor fresh = {.dtype = dtype, .rank = rank};
    /* Zero dims count as one, as in NumPy: strides must not overflow either. */
    int64_t bytes = item ? (int64_t)item : 1;
    for (int i = 0; i < rank; i++) {
        if (dims[i] < 0)
            return ubp_fail(err, UB_ERR_SHAPE, "dimension %d is %" PRId64 ", expected 0 or more", i,
                            dims[i]);
        if (!ubp_mul_i64(bytes, dims[i] ? dims[i] : 1, &bytes)) {
            char text[UBP_SHAPE_TEXT];
            return ubp_fail(err, UB_ERR_SHAPE, "shape %s of %s is over %" PRId64 " bytes",
                            ubp_shape_text(text, rank, dims), ub_dtype_name(dtype), INT64_MAX);
        }
        fresh.dims[i] = dims[i];
    }
    ubp_tensor_set_strides(&fresh);
    *t = fresh;
    return UB_OK;
}

void ubp_tensor_set_strides(ub_tensor *t)
{
    int64_t stride = (int64_t)ub_dtype_size(t->dtype);
    for (int i = t->rank - 1; i >= 0; i--) {
        t->strides[i] = stride;
        stride *= t->dims[i] ? t->dims[i] : 1;
    }
}

int64_t ub_tensor_count(const ub_tensor *t)
{
    int64_t count = 1;
    for (int i = 0; i < t->rank; i++)
        count *= t->dims[i];
    return count;
}

size_t ubp_tensor_bytes(const ub_tensor *t)
{
    return (size_t)ub_tensor_count(t) * ub_dtype_size(t->dtype);
}

bool ub_tensor_is_contiguous(const ub_tensor *t)
{
    int64_t expected = (int64_t)ub_dtype_size(t->dtype);
    bool dense = true;
    for (int i = t->rank - 1; i >= 0; i--) {
        if (t->dims[i] == 0)
            return true;
        if (t->dims[i] == 1)
            continue; /* its stride is never used */
        dense = dense && t->strides[i] == expected;
        expected *= t->dims[i];
    }
    return dense;
}

ub_status ubp_tensor_need_data(const ub_tensor *t, ub_error *err)
{
    if (t->rank < 0 || (!t->data && ub_tensor_count(t) > 0))
        return ubp_fail(err, UB_ERR_ARGUMENT, "the tensor is a shape without data");
    return UB_OK;
}

bool ubp_same_dims(const ub_tensor *a, const ub_tensor *b)
{
    if (a->rank != b->rank)
        return false;
    for (int i = 0; i < a->rank; i++)
        if (a->dims[i] != b->dims[i])
            return false;
    return true;
}

const char *ubp_shape_text(char *text, int rank, const int64_t *dims)
{
    size_t len = 0;
    text[len++] = '(';
    for (int i = 0; i < rank && i < UB_MAX_RANK; i++)
        len += (size_t)snprintf(text + len, UBP_SHAPE_TEXT - len, "%s%" PRId64, i ? ", " : "",
                                dims[i]);
    snprintf(text + len, UBP_SHAPE_TEXT - len, rank == 1 ? ",)" : ")");
    return text;
}

bool ubp_broadcast_dims(int *rank, int64_t *dims, int rank_a, const int64_t *a, int rank_b,
                        const int64_t *b)
{
    int longer = rank_a > rank_b ? rank_a : rank_b;
    if (longer > UB_MAX_RANK)
        return false;
    int64_t joint[UB_MAX_RANK];
    for (int i = 0; i < longer; i++) {
        int at_a = i - (longer - rank_a), at_b = i - (longer - rank_b);
        int64_t dim_a = at_a >= 0 ? a[at_a] : 1, dim_b = at_b >= 0 ? b[at_b] : 1;
        if (dim_a != dim_b && dim_a != 1 && dim_b != 1)
            return false;
        joint[i] = dim_a == 1 ? dim_b : dim_a;
    }
    *rank = longer; /* dims may be a or b */
    memcpy(dims, joint, (size_t)longer * sizeof(*dims));
    return true;
}

bool ubp_normalize_axis(int64_t *axis, int rank)
{
    if (*axis < -rank || *axis >= rank)
        return false;
    if (*axis < 0)
        *axis += rank;
    return true;
}

bool ubp_tensor_extent(const ub_tensor *t, int64_t *low, int64_t *high)
{
    int64_t lo = 0, hi = 0, item = (int64_t)ub_dtype_size(t->dtype);
    for (int i = 0; i < t->rank; i++)
        if (t->dims[i] == 0) {
            *low = *high = 0;
            return true;
        }
    for (int i = 0; i < t->rank; i++) {
        int64_t span = 0;
        if (!ubp_mul_i64(t->strides[i], t->dims[i] - 1, &span) ||
            !ubp_add_i64(span < 0 ? lo : hi, span, span < 0 ? &lo : &hi))
            return false;
    }
    if (!ubp_add_i64(hi, item, &hi))
        return false;
    *low = lo;
    *high = hi;
    return true;
}

bool ubp_tensor_is_aligned(const ub_tensor *t)
{
    int64_t size = (int64_t)ub_dtype_size(t->dtype);
    bool aligned = size <= 1 || (intptr_t)t->data % size == 0;
    for (int axis = 0; axis < t->rank && aligned && size > 1; axis++)
        aligned = t->dims[axis] <= 1 || t->strides[axis] % size == 0;
    return aligned;
}
