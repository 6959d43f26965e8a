/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Control flow through the public calls: addresses inside bodies, lists, what hostile files and
 * runaway loops come to. Results against other implementations are tests/flow/flow_cases.py's.
 */
#include "load/onnx_writer.h"
#include "unbatch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

/* ---- Models ---------------------------------------------------------------------------------- */

enum { FLOAT = 1, INT64 = 7, BOOL = 9 };

static msg write_scalar(const char *name, int dtype, int64_t v)
{
    msg m = write_tensor(name, dtype, 0, NULL);
    msg_bytes(&m, 9, &v, dtype == BOOL ? 1 : 8);
    return m;
}

static void add_body(msg *node, const char *attr, msg body)
{
    msg a = write_attr(attr, 5);
    msg_put(&a, 6, body);
    msg_put(node, 5, a);
}

static void add_input(msg *g, const char *name, int dtype)
{
    msg_put(g, W_INPUT, write_info(name, dtype, dtype == FLOAT ? 2 : 0, (int64_t[]){-1, 4}));
}

static void add_output(msg *g, const char *name)
{
    msg_put(g, W_OUTPUT, write_info(name, 0, -1, NULL));
}

/* s = s + x, m times or as long as `go` of the body is true; the scan output is s. */
static msg write_loop(const char *trips, const char *go, bool scan)
{
    msg g = {0}, body = {0}, n = write_node("Loop", "loop", "", scan ? "y, all" : "y");
    char in[64];
    free(n.bytes);
    snprintf(in, sizeof in, "%s,,x", trips);
    n = write_node("Loop", "loop", in, scan ? "y, all" : "y");
    add_input(&body, "i", INT64);
    add_input(&body, "c", BOOL);
    add_input(&body, "s", FLOAT);
    msg_put(&body, W_INITIALIZER, write_scalar("yes", BOOL, 1));
    msg_put(&body, W_NODE, write_node("Add", "step", "s, x", "t"));
    add_output(&body, go);
    add_output(&body, "t");
    if (scan)
        add_output(&body, "t");
    add_body(&n, "body", body);
    add_input(&g, "x", FLOAT);
    if (*trips)
        add_input(&g, "m", INT64);
    msg_put(&g, W_NODE, n);
    add_output(&g, "y");
    if (scan)
        add_output(&g, "all");
    return g;
}

/* y = c ? -x : |x|, with names of their own in the branches. */
static msg write_if(void)
{
    msg g = {0}, then_branch = {0}, else_branch = {0}, n = write_node("If", "if", "c", "y");
    msg_put(&then_branch, W_NODE, write_node("Neg", "minus", "x", "a"));
    add_output(&then_branch, "a");
    msg_put(&else_branch, W_NODE, write_node("Abs", "size", "x", "b"));
    add_output(&else_branch, "b");
    add_body(&n, "then_branch", then_branch);
    add_body(&n, "else_branch", else_branch);
    add_input(&g, "x", FLOAT);
    add_input(&g, "c", BOOL);
    msg_put(&g, W_NODE, n);
    add_output(&g, "y");
    return g;
}

typedef struct opened {
    msg file;
    ub_model *m;
    ub_session *s;
    ub_error err;
    float x[8];
    int64_t trips;
    uint8_t flag;
    ub_tensor in[3];
    volatile int cancel;
} opened;

static void tick(double done, void *payload)
{
    (void)done;
    (void)payload;
}

static void open_graph(opened *o, msg graph, size_t memory)
{
    ub_session_options so = UB_SESSION_OPTIONS_INIT;
    const int64_t dims[] = {2, 4};
    o->file = write_model(graph, 20);
    for (int i = 0; i < 8; i++)
        o->x[i] = (float)(i + 1);
    so.threads = 1;
    so.memory_limit = memory;
    so.cancel = &o->cancel;
    so.progress = tick;
    if (ub_open_memory(&o->m, o->file.bytes, o->file.n, &o->err) != UB_OK)
        fail_msg("%s", o->err.message);
    assert_int_equal(ub_session_new(&o->s, o->m, &so, &o->err), UB_OK);
    assert_int_equal(ub_tensor_wrap(&o->in[0], o->x, UB_F32, 2, dims, NULL), UB_OK);
    assert_int_equal(ub_tensor_wrap(&o->in[1], &o->trips, UB_I64, 0, NULL, NULL), UB_OK);
    assert_int_equal(ub_tensor_wrap(&o->in[2], &o->flag, UB_BOOL, 0, NULL, NULL), UB_OK);
    assert_int_equal(ub_session_set(o->s, "x", &o->in[0], NULL), UB_OK);
}

static void close_graph(opened *o)
{
    ub_session_free(o->s);
    ub_model_free(o->m);
    free(o->file.bytes);
}

/* The value's element `at` is x[at] times `times`. */
static void expect(opened *o, const char *what, int rank, int at, float times)
{
    ub_tensor *t = NULL;
    if (ub_get(&t, o->s, what, &o->err) != UB_OK)
        fail_msg("%s: %s", what, o->err.message);
    assert_int_equal(t->rank, rank);
    assert_float_equal(((float *)t->data)[0], times * o->x[at], 0);
    ub_tensor_free(t);
}

static void expect_error(opened *o, const char *what, ub_status code, const char *text)
{
    ub_tensor *t = NULL;
    assert_int_equal(ub_get(&t, o->s, what, &o->err), code);
    assert_null(t);
    assert_string_equal(o->err.message, text);
}

static void refuse(msg graph, ub_status code, const char *text)
{
    msg file = write_model(graph, 20);
    ub_model *m = NULL;
    ub_error err = {0};
    assert_int_equal(ub_open_memory(&m, file.bytes, file.n, &err), code);
    assert_string_equal(err.message, text);
    free(file.bytes);
}

/* ---- Addresses ------------------------------------------------------------------------------- */

static void test_iterations_have_addresses(void **state)
{
    (void)state;
    opened o = {.trips = 5};
    open_graph(&o, write_loop("m", "yes", true), 0);
    assert_int_equal(ub_session_set(o.s, "m", &o.in[1], NULL), UB_OK);
    expect(&o, "y", 2, 0, 6);
    expect(&o, "loop/0/t", 2, 0, 2);
    expect(&o, "loop/3/t", 2, 0, 5);
    expect(&o, "loop/3/step:in0", 2, 0, 4);
    expect(&o, "loop/3/step:in1[1]", 1, 4, 1);
    expect(&o, "loop/3/s[1]", 1, 4, 4);
    expect(&o, "all[1]", 2, 4, 2); /* the second sample's rows */
    expect_error(&o, "loop/5/t", UB_ERR_ARGUMENT,
                 "'loop/5/t' was not computed: 'loop' ran 5 iterations, there is no 5");
    assert_int_equal(ub_get(&(ub_tensor *){NULL}, o.s, "loop/1/nothing", &o.err), UB_ERR_ARGUMENT);
    assert_int_equal(ub_get(&(ub_tensor *){NULL}, o.s, "loop/then/t", &o.err), UB_ERR_ARGUMENT);
    assert_int_equal(ub_session_set(o.s, "loop/1/t", &o.in[0], &o.err), UB_ERR_ARGUMENT);
    close_graph(&o);
}

static void test_branches_have_addresses(void **state)
{
    (void)state;
    opened o = {.flag = 1};
    open_graph(&o, write_if(), 0);
    assert_int_equal(ub_session_set(o.s, "c", &o.in[2], NULL), UB_OK);
    expect(&o, "y[1]", 1, 4, -1);
    expect(&o, "if/then/a", 2, 0, -1);
    expect(&o, "if/then/minus:in", 2, 0, 1);
    expect_error(&o, "if/else/b", UB_ERR_ARGUMENT,
                 "'if/else/b' was not computed: 'if' ran its 'then' branch");
    o.flag = 0;
    expect(&o, "if/else/size", 2, 0, 1);
    close_graph(&o);
}

/* ---- Lists ----------------------------------------------------------------------------------- */

static void test_lists(void **state)
{
    (void)state;
    opened o = {0};
    msg g = {0};
    add_input(&g, "x", FLOAT);
    msg_put(&g, W_NODE, write_node("Neg", "", "x", "z"));
    msg_put(&g, W_NODE, write_node("SequenceConstruct", "make", "x, z, x", "list"));
    msg_put(&g, W_NODE, write_node("SequenceLength", "", "list", "n"));
    add_output(&g, "list");
    add_output(&g, "n");
    open_graph(&o, g, 0);
    expect(&o, "list/1", 2, 0, -1);
    expect(&o, "list/2[1]", 1, 4, 1);
    expect(&o, "make/0", 2, 0, 1);
    expect_error(&o, "list/3", UB_ERR_ARGUMENT, "'list/3': the list has 3 elements");
    expect_error(&o, "list", UB_ERR_ARGUMENT,
                 "'list' is a sequence of 3: ask for one element, 'list/0' to 'list/2'");
    expect_error(&o, "z/0", UB_ERR_ARGUMENT, "'z/0': a tensor, not a list, so it has no elements");
    ub_list *l = NULL;
    assert_int_equal(ub_get_list(&l, o.s, "list", &o.err), UB_OK);
    assert_int_equal(ub_list_kind(l), UB_KIND_SEQUENCE);
    assert_int_equal(ub_list_count(l), 3);
    assert_true(ub_list_filled(l));
    assert_float_equal(((float *)ub_list_at(l, 1)->data)[7], -8, 0);
    assert_null(ub_list_at(l, 3));
    assert_null(ub_list_at(l, -1));
    ub_list_free(l);
    assert_int_equal(ub_get_list(&l, o.s, "list/0", &o.err), UB_ERR_ARGUMENT);
    assert_int_equal(ub_get_list(&l, o.s, "x", &o.err), UB_OK);
    assert_int_equal(ub_list_kind(l), UB_KIND_TENSOR);
    ub_list_free(l);
    ub_list_free(NULL);
    close_graph(&o);
}

/* ---- Runaway loops --------------------------------------------------------------------------- */

static void test_loops_stop_at_the_memory_limit(void **state)
{
    (void)state;
    opened o = {.trips = INT64_MAX};
    ub_tensor *t = NULL;
    open_graph(&o, write_loop("m", "yes", true), 1 << 20);
    assert_int_equal(ub_session_set(o.s, "m", &o.in[1], NULL), UB_OK);
    assert_int_equal(ub_get(&t, o.s, "all", &o.err), UB_ERR_MEMORY);
    assert_non_null(strstr(o.err.message, "the limit is 1.0 MB"));
    o.trips = -1; /* none at all */
    expect(&o, "y", 2, 0, 1);
    close_graph(&o);
}

static void test_loops_are_cancelled(void **state)
{
    (void)state;
    opened o = {0};
    ub_tensor *t = NULL;
    open_graph(&o, write_loop("", "yes", false), 0);
    o.cancel = 1;
    assert_int_equal(ub_get(&t, o.s, "y", &o.err), UB_ERR_CANCELLED);
    close_graph(&o);
}

/* ---- Hostile files --------------------------------------------------------------------------- */

static void test_captured_names(void **state)
{
    (void)state;
    msg g = {0}, body = {0}, n = write_node("If", "if", "c", "y");
    msg_put(&body, W_NODE, write_node("Neg", "", "nowhere", "a"));
    add_output(&body, "a");
    add_body(&n, "then_branch", body);
    add_input(&g, "c", BOOL);
    msg_put(&g, W_NODE, n);
    add_output(&g, "y");
    refuse(g, UB_ERR_FILE, "node 'if' (If) reads 'nowhere', which nothing in the model gives");

    g = body = (msg){0}; /* the body reads what the node gives */
    n = write_node("If", "if", "c", "y");
    msg_put(&body, W_NODE, write_node("Neg", "", "y", "a"));
    add_output(&body, "a");
    add_body(&n, "then_branch", body);
    add_input(&g, "c", BOOL);
    msg_put(&g, W_NODE, n);
    add_output(&g, "y");
    refuse(g, UB_ERR_FILE, "the graph has a cycle through node 'if' (If)");
}

static void test_bodies_that_do_not_fit(void **state)
{
    (void)state;
    opened o = {0};
    msg g = {0}, body = {0}, n = write_node("Loop", "loop", "m,,x", "y, z");
    add_input(&body, "i", INT64);
    add_output(&body, "i");
    add_body(&n, "body", body);
    add_input(&g, "x", FLOAT);
    msg_put(&g, W_INITIALIZER, write_scalar("m", INT64, 3));
    msg_put(&g, W_NODE, n);
    add_output(&g, "y");
    open_graph(&o, g, 0);
    expect_error(&o, "y", UB_ERR_FILE,
                 "node 'loop' (Loop): has 3 inputs and 2 outputs, its body 1 and 1: they do not"
                 " fit");
    close_graph(&o);

    g = body = (msg){0};
    n = write_node("Scan", "scan", "x", "y");
    add_output(&body, "q");
    msg_put(&body, W_NODE, write_node("Neg", "", "x", "q"));
    add_body(&n, "body", body);
    msg_put(&n, 5, write_attr_int("num_scan_inputs", INT64_MAX));
    add_input(&g, "x", FLOAT);
    msg_put(&g, W_NODE, n);
    add_output(&g, "y");
    open_graph(&o, g, 0);
    expect_error(
        &o, "y", UB_ERR_FILE,
        "node 'scan' (Scan): scans 9223372036854775807 of 1 inputs, its body has 0: they do"
        " not fit");
    close_graph(&o);

    g = (msg){0}; /* no body at all */
    add_input(&g, "x", FLOAT);
    msg_put(&g, W_INITIALIZER, write_scalar("c", BOOL, 1));
    msg_put(&g, W_NODE, write_node("If", "if", "c", "y"));
    add_output(&g, "y");
    open_graph(&o, g, 0);
    expect_error(&o, "y", UB_ERR_FILE, "node 'if' (If): has no graph 'then_branch'");
    close_graph(&o);
}

static void test_negative_sizes(void **state)
{
    (void)state;
    opened o = {0};
    msg g = {0};
    add_input(&g, "x", FLOAT);
    msg_put(&g, W_INITIALIZER, write_scalar("size", INT64, -2));
    msg_put(&g, W_INITIALIZER, write_scalar("far", INT64, INT64_MIN));
    msg_put(&g, W_NODE, write_node("SplitToSequence", "split", "x, size", "list"));
    msg_put(&g, W_NODE, write_node("SequenceConstruct", "", "x", "one"));
    msg_put(&g, W_NODE, write_node("SequenceAt", "at", "one, far", "y"));
    msg_put(&g, W_NODE, write_node("SequenceInsert", "put", "one, x, far", "two"));
    add_output(&g, "list");
    add_output(&g, "y");
    open_graph(&o, g, 0);
    expect_error(&o, "list/0", UB_ERR_SHAPE,
                 "node 'split' (SplitToSequence): a part of -2 does not fit into what is left, 2");
    expect_error(&o, "y", UB_ERR_SHAPE,
                 "node 'at' (SequenceAt): position -9223372036854775808 is outside of a sequence of"
                 " 1");
    expect_error(&o, "two/0", UB_ERR_SHAPE,
                 "node 'put' (SequenceInsert): position -9223372036854775808 is outside of a"
                 " sequence of 1");
    close_graph(&o);
}

/* f0 calls f1 twice, f1 calls f2 twice, ...; the last calls `last`. */
static msg write_functions(int n, const char *last)
{
    msg g = write_graph("x", "y");
    msg_put(&g, W_NODE, write_node("f0", "call", "x", "y"));
    msg m = write_model(g, 20);
    for (int i = 0; i < n; i++) {
        char name[16], next[16];
        msg fn = {0};
        snprintf(name, sizeof name, "f%d", i);
        snprintf(next, sizeof next, "f%d", i + 1);
        msg_str(&fn, 1, name);
        msg_str(&fn, 4, "a");
        msg_str(&fn, 5, "b");
        msg_put(&fn, 7, write_node(i + 1 < n ? next : last, "p", "a", "t"));
        msg_put(&fn, 7, write_node(i + 1 < n ? next : last, "q", "t", "b"));
        msg_put(&m, 25, fn);
    }
    return m;
}

static void refuse_functions(int n, const char *last, ub_status code, const char *text)
{
    msg file = write_functions(n, last);
    ub_model *m = NULL;
    ub_error err = {0};
    assert_int_equal(ub_open_memory(&m, file.bytes, file.n, &err), code);
    if (code != UB_OK)
        assert_string_equal(err.message, text);
    ub_model_free(m);
    free(file.bytes);
}

static void test_functions_calling_each_other(void **state)
{
    (void)state;
    refuse_functions(3, "Neg", UB_OK, "");
    refuse_functions(3, "f0", UB_ERR_FILE, "function 'f0' calls itself");
    refuse_functions(1, "f0", UB_ERR_FILE, "function 'f0' calls itself");
    refuse_functions(40, "Neg", UB_ERR_UNSUPPORTED, "functions call each other more than 32 deep");
    refuse_functions(24, "Neg", UB_ERR_UNSUPPORTED,
                     "the model's functions make more than 1048576 nodes");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_iterations_have_addresses),
        cmocka_unit_test(test_branches_have_addresses),
        cmocka_unit_test(test_lists),
        cmocka_unit_test(test_loops_stop_at_the_memory_limit),
        cmocka_unit_test(test_loops_are_cancelled),
        cmocka_unit_test(test_captured_names),
        cmocka_unit_test(test_bodies_that_do_not_fit),
        cmocka_unit_test(test_negative_sizes),
        cmocka_unit_test(test_functions_calling_each_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
