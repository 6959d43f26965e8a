/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Networks whose nodes a plan joins (tests/tools/fused_cases.py): the step is there, the result is
 * ONNX Runtime's, and no bit of any value hangs on what else is asked for, which breaks the step
 * up; on the batch, the threads, what a session keeps, or on whether it all runs step by step.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "onnx_case.h"
#include "ops/fast.h"
#include "unbatch.h"

#include <dirent.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_VALUES = 64, NAME = 64 };

static const int team_sizes[] = {1, 2, 3, 5};

typedef struct net {
    const char *folder;
    ub_model *model;
    onnx_data d;
    char values[MOST_VALUES][NAME]; /* float32, computed */
    ub_tensor *truth[MOST_VALUES];  /* each asked for alone */
    int n_values;
    bool reference; /* sessions of plain C kernels */
} net;

static void ok(ub_status st, const ub_error *err)
{
    if (st != UB_OK)
        fail_msg("%d: %s", st, err->message);
}

static ub_session *session(const net *n, int threads, size_t cache)
{
    ub_session *s;
    ub_error err;
    ub_session_options o = UB_SESSION_OPTIONS_INIT;
    o.threads = threads;
    o.reference = n->reference;
    o.cache_bytes = cache;
    ok(ub_session_new(&s, n->model, &o, &err), &err);
    for (int i = 0; i < n->d.n_in; i++)
        ok(ub_session_set(s, ub_model_input(n->model, i)->name, &n->d.in[i], &err), &err);
    return s;
}

static ub_tensor *get(ub_session *s, const char *what)
{
    ub_tensor *t;
    ub_error err;
    ok(ub_get(&t, s, what, &err), &err);
    return t;
}

/* From contiguous copies, as results may be views. */
static void same_bits(const net *n, const char *what, const ub_tensor *a, const ub_tensor *b)
{
    ub_tensor *p, *q;
    ub_error err;
    ok(ub_tensor_copy(&p, a, &err), &err);
    ok(ub_tensor_copy(&q, b, &err), &err);
    assert_int_equal(ub_tensor_count(p), ub_tensor_count(q));
    if (memcmp(p->data, q->data, (size_t)ub_tensor_count(p) * ub_dtype_size(p->dtype)) != 0)
        fail_msg("%s: %s: other bits", n->folder, what);
    ub_tensor_free(p);
    ub_tensor_free(q);
}

/* The network's values by node name; all but the last two nodes, which make the outputs. */
static void list_values(net *n)
{
    ub_names *names;
    ub_error err;
    ok(ub_match(&names, n->model, "**", &err), &err);
    for (int i = 0; i < ub_names_count(names); i++) {
        assert_true(n->n_values < MOST_VALUES);
        snprintf(n->values[n->n_values++], NAME, "%s", ub_names_at(names, i));
    }
    assert_true(n->n_values >= 2);
    ub_names_free(names);
}

/* ---- What must hold ----------------------------------------------------------------------------
 */

static void has_step(const net *n)
{
    char path[ONNX_CASE_PATH];
    onnx_path(path, "%s/case.json", n->folder);
    json_t *j = json_load_file(path, 0, NULL);
    const char *step = json_string_value(json_object_get(j, "step"));
    const char *none = json_string_value(json_object_get(j, "none"));
    bool found = false;
    ub_session *s = session(n, 1, 0);
    ub_session_profile(s, true);
    ub_tensor_free(get(s, "y"));
    assert_true(step || none);
    for (int i = 0; i < ub_session_step_count(s); i++)
        found = found || strcmp(ub_session_step(s, i)->op, step ? step : none) == 0;
    /* Convolutions and normalizations take others in where their kernels are prepared. */
    const bool can = strcmp(ubp_onednn_version(), "none") != 0 || !step ||
                     (!strstr(step, "Conv+") && !strstr(step, "BatchNormalization+"));
    if (found != (step != NULL) && can)
        fail_msg("%s: the step %s is %sthere", n->folder, step ? step : none, found ? "" : "not ");
    ub_session_free(s);
    json_decref(j);
}

static void is_right(const net *n)
{
    char text[256];
    double rtol, atol;
    onnx_case_limits(n->folder, &rtol, &atol);
    ub_session *s = session(n, 2, 0);
    ub_tensor *y = get(s, "y");
    if (!onnx_same(y, &n->d.out[0], rtol, atol, text, sizeof text))
        fail_msg("%s: %s", n->folder, text);
    ub_tensor_free(y);
    ub_session_free(s);
}

/* Alone, with all others, and from what a session kept; for every number of threads. */
static void taps_move_nothing(net *n)
{
    ub_error err;
    ub_tensor *all[MOST_VALUES];
    const char *what[MOST_VALUES];
    for (int i = 0; i < n->n_values; i++)
        what[i] = n->values[i];
    for (int t = 0; t < UBP_COUNT(team_sizes); t++) {
        ub_session *s = session(n, team_sizes[t], 0);
        ub_session *keeps = session(n, team_sizes[t], (size_t)1 << 30);
        ok(ub_get_many(all, s, what, n->n_values, &err), &err);
        for (int i = n->n_values - 1; i >= 0; i--) {
            ub_tensor *one = get(s, what[i]), *kept = get(keeps, what[i]);
            if (!n->truth[i])
                ok(ub_tensor_copy(&n->truth[i], one, &err), &err);
            same_bits(n, what[i], one, n->truth[i]);
            same_bits(n, what[i], all[i], n->truth[i]);
            same_bits(n, what[i], kept, n->truth[i]);
            ub_tensor_free(one);
            ub_tensor_free(kept);
            ub_tensor_free(all[i]);
        }
        for (int i = 0; i < n->n_values; i++) { /* downwards from what was kept */
            ub_tensor *kept = get(keeps, what[i]);
            same_bits(n, what[i], kept, n->truth[i]);
            ub_tensor_free(kept);
        }
        ub_session_free(keeps);
        ub_session_free(s);
    }
}

static void samples_stay(const net *n)
{
    ub_error err;
    for (int t = 0; t < UBP_COUNT(team_sizes); t++) {
        ub_session *s = session(n, team_sizes[t], 0);
        ub_tensor *whole = get(s, "y"), there;
        for (int64_t k = 0; k < whole->dims[0]; k++) {
            char what[32];
            snprintf(what, sizeof what, "y[%lld]", (long long)k);
            ub_tensor *alone = get(s, what);
            ok(ub_tensor_at(&there, whole, k, &err), &err);
            same_bits(n, what, &there, alone);
            ub_tensor_free(alone);
        }
        ub_tensor_free(whole);
        ub_session_free(s);
    }
}

/* "where" has a shape that hangs on data: no plan then. */
static void stepping_is_the_same(const net *n)
{
    static const char *const both[] = {"y", "where"};
    ub_error err;
    ub_tensor *out[2];
    ub_session *s = session(n, 2, 0);
    ub_tensor *y = get(s, "y");
    ok(ub_get_many(out, s, both, 2, &err), &err);
    same_bits(n, "y", y, out[0]);
    for (int i = 0; i < 2; i++)
        ub_tensor_free(out[i]);
    ub_tensor_free(y);
    ub_session_free(s);
}

static void forget(net *n)
{
    for (int i = 0; i < n->n_values; i++) {
        ub_tensor_free(n->truth[i]);
        n->truth[i] = NULL;
    }
}

static void check(const char *folder)
{
    net n = {.folder = folder};
    char path[ONNX_CASE_PATH];
    ub_error err;
    onnx_path(path, "%s/model.onnx", folder);
    ok(ub_open(&n.model, path, &err), &err);
    ok(onnx_data_read(&n.d, folder, 0, n.model, &err), &err);
    list_values(&n);
    has_step(&n);
    is_right(&n);
    taps_move_nothing(&n);
    samples_stay(&n);
    stepping_is_the_same(&n);
    forget(&n);
    n.reference = true;
    is_right(&n);
    taps_move_nothing(&n);
    stepping_is_the_same(&n);
    forget(&n);
    onnx_data_release(&n.d);
    ub_model_free(n.model);
}

static void joined_nodes_keep_their_bits(void **state)
{
    char folder[ONNX_CASE_PATH];
    struct dirent **list = NULL;
    int seen = 0;
    (void)state;
    const int n = scandir(UB_TEST_BUILD "/fused_cases", &list, NULL, alphasort);
    for (int i = 0; i < n; i++) {
        if (list[i]->d_name[0] != '.') {
            onnx_path(folder, "%s/%s", UB_TEST_BUILD "/fused_cases", list[i]->d_name);
            check(folder);
            seen++;
        }
        free(list[i]);
    }
    free(list);
    assert_true(seen >= 35);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(joined_nodes_keep_their_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
