/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Prepared layer normalisations: near the reference kernel, and the bits of a row the same for
 * every number of rows, place among them, and number of threads.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "fast_case.h"

#include <stdio.h>
#include <stdlib.h>

static void check(int64_t batch, int64_t rows, int64_t n, int64_t axis, bool shift)
{
    const int64_t x[3] = {batch, rows, n}, w[2] = {rows, n};
    fast_case c;
    fc_begin(&c, "LayerNormalization");
    snprintf(c.text, sizeof c.text, "LayerNormalization (%lld, %lld, %lld) axis %lld",
             (long long)batch, (long long)rows, (long long)n, (long long)axis);
    fc_int(&c, "axis", axis);
    fc_input(&c, 0, 3, x, true, false);
    fc_input(&c, 1, axis == 1 ? 2 : 1, axis == 1 ? w : w + 1, false, true);
    if (shift)
        fc_input(&c, 2, axis == 1 ? 2 : 1, axis == 1 ? w : w + 1, false, true);
    fc_ready(&c);
    fc_check(&c, fc_session);
    fc_end(&c);
}

static void test_networks(void **unused)
{
    (void)unused;
    check(3, 197, 768, -1, true);
    check(5, 50, 384, 2, true);
    check(9, 1, 192, -1, false);
    check(9, 3, 77, 1, true);
}

static void test_random(void **unused)
{
    (void)unused;
    fc_seed(9);
    for (int i = 0; i < 40; i++) {
        int64_t axis = 1 + fc_random(2);
        check(1 + fc_random(9), 1 + fc_random(20), 2 + fc_random(900), axis, fc_random(2) == 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_networks),
        cmocka_unit_test(test_random),
    };
    return cmocka_run_group_tests(tests, fc_setup, fc_teardown);
}
