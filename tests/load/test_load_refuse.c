/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Models that must be refused, each with its one line: files of other kinds, damaged messages,
 * impossible graphs, weights that do not fit.
 */
#include "load/load.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "onnx_writer.h"

/* Opens bytes that must be refused. Frees them. */
static void refuse_bytes(msg m, ub_status status, const char *message)
{
    ubp_loaded l;
    ub_error err = {0};
    assert_int_equal(ubp_load(&l, NULL, m.bytes, m.n, &err), status);
    assert_int_equal(err.code, status);
    assert_string_equal(err.message, message);
    assert_null(l.graph);
    free(m.bytes);
}

static void refuse(msg graph, ub_status status, const char *message)
{
    refuse_bytes(write_model(graph, 20), status, message);
}

static void refuse_text(const char *text, size_t n, ub_status status, const char *message)
{
    msg m = {0};
    msg_raw(&m, text, n);
    refuse_bytes(m, status, message);
}

/* ---- Other files ----------------------------------------------------------------------------- */

static void test_other_files(void **state)
{
    (void)state;
    refuse_text("", 0, UB_ERR_FILE, "not a model: the file is empty");
    refuse_text("PK\3\4xxxxxxxx", 12, UB_ERR_FILE, "damaged zip file: Not a zip archive");
    refuse_text("\x89HDF\r\n\x1a\nxx", 10, UB_ERR_UNSUPPORTED,
                "an HDF5 file with superblock 120, where Keras writes 0; save it again with Keras,"
                " or with h5py's libver='earliest'");
    refuse_text(
        "{\"a\": 1}", 8, UB_ERR_FILE,
        "not a model: starts with '{' (JSON text); ONNX, .pt2, .keras and .h5 files are opened");
    refuse_text("\x08\x0a", 2, UB_ERR_FILE, "not an ONNX model: there is no graph in it");
}

static void refuse_file(const char *name, const char *message)
{
    char path[512];
    ubp_loaded l;
    ub_error err = {0};
    snprintf(path, sizeof(path), "%s/data/onnx/%s", UB_TEST_DATA, name);
    assert_int_equal(ubp_load(&l, path, NULL, 0, &err), UB_ERR_FILE);
    assert_string_equal(err.message, message);
}

static void test_fixtures(void **state)
{
    (void)state;
    refuse_file("refuse_external_absolute.onnx",
                "external data '/etc/hostname' of tensor 'conv1.weight' is an absolute path; only"
                " files in the model's folder are opened");
    refuse_file("refuse_external_escape.onnx",
                "external data '../pt2/mlp.pt2' of tensor 'conv1.weight' leads out of the model's"
                " folder");
    refuse_file("refuse_external_missing.onnx",
                "external data 'no_such_file.data' of tensor 'conv1.weight' cannot be opened: No"
                " such file or directory");
    refuse_file("refuse_truncated.onnx",
                "damaged protobuf: field 7 has 3852 bytes, its message has only 1917 left (at byte"
                " 19)");
}

/* ---- Versions -------------------------------------------------------------------------------- */

static void test_versions(void **state)
{
    (void)state;
    msg g = write_graph("x", "y");
    msg_put(&g, W_NODE, write_node("Relu", "r", "x", "y"));
    refuse_bytes(write_model(g, 29), UB_ERR_UNSUPPORTED,
                 "the model uses opset 29, newer than the 28 that is known");
    g = write_graph("x", "y");
    msg_put(&g, W_NODE, write_node("Relu", "r", "x", "y"));
    refuse_bytes(write_model(g, 0), UB_ERR_FILE,
                 "node 'r' (Relu) is of ai.onnx, whose version the model does not say");
    msg m = write_model(write_graph("x", "x"), 20), id = {0};
    msg_int(&id, 2, 19);
    msg_put(&m, 8, id);
    refuse_bytes(m, UB_ERR_FILE, "the model imports two opsets, 20 and 19");
    m = write_model(write_graph("x", "x"), 20);
    msg_put(&m, 7, write_graph("x", "x"));
    refuse_bytes(m, UB_ERR_FILE, "the model holds two graphs");
}

/* ---- Graphs ---------------------------------------------------------------------------------- */

static void test_graphs(void **state)
{
    (void)state;
    msg g = write_graph("x", "y");
    msg_put(&g, W_NODE, write_node("Add", "a", "x, y", "h"));
    msg_put(&g, W_NODE, write_node("Relu", "b", "h", "y"));
    refuse(g, UB_ERR_FILE, "the graph has a cycle through node 'a' (Add)");

    g = write_graph("x", "y");
    msg_put(&g, W_NODE, write_node("Relu", "a", "x", "y"));
    msg_put(&g, W_NODE, write_node("Relu", "b", "x", "y"));
    refuse(g, UB_ERR_FILE, "value 'y' is given twice: by node 'b' (Relu) and by node 'a' (Relu)");

    g = write_graph("x", "y");
    msg_put(&g, W_NODE, write_node("Relu", "", "z", "y"));
    refuse(g, UB_ERR_FILE, "node number 0 (Relu) reads 'z', which nothing in the model gives");

    refuse(write_graph("x", "y"), UB_ERR_FILE, "output 'y' of the model is given by no node of it");

    g = write_graph("x", "x");
    msg_put(&g, W_INPUT, write_info("x", 1, 0, NULL));
    refuse(g, UB_ERR_FILE, "the graph has two inputs 'x'");

    g = write_graph("x", "x");
    msg_put(&g, W_NODE, write_node("", "a", "x", "y"));
    refuse(g, UB_ERR_FILE, "damaged file: node 'a' names no operator");

    g = write_graph("x", "y");
    msg_put(&g, W_NODE, write_node("Conv", "c", "x", "y"));
    refuse(g, UB_ERR_FILE,
           "node 'c' (Conv) has 1 inputs and 1 outputs, or lacks one; expected 2 to 3, and 1 to 1");

    g = write_graph("x", "y");
    msg_put(&g, W_NODE, write_node("Conv", "c", ", x, x", "y"));
    refuse(g, UB_ERR_FILE,
           "node 'c' (Conv) has 3 inputs and 1 outputs, or lacks one; expected 2 to 3, and 1 to 1");
}

static void test_names_with_zero_bytes(void **state)
{
    (void)state;
    msg g = write_graph("x", "x"), n = {0};
    msg_bytes(&n, 1, "a\0b", 3);
    msg_str(&n, 4, "Relu");
    msg_put(&g, W_NODE, n);
    ubp_loaded l;
    ub_error err = {0};
    msg m = write_model(g, 20);
    assert_int_equal(ubp_load(&l, NULL, m.bytes, m.n, &err), UB_ERR_FILE);
    assert_non_null(strstr(err.message, "damaged file: a name holds a zero byte"));
    free(m.bytes);
}

/* Bodies in bodies, n deep, around an empty one. */
static msg nested(int n)
{
    msg body = {0};
    for (int i = 0; i < n; i++) {
        msg outer = {0}, node = write_node("If", "", "c", "y"), attr = write_attr("then_branch", 5);
        msg_put(&attr, 6, body);
        msg_put(&node, 5, attr);
        msg_put(&outer, W_NODE, node);
        body = outer;
    }
    msg_put(&body, W_INPUT, write_info("c", 9, 0, NULL));
    return body;
}

static void test_depth_of_bodies(void **state)
{
    (void)state;
    ubp_loaded l;
    msg m = write_model(nested(32), 20);
    assert_int_equal(ubp_load(&l, NULL, m.bytes, m.n, NULL), UB_OK);
    ubp_loaded_release(&l);
    free(m.bytes);
    refuse(nested(33), UB_ERR_UNSUPPORTED,
           "bodies of If, Loop or Scan are nested more than 32 deep");
    refuse(nested(2000), UB_ERR_UNSUPPORTED,
           "bodies of If, Loop or Scan are nested more than 32 deep");
}

static void test_attributes(void **state)
{
    (void)state;
    msg g = write_graph("x", "y"), n = write_node("Relu", "r", "x", "y");
    msg_put(&n, 5, write_attr("value", 4));
    msg_put(&g, W_NODE, n);
    refuse(g, UB_ERR_FILE, "damaged file: attribute 'value' has no value of its type");

    g = write_graph("x", "y");
    n = write_node("Relu", "r", "x", "y");
    msg_put(&n, 5, write_attr("a", 99));
    msg_put(&g, W_NODE, n);
    refuse(g, UB_ERR_FILE, "damaged file: attribute 'a' has no value of its type");

    g = write_graph("x", "y");
    n = write_node("Squeeze", "s", "x", "y");
    msg_put(&n, 5, write_attr("axes", 3));
    msg_put(&g, W_NODE, n);
    msg m = write_model(g, 11);
    ubp_loaded l;
    assert_int_not_equal(ubp_load(&l, NULL, m.bytes, m.n, NULL), UB_OK);
    free(m.bytes);
}

/* ---- Weights --------------------------------------------------------------------------------- */

static void refuse_weight(msg tensor, ub_status status, const char *message)
{
    msg g = write_graph("x", "x");
    msg_put(&g, W_INITIALIZER, tensor);
    refuse(g, status, message);
}

static void test_weights(void **state)
{
    (void)state;
    const int64_t two = 2, huge[] = {INT64_MAX / 2, 3}, million = 1000000;
    msg t = write_tensor("w", 1, 1, &two);
    msg_bytes(&t, 9, "1234567", 7);
    refuse_weight(t, UB_ERR_FILE,
                  "tensor 'w' of shape (2,) and float32 needs 8 bytes, its raw_data has 7 (at byte"
                  " 63)");
    refuse_weight(write_tensor("w", 1, 2, huge), UB_ERR_FILE,
                  "tensor 'w' has the impossible shape (4611686018427387903, 3)");
    refuse_weight(write_tensor("w", 6, 1, &million), UB_ERR_FILE,
                  "tensor 'w' of shape (1000000,) has fewer than its 1000000 elements");
    refuse_weight(write_tensor("w", 1, 1, &two), UB_ERR_FILE,
                  "tensor 'w' of shape (2,) has fewer than its 2 elements");
    refuse_weight(write_tensor("w", 99, 1, &two), UB_ERR_FILE,
                  "tensor 'w' has an unknown element type (99)");
    refuse_weight(write_tensor("w", 0, 1, &two), UB_ERR_FILE,
                  "tensor 'w' has an unknown element type (0)");
    t = write_tensor("w", 7, 1, &two);
    for (int i = 0; i < 3; i++)
        msg_int(&t, 7, i);
    refuse_weight(t, UB_ERR_FILE, "tensor 'w' of shape (2,) has more than its 2 elements");
}

static void test_dims_of_weights(void **state)
{
    (void)state;
    const int64_t minus = -2, many[17] = {0};
    ubp_loaded l;
    ub_error err = {0};
    for (int i = 0; i < 2; i++) {
        msg g = write_graph("x", "x");
        msg_put(&g, W_INITIALIZER,
                i == 0 ? write_tensor("w", 1, 1, &minus) : write_tensor("w", 1, 17, many));
        msg m = write_model(g, 20);
        assert_int_equal(ubp_load(&l, NULL, m.bytes, m.n, &err),
                         i == 0 ? UB_ERR_FILE : UB_ERR_UNSUPPORTED);
        assert_non_null(strstr(err.message, i == 0 ? "a tensor has a negative dimension, -2"
                                                   : "a tensor has more than 16 dimensions"));
        free(m.bytes);
    }
}

static void test_weights_given_twice(void **state)
{
    (void)state;
    const float v = 1;
    msg g = write_graph("x", "x");
    msg_put(&g, W_INITIALIZER, write_floats("w", 1, &v));
    msg_put(&g, W_INITIALIZER, write_floats("w", 1, &v));
    refuse(g, UB_ERR_FILE, "value 'w' is given twice");
    g = write_graph("x", "x");
    msg_put(&g, W_INITIALIZER, write_floats("w", 1, &v));
    msg_put(&g, W_NODE, write_node("Relu", "r", "x", "w"));
    refuse(g, UB_ERR_FILE, "value 'w' is given twice: by node 'r' (Relu) and by a weight");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_other_files),
        cmocka_unit_test(test_fixtures),
        cmocka_unit_test(test_versions),
        cmocka_unit_test(test_graphs),
        cmocka_unit_test(test_names_with_zero_bytes),
        cmocka_unit_test(test_depth_of_bodies),
        cmocka_unit_test(test_attributes),
        cmocka_unit_test(test_weights),
        cmocka_unit_test(test_dims_of_weights),
        cmocka_unit_test(test_weights_given_twice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
