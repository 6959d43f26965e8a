/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keras' files: what is refused, and with which words; weights by their names, as views of the
 * file; files cut and changed.
 */
#include "load/load.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void path_of(char *out, size_t size, const char *name)
{
    snprintf(out, size, "%s/data/keras/%s", UB_TEST_DATA, name);
}

static void open_file(ubp_loaded *l, const char *name)
{
    char path[512];
    ub_error err = {0};
    path_of(path, sizeof(path), name);
    if (ubp_load(l, path, NULL, 0, &err) != UB_OK)
        fail_msg("%s: %s", name, err.message);
}

/* ---- Refused --------------------------------------------------------------------------------- */

static void test_refused(void **state)
{
    static const struct {
        const char *file, *message;
        ub_status status;
    } cases[] = {
        {"refuse_lambda.keras",
         "layer 'lambda' (Lambda): it holds marshalled Python code, which is never run; use"
         " keras.ops in place of Lambda, or export the model as ONNX",
         UB_ERR_UNSUPPORTED},
        {"refuse_lambda.h5",
         "layer 'lambda' (Lambda): it holds marshalled Python code, which is never run; use"
         " keras.ops in place of Lambda, or export the model as ONNX",
         UB_ERR_UNSUPPORTED},
        {"refuse_custom.keras",
         "layer 'my_scale' (Scale): it is of the custom class pkg>Scale, whose code is not in the"
         " file; export the model as ONNX",
         UB_ERR_UNSUPPORTED},
        {"refuse_custom_dense.keras",
         "layer 'dense' (Dense): it is of the custom class pkg>Dense, whose code is not in the "
         "file;"
         " export the model as ONNX",
         UB_ERR_UNSUPPORTED},
        {"refuse_subclassed.keras",
         "this is a subclassed model (class Sub): the file has its weights but not how its layers"
         " are connected; build the model as Functional or Sequential, or export it as ONNX",
         UB_ERR_UNSUPPORTED},
        {"refuse_no_config.keras",
         "there is no config.json in the archive: it has weights without a network", UB_ERR_FILE},
    };
    (void)state;
    for (int i = 0; i < UBP_COUNT(cases); i++) {
        char path[512];
        ubp_loaded l;
        ub_error err = {0};
        path_of(path, sizeof(path), cases[i].file);
        assert_int_equal(ubp_load(&l, path, NULL, 0, &err), cases[i].status);
        assert_string_equal(err.message, cases[i].message);
    }
}

/* ---- Weights --------------------------------------------------------------------------------- */

static const ub_tensor *weight(const ubp_loaded *l, const char *name)
{
    const int32_t at = ubp_table_find(&l->graph->value_names, name);
    if (at < 0 || !l->graph->values[at].constant)
        fail_msg("no weight '%s'", name);
    return l->graph->values[at].constant;
}

static bool is_in(const ub_buffer *b, const void *p)
{
    const uint8_t *at = p, *from = b->data;
    return at >= from && at < from + b->size;
}

static void test_weights(void **state)
{
    static const char *const names[] = {"inner_seq/d0/kernel", "inner_fun/fdense/bias",
                                        "shared/kernel"};
    static const char *const rnn_names[] = {
        "emb/embeddings", "bi/forward_lstm/kernel", "bi/backward_lstm/recurrent_kernel",
        "gru/bias",       "td/dense/kernel",        "srnn/kernel"};
    static const char *const mha_names[] = {"mha/query/kernel", "mha/attention_output/bias",
                                            "ln1/gamma"};
    static const char *const files[][2] = {{"nested.keras", "nested.h5"},
                                           {"rnn.keras", "rnn.h5"},
                                           {"transformer.keras", "transformer.h5"}};
    const char *const *lists[] = {names, rnn_names, mha_names};
    const int counts[] = {UBP_COUNT(names), UBP_COUNT(rnn_names), UBP_COUNT(mha_names)};
    (void)state;
    for (int i = 0; i < UBP_COUNT(files); i++) {
        for (int k = 0; k < 2; k++) {
            ubp_loaded l;
            open_file(&l, files[i][k]);
            for (int j = 0; j < counts[i]; j++) {
                const ub_tensor *t = weight(&l, lists[i][j]);
                if (!is_in(l.file, t->data))
                    fail_msg("%s: '%s' is no view of the file", files[i][k], lists[i][j]);
            }
            ubp_loaded_release(&l);
        }
    }
}

/* bfloat16 is written as opaque elements; 1.0 is 0x3F80. */
static void test_bfloat16(void **state)
{
    ubp_loaded l;
    (void)state;
    open_file(&l, "bf16.keras");
    assert_int_equal(weight(&l, "d/kernel")->dtype, UB_BF16);
    assert_int_equal(weight(&l, "d/kernel")->dims[0], 4);
    ubp_loaded_release(&l);
}

/* ---- Damage ---------------------------------------------------------------------------------- */

static uint8_t *read_file(const char *name, size_t *size)
{
    char path[512];
    ub_buffer *b = NULL;
    path_of(path, sizeof(path), name);
    assert_int_equal(ubp_map_file(&b, path, NULL), UB_OK);
    uint8_t *bytes = malloc(b->size);
    assert_non_null(bytes);
    memcpy(bytes, b->data, b->size);
    *size = b->size;
    ubp_buffer_unref(b);
    return bytes;
}

/* Opens, or is refused with one line. */
static bool try_open(const uint8_t *bytes, size_t size)
{
    ubp_loaded l;
    ub_error err = {0};
    const ub_status status = ubp_load(&l, NULL, bytes, size, &err);
    if (status == UB_OK) {
        unsigned sum = 0;
        for (size_t i = 0; i < l.graph->n_values; i++) {
            const ub_tensor *t = l.graph->values[i].constant;
            for (size_t k = 0; t && k < ubp_tensor_bytes(t); k++)
                sum += ((const uint8_t *)t->data)[k];
        }
        volatile unsigned sink = sum; /* the bytes are really read */
        (void)sink;
        ubp_loaded_release(&l);
        return true;
    }
    assert_int_equal(err.code, status);
    assert_true(strlen(err.message) > 10);
    assert_null(strchr(err.message, '\n'));
    return false;
}

static const char *const damaged[] = {"nested_tail.h5", "crossed_names.keras", "deflated.keras",
                                      "conv_seed.h5"};

static void test_cuts(void **state)
{
    (void)state;
    for (int i = 0; i < UBP_COUNT(damaged); i++) {
        size_t size = 0;
        uint8_t *bytes = read_file(damaged[i], &size);
        for (size_t n = 0; n < size; n += n < 2048 ? 1 : 37) {
            uint8_t *cut = malloc(n ? n : 1);
            assert_non_null(cut);
            memcpy(cut, bytes, n);
            try_open(cut, n);
            free(cut);
        }
        assert_true(try_open(bytes, size));
        free(bytes);
    }
}

static void test_changed_bytes(void **state)
{
    static const uint8_t changes[] = {0x01, 0x80, 0xFF};
    (void)state;
    for (int i = 0; i < UBP_COUNT(damaged); i++) {
        size_t size = 0;
        uint8_t *bytes = read_file(damaged[i], &size);
        for (size_t at = 0; at < size; at++) {
            const uint8_t was = bytes[at];
            bytes[at] ^= changes[at % UBP_COUNT(changes)];
            try_open(bytes, size);
            bytes[at] = was;
        }
        free(bytes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refused),       cmocka_unit_test(test_weights),
        cmocka_unit_test(test_bfloat16),      cmocka_unit_test(test_cuts),
        cmocka_unit_test(test_changed_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
