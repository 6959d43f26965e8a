/* SPDX-License-Identifier: Apache-2.0 */
/*
 * [NAME=]INPUT: what -x may say, and how it becomes a tensor of the session.
 */
#include "cli.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* The tensor is the run's from now on. */
static ub_status keep(cli_run *r, ub_tensor *t, ub_error *err)
{
    if (r->n_tensors == 4 * CLI_MAX_LIST) {
        ub_tensor_free(t);
        return cli_error(err, UB_ERR_ARGUMENT, "too many inputs");
    }
    r->tensors[r->n_tensors++] = t;
    return UB_OK;
}

static const ub_port *port_of(const ub_model *m, const char *name);

/* A file cannot hold the dtypes that NumPy lacks: where the input has one of these, what stands for
 * it in a file is converted. */
static ub_status set(cli_run *r, const char *name, const ub_tensor *t, ub_error *err)
{
    const ub_port *port = port_of(r->model, name);
    if (port && (port->kind == UB_KIND_SEQUENCE || port->kind == UB_KIND_OPTIONAL_SEQUENCE))
        return cli_error(err, UB_ERR_SHAPE,
                         "'%s' is a sequence: give its elements as the arrays of an .npz",
                         port->name);
    if (!port || port->dtype == t->dtype || ub_npy_dtype(port->dtype) != t->dtype)
        return ub_session_set(r->session, name, t, err);
    ub_tensor *cast = NULL;
    ub_status st = ub_tensor_cast(&cast, t, port->dtype, err);
    if (st == UB_OK)
        st = keep(r, cast, err);
    return st == UB_OK ? ub_session_set(r->session, name, cast, err) : st;
}

static ub_status give(cli_run *r, const char *name, ub_tensor *t, ub_error *err)
{
    ub_status st = keep(r, t, err);
    return st == UB_OK ? set(r, name, t, err) : st;
}

static bool is_input(const ub_model *m, const char *name)
{
    for (int i = 0; i < ub_model_input_count(m); i++)
        if (strcmp(ub_model_input(m, i)->name, name) == 0)
            return true;
    return false;
}

/* The port a name (or no name) stands for; NULL when it is not an input. */
static const ub_port *port_of(const ub_model *m, const char *name)
{
    for (int i = 0; i < ub_model_input_count(m); i++)
        if (name ? strcmp(ub_model_input(m, i)->name, name) == 0 : ub_model_input_count(m) == 1)
            return ub_model_input(m, i);
    return NULL;
}

/* "32x3x224x224" or "32,3,224,224"; *rest is what follows. */
static ub_status parse_shape(const char *s, int64_t *dims, int *rank, const char **rest,
                             ub_error *err)
{
    const char *at = s;
    bool more = *at && *at != ':'; /* nothing is the shape of a scalar */
    *rank = 0;
    while (more) {
        char *end;
        errno = 0;
        long long v = strtoll(at, &end, 10);
        more = *end == 'x' || *end == ',';
        if (*at < '0' || *at > '9' || errno || *rank == UB_MAX_RANK ||
            (*end && *end != ':' && !more))
            return cli_error(err, UB_ERR_ARGUMENT, "'%s': expected a shape such as 32x3x224x224",
                             s);
        dims[(*rank)++] = v;
        at = more ? end + 1 : end;
    }
    *rest = at;
    return UB_OK;
}

/* rand:SHAPE[:SEED] and zeros:SHAPE. */
static ub_status give_made(cli_run *r, const char *name, const char *spec, ub_error *err)
{
    const ub_port *port = port_of(r->model, name);
    ub_dtype dtype = port && port->dtype != UB_UNDEFINED ? port->dtype : UB_F32;
    bool random = strncmp(spec, "rand:", 5) == 0;
    int64_t dims[UB_MAX_RANK];
    int rank;
    const char *rest;
    unsigned long long seed = 0;
    ub_status st = parse_shape(strchr(spec, ':') + 1, dims, &rank, &rest, err);
    if (st != UB_OK)
        return st;
    if (*rest == ':') {
        char *end;
        seed = strtoull(rest + 1, &end, 10);
        if (!random || end == rest + 1 || *end)
            return cli_error(err, UB_ERR_ARGUMENT, "'%s': expected %s", spec,
                             random ? "rand:SHAPE:SEED" : "zeros:SHAPE");
    }
    ub_tensor *t = NULL, *cast = NULL;
    if (!random) {
        st = ub_tensor_new(&t, dtype, rank, dims, err);
        return st == UB_OK ? give(r, name, t, err) : st;
    }
    if (dtype != UB_F32 && dtype != UB_F64 && dtype != UB_F16 && dtype != UB_BF16)
        return cli_error(err, UB_ERR_SHAPE,
                         "'%s' wants %s: random normal numbers do not fit; give a file or zeros:",
                         port->name, ub_dtype_name(dtype));
    st = ub_tensor_random_normal(&t, rank, dims, seed, err);
    if (st == UB_OK && dtype != UB_F32) {
        st = ub_tensor_cast(&cast, t, dtype, err);
        ub_tensor_free(t);
        t = cast;
    }
    return st == UB_OK ? give(r, name, t, err) : st;
}

/* ---- Lists ----------------------------------------------------------------------------------- */

static bool is_list(const ub_port *p)
{
    return p && p->kind != UB_KIND_TENSOR;
}

/* The array of an archive that is named LIST/K; NULL: there is none. */
static const ub_tensor *element_of(const ub_npz *z, const char *list, int k)
{
    char want[1100];
    snprintf(want, sizeof want, "%s/%d", list, k);
    for (int i = 0; i < ub_npz_count(z); i++)
        if (strcmp(ub_npz_name(z, i), want) == 0)
            return ub_npz_tensor(z, i);
    return NULL;
}

/* The elements of a list from an archive: its arrays LIST/0, LIST/1 and so on, as get writes them;
 * where there are none of those and the list was named, all of its arrays in their order. */
static ub_status give_elements(cli_run *r, const ub_port *p, const ub_npz *z, bool named, int *n,
                               ub_error *err)
{
    const ub_tensor **all = calloc((size_t)ub_npz_count(z) + 1, sizeof *all);
    if (!all)
        return cli_error(err, UB_ERR_MEMORY, "out of memory");
    *n = 0;
    for (const ub_tensor *t; *n < ub_npz_count(z) && (t = element_of(z, p->name, *n)) != NULL;)
        all[(*n)++] = t;
    if (named && *n == 0)
        for (; *n < ub_npz_count(z); ++*n)
            all[*n] = ub_npz_tensor(z, *n);
    ub_status st = UB_OK;
    if (*n > 0 || named)
        st = ub_session_set_list(r->session, p->name, all, *n, err);
    free(all);
    return st;
}

/* Nothing, for an optional input. */
static ub_status give_nothing(cli_run *r, const char *name, ub_error *err)
{
    const ub_port *p = port_of(r->model, name);
    if (!is_list(p) || p->kind == UB_KIND_SEQUENCE)
        return cli_error(err, UB_ERR_ARGUMENT, "none: is for inputs that are optional, '%s' is not",
                         name ? name : "the input");
    return ub_session_set_list(r->session, p->name, NULL, 0, err);
}

/* An archive: its arrays by the names of the inputs, or its only array for the only input. */
static ub_status give_archive(cli_run *r, const char *name, const char *path, ub_error *err)
{
    ub_npz *z;
    ub_status st = ub_npz_load(&z, path, err);
    if (st != UB_OK)
        return st;
    r->archives[r->n_archives++] = z;
    const ub_port *port = port_of(r->model, name);
    int given = 0;
    if (is_list(port) && port->kind != UB_KIND_OPTIONAL)
        return give_elements(r, port, z, true, &given, err);
    if (ub_npz_count(z) == 1 && (name || !is_input(r->model, ub_npz_name(z, 0))))
        return set(r, name, ub_npz_tensor(z, 0), err);
    for (int i = 0; i < ub_model_input_count(r->model) && !name && st == UB_OK; i++) {
        int n = 0;
        if (is_list(ub_model_input(r->model, i)))
            st = give_elements(r, ub_model_input(r->model, i), z, false, &n, err);
        given += n > 0;
    }
    for (int i = 0; i < ub_npz_count(z) && st == UB_OK; i++) {
        const char *key = ub_npz_name(z, i);
        if (name ? strcmp(name, key) != 0 : !is_input(r->model, key))
            continue;
        st = set(r, key, ub_npz_tensor(z, i), err);
        given++;
    }
    if (st == UB_OK && !given && !name && ub_model_input_count(r->model) == 0)
        return cli_error(err, UB_ERR_ARGUMENT, "the model has no inputs");
    if (st == UB_OK && !given)
        return cli_error(err, UB_ERR_ARGUMENT, "%s: no array is named like an input ('%s', ...)",
                         path, name ? name : ub_model_input(r->model, 0)->name);
    return st;
}

/* npy bytes from standard input. */
static ub_status give_stdin(cli_run *r, const char *name, ub_error *err)
{
    size_t size = 0, cap = 1 << 16;
    char *bytes = malloc(cap);
    while (bytes) {
        size += fread(bytes + size, 1, cap - size, stdin);
        if (size < cap)
            break;
        char *more = cap > SIZE_MAX / 2 ? NULL : realloc(bytes, cap *= 2);
        if (!more)
            free(bytes);
        bytes = more;
    }
    if (!bytes)
        return cli_error(err, UB_ERR_MEMORY, "standard input: out of memory");
    ub_tensor *t;
    ub_status st = *cli_cancel() ? cli_error(err, UB_ERR_CANCELLED, "interrupted")
                   : ferror(stdin)
                       ? cli_error(err, UB_ERR_FILE, "standard input: %s", strerror(errno))
                       : ub_npy_parse(&t, bytes, size, err);
    free(bytes);
    return st == UB_OK ? give(r, name, t, err) : st;
}

static ub_status give_file(cli_run *r, const char *name, const char *spec, ub_error *err)
{
    char path[4096];
    const char *options = "";
    size_t n = strlen(spec);
    if (n >= sizeof path)
        return cli_error(err, UB_ERR_ARGUMENT, "the file name is too long");
    memcpy(path, spec, n + 1);
    struct stat st;
    char *bracket = strrchr(path, '[');
    if (stat(path, &st) != 0 && bracket && path[n - 1] == ']') {
        path[n - 1] = '\0';
        *bracket = '\0';
        options = bracket + 1;
    }
    bool folder = stat(path, &st) == 0 && S_ISDIR(st.st_mode);
    ub_tensor *t;
    ub_status status;
    if (cli_ends_with(path, ".npz") && !folder)
        return give_archive(r, name, path, err);
    if (cli_ends_with(path, ".npy") && !folder) {
        status = ub_npy_load(&t, path, err);
    } else {
        status = cli_picture_load(&t, path, options, port_of(r->model, name), folder, err);
        if (status == UB_OK && folder && !r->files)
            r->files = cli_picture_names(path, &r->n_files);
    }
    return status == UB_OK ? give(r, name, t, err) : status;
}

/* Splits "NAME=REST" when the part before '=' can be a name: no bracket before it, and either an
 * input of that name or no file of the whole name. */
static const char *split_name(const cli_run *r, const char *spec, char *name, size_t size)
{
    const char *eq = strchr(spec, '='), *bracket = strchr(spec, '[');
    struct stat st;
    if (!eq || eq == spec || (bracket && bracket < eq) || (size_t)(eq - spec) >= size)
        return spec;
    memcpy(name, spec, (size_t)(eq - spec));
    name[eq - spec] = '\0';
    if (!is_input(r->model, name) && stat(spec, &st) == 0) {
        name[0] = '\0';
        return spec;
    }
    return eq + 1;
}

ub_status cli_input_give(cli_run *r, const char *spec, ub_error *err)
{
    char text[1024] = "";
    const char *rest = split_name(r, spec, text, sizeof text);
    const char *name = text[0] ? text : NULL;
    if (strcmp(rest, "-") == 0)
        return give_stdin(r, name, err);
    if (strcmp(rest, "none:") == 0)
        return give_nothing(r, name, err);
    if (strncmp(rest, "rand:", 5) == 0 || strncmp(rest, "zeros:", 6) == 0)
        return give_made(r, name, rest, err);
    return give_file(r, name, rest, err);
}

ub_status cli_shape_give(cli_run *r, const char *spec, ub_error *err)
{
    char text[1024] = "";
    const char *rest = split_name(r, spec, text, sizeof text);
    const char *name = text[0] ? text : NULL;
    const ub_port *port = port_of(r->model, name);
    int64_t dims[UB_MAX_RANK];
    int rank;
    ub_status st = parse_shape(rest, dims, &rank, &rest, err);
    if (st != UB_OK)
        return st;
    ub_tensor *t = calloc(1, sizeof *t);
    if (!t)
        return cli_error(err, UB_ERR_MEMORY, "out of memory");
    ub_dtype dtype = port && port->dtype != UB_UNDEFINED ? port->dtype : UB_F32;
    st = ub_tensor_wrap(t, NULL, dtype, rank, dims, err);
    if (st == UB_OK)
        st = ub_session_set(r->session, name, t, err); /* keeps its own copy of the description */
    free(t);
    return st;
}

ub_status cli_from_give(cli_run *r, const char *spec, ub_error *err)
{
    const char *eq = strrchr(spec, '=');
    char name[1024];
    if (!eq || eq == spec || !eq[1] || (size_t)(eq - spec) >= sizeof name)
        return cli_error(err, UB_ERR_ARGUMENT, "--from %s: expected WHAT=FILE", spec);
    memcpy(name, spec, (size_t)(eq - spec));
    name[eq - spec] = '\0';
    ub_tensor *t;
    ub_status st = ub_npy_load(&t, eq + 1, err);
    return st == UB_OK ? give(r, name, t, err) : st;
}

/* ---- Opening -------------------------------------------------------------------------------- */

ub_status cli_run_open(cli_run *r, const cli_options *o, bool shapes_only)
{
    ub_error err = {0};
    double start = cli_now_ms();
    r->o = o;
    ub_open_options oo = UB_OPEN_OPTIONS_INIT;
    oo.weights = o->weights;
    ub_status st = ub_open_with(&r->model, o->model, &oo, &err);
    r->open_ms = cli_now_ms() - start;
    if (st == UB_OK)
        cli_say(o, "opened %s in %.1f ms, %d layers", o->model, r->open_ms,
                ub_model_layer_count(r->model));
    if (st == UB_OK && *ub_model_note(r->model))
        cli_say(o, "%s", ub_model_note(r->model));
    ub_session_options so = UB_SESSION_OPTIONS_INIT;
    so.threads = o->threads;
    so.memory_limit = o->memory;
    so.reference = o->reference;
    so.alone = o->alone;
    so.cancel = cli_cancel();
    if (!o->quiet && !o->json && cli_stderr_is_terminal())
        so.progress = cli_progress;
    if (st == UB_OK)
        st = ub_session_new(&r->session, r->model, &so, &err);
    for (int i = 0; i < o->n_inputs && st == UB_OK; i++)
        st = cli_input_give(r, o->inputs[i], &err);
    for (int i = 0; i < o->n_shapes && st == UB_OK; i++)
        st = cli_shape_give(r, o->shapes[i], &err);
    for (int i = 0; i < o->n_from && st == UB_OK; i++)
        st = cli_from_give(r, o->from[i], &err);
    if (st == UB_OK && !shapes_only && o->n_inputs + o->n_from == 0 &&
        ub_model_input_count(r->model) > 0)
        st = cli_error(&err, UB_ERR_ARGUMENT, "no input: give one with -x [NAME=]INPUT ('%s')",
                       ub_model_input(r->model, 0)->name);
    return st == UB_OK ? st : cli_fail(&err);
}

void cli_run_close(cli_run *r)
{
    ub_session_free(r->session);
    ub_model_free(r->model);
    for (int i = 0; i < r->n_tensors; i++)
        ub_tensor_free(r->tensors[i]);
    for (int i = 0; i < r->n_archives; i++)
        ub_npz_free(r->archives[i]);
    for (int i = 0; i < r->n_files; i++)
        free(r->files[i]);
    free(r->files);
}
