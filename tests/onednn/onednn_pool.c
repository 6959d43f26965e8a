/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Prepared poolings: near the reference kernels (MaxPool: equal), the same bits for every batch,
 * place in it and number of threads, NaN and infinities as the reference has them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "fast_case.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct shape {
    int64_t c, h, w, k, stride, begin, end, ceil, include;
} shape;

static void make(fast_case *c, const char *op, const shape *s, int rank, int64_t batch)
{
    int n = rank - 2;
    int64_t x[5] = {batch, s->c, s->h, s->w, 6}, v[6];
    fc_begin(c, op);
    snprintf(c->text, sizeof c->text,
             "%s%dd %lld %lldx%lld k%lld s%lld p%lld,%lld ceil%lld inc%lld", op, n, (long long)s->c,
             (long long)s->h, (long long)s->w, (long long)s->k, (long long)s->stride,
             (long long)s->begin, (long long)s->end, (long long)s->ceil, (long long)s->include);
    if (s->k) {
        for (int i = 0; i < n; i++)
            v[i] = s->k;
        fc_ints(c, "kernel_shape", n, v);
        for (int i = 0; i < n; i++)
            v[i] = s->stride;
        fc_ints(c, "strides", n, v);
        for (int i = 0; i < n; i++)
            v[i] = s->begin, v[n + i] = s->end;
        fc_ints(c, "pads", 2 * n, v);
        fc_int(c, "ceil_mode", s->ceil);
        if (strcmp(op, "AveragePool") == 0)
            fc_int(c, "count_include_pad", s->include);
    }
    fc_input(c, 0, rank, x, true, false);
    fc_ready(c);
}

static void check(const char *op, const shape *s, int rank, int64_t batch, bool optional)
{
    fast_case c;
    make(&c, op, s, rank, batch);
    c.optional = optional;
    fc_check(&c, fc_session);
    fc_end(&c);
}

static void test_networks(void **unused)
{
    static const shape max[] = {{64, 112, 112, 3, 2, 1, 1, 0, 0}, {96, 55, 55, 3, 2, 0, 0, 1, 0},
                                {32, 24, 24, 2, 2, 0, 0, 0, 0},   {192, 14, 14, 3, 1, 1, 1, 0, 0},
                                {6, 28, 28, 2, 2, 0, 0, 0, 0},    {16, 10, 10, 2, 2, 0, 0, 0, 0},
                                {256, 13, 13, 5, 1, 2, 2, 0, 0},  {17, 9, 12, 3, 2, 1, 0, 1, 0}};
    static const shape average[] = {{128, 28, 28, 2, 2, 0, 0, 0, 0}, {64, 17, 17, 3, 1, 1, 1, 0, 0},
                                    {64, 17, 17, 3, 1, 1, 1, 0, 1},  {40, 15, 11, 3, 2, 1, 1, 1, 0},
                                    {2048, 7, 7, 7, 1, 0, 0, 0, 0},  {30, 8, 8, 3, 2, 0, 0, 1, 0}};
    static const shape whole[] = {{2048, 7, 7, 0, 0, 0, 0, 0, 0},
                                  {1280, 7, 7, 0, 0, 0, 0, 0, 0},
                                  {96, 28, 28, 0, 0, 0, 0, 0, 0},
                                  {20, 56, 56, 0, 0, 0, 0, 0, 0}};
    (void)unused;
    for (int i = 0; i < UBP_COUNT(max); i++)
        check("MaxPool", &max[i], 4, 9, false);
    for (int i = 0; i < UBP_COUNT(average); i++)
        check("AveragePool", &average[i], 4, 5, false);
    for (int i = 0; i < UBP_COUNT(whole); i++)
        check("GlobalAveragePool", &whole[i], 4, 5, false);
}

static void test_random(void **unused)
{
    static const char *const ops[] = {"MaxPool", "AveragePool", "GlobalAveragePool"};
    (void)unused;
    fc_seed(3);
    for (int i = 0; i < 60; i++) {
        shape s = {.c = 1 + fc_random(70), .h = 3 + fc_random(20), .w = 3 + fc_random(20)};
        const char *op = ops[fc_random(3)];
        if (strcmp(op, "GlobalAveragePool") != 0) {
            s.k = 1 + fc_random(4);
            s.stride = 1 + fc_random(3);
            s.begin = fc_random(s.k);
            s.end = fc_random(s.k);
            s.ceil = fc_random(2);
            s.include = fc_random(2);
        }
        check(op, &s, 3 + (int)fc_random(3), 1 + fc_random(4), true);
    }
}

/* Maxima see NaN and infinities as the reference does, whichever kernel is taken. */
static void test_not_finite(void **unused)
{
    const shape s = {32, 10, 10, 3, 2, 1, 1, 0, 0};
    const float odd[] = {__builtin_nanf(""), __builtin_inff(), -__builtin_inff(), -0.0F};
    int64_t n, got;
    fast_case c;
    fast_run r = {.threads = 1};
    (void)unused;
    make(&c, "MaxPool", &s, 4, 2);
    float *x = c.in[0].data;
    for (int64_t i = 0; i < ub_tensor_count(&c.in[0]); i += 7)
        x[i] = odd[i % 4];
    float *ref = fc_reference(&c, &r, &n), *fast = fc_fast(&c, fc_session, &r, &got);
    assert_non_null(fast);
    for (int64_t i = 0; i < n; i++)
        if (isnan(ref[i]) != isnan(fast[i]) || (!isnan(ref[i]) && ref[i] != fast[i]))
            fail_msg("element %lld: %g, the reference gives %g", (long long)i, (double)fast[i],
                     (double)ref[i]);
    free(ref);
    free(fast);
    fc_end(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_networks),
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_not_finite),
    };
    return cmocka_run_group_tests(tests, fc_setup, fc_teardown);
}
