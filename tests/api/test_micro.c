/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Large batches that run a few samples at a time, one after the other or side by side: that they
 * do, counted in steps, and that each sample has the bits it has alone, the last and smaller
 * block's too. What is not a number in one sample, and stopping, in the middle of it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "load/onnx_writer.h"
#include "unbatch.h"

#define MODEL UB_TEST_DATA "/../examples/digits/digits.onnx"

enum { SAMPLES = 301 };

static void ok(ub_status st, const ub_error *err)
{
    if (st != UB_OK)
        fail_msg("%d: %s", st, err->message);
}

typedef struct watch {
    double last;
    int calls;
    bool back;
    double stop_at;    /* 0: never */
    volatile int stop; /* what the session looks at */
} watch;

static void look(double done, void *payload)
{
    watch *w = payload;
    w->back = w->back || done < w->last;
    w->last = done;
    w->calls++;
    w->stop = w->stop_at > 0 && done >= w->stop_at;
}

static int64_t steps_of(const ub_session *s)
{
    ub_session_counts c = UB_SESSION_COUNTS_INIT;
    ub_session_count(s, &c);
    return c.steps;
}

static ub_tensor *get(ub_session *s, const char *what)
{
    ub_tensor *t;
    ub_error err;
    ok(ub_get(&t, s, what, &err), &err);
    return t;
}

/* Sample i of the whole, and alone. */
static void compare(ub_session *s, const ub_tensor *whole, int64_t i)
{
    ub_tensor row;
    char what[32];
    ub_error err;
    snprintf(what, sizeof what, "fc2[%lld]", (long long)i);
    ub_tensor *alone = get(s, what), *copy;
    ok(ub_tensor_at(&row, whole, i, &err), &err);
    ok(ub_tensor_copy(&copy, &row, &err), &err);
    assert_int_equal(ub_tensor_count(copy), ub_tensor_count(alone));
    assert_memory_equal(copy->data, alone->data, (size_t)ub_tensor_count(copy) * sizeof(float));
    ub_tensor_free(copy);
    ub_tensor_free(alone);
}

static void check(const ub_model *m, const ub_tensor *x, int threads)
{
    ub_session *s;
    ub_error err;
    watch w = {0};
    ub_session_options o = UB_SESSION_OPTIONS_INIT;
    o.threads = threads;
    o.progress = look;
    o.payload = &w;
    ok(ub_session_new(&s, m, &o, &err), &err);
    ok(ub_session_set(s, NULL, x, &err), &err);
    ub_tensor_free(get(s, "fc2[0]"));
    const int64_t once = steps_of(s);
    w = (watch){0};
    ub_tensor *whole = get(s, "fc2");
    const int64_t blocks = (steps_of(s) - once) / once;
    assert_true(blocks > 4 && blocks < SAMPLES);
    /* Side by side, the first thread speaks for all. */
    assert_in_range(w.calls, threads == 1 ? blocks * once : once, blocks * once);
    assert_false(w.back);
    assert_true(w.last == 1);
    assert_int_equal(whole->dims[0], SAMPLES);
    for (int64_t i = 0; i < SAMPLES; i += i < 8 || i > SAMPLES - 8 ? 1 : 29)
        compare(s, whole, i);
    ub_tensor_free(whole);
    /* Wanted values that are most of the memory are not put together from blocks. */
    const int64_t before = steps_of(s);
    ub_tensor_free(get(s, "conv1"));
    assert_true(steps_of(s) - before < blocks);
    ub_session_free(s);
}

static void open_random(ub_model **m, ub_tensor **x, uint64_t seed)
{
    ub_error err;
    const int64_t dims[] = {SAMPLES, 1, 28, 28};
    ok(ub_open(m, MODEL, &err), &err);
    ok(ub_tensor_random_normal(x, 4, dims, seed, &err), &err);
}

/* One value that is not a number: its block is done again, by whoever does it. */
static void test_not_a_number(void **unused)
{
    (void)unused;
    ub_model *m;
    ub_tensor *x;
    ub_error err;
    open_random(&m, &x, 8);
    ((float *)x->data)[200 * 784 + 300] = __builtin_nanf("");
    for (int threads = 1; threads <= 3; threads++) {
        ub_session *s;
        ub_session_options o = UB_SESSION_OPTIONS_INIT;
        o.threads = threads;
        ok(ub_session_new(&s, m, &o, &err), &err);
        ok(ub_session_set(s, NULL, x, &err), &err);
        for (int run = 0; run < 2; run++) {
            ub_tensor *whole = get(s, "fc2"), row;
            ok(ub_tensor_at(&row, whole, 200, &err), &err);
            assert_true(((float *)row.data)[0] != ((float *)row.data)[0]);
            for (int64_t i = 190; i < 211; i++)
                compare(s, whole, i);
            ub_tensor_free(whole);
        }
        ub_session_free(s);
    }
    ub_tensor_free(x);
    ub_model_free(m);
}

static void test_stopped(void **unused)
{
    (void)unused;
    ub_model *m;
    ub_tensor *x, *none;
    ub_error err;
    open_random(&m, &x, 9);
    for (int threads = 1; threads <= 3; threads++) {
        ub_session *s;
        watch w = {.stop_at = 0.4};
        ub_session_options o = UB_SESSION_OPTIONS_INIT;
        o.threads = threads;
        o.progress = look;
        o.payload = &w;
        o.cancel = &w.stop;
        ok(ub_session_new(&s, m, &o, &err), &err);
        ok(ub_session_set(s, NULL, x, &err), &err);
        for (int run = 0; run < 2; run++) { /* while plans are new, and when they are not */
            w = (watch){.stop_at = 0.4};
            assert_int_equal(ub_get(&none, s, "fc2", &err), UB_ERR_CANCELLED);
            assert_string_equal(err.message, "interrupted");
            assert_null(none);
        }
        w = (watch){0};
        ub_tensor *whole = get(s, "fc2");
        compare(s, whole, 150);
        ub_tensor_free(whole);
        ub_session_free(s);
    }
    ub_tensor_free(x);
    ub_model_free(m);
}

static void test_blocks(void **unused)
{
    (void)unused;
    ub_model *m;
    ub_tensor *x;
    open_random(&m, &x, 7);
    for (int threads = 1; threads <= 3; threads++)
        check(m, x, threads);
    ub_tensor_free(x);
    ub_model_free(m);
}

/* A batch that the file fixes, written into a constant too: Expand gives three rows, whatever is
 * given. It is not run in blocks, however large the values are. */
static void test_fixed_batch(void **state)
{
    static const int64_t x_dims[] = {3, 1, 200000}, wide[] = {3, 8, 200000}, last[] = {2},
                         three = 3;
    enum { FLOAT = 1, INT64 = 7 };
    const char *path = UB_TEST_BUILD "/fixed_batch.onnx";
    msg g = {0}, shape = write_tensor("shape", INT64, 1, &three), axes;
    axes = write_tensor("axes", INT64, 1, (const int64_t[]){1});
    msg_bytes(&shape, 9, wide, sizeof wide);
    msg_bytes(&axes, 9, last, sizeof last);
    msg_put(&g, W_INPUT, write_info("x", FLOAT, 3, x_dims));
    msg_put(&g, W_OUTPUT, write_info("y", FLOAT, -1, NULL));
    msg_put(&g, W_INITIALIZER, shape);
    msg_put(&g, W_INITIALIZER, axes);
    msg_put(&g, W_NODE, write_node("Expand", "wide", "x,shape", "wide"));
    msg_put(&g, W_NODE, write_node("ReduceMax", "most", "wide,axes", "y"));
    msg m = write_model(g, 18);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(m.bytes, 1, m.n, f), m.n);
    fclose(f);
    free(m.bytes);
    ub_model *model;
    ub_tensor *x;
    ub_error err;
    (void)state;
    ok(ub_open(&model, path, &err), &err);
    ok(ub_tensor_random_normal(&x, 3, x_dims, 4, &err), &err);
    for (int threads = 1; threads <= 3; threads++) {
        ub_session *s;
        ub_session_options o = UB_SESSION_OPTIONS_INIT;
        o.threads = threads;
        ok(ub_session_new(&s, model, &o, &err), &err);
        ok(ub_session_set(s, NULL, x, &err), &err);
        ub_tensor *y = get(s, "y");
        assert_int_equal(ub_tensor_count(y), 3 * 8);
        for (int64_t i = 0; i < 3; i++) {
            const float *row = (const float *)x->data + i * x_dims[2];
            float most = row[0];
            for (int64_t k = 1; k < x_dims[2]; k++)
                most = row[k] > most ? row[k] : most;
            for (int64_t k = 0; k < 8; k++)
                assert_true(((const float *)y->data)[i * 8 + k] == most);
        }
        ub_tensor_free(y);
        ub_session_free(s);
    }
    ub_tensor_free(x);
    ub_model_free(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_blocks), cmocka_unit_test(test_not_a_number),
        cmocka_unit_test(test_stopped), cmocka_unit_test(test_fixed_batch)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
