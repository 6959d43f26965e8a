/* SPDX-License-Identifier: Apache-2.0 */
/*
 * unbatch run: all outputs, or with --top what each sample was taken for.
 */
#include "cli.h"

#include <stdlib.h>
#include <string.h>

/* --top looks at the first output whose columns have names, else at the first output. */
static ub_status show_top(const cli_run *r, const cli_wanted *w, const cli_labels *labels,
                          ub_error *err)
{
    cli_labels *own = NULL;
    int at = 0;
    while (at < w->n && !w->columns[at])
        at++;
    at = at < w->n ? at : 0;
    if (w->is_list[at])
        return cli_error(err, UB_ERR_SHAPE,
                         "--top wants an output of (samples, classes), '%s' is"
                         " a list",
                         w->names[at]);
    ub_status st = UB_OK;
    if (!labels && w->columns[at])
        st = cli_labels_of(&own, w->columns[at], err);
    if (st == UB_OK)
        st = cli_top_show(own ? own : labels, r, w->values[at], err);
    free(own);
    return st;
}

static ub_status run(const cli_run *r, cli_wanted *w, const cli_labels *labels, ub_error *err)
{
    const cli_options *o = r->o;
    const char *outputs = "@outputs";
    ub_status st = cli_wanted_find(w, r, &outputs, 1, err);
    if (st == UB_OK && w->n == 0) {
        strcpy(err->message, "the model has no outputs");
        st = err->code = UB_ERR_ARGUMENT;
    }
    if (st == UB_OK)
        st = cli_write_check(o->out, w, err);
    if (st == UB_OK)
        st = cli_wanted_compute(w, r, err);
    if (st == UB_OK && (o->out || !o->top))
        st = cli_show(o, w, err);
    return st == UB_OK && o->top ? show_top(r, w, labels, err) : st;
}

ub_status cmd_run(const cli_options *o)
{
    if (o->n_what)
        return cli_usage("run computes the outputs; for '%s' use get", o->what[0]);
    static cli_run r;
    cli_wanted w = {0};
    cli_labels *labels = NULL;
    ub_error err = {0};
    ub_status st = cli_run_open(&r, o, false);
    if (st == UB_OK) {
        st = cli_labels_read(&labels, o->labels, &err);
        if (st == UB_OK)
            st = run(&r, &w, labels, &err);
        if (st != UB_OK)
            cli_fail(&err);
    }
    free(labels);
    cli_wanted_release(&w);
    cli_run_close(&r);
    return st;
}
