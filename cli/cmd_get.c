/* SPDX-License-Identifier: Apache-2.0 */
/*
 * unbatch get: the main job.
 */
#include "cli.h"

#include <string.h>

/* One line for each value that hangs on its batch. */
static void print_notes(const char *notes)
{
    char line[1024];
    while (*notes) {
        const size_t n = strcspn(notes, "\n");
        snprintf(line, sizeof line, "%.*s", n < sizeof line ? (int)n : (int)sizeof line - 1, notes);
        fprintf(stderr, "unbatch: note: %s\n", cli_plain(line, sizeof line, line));
        notes += n + (notes[n] == '\n');
    }
}

static ub_status get(const cli_run *r, cli_wanted *w, ub_error *err)
{
    const cli_options *o = r->o;
    ub_status st = cli_wanted_find(w, r, o->what, o->n_what, err);
    if (st == UB_OK)
        st = cli_write_check(o->out, w, err);
    if (st == UB_OK)
        st = cli_wanted_compute(w, r, err);
    if (st == UB_OK && !o->quiet)
        print_notes(ub_session_note(r->session));
    return st == UB_OK ? cli_show(o, w, err) : st;
}

ub_status cmd_get(const cli_options *o)
{
    if (o->n_what == 0)
        return cli_usage("get needs WHAT: a layer, node or tensor; 'unbatch summary %s' lists them",
                         o->model);
    static cli_run r;
    cli_wanted w = {0};
    ub_error err = {0};
    ub_status st = cli_run_open(&r, o, false);
    if (st == UB_OK) {
        st = get(&r, &w, &err);
        if (st != UB_OK)
            cli_fail(&err);
    }
    cli_wanted_release(&w);
    cli_run_close(&r);
    return st;
}
