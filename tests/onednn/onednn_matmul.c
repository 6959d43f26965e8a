/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Prepared matrix products: near the reference kernels, and the bits of a row the same for every
 * number of rows, place among them, and number of threads; of a matrix for every size of a stack.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "fast_case.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The oldest code takes multiples of 8 only; which are declined does not depend on rows. */
static bool sse(void)
{
    return strstr(ubp_onednn_version(), "SSE") != NULL;
}

/* a: [rows][k] or [batch][rows][k]; b: [k][n], constant. */
static void check_linear(int64_t batch, int64_t rows, int64_t k, int64_t n, bool optional)
{
    const int64_t flat[2] = {batch, k}, stack[3] = {batch, rows, k}, b[2] = {k, n};
    fast_case c;
    fc_begin(&c, "MatMul");
    snprintf(c.text, sizeof c.text, "MatMul (%lld, %lld, %lld) x (%lld, %lld)", (long long)batch,
             (long long)rows, (long long)k, (long long)k, (long long)n);
    c.optional = optional || sse();
    if (rows)
        fc_input(&c, 0, 3, stack, true, false);
    else
        fc_input(&c, 0, 2, flat, true, false);
    fc_input(&c, 1, 2, b, false, true);
    fc_ready(&c);
    fc_check(&c, fc_session);
    fc_check_posts(&c, fc_session, false);
    fc_end(&c);
}

static void test_networks(void **unused)
{
    (void)unused;
    check_linear(9, 0, 2048, 1000, false); /* classifiers: rows are samples */
    check_linear(9, 0, 512, 10, false);
    check_linear(9, 0, 784, 128, false);
    check_linear(9, 0, 64, 3, false);
    check_linear(3, 197, 192, 576, false); /* transformers: rows are tokens */
    check_linear(3, 197, 768, 192, false);
    check_linear(3, 50, 384, 1536, false);
    check_linear(3, 50, 1536, 384, false);
    check_linear(4, 16, 100, 36, false);
    check_linear(5, 1, 3072, 64, false);
}

static void check_gemm(int64_t m, int64_t k, int64_t n, bool trans_a, bool trans_b, int c_rank)
{
    const int64_t a[2] = {trans_a ? k : m, trans_a ? m : k};
    const int64_t b[2] = {trans_b ? n : k, trans_b ? k : n}, one[2] = {1, n};
    fast_case c;
    fc_begin(&c, "Gemm");
    snprintf(c.text, sizeof c.text, "Gemm %lldx%lldx%lld trans %d %d C %d", (long long)m,
             (long long)k, (long long)n, trans_a, trans_b, c_rank);
    c.optional = sse();
    fc_int(&c, "transA", trans_a);
    fc_int(&c, "transB", trans_b);
    fc_input(&c, 0, 2, a, !trans_a, false);
    fc_input(&c, 1, 2, b, false, true);
    if (c_rank)
        fc_input(&c, 2, c_rank, c_rank == 1 ? &n : one, false, true);
    fc_ready(&c);
    fc_check(&c, fc_session);
    fc_check_posts(&c, fc_session, false);
    fc_end(&c);
}

static void test_gemm(void **unused)
{
    (void)unused;
    check_gemm(9, 2048, 100, false, true, 1);
    check_gemm(9, 256, 10, false, true, 1);
    check_gemm(7, 300, 77, false, false, 2);
    check_gemm(5, 128, 64, true, true, 0);
    check_gemm(5, 1024, 64, true, false, 1);
}

static void test_random(void **unused)
{
    static const int64_t sizes[] = {1,    2,    3,    7,    8,    16,   17,  31,  32,
                                    48,   64,   65,   96,   100,  128,  192, 200, 256,
                                    300,  384,  512,  513,  640,  768,  777, 900, 1000,
                                    1024, 1025, 1280, 1536, 2048, 2049, 3072};
    const char *count = getenv("UB_RANDOM_CASES"), *seed = getenv("UB_RANDOM_SEED");
    (void)unused;
    fc_seed(seed ? (uint64_t)atoll(seed) : 5);
    for (int i = count ? atoi(count) : 40; i > 0; i--) {
        int64_t k = sizes[fc_random(UBP_COUNT(sizes))], n = sizes[fc_random(UBP_COUNT(sizes))];
        int64_t rows = fc_random(3) ? 0 : 1 + fc_random(60);
        if (k * n < 2000000)
            check_linear(1 + fc_random(9), rows, k, n, true);
    }
}

/* Products of two computed stacks, as in attention, from every layout that heads come in. */
static void test_stacks(void **unused)
{
    static const struct {
        int64_t heads, m, k, n;
    } shapes[] = {
        {3, 197, 64, 197}, {3, 197, 197, 64}, {4, 16, 32, 16}, {1, 7, 600, 5}, {12, 1, 64, 50}};
    (void)unused;
    for (int i = 0; i < UBP_COUNT(shapes); i++) {
        const int64_t h = shapes[i].heads, m = shapes[i].m, k = shapes[i].k, n = shapes[i].n;
        const int64_t a[4] = {5, h, m, k}, b[4] = {5, h, k, n}, shared[3] = {h, k, n};
        for (int both = 0; both < 2; both++) {
            fast_case c;
            fc_begin(&c, "MatMul");
            snprintf(c.text, sizeof c.text, "MatMul stack of %lld %lldx%lldx%lld%s", (long long)h,
                     (long long)m, (long long)k, (long long)n, both ? "" : ", one B for all");
            c.optional = true; /* AVX-512 only */
            fc_input(&c, 0, 4, a, true, false);
            if (both)
                fc_input(&c, 1, 4, b, true, false);
            else
                fc_input(&c, 1, 3, shared, false, false);
            fc_ready(&c);
            fc_check(&c, fc_session);
            fc_end(&c);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_networks),
        cmocka_unit_test(test_gemm),
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_stacks),
    };
    return cmocka_run_group_tests(tests, fc_setup, fc_teardown);
}
