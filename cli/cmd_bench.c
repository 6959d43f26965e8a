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

static void print_layers(const cli_run *r)
{
    char op[256], node[1024];
    double total = 0;
    int n = ub_session_step_count(r->session);
    for (int i = 0; i < n; i++)
        total += ub_session_step(r->session, i)->ms;
    printf("\n%8s %6s %8s  %-24s %-26s %s\n", "ms", "%", "GFLOP/s", "op", "kernel", "node");
    for (int i = 0; i < n; i++) {
        const ub_step *s = ub_session_step(r->session, i);
        printf("%8.3f %6.1f %8.1f  %-24s %-26s %s\n", s->ms, total > 0 ? 100 * s->ms / total : 0,
               s->ms > 0 ? s->gflop / s->ms * 1e3 : 0, cli_plain(op, sizeof op, s->op), s->kernel,
               cli_plain(node, sizeof node, s->name));
    }
}

static json_t *steps_json(const cli_run *r)
{
    json_t *steps = json_array();
    for (int i = 0; i < ub_session_step_count(r->session); i++) {
        const ub_step *s = ub_session_step(r->session, i);
        json_array_append_new(steps,
                              json_pack("{s:o,s:o,s:s,s:f,s:f}", "node", cli_json_text(s->name),
                                        "op", cli_json_text(s->op), "kernel", s->kernel, "ms",
                                        s->ms, "gflop", s->gflop));
    }
    return steps;
}

static ub_status report(const cli_run *r, const timing *t, ub_error *err)
{
    struct rusage use;
    getrusage(RUSAGE_SELF, &use);
    const double median = t->ms[t->runs / 2], p90 = t->ms[t->runs * 9 / 10];
    if (!r->o->json) {
        printf("min %.3f ms  median %.3f ms  p90 %.3f ms  of %d runs\n"
               "open %.1f ms  first run %.1f ms  peak memory %.1f MB\n",
               t->ms[0], median, p90, t->runs, r->open_ms, t->first_ms,
               (double)use.ru_maxrss / 1024);
        if (r->o->layers)
            print_layers(r);
        return UB_OK;
    }
    json_t *root =
        json_pack("{s:i,s:f,s:f,s:f,s:i,s:I,s:f,s:f}", "unbatch", CLI_JSON_VERSION, "min_ms",
                  t->ms[0], "median_ms", median, "p90_ms", p90, "runs", t->runs, "peak_rss_kb",
                  (json_int_t)use.ru_maxrss, "open_ms", r->open_ms, "first_ms", t->first_ms);
    if (r->o->layers)
        json_object_set_new(root, "steps", steps_json(r));
    return cli_json_print(root, err);
}

static ub_status bench(const cli_run *r, cli_wanted *w, ub_error *err)
{
    const cli_options *o = r->o;
    const char *outputs = "@outputs";
    timing t = {.runs = o->runs ? o->runs : 20};
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
    if (st == UB_OK && o->layers)
        st = measure_layers(r, w, err);
    cli_progress_end();
    if (st == UB_OK)
        st = report(r, &t, err);
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
