/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of operators: complete rows, unique names, found by name and domain.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "ops/ops.h"

#include <string.h>

static void rows_are_complete(void **state)
{
    (void)state;
    assert_true(ubp_op_count() > 0);
    for (int i = 0; i < ubp_op_count(); i++) {
        const ubp_op *op = ubp_op_at(i);
        if (!op->name || !op->name[0] || !op->domain || !op->infer || !op->batch || !op->ref)
            fail_msg("row %d (%s) lacks a name, domain, infer, batch or ref", i, op->name);
        if ((op->attr_size > 0) != (op->attrs != NULL))
            fail_msg("%s: attr_size and attrs do not agree", op->name);
        if (op->min_in < 0 || op->min_in > op->max_in || op->min_out < 0 ||
            op->min_out > op->max_out || op->max_out < 1)
            fail_msg("%s: impossible numbers of inputs or outputs", op->name);
    }
    assert_null(ubp_op_at(-1));
    assert_null(ubp_op_at(ubp_op_count()));
}

static void names_are_unique_and_found(void **state)
{
    (void)state;
    for (int i = 0; i < ubp_op_count(); i++) {
        const ubp_op *op = ubp_op_at(i);
        if (ubp_op_find(op->name, op->domain) != op)
            fail_msg("%s (%s) is listed twice, or not found", op->name, op->domain);
    }
}

static void domains(void **state)
{
    (void)state;
    const ubp_op *relu = ubp_op_find("Relu", "");
    assert_non_null(relu);
    assert_ptr_equal(ubp_op_find("Relu", "ai.onnx"), relu);
    assert_ptr_equal(ubp_op_find("Relu", NULL), relu);
    assert_null(ubp_op_find("Relu", "com.example"));
    assert_null(ubp_op_find("relu", ""));
    assert_null(ubp_op_find("", ""));
    assert_null(ubp_op_find(NULL, ""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_complete),
        cmocka_unit_test(names_are_unique_and_found),
        cmocka_unit_test(domains),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
