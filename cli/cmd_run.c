/* SPDX-License-Identifier: Apache-2.0 */
/*
 * unbatch run: all outputs, or with --top what each sample was taken for.
 */
#include "cli.h"

#include <stdlib.h>
#include <string.h>

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
        st = cli_write_check(o->out, w->n, err);
    if (st == UB_OK)
        st = cli_wanted_compute(w, r, err);
    if (st == UB_OK && (o->out || !o->top))
        st = cli_show(o, w, err);
    return st == UB_OK && o->top ? cli_top_show(labels, r, w->values[0], err) : st;
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
