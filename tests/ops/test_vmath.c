/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmath.h against libm's double functions, over every exponent and both signs: at most 2.5 units in
 * the last place off. And the loops around them: the same bits wherever an element lies in a row.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "ops/ops.h"
#include "ops/vmath.h"

#include <float.h>
#include <math.h>

/* Distance in units in the last place of the float nearest to `want`. */
static double ulps(float got, double want)
{
    float nearest = (float)want;
    if (isnan(want) || isnan(got))
        return isnan(want) && isnan(got) ? 0 : INFINITY;
    if (isinf(nearest) || isinf(got))
        return nearest == got ? 0 : INFINITY;
    float a = fabsf(nearest);
    double unit = a < FLT_MIN ? 0x1p-149 : (double)nextafterf(a, INFINITY) - (double)a;
    return fabs((double)got - want) / unit;
}

static void compare(float (*f)(float), double (*truth)(double), float low, float high)
{
    double worst = 0;
    float where = 0;
    /* A prime step: about 8000 fractions for each exponent. */
    for (uint64_t bits = 0; bits <= UINT32_MAX; bits += 1021) {
        float x = ubp_bits_float((uint32_t)bits);
        if (x < low || x > high)
            continue;
        double off = ulps(f(x), truth((double)x));
        if (off > worst) {
            worst = off;
            where = x;
        }
    }
    if (worst > 2.5)
        fail_msg("%g units in the last place off at %a", worst, (double)where);
    const float edges[] = {0.0f, -0.0f, INFINITY, -INFINITY, NAN, FLT_MIN, FLT_MAX, -FLT_MAX};
    for (int i = 0; i < UBP_COUNT(edges); i++)
        if (!(edges[i] < low || edges[i] > high))
            assert_true(ulps(f(edges[i]), truth((double)edges[i])) <= 2.5);
}

static double logistic(double x)
{
    return x < 0 ? exp(x) / (1 + exp(x)) : 1 / (1 + exp(-x));
}

static void exponential(void **state)
{
    (void)state;
    compare(ubp_expf, exp, -INFINITY, INFINITY);
    assert_true(ubp_expf(0.0f) == 1.0f);
}

static void exponential_minus_one(void **state)
{
    (void)state;
    compare(ubp_expm1f_negative, expm1, -INFINITY, 0.0f);
}

static void logistic_function(void **state)
{
    (void)state;
    compare(ubp_sigmoidf, logistic, -INFINITY, INFINITY);
}

static void hyperbolic_tangent(void **state)
{
    (void)state;
    compare(ubp_tanhf, tanh, -INFINITY, INFINITY);
    assert_true(signbit(ubp_tanhf(-0.0f)));
}

static void error_function(void **state)
{
    (void)state;
    compare(ubp_erff, erf, -INFINITY, INFINITY);
    assert_true(signbit(ubp_erff(-0.0f)));
}

/* Rows of every length and start: the compiler's vector loop, its tail, and the plain function. */
static void same_bits_everywhere(void **state)
{
    (void)state;
    static const struct {
        const char *op;
        float (*f)(float);
    } functions[] = {
        {"Exp", ubp_expf}, {"Sigmoid", ubp_sigmoidf}, {"Tanh", ubp_tanhf}, {"Erf", ubp_erff}};
    enum { N = 77 };
    float src[N], dst[N];
    for (int i = 0; i < N; i++)
        src[i] = (float)i * 0.37f - 13.0f;
    for (int k = 0; k < UBP_COUNT(functions); k++) {
        const ubp_op *op = ubp_op_find(functions[k].op, "");
        for (int start = 0; start < 9; start++)
            for (int n = 1; n <= N - start; n++) {
                ub_error err;
                ubp_arena scratch = {0};
                ubp_run run = {.threads = 1, .scratch = &scratch};
                ubp_node node = {.name = "x"};
                ub_tensor in, out;
                int64_t dims[] = {n};
                assert_int_equal(ub_tensor_wrap(&in, src + start, UB_F32, 1, dims, &err), UB_OK);
                assert_int_equal(ub_tensor_wrap(&out, dst, UB_F32, 1, dims, &err), UB_OK);
                const ub_tensor *ins[] = {&in};
                ub_tensor *outs[] = {&out};
                ubp_call call = {.op = op,
                                 .node = &node,
                                 .n_in = 1,
                                 .n_out = 1,
                                 .in = ins,
                                 .out = outs,
                                 .run = &run,
                                 .err = &err};
                assert_int_equal(ubp_op_run(&call), UB_OK);
                for (int i = 0; i < n; i++)
                    assert_int_equal(ubp_float_bits(dst[i]),
                                     ubp_float_bits(functions[k].f(src[start + i])));
                ubp_arena_release(&scratch);
            }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exponential),       cmocka_unit_test(exponential_minus_one),
        cmocka_unit_test(logistic_function), cmocka_unit_test(hyperbolic_tangent),
        cmocka_unit_test(error_function),    cmocka_unit_test(same_bits_everywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
