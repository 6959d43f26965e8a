/* SPDX-License-Identifier: Apache-2.0 */
/*
 * run --top: what each sample was taken for. In: (samples, classes) and perhaps names of classes
 * and of pictures; out: a line or a JSON object for each sample, its largest entries with their
 * share.
 */
#include "cli.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_LABELS = 1000000, LABEL_BYTES = 256 };

struct cli_labels {
    int n;
    char text[][LABEL_BYTES];
};

static ub_status fail_file(ub_error *err, const char *path)
{
    snprintf(err->message, sizeof err->message, "cannot read '%s': %s", path, strerror(errno));
    return err->code = UB_ERR_FILE;
}

static ub_status fail_memory(ub_error *err)
{
    strcpy(err->message, "out of memory");
    return err->code = UB_ERR_MEMORY;
}

/* ---- Labels --------------------------------------------------------------------------------- */

static ub_status read_lines(cli_labels **out, FILE *f, const char *path, ub_error *err)
{
    int cap = 0, n = 0;
    char line[LABEL_BYTES];
    while (n < MAX_LABELS && fgets(line, sizeof line, f)) {
        if (n == cap) {
            cap = cap ? 2 * cap : 64;
            cli_labels *more = realloc(*out, sizeof *more + (size_t)cap * LABEL_BYTES);
            if (!more)
                return fail_memory(err);
            *out = more;
        }
        line[strcspn(line, "\r\n")] = '\0';
        strcpy((*out)->text[n++], line);
        (*out)->n = n;
    }
    return ferror(f) ? fail_file(err, path) : UB_OK;
}

ub_status cli_labels_read(cli_labels **out, const char *path, ub_error *err)
{
    *out = NULL;
    if (!path)
        return UB_OK;
    FILE *f = fopen(path, "r");
    if (!f)
        return fail_file(err, path);
    ub_status st = read_lines(out, f, path, err);
    fclose(f);
    return st;
}

ub_status cli_labels_of(cli_labels **out, const ub_names *names, ub_error *err)
{
    const int n = ub_names_count(names) < MAX_LABELS ? ub_names_count(names) : MAX_LABELS;
    *out = malloc(sizeof **out + (size_t)n * LABEL_BYTES);
    if (!*out)
        return fail_memory(err);
    (*out)->n = n;
    for (int i = 0; i < n; i++)
        snprintf((*out)->text[i], LABEL_BYTES, "%s", ub_names_at(names, i));
    return UB_OK;
}

/* ---- Entries -------------------------------------------------------------------------------- */

typedef struct entry {
    double value, share;
    int64_t at;
} entry;

/* By falling value, equal ones by rising place; NaN last. */
static int by_value(const void *a, const void *b)
{
    const entry *x = a, *y = b;
    const bool x_nan = isnan(x->value), y_nan = isnan(y->value);
    if (x_nan != y_nan)
        return x_nan ? 1 : -1;
    if (!x_nan && x->value != y->value)
        return x->value > y->value ? -1 : 1;
    return x->at < y->at ? -1 : x->at > y->at;
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

/* Sorts a row; the share of an entry is the row's own, or what softmax gives it. */
static void rank_row(entry *sorted, const double *row, int64_t count)
{
    const bool shares = is_distribution(row, count);
    double high = -INFINITY, sum = 0;
    for (int64_t k = 0; k < count; k++)
        high = row[k] > high ? row[k] : high;
    for (int64_t k = 0; k < count; k++)
        sum += exp(row[k] - high);
    for (int64_t k = 0; k < count; k++)
        sorted[k] = (entry){row[k], shares ? row[k] : exp(row[k] - high) / sum, k};
    qsort(sorted, (size_t)count, sizeof *sorted, by_value);
}

/* ---- Showing -------------------------------------------------------------------------------- */

/* The label of a class, or its number in text. */
static const char *label_of(const cli_labels *labels, int64_t at, char text[32])
{
    if (labels && at < labels->n)
        return labels->text[at];
    snprintf(text, 32, "%lld", (long long)at);
    return text;
}

static void print_row(const cli_labels *labels, int64_t sample, const char *file,
                      const entry *sorted, int n)
{
    char text[32];
    if (file)
        printf("%-24s", file);
    else
        printf("sample %-6lld", (long long)sample);
    for (int k = 0; k < n; k++)
        printf("  %s %5.1f %%", label_of(labels, sorted[k].at, text), 100 * sorted[k].share);
    putchar('\n');
}

static json_t *row_json(const cli_labels *labels, int64_t sample, const char *file,
                        const entry *sorted, int n)
{
    char text[32];
    json_t *item = json_object(), *list = json_array();
    json_object_set_new(item, "sample", json_integer(sample));
    if (file)
        json_object_set_new(item, "file", cli_json_text(file));
    json_object_set_new(item, "top", list);
    for (int k = 0; k < n; k++) {
        json_t *e = json_object();
        json_object_set_new(e, "class", json_integer(sorted[k].at));
        json_object_set_new(e, "label", cli_json_text(label_of(labels, sorted[k].at, text)));
        json_object_set_new(e, "value", cli_json_number(sorted[k].value));
        json_object_set_new(e, "share", cli_json_number(sorted[k].share));
        json_array_append_new(list, e);
    }
    return item;
}

static ub_status show_rows(const cli_labels *labels, const cli_run *r, const ub_tensor *d,
                           ub_error *err)
{
    const int64_t classes = d->dims[1];
    const int n = r->o->top < classes ? r->o->top : (int)classes;
    entry *sorted = calloc((size_t)classes, sizeof *sorted);
    if (!sorted)
        return fail_memory(err);
    json_t *rows = json_array();
    for (int64_t s = 0; s < d->dims[0]; s++) {
        const char *file = s < r->n_files ? r->files[s] : NULL;
        rank_row(sorted, (const double *)d->data + s * classes, classes);
        if (r->o->json)
            json_array_append_new(rows, row_json(labels, s, file, sorted, n));
        else
            print_row(labels, s, file, sorted, n);
    }
    free(sorted);
    if (!r->o->json) {
        json_decref(rows);
        return UB_OK;
    }
    return cli_json_print(json_pack("{s:i,s:o}", "unbatch", CLI_JSON_VERSION, "samples", rows),
                          err);
}

ub_status cli_top_show(const cli_labels *labels, const cli_run *r, const ub_tensor *t,
                       ub_error *err)
{
    char shape[512];
    ub_tensor *d = NULL;
    if (t->rank != 2 || t->dims[1] < 1) {
        snprintf(err->message, sizeof err->message,
                 "--top wants an output of (samples, classes), the first one is %s",
                 cli_shape_text(shape, sizeof shape, t->rank, t->dims));
        return err->code = UB_ERR_SHAPE;
    }
    ub_status st = ub_tensor_cast(&d, t, UB_F64, err);
    if (st == UB_OK)
        st = show_rows(labels, r, d, err);
    ub_tensor_free(d);
    return st;
}
