/* SPDX-License-Identifier: Apache-2.0 */
/* Text: growing strings; the edit distance against its textbook form; globs against fnmatch(3). */
#include "base/base.h"

#include <fnmatch.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

static void text_grows(void **state)
{
    (void)state;
    ubp_text t = {0};
    ubp_text_add(&t, "");
    assert_string_equal(t.s, "");
    ubp_text_add(&t, "a");
    ubp_text_addn(&t, "bcd", 2);
    ubp_text_addf(&t, "-%d-%s", 12, "x");
    assert_string_equal(t.s, "abc-12-x");
    assert_int_equal(t.len, 8);
    for (int i = 0; i < 1000; i++)
        ubp_text_addf(&t, "%04d", i);
    assert_int_equal(t.len, 4008);
    assert_int_equal(strlen(t.s), t.len);
    assert_string_equal(t.s + 4004, "0999");
    assert_false(t.failed);
    ubp_text_addn(&t, "x", SIZE_MAX - 1);
    assert_true(t.failed);
    ubp_text_add(&t, "y");
    assert_int_equal(t.len, 4008);
    ubp_text_free(&t);
    assert_null(t.s);
}

/* The recurrence over the whole table. */
static int textbook_distance(const char *a, const char *b)
{
    enum { MOST = 32 };
    int d[MOST + 1][MOST + 1];
    const int la = (int)strlen(a), lb = (int)strlen(b);
    for (int i = 0; i <= la; i++)
        for (int j = 0; j <= lb; j++) {
            if (i == 0 || j == 0) {
                d[i][j] = i + j;
                continue;
            }
            int v = d[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
            v = d[i - 1][j] + 1 < v ? d[i - 1][j] + 1 : v;
            d[i][j] = d[i][j - 1] + 1 < v ? d[i][j - 1] + 1 : v;
        }
    return d[la][lb];
}

/* The words of length n over an alphabet, by number. */
static void word(char *out, unsigned number, int n, const char *alphabet)
{
    const unsigned base = (unsigned)strlen(alphabet);
    for (int i = 0; i < n; i++, number /= base)
        out[i] = alphabet[number % base];
    out[n] = 0;
}

static void distance_is_levenshteins(void **state)
{
    (void)state;
    assert_int_equal(ubp_distance("kitten", "sitting", 10), 3);
    assert_int_equal(ubp_distance("layer3.0.conv1", "layer3.0.conv2", 2), 1);
    assert_int_equal(ubp_distance("", "abc", 2), 3);
    assert_int_equal(ubp_distance("", "", 0), 0);
    uint32_t seed = 1;
    for (int i = 0; i < 20000; i++) {
        char a[16], b[16];
        seed = seed * 1664525u + 1013904223u;
        word(a, seed >> 8, (int)(seed >> 3 & 7) + (int)(seed & 3), "ab.");
        seed = seed * 1664525u + 1013904223u;
        word(b, seed >> 8, (int)(seed >> 3 & 7) + (int)(seed & 3), "ab.");
        const int d = textbook_distance(a, b), limit = (int)(seed >> 28 & 7);
        assert_int_equal(ubp_distance(a, b, limit), d > limit ? limit + 1 : d);
        assert_int_equal(ubp_distance(a, b, 100000), d);
    }
}

static void globs_match_as_fnmatch(void **state)
{
    (void)state;
    int hits = 0;
    char pattern[8], name[8];
    unsigned patterns = 1;
    for (int n = 0; n <= 5; n++, patterns *= 7)
        for (unsigned i = 0; i < patterns; i++) {
            word(pattern, i, n, "ab*?[]!");
            for (int m = 0; m <= 3; m++)
                for (unsigned j = 0; j < 1u << (2 * m); j++) {
                    word(name, j, m, "abc[");
                    const bool want = fnmatch(pattern, name, FNM_NOESCAPE) == 0;
                    if (ubp_glob_match(pattern, name) != want)
                        fail_msg("pattern %s, name %s: expected %d", pattern, name, want);
                    hits += want;
                }
        }
    assert_true(hits > 10000);
}

static void globs_know_names(void **state)
{
    (void)state;
    assert_true(ubp_glob_match("layer3.*", "layer3.0.conv1"));
    assert_true(ubp_glob_match("**", ""));
    assert_true(ubp_glob_match("conv[0-9]", "conv7"));
    assert_false(ubp_glob_match("conv[0-9]", "convx"));
    assert_true(ubp_glob_match("conv[!0-9]", "convx"));
    assert_true(ubp_glob_match("conv[]x]", "conv]"));
    assert_true(ubp_glob_match("a[b", "a[b"));
    assert_false(ubp_glob_match("", "a"));
    /* Backtracking does not explode. */
    char name[4097], pattern[2049];
    memset(name, 'a', 4096);
    name[4096] = 0;
    for (int i = 0; i < 2048; i += 2)
        memcpy(pattern + i, "*a", 3);
    memcpy(pattern + 2046, "*b", 3);
    assert_false(ubp_glob_match(pattern, name));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_grows),
        cmocka_unit_test(distance_is_levenshteins),
        cmocka_unit_test(globs_match_as_fnmatch),
        cmocka_unit_test(globs_know_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
