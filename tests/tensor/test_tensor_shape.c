/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Dims and strides as numbers: what is refused, overflow, extents.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tensor/tensor.h"

#include <string.h>

static void row_major_strides(void **state)
{
    (void)state;
    ub_tensor t;
    const int64_t dims[] = {2, 3, 4};
    assert_int_equal(ubp_tensor_describe(&t, UB_F32, 3, dims, NULL), UB_OK);
    assert_int_equal(t.strides[0], 48);
    assert_int_equal(t.strides[1], 16);
    assert_int_equal(t.strides[2], 4);
    assert_null(t.data);
    assert_int_equal(ub_tensor_count(&t), 24);
    assert_int_equal(ubp_tensor_bytes(&t), 96);
    assert_true(ub_tensor_is_contiguous(&t));
    assert_int_equal(ubp_tensor_describe(&t, UB_F64, 0, NULL, NULL), UB_OK);
    assert_int_equal(ub_tensor_count(&t), 1);
    assert_int_equal(ubp_tensor_bytes(&t), 8);
}

static void refused(ub_dtype dtype, int rank, const int64_t *dims, const char *message)
{
    ub_tensor t;
    ub_error err = {0};
    assert_int_equal(ubp_tensor_describe(&t, dtype, rank, dims, &err), UB_ERR_SHAPE);
    assert_string_equal(err.message, message);
    ub_tensor *made = NULL;
    assert_int_not_equal(ub_tensor_new(&made, dtype, rank, dims, NULL), UB_OK);
    assert_null(made);
}

static void bad_shapes(void **state)
{
    (void)state;
    const int64_t ones[17] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
    refused(UB_F32, 17, ones, "17 dimensions found, 0 to 16 expected");
    refused(UB_F32, -1, ones, "-1 dimensions found, 0 to 16 expected");
    refused(UB_F32, 2, (const int64_t[]){3, -1}, "dimension 1 is -1, expected 0 or more");
    refused((ub_dtype)99, 1, ones, "element type 99 is not known");
    const int64_t large[] = {INT64_C(1) << 40, INT64_C(1) << 30};
    refused(UB_F32, 2, large,
            "shape (1099511627776, 1073741824) of float32 is over 9223372036854775807 bytes");
    /* A dim of 0 does not excuse strides that overflow. */
    const int64_t empty[] = {INT64_C(1) << 40, 0, INT64_C(1) << 30};
    ub_tensor t;
    assert_int_equal(ubp_tensor_describe(&t, UB_F32, 3, empty, NULL), UB_ERR_SHAPE);
    ub_tensor *complex = NULL;
    assert_int_equal(ub_tensor_new(&complex, UB_C64, 1, ones, NULL), UB_ERR_SHAPE);
}

static void contiguous(void **state)
{
    (void)state;
    ub_tensor t, v;
    char bytes[96];
    assert_int_equal(ub_tensor_wrap(&t, bytes, UB_F32, 3, (const int64_t[]){2, 3, 4}, NULL), UB_OK);
    assert_int_equal(ub_tensor_permute(&v, &t, NULL, NULL), UB_OK);
    assert_false(ub_tensor_is_contiguous(&v));
    assert_int_equal(ub_tensor_slice(&v, &t, 0, 1, UB_SLICE_NONE, 1, NULL), UB_OK);
    assert_true(ub_tensor_is_contiguous(&v)); /* one row: the outer stride is never used */
    v.strides[0] = 12345;
    assert_true(ub_tensor_is_contiguous(&v));
    assert_int_equal(ub_tensor_slice(&v, &t, 1, 0, 2, 1, NULL), UB_OK);
    assert_false(ub_tensor_is_contiguous(&v));
    assert_int_equal(ub_tensor_slice(&v, &v, 2, 1, 1, 1, NULL), UB_OK);
    assert_true(ub_tensor_is_contiguous(&v)); /* empty */
}

static void broadcasting(void **state)
{
    (void)state;
    int rank = 0;
    int64_t dims[UB_MAX_RANK];
    assert_true(
        ubp_broadcast_dims(&rank, dims, 3, (const int64_t[]){4, 1, 3}, 2, (const int64_t[]){5, 1}));
    assert_int_equal(rank, 3);
    assert_int_equal(dims[0], 4);
    assert_int_equal(dims[1], 5);
    assert_int_equal(dims[2], 3);
    assert_true(ubp_broadcast_dims(&rank, dims, 1, (const int64_t[]){0}, 1, (const int64_t[]){1}));
    assert_int_equal(dims[0], 0);
    assert_false(ubp_broadcast_dims(&rank, dims, 1, (const int64_t[]){0}, 1, (const int64_t[]){2}));
    assert_false(ubp_broadcast_dims(&rank, dims, 1, (const int64_t[]){3}, 1, (const int64_t[]){2}));
    int64_t own[] = {1, 7};
    rank = 2;
    assert_true(ubp_broadcast_dims(&rank, own, rank, own, 1, (const int64_t[]){1}));
    assert_int_equal(own[0], 1);
    assert_int_equal(own[1], 7);
}

static void extents(void **state)
{
    (void)state;
    ub_tensor t = {.dtype = UB_F32, .rank = 2, .dims = {3, 5}, .strides = {-20, 4}};
    int64_t low = 0, high = 0;
    assert_true(ubp_tensor_extent(&t, &low, &high));
    assert_int_equal(low, -40);
    assert_int_equal(high, 20);
    t.dims[1] = 0;
    assert_true(ubp_tensor_extent(&t, &low, &high));
    assert_int_equal(low, 0);
    assert_int_equal(high, 0);
    t = (ub_tensor){.dtype = UB_U8, .rank = 2, .dims = {2, 3}, .strides = {INT64_MAX, INT64_MAX}};
    assert_false(ubp_tensor_extent(&t, &low, &high));
    t = (ub_tensor){.dtype = UB_F64, .rank = 1, .dims = {2}, .strides = {INT64_MAX - 3}};
    assert_false(ubp_tensor_extent(&t, &low, &high));
}

static void shape_words(void **state)
{
    (void)state;
    char text[UBP_SHAPE_TEXT];
    assert_string_equal(ubp_shape_text(text, 0, NULL), "()");
    assert_string_equal(ubp_shape_text(text, 1, (const int64_t[]){3}), "(3,)");
    assert_string_equal(ubp_shape_text(text, 3, (const int64_t[]){1, -1, 224}), "(1, -1, 224)");
    int64_t wide[UB_MAX_RANK];
    for (int i = 0; i < UB_MAX_RANK; i++)
        wide[i] = INT64_MIN;
    assert_int_equal(strlen(ubp_shape_text(text, UB_MAX_RANK, wide)), 16 * 20 + 15 * 2 + 2);
}

static void axes(void **state)
{
    (void)state;
    int64_t axis = -3;
    assert_true(ubp_normalize_axis(&axis, 3));
    assert_int_equal(axis, 0);
    assert_false(ubp_normalize_axis(&(int64_t){3}, 3));
    assert_false(ubp_normalize_axis(&(int64_t){-4}, 3));
    assert_false(ubp_normalize_axis(&(int64_t){INT64_MIN}, 3));
    assert_false(ubp_normalize_axis(&(int64_t){0}, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(row_major_strides),
        cmocka_unit_test(bad_shapes),
        cmocka_unit_test(contiguous),
        cmocka_unit_test(broadcasting),
        cmocka_unit_test(extents),
        cmocka_unit_test(shape_words),
        cmocka_unit_test(axes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
