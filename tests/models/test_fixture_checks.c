/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ub_check_invariance over every model file of tests/data, whatever its format: the bitwise promise
 * must hold for every layer, with made-up inputs. And ub_check_coupling must agree with it: a model
 * in which nothing mixes has no sample that moves.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "unbatch.h"

enum { PATH = 700, PORTS = 8, SAMPLES = 3 };

typedef struct run {
    ub_model *m;
    ub_session *s;
    ub_tensor *in[PORTS];
} run;

/* Floats are normal, integers small and not negative (they may be tokens). */
static ub_tensor *made_up(const ub_port *p, int64_t length, uint64_t seed)
{
    int64_t dims[UB_MAX_RANK];
    ub_tensor *t = NULL, *cast = NULL;
    ub_error err;
    for (int a = 0; a < p->rank; a++)
        dims[a] = p->dims[a] > 0 && a != p->batch_axis ? p->dims[a]
                  : a == p->batch_axis                 ? SAMPLES
                                                       : length;
    if (ub_tensor_random_normal(&t, p->rank, dims, seed, &err) != UB_OK)
        fail_msg("%s", err.message);
    if (p->dtype == UB_F32 || p->dtype == UB_UNDEFINED)
        return t;
    if (p->dtype != UB_F64 && p->dtype != UB_F16 && p->dtype != UB_BF16) {
        float *v = t->data;
        for (int64_t i = 0; i < ub_tensor_count(t); i++)
            v[i] = (float)((i * 7 + (int64_t)seed) % 2);
    }
    if (ub_tensor_cast(&cast, t, p->dtype, &err) != UB_OK)
        fail_msg("%s", err.message);
    ub_tensor_free(t);
    return cast;
}

static void release(run *r)
{
    ub_session_free(r->s);
    for (int i = 0; i < PORTS; i++)
        ub_tensor_free(r->in[i]);
    ub_model_free(r->m);
    *r = (run){0};
}

/* Opens the file and gives it inputs whose free axes have this length; false: they do not fit. */
static bool start(run *r, const char *path, int64_t length)
{
    ub_error err;
    ub_session_options o = UB_SESSION_OPTIONS_INIT;
    o.threads = 1;
    if (ub_open(&r->m, path, &err) != UB_OK || ub_session_new(&r->s, r->m, &o, &err) != UB_OK)
        fail_msg("%s", err.message);
    assert_true(ub_model_input_count(r->m) <= PORTS);
    for (int i = 0; i < ub_model_input_count(r->m); i++) {
        const ub_port *p = ub_model_input(r->m, i);
        r->in[i] = made_up(p, length, (uint64_t)i + 1);
        if (ub_session_set(r->s, p->name, r->in[i], &err) != UB_OK)
            fail_msg("%s: %s", path, err.message);
    }
    ub_tensor *out[1];
    const char *what[] = {ub_model_output(r->m, 0)->name};
    if (ub_get_many(out, r->s, what, 1, &err) != UB_OK)
        return false;
    ub_tensor_free(out[0]);
    return true;
}

static void check_file(const char *path)
{
    static const int64_t lengths[] = {7, 16, 12, 8, 28, 32, 64};
    const size_t n = sizeof lengths / sizeof lengths[0];
    run r = {0};
    ub_error err;
    ub_report *report;
    size_t i = 0;
    while (i < n && !start(&r, path, lengths[i++]))
        release(&r);
    if (!r.m)
        fail_msg("%s: no inputs fit", path);
    if (ub_check_invariance(&report, r.s, NULL, 0, &err) != UB_OK)
        fail_msg("%s: %s", path, err.message);
    bool mixes = false;
    int64_t compared = 0;
    for (int k = 0; k < ub_report_count(report); k++) {
        const ub_finding *f = ub_report_at(report, k);
        mixes = mixes || f->verdict == UB_MIXES;
        compared += f->compared;
        if (f->verdict == UB_BROKEN)
            fail_msg("%s: %s: %s; %lld of %lld elements differ", path, f->what, f->detail,
                     (long long)f->differing, (long long)f->compared);
    }
    assert_true(compared > 0);
    ub_report_free(report);
    if (!mixes) {
        if (ub_check_coupling(&report, r.s, &err) != UB_OK)
            fail_msg("%s: %s", path, err.message);
        for (int k = 0; k < ub_report_count(report); k++)
            if (ub_report_at(report, k)->sample >= 0)
                fail_msg("%s: %s: sample %lld moves with its neighbours", path,
                         ub_report_at(report, k)->what, (long long)ub_report_at(report, k)->sample);
        ub_report_free(report);
    }
    release(&r);
}

static int is_model(const struct dirent *e)
{
    static const char *const ends[] = {".onnx", ".pt2", ".keras", ".h5"};
    const size_t n = strlen(e->d_name);
    if (strncmp(e->d_name, "refuse", 6) == 0)
        return 0;
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++)
        if (n > strlen(ends[i]) && strcmp(e->d_name + n - strlen(ends[i]), ends[i]) == 0)
            return 1;
    return 0;
}

static int is_visible(const struct dirent *e)
{
    return e->d_name[0] != '.';
}

static int check_folder(const char *folder)
{
    struct dirent **list = NULL;
    char path[PATH];
    const int n = scandir(folder, &list, is_model, alphasort);
    for (int i = 0; i < n; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, list[i]->d_name);
        check_file(path);
        free(list[i]);
    }
    free(list);
    return n < 0 ? 0 : n;
}

/* The formats' fixtures lie in folders of their own, the trained models in one each. */
static void test_fixtures(void **unused)
{
    static const char *const folders[] = {UB_TEST_DATA "/data/onnx", UB_TEST_DATA "/data/pt2",
                                          UB_TEST_DATA "/data/keras"};
    int checked = 0;
    (void)unused;
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++)
        checked += check_folder(folders[i]);
    assert_true(checked >= 40);
}

static void test_models(void **unused)
{
    struct dirent **list = NULL;
    char path[PATH];
    (void)unused;
    const int n = scandir(UB_TEST_DATA "/data/models", &list, is_visible, alphasort);
    assert_true(n >= 10);
    for (int i = 0; i < n; i++) {
        snprintf(path, sizeof path, "%s/data/models/%s", UB_TEST_DATA, list[i]->d_name);
        check_folder(path);
        free(list[i]);
    }
    free(list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_fixtures),
                                       cmocka_unit_test(test_models)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
