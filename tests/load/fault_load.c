/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Out of memory anywhere while a model opens: the n-th allocation fails, for every n; each time the
 * answer is UB_ERR_MEMORY and nothing leaks.
 */
#include "base/fault.h"
#include "load/load.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "onnx_writer.h"

static void fail_each(const char *path, const void *bytes, size_t size)
{
    const long live = fault_live();
    long n = 1;
    for (; fault_next(n); n++) {
        ubp_loaded l;
        ub_error err = {0};
        const ub_status status = ubp_load(&l, path, bytes, size, &err);
        fault_stop();
        if (status == UB_OK)
            ubp_loaded_release(&l);
        else if (status != UB_ERR_MEMORY)
            fail_msg("allocation %ld: %s", n, err.message);
        assert_int_equal(fault_live(), live);
    }
    assert_true(n > 10);
}

static void fail_file(const char *name)
{
    char path[512];
    snprintf(path, sizeof(path), "%s/data/onnx/%s", UB_TEST_DATA, name);
    fail_each(path, NULL, 0);
}

static void test_files(void **state)
{
    (void)state;
    fail_file("mlp.torchscript.onnx");
    fail_file("gru_seq.dynamo.onnx");
    fail_file("resnet_tiny.dynamo_external.onnx");
    fail_file("../pt2/edge.pt2");
    fail_file("../pt2/gru_seq.pt2");
    fail_file("../pt2/nograd.pt2");
}

/* Rewriting and bodies. */
static void test_old_opset(void **state)
{
    (void)state;
    msg g = write_graph("x", "y"), n, a, body = {0};
    msg_put(&g, W_NODE, write_node("Softmax", "s", "x", "s"));
    n = write_node("Mul", "m", "f, s", "m");
    msg_put(&n, 5, write_attr_int("broadcast", 1));
    msg_put(&n, 5, write_attr_int("axis", 0));
    msg_put(&g, W_NODE, write_node("Foo", "foo", "x", "f"));
    msg_put(&g, W_NODE, n);
    msg_put(&body, W_OUTPUT, write_info("b", 0, 0, NULL));
    msg_put(&body, W_NODE, write_node("Neg", "inside", "m", "b"));
    a = write_attr("then_branch", 5);
    msg_put(&a, 6, body);
    n = write_node("If", "if", "x", "y");
    msg_put(&n, 5, a);
    msg_put(&g, W_NODE, n);
    msg m = write_model(g, 6);
    fail_each(NULL, m.bytes, m.n);
    free(m.bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_old_opset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
