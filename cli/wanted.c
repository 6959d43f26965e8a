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

static ub_status make_room(cli_wanted *w, ub_error *err)
{
    const size_t n = (size_t)w->n + 1;
    w->names = calloc(n, sizeof *w->names);
    w->is_list = calloc(n, sizeof *w->is_list);
    w->values = calloc(n, sizeof *w->values);
    w->sequences = calloc(n, sizeof *w->sequences);
    w->columns = calloc(n, sizeof *w->columns);
    const bool all = w->names && w->is_list && w->values && w->sequences && w->columns;
    return all ? UB_OK : out_of_memory(err);
}

ub_status cli_wanted_find(cli_wanted *w, const cli_run *r, const char *const *patterns, int n,
                          ub_error *err)
{
    ub_status st = UB_OK;
    for (int i = 0; i < n; i++) {
        st = ub_match(&w->lists[i], r->model, patterns[i], err);
        if (st != UB_OK)
            return st;
        w->n_lists++;
        w->n += ub_names_count(w->lists[i]);
    }
    st = make_room(w, err);
    int k = 0;
    for (int i = 0; i < w->n_lists; i++)
        for (int j = 0; j < ub_names_count(w->lists[i]) && st == UB_OK; j++) {
            ub_kind kind = UB_KIND_TENSOR;
            w->names[k] = ub_names_at(w->lists[i], j);
            st = ub_value_kind(&kind, r->model, w->names[k], err);
            if (st == UB_OK)
                st = ub_columns(&w->columns[k], r->model, w->names[k], err);
            w->is_list[k++] = kind != UB_KIND_TENSOR;
        }
    return st;
}

/* The tensors among them, in one run. */
static ub_status compute_tensors(cli_wanted *w, const cli_run *r, ub_error *err)
{
    const char **names = calloc((size_t)w->n + 1, sizeof *names);
    ub_tensor **values = calloc((size_t)w->n + 1, sizeof *values);
    ub_status st = names && values ? UB_OK : out_of_memory(err);
    int n = 0;
    for (int i = 0; i < w->n && st == UB_OK; i++)
        if (!w->is_list[i])
            names[n++] = w->names[i];
    if (st == UB_OK && !r->o->raw && n > 0)
        st = ub_get_many(values, r->session, names, n, err);
    for (int i = 0; r->o->raw && i < n && st == UB_OK; i++)
        st = ub_get_raw(&values[i], r->session, names[i], err);
    for (int i = 0, k = 0; values && i < w->n && k < n; i++)
        if (!w->is_list[i])
            w->values[i] = values[k++];
    free(values);
    free(names);
    return st;
}

ub_status cli_wanted_compute(cli_wanted *w, const cli_run *r, ub_error *err)
{
    const double start = cli_now_ms();
    ub_status st = UB_OK;
    for (int i = 0; i < w->n && st == UB_OK; i++)
        if (w->is_list[i])
            st = ub_get_list(&w->sequences[i], r->session, w->names[i], err);
    if (st == UB_OK)
        st = compute_tensors(w, r, err);
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
    for (int i = 0; w->sequences && i < w->n; i++)
        ub_list_free(w->sequences[i]);
    for (int i = 0; w->columns && i < w->n; i++)
        ub_names_free(w->columns[i]);
    for (int i = 0; i < w->n_lists; i++)
        ub_names_free(w->lists[i]);
    free(w->names);
    free(w->is_list);
    free(w->values);
    free(w->sequences);
    free(w->columns);
}
