/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Models cut at every byte, and with every byte changed: each opens or is refused with one clear
 * line, and takes memory in proportion to the file. Bytes lie in memory of their exact size, so
 * that a sanitizer sees a read past the end.
 */
#include "load/load.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char *const models[] = {"conv_seed.dynamo", "conv_seed.torchscript",
                                     "keras_conv_seed.tf2onnx", "mlp.torchscript",
                                     "gru_seq.torchscript"};

static uint8_t *read_model(const char *name, size_t *size)
{
    char path[512];
    ub_buffer *b = NULL;
    snprintf(path, sizeof(path), "%s/data/onnx/%s.onnx", UB_TEST_DATA, name);
    assert_int_equal(ubp_map_file(&b, path, NULL), UB_OK);
    uint8_t *bytes = malloc(b->size);
    assert_non_null(bytes);
    memcpy(bytes, b->data, b->size);
    *size = b->size;
    ubp_buffer_unref(b);
    return bytes;
}

/* Whether the bytes open. */
static bool try_open(const uint8_t *bytes, size_t size)
{
    ubp_loaded l;
    ub_error err = {0};
    const ub_status status = ubp_load(&l, NULL, bytes, size, &err);
    if (status == UB_OK) {
        const ubp_graph *g = l.graph;
        assert_true(g->arena.used < 400 * size + 4096);
        assert_true(g->n_values + g->n_nodes < size);
        ubp_loaded_release(&l);
        return true;
    }
    assert_true(status == UB_ERR_FILE || status == UB_ERR_UNSUPPORTED);
    assert_int_equal(err.code, status);
    assert_true(strlen(err.message) > 10);
    assert_null(strchr(err.message, '\n'));
    return false;
}

/* Where the graph ends: what is shorter is no model. */
static size_t end_of_graph(const uint8_t *bytes, size_t size)
{
    ubp_proto p = {bytes, bytes, bytes + size};
    for (bool more = true; more;) {
        ubp_proto_field f;
        assert_int_equal(ubp_proto_next(&p, &f, &more, NULL), UB_OK);
        if (more && f.number == 7)
            return (size_t)(p.at - bytes);
    }
    return 0;
}

static void test_cuts(void **state)
{
    (void)state;
    for (int i = 0; i < UBP_COUNT(models); i++) {
        size_t size = 0;
        uint8_t *bytes = read_model(models[i], &size);
        const size_t needed = end_of_graph(bytes, size);
        for (size_t n = 0; n < size; n++) {
            uint8_t *cut = malloc(n ? n : 1);
            assert_non_null(cut);
            memcpy(cut, bytes, n);
            if (try_open(cut, n) && n < needed)
                fail_msg("%s cut to %zu bytes opens", models[i], n);
            free(cut);
        }
        assert_true(try_open(bytes, size));
        free(bytes);
    }
}

static void test_changed_bytes(void **state)
{
    (void)state;
    static const uint8_t changes[] = {0x01, 0x80, 0xFF, 0x08};
    for (int i = 0; i < UBP_COUNT(models); i++) {
        size_t size = 0;
        uint8_t *bytes = read_model(models[i], &size);
        for (size_t at = 0; at < size; at++) {
            for (int k = 0; k < UBP_COUNT(changes); k++) {
                bytes[at] ^= changes[k];
                try_open(bytes, size);
                bytes[at] ^= changes[k];
            }
        }
        free(bytes);
    }
}

/* A file that asks for much with few bytes. */
static void test_small_files_stay_small(void **state)
{
    (void)state;
    enum { NODES = 20000 };
    /* Nodes of two bytes name no operator; one of them is enough to stop. */
    uint8_t *bytes = malloc(8 + 2 * NODES);
    assert_non_null(bytes);
    size_t n = 0;
    bytes[n++] = 0x3A; /* graph */
    const size_t size = 2 * NODES;
    for (size_t v = size; v; v >>= 7)
        bytes[n++] = (uint8_t)((v & 127) | (v > 127 ? 128 : 0));
    for (int i = 0; i < NODES; i++) {
        bytes[n++] = 0x0A;
        bytes[n++] = 0;
    }
    assert_false(try_open(bytes, n));
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cuts),
        cmocka_unit_test(test_changed_bytes),
        cmocka_unit_test(test_small_files_stay_small),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
