/* SPDX-License-Identifier: Apache-2.0 */
/*
 * unbatch summary: one line per layer.
 */
#include "cli.h"

#include <stdlib.h>
#include <string.h>

static const char *const list_words[] = {"tensor", "sequence", "optional", "optional sequence"};

static void port_text(char *text, size_t size, const ub_port *p)
{
    char plain[256];
    if (p->kind != UB_KIND_TENSOR) {
        snprintf(text, size, "%s %s", cli_plain(plain, sizeof plain, p->name), list_words[p->kind]);
        return;
    }
    size_t n = (size_t)snprintf(text, size, "%s %s (", cli_plain(plain, sizeof plain, p->name),
                                ub_dtype_name(p->dtype));
    for (int a = 0; a < p->rank && n < size; a++) {
        const char *sep = a ? ", " : "";
        if (p->dims[a] >= 0)
            n += (size_t)snprintf(text + n, size - n, "%s%lld", sep, (long long)p->dims[a]);
        else
            n += (size_t)snprintf(text + n, size - n, "%s%s", sep,
                                  p->dim_names[a] ? cli_plain(plain, sizeof plain, p->dim_names[a])
                                                  : "?");
    }
    if (n < size)
        snprintf(text + n, size - n, p->rank < 0 ? "any shape)" : ")");
}

/* "1.23 M", 9 characters at most. */
static void count_text(char *text, size_t size, int64_t v)
{
    static const char units[] = " kMGTPE";
    double d = (double)v;
    int u = 0;
    while (d >= 999.5 && units[u + 1]) {
        d /= 1000;
        u++;
    }
    if (v < 0)
        snprintf(text, size, "?");
    else if (u == 0)
        snprintf(text, size, "%lld", (long long)v);
    else
        snprintf(text, size, "%.3g %c", d, units[u]);
}

static const char *dims_text(char *text, size_t size, const ub_tensor *t)
{
    if (t->rank < 0)
        return "?";
    return cli_shape_text(text, size, t->rank, t->dims);
}

/* "0", "1", "0 (4 each)" or "-". */
static void batch_text(char *text, size_t size, const ub_row *row)
{
    if (row->batch_axis < 0)
        snprintf(text, size, "-");
    else if (row->batch_inner > 1)
        snprintf(text, size, "%d (%lld each)", row->batch_axis, (long long)row->batch_inner);
    else
        snprintf(text, size, "%d", row->batch_axis);
}

typedef struct filter {
    ub_names *names; /* NULL: everything */
} filter;

static bool shown(const filter *f, const ub_row *row)
{
    if (!f->names)
        return true;
    for (int i = 0; i < ub_names_count(f->names); i++)
        if (strcmp(ub_names_at(f->names, i), row->layer->name) == 0)
            return true;
    return false;
}

static int width_of_names(const ub_summary *sum, const filter *f)
{
    int width = 5;
    for (int i = 0; i < ub_summary_count(sum); i++) {
        const ub_row *row = ub_summary_row(sum, i);
        int n = (int)strlen(row->layer->name);
        if (shown(f, row) && n > width)
            width = n;
    }
    return width > 60 ? 60 : width;
}

/* Returns whether the layer is marked as not wholly in the file. */
static bool print_row(const ub_row *row, int width)
{
    char in[512], out[512], params[32], macs[32], batch[48], shapes[1200], name[1024], type[256];
    char why[1024];
    count_text(params, sizeof params, row->layer->n_params);
    count_text(macs, sizeof macs, row->macs);
    batch_text(batch, sizeof batch, row);
    snprintf(shapes, sizeof shapes, "%s -> %s", dims_text(in, sizeof in, &row->in),
             dims_text(out, sizeof out, &row->out));
    printf("%-*s  %-22s %-40s %8s %8s  %s%s\n", width,
           cli_plain(name, sizeof name, row->layer->name),
           cli_plain(type, sizeof type, row->layer->type), shapes, params, macs, batch,
           row->layer->missing ? " *" : "");
    if (row->mixed)
        printf("%*sMIXED: %s\n", width + 2, "", cli_plain(why, sizeof why, row->mixed));
    return row->layer->missing != NULL;
}

static bool inner_shown(const filter *f, const ub_inner *inner)
{
    if (!f->names)
        return true;
    for (int i = 0; i < ub_names_count(f->names); i++)
        if (strcmp(ub_names_at(f->names, i), inner->holder) == 0)
            return true;
    return false;
}

/* "float32 (?, 3)" as the file has it; "" where it says nothing. */
static void inner_text(char *text, size_t size, const ub_inner *v)
{
    size_t n =
        (size_t)snprintf(text, size, "%s", v->kind == UB_KIND_TENSOR ? "" : list_words[v->kind]);
    if (v->kind != UB_KIND_TENSOR || v->dtype == UB_UNDEFINED)
        return;
    n = (size_t)snprintf(text, size, "%s%s", ub_dtype_name(v->dtype), v->rank < 0 ? "" : " (");
    for (int a = 0; a < v->rank && n < size; a++) {
        const char *sep = a ? ", " : "";
        n += (size_t)(v->dims[a] < 0
                          ? snprintf(text + n, size - n, "%s?", sep)
                          : snprintf(text + n, size - n, "%s%lld", sep, (long long)v->dims[a]));
    }
    if (v->rank >= 0 && n < size)
        snprintf(text + n, size - n, v->rank == 1 ? ",)" : ")");
}

/* What the bodies of If, Loop, Scan and SequenceMap hold. */
static void print_inner(const ub_summary *sum, const filter *f)
{
    char address[1024], type[256], text[512];
    int width = 16, shown = 0;
    for (int i = 0; i < ub_summary_inner_count(sum); i++) {
        const int n = (int)strlen(ub_summary_inner(sum, i)->address);
        if (inner_shown(f, ub_summary_inner(sum, i)) && n > width)
            width = n;
    }
    width = width > 60 ? 60 : width;
    for (int i = 0; i < ub_summary_inner_count(sum); i++) {
        const ub_inner *v = ub_summary_inner(sum, i);
        if (!inner_shown(f, v))
            continue;
        if (shown++ == 0)
            printf("\n%-*s  %-22s %s\n", width, "inside bodies", "type",
                   "in the file (K: an iteration, from 0)");
        inner_text(text, sizeof text, v);
        printf("%-*s  %-*s%s\n", width, cli_plain(address, sizeof address, v->address),
               *text ? 23 : 0, *v->type ? cli_plain(type, sizeof type, v->type) : "input", text);
    }
}

/* The sum of what is known, as large as can be. */
static int64_t add_counts(int64_t a, int64_t b)
{
    return b < 0 ? a : a > INT64_MAX - b ? INT64_MAX : a + b;
}

static void print_table(const cli_run *r, const ub_summary *sum, const filter *f)
{
    char text[1024];
    for (int i = 0; i < ub_model_input_count(r->model); i++) {
        port_text(text, sizeof text, ub_model_input(r->model, i));
        printf("input   %s\n", text);
    }
    for (int i = 0; i < ub_model_output_count(r->model); i++) {
        port_text(text, sizeof text, ub_model_output(r->model, i));
        printf("output  %s\n", text);
    }
    int width = width_of_names(sum, f);
    printf("\n%-*s  %-22s %-40s %8s %8s  %s\n", width, "layer", "type", "in -> out", "params",
           "MACs", "batch axis");
    int64_t params = 0, macs = 0;
    int missing = 0;
    const char *reason = "";
    for (int i = 0; i < ub_summary_count(sum); i++) {
        const ub_row *row = ub_summary_row(sum, i);
        if (row->layer->depth <= 1)
            params = add_counts(params, row->layer->n_params);
        if (row->layer->depth <= 1)
            macs = add_counts(macs, row->macs);
        if (shown(f, row) && print_row(row, width) && missing++ == 0)
            reason = row->layer->missing;
    }
    char p[32], m[32];
    count_text(p, sizeof p, params);
    count_text(m, sizeof m, macs);
    if (!f->names)
        printf("%-*s  %-22s %-40s %8s %8s\n", width, "total", "", "", p, m);
    print_inner(sum, f);
    if (missing)
        printf("\n* %s", cli_plain(text, sizeof text, reason));
    if (missing > 1)
        printf(" (and %d more)", missing - 1);
    if (missing)
        putchar('\n');
    if (ub_model_unsupported(r->model)[0])
        printf("\nnot supported: %s\n",
               cli_plain(text, sizeof text, ub_model_unsupported(r->model)));
}

static json_t *port_json(const ub_port *p)
{
    json_t *dims = json_array();
    for (int a = 0; a < p->rank; a++)
        json_array_append_new(dims, p->dims[a] >= 0   ? json_integer(p->dims[a])
                                    : p->dim_names[a] ? cli_json_text(p->dim_names[a])
                                                      : json_null());
    return json_pack("{s:o,s:s,s:s,s:o,s:i}", "name", cli_json_text(p->name), "kind",
                     list_words[p->kind], "dtype", ub_dtype_name(p->dtype), "shape", dims,
                     "batch_axis", p->batch_axis);
}

static json_t *shape_json(const ub_tensor *t)
{
    if (t->rank < 0)
        return json_null();
    json_t *dims = json_array();
    for (int a = 0; a < t->rank; a++)
        json_array_append_new(dims, json_integer(t->dims[a]));
    return dims;
}

static json_t *text_or_null(const char *s)
{
    return s ? cli_json_text(s) : json_null();
}

static json_t *row_json(const ub_row *row)
{
    const ub_layer *l = row->layer;
    return json_pack("{s:o,s:o,s:i,s:b,s:i,s:i,s:o,s:o,s:I,s:I,s:i,s:I,s:o,s:o}", "name",
                     cli_json_text(l->name), "type", cli_json_text(l->type), "depth", l->depth,
                     "node", l->is_node, "inputs", l->n_inputs, "outputs", l->n_outputs, "in",
                     shape_json(&row->in), "out", shape_json(&row->out), "params",
                     (json_int_t)l->n_params, "macs", (json_int_t)row->macs, "batch_axis",
                     row->batch_axis, "batch_inner", (json_int_t)row->batch_inner, "mixed",
                     text_or_null(row->mixed), "missing", text_or_null(l->missing));
}

static json_t *inner_json(const ub_inner *v)
{
    json_t *dims = v->rank < 0 ? json_null() : json_array();
    for (int a = 0; a < v->rank; a++)
        json_array_append_new(dims, v->dims[a] < 0 ? json_null() : json_integer(v->dims[a]));
    return json_pack("{s:o,s:o,s:o,s:i,s:o,s:o}", "address", cli_json_text(v->address), "type",
                     cli_json_text(*v->type ? v->type : "input"), "holder",
                     cli_json_text(v->holder), "depth", v->depth, "dtype",
                     v->kind == UB_KIND_TENSOR && v->dtype != UB_UNDEFINED
                         ? json_string(ub_dtype_name(v->dtype))
                         : json_null(),
                     "shape", dims);
}

static ub_status print_json(const cli_run *r, const ub_summary *sum, const filter *f, ub_error *err)
{
    json_t *root = json_pack("{s:i}", "unbatch", CLI_JSON_VERSION);
    json_t *inputs = json_array(), *outputs = json_array(), *layers = json_array(),
           *inner = json_array();
    for (int i = 0; i < ub_model_input_count(r->model); i++)
        json_array_append_new(inputs, port_json(ub_model_input(r->model, i)));
    for (int i = 0; i < ub_model_output_count(r->model); i++)
        json_array_append_new(outputs, port_json(ub_model_output(r->model, i)));
    for (int i = 0; i < ub_summary_count(sum); i++)
        if (shown(f, ub_summary_row(sum, i)))
            json_array_append_new(layers, row_json(ub_summary_row(sum, i)));
    for (int i = 0; i < ub_summary_inner_count(sum); i++)
        if (inner_shown(f, ub_summary_inner(sum, i)))
            json_array_append_new(inner, inner_json(ub_summary_inner(sum, i)));
    json_object_set_new(root, "inputs", inputs);
    json_object_set_new(root, "outputs", outputs);
    json_object_set_new(root, "layers", layers);
    json_object_set_new(root, "inside", inner);
    json_object_set_new(root, "unsupported", cli_json_text(ub_model_unsupported(r->model)));
    return cli_json_print(root, err);
}

ub_status cmd_summary(const cli_options *o)
{
    static cli_run r;
    ub_error err = {0};
    ub_summary *sum = NULL;
    filter f = {0};
    if (o->n_what > 1)
        return cli_usage("summary takes one pattern, not %d", o->n_what);
    ub_status st = cli_run_open(&r, o, true);
    if (st == UB_OK) {
        if (o->n_what)
            st = ub_match(&f.names, r.model, o->what[0], &err);
        if (st == UB_OK)
            st = ub_summarize(&sum, r.session, &err);
        if (st == UB_OK && o->json)
            st = print_json(&r, sum, &f, &err);
        else if (st == UB_OK)
            print_table(&r, sum, &f);
        if (st != UB_OK)
            cli_fail(&err);
    }
    ub_names_free(f.names);
    ub_summary_free(sum);
    cli_run_close(&r);
    return st;
}
