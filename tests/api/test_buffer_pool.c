/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Buffers of results that the next run uses again: values stay right whenever tensors are freed,
 * by another thread and after the session too; idle memory stays bounded.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <string.h>

#include "api/api.h"

#define DIGITS UB_TEST_DATA "/../examples/digits/"

static const char *const what[] = {"conv1", "relu1", "conv2", "pool1", "conv3", "fc2"};
enum { N = sizeof what / sizeof what[0], BATCH = 32, HALF = 13 };

typedef struct fixture {
    ub_model *model;
    ub_tensor *digits;       /* [BATCH][1][28][28] */
    ub_tensor *truth[2][N];  /* of the first BATCH and the first HALF */
    ub_tensor batches[2];    /* views */
    ub_session *sessions[2]; /* that made the truth */
} fixture;

static void ok(ub_status st, const ub_error *err)
{
    if (st != UB_OK)
        fail_msg("%d: %s", st, err->message);
}

static void get(ub_tensor **out, ub_session *s, const ub_tensor *x)
{
    ub_error err;
    ok(ub_session_set(s, NULL, x, &err), &err);
    ok(ub_get_many(out, s, what, N, &err), &err);
}

static int setup(void **state)
{
    static fixture f;
    ub_error err;
    ok(ub_open(&f.model, DIGITS "digits.onnx", &err), &err);
    ok(ub_npy_load(&f.digits, DIGITS "digits.npy", &err), &err);
    f.batches[0] = f.batches[1] = *f.digits;
    f.batches[0].dims[0] = BATCH;
    f.batches[1].dims[0] = HALF;
    for (int i = 0; i < 2; i++) {
        ok(ub_session_new(&f.sessions[i], f.model, NULL, &err), &err);
        get(f.truth[i], f.sessions[i], &f.batches[i]);
    }
    *state = &f;
    return 0;
}

static void free_all(ub_tensor **t)
{
    for (int i = 0; i < N; i++)
        ub_tensor_free(t[i]);
}

static int teardown(void **state)
{
    fixture *f = *state;
    for (int i = 0; i < 2; i++) {
        free_all(f->truth[i]);
        ub_session_free(f->sessions[i]);
    }
    ub_tensor_free(f->digits);
    ub_model_free(f->model);
    return 0;
}

static void same(ub_tensor *const *a, ub_tensor *const *b)
{
    for (int i = 0; i < N; i++) {
        assert_int_equal(ub_tensor_count(a[i]), ub_tensor_count(b[i]));
        assert_memory_equal(a[i]->strides, b[i]->strides, sizeof a[i]->strides);
        assert_int_equal((uintptr_t)a[i]->data % 64, 0);
        assert_memory_equal(a[i]->data, b[i]->data, (size_t)ub_tensor_count(a[i]) * sizeof(float));
    }
}

static void *free_them(void *tensors)
{
    free_all(tensors);
    return NULL;
}

static ub_session *session(const fixture *f, size_t memory_limit)
{
    ub_session *s;
    ub_error err;
    ub_session_options o = UB_SESSION_OPTIONS_INIT;
    o.memory_limit = memory_limit;
    ok(ub_session_new(&s, f->model, &o, &err), &err);
    return s;
}

static void used_again_when_freed(void **state)
{
    fixture *f = *state;
    ub_tensor *first[N], *second[N];
    ub_session *s = session(f, 0);
    get(first, s, &f->batches[0]);
    void *const memory = first[0]->data;
    free_all(first);
    assert_true(ubp_pool_idle(s->pool) > 0);
    get(second, s, &f->batches[0]);
    bool again = false;
    for (int i = 0; i < N; i++)
        again = again || second[i]->data == memory;
    assert_true(again);
    assert_int_equal(ubp_pool_idle(s->pool), 0);
    same(second, f->truth[0]);
    free_all(second);
    ub_session_free(s);
}

static void not_used_while_held(void **state)
{
    fixture *f = *state;
    ub_tensor *first[N], *second[N], *third[N];
    ub_session *s = session(f, 0);
    get(first, s, &f->batches[0]);
    get(second, s, &f->batches[1]);
    same(first, f->truth[0]);
    free_all(second);
    get(third, s, &f->batches[0]);
    same(first, f->truth[0]);
    free_all(first);
    same(third, f->truth[0]);
    ub_session_free(s);
    same(third, f->truth[0]);
    free_all(third);
}

static void freed_by_another_thread(void **state)
{
    fixture *f = *state;
    ub_session *s = session(f, 0);
    ub_tensor *held[8][N];
    pthread_t threads[8];
    for (int i = 0; i < 8; i++) {
        get(held[i], s, &f->batches[i % 2]);
        same(held[i], f->truth[i % 2]);
        assert_int_equal(pthread_create(&threads[i], NULL, free_them, held[i]), 0);
    }
    ub_session_free(s); /* while some are still being freed */
    for (int i = 0; i < 8; i++)
        pthread_join(threads[i], NULL);
}

static size_t bytes_of(ub_tensor *const *t)
{
    size_t bytes = 0;
    for (int i = 0; i < N; i++)
        bytes += ubp_tensor_bytes(t[i]);
    return bytes;
}

static void idle_is_bounded(void **state)
{
    fixture *f = *state;
    const size_t most = bytes_of(f->truth[0]) + (size_t)N * 64;
    ub_tensor *t[4][N];
    ub_session *s = session(f, 0);
    for (int i = 0; i < 20; i++) {
        get(t[i % 4], s, &f->batches[i % 2]);
        same(t[i % 4], f->truth[i % 2]);
        if (i % 4 == 3)
            for (int k = 0; k < 4; k++)
                free_all(t[k]);
        assert_in_range(ubp_pool_idle(s->pool), 0, most);
    }
    /* What the large batch needed goes when only small ones come. */
    for (int i = 0; i < 40; i++) {
        get(t[0], s, &f->batches[1]);
        free_all(t[0]);
    }
    assert_in_range(ubp_pool_idle(s->pool), 0, bytes_of(f->truth[1]) * 9 / 8 + (size_t)N * 64);
    ub_session_free(s);
}

static void idle_is_within_the_limit(void **state)
{
    fixture *f = *state;
    const size_t limit = 64 << 20, small = 4096;
    ub_tensor *t[N];
    ub_session *s = session(f, limit);
    ub_error err;
    get(t, s, &f->batches[0]);
    free_all(t);
    assert_true(ubp_pool_idle(s->pool) > 0);
    ubp_pool_bound(s->pool, small);
    assert_in_range(ubp_pool_idle(s->pool), 0, small);
    s->options.memory_limit = small;
    assert_int_equal(ub_get_many(t, s, what, N, &err), UB_ERR_MEMORY);
    ub_session_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(used_again_when_freed),    cmocka_unit_test(not_used_while_held),
        cmocka_unit_test(freed_by_another_thread),  cmocka_unit_test(idle_is_bounded),
        cmocka_unit_test(idle_is_within_the_limit),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
