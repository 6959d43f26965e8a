/* SPDX-License-Identifier: Apache-2.0 */
/*
 * unbatch run: all outputs, or with --top what each sample was taken for.
 */
#include "cli.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_LABELS = 100000, LABEL_BYTES = 256 };

/* A name per line; *n of them. */
static char (*read_labels(const char *path, int *n))[LABEL_BYTES]
{
    FILE *f = fopen(path, "r");
    char(*labels)[LABEL_BYTES] = NULL;
    size_t cap = 0;
    *n = 0;
    if (!f) {
        cli_usage("cannot open '%s'", path);
        return NULL;
    }
    for (;;) {
        if ((size_t)*n == cap) {
            cap = cap ? 2 * cap : 64;
            void *more = cap > MAX_LABELS ? NULL : realloc(labels, cap * sizeof *labels);
            if (!more)
                break;
            labels = more;
        }
        if (!fgets(labels[*n], LABEL_BYTES, f))
            break;
        labels[*n][strcspn(labels[*n], "\r\n")] = '\0';
        ++*n;
    }
    fclose(f);
    return labels;
}

/* The share softmax gives entry `i` of a row. */
static double share(const double *row, int64_t count, int64_t i)
{
    double high = -INFINITY, sum = 0;
    for (int64_t k = 0; k < count; k++)
        high = row[k] > high ? row[k] : high;
    for (int64_t k = 0; k < count; k++)
        sum += exp(row[k] - high);
    return exp(row[i] - high) / sum;
}

/* Whether the row is a distribution already. */
static bool is_distribution(const double *row, int64_t count)
{
    double sum = 0;
    for (int64_t k = 0; k < count; k++) {
        if (!(row[k] >= 0))
            return false;
        sum += row[k];
    }
    return fabs(sum - 1) < 1e-3;
}

/* Entries by falling value; NaN last. values: [count]; order: [top]. */
static void largest(const double *values, int64_t count, int64_t *order, int top)
{
    for (int k = 0; k < top; k++) {
        int64_t best = -1;
        for (int64_t i = 0; i < count; i++) {
            bool used = isnan(values[i]);
            for (int j = 0; j < k && !used; j++)
                used = order[j] == i;
            if (!used && (best < 0 || values[i] > values[best]))
                best = i;
        }
        order[k] = best;
    }
}

static ub_status show_top(const cli_run *r, const ub_tensor *t, ub_error *err)
{
    const cli_options *o = r->o;
    if (t->rank != 2 || t->dims[1] < 1) {
        char shape[512];
        snprintf(err->message, sizeof err->message,
                 "--top wants an output of (samples, classes), the first one is %s",
                 cli_shape_text(shape, sizeof shape, t->rank, t->dims));
        return err->code = UB_ERR_SHAPE;
    }
    int n_labels = 0;
    char(*labels)[LABEL_BYTES] = o->labels ? read_labels(o->labels, &n_labels) : NULL;
    if (o->labels && !labels) {
        strcpy(err->message, "no labels");
        return err->code = UB_ERR_FILE;
    }
    int64_t classes = t->dims[1];
    int top = o->top < classes ? o->top : (int)classes;
    int64_t *order = calloc((size_t)top + 1, sizeof *order);
    ub_tensor *d = NULL;
    ub_status st = ub_tensor_cast(&d, t, UB_F64, err);
    json_t *rows = json_array();
    for (int64_t s = 0; s < t->dims[0] && st == UB_OK && order; s++) {
        const double *row = (const double *)d->data + s * classes;
        bool shares = is_distribution(row, classes);
        json_t *item = json_object(), *list = json_array();
        largest(row, classes, order, top);
        const char *file = s < r->n_files && r->files ? r->files[s] : NULL;
        if (!o->json && file)
            printf("%-24s", file);
        else if (!o->json)
            printf("sample %-6lld", (long long)s);
        json_object_set_new(item, "sample", json_integer(s));
        if (file)
            json_object_set_new(item, "file", json_string(file));
        json_object_set_new(item, "top", list);
        for (int k = 0; k < top && order[k] >= 0; k++) {
            char number[32];
            snprintf(number, sizeof number, "%lld", (long long)order[k]);
            const char *label = order[k] < n_labels ? labels[order[k]] : number;
            double p = shares ? row[order[k]] : share(row, classes, order[k]);
            if (!o->json)
                printf("  %s %5.1f %%", label, 100 * p);
            json_array_append_new(list,
                                  json_pack("{s:I,s:s,s:f,s:f}", "class", (json_int_t)order[k],
                                            "label", label, "value", row[order[k]], "share", p));
        }
        if (!o->json)
            putchar('\n');
        json_array_append_new(rows, item);
    }
    if (o->json && st == UB_OK)
        st = cli_json_print(
            json_pack("{s:i,s:o}", "unbatch", CLI_JSON_VERSION, "samples", json_incref(rows)));
    json_decref(rows);
    ub_tensor_free(d);
    free(order);
    free(labels);
    return st;
}

static ub_status show(const cli_run *r, ub_tensor **values, const char **names, int n,
                      ub_error *err)
{
    const cli_options *o = r->o;
    ub_status st = UB_OK;
    if (o->out)
        st = cli_write(o->out, names, (const ub_tensor *const *)values, n, err);
    if (st == UB_OK && o->top)
        return show_top(r, values[0], err);
    if (o->out || st != UB_OK)
        return st;
    json_t *list = json_array();
    for (int i = 0; i < n && st == UB_OK; i++) {
        if (o->json)
            json_array_append_new(list, cli_tensor_json(names[i], values[i], false));
        else
            st = cli_print(names[i], values[i], err);
    }
    if (o->json && st == UB_OK)
        st = cli_json_print(
            json_pack("{s:i,s:o}", "unbatch", CLI_JSON_VERSION, "values", json_incref(list)));
    json_decref(list);
    return st;
}

ub_status cmd_run(const cli_options *o)
{
    if (o->n_what)
        return cli_usage("run computes the outputs; for '%s' use get", o->what[0]);
    static cli_run r;
    ub_error err = {0};
    ub_names *all = NULL;
    const char **names = NULL;
    ub_tensor **values = NULL;
    int n = 0;
    ub_status st = cli_run_open(&r, o, false);
    if (st == UB_OK) {
        st = ub_match(&all, r.model, "@outputs", &err);
        n = st == UB_OK ? ub_names_count(all) : 0;
        names = calloc((size_t)n + 1, sizeof *names);
        values = calloc((size_t)n + 1, sizeof *values);
        for (int i = 0; i < n && names; i++)
            names[i] = ub_names_at(all, i);
        if (st == UB_OK && names && values)
            st = ub_get_many(values, r.session, names, n, &err);
        cli_progress_end();
        if (st == UB_OK)
            st = show(&r, values, names, n, &err);
        if (st != UB_OK)
            cli_fail(&err);
    }
    for (int i = 0; values && i < n; i++)
        ub_tensor_free(values[i]);
    ub_names_free(all);
    free(names);
    free(values);
    cli_run_close(&r);
    return st;
}
