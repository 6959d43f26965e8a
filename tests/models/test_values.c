/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Through the public API only: every layer's inputs and outputs, of every sample, against what
 * PyTorch's hooks or Keras saw, for every file of tests/data/onnx and tests/data/pt2 that PyTorch
 * exported, and of tests/data/keras. Within 1e-4 of the tensor's largest magnitude; whole, sample
 * by sample, and where the summary says the batch is.
 */
#include "unbatch.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "layer_table.h"

enum { BATCH = 6, MAX_ASKED = 512, WHAT = 160 };

/* One tensor to ask for. */
typedef struct asked {
    char what[WHAT];
    const char *layer;
    bool is_first_output;
    seen seen;
    const ub_tensor *want;
} asked;

/* Where files and captures are: names in tests/data. */
typedef struct suite {
    const char *table, *files, *captures;
    bool complete; /* every tensor of the table is in its file */
} suite;

typedef struct fixture {
    const suite *suite;
    const char *file;
    ub_npz *npz;
    ub_model *model;
    ub_session *session;
    asked asked[MAX_ASKED];
    int n_asked, n_empty;
    double worst;
    int n_compared;
} fixture;

/* Tensors that .pt2 files do not tell, because their modules have no operations: Identity outside
 * of a Sequential, and what decomposing took away. All others are answered. */
static const struct {
    const char *file;
    int n;
} EMPTY[] = {
    {"vit_tiny.pt2", 4},
    {"vit_tiny.decomposed.pt2", 4},
    {"shared_calls.pt2", 2},
    {"shared_calls.decomposed.pt2", 2},
};

/* ---- Comparing ------------------------------------------------------------------------------- */

static void compare(fixture *f, const char *what, const ub_tensor *have, const ub_tensor *want,
                    double scale)
{
    ub_error err = {0};
    ub_tensor *a = NULL, *b = NULL;
    if (have->rank != want->rank)
        fail_msg("%s: %s: rank %d, PyTorch has %d", f->file, what, have->rank, want->rank);
    for (int d = 0; d < have->rank; d++)
        if (have->dims[d] != want->dims[d])
            fail_msg("%s: %s: dim %d is %lld, PyTorch has %lld", f->file, what, d,
                     (long long)have->dims[d], (long long)want->dims[d]);
    assert_int_equal(have->dtype, want->dtype);
    assert_int_equal(ub_tensor_cast(&a, have, UB_F64, &err), UB_OK);
    assert_int_equal(ub_tensor_cast(&b, want, UB_F64, &err), UB_OK);
    const double *x = a->data, *y = b->data;
    for (int64_t i = 0; i < ub_tensor_count(a); i++) {
        const double gap = fabs(x[i] - y[i]) / scale;
        if (!(gap <= 1e-4))
            fail_msg("%s: %s: element %lld is %g, PyTorch has %g (largest magnitude %g)", f->file,
                     what, (long long)i, x[i], y[i], scale);
        f->worst = gap > f->worst ? gap : f->worst;
    }
    ub_tensor_free(a);
    ub_tensor_free(b);
    f->n_compared++;
}

static double largest(const ub_tensor *t)
{
    ub_tensor *a = NULL;
    double most = 0;
    assert_int_equal(ub_tensor_cast(&a, t, UB_F64, NULL), UB_OK);
    for (int64_t i = 0; i < ub_tensor_count(a); i++)
        most = fmax(most, fabs(((const double *)a->data)[i]));
    ub_tensor_free(a);
    return most > 0 ? most : 1;
}

/* What PyTorch has of sample s: its entries along the batch axis; one entry drops the axis. */
static void sample_of(ub_tensor *out, const seen *s, const ub_tensor *whole, int sample)
{
    assert_int_equal(ub_tensor_slice(out, whole, s->axis, (int64_t)sample * s->inner,
                                     (int64_t)(sample + 1) * s->inner, 1, NULL),
                     UB_OK);
    if (s->inner == 1) {
        const ub_tensor one = *out;
        assert_int_equal(ub_tensor_squeeze(out, &one, s->axis, NULL), UB_OK);
    }
}

/* ---- One file -------------------------------------------------------------------------------- */

static const ub_tensor *find_capture(const fixture *f, const char *key)
{
    for (int i = 0; i < ub_npz_count(f->npz); i++)
        if (strcmp(ub_npz_name(f->npz, i), key) == 0)
            return ub_npz_tensor(f->npz, i);
    return NULL;
}

static const ub_tensor *capture(const fixture *f, const char *key)
{
    const ub_tensor *t = find_capture(f, key);
    if (!t)
        fail_msg("%s: no capture '%s'", f->file, key);
    return t;
}

static void open_file(fixture *f, const suite *in, const row *r)
{
    char path[512], key[32];
    ub_error err = {0};
    *f = (fixture){.suite = in, .file = r->file};
    snprintf(path, sizeof(path), "%s/data/%s/%s.npz", UB_TEST_DATA, in->captures, r->network);
    assert_int_equal(ub_npz_load(&f->npz, path, &err), UB_OK);
    snprintf(path, sizeof(path), "%s/data/%s/%s", UB_TEST_DATA, in->files, r->file);
    if (ub_open(&f->model, path, &err) != UB_OK)
        fail_msg("%s", err.message);
    ub_session_options options = UB_SESSION_OPTIONS_INIT;
    options.threads = 1; /* waiting threads would take longer than these small models do */
    assert_int_equal(ub_session_new(&f->session, f->model, &options, &err), UB_OK);
    const int n = ub_model_input_count(f->model);
    for (int i = 0; i < n; i++) {
        snprintf(key, sizeof(key), n == 1 ? "input" : "input.%d", i);
        if (ub_session_set(f->session, ub_model_input(f->model, i)->name, capture(f, key), &err) !=
            UB_OK)
            fail_msg("%s: %s", f->file, err.message);
    }
}

static void close_file(fixture *f)
{
    ub_session_free(f->session);
    ub_model_free(f->model);
    ub_npz_free(f->npz);
}

/* Whole tensors; what the file has, is asked for again sample by sample. */
static void ask(fixture *f, const row *r, int k)
{
    ub_error err = {0};
    ub_tensor *have = NULL;
    assert_true(f->n_asked < MAX_ASKED);
    asked *a = &f->asked[f->n_asked];
    *a = (asked){.layer = r->layer,
                 .is_first_output = !r->is_input && k == 0,
                 .seen = r->tensors[k],
                 .want = capture(f, r->tensors[k].key)};
    snprintf(a->what, sizeof(a->what), "%s:%s%d", r->layer, r->is_input ? "in" : "out", k);
    const ub_status status = ub_get(&have, f->session, a->what, &err);
    if (!f->suite->complete && (status == UB_ERR_ARGUMENT || status == UB_ERR_UNSUPPORTED)) {
        f->n_empty += strstr(err.message, "has no operations of its own") != NULL;
        if (strstr(f->file, ".pt2") && !strstr(err.message, "has no operations of its own") &&
            !(is_repeated(r, k) && strstr(err.message, "there is no :in")))
            fail_msg("%s: %s: %s", f->file, a->what, err.message);
        /* tests/models/test_layers_onnx.c counts these */
        if (!strstr(err.message, "is not ") && !strstr(err.message, "unknown name") &&
            !strstr(err.message, "may not be") && !strstr(err.message, "of its own") &&
            !strstr(err.message, "there is no :in"))
            fail_msg("%s: %s: %s", f->file, a->what, err.message);
        return;
    }
    if (status != UB_OK)
        fail_msg("%s: %s: %s", f->file, a->what, err.message);
    compare(f, a->what, have, a->want, largest(a->want));
    ub_tensor_free(have);
    f->n_asked++;
}

static void check_samples(fixture *f)
{
    static char texts[MAX_ASKED][WHAT + 8];
    const char *what[MAX_ASKED];
    const asked *which[MAX_ASKED];
    ub_tensor *have[MAX_ASKED];
    ub_error err = {0};
    for (int s = 0; s < BATCH; s++) {
        int n = 0;
        for (int i = 0; i < f->n_asked; i++) {
            if (f->asked[i].seen.axis < 0)
                continue;
            snprintf(texts[n], sizeof(texts[n]), "%s[%d]", f->asked[i].what, s);
            which[n] = &f->asked[i];
            what[n] = texts[n];
            n++;
        }
        if (ub_get_many(have, f->session, what, n, &err) != UB_OK)
            fail_msg("%s: sample %d: %s", f->file, s, err.message);
        for (int i = 0; i < n; i++) {
            ub_tensor want;
            sample_of(&want, &which[i]->seen, which[i]->want, s);
            compare(f, what[i], have[i], &want, largest(which[i]->want));
            ub_tensor_free(have[i]);
        }
    }
}

/* A tensor without a batch refuses a sample index. */
static void check_unbatched(fixture *f)
{
    char what[WHAT + 8];
    ub_tensor *have = NULL;
    ub_error err = {0};
    for (int i = 0; i < f->n_asked; i++) {
        if (f->asked[i].seen.axis >= 0)
            continue;
        snprintf(what, sizeof(what), "%s[1]", f->asked[i].what);
        if (ub_get(&have, f->session, what, &err) == UB_OK)
            fail_msg("%s: %s: was answered, but has no batch axis", f->file, what);
        assert_true(*err.message);
    }
}

static void check_summary(fixture *f)
{
    ub_summary *sum = NULL;
    ub_error err = {0};
    if (ub_summarize(&sum, f->session, &err) != UB_OK)
        fail_msg("%s: %s", f->file, err.message);
    for (int i = 0; i < f->n_asked; i++) {
        const asked *a = &f->asked[i];
        for (int r = 0; a->is_first_output && r < ub_summary_count(sum); r++) {
            const ub_row *have = ub_summary_row(sum, r);
            if (strcmp(have->layer->name, a->layer) != 0)
                continue;
            if (have->batch_axis != a->seen.axis ||
                (a->seen.axis >= 0 && have->batch_inner != a->seen.inner) ||
                have->out.rank != a->want->rank)
                fail_msg("%s: %s: batch axis %d x %d of rank %d in the summary; %d x %d of %d in"
                         " PyTorch",
                         f->file, a->layer, have->batch_axis, (int)have->batch_inner,
                         have->out.rank, a->seen.axis, a->seen.inner, a->want->rank);
            assert_null(have->mixed);
        }
    }
    ub_summary_free(sum);
}

/* What the model itself returns. */
static void check_outputs(fixture *f)
{
    char key[32];
    ub_error err = {0};
    const int n = ub_model_output_count(f->model);
    for (int i = 0; i < n; i++) {
        ub_tensor *have = NULL;
        snprintf(key, sizeof(key), n == 1 ? "output" : "output.%d", i);
        const ub_tensor *want = find_capture(f, key);
        if (!want) /* equal to a layer's, which was compared */
            continue;
        if (ub_get(&have, f->session, ub_model_output(f->model, i)->name, &err) != UB_OK)
            fail_msg("%s: %s: %s", f->file, key, err.message);
        compare(f, key, have, want, largest(want));
        ub_tensor_free(have);
    }
}

static void finish(fixture *f)
{
    check_outputs(f);
    int empty = 0;
    for (int i = 0; i < (int)(sizeof(EMPTY) / sizeof(EMPTY[0])); i++)
        if (strcmp(EMPTY[i].file, f->file) == 0)
            empty = EMPTY[i].n;
    if (f->n_empty != empty)
        fail_msg("%s: %d tensors of empty modules, expected %d", f->file, f->n_empty, empty);
    check_samples(f);
    check_unbatched(f);
    check_summary(f);
    assert_true(f->n_asked > 0);
    close_file(f);
}

static void check_suite(const suite *in)
{
    char path[512];
    static fixture f;
    table t = {0};
    row r;
    double worst = 0;
    int n = 0;
    f.file = NULL;
    snprintf(path, sizeof(path), "%s/data/%s", UB_TEST_DATA, in->table);
    assert_true(table_open(&t, path));
    while (table_next(&t, &r)) {
        if (!f.file || strcmp(f.file, r.file) != 0) {
            if (f.file)
                finish(&f);
            worst = fmax(worst, f.worst);
            n += f.n_compared;
            open_file(&f, in, &r);
        }
        for (int k = 0; k < r.n; k++)
            ask(&f, &r, k);
    }
    finish(&f);
    print_message("%d tensors, largest difference %.1e of the largest magnitude\n",
                  n + f.n_compared, fmax(worst, f.worst));
    free(t.text);
}

static void test_onnx(void **state)
{
    (void)state;
    check_suite(&(suite){"captures/layers.tsv", "onnx", "captures", false});
}

static void test_pt2(void **state)
{
    (void)state;
    check_suite(&(suite){"captures/layers_pt2.tsv", "pt2", "captures", false});
}

static void test_keras(void **state)
{
    (void)state;
    check_suite(&(suite){"keras/layers.tsv", "keras", "keras", true});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_onnx),
        cmocka_unit_test(test_pt2),
        cmocka_unit_test(test_keras),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
