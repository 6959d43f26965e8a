/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Building and sorting graphs: names, constants, producers, order, cycles, bodies and what they
 * capture, and depths that would overflow a recursive walk.
 */
#include "graph/graph.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static ubp_graph *new_graph(void)
{
    ubp_graph *g = NULL;
    assert_int_equal(ubp_graph_new(&g, NULL), UB_OK);
    return g;
}

static int32_t value(ubp_graph *g, const char *name)
{
    int32_t v = UBP_NO_VALUE;
    assert_int_equal(ubp_graph_value(g, name, &v, NULL), UB_OK);
    return v;
}

static int32_t input(ubp_graph *g, const char *name)
{
    const int32_t v = value(g, name);
    g->values[v].is_input = true;
    return v;
}

/* name: op(a, b) -> out; NULL leaves b away. */
static ub_status add(ubp_graph *g, const char *name, const char *a, const char *b, const char *out,
                     ub_error *err)
{
    const int32_t in[] = {value(g, a), b ? value(g, b) : UBP_NO_VALUE};
    const int32_t o = value(g, out);
    const ubp_node n = {
        .name = name, .op_type = "Op", .domain = "", .n_in = 2, .in = in, .n_out = 1, .out = &o};
    return ubp_graph_node(g, &n, NULL, err);
}

static void set_output(ubp_graph *g, const char *name)
{
    g->outputs = ubp_arena_alloc(&g->arena, sizeof(int32_t));
    assert_non_null(g->outputs);
    g->outputs[0] = value(g, name);
    g->n_outputs = 1;
}

/* "a b c": the node names in order. */
static void assert_order(const ubp_graph *g, const char *expected)
{
    char text[256] = "";
    for (size_t i = 0; i < g->n_nodes; i++) {
        strcat(text, i ? " " : "");
        strcat(text, g->nodes[i].name);
        for (int k = 0; k < g->nodes[i].n_out; k++)
            assert_int_equal(g->values[g->nodes[i].out[k]].producer, i);
    }
    assert_string_equal(text, expected);
}

/* ---- Values ---------------------------------------------------------------------------------- */

static void test_values_have_names(void **state)
{
    (void)state;
    ubp_graph *g = new_graph();
    char name[] = "x";
    const int32_t x = value(g, name);
    name[0] = 'y'; /* the name was copied */
    assert_int_equal(value(g, "x"), x);
    assert_int_not_equal(value(g, "y"), x);
    assert_int_not_equal(value(g, ""), value(g, ""));
    assert_int_equal(g->values[x].rank, -1);
    assert_int_equal(g->values[x].producer, UBP_NO_NODE);
    assert_int_equal(g->values[x].dtype, UB_UNDEFINED);
    ubp_graph_free(g);
}

static void test_constants_are_copied(void **state)
{
    (void)state;
    ubp_graph *g = new_graph();
    float data[6] = {0, 1, 2, 3, 4, 5};
    ub_tensor t, column;
    int32_t v = UBP_NO_VALUE;
    assert_int_equal(ub_tensor_wrap(&t, data, UB_F32, 2, (int64_t[]){2, 3}, NULL), UB_OK);
    assert_int_equal(ub_tensor_slice(&column, &t, 1, 1, 2, 1, NULL), UB_OK);
    assert_int_equal(ubp_graph_constant(g, &column, &v, NULL), UB_OK);
    data[1] = 99;
    const ub_tensor *c = g->values[v].constant;
    assert_true(ub_tensor_is_contiguous(c));
    assert_int_equal(c->dims[0], 2);
    assert_int_equal(c->dims[1], 1);
    assert_true(((const float *)c->data)[0] == 1 && ((const float *)c->data)[1] == 4);
    assert_int_equal(g->values[v].dtype, UB_F32);
    assert_int_equal(g->values[v].rank, 2);
    assert_string_equal(g->values[v].name, "");
    ubp_graph_free(g);
}

static void test_integer_constants(void **state)
{
    (void)state;
    ubp_graph *g = new_graph();
    int32_t list = 0, scalar = 0, empty = 0;
    assert_int_equal(ubp_graph_ints(g, (int64_t[]){3, -1}, 2, &list, NULL), UB_OK);
    assert_int_equal(ubp_graph_ints(g, (int64_t[]){7}, -1, &scalar, NULL), UB_OK);
    assert_int_equal(ubp_graph_ints(g, NULL, 0, &empty, NULL), UB_OK);
    assert_int_equal(g->values[list].constant->rank, 1);
    assert_int_equal(((const int64_t *)g->values[list].constant->data)[1], -1);
    assert_int_equal(g->values[scalar].constant->rank, 0);
    assert_int_equal(((const int64_t *)g->values[scalar].constant->data)[0], 7);
    assert_int_equal(g->values[empty].constant->dims[0], 0);
    ubp_graph_free(g);
}

/* ---- Nodes ----------------------------------------------------------------------------------- */

static void test_value_given_twice(void **state)
{
    (void)state;
    ub_error err;
    ubp_graph *g = new_graph();
    input(g, "x");
    assert_int_equal(add(g, "a", "x", NULL, "y", &err), UB_OK);
    assert_int_equal(add(g, "b", "x", NULL, "y", &err), UB_ERR_FILE);
    assert_string_equal(err.message,
                        "value 'y' is given twice: by node 'b' (Op) and by node 'a' (Op)");
    assert_int_equal(add(g, "c", "y", NULL, "x", &err), UB_ERR_FILE);
    assert_string_equal(err.message, "value 'x' is given twice: by node 'c' (Op) and by an input");
    ubp_graph_free(g);
}

static void test_attributes(void **state)
{
    (void)state;
    const ubp_attr attrs[] = {{.name = "axis", .i = 1}, {.name = "keepdims", .i = 0}};
    const ubp_node n = {.n_attrs = 2, .attrs = attrs};
    assert_ptr_equal(ubp_node_attr(&n, "keepdims"), &attrs[1]);
    assert_null(ubp_node_attr(&n, "ax"));
}

/* ---- Order ----------------------------------------------------------------------------------- */

static void test_good_order_is_kept(void **state)
{
    (void)state;
    ubp_graph *g = new_graph();
    input(g, "x");
    assert_int_equal(add(g, "a", "x", NULL, "1", NULL), UB_OK);
    assert_int_equal(add(g, "b", "x", NULL, "2", NULL), UB_OK);
    assert_int_equal(add(g, "c", "2", "1", "3", NULL), UB_OK);
    assert_int_equal(add(g, "d", "x", NULL, "4", NULL), UB_OK);
    set_output(g, "3");
    assert_int_equal(ubp_graph_sort(g, NULL), UB_OK);
    assert_order(g, "a b c d");
    ubp_graph_free(g);
}

static void test_bad_order_is_mended(void **state)
{
    (void)state;
    ubp_graph *g = new_graph();
    input(g, "x");
    assert_int_equal(add(g, "c", "2", "1", "3", NULL), UB_OK);
    assert_int_equal(add(g, "b", "1", NULL, "2", NULL), UB_OK);
    assert_int_equal(add(g, "a", "x", NULL, "1", NULL), UB_OK);
    assert_int_equal(add(g, "d", "x", NULL, "4", NULL), UB_OK);
    assert_int_equal(ubp_graph_sort(g, NULL), UB_OK);
    assert_order(g, "a b c d");
    assert_int_equal(g->nodes[0].order, 2);
    assert_int_equal(ubp_table_find(&g->node_names, "c"), 2);
    ubp_graph_free(g);
}

static void test_helpers_are_not_found(void **state)
{
    (void)state;
    ubp_graph *g = new_graph();
    const int32_t x = input(g, "x"), y = value(g, ""), z = value(g, "z");
    const ubp_node helper = {.name = "conv",
                             .op_type = "Reshape",
                             .domain = "",
                             .n_in = 1,
                             .in = &x,
                             .n_out = 1,
                             .out = &y,
                             .helper = true};
    const ubp_node node = {.name = "conv",
                           .op_type = "Conv",
                           .domain = "",
                           .n_in = 1,
                           .in = &y,
                           .n_out = 1,
                           .out = &z};
    assert_int_equal(ubp_graph_node(g, &helper, NULL, NULL), UB_OK);
    assert_int_equal(ubp_graph_node(g, &node, NULL, NULL), UB_OK);
    assert_int_equal(ubp_graph_sort(g, NULL), UB_OK);
    assert_int_equal(ubp_table_find(&g->node_names, "conv"), 1);
    ubp_graph_free(g);
}

static void test_cycles_are_refused(void **state)
{
    (void)state;
    ub_error err;
    ubp_graph *g = new_graph();
    assert_int_equal(add(g, "a", "2", NULL, "1", NULL), UB_OK);
    assert_int_equal(add(g, "b", "1", NULL, "2", NULL), UB_OK);
    assert_int_equal(ubp_graph_sort(g, &err), UB_ERR_FILE);
    assert_string_equal(err.message, "the graph has a cycle through node 'a' (Op)");
    ubp_graph_free(g);

    g = new_graph();
    assert_int_equal(add(g, "", "1", NULL, "1", NULL), UB_OK);
    assert_int_equal(ubp_graph_sort(g, &err), UB_ERR_FILE);
    assert_string_equal(err.message, "the graph has a cycle through node number 0 (Op)");
    ubp_graph_free(g);
}

static void test_reads_of_nothing_are_refused(void **state)
{
    (void)state;
    ub_error err;
    ubp_graph *g = new_graph();
    assert_int_equal(add(g, "a", "x", NULL, "1", NULL), UB_OK);
    assert_int_equal(ubp_graph_sort(g, &err), UB_ERR_FILE);
    assert_string_equal(err.message, "node 'a' (Op) reads 'x', which nothing in the model gives");
    ubp_graph_free(g);

    g = new_graph();
    set_output(g, "y");
    assert_int_equal(ubp_graph_sort(g, &err), UB_ERR_FILE);
    assert_string_equal(err.message, "output 'y' of the model is given by no node of it");
    ubp_graph_free(g);
}

/* A chain in reverse order: the walk goes down all of it at once. */
static void test_long_chains(void **state)
{
    (void)state;
    enum { LENGTH = 200000 };
    char from[16], to[16];
    ubp_graph *g = new_graph();
    input(g, "0");
    for (int i = LENGTH; i > 0; i--) {
        snprintf(from, sizeof(from), "%d", i - 1);
        snprintf(to, sizeof(to), "%d", i);
        assert_int_equal(add(g, "", from, NULL, to, NULL), UB_OK);
    }
    assert_int_equal(ubp_graph_sort(g, NULL), UB_OK);
    for (int i = 0; i < LENGTH; i++)
        assert_int_equal(g->nodes[i].order, LENGTH - 1 - i);
    ubp_graph_free(g);
}

/* ---- Bodies ---------------------------------------------------------------------------------- */

/* A node that holds a body. */
static void add_holder(ubp_graph *g, const char *name, ubp_graph *body, const char *out)
{
    const int32_t o = value(g, out);
    const ubp_attr attr = {.name = "body", .kind = UBP_ATTR_GRAPH, .graph = body};
    const ubp_node n = {.name = name,
                        .op_type = "Loop",
                        .domain = "",
                        .n_out = 1,
                        .out = &o,
                        .n_attrs = 1,
                        .attrs = &attr};
    assert_int_equal(ubp_graph_node(g, &n, NULL, NULL), UB_OK);
}

static void test_bodies_capture(void **state)
{
    (void)state;
    ub_error err;
    ubp_graph *g = new_graph(), *outer = NULL, *inner = NULL;
    input(g, "x");
    assert_int_equal(ubp_graph_body(g, &outer, NULL), UB_OK);
    assert_int_equal(ubp_graph_body(outer, &inner, NULL), UB_OK);

    assert_int_equal(add(inner, "i", "t", "u", "v", NULL), UB_OK); /* t: outer's, u: g's */
    assert_int_equal(ubp_graph_sort(inner, NULL), UB_OK);
    assert_int_equal(inner->n_captured, 2);
    assert_string_equal(inner->captured[0], "t");

    add_holder(outer, "loop", inner, "w");
    assert_int_equal(add(outer, "o", "x", NULL, "t", NULL), UB_OK);
    set_output(outer, "x"); /* handed out as it came */
    assert_int_equal(ubp_graph_sort(outer, NULL), UB_OK);
    assert_order(outer, "o loop"); /* the loop reads t through its body */
    assert_int_equal(outer->n_captured, 2);
    assert_string_equal(outer->captured[0], "x");
    assert_string_equal(outer->captured[1], "u");

    add_holder(g, "top", outer, "y");
    assert_int_equal(ubp_graph_sort(g, &err), UB_ERR_FILE);
    assert_string_equal(err.message,
                        "node 'top' (Loop) reads 'u', which nothing in the model gives");
    assert_int_equal(add(g, "late", "x", NULL, "u", NULL), UB_OK);
    assert_int_equal(ubp_graph_sort(g, &err), UB_OK);
    assert_order(g, "late top");
    assert_int_equal(g->n_captured, 0);
    ubp_graph_free(g);
}

static void test_deep_bodies_are_freed(void **state)
{
    (void)state;
    ubp_graph *g = new_graph(), *at = g;
    for (int i = 0; i < 100000; i++)
        assert_int_equal(ubp_graph_body(at, &at, NULL), UB_OK);
    ubp_graph_free(g);
    ubp_graph_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values_have_names),
        cmocka_unit_test(test_constants_are_copied),
        cmocka_unit_test(test_integer_constants),
        cmocka_unit_test(test_value_given_twice),
        cmocka_unit_test(test_attributes),
        cmocka_unit_test(test_good_order_is_kept),
        cmocka_unit_test(test_bad_order_is_mended),
        cmocka_unit_test(test_helpers_are_not_found),
        cmocka_unit_test(test_cycles_are_refused),
        cmocka_unit_test(test_reads_of_nothing_are_refused),
        cmocka_unit_test(test_long_chains),
        cmocka_unit_test(test_bodies_capture),
        cmocka_unit_test(test_deep_bodies_are_freed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
