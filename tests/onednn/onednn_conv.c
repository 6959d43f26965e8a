/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Prepared convolutions: near the reference kernels, and the same bits for every batch, place in
 * the batch, number of threads and fusion. The shapes of real networks, then random ones.
 * ONEDNN_MAX_CPU_ISA chooses which of oneDNN's code is tested.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "fast_case.h"
#include "ops/onednn/onednn.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct shape {
    int64_t group, c, m, h, w, k, stride, dilation, begin, end;
} shape;

/* rank: 3, 4 or 5; the spatial dims beyond two are small. */
static void make(fast_case *c, const shape *s, int rank, int64_t batch, bool bias)
{
    int64_t n = rank - 2, x[5] = {batch, s->c}, w[5] = {s->m, s->c / s->group}, one[3], pads[6];
    const int64_t in[3] = {s->h, s->w, 5};
    fc_begin(c, "Conv");
    snprintf(c->text, sizeof c->text,
             "Conv%dd g%lld %lld->%lld %lldx%lld k%lld s%lld d%lld p%lld,%lld%s", rank - 2,
             (long long)s->group, (long long)s->c, (long long)s->m, (long long)s->h,
             (long long)s->w, (long long)s->k, (long long)s->stride, (long long)s->dilation,
             (long long)s->begin, (long long)s->end, bias ? " bias" : "");
    for (int i = 0; i < n; i++) {
        x[2 + i] = in[i];
        w[2 + i] = i < 2 ? s->k : s->k < 3 ? s->k : 3;
        pads[i] = s->begin;
        pads[n + i] = i < 2 ? s->end : 2;
    }
    fc_int(c, "group", s->group);
    fc_ints(c, "pads", (int)(2 * n), pads);
    for (int i = 0; i < n; i++)
        one[i] = s->stride;
    fc_ints(c, "strides", (int)n, one);
    for (int i = 0; i < n; i++)
        one[i] = s->dilation;
    fc_ints(c, "dilations", (int)n, one);
    fc_input(c, 0, rank, x, true, false);
    fc_input(c, 1, rank, w, false, true);
    if (bias)
        fc_input(c, 2, 1, &s->m, false, true);
    fc_ready(c);
}

static void check(const shape *s, int rank, int64_t batch, bool bias, bool optional)
{
    fast_case c;
    make(&c, s, rank, batch, bias);
    c.optional = optional;
    fc_check(&c, fc_session);
    fc_check_posts(&c, fc_session, true);
    fc_end(&c);
}

static void test_resnet50(void **unused)
{
    static const shape shapes[] = {
        {1, 3, 64, 112, 112, 7, 2, 1, 3, 3},   {1, 64, 64, 56, 56, 1, 1, 1, 0, 0},
        {1, 64, 64, 56, 56, 3, 1, 1, 1, 1},    {1, 64, 256, 28, 28, 1, 1, 1, 0, 0},
        {1, 256, 128, 28, 28, 1, 1, 1, 0, 0},  {1, 128, 128, 56, 56, 3, 2, 1, 1, 1},
        {1, 128, 512, 28, 28, 1, 1, 1, 0, 0},  {1, 256, 512, 56, 56, 1, 2, 1, 0, 0},
        {1, 512, 128, 28, 28, 1, 1, 1, 0, 0},  {1, 128, 128, 28, 28, 3, 1, 1, 1, 1},
        {1, 256, 256, 28, 28, 3, 2, 1, 1, 1},  {1, 256, 1024, 14, 14, 1, 1, 1, 0, 0},
        {1, 512, 1024, 28, 28, 1, 2, 1, 0, 0}, {1, 1024, 256, 14, 14, 1, 1, 1, 0, 0},
        {1, 256, 256, 14, 14, 3, 1, 1, 1, 1},  {1, 512, 512, 14, 14, 3, 2, 1, 1, 1},
        {1, 512, 2048, 7, 7, 1, 1, 1, 0, 0},   {1, 1024, 2048, 14, 14, 1, 2, 1, 0, 0},
        {1, 2048, 512, 7, 7, 1, 1, 1, 0, 0},   {1, 512, 512, 7, 7, 3, 1, 1, 1, 1}};
    (void)unused;
    for (int i = 0; i < UBP_COUNT(shapes); i++)
        check(&shapes[i], 4, 3, true, false);
}

static void test_mobilenet_vit_lenet(void **unused)
{
    static const shape shapes[] = {
        {32, 32, 32, 56, 56, 3, 1, 1, 1, 1},    {96, 96, 96, 56, 56, 3, 2, 1, 1, 1},
        {144, 144, 144, 28, 28, 3, 1, 1, 1, 1}, {960, 960, 960, 7, 7, 3, 1, 1, 1, 1},
        {72, 72, 72, 28, 28, 5, 2, 1, 2, 2},    {1, 3, 32, 64, 64, 3, 2, 1, 1, 1},
        {1, 32, 16, 56, 56, 1, 1, 1, 0, 0},     {1, 16, 96, 56, 56, 1, 1, 1, 0, 0},
        {1, 24, 144, 28, 28, 1, 1, 1, 0, 0},    {1, 960, 320, 7, 7, 1, 1, 1, 0, 0},
        {1, 320, 1280, 7, 7, 1, 1, 1, 0, 0},    {1, 3, 192, 64, 64, 16, 16, 1, 0, 0},
        {1, 1, 32, 28, 28, 3, 1, 1, 0, 0},      {1, 1, 6, 28, 28, 5, 1, 1, 2, 2},
        {1, 6, 16, 14, 14, 5, 1, 1, 0, 0},      {32, 128, 128, 14, 14, 3, 1, 1, 1, 1},
        {1, 576, 24, 1, 1, 1, 1, 1, 0, 0},      {1, 3, 8, 32, 32, 3, 2, 1, 0, 1},
        {1, 960, 128, 16, 16, 3, 1, 2, 2, 2},   {1, 384, 48, 16, 16, 7, 1, 1, 3, 3}};
    (void)unused;
    for (int i = 0; i < UBP_COUNT(shapes); i++)
        check(&shapes[i], 4, 9, i % 2 == 0, false);
}

static void test_one_and_three_dims(void **unused)
{
    static const shape shapes[] = {{1, 16, 32, 50, 6, 3, 1, 1, 1, 1},
                                   {1, 40, 64, 33, 7, 5, 2, 1, 2, 2},
                                   {1, 64, 96, 17, 9, 1, 1, 1, 0, 0},
                                   {48, 48, 48, 24, 8, 3, 1, 1, 1, 1},
                                   {1, 2, 16, 20, 10, 3, 1, 2, 2, 2}};
    (void)unused;
    for (int i = 0; i < UBP_COUNT(shapes); i++) {
        check(&shapes[i], 3, 4, true, true);
        check(&shapes[i], 5, 4, true, true);
    }
}

static void random_shape(shape *s)
{
    static const int64_t channels[] = {1,   2,   3,   4,   7,   8,   16,  24,  32,  40,
                                       48,  64,  72,  96,  100, 128, 160, 192, 240, 256,
                                       320, 384, 480, 512, 576, 640, 768, 960, 1280};
    static const int64_t sizes[] = {1, 2, 3, 4, 5, 7, 8, 10, 13, 14, 16, 17, 23, 28, 32, 35, 48};
    static const int64_t kernels[] = {1, 1, 1, 3, 3, 3, 3, 5, 7, 2};
    for (;;) {
        s->c = channels[fc_random(UBP_COUNT(channels))];
        s->m = channels[fc_random(UBP_COUNT(channels))];
        s->h = sizes[fc_random(UBP_COUNT(sizes))];
        s->w = fc_random(3) ? s->h : sizes[fc_random(UBP_COUNT(sizes))];
        s->k = kernels[fc_random(UBP_COUNT(kernels))];
        s->stride = fc_random(4) ? 1 : 2;
        s->dilation = s->k > 1 && fc_random(6) == 0 ? 2 : 1;
        s->begin = fc_random(5) ? s->k / 2 * s->dilation : 0;
        s->end = fc_random(5) ? s->begin : s->k / 2;
        s->group = 1;
        if (fc_random(5) == 0) {
            s->group = s->c;
            s->m = s->c * (1 + (fc_random(4) == 0));
        } else if (fc_random(8) == 0 && s->c % 4 == 0 && s->m % 4 == 0) {
            s->group = 4;
        }
        int64_t span = (s->k - 1) * s->dilation + 1;
        if (s->h + s->begin + s->end < span || s->w + s->begin + s->end < span)
            continue;
        double macs = (double)s->c / (double)s->group * (double)(s->m * s->k * s->k * s->h * s->w);
        if (macs < 5e7)
            return;
    }
}

static void test_random(void **unused)
{
    (void)unused;
    const char *count = getenv("UB_RANDOM_CASES"), *seed = getenv("UB_RANDOM_SEED");
    fc_seed(seed ? (uint64_t)atoll(seed) : 1);
    for (int i = count ? atoi(count) : 20; i > 0; i--) {
        shape s;
        random_shape(&s);
        int rank = fc_random(6) == 0 ? 3 : 4;
        check(&s, rank, 1 + fc_random(9), fc_random(2) == 0, true);
    }
}

/* Whether a process may use one core of a machine or all of them moves no bit. */
static void test_cores(void **unused)
{
    static const int cores[] = {1, 2, 3, 8, 32};
    (void)unused;
    const char *cases = getenv("UB_RANDOM_CASES"), *seed = getenv("UB_RANDOM_SEED");
    fc_seed(seed ? (uint64_t)atoll(seed) : 5);
    for (int i = cases ? atoi(cases) : 16; i > 0; i--) {
        shape s;
        fast_case c;
        int64_t count, again;
        do
            random_shape(&s);
        while (i % 2 && s.k > 1); /* half of them 1x1 */
        make(&c, &s, 4, 1 + fc_random(4), true);
        const fast_run r = {.threads = 2};
        float *y = fc_fast(&c, fc_session, &r, &count);
        for (int k = 0; y && k < UBP_COUNT(cores); k++) {
            ubp_onednn *other;
            assert_int_equal(ubp_onednn_new(&other, NULL), UB_OK);
            other->cores = cores[k];
            float *z = fc_fast(&c, other, &r, &again);
            assert_non_null(z);
            assert_int_equal(count, again);
            if (memcmp(y, z, (size_t)count * sizeof *y) != 0)
                fail_msg("%s: other bits for %d cores", c.text, cores[k]);
            free(z);
            ubp_onednn_free(other);
        }
        free(y);
        fc_end(&c);
    }
}

/* NaN and infinities go through a fused activation as through a separate one. */
static void test_not_finite(void **unused)
{
    static const shape shapes[] = {{1, 64, 64, 14, 14, 1, 1, 1, 0, 0},
                                   {1, 256, 256, 14, 14, 3, 1, 1, 1, 1},
                                   {1, 3, 16, 14, 14, 3, 1, 1, 1, 1},
                                   {32, 32, 32, 14, 14, 3, 1, 1, 1, 1}};
    (void)unused;
    for (int i = 0; i < UBP_COUNT(shapes); i++) {
        fast_case c;
        make(&c, &shapes[i], 4, 2, true);
        float *x = c.in[0].data;
        x[5] = __builtin_nanf("");
        x[77] = __builtin_inff();
        x[ub_tensor_count(&c.in[0]) - 9] = -__builtin_inff();
        fc_check_posts(&c, fc_session, true);
        int64_t count;
        float *relu = fc_fast(&c, fc_session, &(fast_run){.threads = 2, .op = "Relu"}, &count);
        assert_non_null(relu);
        assert_int_equal(fc_suspected, fc_watched); /* an activation inside must notice */
        free(relu);
        fc_end(&c);
    }
}

/* What is not served is declined, and the reason is not an error. */
static void test_declined(void **unused)
{
    (void)unused;
    const shape s = {1, 8, 8, 6, 6, 3, 1, 1, 1, 1}, wide = {1, 8, 8, 4, 4, 1, 1, 1, 0, 0};
    int64_t count;
    fast_case c;
    fast_run r = {.threads = 1};
    make(&c, &s, 4, 2, false);
    c.constant[1] = false; /* computed weights */
    assert_null(fc_fast(&c, fc_session, &r, &count));
    c.constant[1] = true;
    r.op = "Pow";
    assert_null(fc_fast(&c, fc_session, &r, &count));
    fc_end(&c);
    make(&c, &wide, 4, 0, false); /* an empty batch */
    r.op = NULL;
    assert_null(fc_fast(&c, fc_session, &r, &count));
    fc_end(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_resnet50),
        cmocka_unit_test(test_mobilenet_vit_lenet),
        cmocka_unit_test(test_one_and_three_dims),
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_cores),
        cmocka_unit_test(test_not_finite),
        cmocka_unit_test(test_declined),
    };
    return cmocka_run_group_tests(tests, fc_setup, fc_teardown);
}
