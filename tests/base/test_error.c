/* SPDX-License-Identifier: Apache-2.0 */
/* Errors: one line of valid text whatever the names in it, the first bytes kept when it is long. */
#include "base/base.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

static void fills(void **state)
{
    (void)state;
    ub_error e;
    memset(&e, 'x', sizeof(e));
    assert_int_equal(ubp_fail(&e, UB_ERR_SHAPE, "found %d, expected %s", 3, "4"), UB_ERR_SHAPE);
    assert_int_equal(e.code, UB_ERR_SHAPE);
    assert_int_equal(e.offset, -1);
    assert_string_equal(e.message, "found 3, expected 4");
    assert_int_equal(ubp_fail_at(&e, UB_ERR_FILE, 70, "no tag"), UB_ERR_FILE);
    assert_int_equal(e.offset, 70);
    assert_string_equal(e.message, "no tag (at byte 70)");
    assert_int_equal(ubp_fail_memory(&e, 5), UB_ERR_MEMORY);
    assert_string_equal(e.message, "out of memory: 5 bytes were wanted");
    assert_int_equal(ubp_fail_errno(&e, ENOENT, "cannot open '%s'", "x.onnx"), UB_ERR_FILE);
    assert_string_equal(e.message, "cannot open 'x.onnx': No such file or directory");
}

static void takes_no_error(void **state)
{
    (void)state;
    assert_int_equal(ubp_fail(NULL, UB_ERR_FILE, "x"), UB_ERR_FILE);
    assert_int_equal(ubp_fail_at(NULL, UB_ERR_FILE, 1, "x"), UB_ERR_FILE);
    assert_int_equal(ubp_fail_errno(NULL, ENOENT, "x"), UB_ERR_FILE);
    assert_int_equal(ubp_fail_memory(NULL, 1), UB_ERR_MEMORY);
    ubp_error_prefix(NULL, "x");
}

static void prefixes(void **state)
{
    (void)state;
    ub_error e;
    ubp_fail_at(&e, UB_ERR_FILE, 9, "damaged");
    ubp_error_prefix(&e, "%s", "m.onnx");
    assert_string_equal(e.message, "m.onnx: damaged (at byte 9)");
    assert_int_equal(e.code, UB_ERR_FILE);
    assert_int_equal(e.offset, 9);
    /* The arguments may be the message itself. */
    ubp_fail(&e, UB_ERR_CHECK, "again: %s", e.message);
    assert_string_equal(e.message, "again: m.onnx: damaged (at byte 9)");
}

static void is_never_empty(void **state)
{
    (void)state;
    ub_error e;
    ubp_fail(&e, UB_ERR_FILE, "%s", "");
    assert_true(e.message[0] != 0);
}

static void is_one_clean_line(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"a\nb\tc\x1b[31m\x7f", "a?b?c?[31m?"},
        {"gr\xC3\xBC\xC3\x9F \xE6\xBC\xA2 \xF0\x9F\x98\x80",
         "gr\xC3\xBC\xC3\x9F \xE6\xBC\xA2 \xF0\x9F\x98\x80"},
        {"\xFF\x80 \xC3", "?? ?"},
        {"\xC0\xAF \xE0\x80\x80 \xED\xA0\x80 \xF4\x90\x80\x80", "?? ??? ??? ????"},
    };
    for (int i = 0; i < UBP_COUNT(cases); i++) {
        ub_error e;
        ubp_fail(&e, UB_ERR_FILE, "%s", cases[i][0]);
        assert_string_equal(e.message, cases[i][1]);
    }
}

static void is_cut_between_characters(void **state)
{
    (void)state;
    char name[4000];
    ub_error e;
    /* Every alignment of a three-byte character against the end. */
    for (size_t lead = 0; lead < 3; lead++) {
        memset(name, 'a', lead);
        for (size_t i = lead; i + 3 < sizeof(name); i += 3)
            memcpy(name + i, "\xE6\xBC\xA2", 4);
        ubp_fail(&e, UB_ERR_FILE, "%s", name);
        const size_t n = strlen(e.message);
        assert_true(n > 1000 && n < sizeof(e.message));
        assert_string_equal(e.message + n - 3, "...");
        assert_int_equal((n - 3 - lead) % 3, 0);
        assert_memory_equal(e.message, name, n - 3);
        ubp_error_prefix(&e, "%s", name);
        assert_true(strlen(e.message) < sizeof(e.message));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fills),
        cmocka_unit_test(takes_no_error),
        cmocka_unit_test(prefixes),
        cmocka_unit_test(is_never_empty),
        cmocka_unit_test(is_one_clean_line),
        cmocka_unit_test(is_cut_between_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
