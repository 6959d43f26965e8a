/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Results: npy, npz, json and txt files, npy on a pipe, and what a person reads on a terminal.
 * Files come into being whole: written under another name, then renamed.
 */
#include "cli.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

const char *cli_plain(char *text, size_t size, const char *name)
{
    size_t n = 0;
    for (; name[n] && n + 1 < size; n++)
        text[n] = (unsigned char)name[n] < ' ' || name[n] == 127 ? '?' : name[n];
    text[n] = '\0';
    return text;
}

const char *cli_shape_text(char *text, size_t size, int rank, const int64_t *dims)
{
    size_t n = (size_t)snprintf(text, size, "(");
    for (int i = 0; i < rank && n < size; i++)
        n += (size_t)snprintf(text + n, size - n, "%s%lld", i ? ", " : "", (long long)dims[i]);
    if (n < size)
        snprintf(text + n, size - n, rank == 1 ? ",)" : ")");
    return text;
}

/* ---- Numbers about a tensor ----------------------------------------------------------------- */

typedef struct stats {
    double min, max, mean, std;
    int64_t count, nan, inf;
} stats;

/* Over the finite elements; values: float64, contiguous. */
static stats measure(const double *values, int64_t count)
{
    stats s = {.min = INFINITY, .max = -INFINITY, .count = count};
    double sum = 0, squares = 0;
    for (int64_t i = 0; i < count; i++) {
        double v = values[i];
        s.nan += isnan(v) != 0;
        s.inf += isinf(v) != 0;
        if (!isfinite(v))
            continue;
        s.min = v < s.min ? v : s.min;
        s.max = v > s.max ? v : s.max;
        sum += v;
    }
    int64_t finite = count - s.nan - s.inf;
    s.mean = finite ? sum / (double)finite : NAN;
    for (int64_t i = 0; i < count; i++)
        if (isfinite(values[i]))
            squares += (values[i] - s.mean) * (values[i] - s.mean);
    s.std = finite ? sqrt(squares / (double)finite) : NAN;
    return s;
}

static ub_status tensor_stats(stats *s, const ub_tensor *t, ub_error *err)
{
    ub_tensor *d;
    *s = (stats){0};
    if (t->dtype == UB_STRING)
        return UB_OK;
    ub_status st = ub_tensor_cast(&d, t, UB_F64, err);
    if (st != UB_OK)
        return st;
    *s = measure(d->data, ub_tensor_count(d));
    ub_tensor_free(d);
    return UB_OK;
}

static void print_columns(const ub_names *columns, const ub_tensor *t)
{
    char plain[256];
    if (!columns || t->rank < 1 || t->dims[t->rank - 1] != ub_names_count(columns))
        return;
    printf("columns");
    for (int k = 0; k < ub_names_count(columns); k++)
        printf("%s%s", k ? ", " : ": ", cli_plain(plain, sizeof plain, ub_names_at(columns, k)));
    putchar('\n');
}

static ub_status print(const char *name, const ub_tensor *t, const ub_names *columns, ub_error *err)
{
    char plain[1024], shape[512], *text;
    stats s;
    ub_status st = tensor_stats(&s, t, err);
    if (st == UB_OK)
        st = ub_tensor_str(&text, t, err);
    if (st != UB_OK)
        return st;
    printf("%s  %s %s", cli_plain(plain, sizeof plain, name), ub_dtype_name(t->dtype),
           cli_shape_text(shape, sizeof shape, t->rank, t->dims));
    if (s.count > s.nan + s.inf && s.count > 1)
        printf("  min %.6g  max %.6g  mean %.6g  std %.6g", s.min, s.max, s.mean, s.std);
    if (s.nan + s.inf)
        printf("  NaN %lld  Inf %lld", (long long)s.nan, (long long)s.inf);
    putchar('\n');
    print_columns(columns, t);
    printf("%s\n", text);
    ub_string_free(text);
    return UB_OK;
}

/* The name of element k of a list; cut to size. */
static const char *element_name(char *text, size_t size, const char *list, int64_t k)
{
    snprintf(text, size, "%s/%lld", list, (long long)k);
    return text;
}

/* "a sequence of 3". */
static const char *list_text(char *text, size_t size, const ub_list *l)
{
    const ub_kind kind = ub_list_kind(l);
    const char *optional = kind == UB_KIND_SEQUENCE ? "" : "an optional of ";
    if (!ub_list_filled(l))
        snprintf(text, size, "an optional that holds nothing");
    else if (kind == UB_KIND_OPTIONAL || kind == UB_KIND_TENSOR)
        snprintf(text, size, "%sa tensor", kind == UB_KIND_OPTIONAL ? optional : "");
    else
        snprintf(text, size, "%sa sequence of %lld", optional, (long long)ub_list_count(l));
    return text;
}

static ub_status print_list(const char *name, const ub_list *l, ub_error *err)
{
    char plain[1024], text[128];
    ub_status st = UB_OK;
    printf("%s  %s\n", cli_plain(plain, sizeof plain, name), list_text(text, sizeof text, l));
    for (int64_t k = 0; k < ub_list_count(l) && st == UB_OK; k++)
        st = print(element_name(plain, sizeof plain, name, k), ub_list_at(l, k), NULL, err);
    return st;
}

/* ---- JSON ----------------------------------------------------------------------------------- */

json_t *cli_json_number(double v)
{
    if (isnan(v))
        return json_string("NaN");
    if (isinf(v))
        return json_string(v > 0 ? "Infinity" : "-Infinity");
    return json_real(v);
}

json_t *cli_json_text(const char *s)
{
    json_t *text = json_string(s);
    if (text)
        return text;
    char *copy = strdup(s);
    for (char *c = copy; copy && *c; c++)
        if ((unsigned char)*c > 127)
            *c = '?';
    text = copy ? json_string(copy) : NULL;
    free(copy);
    return text;
}

/* One element as a JSON value; *at moves on. */
static json_t *element(const ub_tensor *t, const ub_tensor *as_f64, const ub_tensor *as_i64,
                       int64_t at)
{
    if (t->dtype == UB_BOOL)
        return json_boolean(((const int64_t *)as_i64->data)[at]);
    if (as_i64)
        return json_integer(((const int64_t *)as_i64->data)[at]);
    return cli_json_number(((const double *)as_f64->data)[at]);
}

/* Nested lists. Depth is at most UB_MAX_RANK. */
static json_t *nested(const ub_tensor *t, const ub_tensor *f, const ub_tensor *i, int axis,
                      int64_t *at)
{
    if (axis == t->rank && t->dtype == UB_STRING) {
        const char *s = ((const char *const *)t->data)[(*at)++];
        return cli_json_text(s ? s : "");
    }
    if (axis == t->rank)
        return element(t, f, i, (*at)++);
    json_t *list = json_array();
    for (int64_t k = 0; k < t->dims[axis]; k++)
        json_array_append_new(list, nested(t, f, i, axis + 1, at));
    return list;
}

static json_t *tensor_json(const char *name, const ub_tensor *t, bool all)
{
    ub_error err;
    stats s;
    ub_tensor *f = NULL, *i = NULL;
    json_t *o = json_object(), *shape = json_array();
    const ub_dtype kind = ub_npy_dtype(t->dtype);
    bool real = kind == UB_F32 || kind == UB_F64 || kind == UB_F16 || kind == UB_U64;
    for (int d = 0; d < t->rank; d++)
        json_array_append_new(shape, json_integer(t->dims[d]));
    json_object_set_new(o, "what", cli_json_text(name));
    json_object_set_new(o, "dtype", json_string(ub_dtype_name(t->dtype)));
    json_object_set_new(o, "shape", shape);
    if (ub_tensor_cast(&f, t, UB_F64, &err) == UB_OK) {
        s = measure(f->data, ub_tensor_count(f));
        if (s.count > s.nan + s.inf) {
            json_object_set_new(o, "min", cli_json_number(s.min));
            json_object_set_new(o, "max", cli_json_number(s.max));
            json_object_set_new(o, "mean", cli_json_number(s.mean));
            json_object_set_new(o, "std", cli_json_number(s.std));
        }
        json_object_set_new(o, "nan", json_integer(s.nan));
        json_object_set_new(o, "inf", json_integer(s.inf));
    }
    if (f && (all || ub_tensor_count(t) <= 1000) &&
        (real || ub_tensor_cast(&i, t, UB_I64, &err) == UB_OK)) {
        int64_t at = 0;
        json_object_set_new(o, "data", nested(t, f, i, 0, &at));
    }
    if (t->dtype == UB_STRING && (all || ub_tensor_count(t) <= 1000) &&
        ub_tensor_copy(&i, t, &err) == UB_OK) { /* row-major */
        int64_t at = 0;
        json_object_set_new(o, "data", nested(i, NULL, NULL, 0, &at));
    }
    ub_tensor_free(f);
    ub_tensor_free(i);
    return o;
}

ub_status cli_json_print(json_t *j, ub_error *err)
{
    bool bad = json_dumpf(j, stdout, JSON_INDENT(1) | JSON_REAL_PRECISION(17)) != 0;
    putchar('\n');
    json_decref(j);
    /* What could not be written is told at the end of main(). */
    return bad && !ferror(stdout) ? cli_error(err, UB_ERR_MEMORY, "out of memory while making JSON")
                                  : UB_OK;
}

/* A list and its elements; "filled" is false for an optional that holds nothing. */
static json_t *list_json(const char *name, const ub_list *l, bool all)
{
    static const char *const kinds[] = {"tensor", "sequence", "optional", "optional sequence"};
    char text[1024];
    json_t *elements = json_array();
    for (int64_t k = 0; k < ub_list_count(l); k++)
        json_array_append_new(
            elements, tensor_json(element_name(text, sizeof text, name, k), ub_list_at(l, k), all));
    return json_pack("{s:o,s:s,s:b,s:o}", "what", cli_json_text(name), "kind",
                     kinds[ub_list_kind(l)], "filled", ub_list_filled(l), "elements", elements);
}

static json_t *columns_json(const ub_names *columns)
{
    json_t *list = json_array();
    for (int k = 0; k < ub_names_count(columns); k++)
        json_array_append_new(list, cli_json_text(ub_names_at(columns, k)));
    return list;
}

/* The values of all tensors under a version. all: every element whatever the size. */
static json_t *values_json(const cli_wanted *w, bool all)
{
    json_t *root = json_object(), *values = json_array();
    json_object_set_new(root, "unbatch", json_integer(CLI_JSON_VERSION));
    json_object_set_new(root, "values", values);
    for (int i = 0; i < w->n; i++) {
        json_t *value = w->is_list[i] ? list_json(w->names[i], w->sequences[i], all)
                                      : tensor_json(w->names[i], w->values[i], all);
        if (w->columns[i] && w->values[i])
            json_object_set_new(value, "columns", columns_json(w->columns[i]));
        json_array_append_new(values, value);
    }
    return root;
}

/* ---- Files ---------------------------------------------------------------------------------- */

/* Writes bytes to a temporary file beside path and renames it. */
static ub_status write_text(const char *path, const char *bytes, size_t size, ub_error *err)
{
    char temp[PATH_MAX + 32], real[PATH_MAX];
    struct stat file;
    if (lstat(path, &file) == 0 && S_ISLNK(file.st_mode) && realpath(path, real))
        path = real; /* a link is followed, not replaced */
    if ((size_t)snprintf(temp, sizeof temp, "%s.%ld.tmp", path, (long)getpid()) >= sizeof temp)
        return cli_error(err, UB_ERR_ARGUMENT, "the output's name is too long");
    FILE *f = fopen(temp, "wx");
    if (!f)
        return cli_error(err, UB_ERR_FILE, "cannot write '%s': %s", path, strerror(errno));
    bool ok = fwrite(bytes, 1, size, f) == size && fflush(f) == 0 && fsync(fileno(f)) == 0;
    int why = errno;
    if (fclose(f) != 0 && ok) {
        ok = false;
        why = errno;
    }
    if (ok && rename(temp, path) != 0) {
        ok = false;
        why = errno;
    }
    if (ok)
        return UB_OK;
    unlink(temp);
    return cli_error(err, UB_ERR_FILE, "cannot write '%s': %s", path, strerror(why));
}

static ub_status write_json(const char *path, const cli_wanted *w, ub_error *err)
{
    json_t *root = values_json(w, true);
    char *text = json_dumps(root, JSON_COMPACT | JSON_REAL_PRECISION(17));
    json_decref(root);
    if (!text)
        return cli_error(err, UB_ERR_MEMORY, "out of memory while making JSON");
    ub_status st = write_text(path, text, strlen(text), err);
    free(text);
    return st;
}

/* As JSON writes it: a line stays a line. */
static void print_string(FILE *f, const char *s)
{
    json_t *text = cli_json_text(s ? s : "");
    json_dumpf(text, f, JSON_ENCODE_ANY);
    json_decref(text);
}

/* Enough digits for the value to come back; whole numbers as they are. */
static void print_element(FILE *f, const ub_tensor *t, int64_t i)
{
    if (t->dtype == UB_STRING)
        print_string(f, ((const char *const *)t->data)[i]);
    else if (t->dtype == UB_I64)
        fprintf(f, "%lld", (long long)((const int64_t *)t->data)[i]);
    else if (t->dtype == UB_U64)
        fprintf(f, "%llu", (unsigned long long)((const uint64_t *)t->data)[i]);
    else if (t->dtype == UB_F32)
        fprintf(f, "%.9g", (double)((const float *)t->data)[i]);
    else
        fprintf(f, "%.17g", ((const double *)t->data)[i]);
}

/* What print_element() can print, without loss. */
static ub_dtype printable(ub_dtype d)
{
    switch (ub_npy_dtype(d)) {
    case UB_F64:
    case UB_U64:
    case UB_STRING:
        return d;
    case UB_F32:
    case UB_F16:
        return UB_F32;
    default:
        return UB_I64;
    }
}

static ub_status print_values(FILE *f, const char *name, const ub_tensor *t, ub_error *err)
{
    char shape[512];
    ub_tensor *d = NULL;
    ub_status st = ub_tensor_cast(&d, t, printable(t->dtype), err);
    if (st != UB_OK)
        return st;
    fprintf(f, "# %s %s %s\n", name, ub_dtype_name(t->dtype),
            cli_shape_text(shape, sizeof shape, t->rank, t->dims));
    const int64_t count = ub_tensor_count(d), row = t->rank ? t->dims[t->rank - 1] : 1;
    for (int64_t i = 0; i < count; i++) {
        print_element(f, d, i);
        putc((i + 1) % row ? ' ' : '\n', f);
    }
    ub_tensor_free(d);
    return UB_OK;
}

/* A line of shape, then a line for each run of the last axis. */
static ub_status write_txt(const char *path, const cli_wanted *w, ub_error *err)
{
    char *text = NULL;
    size_t size = 0;
    ub_status st = UB_OK;
    FILE *f = open_memstream(&text, &size);
    if (!f)
        return cli_error(err, UB_ERR_MEMORY, "out of memory");
    for (int i = 0; i < w->n && st == UB_OK; i++) {
        if (!w->is_list[i]) {
            st = print_values(f, w->names[i], w->values[i], err);
            continue;
        }
        char line[1024];
        fprintf(f, "# %s %s\n", w->names[i], list_text(line, sizeof line, w->sequences[i]));
        for (int64_t k = 0; k < ub_list_count(w->sequences[i]) && st == UB_OK; k++)
            st = print_values(f, element_name(line, sizeof line, w->names[i], k),
                              ub_list_at(w->sequences[i], k), err);
    }
    if (fclose(f) != 0 && st == UB_OK)
        st = cli_error(err, UB_ERR_MEMORY, "out of memory");
    if (st == UB_OK)
        st = write_text(path, text, size, err);
    free(text);
    return st;
}

static ub_status write_stdout(const ub_tensor *t, ub_error *err)
{
    char *bytes;
    size_t size;
    ub_status st = ub_npy_format(&bytes, &size, t, err);
    if (st != UB_OK)
        return st;
    if (fwrite(bytes, 1, size, stdout) != size || fflush(stdout) != 0)
        st = cli_error(err, UB_ERR_FILE, "cannot write to standard output: %s", strerror(errno));
    ub_string_free(bytes);
    return st;
}

/* Every tensor; element K of a list as NAME/K. */
static ub_status write_npz(const char *path, const cli_wanted *w, ub_error *err)
{
    size_t n = 0, at = 0, text = 1;
    for (int i = 0; i < w->n; i++)
        n += w->is_list[i] ? (size_t)ub_list_count(w->sequences[i]) : 1;
    for (int i = 0; i < w->n; i++)
        if (w->is_list[i])
            text += (size_t)ub_list_count(w->sequences[i]) * (strlen(w->names[i]) + 24);
    if (n > INT_MAX)
        return cli_error(err, UB_ERR_ARGUMENT, "%zu arrays are too many for one npz", n);
    const char **names = calloc(n + 1, sizeof *names);
    const ub_tensor **tensors = calloc(n + 1, sizeof *tensors);
    char *made = malloc(text), *to = made;
    ub_status st =
        names && tensors && made ? UB_OK : cli_error(err, UB_ERR_MEMORY, "out of memory");
    for (int i = 0; i < w->n && st == UB_OK; i++) {
        names[at] = w->names[i];
        if (!w->is_list[i])
            tensors[at++] = w->values[i];
        for (int64_t k = 0; w->is_list[i] && k < ub_list_count(w->sequences[i]); k++) {
            names[at] = element_name(to, strlen(w->names[i]) + 24, w->names[i], k);
            to += strlen(to) + 1;
            tensors[at++] = ub_list_at(w->sequences[i], k);
        }
    }
    if (st == UB_OK)
        st = ub_npz_save(path, names, tensors, (int)at, err);
    free(made);
    free(tensors);
    free(names);
    return st;
}

ub_status cli_write_check(const char *out, const cli_wanted *w, ub_error *err)
{
    if (!out || cli_ends_with(out, ".npz") || cli_ends_with(out, ".json") ||
        cli_ends_with(out, ".txt"))
        return UB_OK;
    if (strcmp(out, "-") != 0 && !cli_ends_with(out, ".npy"))
        return cli_error(err, UB_ERR_ARGUMENT,
                         "'%s': the name must end in .npy, .npz, .json or .txt, or be -", out);
    if (w->n != 1)
        return cli_error(err, UB_ERR_ARGUMENT, "%d values do not fit one npy: write an .npz", w->n);
    if (w->is_list[0])
        return cli_error(err, UB_ERR_ARGUMENT,
                         "'%s' is a list, which does not fit one npy: write an .npz, or ask for"
                         " one element, '%s/0'",
                         w->names[0], w->names[0]);
    return UB_OK;
}

ub_status cli_write(const char *out, const cli_wanted *w, ub_error *err)
{
    ub_status st = cli_write_check(out, w, err);
    if (st != UB_OK)
        return st;
    if (*cli_cancel())
        return cli_error(err, UB_ERR_CANCELLED, "interrupted");
    if (cli_ends_with(out, ".npz"))
        return write_npz(out, w, err);
    if (cli_ends_with(out, ".json"))
        return write_json(out, w, err);
    if (cli_ends_with(out, ".txt"))
        return write_txt(out, w, err);
    return strcmp(out, "-") == 0 ? write_stdout(w->values[0], err)
                                 : ub_npy_save(out, w->values[0], err);
}

ub_status cli_show(const cli_options *o, const cli_wanted *w, ub_error *err)
{
    ub_status st = UB_OK;
    if (o->out) {
        st = cli_write(o->out, w, err);
        if (st == UB_OK)
            cli_say(o, "wrote %s", o->out);
    } else if (o->json) {
        st = cli_json_print(values_json(w, false), err);
    } else {
        for (int i = 0; i < w->n && st == UB_OK; i++)
            st = w->is_list[i] ? print_list(w->names[i], w->sequences[i], err)
                               : print(w->names[i], w->values[i], w->columns[i], err);
    }
    return st;
}
