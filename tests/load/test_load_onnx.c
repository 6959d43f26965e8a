/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the loader makes of well-formed models: values and their shapes, weights in every way of
 * storing them, Constant nodes, odd parts that stay without operator, bodies.
 */
#include "load/load.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "onnx_writer.h"

typedef struct opened {
    ubp_loaded loaded;
    ubp_graph *g;
    msg bytes;
} opened;

static opened open_model(msg graph, int64_t opset)
{
    opened o = {.bytes = write_model(graph, opset)};
    ub_error err = {0};
    const ub_status status = ubp_load(&o.loaded, NULL, o.bytes.bytes, o.bytes.n, &err);
    if (status != UB_OK)
        fail_msg("%s", err.message);
    o.g = o.loaded.graph;
    return o;
}

static void close_model(opened *o)
{
    ubp_loaded_release(&o->loaded);
    free(o->bytes.bytes);
}

static const ubp_value *find(const opened *o, const char *name)
{
    const int32_t v = ubp_table_find(&o->g->value_names, name);
    assert_true(v >= 0);
    return &o->g->values[v];
}

/* ---- Values ---------------------------------------------------------------------------------- */

static void test_ports(void **state)
{
    (void)state;
    msg g = write_graph("x", "y");
    msg_put(&g, W_INPUT, write_info("w", 1, 1, (const int64_t[]){4})); /* listed as IR 3 did */
    msg_put(&g, W_INITIALIZER, write_floats("w", 4, (const float[]){1, 2, 3, 4}));
    msg_put(&g, W_VALUE_INFO, write_info("h", 7, 0, NULL));
    msg_put(&g, W_VALUE_INFO, write_info("nowhere", 1, 0, NULL));
    msg_put(&g, W_NODE, write_node("Mul", "a", "x, w", "h"));
    msg_put(&g, W_NODE, write_node("Relu", "b", "h", "y"));
    opened o = open_model(g, 20);
    assert_string_equal(o.g->producer, "test 1.0");
    assert_int_equal(o.g->n_inputs, 1);
    assert_string_equal(o.g->input_names[0], "x");
    const ubp_value *x = find(&o, "x");
    assert_true(x->is_input);
    assert_int_equal(x->dtype, UB_F32);
    assert_int_equal(x->rank, 2);
    assert_int_equal(x->dims[0], -1);
    assert_string_equal(x->dim_names[0], "batch");
    assert_int_equal(x->dims[1], 4);
    assert_null(x->dim_names[1]);
    assert_int_equal(find(&o, "h")->dtype, UB_I64);
    assert_int_equal(find(&o, "h")->rank, 0);
    assert_int_equal(find(&o, "y")->rank, -1);
    assert_int_equal(ubp_table_find(&o.g->value_names, "nowhere"), -1);
    assert_int_equal(o.g->n_outputs, 1);
    assert_ptr_equal(&o.g->values[o.g->outputs[0]], find(&o, "y"));
    assert_int_equal(o.g->n_nodes, 2);
    assert_string_equal(o.g->nodes[1].op_type, "Relu");
    assert_int_equal(ubp_table_find(&o.g->node_names, "b"), 1);
    close_model(&o);
}

/* Too many dims for a tensor: the rank stays unknown, the file still opens. */
static void test_ranks_over_the_limit(void **state)
{
    (void)state;
    const int64_t dims[20] = {0};
    msg g = write_graph("x", "y");
    msg_put(&g, W_VALUE_INFO, write_info("h", 1, 20, dims));
    msg_put(&g, W_NODE, write_node("Relu", "a", "x", "h"));
    msg_put(&g, W_NODE, write_node("Relu", "b", "h", "y"));
    opened o = open_model(g, 20);
    assert_int_equal(find(&o, "h")->rank, -1);
    close_model(&o);
}

static void test_left_out_inputs(void **state)
{
    (void)state;
    msg g = write_graph("x", "y");
    msg_put(&g, W_NODE, write_node("Clip", "a", "x, , x", "y"));
    opened o = open_model(g, 20);
    assert_int_equal(o.g->nodes[0].n_in, 3);
    assert_int_equal(o.g->nodes[0].in[1], UBP_NO_VALUE);
    close_model(&o);
}

/* ---- Weights --------------------------------------------------------------------------------- */

static void test_raw_weights_are_views(void **state)
{
    (void)state;
    float v[300];
    for (int i = 0; i < 300; i++)
        v[i] = (float)i / 7;
    msg g = write_graph("", "w");
    msg_put(&g, W_INITIALIZER, write_floats("w", 300, v));
    msg_put(&g, W_INITIALIZER, write_floats("small", 2, v));
    opened o = open_model(g, 20);
    const ub_tensor *w = find(&o, "w")->constant, *small = find(&o, "small")->constant;
    const uint8_t *at = w->data;
    assert_true(at >= o.bytes.bytes && at + sizeof(v) <= o.bytes.bytes + o.bytes.n);
    assert_memory_equal(w->data, v, sizeof(v));
    assert_int_equal((uintptr_t)small->data % sizeof(float), 0);
    assert_memory_equal(small->data, v, 2 * sizeof(float));
    close_model(&o);
}

/* A list of numbers, as tools that do not use raw_data write it. */
static const ub_tensor *typed(opened *o, int dtype, uint32_t field, bool packed)
{
    static const int64_t v[3] = {1, 0, -2};
    msg t = write_tensor("w", dtype, 1, (const int64_t[]){3}), run = {0};
    for (int i = 0; i < 3; i++) {
        const float f = (float)v[i];
        const double d = (double)v[i];
        if (packed && field == 4)
            msg_raw(&run, &f, sizeof(f));
        else if (field == 4)
            msg_float(&t, field, f);
        else if (field == 10)
            msg_raw(&run, &d, sizeof(d));
        else if (packed)
            msg_base128(&run, (uint64_t)v[i]);
        else
            msg_int(&t, field, v[i]);
    }
    if (run.n > 0)
        msg_put(&t, field, run);
    msg g = write_graph("", "w");
    msg_put(&g, W_INITIALIZER, t);
    *o = open_model(g, 20);
    const ub_tensor *w = find(o, "w")->constant;
    assert_int_equal(w->dtype, dtype);
    assert_int_equal(w->dims[0], 3);
    return w;
}

static void test_typed_weights(void **state)
{
    (void)state;
    static const struct {
        int dtype;
        uint32_t field;
    } cases[] = {{UB_F32, 4},  {UB_I32, 5},  {UB_I16, 5},  {UB_I8, 5},   {UB_U8, 5},
                 {UB_U16, 5},  {UB_F16, 5},  {UB_BF16, 5}, {UB_BOOL, 5}, {UB_I64, 7},
                 {UB_F64, 10}, {UB_U32, 11}, {UB_U64, 11}};
    for (int i = 0; i < 2 * UBP_COUNT(cases); i++) {
        opened o;
        const int dtype = cases[i / 2].dtype;
        const ub_tensor *w = typed(&o, dtype, cases[i / 2].field, i % 2 == 0);
        const size_t item = ub_dtype_size((ub_dtype)dtype);
        const uint8_t *at = w->data;
        int64_t want[3] = {1, 0, -2};
        if (dtype == UB_BOOL)
            want[2] = 1;
        for (int k = 0; k < 3; k++) {
            /* 16-bit floats are stored as their bits. */
            const bool bits = dtype == UB_F16 || dtype == UB_BF16;
            const ub_dtype as = bits ? UB_I16 : (ub_dtype)dtype;
            if (ubp_is_float(as))
                assert_true(ubp_read_f64(at + (size_t)k * item, as) == (double)want[k]);
            else if (ubp_is_unsigned(as) && item < 8)
                assert_int_equal(ubp_read_i64(at + (size_t)k * item, as),
                                 want[k] & ((INT64_C(1) << 8 * item) - 1));
            else
                assert_int_equal(ubp_read_i64(at + (size_t)k * item, as), want[k]);
        }
        close_model(&o);
    }
}

static void test_empty_and_scalar_weights(void **state)
{
    (void)state;
    msg g = write_graph("", "w");
    msg_put(&g, W_INITIALIZER, write_tensor("w", 1, 2, (const int64_t[]){0, 4}));
    msg scalar = write_tensor("s", 7, 0, NULL);
    msg_int(&scalar, 7, -5);
    msg_put(&g, W_INITIALIZER, scalar);
    opened o = open_model(g, 20);
    assert_int_equal(find(&o, "w")->constant->dims[1], 4);
    assert_int_equal(find(&o, "s")->constant->rank, 0);
    assert_int_equal(*(const int64_t *)find(&o, "s")->constant->data, -5);
    close_model(&o);
}

/* ---- Constant nodes -------------------------------------------------------------------------- */

static opened open_constant(msg attr)
{
    msg g = write_graph("", "c"), n = write_node("Constant", "k", "", "c");
    msg_put(&n, 5, attr);
    msg_put(&g, W_NODE, n);
    return open_model(g, 20);
}

static void test_constant_nodes(void **state)
{
    (void)state;
    msg a = write_attr("value", 4);
    msg_put(&a, 5, write_floats("", 2, (const float[]){3, 4}));
    opened o = open_constant(a);
    assert_int_equal(o.g->n_nodes, 0);
    assert_true(((const float *)find(&o, "c")->constant->data)[1] == 4);
    close_model(&o);

    a = write_attr("value_float", 1);
    msg_float(&a, 2, 2.5F);
    o = open_constant(a);
    assert_int_equal(find(&o, "c")->constant->rank, 0);
    assert_true(*(const float *)find(&o, "c")->constant->data == 2.5F);
    close_model(&o);

    a = write_attr("value_ints", 7);
    msg_int(&a, 8, 3);
    msg_int(&a, 8, -4);
    o = open_constant(a);
    assert_int_equal(find(&o, "c")->dtype, UB_I64);
    assert_int_equal(find(&o, "c")->dims[0], 2);
    assert_int_equal(((const int64_t *)find(&o, "c")->constant->data)[1], -4);
    close_model(&o);

    a = write_attr("value_floats", 6);
    const float packed[] = {1, -1};
    msg_bytes(&a, 7, packed, sizeof(packed));
    o = open_constant(a);
    assert_true(((const float *)find(&o, "c")->constant->data)[1] == -1);
    close_model(&o);

    o = open_constant(write_attr_int("value_int", 9));
    assert_int_equal(*(const int64_t *)find(&o, "c")->constant->data, 9);
    close_model(&o);
}

/* Kinds under eight bits: packed, first element lowest, in raw_data and in lists alike, except that
 * those of six bits have an entry each in a list. */
static void test_packed_weights(void **state)
{
    (void)state;
    static const struct {
        int dtype;
        uint8_t packed[3], want[5];
        size_t n;
    } cases[] = {{UB_I4, {0xe1, 0x7f, 0x0c}, {1, 0xfe, 0xff, 7, 0xfc}, 3},
                 {UB_U4, {0xe1, 0x7f, 0x0c}, {1, 14, 15, 7, 12}, 3},
                 {UB_F4E2M1, {0xe1, 0x7f, 0x0c}, {1, 14, 15, 7, 12}, 3},
                 {UB_I2, {0xe1, 0x02}, {1, 0, 0xfe, 0xff, 0xfe}, 2},
                 {UB_U2, {0xe1, 0x02}, {1, 0, 2, 3, 2}, 2}};
    for (int i = 0; i < 2 * UBP_COUNT(cases); i++) {
        const int k = i / 2;
        msg t = write_tensor("w", cases[k].dtype, 1, (const int64_t[]){5}), g;
        if (i % 2)
            msg_bytes(&t, 9, (const char *)cases[k].packed, cases[k].n);
        for (size_t b = 0; i % 2 == 0 && b < cases[k].n; b++)
            msg_int(&t, 5, cases[k].packed[b]);
        g = write_graph("", "w");
        msg_put(&g, W_INITIALIZER, t);
        opened o = open_model(g, 25);
        const ub_tensor *w = find(&o, "w")->constant;
        assert_int_equal(w->dtype, cases[k].dtype);
        assert_int_equal(ub_tensor_count(w), 5);
        assert_memory_equal(w->data, cases[k].want, 5);
        close_model(&o);
    }
    msg six = write_tensor("w", UB_F6E2M3, 1, (const int64_t[]){2}), g;
    msg_int(&six, 5, 0x21);
    msg_int(&six, 5, 0xbf);
    g = write_graph("", "w");
    msg_put(&g, W_INITIALIZER, six);
    opened o = open_model(g, 28);
    assert_memory_equal(find(&o, "w")->constant->data, ((const uint8_t[]){0x21, 0x3f}), 2);
    close_model(&o);
}

/* ---- What stays without operator ------------------------------------------------------------- */

static void assert_unknown(const opened *o, const char *value, const char *op_type)
{
    const ubp_value *v = find(o, value);
    assert_null(v->constant);
    assert_true(v->producer >= 0);
    assert_null(o->g->nodes[v->producer].op);
    assert_string_equal(o->g->nodes[v->producer].op_type, op_type);
}

static void test_unknown_parts_stay(void **state)
{
    (void)state;
    msg g = write_graph("x", "y"), a = write_attr("value_string", 3), n, sparse = {0};
    n = write_node("Foo", "foo", "x", "f");
    msg_str(&n, 7, "org.example");
    msg_put(&g, W_NODE, n);
    msg_put(&g, W_NODE, write_node("Relu", "r", "x", "y"));
    msg_str(&a, 4, "text");
    n = write_node("Constant", "", "", "text");
    msg_put(&n, 5, a);
    msg_put(&g, W_NODE, n);
    msg complex = write_tensor("complex", UB_C64, 1, (const int64_t[]){1});
    msg_bytes(&complex, 9, "realimag", 8);
    msg_put(&g, W_INITIALIZER, complex);
    msg_put(&sparse, 1, write_floats("sparse", 1, (const float[]){1}));
    msg_put(&g, W_SPARSE, sparse);
    opened o = open_model(g, 20);
    assert_unknown(&o, "f", "Foo");
    assert_unknown(&o, "text", "Constant");
    assert_unknown(&o, "complex", "constant of complex64");
    assert_unknown(&o, "sparse", "sparse initializer");
    close_model(&o);
}

/* An operator of the standard that the file defines anew; nothing is left of the call. */
static void test_functions_come_first(void **state)
{
    (void)state;
    msg g = write_graph("x", "y"), fn = {0};
    msg_put(&g, W_NODE, write_node("Relu", "r", "x", "y"));
    msg m = write_model(g, 20);
    msg_str(&fn, 1, "Relu");
    msg_str(&fn, 4, "a");
    msg_str(&fn, 5, "b");
    msg_put(&fn, 7, write_node("Neg", "n", "a", "t"));
    msg_put(&fn, 7, write_node("Abs", "", "t", "b"));
    msg_put(&m, 25, fn);
    ubp_loaded l;
    assert_int_equal(ubp_load(&l, NULL, m.bytes, m.n, NULL), UB_OK);
    assert_int_equal(l.graph->n_nodes, 2);
    assert_string_equal(l.graph->nodes[0].name, "r/n");
    assert_string_equal(l.graph->values[l.graph->nodes[0].out[0]].name, "r/t");
    assert_string_equal(l.graph->values[l.graph->nodes[1].out[0]].name, "y");
    ubp_loaded_release(&l);
    free(m.bytes);
}

/* ---- Bodies ---------------------------------------------------------------------------------- */

static void test_bodies(void **state)
{
    (void)state;
    msg body = {0}, g = write_graph("x", "y"), n, a;
    msg_put(&body, W_OUTPUT, write_info("b", 0, 0, NULL));
    msg_put(&body, W_INITIALIZER, write_floats("one", 1, (const float[]){1}));
    msg_put(&body, W_NODE, write_node("Add", "inside", "h, one", "b"));
    a = write_attr("then_branch", 5);
    msg_put(&a, 6, body);
    n = write_node("If", "if", "x", "y");
    msg_put(&n, 5, a);
    msg_put(&g, W_NODE, n);
    msg_put(&g, W_NODE, write_node("Relu", "before", "x", "h"));
    opened o = open_model(g, 20);
    assert_string_equal(o.g->nodes[0].name, "before"); /* the body reads h */
    const ubp_attr *attr = ubp_node_attr(&o.g->nodes[1], "then_branch");
    assert_int_equal(attr->kind, UBP_ATTR_GRAPH);
    assert_int_equal(attr->graph->n_captured, 1);
    assert_string_equal(attr->graph->captured[0], "h");
    assert_string_equal(attr->graph->nodes[0].name, "inside");
    assert_int_equal(ubp_table_find(&o.g->node_names, "inside"), -1);
    close_model(&o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ports),
        cmocka_unit_test(test_ranks_over_the_limit),
        cmocka_unit_test(test_left_out_inputs),
        cmocka_unit_test(test_raw_weights_are_views),
        cmocka_unit_test(test_packed_weights),
        cmocka_unit_test(test_typed_weights),
        cmocka_unit_test(test_empty_and_scalar_weights),
        cmocka_unit_test(test_constant_nodes),
        cmocka_unit_test(test_unknown_parts_stay),
        cmocka_unit_test(test_functions_come_first),
        cmocka_unit_test(test_bodies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
