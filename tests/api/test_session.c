/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sessions on the digits network, against what PyTorch's hooks gave for its first four digits
 * (examples/digits/layers.npz): values, the bitwise promise, starting from inner values, errors.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "unbatch.h"

#define DIGITS UB_TEST_DATA "/../examples/digits/"

static const char *const files[] = {DIGITS "digits.onnx", DIGITS "digits.torchscript.onnx"};
static const char *const layers[] = {"conv1", "relu1", "conv2",   "relu2", "pool1", "conv3",
                                     "relu3", "pool2", "flatten", "fc1",   "relu4", "fc2"};
enum { N_LAYERS = sizeof layers / sizeof layers[0] };

typedef struct fixture {
    ub_model *models[2];
    ub_tensor *digits; /* [32][1][28][28] */
    ub_npz *truth;     /* "conv1.in", "conv1.out", ... of the first 4 */
} fixture;

static void ok(ub_status st, const ub_error *err)
{
    if (st != UB_OK)
        fail_msg("%d: %s", st, err->message);
}

static int setup(void **state)
{
    static fixture f;
    ub_error err;
    for (int i = 0; i < 2; i++)
        ok(ub_open(&f.models[i], files[i], &err), &err);
    ok(ub_npy_load(&f.digits, DIGITS "digits.npy", &err), &err);
    ok(ub_npz_load(&f.truth, DIGITS "layers.npz", &err), &err);
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;
    ub_model_free(f->models[0]);
    ub_model_free(f->models[1]);
    ub_tensor_free(f->digits);
    ub_npz_free(f->truth);
    return 0;
}

static const ub_tensor *truth(const fixture *f, const char *layer, const char *side)
{
    char name[64];
    snprintf(name, sizeof name, "%s.%s", layer, side);
    for (int i = 0; i < ub_npz_count(f->truth); i++)
        if (strcmp(ub_npz_name(f->truth, i), name) == 0)
            return ub_npz_tensor(f->truth, i);
    fail_msg("no %s", name);
    return NULL;
}

static ub_session *session(const ub_model *m, int threads, bool reference)
{
    ub_session *s;
    ub_error err;
    ub_session_options o = UB_SESSION_OPTIONS_INIT;
    o.threads = threads;
    o.reference = reference;
    ok(ub_session_new(&s, m, &o, &err), &err);
    return s;
}

/* Samples [from, to) of the digits as a view. */
static ub_tensor digits(const fixture *f, int64_t from, int64_t to)
{
    ub_tensor view;
    ub_error err;
    ok(ub_tensor_slice(&view, f->digits, 0, from, to, 1, &err), &err);
    return view;
}

/* A contiguous copy; also how results are compared bit for bit. */
static ub_tensor *get(ub_session *s, const char *what)
{
    ub_tensor *t, *copy;
    ub_error err;
    ok(ub_get(&t, s, what, &err), &err);
    ok(ub_tensor_copy(&copy, t, &err), &err);
    ub_tensor_free(t);
    return copy;
}

static size_t bytes_of(const ub_tensor *t)
{
    return (size_t)ub_tensor_count(t) * ub_dtype_size(t->dtype);
}

static void assert_same_bits(const ub_tensor *a, const ub_tensor *b, const char *what)
{
    if (bytes_of(a) != bytes_of(b) || memcmp(a->data, b->data, bytes_of(a)) != 0)
        fail_msg("%s: the bits differ", what);
}

/* Within 1e-4 of the layer's largest magnitude. */
static void assert_close(const ub_tensor *have, const ub_tensor *want, const char *what)
{
    ub_tensor *w;
    ub_error err;
    ok(ub_tensor_copy(&w, want, &err), &err);
    assert_int_equal(ub_tensor_count(have), ub_tensor_count(w));
    const float *a = have->data, *b = w->data;
    float high = 0, gap = 0;
    for (int64_t i = 0; i < ub_tensor_count(w); i++) {
        high = fmaxf(high, fabsf(b[i]));
        gap = fmaxf(gap, fabsf(a[i] - b[i]));
    }
    if (!(gap <= 1e-4f * high))
        fail_msg("%s: off by %g of %g", what, (double)gap, (double)high);
    ub_tensor_free(w);
}

static void every_layer_and_sample_as_pytorch(void **state)
{
    const fixture *f = *state;
    ub_tensor batch = digits(f, 0, 32);
    ub_error err;
    char what[64];
    for (int m = 0; m < 2; m++) {
        for (int reference = 0; reference < 2; reference++) {
            ub_session *s = session(f->models[m], 0, reference);
            ok(ub_session_set(s, NULL, &batch, &err), &err);
            for (int i = 0; i < 2 * N_LAYERS * 4; i++) {
                const char *layer = layers[i / 8], *side = i % 2 ? "out" : "in";
                int sample = i / 2 % 4;
                ub_tensor want;
                ok(ub_tensor_at(&want, truth(f, layer, side), sample, &err), &err);
                snprintf(what, sizeof what, "%s:%s[%d]", layer, side, sample);
                ub_tensor *have = get(s, what);
                assert_close(have, &want, what);
                ub_tensor_free(have);
            }
            ub_session_free(s);
        }
    }
}

static void same_bits_in_every_batch(void **state)
{
    const fixture *f = *state;
    static const int threads[] = {1, 2, 3, 5};
    ub_error err;
    char what[64];
    for (int k = 0; k < N_LAYERS; k++) {
        ub_tensor one = digits(f, 7, 8);
        ub_session *s = session(f->models[0], 1, false);
        ok(ub_session_set(s, NULL, &one, &err), &err);
        snprintf(what, sizeof what, "%s[0]", layers[k]);
        ub_tensor *want = get(s, what);
        ub_session_free(s);
        for (int t = 0; t < 4; t++) {
            s = session(f->models[0], threads[t], false);
            for (int size = 1; size <= 9; size++) {
                /* Digit 7 at every place in turn; sliced, and out of the whole. */
                int place = (size * 3 + k) % size;
                ub_tensor batch = digits(f, 7 - (place > 7 ? 7 : place), 7 - place + size);
                place = place > 7 ? 7 : place;
                ok(ub_session_set(s, "image", &batch, &err), &err);
                snprintf(what, sizeof what, "%s[%d]", layers[k], place);
                ub_tensor *have = get(s, what), *whole = get(s, layers[k]), row;
                assert_same_bits(have, want, what);
                ok(ub_tensor_at(&row, whole, place, &err), &err);
                assert_same_bits(&row, want, what);
                ub_tensor_free(have);
                ub_tensor_free(whole);
            }
            ub_session_free(s);
        }
        ub_tensor_free(want);
    }
}

static void watching_changes_nothing(void **state)
{
    const fixture *f = *state;
    ub_tensor batch = digits(f, 0, 5);
    ub_session *s = session(f->models[0], 2, false);
    ub_error err;
    ok(ub_session_set(s, NULL, &batch, &err), &err);
    ub_tensor *alone[N_LAYERS], *together[N_LAYERS], *copy;
    for (int k = 0; k < N_LAYERS; k++)
        alone[k] = get(s, layers[k]);
    for (int k = 0; k < N_LAYERS; k++) {
        ok(ub_get_many(together, s, layers, k + 1, &err), &err);
        for (int i = 0; i <= k; i++) {
            ok(ub_tensor_copy(&copy, together[i], &err), &err);
            assert_same_bits(copy, alone[i], layers[i]);
            ub_tensor_free(copy);
            ub_tensor_free(together[i]);
        }
    }
    for (int k = 0; k < N_LAYERS; k++)
        ub_tensor_free(alone[k]);
    ub_session_free(s);
}

/* ---- One model, several threads ------------------------------------------------------------- */

typedef struct worker {
    const fixture *f;
    ub_tensor *result;
} worker;

static void *work(void *arg)
{
    worker *w = arg;
    ub_tensor batch = digits(w->f, 0, 8);
    ub_session *s = session(w->f->models[0], 1, false);
    ub_error err;
    if (ub_session_set(s, NULL, &batch, &err) == UB_OK)
        w->result = get(s, "fc2");
    ub_session_free(s);
    return NULL;
}

static void a_model_is_shared(void **state)
{
    pthread_t threads[4];
    worker workers[4];
    for (int i = 0; i < 4; i++) {
        workers[i] = (worker){.f = *state};
        assert_int_equal(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
    }
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < 4; i++) {
        assert_non_null(workers[i].result);
        assert_same_bits(workers[i].result, workers[0].result, "fc2");
    }
    for (int i = 0; i < 4; i++)
        ub_tensor_free(workers[i].result);
}

/* ---- Starting inside, slices, errors --------------------------------------------------------- */

static void starts_from_an_inner_value(void **state)
{
    const fixture *f = *state;
    ub_session *s = session(f->models[0], 1, false);
    ub_error err;
    ub_tensor *t;
    ok(ub_session_set(s, "pool1", truth(f, "pool1", "out"), &err), &err);
    t = get(s, "fc2[1:3]");
    ub_tensor want;
    ok(ub_tensor_slice(&want, truth(f, "fc2", "out"), 0, 1, 3, 1, &err), &err);
    assert_close(t, &want, "fc2[1:3]");
    ub_tensor_free(t);
    /* What lies above it is not known. */
    assert_int_equal(ub_get(&t, s, "conv1", &err), UB_ERR_ARGUMENT);
    assert_non_null(strstr(err.message, "'image' is needed and was not given"));
    ub_session_free(s);
}

static void slices_as_numpy(void **state)
{
    const fixture *f = *state;
    static const struct {
        const char *slice;
        int rank;
        int64_t dims[5];
    } cases[] = {
        {"[4]", 3, {32, 26, 26}},
        {"[-1, 3]", 2, {26, 26}},
        {"[::-2]", 4, {4, 32, 26, 26}},
        {"[[1, 4, 4], 0]", 3, {3, 26, 26}},
        {"[None, 2]", 4, {1, 32, 26, 26}},
        {"[..., 5]", 3, {8, 32, 26}},
        {"[2:2]", 4, {0, 32, 26, 26}},
        {"[[True, False, False, False, False, False, False, True]]", 4, {2, 32, 26, 26}},
        {"[1:3, [0, 5], ..., 1:4]", 4, {2, 2, 26, 3}},
    };
    ub_tensor batch = digits(f, 0, 8);
    ub_session *s = session(f->models[0], 2, false);
    ub_error err;
    ok(ub_session_set(s, NULL, &batch, &err), &err);
    ub_tensor *whole = get(s, "conv1");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char what[128];
        snprintf(what, sizeof what, "conv1%s", cases[i].slice);
        ub_tensor *have = get(s, what), *view, *want;
        assert_int_equal(have->rank, cases[i].rank);
        for (int d = 0; d < have->rank; d++)
            assert_int_equal(have->dims[d], cases[i].dims[d]);
        /* The tensor's own indexing is tested against NumPy itself. */
        ok(ub_tensor_index(&view, whole, cases[i].slice, &err), &err);
        ok(ub_tensor_copy(&want, view, &err), &err);
        assert_same_bits(have, want, what);
        ub_tensor_free(have);
        ub_tensor_free(view);
        ub_tensor_free(want);
    }
    ub_tensor_free(whole);
    ub_session_free(s);
}

static void refuses(ub_session *s, const char *what, ub_status code, const char *part)
{
    ub_error err = {0};
    ub_tensor *t;
    ub_status st = ub_get(&t, s, what, &err);
    if (st != code || !strstr(err.message, part) || strchr(err.message, '\n'))
        fail_msg("%s: %d '%s', expected %d '%s'", what, st, err.message, code, part);
    assert_null(t);
}

static void says_what_is_wrong(void **state)
{
    const fixture *f = *state;
    ub_tensor batch = digits(f, 0, 8), bad = batch;
    ub_session *s = session(f->models[0], 1, false);
    ub_error err;
    refuses(s, "conv1", UB_ERR_ARGUMENT, "input 'image' is needed and was not given");
    ok(ub_session_set(s, NULL, &batch, &err), &err);
    refuses(s, "conv1[8]", UB_ERR_ARGUMENT, "sample 8 is out of range: the batch has 8 samples");
    refuses(s, "conv1[-9]", UB_ERR_ARGUMENT, "sample -9 is out of range");
    refuses(s, "conv1[0, 32]", UB_ERR_ARGUMENT, "index 32 is out of bounds for axis");
    refuses(s, "conv1[0, 0, 0, 0, 0]", UB_ERR_ARGUMENT, "too many indices");
    refuses(s, "conv9", UB_ERR_ARGUMENT, "conv");
    refuses(s, "conv1:in1[0]", UB_ERR_ARGUMENT, "there is no :in1");
    refuses(s, "conv1.weight[0]", UB_ERR_ARGUMENT, "no batch axis");
    bad.rank = 3;
    assert_int_equal(ub_session_set(s, NULL, &bad, &err), UB_ERR_SHAPE);
    assert_non_null(
        strstr(err.message, "expected float32 (batch, 1, 28, 28), found float32 (8, 1, 28)"));
    bad = batch;
    bad.dtype = UB_F64;
    assert_int_equal(ub_session_set(s, NULL, &bad, &err), UB_ERR_SHAPE);
    assert_non_null(strstr(err.message, "found float64"));
    assert_int_equal(ub_session_set(s, "picture", &batch, &err), UB_ERR_ARGUMENT);
    ub_session_free(s);
}

static void an_empty_batch_is_a_batch(void **state)
{
    const fixture *f = *state;
    ub_tensor none = digits(f, 3, 3);
    ub_session *s = session(f->models[0], 1, false);
    ub_error err;
    ok(ub_session_set(s, NULL, &none, &err), &err);
    ub_tensor *t = get(s, "fc2");
    assert_int_equal(t->rank, 2);
    assert_int_equal(t->dims[0], 0);
    assert_int_equal(t->dims[1], 10);
    ub_tensor_free(t);
    refuses(s, "fc2[0]", UB_ERR_ARGUMENT, "sample 0 is out of range: the batch has 0 samples");
    ub_session_free(s);
}

static void stops_when_asked(void **state)
{
    const fixture *f = *state;
    ub_tensor batch = digits(f, 0, 8);
    int cancel = 1;
    ub_session_options o = UB_SESSION_OPTIONS_INIT;
    ub_session *s;
    ub_error err;
    o.cancel = &cancel;
    ok(ub_session_new(&s, f->models[0], &o, &err), &err);
    ok(ub_session_set(s, NULL, &batch, &err), &err);
    refuses(s, "fc2", UB_ERR_CANCELLED, "interrupted");
    cancel = 0;
    ub_tensor_free(get(s, "fc2"));
    ub_session_free(s);
}

static void keeps_the_memory_limit(void **state)
{
    const fixture *f = *state;
    ub_tensor batch = digits(f, 0, 32);
    ub_session_options o = UB_SESSION_OPTIONS_INIT;
    ub_session *s;
    ub_error err;
    o.memory_limit = 1000000;
    ok(ub_session_new(&s, f->models[0], &o, &err), &err);
    ok(ub_session_set(s, NULL, &batch, &err), &err);
    refuses(s, "fc2", UB_ERR_MEMORY, "the limit is 1.0 MB");
    ub_tensor_free(get(s, "fc2[3]")); /* one sample fits */
    ub_session_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_layer_and_sample_as_pytorch),
        cmocka_unit_test(same_bits_in_every_batch),
        cmocka_unit_test(watching_changes_nothing),
        cmocka_unit_test(a_model_is_shared),
        cmocka_unit_test(starts_from_an_inner_value),
        cmocka_unit_test(slices_as_numpy),
        cmocka_unit_test(says_what_is_wrong),
        cmocka_unit_test(an_empty_batch_is_a_batch),
        cmocka_unit_test(stops_when_asked),
        cmocka_unit_test(keeps_the_memory_limit),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
