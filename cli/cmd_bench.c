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

static ub_status one_run(const cli_run *r, cli_wanted *w, double *ms, ub_error *err)
{
    double start = cli_now_ms();
    ub_status st = ub_get_many(w->values, r->session, w->names, w->n, err);
    *ms = cli_now_ms() - start;
    for (int i = 0; i < w->n; i++) {
        ub_tensor_free(w->values[i]);
        w->values[i] = NULL;
    }
    return st;
}

static ub_status measure(timing *t, const cli_run *r, cli_wanted *w, ub_error *err)
{
    double warm;
    for (int i = 0; i < w->n; i++)
        if (w->is_list[i])
            return cli_error(err, UB_ERR_ARGUMENT, "'%s' is a list: bench times tensors",
                             w->names[i]);
    ub_status st = one_run(r, w, &t->first_ms, err);
    for (int i = 0; i < 2 && st == UB_OK; i++)
        st = one_run(r, w, &warm, err);
    for (int i = 0; i < t->runs && st == UB_OK; i++)
        st = one_run(r, w, &t->ms[i], err);
    if (st == UB_OK)
        qsort(t->ms, (size_t)t->runs, sizeof *t->ms, by_value);
    return st;
}

/* The times of every step in one more run. */
static ub_status measure_layers(const cli_run *r, cli_wanted *w, ub_error *err)
{
    double ms;
    ub_session_profile(r->session, true);
    return one_run(r, w, &ms, err);
}

/* How near a step is to what the machine can do: the larger share of the two peaks, in percent. */
static double share(const ub_step *s, const cli_peak *p)
{
    if (s->ms <= 0)
        return 0;
    const double arithmetic = s->gflop / s->ms * 1e3 / p->gflops;
    const double memory = s->gbyte / s->ms * 1e3 / p->gbytes;
    return 100 * (arithmetic > memory ? arithmetic : memory);
}

static void print_layers(const cli_run *r, const cli_peak *p)
{
    char op[256], node[1024];
    double total = 0;
    int n = ub_session_step_count(r->session);
    for (int i = 0; i < n; i++)
        total += ub_session_step(r->session, i)->ms;
    printf("peak %.0f GFLOP/s (a product of 1024 x 1024 matrices)  %.1f GB/s (a Relu of 64 MB)\n",
           p->gflops, p->gbytes);
    printf("\n%8s %6s %8s %6s %6s  %-24s %-26s %s\n", "ms", "%", "GFLOP/s", "GB/s", "peak%", "op",
           "kernel", "node");
    for (int i = 0; i < n; i++) {
        const ub_step *s = ub_session_step(r->session, i);
        printf("%8.3f %6.1f %8.1f %6.1f %6.1f  %-24s %-26s %s\n", s->ms,
               total > 0 ? 100 * s->ms / total : 0, s->ms > 0 ? s->gflop / s->ms * 1e3 : 0,
               s->ms > 0 ? s->gbyte / s->ms * 1e3 : 0, share(s, p), cli_plain(op, sizeof op, s->op),
               s->kernel, cli_plain(node, sizeof node, s->name));
    }
}

static void print_compared(const timing *t, const json_t *compared)
{
    const double median = t->ms[t->runs / 2];
    size_t i;
    json_t *e;
    printf("\n%-22s %10s %10s %8s\n", "", "min ms", "median ms", "ratio");
    printf("%-22s %10.3f %10.3f %8s\n", "unbatch", t->ms[0], median, "1");
    json_array_foreach(compared, i, e)
    {
        char name[128];
        const char *missing = json_string_value(json_object_get(e, "missing"));
        const char *engine = json_string_value(json_object_get(e, "engine"));
        const char *version = json_string_value(json_object_get(e, "version"));
        const double theirs = json_number_value(json_object_get(e, "median_ms"));
        snprintf(name, sizeof name, "%s %s", engine, version ? version : "");
        if (missing)
            printf("%-22s %s\n", engine, missing);
        else
            printf("%-22s %10.3f %10.3f %8.2f\n", name,
                   json_number_value(json_object_get(e, "min_ms")), theirs, theirs / median);
    }
}

static json_t *steps_json(const cli_run *r, const cli_peak *p)
{
    json_t *steps = json_array();
    for (int i = 0; i < ub_session_step_count(r->session); i++) {
        const ub_step *s = ub_session_step(r->session, i);
        json_array_append_new(steps, json_pack("{s:o,s:o,s:s,s:f,s:f,s:f,s:f}", "node",
                                               cli_json_text(s->name), "op", cli_json_text(s->op),
                                               "kernel", s->kernel, "ms", s->ms, "gflop", s->gflop,
                                               "gbyte", s->gbyte, "peak_percent", share(s, p)));
    }
    return steps;
}

typedef struct extras {
    cli_peak peak;
    json_t *compared; /* NULL: not asked for */
} extras;

static ub_status report(const cli_run *r, const timing *t, const extras *x, ub_error *err)
{
    ub_session_counts counts = UB_SESSION_COUNTS_INIT;
    ub_session_count(r->session, &counts);
    struct rusage use;
    getrusage(RUSAGE_SELF, &use);
    const double median = t->ms[t->runs / 2], p90 = t->ms[t->runs * 9 / 10];
    if (!r->o->json) {
        printf(
            "min %.3f ms  median %.3f ms  p90 %.3f ms  of %d runs\n"
            "open %.1f ms  plan %.1f ms  first run %.1f ms, plan included  peak memory %.1f MB\n",
            t->ms[0], median, p90, t->runs, r->open_ms, counts.plan_ms, t->first_ms,
            (double)use.ru_maxrss / 1024);
        if (r->o->layers)
            print_layers(r, &x->peak);
        if (x->compared)
            print_compared(t, x->compared);
        return UB_OK;
    }
    json_t *root = json_pack("{s:i,s:f,s:f,s:f,s:i,s:I,s:f,s:f,s:f}", "unbatch", CLI_JSON_VERSION,
                             "min_ms", t->ms[0], "median_ms", median, "p90_ms", p90, "runs",
                             t->runs, "peak_rss_kb", (json_int_t)use.ru_maxrss, "open_ms",
                             r->open_ms, "first_ms", t->first_ms, "plan_ms", counts.plan_ms);
    if (r->o->layers) {
        json_object_set_new(
            root, "peak",
            json_pack("{s:f,s:f}", "gflops", x->peak.gflops, "gbytes", x->peak.gbytes));
        json_object_set_new(root, "steps", steps_json(r, &x->peak));
    }
    if (x->compared)
        json_object_set(root, "compared", x->compared);
    return cli_json_print(root, err);
}

static ub_status bench(const cli_run *r, cli_wanted *w, ub_error *err)
{
    const cli_options *o = r->o;
    const char *outputs = "@outputs";
    if (o->compare && o->n_what)
        return cli_error(err, UB_ERR_ARGUMENT, "--compare runs whole models: leave WHAT out");
    timing t = {.runs = o->runs ? o->runs : 20};
    extras x = {.compared = NULL};
    ub_status st =
        cli_wanted_find(w, r, o->n_what ? o->what : &outputs, o->n_what ? o->n_what : 1, err);
    if (st != UB_OK)
        return st;
    t.ms = calloc((size_t)t.runs, sizeof *t.ms);
    if (!t.ms) {
        strcpy(err->message, "out of memory");
        return err->code = UB_ERR_MEMORY;
    }
    st = measure(&t, r, w, err);
    if (st == UB_OK && o->compare)
        st = cli_compare_run(&x.compared, r, t.runs, err);
    if (st == UB_OK && o->layers)
        st = cli_peak_measure(&x.peak, o->threads, err);
    if (st == UB_OK && o->layers)
        st = measure_layers(r, w, err);
    cli_progress_end();
    if (st == UB_OK)
        st = report(r, &t, &x, err);
    json_decref(x.compared);
    free(t.ms);
    return st;
}

ub_status cmd_bench(const cli_options *o)
{
    static cli_run r;
    cli_wanted w = {0};
    ub_error err = {0};
    ub_status st = cli_run_open(&r, o, false);
    if (st == UB_OK) {
        st = bench(&r, &w, &err);
        if (st != UB_OK)
            cli_fail(&err);
    }
    cli_wanted_release(&w);
    cli_run_close(&r);
    return st;
}
