/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The values a command line asks for: patterns in, addresses and their tensors out.
 */
#include "cli.h"

#include <stdlib.h>
#include <string.h>

static ub_status out_of_memory(ub_error *err)
{
    strcpy(err->message, "out of memory");
    return err->code = UB_ERR_MEMORY;
}

ub_status cli_wanted_find(cli_wanted *w, const cli_run *r, const char *const *patterns, int n,
                          ub_error *err)
{
    for (int i = 0; i < n; i++) {
        ub_status st = ub_match(&w->lists[i], r->model, patterns[i], err);
        if (st != UB_OK)
            return st;
        w->n_lists++;
        w->n += ub_names_count(w->lists[i]);
    }
    w->names = calloc((size_t)w->n + 1, sizeof *w->names);
    w->values = calloc((size_t)w->n + 1, sizeof *w->values);
    if (!w->names || !w->values)
        return out_of_memory(err);
    int k = 0;
    for (int i = 0; i < w->n_lists; i++)
        for (int j = 0; j < ub_names_count(w->lists[i]); j++)
            w->names[k++] = ub_names_at(w->lists[i], j);
    return UB_OK;
}

ub_status cli_wanted_compute(cli_wanted *w, const cli_run *r, ub_error *err)
{
    const double start = cli_now_ms();
    ub_status st = UB_OK;
    if (!r->o->raw)
        st = ub_get_many(w->values, r->session, w->names, w->n, err);
    for (int i = 0; r->o->raw && i < w->n && st == UB_OK; i++)
        st = ub_get_raw(&w->values[i], r->session, w->names[i], err);
    cli_progress_end();
    if (st == UB_OK)
        cli_say(r->o, "computed %d value%s in %.1f ms", w->n, w->n == 1 ? "" : "s",
                cli_now_ms() - start);
    return st;
}

void cli_wanted_release(cli_wanted *w)
{
    for (int i = 0; w->values && i < w->n; i++)
        ub_tensor_free(w->values[i]);
    for (int i = 0; i < w->n_lists; i++)
        ub_names_free(w->lists[i]);
    free(w->names);
    free(w->values);
}
