/* SPDX-License-Identifier: Apache-2.0 */
/*
 * unbatch bench: the time of one run in a warm session, input already in memory.
 */
#include "cli.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

typedef struct timing {
    double *ms; /* [runs] */
    int runs;
    double first_ms;
} timing;

static ub_status one_run(const cli_run *r, const char *const *what, int n, double *ms,
                         ub_error *err)
{
    ub_tensor *values[CLI_MAX_LIST];
    double start = cli_now_ms();
    ub_status st = ub_get_many(values, r->session, what, n, err);
    *ms = cli_now_ms() - start;
    for (int i = 0; i < n && st == UB_OK; i++)
        ub_tensor_free(values[i]);
    return st;
}

static ub_status measure(timing *t, const cli_run *r, const char *const *what, int n, ub_error *err)
{
    double warm;
    ub_status st = one_run(r, what, n, &t->first_ms, err);
    for (int i = 0; i < 2 && st == UB_OK; i++)
        st = one_run(r, what, n, &warm, err);
    for (int i = 0; i < t->runs && st == UB_OK; i++)
        st = one_run(r, what, n, &t->ms[i], err);
    if (st == UB_OK)
        qsort(t->ms, (size_t)t->runs, sizeof *t->ms, by_value);
    return st;
}

/* The times of every step in one more run. */
static ub_status measure_layers(const cli_run *r, const char *const *what, int n, ub_error *err)
{
    double ms;
    ub_session_profile(r->session, true);
    return one_run(r, what, n, &ms, err);
}

static void print_layers(const cli_run *r)
{
    double total = 0;
    int n = ub_session_step_count(r->session);
    for (int i = 0; i < n; i++)
        total += ub_session_step(r->session, i)->ms;
    printf("\n%8s %6s %8s  %-24s %-26s %s\n", "ms", "%", "GFLOP/s", "op", "kernel", "node");
    for (int i = 0; i < n; i++) {
        const ub_step *s = ub_session_step(r->session, i);
        printf("%8.3f %6.1f %8.1f  %-24s %-26s %s\n", s->ms, total > 0 ? 100 * s->ms / total : 0,
               s->ms > 0 ? s->gflop / s->ms * 1e3 : 0, s->op, s->kernel, s->name);
    }
}

static ub_status print_json(const cli_run *r, const timing *t, double median, double p90, long rss)
{
    json_t *root =
        json_pack("{s:i,s:f,s:f,s:f,s:i,s:I,s:f,s:f}", "unbatch", CLI_JSON_VERSION, "min_ms",
                  t->ms[0], "median_ms", median, "p90_ms", p90, "runs", t->runs, "peak_rss_kb",
                  (json_int_t)rss, "open_ms", r->open_ms, "first_ms", t->first_ms);
    json_t *steps = json_array();
    for (int i = 0; i < ub_session_step_count(r->session); i++) {
        const ub_step *s = ub_session_step(r->session, i);
        json_array_append_new(steps,
                              json_pack("{s:s,s:s,s:s,s:f,s:f}", "node", s->name, "op", s->op,
                                        "kernel", s->kernel, "ms", s->ms, "gflop", s->gflop));
    }
    if (r->o->layers)
        json_object_set(root, "steps", steps);
    json_decref(steps);
    return cli_json_print(root);
}

ub_status cmd_bench(const cli_options *o)
{
    static cli_run r;
    ub_error err = {0};
    ub_names *all = NULL;
    const char *what[CLI_MAX_LIST];
    int n = 0;
    timing t = {.runs = o->runs ? o->runs : 20};
    t.ms = calloc((size_t)t.runs, sizeof *t.ms);
    ub_status st = cli_run_open(&r, o, false);
    if (st == UB_OK && t.ms) {
        const char *pattern = o->n_what ? o->what[0] : "@outputs";
        for (int i = 0; i < o->n_what; i++)
            what[n++] = o->what[i];
        if (!o->n_what)
            st = ub_match(&all, r.model, pattern, &err);
        for (int i = 0; all && i < ub_names_count(all) && n < CLI_MAX_LIST; i++)
            what[n++] = ub_names_at(all, i);
        if (st == UB_OK)
            st = measure(&t, &r, what, n, &err);
        if (st == UB_OK && o->layers)
            st = measure_layers(&r, what, n, &err);
        if (st != UB_OK)
            cli_fail(&err);
    }
    if (st == UB_OK && t.ms) {
        struct rusage use;
        getrusage(RUSAGE_SELF, &use);
        double median = t.ms[t.runs / 2], p90 = t.ms[(t.runs * 9) / 10];
        if (o->json) {
            st = print_json(&r, &t, median, p90, use.ru_maxrss);
        } else {
            printf("min %.3f ms  median %.3f ms  p90 %.3f ms  of %d runs\n"
                   "open %.1f ms  first run %.1f ms  peak memory %.1f MB\n",
                   t.ms[0], median, p90, t.runs, r.open_ms, t.first_ms,
                   (double)use.ru_maxrss / 1024);
            if (o->layers)
                print_layers(&r);
        }
    }
    ub_names_free(all);
    free(t.ms);
    cli_run_close(&r);
    return st;
}
