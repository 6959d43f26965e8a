/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The walker of the elementwise families: random shapes, broadcasts and memory layouts against a
 * loop over indices. What the functions themselves compute is checked by ONNX's cases.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "ops/ops.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static uint64_t random_state = 0x2545f4914f6cdd1du;

static int64_t random_below(int64_t n)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (int64_t)(random_state % (uint64_t)n);
}

/* A tensor whose axes are stored in a random order, with gaps, some backwards. */
static ub_tensor scattered(ub_dtype dtype, int rank, const int64_t *dims, char *memory, size_t room)
{
    ub_tensor t;
    int order[UB_MAX_RANK];
    int64_t stride = (int64_t)ub_dtype_size(dtype), start = 0;
    assert_int_equal(ubp_tensor_describe(&t, dtype, rank, dims, NULL), UB_OK);
    for (int i = 0; i < rank; i++)
        order[i] = i;
    for (int i = rank - 1; i > 0; i--) {
        int j = (int)random_below(i + 1), swap = order[i];
        order[i] = order[j];
        order[j] = swap;
    }
    for (int i = 0; i < rank; i++) {
        int axis = order[i];
        if (random_below(5) == 0)
            stride *= 2;
        t.strides[axis] = stride;
        stride *= t.dims[axis];
        if (random_below(6) == 0) {
            start += (t.dims[axis] - 1) * t.strides[axis];
            t.strides[axis] = -t.strides[axis];
        }
    }
    assert_true((size_t)stride <= room);
    t.data = memory + start;
    return t;
}

static char *at(const ub_tensor *t, const int64_t *index, int rank)
{
    char *p = t->data;
    for (int a = 0; a < t->rank; a++)
        p += t->dims[a] == 1 ? 0 : index[a + rank - t->rank] * t->strides[a];
    return p;
}

static void next(int64_t *index, const ub_tensor *t)
{
    for (int a = t->rank - 1; a >= 0; a--) {
        if (++index[a] < t->dims[a])
            return;
        index[a] = 0;
    }
}

static void run_op(const char *name, int n_in, const ub_tensor *const *in, ub_tensor *out,
                   int threads)
{
    ub_error err;
    ubp_arena scratch = {0};
    ubp_run run = {.threads = threads, .scratch = &scratch};
    ubp_node node = {.name = "x"};
    ub_tensor *outs[] = {out};
    ubp_call call = {.op = ubp_op_find(name, ""),
                     .node = &node,
                     .n_in = n_in,
                     .n_out = 1,
                     .in = in,
                     .out = outs,
                     .run = &run,
                     .err = &err};
    assert_int_equal(ubp_op_run(&call), UB_OK);
    ubp_arena_release(&scratch);
}

/* Sub of float32: order of operands and of elements both show. */
static void any_layout(void **state)
{
    (void)state;
    enum { ROOM = 1 << 20 };
    static char memory[3][ROOM];
    for (int round = 0; round < 3000; round++) {
        int64_t dims[4], own[4], index[4] = {0};
        int rank = (int)random_below(5);
        ub_tensor t[3];
        for (int a = 0; a < rank; a++)
            dims[a] = random_below(20) == 0 ? 0 : 1 + random_below(9);
        for (int k = 0; k < 3; k++) {
            int skip = k == 2 && rank > 0 ? (int)random_below(rank) : 0;
            for (int a = skip; a < rank; a++)
                own[a - skip] = k > 0 && random_below(4) == 0 ? 1 : dims[a];
            t[k] = scattered(UB_F32, rank - skip, own, memory[k], ROOM);
            float *numbers = (float *)(void *)memory[k];
            for (int i = 0; i < ROOM / 64; i++)
                numbers[i] = (float)random_below(1000) / 8;
        }
        const ub_tensor *in[] = {&t[1], &t[2]};
        run_op("Sub", 2, in, &t[0], 1);
        for (int64_t e = 0; e < ub_tensor_count(&t[0]); e++, next(index, &t[0])) {
            float x = *(float *)(void *)at(&t[1], index, rank);
            float y = *(float *)(void *)at(&t[2], index, rank);
            assert_true(*(float *)(void *)at(&t[0], index, rank) == x - y);
        }
    }
}

/* Large enough for several threads, cut in the middle of rows. */
static void any_threads(void **state)
{
    (void)state;
    const int64_t big[] = {7, 33, 501}, row[] = {33, 1};
    ub_tensor *x, *y, *one, *many;
    assert_int_equal(ub_tensor_random_normal(&x, 3, big, 1, NULL), UB_OK);
    assert_int_equal(ub_tensor_random_normal(&y, 2, row, 2, NULL), UB_OK);
    assert_int_equal(ub_tensor_new(&one, UB_F32, 3, big, NULL), UB_OK);
    assert_int_equal(ub_tensor_new(&many, UB_F32, 3, big, NULL), UB_OK);
    const ub_tensor *in[] = {x, y};
    run_op("Mul", 2, in, one, 1);
    for (int threads = 2; threads < 6; threads++) {
        run_op("Mul", 2, in, many, threads);
        assert_memory_equal(one->data, many->data, ubp_tensor_bytes(one));
    }
    ub_tensor_free(x);
    ub_tensor_free(y);
    ub_tensor_free(one);
    ub_tensor_free(many);
}

/* The destination may be one of the operands. */
static void in_place(void **state)
{
    (void)state;
    float x[100], want[100];
    const float two = 2;
    ub_tensor t, number;
    const int64_t dims[] = {100};
    for (int i = 0; i < 100; i++) {
        x[i] = (float)i / 7;
        want[i] = x[i] * two;
    }
    assert_int_equal(ub_tensor_wrap(&t, x, UB_F32, 1, dims, NULL), UB_OK);
    assert_int_equal(ub_tensor_wrap(&number, (void *)(uintptr_t)&two, UB_F32, 0, NULL, NULL),
                     UB_OK);
    const ub_tensor *in[] = {&t, &number};
    run_op("Mul", 2, in, &t, 1);
    assert_memory_equal(x, want, sizeof x);
}

/* float16 in and out by way of float32: each result is rounded once. */
static void halves(void **state)
{
    (void)state;
    uint16_t x[64], y[64], sum[64];
    ub_tensor tx, ty, ts;
    const int64_t dims[] = {8, 8};
    for (int i = 0; i < 64; i++) {
        x[i] = ubp_f32_to_f16((float)i * 0.37f - 5);
        y[i] = ubp_f32_to_f16((float)i * 11.3f);
    }
    assert_int_equal(ub_tensor_wrap(&tx, x, UB_F16, 2, dims, NULL), UB_OK);
    assert_int_equal(ub_tensor_wrap(&ty, y, UB_F16, 2, dims, NULL), UB_OK);
    assert_int_equal(ub_tensor_wrap(&ts, sum, UB_F16, 2, dims, NULL), UB_OK);
    /* Transposed: the edge must take any strides. */
    ty.strides[0] = 2;
    ty.strides[1] = 16;
    const ub_tensor *in[] = {&tx, &ty};
    run_op("Add", 2, in, &ts, 1);
    for (int i = 0; i < 8; i++)
        for (int j = 0; j < 8; j++)
            assert_int_equal(sum[i * 8 + j], ubp_f32_to_f16(ubp_f16_to_f32(x[i * 8 + j]) +
                                                            ubp_f16_to_f32(y[j * 8 + i])));
}

/* A view of a file starts at any byte. */
static void any_address(void **state)
{
    (void)state;
    static char bytes[1 + sizeof(float[9])];
    const float x[9] = {1, 2, 3, 4, 5, 6, 7, 8, 9};
    float out[9];
    ub_tensor t, to;
    const int64_t dims[] = {9};
    memcpy(bytes + 1, x, sizeof x);
    assert_int_equal(ub_tensor_wrap(&t, bytes + 1, UB_F32, 1, dims, NULL), UB_OK);
    assert_int_equal(ub_tensor_wrap(&to, out, UB_F32, 1, dims, NULL), UB_OK);
    const ub_tensor *in[] = {&t, &t};
    run_op("Add", 2, in, &to, 1);
    for (int i = 0; i < 9; i++)
        assert_true(out[i] == 2 * x[i]);
}

/* Divisions and remainders that the processor would trap. */
static void integers_do_not_trap(void **state)
{
    (void)state;
    int32_t x[] = {7, -7, INT32_MIN, 0}, y[] = {0, 0, -1, -1}, out[4];
    ub_tensor tx, ty, to;
    const int64_t dims[] = {4};
    assert_int_equal(ub_tensor_wrap(&tx, x, UB_I32, 1, dims, NULL), UB_OK);
    assert_int_equal(ub_tensor_wrap(&ty, y, UB_I32, 1, dims, NULL), UB_OK);
    assert_int_equal(ub_tensor_wrap(&to, out, UB_I32, 1, dims, NULL), UB_OK);
    const ub_tensor *in[] = {&tx, &ty};
    run_op("Div", 2, in, &to, 1);
    const int32_t quotients[] = {0, 0, INT32_MIN, 0};
    assert_memory_equal(out, quotients, sizeof out);
    const int32_t powers[] = {1, 1, 0, 0}; /* 0 to a negative power: no number, 0 here */
    run_op("Pow", 2, in, &to, 1);
    assert_memory_equal(out, powers, sizeof out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_layout),  cmocka_unit_test(any_threads),
        cmocka_unit_test(in_place),    cmocka_unit_test(halves),
        cmocka_unit_test(any_address), cmocka_unit_test(integers_do_not_trap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
