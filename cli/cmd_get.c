/* SPDX-License-Identifier: Apache-2.0 */
/*
 * unbatch get: the main job.
 */
#include "cli.h"

#include <stdlib.h>
#include <string.h>

/* The addresses all patterns stand for, in the order asked. */
typedef struct wanted {
    ub_names *lists[CLI_MAX_LIST];
    int n_lists;
    const char **names; /* [n] */
    int n;
} wanted;

static ub_status expand(wanted *w, const cli_run *r, ub_error *err)
{
    for (int i = 0; i < r->o->n_what; i++) {
        ub_status st = ub_match(&w->lists[i], r->model, r->o->what[i], err);
        if (st != UB_OK)
            return st;
        w->n_lists++;
        w->n += ub_names_count(w->lists[i]);
    }
    w->names = calloc((size_t)w->n + 1, sizeof *w->names);
    if (!w->names) {
        strcpy(err->message, "out of memory");
        return err->code = UB_ERR_MEMORY;
    }
    int n = 0;
    for (int i = 0; i < w->n_lists; i++)
        for (int k = 0; k < ub_names_count(w->lists[i]); k++)
            w->names[n++] = ub_names_at(w->lists[i], k);
    return UB_OK;
}

static ub_status show(const cli_options *o, const wanted *w, ub_tensor **values, ub_error *err)
{
    const ub_tensor *const *read = (const ub_tensor *const *)values;
    if (o->out)
        return cli_write(o->out, w->names, read, w->n, err);
    if (!o->json) {
        ub_status st = UB_OK;
        for (int i = 0; i < w->n && st == UB_OK; i++)
            st = cli_print(w->names[i], values[i], err);
        return st;
    }
    json_t *root = json_object(), *list = json_array();
    json_object_set_new(root, "unbatch", json_integer(CLI_JSON_VERSION));
    json_object_set_new(root, "values", list);
    for (int i = 0; i < w->n; i++)
        json_array_append_new(list, cli_tensor_json(w->names[i], values[i], false));
    return cli_json_print(root);
}

static ub_status compute(ub_tensor **values, const cli_run *r, const wanted *w, ub_error *err)
{
    if (!r->o->raw)
        return ub_get_many(values, r->session, w->names, w->n, err);
    for (int i = 0; i < w->n; i++) {
        ub_status st = ub_get_raw(&values[i], r->session, w->names[i], err);
        if (st != UB_OK)
            return st;
    }
    return UB_OK;
}

ub_status cmd_get(const cli_options *o)
{
    if (o->n_what == 0)
        return cli_usage("get needs WHAT: a layer, node or tensor; 'unbatch summary %s' lists them",
                         o->model);
    static cli_run r;
    wanted w = {0};
    ub_error err = {0};
    ub_tensor **values = NULL;
    ub_status st = cli_run_open(&r, o, false);
    if (st == UB_OK) {
        st = expand(&w, &r, &err);
        if (st == UB_OK)
            values = calloc((size_t)w.n + 1, sizeof *values);
        if (st == UB_OK && values)
            st = compute(values, &r, &w, &err);
        cli_progress_end();
        if (st == UB_OK && !o->quiet && ub_session_note(r.session)[0])
            fprintf(stderr, "unbatch: note: %s\n", ub_session_note(r.session));
        if (st == UB_OK)
            st = show(o, &w, values, &err);
        if (st != UB_OK)
            cli_fail(&err);
    }
    for (int i = 0; values && i < w.n; i++)
        ub_tensor_free(values[i]);
    for (int i = 0; i < w.n_lists; i++)
        ub_names_free(w.lists[i]);
    free(w.names);
    free(values);
    cli_run_close(&r);
    return st;
}
