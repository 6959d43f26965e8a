/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Addresses: what they resolve to, what is said of those that mean nothing, what patterns stand
 * for.
 */
#include "api/address.h"
#include "load/load.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void open_model(ubp_loaded *l, const char *file)
{
    char path[512];
    ub_error err = {0};
    snprintf(path, sizeof(path), "%s/data/onnx/%s", UB_TEST_DATA, file);
    if (ubp_load(l, path, NULL, 0, &err) != UB_OK)
        fail_msg("%s: %s", file, err.message);
}

/* The text means this value; slice NULL: it has none. */
static void means(const ubp_loaded *l, const char *text, const char *value, const char *slice)
{
    ubp_address at;
    ub_error err = {0};
    if (ubp_address_parse(&at, l->graph, text, &err) != UB_OK)
        fail_msg("%s: %s", text, err.message);
    assert_string_equal(l->graph->values[at.value].name, value);
    if (slice)
        assert_string_equal(at.slice, slice);
    else
        assert_null(at.slice);
    assert_int_equal(ubp_address_parse(&at, l->graph, text, NULL), UB_OK);
}

static void refused(const ubp_loaded *l, const char *text, ub_status status, const char *message)
{
    ubp_address at;
    ub_error err = {0};
    assert_int_equal(ubp_address_parse(&at, l->graph, text, &err), status);
    assert_int_equal(err.code, status);
    assert_string_equal(err.message, message);
    assert_int_equal(ubp_address_parse(&at, l->graph, text, NULL), status);
}

/* Items separated by spaces. */
static void stands_for(const ubp_loaded *l, const char *pattern, const char *items)
{
    ubp_address_list list;
    ub_error err = {0};
    char got[4096] = "";
    if (ubp_address_match(&list, l->graph, pattern, &err) != UB_OK)
        fail_msg("%s: %s", pattern, err.message);
    for (size_t i = 0; i < list.n; i++) {
        ubp_address at;
        assert_int_equal(ubp_address_parse(&at, l->graph, list.items[i], &err), UB_OK);
        snprintf(got + strlen(got), sizeof(got) - strlen(got), "%s%s", i ? " " : "", list.items[i]);
    }
    assert_string_equal(got, items);
    ubp_address_list_release(&list);
}

static void matches_nothing(const ubp_loaded *l, const char *pattern, ub_status status,
                            const char *message)
{
    ubp_address_list list;
    ub_error err = {0};
    assert_int_equal(ubp_address_match(&list, l->graph, pattern, &err), status);
    assert_string_equal(err.message, message);
    assert_int_equal(list.n, 0);
    assert_null(list.items);
}

/* ---- Meaning --------------------------------------------------------------------------------- */

static void test_layers(void **state)
{
    ubp_loaded l;
    (void)state;
    open_model(&l, "resnet_tiny.torchscript_nofold.onnx");
    means(&l, "conv1", "/conv1/Conv_output_0", NULL);
    means(&l, "conv1:out", "/conv1/Conv_output_0", NULL);
    means(&l, "conv1:out0", "/conv1/Conv_output_0", NULL);
    means(&l, "conv1:in", "input", NULL);
    means(&l, "conv1:in0", "input", NULL);
    means(&l, "conv1#0:in", "input", NULL);
    means(&l, "conv1:in[4]", "input", "[4]");
    means(&l, "conv1:in0[4, :, 1:]", "input", "[4, :, 1:]");
    means(&l, "fc[[1, 4, 4]]", "output", "[[1, 4, 4]]");
    means(&l, "fc[...,[[0],[1]]]", "output", "[...,[[0],[1]]]");
    means(&l, "layer1.0.relu", "/layer1/layer1.0/relu/Relu_output_0", NULL);
    means(&l, "layer1.0.relu#1[::-1]", "/layer1/layer1.0/relu_1/Relu_output_0", "[::-1]");
    means(&l, "layer1.0.relu_1", "/layer1/layer1.0/relu_1/Relu_output_0", NULL);
    ubp_loaded_release(&l);
}

static void test_nodes_and_tensors(void **state)
{
    ubp_loaded l;
    (void)state;
    open_model(&l, "resnet_tiny.torchscript_nofold.onnx");
    means(&l, "/conv1/Conv", "/conv1/Conv_output_0", NULL);
    means(&l, "/conv1/Conv:in1", "conv1.weight", NULL);
    means(&l, "/layer1/layer1.0/Add:in1[0]", "/maxpool/MaxPool_output_0", "[0]");
    means(&l, "/conv1/Conv_output_0", "/conv1/Conv_output_0", NULL);
    means(&l, "/conv1/Conv_output_0:out[2]", "/conv1/Conv_output_0", "[2]");
    means(&l, "conv1.weight", "conv1.weight", NULL);
    means(&l, "input", "input", NULL);
    means(&l, "output[0]", "output", "[0]");
    ubp_loaded_release(&l);
    /* tf2onnx: names hold ':' and '/'. */
    open_model(&l, "keras_cnn.tf2onnx.onnx");
    means(&l, "cnn_1/re_lu_1/Relu6:0", "cnn_1/re_lu_1/Relu6:0", NULL);
    means(&l, "cnn_1/re_lu_1/Relu6:0[3]", "cnn_1/re_lu_1/Relu6:0", "[3]");
    means(&l, "cnn_1/re_lu_1/Relu6", "cnn_1/re_lu_1/Relu6:0", NULL);
    means(&l, "cnn_1/re_lu_1/Relu6:in", "Conv__55:0", NULL);
    ubp_loaded_release(&l);
}

/* A graph of Identity nodes whose values have these names. */
static void build_chain(ubp_loaded *l, const char *const *names, int n)
{
    ubp_graph *g = NULL;
    int32_t values[16];
    *l = (ubp_loaded){0};
    assert_int_equal(ubp_graph_new(&g, NULL), UB_OK);
    l->graph = g;
    for (int i = 0; i < n; i++)
        assert_int_equal(ubp_graph_value(g, names[i], &values[i], NULL), UB_OK);
    g->values[values[0]].is_input = true;
    for (int i = 1; i < n; i++) {
        const ubp_node node = {.name = "",
                               .op_type = "Identity",
                               .domain = "",
                               .n_in = 1,
                               .n_out = 1,
                               .in = &values[i - 1],
                               .out = &values[i]};
        assert_int_equal(ubp_graph_node(g, &node, NULL, NULL), UB_OK);
    }
    assert_int_equal(ubp_graph_sort(g, NULL), UB_OK);
}

static void test_odd_names(void **state)
{
    static const char *const names[] = {"x",      "x[3]",    "x:in", "x:out0[1]", "a]",
                                        "x#1",    "[0]",     ":in",  "x[3]:in",   "y[",
                                        "x**[0]", "@inputs", "*"};
    ubp_loaded l;
    (void)state;
    build_chain(&l, names, UBP_COUNT(names));
    for (int i = 0; i < UBP_COUNT(names); i++)
        means(&l, names[i], names[i], NULL);
    means(&l, "x[2]", "x", "[2]");
    means(&l, "x[3][2]", "x[3]", "[2]");
    means(&l, "x:in[2]", "x:in", "[2]");
    means(&l, "x:out0[1][0]", "x:out0[1]", "[0]");
    means(&l, "x:out", "x", NULL);
    means(&l, "x:out0[2]", "x", "[2]");
    means(&l, "x#1[0]", "x#1", "[0]");
    means(&l, "a][0]", "a]", "[0]");
    means(&l, ":in[1]", ":in", "[1]");
    stands_for(&l, "@inputs", "@inputs"); /* an exact name goes first */
    stands_for(&l, "x**[0]", "x**[0]");
    ubp_loaded_release(&l);
}

/* ---- Errors ---------------------------------------------------------------------------------- */

#define LISTS "`unbatch summary MODEL` lists all layers"

static void test_unknown(void **state)
{
    ubp_loaded l;
    (void)state;
    open_model(&l, "resnet_tiny.torchscript_nofold.onnx");
    refused(&l, "", UB_ERR_ARGUMENT, "an empty name; expected a layer, node or tensor");
    refused(&l, "conv2", UB_ERR_ARGUMENT,
            "'conv2' is ambiguous, 4 layers end in it: 'layer1.0.conv2', 'layer1.1.conv2',"
            " 'layer2.0.conv2', 'layer2.1.conv2'; give one in full; " LISTS);
    refused(&l, "layr1.0[3]", UB_ERR_ARGUMENT,
            "unknown name 'layr1.0'; near are 'layer1.0', 'layer1.1', 'layer2.0'; " LISTS);
    refused(&l, "conv1:input[3]", UB_ERR_ARGUMENT,
            "'conv1' is a layer, but nothing called ':input' belongs to one: :in and :out do,"
            " perhaps with a number");
    refused(&l, "zzz", UB_ERR_ARGUMENT, "unknown name 'zzz'; " LISTS);
    refused(&l, "conv1:in1", UB_ERR_ARGUMENT, "layer 'conv1' has one input: there is no :in1");
    refused(&l, "/conv1/Conv:in7", UB_ERR_ARGUMENT,
            "node '/conv1/Conv' has 2 inputs, :in0 to :in1: there is no :in7");
    refused(&l, "input:in", UB_ERR_ARGUMENT,
            "'input' is a tensor: it has no :in0, only layers and nodes have");
    refused(&l, "input:out3", UB_ERR_ARGUMENT,
            "'input' is a tensor: it has no :out3, only layers and nodes have");
    refused(&l, "conv1#1", UB_ERR_ARGUMENT, "'conv1' is called once: there is no #1");
    refused(&l, "layer1.0.relu#2:in", UB_ERR_ARGUMENT,
            "'layer1.0.relu' is called 2 times, #0 to #1: there is no #2");
    ubp_loaded_release(&l);
}

static void test_what_became_of_it(void **state)
{
    ubp_loaded l;
    (void)state;
    open_model(&l, "transformer_encoder.dynamo.onnx");
    refused(&l, "encoder.layers", UB_ERR_ARGUMENT,
            "'encoder.layers' is a container that is never called itself; inside are"
            " 'encoder.layers.0', 'encoder.layers.1'");
    refused(&l, "encoder.layers.0.self_attn.out_proj", UB_ERR_ARGUMENT,
            "'encoder.layers.0.self_attn.out_proj' has weights in this file, but no operation of"
            " its own: layer 'encoder.layers.0.self_attn' reads them");
    ubp_loaded_release(&l);
    open_model(&l, "resnet_tiny.dynamo.onnx");
    refused(&l, "conv1", UB_ERR_UNSUPPORTED,
            "the output of 'conv1' is not in this file: BatchNorm 'bn1' was folded into it; export"
            " with optimize=False (torch.onnx.export(..., dynamo=True)) or use .pt2");
    refused(&l, "bn1:in[0]", UB_ERR_UNSUPPORTED,
            "the input of 'bn1' (the output of 'conv1') is not in this file: BatchNorm 'bn1' was"
            " folded into 'conv1'; export with optimize=False (torch.onnx.export(...,"
            " dynamo=True)) or use .pt2");
    means(&l, "conv1:in", "input", NULL);
    means(&l, "bn1", "getitem", NULL);
    ubp_loaded_release(&l);
    open_model(&l, "resnet_tiny.torchscript.onnx");
    refused(&l, "conv1", UB_ERR_UNSUPPORTED,
            "the output of 'conv1' is not in this file: the BatchNorm behind it was folded into"
            " it; export with do_constant_folding=False (torch.onnx.export(..., dynamo=False)) or"
            " use .pt2");
    refused(&l, "bn1", UB_ERR_ARGUMENT,
            "unknown name 'bn1'; a BatchNorm that the exporter folded is not in this file; " LISTS);
    ubp_loaded_release(&l);
}

static void test_calls_in_a_row(void **state)
{
    ubp_loaded l;
    (void)state;
    open_model(&l, "shared_calls.dynamo.onnx");
    refused(&l, "a", UB_ERR_UNSUPPORTED,
            "the output of 'a' is not certain in this file, which does not say whether 'a' was"
            " called once or 2 times in a row: if 2 times, ask for 'a#0' to 'a#1'; else use .pt2");
    means(&l, "a:in", "relu_1", NULL);
    means(&l, "a#0", "tanh", NULL);
    means(&l, "a#1:in", "tanh", NULL);
    refused(&l, "a#2", UB_ERR_ARGUMENT, "'a' is called 2 times, #0 to #1: there is no #2");
    stands_for(&l, "a*", "act act#1");
    stands_for(&l, "a#*", "a#0 a#1");
    ubp_loaded_release(&l);
}

/* ---- Patterns -------------------------------------------------------------------------------- */

static void test_patterns(void **state)
{
    ubp_loaded l;
    (void)state;
    open_model(&l, "resnet_tiny.torchscript_nofold.onnx");
    stands_for(&l, "*", "conv1 bn1 relu maxpool layer1 layer2 avgpool fc");
    stands_for(&l, "layer1.*", "layer1.0 layer1.1");
    stands_for(&l, "layer1.*[4]", "layer1.0[4] layer1.1[4]");
    stands_for(&l, "layer2.0.d**:in",
               "layer2.0.downsample:in layer2.0.downsample.0:in"
               " layer2.0.downsample.1:in");
    stands_for(&l, "**.relu:out0[:, 0]",
               "layer1.0.relu:out0[:, 0] layer1.1.relu:out0[:, 0] layer2.0.relu:out0[:, 0]"
               " layer2.1.relu:out0[:, 0]");
    stands_for(&l, "layer1.0.relu*", "layer1.0.relu layer1.0.relu#1");
    stands_for(&l, "c**1", "conv1");
    stands_for(&l, "***1.1.b*", "layer1.1.bn1 layer1.1.bn2");
    stands_for(&l, "@inputs", "input");
    stands_for(&l, "@outputs[3]", "output[3]");
    stands_for(&l, "conv1:in[2]", "conv1:in[2]");
    stands_for(&l, "/*/Conv", "/conv1/Conv"); /* nodes */
    stands_for(&l, "**downsample**output_0",  /* tensors */
               "/layer2/layer2.0/downsample/downsample.0/Conv_output_0"
               " /layer2/layer2.0/downsample/downsample.1/BatchNormalization_output_0");
    matches_nothing(&l, "qq*", UB_ERR_ARGUMENT,
                    "no layer, node or tensor matches 'qq*' (* stops at '.' and '/', ** does not);"
                    " " LISTS);
    matches_nothing(&l, "conv*:in5", UB_ERR_ARGUMENT,
                    "nothing that matches 'conv*:in5' has such a value");
    matches_nothing(&l, "zzz", UB_ERR_ARGUMENT, "unknown name 'zzz'; " LISTS);
    matches_nothing(&l, "@outputs:in", UB_ERR_ARGUMENT,
                    "'@outputs:in': inputs and outputs are tensors, which have no :in and one"
                    " :out");
    ubp_loaded_release(&l);
}

/* What was folded is passed over, unless there is nothing else. */
static void test_patterns_folded(void **state)
{
    ubp_loaded l;
    (void)state;
    open_model(&l, "resnet_tiny.dynamo.onnx");
    stands_for(&l, "*", "bn1 relu maxpool layer1 layer2 avgpool fc");
    stands_for(&l, "*:in", "conv1:in relu:in maxpool:in layer1:in layer2:in avgpool:in fc:in");
    matches_nothing(&l, "co*", UB_ERR_UNSUPPORTED,
                    "the output of 'conv1' is not in this file: BatchNorm 'bn1' was folded into"
                    " it; export with optimize=False (torch.onnx.export(..., dynamo=True)) or use"
                    " .pt2");
    ubp_loaded_release(&l);
}

static void test_pattern_limits(void **state)
{
    static char pattern[4000];
    ubp_loaded l;
    (void)state;
    open_model(&l, "conv_seed.torchscript.onnx");
    for (size_t i = 0; i + 1 < sizeof(pattern); i++)
        pattern[i] = i % 2 ? '*' : 'a';
    matches_nothing(&l, pattern, UB_ERR_ARGUMENT, "a pattern longer than 1024 characters");
    pattern[1024] = '\0';
    ubp_address_list list;
    assert_int_equal(ubp_address_match(&list, l.graph, pattern, NULL), UB_ERR_ARGUMENT);
    ubp_loaded_release(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_layers),
        cmocka_unit_test(test_nodes_and_tensors),
        cmocka_unit_test(test_odd_names),
        cmocka_unit_test(test_unknown),
        cmocka_unit_test(test_what_became_of_it),
        cmocka_unit_test(test_calls_in_a_row),
        cmocka_unit_test(test_patterns),
        cmocka_unit_test(test_patterns_folded),
        cmocka_unit_test(test_pattern_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
