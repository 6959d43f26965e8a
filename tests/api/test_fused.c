/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is joined into one step, and sessions that keep values: the same bits as apart, for every
 * batch and number of threads, and less work, counted in steps, never by the clock.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "unbatch.h"

#define DIGITS UB_TEST_DATA "/../examples/digits/"
#define VIT    UB_TEST_DATA "/data/models/digits_vit/model.onnx"

static void ok(ub_status st, const ub_error *err)
{
    if (st != UB_OK)
        fail_msg("%d: %s", st, err->message);
}

typedef struct given {
    ub_model *model;
    ub_tensor *x;
} given;

static ub_session *session(const given *g, int threads, size_t cache, bool reference)
{
    ub_session *s;
    ub_error err;
    ub_session_options o = UB_SESSION_OPTIONS_INIT;
    o.threads = threads;
    o.cache_bytes = cache;
    o.reference = reference;
    ok(ub_session_new(&s, g->model, &o, &err), &err);
    ok(ub_session_set(s, NULL, g->x, &err), &err);
    return s;
}

static ub_tensor *get(ub_session *s, const char *what)
{
    ub_tensor *t;
    ub_error err;
    ok(ub_get(&t, s, what, &err), &err);
    return t;
}

static int64_t steps_of(const ub_session *s)
{
    ub_session_counts c = UB_SESSION_COUNTS_INIT;
    ub_session_count(s, &c);
    return c.steps;
}

static void same_bits(const ub_tensor *a, const ub_tensor *b)
{
    ub_tensor *p, *q;
    ub_error err;
    ok(ub_tensor_copy(&p, a, &err), &err);
    ok(ub_tensor_copy(&q, b, &err), &err);
    assert_int_equal(p->rank, q->rank);
    assert_int_equal(ub_tensor_count(p), ub_tensor_count(q));
    assert_memory_equal(p->data, q->data, (size_t)ub_tensor_count(p) * ub_dtype_size(p->dtype));
    ub_tensor_free(p);
    ub_tensor_free(q);
}

static void open_vit(given *g)
{
    ub_error err;
    ok(ub_open(&g->model, VIT, &err), &err);
    const ub_port *in = ub_model_input(g->model, 0);
    int64_t dims[UB_MAX_RANK];
    memcpy(dims, in->dims, sizeof dims);
    dims[0] = 5;
    ok(ub_tensor_random_normal(&g->x, in->rank, dims, 3, &err), &err);
}

static void release(given *g)
{
    ub_tensor_free(g->x);
    ub_model_free(g->model);
}

/* ---- Chains ------------------------------------------------------------------------------------
 */

/* Every layer's output: from one run of all of them, where each is stored on the way, and from a
 * run of its own, where what leads to it is joined. */
static void chain_keeps_bits(void **state)
{
    given g;
    ub_error err;
    ub_names *names;
    ub_tensor *all[512];
    const char *what[512];
    (void)state;
    open_vit(&g);
    ok(ub_match(&names, g.model, "**", &err), &err);
    const int n = ub_names_count(names);
    assert_in_range(n, 8, 511);
    for (int i = 0; i < n; i++)
        what[i] = ub_names_at(names, i);
    for (int threads = 1; threads <= 3; threads++) {
        ub_session *s = session(&g, threads, 0, false);
        ok(ub_get_many(all, s, what, n, &err), &err);
        for (int i = 0; i < n; i++) {
            ub_tensor *one = get(s, what[i]);
            same_bits(all[i], one);
            ub_tensor_free(one);
            ub_tensor_free(all[i]);
        }
        ub_session_free(s);
    }
    ub_names_free(names);
    release(&g);
}

/* The GELU of this exporter is Div, Erf, Add, Mul, Mul. */
static void gelu_is_one_step(void **state)
{
    given g;
    bool found = false;
    (void)state;
    open_vit(&g);
    ub_session *s = session(&g, 2, 0, false);
    ub_session_profile(s, true);
    ub_tensor_free(get(s, ub_model_output(g.model, 0)->name));
    for (int i = 0; i < ub_session_step_count(s); i++) {
        const ub_step *step = ub_session_step(s, i);
        assert_null(strcmp(step->kernel, "chain") == 0 ? NULL : strstr(step->op, "Erf"));
        found = found || (strcmp(step->kernel, "chain") == 0 && strstr(step->op, "Div+Erf+Add+"));
    }
    assert_true(found);
    ub_session_free(s);
    release(&g);
}

/* ---- Layers made of other products -------------------------------------------------------------
 */

/* The layer "0" of net: near the reference kernels, and for any number of threads each sample has
 * the bits it has alone. */
static void keeps_bits(ub_nn *net, int rank, const int64_t *dims)
{
    given g;
    ub_error err;
    ok(ub_nn_model(&g.model, net, &err), &err);
    ok(ub_tensor_random_normal(&g.x, rank, dims, 9, &err), &err);
    ub_session *plain = session(&g, 1, 0, true);
    ub_tensor *result = get(plain, "0"), *truth;
    ok(ub_tensor_copy(&truth, result, &err), &err);
    for (int threads = 1; threads <= 3; threads++) {
        ub_session *s = session(&g, threads, 0, false);
        ub_tensor *whole = get(s, "0"), *dense;
        ok(ub_tensor_copy(&dense, whole, &err), &err);
        assert_int_equal(ub_tensor_count(dense), ub_tensor_count(truth));
        for (int64_t i = 0; i < ub_tensor_count(truth); i++)
            assert_true(fabsf(((float *)dense->data)[i] - ((float *)truth->data)[i]) < 1e-5f);
        for (int k = 0; k < dims[0]; k++) {
            char what[16];
            ub_tensor there;
            snprintf(what, sizeof what, "0[%d]", k);
            ub_tensor *alone = get(s, what);
            ok(ub_tensor_at(&there, whole, k, &err), &err);
            same_bits(&there, alone);
            ub_tensor_free(alone);
        }
        ub_tensor_free(dense);
        ub_tensor_free(whole);
        ub_session_free(s);
    }
    ub_tensor_free(truth);
    ub_tensor_free(result);
    ub_session_free(plain);
    release(&g);
}

static void conv_transpose_keeps_bits(void **state)
{
    (void)state;
    ub_nn *net = ub_nn_new(5);
    ub_torch_input(net, {6, 5, 7});
    ub_torch_conv_transpose2d(net, 6, 10, {2, 3}, {2, 3});
    keeps_bits(net, 4, (const int64_t[]){4, 6, 5, 7});
}

/* The samples come first, the layer wants the steps first: it reads them as they lie. Nine samples
 * are shared out by threads, a few are not, and one alone shares its hidden units. */
static void recurrent_keeps_bits(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        ub_nn *net = ub_nn_new(7);
        ub_torch_input(net, {6, 24});
        if (i == 2)
            ub_torch_gru(net, 24, 256, .batch_first = true);
        else
            ub_torch_lstm(net, 24, 256, .batch_first = true, .bidirectional = i == 1);
        keeps_bits(net, 3, (const int64_t[]){i == 3 ? 3 : 9, 6, 24});
    }
}

/* ---- Kept values --------------------------------------------------------------------------------
 */

static void open_digits(given *g)
{
    ub_error err;
    ok(ub_open(&g->model, DIGITS "digits.onnx", &err), &err);
    ok(ub_npy_load(&g->x, DIGITS "digits.npy", &err), &err);
}

static const char *const layers[] = {"fc2",   "conv3", "relu2", "conv1", "pool2",
                                     "conv2", "fc1",   "relu1", "relu3", "fc2"};

/* A later request runs fewer steps than one of a session that keeps nothing, and gives its bits. */
static void cache_saves_steps(void **state)
{
    given g;
    (void)state;
    open_digits(&g);
    ub_session *keeps = session(&g, 2, (size_t)64 << 20, false);
    ub_session *bare = session(&g, 2, 0, false);
    for (size_t i = 0; i < sizeof layers / sizeof layers[0]; i++) {
        const int64_t before = steps_of(keeps), bare_before = steps_of(bare);
        ub_tensor *a = get(keeps, layers[i]), *b = get(bare, layers[i]);
        const int64_t work = steps_of(keeps) - before, all = steps_of(bare) - bare_before;
        same_bits(a, b);
        assert_true(all > 0);
        /* From the nearest value that was stored: a step or two. */
        assert_in_range(work, 0, i ? 2 : all);
        assert_true(work <= all);
        ub_tensor_free(a);
        ub_tensor_free(b);
    }
    assert_true(2 * steps_of(keeps) < steps_of(bare));
    /* The same again: nothing to do. */
    const int64_t before = steps_of(keeps);
    ub_tensor_free(get(keeps, "conv3"));
    assert_int_equal(steps_of(keeps), before);
    ub_session_counts c = UB_SESSION_COUNTS_INIT;
    ub_session_count(keeps, &c);
    assert_true(c.reused > 0 && c.cached_bytes > 0 && c.cached_bytes <= (size_t)64 << 20);
    ub_session_free(keeps);
    ub_session_free(bare);
    release(&g);
}

/* One sample is taken out of a kept batch; a kept sample serves no other. */
static void cache_knows_samples(void **state)
{
    given g;
    (void)state;
    open_digits(&g);
    ub_session *keeps = session(&g, 2, (size_t)64 << 20, false);
    ub_session *bare = session(&g, 2, 0, false);
    static const char *const what[] = {"pool1[4]", "conv3[4]",    "conv3[5]",
                                       "conv3",    "conv3[7, 2]", "fc1[::-2]"};
    for (size_t i = 0; i < sizeof what / sizeof what[0]; i++) {
        const int64_t before = steps_of(keeps);
        ub_tensor *a = get(keeps, what[i]), *b = get(bare, what[i]);
        same_bits(a, b);
        if (i == 4)
            assert_int_equal(steps_of(keeps), before);
        ub_tensor_free(a);
        ub_tensor_free(b);
    }
    ub_session_free(keeps);
    ub_session_free(bare);
    release(&g);
}

/* Another input is another answer; what was kept goes. */
static void cache_forgets(void **state)
{
    given g;
    ub_error err;
    ub_tensor half;
    (void)state;
    open_digits(&g);
    ub_session *s = session(&g, 2, (size_t)64 << 20, false);
    ub_tensor_free(get(s, "conv3"));
    ok(ub_tensor_slice(&half, g.x, 0, 16, 20, 1, &err), &err);
    ok(ub_session_set(s, NULL, &half, &err), &err);
    ub_session_counts c = UB_SESSION_COUNTS_INIT;
    ub_session_count(s, &c);
    assert_int_equal(c.cached_bytes, 0);
    ub_session *bare = session(&g, 2, 0, false);
    ub_tensor *a = get(s, "conv3"), *b = get(bare, "conv3[16:20]");
    same_bits(a, b);
    ub_tensor_free(a);
    ub_tensor_free(b);
    ub_session_free(bare);
    ub_session_free(s);
    release(&g);
}

/* What is kept stays within the budget, however small, and the answers are right. */
static void cache_keeps_to_budget(void **state)
{
    given g;
    (void)state;
    open_digits(&g);
    ub_session *bare = session(&g, 1, 0, false);
    for (size_t budget = 1; budget < (size_t)8 << 20; budget *= 16) {
        ub_session *s = session(&g, 1, budget, false);
        for (size_t i = 0; i < sizeof layers / sizeof layers[0]; i++) {
            ub_session_counts c = UB_SESSION_COUNTS_INIT;
            ub_tensor *a = get(s, layers[i]), *b = get(bare, layers[i]);
            same_bits(a, b);
            ub_session_count(s, &c);
            assert_true(c.cached_bytes <= budget);
            ub_tensor_free(a);
            ub_tensor_free(b);
        }
        ub_session_free(s);
    }
    ub_session_free(bare);
    release(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chain_keeps_bits),
        cmocka_unit_test(gelu_is_one_step),
        cmocka_unit_test(conv_transpose_keeps_bits),
        cmocka_unit_test(recurrent_keeps_bits),
        cmocka_unit_test(cache_saves_steps),
        cmocka_unit_test(cache_knows_samples),
        cmocka_unit_test(cache_forgets),
        cmocka_unit_test(cache_keeps_to_budget),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
