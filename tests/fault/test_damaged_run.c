/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Models cut at every byte, and with every byte changed, opened and run: each gives an answer or
 * one clear line, whatever layer is asked for. Bytes lie in memory of their exact size, so that a
 * sanitizer sees a read past the end. (tests/load does the same to the loader alone.)
 */
#include "whole_run.h"

#include <unistd.h>

static const char *const models[] = {"conv_seed.torchscript.onnx", "keras_conv_seed.tf2onnx.onnx",
                                     "mlp.torchscript.onnx", "gru_seq.torchscript.onnx",
                                     "positions.torchscript.onnx"};
enum { N_MODELS = sizeof models / sizeof models[0] };

static const ub_session_options plain = {.size_of = sizeof(ub_session_options),
                                         .threads = 1,
                                         .memory_limit = 32 << 20,
                                         .reference = true};

/* Whether the bytes open and everything in them is answered. */
static bool try_bytes(const uint8_t *bytes, size_t size, const ub_session_options *options)
{
    ub_model *m = NULL;
    ub_error err = {0};
    uint8_t *copy = malloc(size ? size : 1);
    assert_non_null(copy);
    memcpy(copy, bytes, size);
    ub_status status = ub_open_memory(&m, copy, size, &err);
    check_error(status, &err, "open");
    if (status == UB_OK)
        status = use_model(m, options, &err);
    ub_model_free(m);
    free(copy);
    return status == UB_OK;
}

static void test_whole_models(void **state)
{
    (void)state;
    for (int i = 0; i < N_MODELS; i++) {
        size_t size = 0;
        uint8_t *bytes = read_test_file(models[i], &size);
        ub_session_options fast = plain;
        fast.reference = false;
        if (!try_bytes(bytes, size, &plain) || !try_bytes(bytes, size, &fast))
            fail_msg("%s does not run", models[i]);
        free(bytes);
    }
}

static void test_cuts(void **state)
{
    (void)state;
    for (int i = 0; i < N_MODELS; i++) {
        size_t size = 0;
        uint8_t *bytes = read_test_file(models[i], &size);
        for (size_t n = 0; n < size; n++)
            try_bytes(bytes, n, &plain);
        free(bytes);
    }
}

/* The same through a file: nothing that was mapped is read past its end. */
static void test_cut_files(void **state)
{
    (void)state;
    char path[] = UB_TEST_BUILD "/cut-XXXXXX";
    size_t size = 0;
    uint8_t *bytes = read_test_file(models[0], &size);
    const int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, size), size);
    for (size_t n = size; n-- > 0;) {
        ub_model *m = NULL;
        ub_error err = {0};
        assert_int_equal(ftruncate(fd, (off_t)n), 0);
        const ub_status status = ub_open(&m, path, &err);
        check_error(status, &err, "open");
        if (status == UB_OK)
            (void)use_model(m, &plain, &err);
        else
            assert_non_null(strstr(err.message, path));
        ub_model_free(m);
    }
    close(fd);
    unlink(path);
    free(bytes);
}

/* Some of these models must be answered and some refused, or the test tests nothing. */
static void change_each(const char *name, const uint8_t *changes, int n_changes,
                        const ub_session_options *options)
{
    size_t size = 0;
    int counts[2] = {0};
    uint8_t *bytes = read_test_file(name, &size);
    for (size_t at = 0; at < size; at++) {
        for (int k = 0; k < n_changes; k++) {
            bytes[at] ^= changes[k];
            counts[try_bytes(bytes, size, options)]++;
            bytes[at] ^= changes[k];
        }
    }
    assert_true(counts[false] > 50);
    assert_true(counts[true] > 50);
    free(bytes);
}

static void test_changed_bytes(void **state)
{
    (void)state;
    static const uint8_t changes[] = {0x01, 0x80, 0xFF};
    for (int i = 0; i < N_MODELS; i++)
        change_each(models[i], changes, 3, &plain);
}

/* The fast kernels are handed the same shapes and attributes. */
static void test_changed_bytes_fast(void **state)
{
    (void)state;
    static const uint8_t change = 0x04;
    ub_session_options fast = plain;
    fast.reference = false;
    change_each(models[0], &change, 1, &fast);
    change_each(models[2], &change, 1, &fast);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole_models),       cmocka_unit_test(test_cuts),
        cmocka_unit_test(test_cut_files),          cmocka_unit_test(test_changed_bytes),
        cmocka_unit_test(test_changed_bytes_fast),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
