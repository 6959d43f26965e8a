/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Printing: what a host program's locale must not change. Text in bulk is compared with NumPy's by
 * compare_numpy.py; the lines here were taken from NumPy 2.4.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tensor/tensor.h"

#include <locale.h>

static void prints(const void *data, ub_dtype dtype, int rank, const int64_t *dims,
                   const char *want)
{
    ub_tensor t;
    char *text = NULL;
    /* The tensor only reads what it wraps. */
    assert_int_equal(ub_tensor_wrap(&t, (void *)(uintptr_t)data, dtype, rank, dims, NULL), UB_OK);
    assert_int_equal(ub_tensor_str(&text, &t, NULL), UB_OK);
    assert_string_equal(text, want);
    ub_string_free(text);
}

static void print_all(void)
{
    const float values[] = {1.0f, -2.5f, 0.1f, 3.14159274f, 1e-10f, 1e10f};
    prints(values, UB_F32, 2, (const int64_t[]){2, 2},
           "[[ 1.        -2.5      ]\n"
           " [ 0.1        3.1415927]]");
    prints(values, UB_F32, 1, (const int64_t[]){6},
           "[ 1.0000000e+00 -2.5000000e+00  1.0000000e-01  3.1415927e+00\n"
           "  1.0000000e-10  1.0000000e+10]");
    prints(values + 2, UB_F32, 0, NULL, "0.1");
    prints(values + 4, UB_F32, 0, NULL, "1e-10");
    const double tenth = 0.1, third = 1.0 / 3;
    prints(&tenth, UB_F64, 1, (const int64_t[]){1}, "[0.1]");
    prints(&third, UB_F64, 1, (const int64_t[]){1}, "[0.33333333]");
    prints(&third, UB_F64, 0, NULL, "0.3333333333333333");
    const uint8_t flags[] = {1, 0};
    prints(flags, UB_BOOL, 1, (const int64_t[]){2}, "[ True False]");
    prints(flags, UB_BOOL, 0, NULL, "True");
    prints(flags, UB_BOOL, 2, (const int64_t[]){3, 0}, "[]");
}

static void plain_locale(void **state)
{
    (void)state;
    print_all();
}

static void comma_locale(void **state)
{
    (void)state;
    static const char *const names[] = {"de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8", "nl_NL.UTF-8"};
    bool found = false;
    for (int i = 0; i < UBP_COUNT(names) && !found; i++)
        found = setlocale(LC_ALL, names[i]) != NULL;
    if (!found)
        skip(); /* no such locale on this machine */
    print_all();
    setlocale(LC_ALL, "C");
}

static void summary(void **state)
{
    (void)state;
    ub_tensor *t = NULL;
    char *text = NULL;
    assert_int_equal(ub_tensor_new(&t, UB_I16, 2, (const int64_t[]){40, 40}, NULL), UB_OK);
    for (int i = 0; i < 1600; i++)
        ((int16_t *)t->data)[i] = (int16_t)i;
    assert_int_equal(ub_tensor_str(&text, t, NULL), UB_OK);
    assert_string_equal(text, "[[   0    1    2 ...   37   38   39]\n"
                              " [  40   41   42 ...   77   78   79]\n"
                              " [  80   81   82 ...  117  118  119]\n"
                              " ...\n"
                              " [1480 1481 1482 ... 1517 1518 1519]\n"
                              " [1520 1521 1522 ... 1557 1558 1559]\n"
                              " [1560 1561 1562 ... 1597 1598 1599]]");
    ub_string_free(text);
    ub_tensor_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_locale),
        cmocka_unit_test(comma_locale),
        cmocka_unit_test(summary),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
