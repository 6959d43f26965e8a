/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Out of memory anywhere between opening a model and its answers: the n-th allocation fails, for
 * every n; each time the answer is UB_ERR_MEMORY or right, and nothing leaks. With the plain
 * kernels and with the fast ones, with slices, notes and profiles.
 */
#include "base/fault.h"

#include "whole_run.h"

static ub_status open_and_use(const char *path, const ub_session_options *options, ub_error *err)
{
    ub_model *m = NULL;
    ub_status status = ub_open(&m, path, err);
    if (status == UB_OK)
        status = use_model(m, options, err);
    ub_model_free(m);
    return status;
}

/* Lets each allocation fail in turn; how many there are. */
static long fail_each(const char *name, bool reference)
{
    char path[512];
    ub_session_options options = UB_SESSION_OPTIONS_INIT;
    options.threads = 1;
    options.reference = reference;
    snprintf(path, sizeof path, "%s/data/onnx/%s", UB_TEST_DATA, name);
    const long live = fault_live();
    long n = 1;
    for (; fault_next(n); n++) {
        ub_error err = {0};
        const ub_status status = open_and_use(path, &options, &err);
        fault_stop();
        if (status != UB_OK && status != UB_ERR_MEMORY)
            fail_msg("%s, allocation %ld: %d %s", name, n, (int)status, err.message);
        if (fault_live() != live)
            fail_msg("%s, allocation %ld: %ld blocks are not freed", name, n, fault_live() - live);
    }
    ub_error err = {0};
    assert_int_equal(open_and_use(path, &options, &err), UB_OK);
    return n;
}

static const char *const models[] = {"conv_seed.torchscript.onnx", "mlp.torchscript.onnx",
                                     "gru_seq.torchscript.onnx"};

static void test_plain(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++)
        assert_true(fail_each(models[i], true) > 100);
}

static void test_fast(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++)
        assert_true(fail_each(models[i], false) > 100);
}

/* Several values in one call: on failure none is returned. */
static void test_many(void **state)
{
    (void)state;
    char path[512];
    const char *const what[] = {"conv[1]", "conv:in", "conv[::-1, 0]"};
    snprintf(path, sizeof path, "%s/data/onnx/%s", UB_TEST_DATA, models[0]);
    ub_model *m = NULL;
    ub_error err = {0};
    assert_int_equal(ub_open(&m, path, &err), UB_OK);
    const char *layer = ub_model_layer(m, 0)->name;
    char texts[3][256];
    const char *list[3];
    for (int i = 0; i < 3; i++) {
        snprintf(texts[i], sizeof texts[i], "%s%s", layer, what[i] + strlen("conv"));
        list[i] = texts[i];
    }
    const long live = fault_live();
    bool done = false;
    for (long n = 1; fault_next(n); n++) {
        ub_session *s = NULL;
        ub_tensor *x = NULL, *t[3] = {0};
        ub_status status = make_port_tensor(&x, ub_model_input(m, 0), &err);
        if (status == UB_OK)
            status = ub_session_new(&s, m, NULL, &err);
        if (status == UB_OK)
            status = ub_session_set(s, NULL, x, &err);
        if (status == UB_OK) {
            ub_session_profile(s, true);
            status = ub_get_many(t, s, list, 3, &err);
        }
        fault_stop();
        done = status == UB_OK;
        assert_true(done || status == UB_ERR_MEMORY);
        for (int i = 0; i < 3; i++) {
            assert_true(done == (t[i] != NULL));
            ub_tensor_free(t[i]);
        }
        ub_session_free(s);
        ub_tensor_free(x);
        assert_int_equal(fault_live(), live);
    }
    assert_true(done);
    ub_model_free(m);
}

/* After a failure the same session answers. */
static void test_session_goes_on(void **state)
{
    (void)state;
    char path[512];
    ub_model *m = NULL;
    ub_session *s = NULL;
    ub_tensor *x = NULL;
    ub_error err = {0};
    snprintf(path, sizeof path, "%s/data/onnx/%s", UB_TEST_DATA, models[1]);
    assert_int_equal(ub_open(&m, path, &err), UB_OK);
    assert_int_equal(make_port_tensor(&x, ub_model_input(m, 0), &err), UB_OK);
    const char *output = ub_model_output(m, 0)->name;
    long n = 1;
    for (bool more = true; more; n++) {
        ub_tensor *t = NULL;
        assert_int_equal(ub_session_new(&s, m, NULL, &err), UB_OK);
        assert_int_equal(ub_session_set(s, NULL, x, &err), UB_OK);
        more = fault_next(n);
        if (ub_get(&t, s, output, &err) != UB_OK) {
            assert_int_equal(err.code, UB_ERR_MEMORY);
            assert_null(t);
        }
        fault_stop();
        ub_tensor_free(t);
        assert_int_equal(ub_get(&t, s, output, &err), UB_OK);
        ub_tensor_free(t);
        ub_session_free(s);
    }
    assert_true(n > 20);
    ub_tensor_free(x);
    ub_model_free(m);
}

/* Blocks side by side: whatever fails, in whichever thread, the session gives memory back and goes
 * on. */
static void test_side_by_side(void **state)
{
    (void)state;
    enum { EVERY = 11 };
    const int64_t dims[] = {300, 1, 28, 28};
    ub_model *m = NULL;
    ub_tensor *x = NULL;
    ub_error err = {0};
    ub_session_options options = UB_SESSION_OPTIONS_INIT;
    options.threads = 2;
    assert_int_equal(ub_open(&m, UB_TEST_DATA "/../examples/digits/digits.onnx", &err), UB_OK);
    assert_int_equal(ub_tensor_random_normal(&x, 4, dims, 3, &err), UB_OK);
    const long live = fault_live();
    long n = 1;
    for (; fault_next(n); n += EVERY) {
        ub_session *s = NULL;
        ub_tensor *t = NULL;
        ub_status status = ub_session_new(&s, m, &options, &err);
        if (status == UB_OK)
            status = ub_session_set(s, NULL, x, &err);
        if (status == UB_OK)
            status = ub_get(&t, s, "fc2", &err);
        fault_stop();
        if (status != UB_OK && (status != UB_ERR_MEMORY || t))
            fail_msg("allocation %ld: %d %s", n, (int)status, err.message);
        ub_tensor_free(t);
        if (s) {
            assert_int_equal(ub_session_set(s, NULL, x, &err), UB_OK);
            assert_int_equal(ub_get(&t, s, "fc2", &err), UB_OK);
            ub_tensor_free(t);
        }
        ub_session_free(s);
        assert_int_equal(fault_live(), live);
    }
    assert_true(n > 100);
    ub_tensor_free(x);
    ub_model_free(m);
}

/* A limit that is too low: what is needed and what is allowed. */
static void test_memory_limit(void **state)
{
    (void)state;
    ub_session_options options = UB_SESSION_OPTIONS_INIT;
    ub_error err = {0};
    char path[512];
    options.memory_limit = 16;
    snprintf(path, sizeof path, "%s/data/onnx/%s", UB_TEST_DATA, models[0]);
    assert_int_equal(open_and_use(path, &options, &err), UB_ERR_MEMORY);
    assert_non_null(strstr(err.message, "needs"));
    assert_non_null(strstr(err.message, "limit"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain),        cmocka_unit_test(test_fast),
        cmocka_unit_test(test_many),         cmocka_unit_test(test_session_goes_on),
        cmocka_unit_test(test_side_by_side), cmocka_unit_test(test_memory_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
