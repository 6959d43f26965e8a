/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The checks: the promise on trained models (it must hold), an engine whose samples drift (it must
 * be caught), samples that mix (they must be named and moved), numbers that overflow (they must be
 * found where they begin). Small models of tests/data/models and the digits example.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "unbatch.h"

#define DIGITS UB_TEST_DATA "/../examples/digits/"

static void ok(ub_status st, const ub_error *err)
{
    if (st != UB_OK)
        fail_msg("%d: %s", st, err->message);
}

/* A session with n samples of random numbers, or of the digits. */
typedef struct fixture {
    ub_model *m;
    ub_session *s;
    ub_tensor *x;
} fixture;

static fixture open_random(const char *name, int64_t n)
{
    fixture f = {0};
    ub_error err;
    char path[512];
    snprintf(path, sizeof path, "%s/data/models/%s/model.onnx", UB_TEST_DATA, name);
    ok(ub_open(&f.m, path, &err), &err);
    const ub_port *p = ub_model_input(f.m, 0);
    int64_t dims[UB_MAX_RANK];
    for (int a = 0; a < p->rank; a++)
        dims[a] = a == p->batch_axis ? n : p->dims[a] > 0 ? p->dims[a] : 7;
    ok(ub_tensor_random_normal(&f.x, p->rank, dims, 5, &err), &err);
    ok(ub_session_new(&f.s, f.m, NULL, &err), &err);
    ok(ub_session_set(f.s, NULL, f.x, &err), &err);
    return f;
}

static fixture open_digits(int64_t n)
{
    fixture f = {0};
    ub_error err;
    ub_tensor *all, view;
    ok(ub_open(&f.m, DIGITS "digits.onnx", &err), &err);
    ok(ub_npy_load(&all, DIGITS "digits.npy", &err), &err);
    ok(ub_tensor_slice(&view, all, 0, 0, n, 1, &err), &err);
    ok(ub_tensor_copy(&f.x, &view, &err), &err);
    ub_tensor_free(all);
    ok(ub_session_new(&f.s, f.m, NULL, &err), &err);
    ok(ub_session_set(f.s, NULL, f.x, &err), &err);
    return f;
}

static void release(fixture *f)
{
    ub_session_free(f->s);
    ub_tensor_free(f->x);
    ub_model_free(f->m);
}

static void print_broken(const char *model, const ub_report *r)
{
    for (int i = 0; i < ub_report_count(r); i++) {
        const ub_finding *f = ub_report_at(r, i);
        if (f->verdict == UB_BROKEN)
            fail_msg("%s: %s: %s; %lld of %lld differ", model, f->what, f->detail,
                     (long long)f->differing, (long long)f->compared);
    }
}

static void test_invariance(void **unused)
{
    static const struct {
        const char *name;
        int64_t n;
        bool mixes;
    } models[] = {{"digits_lenet", 4, false},     {"digits_lenet_dynquant", 4, true},
                  {"digits_vit", 3, false},       {"shapes_detect_nms", 2, true},
                  {"shapes_mobilenet", 2, false}, {"shapes_mobilenet_qdq", 2, false},
                  {"shapes_resnet", 2, false},    {"superres_espcn", 2, false},
                  {"digits_lenet_b1", 3, false}};
    (void)unused;
    for (size_t i = 0; i < sizeof models / sizeof models[0]; i++) {
        ub_error err;
        fixture f = open_random(models[i].name, models[i].n);
        ub_report *r;
        ok(ub_check_invariance(&r, f.s, NULL, 0, &err), &err);
        print_broken(models[i].name, r);
        assert_true(ub_report_holds(r));
        int64_t compared = 0;
        bool mixes = false;
        for (int k = 0; k < ub_report_count(r); k++) {
            compared += ub_report_at(r, k)->compared;
            mixes = mixes || ub_report_at(r, k)->verdict == UB_MIXES;
        }
        assert_true(compared > 10000);
        assert_int_equal(mixes, models[i].mixes);
        ub_report_free(r);
        release(&f);
    }
}

/* NaNs of both signs and other payloads, infinities: the promise holds beside them too. */
static void test_invariance_of_nans(void **unused)
{
    static const char *const models[] = {"digits_lenet", "digits_vit", "shapes_mobilenet"};
    (void)unused;
    for (size_t i = 0; i < sizeof models / sizeof models[0]; i++) {
        ub_error err;
        ub_report *r;
        fixture f = open_random(models[i], 4);
        uint32_t *bits = f.x->data;
        const int64_t row = ub_tensor_count(f.x) / 4;
        for (int64_t k = 0; k < row; k++) {
            bits[row + k] = (k % 2 ? 0xffc00000u : 0x7fc00000u) | (uint32_t)(k % 1000);
            if (k % 5 == 0)
                bits[3 * row + k] = k % 2 ? 0x7f800000u : 0xff800000u;
        }
        ok(ub_check_invariance(&r, f.s, NULL, 0, &err), &err);
        print_broken(models[i], r);
        ub_report_free(r);
        release(&f);
    }
}

/* Another engine: its values for a batch, and for the samples alone, of which one is a bit off. */
static void test_against(void **unused)
{
    fixture f = open_digits(4);
    ub_error err;
    ub_tensor *batch, *alone;
    char path[256];
    (void)unused;
    ok(ub_get(&batch, f.s, "fc1", &err), &err);
    ok(ub_tensor_copy(&alone, batch, &err), &err);
    float *v = alone->data;
    const int64_t width = alone->dims[1];
    int64_t at = 0;
    for (int64_t i = 0; i < width; i++)
        if (fabsf(v[2 * width + i]) > fabsf(v[2 * width + at]))
            at = i;
    v[2 * width + at] = nextafterf(v[2 * width + at], 1e9F);
    snprintf(path, sizeof path, "/tmp/unbatch-check-%ld.npz", (long)getpid());
    ok(ub_npz_save(path, (const char *[]){"fc1", "fc1.alone"},
                   (const ub_tensor *const[]){batch, alone}, 2, &err),
       &err);
    ub_npz *z;
    ok(ub_npz_load(&z, path, &err), &err);
    unlink(path);
    ub_report *r;
    ok(ub_check_against(&r, f.s, z, &err), &err);
    assert_int_equal(ub_report_count(r), 2);
    const ub_finding *drift = ub_report_at(r, 0), *ours = ub_report_at(r, 1);
    assert_int_equal(drift->verdict, UB_BROKEN);
    assert_false(ub_report_holds(r));
    assert_int_equal(drift->differing, 1);
    assert_int_equal(drift->sample, 2);
    assert_int_equal(drift->index[0], at);
    for (int i = 0; i < 4; i++)
        assert_int_equal(drift->samples[i], i == 2);
    assert_true(drift->worst > 0 && drift->relative < 1e-6);
    assert_int_equal(ours->verdict, UB_HOLDS);
    ub_report_free(r);
    ub_npz_free(z);
    ub_tensor_free(batch);
    ub_tensor_free(alone);
    release(&f);
}

static void test_coupling(void **unused)
{
    ub_error err;
    ub_report *r;
    (void)unused;
    fixture f = open_digits(3);
    ok(ub_check_coupling(&r, f.s, &err), &err);
    assert_int_equal(ub_report_count(r), 1); /* the measured output */
    assert_int_equal(ub_report_at(r, 0)->verdict, UB_HOLDS);
    assert_int_equal(ub_report_at(r, 0)->sample, -1);
    ub_report_free(r);
    release(&f);

    f = open_random("digits_lenet_dynquant", 4);
    ok(ub_check_coupling(&r, f.s, &err), &err);
    const ub_finding *first = ub_report_at(r, 0), *last = ub_report_at(r, ub_report_count(r) - 1);
    assert_int_equal(first->verdict, UB_MIXES);
    assert_string_equal(first->op, "DynamicQuantizeLinear");
    assert_non_null(strstr(first->detail, "behind it: "));
    assert_string_equal(last->what, "logits");
    assert_true(last->relative > 0.01); /* neighbours 20 times as large are felt */
    assert_int_equal(last->n_samples, 4);
    ub_report_free(r);
    release(&f);
}

static void test_nan(void **unused)
{
    ub_error err;
    ub_report *r;
    fixture f = open_digits(5);
    (void)unused;
    ok(ub_check_nan(&r, f.s, &err), &err);
    assert_int_equal(ub_report_count(r), 0);
    ub_report_free(r);

    float *x = f.x->data;
    x[2 * 784 + 300] = NAN; /* of sample 2, row 10, column 20 */
    ok(ub_check_nan(&r, f.s, &err), &err);
    const ub_finding *first = ub_report_at(r, 0), *last = ub_report_at(r, ub_report_count(r) - 1);
    assert_string_equal(first->what, ub_model_input(f.m, 0)->name);
    assert_int_equal(first->sample, 2);
    assert_int_equal(first->differing, 1);
    assert_int_equal(first->index[2], 10);
    assert_int_equal(first->index[3], 20);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(first->samples[i], i == 2);
        assert_int_equal(last->samples[i], i == 2);
    }
    ub_report_free(r);

    x[2 * 784 + 300] = 3e38F; /* finite: the first product overflows */
    for (int i = 0; i < 20; i++)
        x[2 * 784 + 200 + i] = 3e38F;
    ok(ub_check_nan(&r, f.s, &err), &err);
    first = ub_report_at(r, 0);
    assert_string_equal(first->op, "Conv");
    assert_string_equal(first->what, "conv2"); /* conv1's weights are small */
    assert_int_equal(first->sample, 2);
    assert_non_null(strstr(first->detail, "infinite; reads"));
    ub_report_free(r);
    release(&f);
}

static void test_refused(void **unused)
{
    ub_error err;
    ub_report *r;
    fixture f = open_digits(2);
    (void)unused;
    const char *none[] = {"conv9"}, *slice[] = {"conv1[0]"};
    assert_int_equal(ub_check_invariance(&r, f.s, none, 1, &err), UB_ERR_ARGUMENT);
    assert_null(r);
    assert_int_equal(ub_check_invariance(&r, f.s, slice, 1, &err), UB_ERR_ARGUMENT);
    assert_non_null(strstr(err.message, "whole values"));
    ub_session_clear(f.s);
    assert_int_equal(ub_check_nan(&r, f.s, &err), UB_ERR_ARGUMENT);
    release(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_invariance), cmocka_unit_test(test_against),
        cmocka_unit_test(test_coupling),   cmocka_unit_test(test_nan),
        cmocka_unit_test(test_refused),    cmocka_unit_test(test_invariance_of_nans),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
