/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Views: that nothing is copied, who keeps the data alive, what refusals say.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tensor/tensor.h"

#include <string.h>

static const int64_t batch[] = {32, 3, 8, 8};

static ub_tensor *new_batch(void)
{
    ub_tensor *x = NULL;
    assert_int_equal(ub_tensor_new(&x, UB_F32, 4, batch, NULL), UB_OK);
    float *values = x->data;
    for (int i = 0; i < 32 * 3 * 8 * 8; i++) {
        assert_true(values[i] == 0.0f);
        values[i] = (float)i;
    }
    assert_int_equal((uintptr_t)x->data % 64, 0);
    return x;
}

static void sample_is_a_view(void **state)
{
    (void)state;
    ub_tensor *x = new_batch(), view;
    assert_int_equal(ub_tensor_at(&view, x, 4, NULL), UB_OK);
    assert_int_equal(view.rank, 3);
    assert_ptr_equal(view.data, (float *)x->data + 4 * 3 * 64);
    assert_int_equal(ub_tensor_at(&view, x, -1, NULL), UB_OK);
    assert_ptr_equal(view.data, (float *)x->data + 31 * 3 * 64);
    /* A view may take the place of what it was made from. */
    assert_int_equal(ub_tensor_at(&view, &view, 2, NULL), UB_OK);
    assert_int_equal(ub_tensor_at(&view, &view, 7, NULL), UB_OK);
    assert_int_equal(ub_tensor_at(&view, &view, 1, NULL), UB_OK);
    assert_int_equal(view.rank, 0);
    assert_true(*(float *)view.data == (float)(31 * 192 + 2 * 64 + 7 * 8 + 1));
    ub_tensor_free(x);
}

static void messages(void **state)
{
    (void)state;
    ub_tensor *x = new_batch(), view, *out = NULL;
    ub_error err = {0};
    assert_int_equal(ub_tensor_at(&view, x, 40, &err), UB_ERR_ARGUMENT);
    assert_string_equal(err.message, "index 40 is out of bounds for axis 0 with size 32");
    assert_int_equal(ub_tensor_index(&out, x, "[0, -4]", &err), UB_ERR_ARGUMENT);
    assert_string_equal(err.message, "index -4 is out of bounds for axis 1 with size 3");
    assert_int_equal(ub_tensor_index(&out, x, "0, 0, 0, 0, 0", &err), UB_ERR_ARGUMENT);
    assert_string_equal(err.message, "too many indices: 5 for 4 dimensions");
    assert_int_equal(ub_tensor_index(&out, x, "..., 0, ...", &err), UB_ERR_ARGUMENT);
    assert_string_equal(err.message, "index has more than one '...', expected at most one");
    assert_int_equal(ub_tensor_index(&out, x, "[1, 2 3]", &err), UB_ERR_ARGUMENT);
    assert_string_equal(err.message, "index '[1, 2 3]' has '3' at character 7, expected ','");
    assert_int_equal(ub_tensor_index(&out, x, "::0", &err), UB_ERR_ARGUMENT);
    assert_string_equal(err.message, "slice step is 0, expected another number");
    assert_int_equal(ub_tensor_index(&out, x, "[[0, 1], [0, 1, 2]]", &err), UB_ERR_ARGUMENT);
    assert_string_equal(err.message, "index array of shape (3,) cannot be broadcast with those "
                                     "before it, of shape (2,)");
    assert_int_equal(ub_tensor_index(&out, x, ":, [True, False]", &err), UB_ERR_ARGUMENT);
    assert_string_equal(err.message, "mask has size 2 where axis 1 has size 3");
    assert_int_equal(ub_tensor_reshape(&out, x, 2, (const int64_t[]){7, -1}, &err), UB_ERR_SHAPE);
    assert_string_equal(err.message,
                        "shape (32, 3, 8, 8) with 6144 elements cannot be reshaped to (7, -1)");
    assert_int_equal(ub_tensor_squeeze(&view, x, 1, &err), UB_ERR_SHAPE);
    assert_string_equal(err.message, "cannot squeeze axis 1: its size is 3, expected 1");
    assert_int_equal(ub_tensor_broadcast(&view, x, 1, batch, &err), UB_ERR_SHAPE);
    assert_string_equal(err.message, "shape (32, 3, 8, 8) cannot be broadcast to (32,)");
    assert_int_equal(ub_tensor_permute(&view, x, (const int[]){0, 1, 1, 2}, &err), UB_ERR_ARGUMENT);
    assert_string_equal(err.message, "axis 1 is named twice in a permutation of 4");
    assert_null(out);
    ub_tensor_free(x);
}

static void count_release(ub_buffer *b)
{
    ++*(int *)b->owner;
}

/* What comes through **out keeps the data; a view by value passes the buffer on. */
static void handles_share_the_buffer(void **state)
{
    (void)state;
    float values[24] = {0};
    int released = 0;
    ub_tensor view, *first = NULL, *second = NULL;
    assert_int_equal(ub_tensor_wrap(&view, values, UB_F32, 2, (const int64_t[]){4, 6}, NULL),
                     UB_OK);
    assert_int_equal(
        ubp_buffer_wrap(&view.buffer, values, sizeof(values), count_release, &released, NULL),
        UB_OK);
    assert_int_equal(ubp_tensor_handle(&first, &view, NULL), UB_OK);
    ubp_buffer_unref(view.buffer);
    ub_tensor row;
    assert_int_equal(ub_tensor_at(&row, first, 1, NULL), UB_OK);
    assert_int_equal(ub_tensor_index(&second, &row, "[::2]", NULL), UB_OK);
    assert_ptr_equal(second->data, values + 6);
    assert_ptr_equal(second->buffer, first->buffer);
    ub_tensor_free(first);
    assert_int_equal(released, 0);
    assert_int_equal(ub_tensor_reshape(&first, second, 2, (const int64_t[]){3, 1}, NULL), UB_OK);
    ub_tensor_free(second);
    assert_int_equal(released, 0);
    ub_tensor_free(first);
    assert_int_equal(released, 1);
    ub_tensor_free(NULL);
    ubp_buffer_unref(NULL);
    ubp_buffer_ref(NULL);
}

static void borrowed_memory(void **state)
{
    (void)state;
    int32_t values[] = {0, 1, 2, 3, 4, 5};
    ub_tensor view, *out = NULL;
    assert_int_equal(ub_tensor_wrap(&view, values, UB_I32, 2, (const int64_t[]){2, 3}, NULL),
                     UB_OK);
    assert_null(view.buffer);
    assert_int_equal(ub_tensor_index(&out, &view, "1, ::-1", NULL), UB_OK);
    assert_ptr_equal(out->data, values + 5);
    assert_int_equal(out->strides[0], -4);
    assert_null(out->buffer);
    ub_tensor_free(out);
    assert_int_equal(ub_tensor_index(&out, &view, "1, [2]", NULL), UB_OK);
    assert_non_null(out->buffer); /* arrays give a copy */
    assert_int_equal(*(int32_t *)out->data, 5);
    ub_tensor_free(out);
}

static void rank_limits(void **state)
{
    (void)state;
    ub_tensor *t = NULL, *out = NULL, view;
    const int64_t ones[] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
    assert_int_equal(ub_tensor_new(&t, UB_U8, 16, ones, NULL), UB_OK);
    assert_int_equal(ub_tensor_expand_dims(&view, t, 0, NULL), UB_ERR_SHAPE);
    assert_int_equal(ub_tensor_index(&out, t, "None", NULL), UB_ERR_ARGUMENT);
    assert_int_equal(ub_tensor_index(&out, t, "None, 0", NULL), UB_OK);
    assert_int_equal(out->rank, 16);
    ub_tensor_free(out);
    assert_int_equal(ub_tensor_index(&out, t, "[[[0]]]", NULL), UB_ERR_ARGUMENT);
    assert_int_equal(ub_tensor_index(&out, t, "True", NULL), UB_ERR_ARGUMENT);
    const char *everything = "0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,None,None,None,None,None,None,None,"
                             "None,None,None,None,None,None,None,None,None";
    assert_int_equal(ub_tensor_index(&out, t, everything, NULL), UB_OK);
    assert_int_equal(out->rank, 16);
    ub_tensor_free(out);
    ub_tensor_free(t);
}

/* A shape without data, as a summary gives, has views but nothing to read. */
static void shape_only(void **state)
{
    (void)state;
    ub_tensor t, view, *out = NULL;
    char *text = NULL;
    ub_error err = {0};
    assert_int_equal(ubp_tensor_describe(&t, UB_F32, 4, batch, NULL), UB_OK);
    assert_int_equal(ub_tensor_permute(&view, &t, NULL, NULL), UB_OK);
    assert_int_equal(ub_tensor_copy(&out, &t, &err), UB_ERR_ARGUMENT);
    assert_string_equal(err.message, "the tensor is a shape without data");
    assert_int_equal(ub_tensor_cast(&out, &t, UB_F64, NULL), UB_ERR_ARGUMENT);
    assert_int_equal(ub_tensor_copy_into(&t, &t, NULL), UB_ERR_ARGUMENT);
    assert_int_equal(ub_tensor_index(&out, &t, "[[0]]", NULL), UB_ERR_ARGUMENT);
    assert_int_equal(ub_tensor_str(&text, &t, NULL), UB_ERR_ARGUMENT);
    ub_index_item item = {.kind = UB_INDEX_ARRAY, .array = &t};
    assert_int_equal(ub_tensor_index_items(&out, &t, &item, 1, NULL), UB_ERR_ARGUMENT);
    item.array = NULL;
    assert_int_equal(ub_tensor_index_items(&out, &t, &item, 1, NULL), UB_ERR_ARGUMENT);
    item.kind = (ub_index_kind)9;
    assert_int_equal(ub_tensor_index_items(&out, &t, &item, 1, NULL), UB_ERR_ARGUMENT);
    t.rank = -1;
    assert_int_equal(ub_tensor_str(&text, &t, NULL), UB_ERR_ARGUMENT);
    assert_null(out);
    assert_null(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sample_is_a_view),
        cmocka_unit_test(messages),
        cmocka_unit_test(handles_share_the_buffer),
        cmocka_unit_test(borrowed_memory),
        cmocka_unit_test(rank_limits),
        cmocka_unit_test(shape_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
