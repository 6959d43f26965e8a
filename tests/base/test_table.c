/* SPDX-License-Identifier: Apache-2.0 */
/* The name table: finds what was added, keeps the first number, and grows. */
#include "base/base.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

enum { N = 50000 };

static void finds(void **state)
{
    (void)state;
    static char names[N][16];
    ubp_table t = {0};
    ub_error e;
    assert_int_equal(ubp_table_find(&t, "x"), -1);
    for (int i = 0; i < N; i++) {
        snprintf(names[i], sizeof(names[i]), "n%d", i);
        assert_int_equal(ubp_table_add(&t, names[i], i, &e), UB_OK);
    }
    assert_int_equal(t.count, N);
    for (int i = 0; i < N; i++) {
        char same[16];
        strcpy(same, names[i]);
        assert_int_equal(ubp_table_find(&t, same), i);
    }
    assert_int_equal(ubp_table_find(&t, "n50000"), -1);
    assert_int_equal(ubp_table_find(&t, ""), -1);
    ubp_table_release(&t);
    assert_int_equal(ubp_table_find(&t, "n1"), -1);
}

static void keeps_the_first(void **state)
{
    (void)state;
    ubp_table t = {0};
    ub_error e;
    assert_int_equal(ubp_table_add(&t, "", 4, &e), UB_OK);
    assert_int_equal(ubp_table_add(&t, "a", 1, &e), UB_OK);
    assert_int_equal(ubp_table_add(&t, "a", 2, &e), UB_OK);
    assert_int_equal(ubp_table_find(&t, "a"), 1);
    assert_int_equal(ubp_table_find(&t, ""), 4);
    assert_int_equal(t.count, 2);
    ubp_table_release(&t);
}

/* Prefixes of one another, with lengths on either side of the hash's word of eight bytes. */
static void tells_near_names_apart(void **state)
{
    (void)state;
    static char names[64][65];
    ubp_table t = {0};
    ub_error e;
    for (int i = 0; i < 64; i++) {
        memset(names[i], 'a', (size_t)i);
        assert_int_equal(ubp_table_add(&t, names[i], i, &e), UB_OK);
    }
    for (int i = 0; i < 64; i++)
        assert_int_equal(ubp_table_find(&t, names[i]), i);
    ubp_table_release(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds),
        cmocka_unit_test(keeps_the_first),
        cmocka_unit_test(tells_near_names_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
