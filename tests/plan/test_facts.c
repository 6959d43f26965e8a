/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Facts of small graphs: what the planner finds out about samples beyond the operators' own rules.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "plan/plan.h"

#include <string.h>

/* y = Expand(x, shape) with x (n, 1); the sample map of y. */
static ubp_samples expand(int64_t n, int64_t rows)
{
    ub_error err;
    ubp_graph *g;
    ub_tensor x;
    int32_t in[2], out, node;
    const int64_t dims[] = {n, 1}, to[] = {rows, 4};
    assert_int_equal(ubp_graph_new(&g, &err), UB_OK);
    assert_int_equal(ubp_graph_value(g, "x", &in[0], &err), UB_OK);
    g->values[in[0]].is_input = true;
    assert_int_equal(ubp_graph_ints(g, to, 2, &in[1], &err), UB_OK);
    assert_int_equal(ubp_graph_value(g, "y", &out, &err), UB_OK);
    ubp_node expand = {.name = "e",
                       .op_type = "Expand",
                       .domain = "",
                       .op = ubp_op_find("Expand", ""),
                       .n_in = 2,
                       .n_out = 1,
                       .in = in,
                       .out = &out,
                       .layer = -1};
    assert_int_equal(ubp_graph_node(g, &expand, &node, &err), UB_OK);
    assert_int_equal(ubp_graph_sort(g, &err), UB_OK);

    assert_int_equal(ubp_tensor_describe(&x, UB_F32, 2, dims, &err), UB_OK);
    ubp_arena scratch = {0};
    ubp_run run = {.threads = 1, .scratch = &scratch};
    ubp_given given = {.value = in[0], .tensor = &x};
    ubp_ask ask = {.graph = g,
                   .wanted = &out,
                   .n_wanted = 1,
                   .given = &given,
                   .n_given = 1,
                   .n = n,
                   .run = &run};
    ubp_facts *f;
    assert_int_equal(ubp_facts_new(&f, &ask, &err), UB_OK);
    ubp_samples map = f->values[out].samples;
    ubp_facts_free(f);
    ubp_arena_release(&scratch);
    ubp_graph_free(g);
    return map;
}

static void samples_are_followed(void **state)
{
    (void)state;
    ubp_samples map = expand(3, 1);
    assert_false(map.coupled);
    assert_int_equal(map.kind, UBP_SAMPLES_AXIS);
    assert_int_equal(map.axis, 0);
    assert_int_equal(map.inner, 1);
}

/* Expand to (3, 4) takes 3 samples or, otherwise, one: just some of them must never be run. */
static void a_fixed_number_of_samples_is_seen(void **state)
{
    (void)state;
    ubp_samples map = expand(3, 3);
    assert_true(map.coupled);
    assert_string_equal(map.why, "the file fixes the number of samples here");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(samples_are_followed),
        cmocka_unit_test(a_fixed_number_of_samples_is_seen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
