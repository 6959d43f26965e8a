/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Moving between layouts, against one element at a time: shapes around the tile sizes, every item
 * size, reversed and stepped views on either side, addresses that are not aligned.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tensor/tensor.h"

#include <stdlib.h>
#include <string.h>

/* A small generator of its own: the cases are the same everywhere. */
static uint32_t draw(uint64_t *seed, uint32_t below)
{
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*seed >> 33) % below;
}

/* A view with these dims over fresh memory: axes in any order, steps of -2 to 2, any address. */
static ub_tensor scattered(uint64_t *seed, ub_dtype dtype, int rank, const int64_t *dims,
                           char **raw)
{
    int axes[UB_MAX_RANK];
    for (int i = 0; i < rank; i++)
        axes[i] = i;
    for (int i = rank - 1; i > 0; i--) {
        int j = (int)draw(seed, (uint32_t)i + 1), swap = axes[i];
        axes[i] = axes[j];
        axes[j] = swap;
    }
    ub_tensor t = {.dtype = dtype, .rank = rank};
    int64_t item = (int64_t)ub_dtype_size(dtype), stride = item, start = 0;
    for (int i = 0; i < rank; i++) {
        int64_t step = 1 + (draw(seed, 4) == 0);
        t.dims[axes[i]] = dims[axes[i]];
        t.strides[axes[i]] = stride * step;
        stride *= dims[axes[i]] * step;
        if (draw(seed, 4) == 0) {
            start += t.strides[axes[i]] * (dims[axes[i]] - 1);
            t.strides[axes[i]] = -t.strides[axes[i]];
        }
    }
    *raw = malloc((size_t)stride + 8);
    assert_non_null(*raw);
    for (int64_t i = 0; i < stride + 8; i++)
        (*raw)[i] = (char)draw(seed, 256);
    t.data = *raw + draw(seed, 8) + start;
    return t;
}

static void check_equal(const ub_tensor *a, const ub_tensor *b)
{
    int64_t n = ub_tensor_count(a), index[UB_MAX_RANK] = {0};
    for (int64_t i = 0; i < n; i++) {
        const char *p = a->data, *q = b->data;
        for (int axis = 0; axis < a->rank; axis++) {
            p += index[axis] * a->strides[axis];
            q += index[axis] * b->strides[axis];
        }
        if (memcmp(p, q, ub_dtype_size(a->dtype)) != 0)
            fail_msg("element %d differs", (int)i);
        for (int axis = a->rank - 1; axis >= 0 && ++index[axis] == a->dims[axis]; axis--)
            index[axis] = 0;
    }
}

static void random_layouts(void **state)
{
    (void)state;
    static const ub_dtype dtypes[] = {UB_U8, UB_F16, UB_F32, UB_F64};
    static const int64_t around[] = {1, 2, 3, 4, 7, 8, 9, 15, 16, 17, 32, 33, 63, 64, 65, 130};
    uint64_t seed = 1;
    for (int i = 0; i < 3000; i++) {
        int rank = (int)draw(&seed, 5);
        int64_t dims[4], count = 1;
        for (int axis = 0; axis < rank; axis++) {
            dims[axis] = draw(&seed, 3) ? around[draw(&seed, 5)] : around[draw(&seed, 16)];
            count *= dims[axis];
        }
        if (count > 40000)
            continue;
        ub_dtype dtype = dtypes[i % 4];
        char *from = NULL, *to = NULL;
        ub_tensor src = scattered(&seed, dtype, rank, dims, &from);
        ub_tensor dst = scattered(&seed, dtype, rank, dims, &to);
        ubp_tensor_move(&dst, &src);
        check_equal(&dst, &src);
        free(from);
        free(to);
    }
}

static void channels_last_and_back(void **state)
{
    (void)state;
    const int64_t dims[] = {2, 35, 9, 19};
    ub_tensor *x = NULL, *last = NULL, *back = NULL, view;
    assert_int_equal(ub_tensor_random_normal(&x, 4, dims, 3, NULL), UB_OK);
    assert_int_equal(ub_tensor_permute(&view, x, (const int[]){0, 2, 3, 1}, NULL), UB_OK);
    assert_int_equal(ub_tensor_copy(&last, &view, NULL), UB_OK);
    assert_true(ub_tensor_is_contiguous(last));
    check_equal(last, &view);
    assert_int_equal(ub_tensor_permute(&view, last, (const int[]){0, 3, 1, 2}, NULL), UB_OK);
    assert_int_equal(ub_tensor_copy(&back, &view, NULL), UB_OK);
    assert_memory_equal(back->data, x->data, ubp_tensor_bytes(x));
    ub_tensor_free(x);
    ub_tensor_free(last);
    ub_tensor_free(back);
}

static void nothing_to_move(void **state)
{
    (void)state;
    ub_tensor *empty = NULL, *copy = NULL, scalar;
    assert_int_equal(ub_tensor_new(&empty, UB_F64, 3, (const int64_t[]){4, 0, 5}, NULL), UB_OK);
    assert_int_equal(ub_tensor_copy(&copy, empty, NULL), UB_OK);
    ub_tensor_free(copy);
    assert_int_equal(ub_tensor_cast(&copy, empty, UB_F16, NULL), UB_OK);
    assert_int_equal(copy->dims[2], 5);
    ub_tensor_free(copy);
    ub_tensor_free(empty);
    double one = 1;
    assert_int_equal(ub_tensor_wrap(&scalar, &one, UB_F64, 0, NULL, NULL), UB_OK);
    assert_int_equal(ub_tensor_cast(&copy, &scalar, UB_I32, NULL), UB_OK);
    assert_int_equal(*(int32_t *)copy->data, 1);
    ub_tensor_free(copy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_layouts),
        cmocka_unit_test(channels_last_and_back),
        cmocka_unit_test(nothing_to_move),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
