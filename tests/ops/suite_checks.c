/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ub_check_invariance over ONNX's cases with a free batch (tests/tools/free_batch.py): through the
 * plan and its fast kernels, the bits of every output of a sample are the same in batches of 1 to
 * 9, at every place, with 1, 2, 3 and 5 threads. Where the batch rule says that nothing mixes,
 * ub_check_coupling must find no sample that moves. batch_law holds the kernels against the rules;
 * this holds the library against its promise.
 *
 * Counts by operator and dtype of its first input are written to suite_checks.<name>.tsv for
 * docs/bitwise.md; name is the only argument ("cpu", "avx2", "sse41": see CMakeLists.txt).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "api/api.h"
#include "onnx_case.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LARGE = 9, MOST_ELEMENTS = 60000, MAX_TALLIES = 4096, OP = 64 };

typedef struct tally {
    char op[OP];
    ub_dtype dtype;
    long long models, compared, differing, mixing;
} tally;

static tally tallies[MAX_TALLIES];
static int n_tallies;
static int held, fixed,
    failed; /* models: the promise was tested; they take no other batch; broken */
static const char *run_name = "cpu";

static tally *tally_of(const char *op, ub_dtype dtype)
{
    for (int i = 0; i < n_tallies; i++)
        if (tallies[i].dtype == dtype && strcmp(tallies[i].op, op) == 0)
            return &tallies[i];
    assert_true(n_tallies < MAX_TALLIES);
    tally *t = &tallies[n_tallies++];
    snprintf(t->op, sizeof t->op, "%s", op);
    t->dtype = dtype;
    return t;
}

static uint64_t random_state = 88172645463325252u;

static uint64_t random_below(uint64_t n)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state % n;
}

/* n samples: the case's own, then rows whose elements are drawn from the case's, so that indices
 * stay indices and numbers stay where the operator takes them. */
static ub_tensor *samples_like(const ub_tensor *t, int64_t n)
{
    ub_tensor *all = NULL;
    ub_error err;
    int64_t dims[UB_MAX_RANK];
    const size_t size = ub_dtype_size(t->dtype);
    const int64_t have = ub_tensor_count(t), row = have / t->dims[0];
    for (int a = 0; a < t->rank; a++)
        dims[a] = a == 0 ? n : t->dims[a];
    if (ub_tensor_new(&all, t->dtype, t->rank, dims, &err) != UB_OK)
        fail_msg("%s", err.message);
    for (int64_t i = 0; i < n * row; i++) {
        const int64_t from = i < have ? i : (int64_t)random_below((uint64_t)have);
        memcpy((char *)all->data + (size_t)i * size, (const char *)t->data + (size_t)from * size,
               size);
    }
    return all;
}

/* Gives the session the case's inputs, n samples where the batch is free; those are put into `own`,
 * which must live as long as the session. */
static bool give(ub_session *s, const ub_model *m, const onnx_data *d, int64_t n, ub_tensor **own)
{
    ub_error err;
    bool good = d->n_in == ub_model_input_count(m);
    for (int i = 0; good && i < d->n_in; i++) {
        const ub_port *p = ub_model_input(m, i);
        const ub_tensor *t = &d->in[i];
        if (d->in_list[i])
            return false;
        if (p->batch_axis != 0 || p->dims[0] > 0) {
            good = ub_session_set(s, p->name, t, &err) == UB_OK;
            continue;
        }
        if (ub_tensor_count(t) == 0 || ub_tensor_count(t) / t->dims[0] * n > MOST_ELEMENTS)
            return false;
        own[i] = samples_like(t, n);
        good = ub_session_set(s, p->name, own[i], &err) == UB_OK;
    }
    return good;
}

/* Whether the model gives its outputs for these inputs. */
static bool runs(ub_session *s, const char *const *what, int n)
{
    ub_tensor *out[ONNX_CASE_PORTS];
    ub_error err;
    if (ub_get_many(out, s, what, n, &err) != UB_OK)
        return false;
    for (int i = 0; i < n; i++)
        ub_tensor_free(out[i]);
    return true;
}

static void check_coupling(const char *name, ub_session *s)
{
    ub_report *report;
    ub_error err;
    if (ub_check_coupling(&report, s, &err) != UB_OK) {
        print_message("%s: coupling: %s\n", name, err.message);
        failed++;
        return;
    }
    for (int k = 0; k < ub_report_count(report); k++) {
        const ub_finding *f = ub_report_at(report, k);
        if (f->sample < 0)
            continue;
        print_message("%s: %s: sample %lld moves with its neighbours\n", name, f->what,
                      (long long)f->sample);
        failed++;
    }
    ub_report_free(report);
}

static void check_outputs(const char *name, ub_session *s, const char *const *what, int n,
                          tally *counts)
{
    ub_report *report;
    ub_error err;
    bool mixes = false;
    if (ub_check_invariance(&report, s, what, n, &err) != UB_OK) {
        print_message("%s: invariance: %s\n", name, err.message);
        failed++;
        return;
    }
    for (int k = 0; k < ub_report_count(report); k++) {
        const ub_finding *f = ub_report_at(report, k);
        counts->compared += f->compared;
        counts->differing += f->differing;
        mixes = mixes || f->verdict == UB_MIXES;
        if (f->verdict != UB_BROKEN)
            continue;
        print_message("%s: %s: %s; %lld of %lld elements differ\n", name, f->what, f->detail,
                      (long long)f->differing, (long long)f->compared);
        failed++;
    }
    ub_report_free(report);
    counts->models++;
    counts->mixing += mixes;
    held++;
    if (!mixes)
        check_coupling(name, s);
}

/* The names of the model's outputs; 0 where one is no tensor. */
static int output_names(const char **what, const ub_model *m)
{
    const int n = ub_model_output_count(m);
    for (int i = 0; i < n; i++) {
        if (n > ONNX_CASE_PORTS || ub_model_output(m, i)->kind != UB_KIND_TENSOR)
            return 0;
        what[i] = ub_model_output(m, i)->name;
    }
    return n;
}

static void release(ub_session **s, ub_tensor **own)
{
    ub_session_free(*s);
    *s = NULL;
    for (int i = 0; i < ONNX_CASE_PORTS; i++) {
        ub_tensor_free(own[i]);
        own[i] = NULL;
    }
}

static void check_model(const char *name, const char *folder)
{
    char path[ONNX_CASE_PATH];
    const char *what[ONNX_CASE_PORTS];
    ub_error err;
    ub_model *m = NULL;
    ub_session *s = NULL;
    ub_tensor *own[ONNX_CASE_PORTS] = {0};
    onnx_data d = {0};
    ub_session_options o = UB_SESSION_OPTIONS_INIT;
    o.threads = 1;
    onnx_path(path, "%s/model.onnx", folder);
    if (ub_open(&m, path, &err) != UB_OK)
        return;
    const int n = output_names(what, m);
    bool good = n > 0 && onnx_data_read(&d, folder, 0, m, &err) == UB_OK && d.n_in > 0;
    static const int sizes[] = {1, 2, 4, 7, LARGE}; /* a shape in the model may fit one by chance */
    bool ran = good;
    for (int i = 0; ran && i < UBP_COUNT(sizes); i++) {
        release(&s, own);
        ran = ub_session_new(&s, m, &o, &err) == UB_OK && give(s, m, &d, sizes[i], own) &&
              runs(s, what, n);
    }
    if (ran) {
        const ubp_graph *g = m->graph;
        check_outputs(
            name, s, what, n,
            tally_of(g->n_nodes == 1 ? g->nodes[0].op_type : "several operators", d.in[0].dtype));
    } else {
        fixed++;
    }
    release(&s, own);
    onnx_data_release(&d);
    ub_model_free(m);
}

static void promise_holds(void **state)
{
    char folder[ONNX_CASE_PATH];
    struct dirent **list = NULL;
    (void)state;
    const int n = scandir(UB_TEST_BUILD "/free_batch", &list, NULL, alphasort);
    for (int i = 0; i < n; i++) {
        if (list[i]->d_name[0] != '.') {
            onnx_path(folder, "%s/%s", UB_TEST_BUILD "/free_batch", list[i]->d_name);
            check_model(list[i]->d_name, folder);
        }
        free(list[i]);
    }
    free(list);
    print_message("%d models, %d more take no other batch\n", held, fixed);
    assert_true(held >= 1500);
    assert_int_equal(failed, 0);
}

static int compare_tallies(const void *a, const void *b)
{
    const tally *x = a, *y = b;
    const int c = strcmp(x->op, y->op);
    return c ? c : (int)x->dtype - (int)y->dtype;
}

static void counts_are_written(void **state)
{
    char path[ONNX_CASE_PATH];
    (void)state;
    qsort(tallies, (size_t)n_tallies, sizeof *tallies, compare_tallies);
    onnx_path(path, "%s/suite_checks.%s.tsv", UB_TEST_BUILD, run_name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    for (int i = 0; i < n_tallies; i++)
        fprintf(f, "%s\t%s\t%lld\t%lld\t%lld\t%lld\n", tallies[i].op,
                ub_dtype_name(tallies[i].dtype), tallies[i].models, tallies[i].compared,
                tallies[i].differing, tallies[i].mixing);
    assert_int_equal(fclose(f), 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(promise_holds),
                                       cmocka_unit_test(counts_are_written)};
    if (argc > 1)
        run_name = argv[1];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
