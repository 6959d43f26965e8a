/* SPDX-License-Identifier: Apache-2.0 */
/*
 * onnx-suite: runs ONNX's conformance cases through the library, each in a process of its own so
 * that a crash or a hang is one failed case. See onnx_case.h for the layout.
 *
 *   onnx-suite DIR [REGEX] [--known FILE] [--report FILE] [--reference] [-v]
 *
 * One line for each failing case, then "N passed, N failed". Exit code 1 when a case fails. With
 * --known the cases listed in FILE ("folder/name: reason", one a line, # for comments) are to fail:
 * they are not shown, and one that passes, or that is not there, makes the exit code 1 as one that
 * fails and is not listed does. --report writes a line for each case: "ok" or "failed", and its
 * name.
 */
#include "onnx_case.h"

#include <dirent.h>
#include <errno.h>
#include <regex.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SECONDS_PER_CASE = 120, TEXT = 2048 };

typedef struct options {
    const char *root, *pattern, *known, *report;
    bool reference, verbose;
} options;

typedef struct names {
    char **items;
    size_t count, cap;
} names;

static void die(const char *what, const char *path)
{
    fprintf(stderr, "onnx-suite: %s '%s': %s\n", what, path, strerror(errno));
    exit(3);
}

static void add_name(names *n, const char *name)
{
    if (ubp_grow((void **)&n->items, &n->cap, n->count, sizeof *n->items, NULL) != UB_OK ||
        !(n->items[n->count] = strdup(name)))
        die("no memory for", name);
    n->count++;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void sort_names(names *n)
{
    if (n->count > 0)
        qsort(n->items, n->count, sizeof *n->items, compare_names);
}

static bool has_name(const names *n, const char *name)
{
    return n->count > 0 && bsearch(&name, n->items, n->count, sizeof *n->items, compare_names);
}

static void release_names(names *n)
{
    for (size_t i = 0; i < n->count; i++)
        free(n->items[i]);
    ubp_free(n->items);
}

/* ---- One case, in the child --------------------------------------------------------------------
 */

static ub_status give_list(ub_session *s, const char *name, const onnx_list *list, ub_error *err)
{
    const ub_tensor *items[ONNX_CASE_PORTS];
    for (int i = 0; i < list->n; i++)
        items[i] = &list->items[i];
    return ub_session_set_list(s, name, list->filled ? items : NULL, list->n, err);
}

/* Gives the session its inputs: by the name in the file where it is one of the model's, else by
 * place. */
static ub_status give_inputs(ub_session *s, const ub_model *m, const onnx_data *d, ub_error *err)
{
    int n = ub_model_input_count(m);
    for (int i = 0; i < d->n_in; i++) {
        const char *name = i < n ? ub_model_input(m, i)->name : NULL;
        for (int k = 0; k < n; k++)
            if (strcmp(ub_model_input(m, k)->name, d->in_name[i]) == 0)
                name = ub_model_input(m, k)->name;
        if (!name)
            return ubp_fail(err, UB_ERR_CHECK, "the model has %d inputs, the case gives %d", n,
                            d->n_in);
        if (d->in_list[i])
            UBP_TRY(give_list(s, name, d->in_list[i], err));
        else
            UBP_TRY(ub_session_set(s, name, &d->in[i], err));
    }
    return UB_OK;
}

/* A list output: kind and every element. */
static ub_status check_list(ub_session *s, const char *name, const onnx_list *want, double rtol,
                            double atol, ub_error *err)
{
    char why[512];
    ub_list *got;
    UBP_TRY(ub_get_list(&got, s, name, err));
    ub_status st = UB_OK;
    if (ub_list_count(got) != want->n ||
        ub_list_filled(got) != (want->filled || want->kind == UB_KIND_SEQUENCE))
        st = ubp_fail(err, UB_ERR_CHECK, "'%s' has %lld elements, expected %d", name,
                      (long long)ub_list_count(got), want->n);
    for (int i = 0; i < want->n && st == UB_OK; i++)
        if (!onnx_same(ub_list_at(got, i), &want->items[i], rtol, atol, why, sizeof why))
            st = ubp_fail(err, UB_ERR_CHECK, "'%s', element %d: %s", name, i, why);
    ub_list_free(got);
    return st;
}

static ub_status check_set(const ub_model *m, ub_session *s, const onnx_data *d, double rtol,
                           double atol, ub_error *err)
{
    const char *wanted[ONNX_CASE_PORTS];
    ub_tensor *got[ONNX_CASE_PORTS];
    int n = ub_model_output_count(m);
    if (n != d->n_out)
        return ubp_fail(err, UB_ERR_CHECK, "the model has %d outputs, expected %d", n, d->n_out);
    UBP_TRY(give_inputs(s, m, d, err));
    int n_plain = 0, port[ONNX_CASE_PORTS];
    for (int k = 0; k < n; k++) {
        if (d->out_list[k])
            UBP_TRY(check_list(s, ub_model_output(m, k)->name, d->out_list[k], rtol, atol, err));
        else
            wanted[n_plain] = ub_model_output(m, k)->name, port[n_plain++] = k;
    }
    UBP_TRY(ub_get_many(got, s, wanted, n_plain, err));
    ub_status st = UB_OK;
    for (int i = 0; i < n_plain; i++) {
        char why[512];
        const int k = port[i];
        if (st == UB_OK && !onnx_same(got[i], &d->out[k], rtol, atol, why, sizeof why))
            st = ubp_fail(err, UB_ERR_CHECK, "output %d: %s", k, why);
        ub_tensor_free(got[i]);
    }
    return st;
}

static ub_status check_case(const options *o, const char *folder, ub_error *err)
{
    char path[ONNX_CASE_PATH];
    ub_model *m;
    ub_session *s;
    ub_session_options session = UB_SESSION_OPTIONS_INIT;
    double rtol, atol;
    session.reference = o->reference;
    onnx_path(path, "%s/model.onnx", folder);
    onnx_case_limits(folder, &rtol, &atol);
    UBP_TRY(ub_open(&m, path, err));
    ub_status st = ub_session_new(&s, m, &session, err);
    for (int set = 0; st == UB_OK && onnx_data_exists(folder, set); set++) {
        onnx_data d;
        st = onnx_data_read(&d, folder, set, m, err);
        if (st == UB_OK)
            st = check_set(m, s, &d, rtol, atol, err);
        ub_session_clear(s);
        onnx_data_release(&d);
    }
    if (st == UB_OK || s)
        ub_session_free(s);
    ub_model_free(m);
    return st;
}

/* Does not return: the reason of a failure goes into the pipe. */
static void child(const options *o, const char *folder, int pipe_end)
{
    ub_error err = {0};
    alarm(SECONDS_PER_CASE);
    ub_status st = check_case(o, folder, &err);
    if (st != UB_OK) {
        const char *text = err.message[0] ? err.message : "failed without a message";
        if (write(pipe_end, text, strlen(text)) < 0)
            _exit(2);
    }
    _exit(st == UB_OK ? 0 : 1);
}

/* ---- All cases ---------------------------------------------------------------------------------
 */

/* Runs one case; false: why says what went wrong. */
static bool run_case(const options *o, const char *name, char *why, size_t size)
{
    char folder[ONNX_CASE_PATH];
    int ends[2], status = 0;
    size_t len = 0;
    ssize_t got;
    onnx_path(folder, "%s/%s", o->root, name);
    fflush(stdout);
    if (pipe(ends) != 0)
        die("cannot run", name);
    pid_t pid = fork();
    if (pid < 0)
        die("cannot run", name);
    if (pid == 0) {
        close(ends[0]);
        child(o, folder, ends[1]);
    }
    close(ends[1]);
    while (len + 1 < size && (got = read(ends[0], why + len, size - 1 - len)) > 0)
        len += (size_t)got;
    why[len] = '\0';
    close(ends[0]);
    if (waitpid(pid, &status, 0) != pid)
        die("lost", name);
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
        snprintf(why, size, "took more than %d seconds", SECONDS_PER_CASE);
    else if (WIFSIGNALED(status))
        snprintf(why, size, "crashed: %s", strsignal(WTERMSIG(status)));
    else if (WEXITSTATUS(status) != 0 && len == 0)
        snprintf(why, size, "ended with exit code %d", WEXITSTATUS(status));
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static void list_folder(names *out, const char *root, const char *folder)
{
    char path[ONNX_CASE_PATH], name[ONNX_CASE_PATH];
    onnx_path(path, "%s/%s", root, folder);
    DIR *dir = opendir(path);
    if (!dir)
        return; /* a file beside the folders */
    for (struct dirent *e; (e = readdir(dir));) {
        onnx_path(name, "%s/%s/%s/model.onnx", root, folder, e->d_name);
        if (e->d_name[0] == '.' || access(name, R_OK) != 0)
            continue;
        onnx_path(name, "%s/%s", folder, e->d_name);
        add_name(out, name);
    }
    closedir(dir);
}

static void list_cases(names *out, const char *root)
{
    DIR *dir = opendir(root);
    if (!dir)
        die("cannot read", root);
    for (struct dirent *e; (e = readdir(dir));)
        if (e->d_name[0] != '.')
            list_folder(out, root, e->d_name);
    closedir(dir);
}

static void read_list(names *out, const char *path)
{
    char line[ONNX_CASE_PATH];
    FILE *f = fopen(path, "r");
    if (!f)
        die("cannot read", path);
    while (fgets(line, sizeof line, f)) {
        line[strcspn(line, "#\r\n")] = '\0';
        const size_t name = strcspn(line, ": ");
        if (line[0] &&
            (line[name] != ':' || line[name + 1 + strspn(line + name + 1, " ")] == '\0')) {
            fprintf(stderr, "onnx-suite: %s: '%s' has no reason\n", path, line);
            exit(3);
        }
        line[name] = '\0';
        if (line[0])
            add_name(out, line);
    }
    fclose(f);
    sort_names(out);
}

/* Runs one case and says what there is to say; false: it did not end as it should. */
static bool judge_case(const options *o, const char *name, bool known, bool *passed)
{
    char why[TEXT];
    *passed = run_case(o, name, why, sizeof why);
    if (*passed && known)
        printf("PASSED %s: take it off %s\n", name, o->known);
    else if (*passed && o->verbose)
        printf("ok %s\n", name);
    else if (!*passed && (!known || o->verbose))
        printf("%s %s: %s\n", known ? "known" : "FAILED", name, why);
    return *passed != known;
}

static int run_all(const options *o)
{
    names todo = {0}, known = {0};
    regex_t pattern;
    int passed = 0, failed = 0, wrong = 0;
    FILE *report = o->report ? fopen(o->report, "w") : NULL;
    if (o->report && !report)
        die("cannot write", o->report);
    if (o->pattern && regcomp(&pattern, o->pattern, REG_EXTENDED | REG_NOSUB) != 0) {
        fprintf(stderr, "onnx-suite: '%s' is no regular expression\n", o->pattern);
        return 2;
    }
    list_cases(&todo, o->root);
    sort_names(&todo);
    if (o->known)
        read_list(&known, o->known);
    for (size_t i = 0; i < known.count; i++) {
        if (has_name(&todo, known.items[i]))
            continue;
        printf("MISSING %s: take it off %s\n", known.items[i], o->known);
        wrong++;
    }
    for (size_t i = 0; i < todo.count; i++) {
        bool good;
        if (o->pattern && regexec(&pattern, todo.items[i], 0, NULL, 0) != 0)
            continue;
        if (!judge_case(o, todo.items[i], has_name(&known, todo.items[i]), &good))
            wrong++;
        passed += good;
        failed += !good;
        if (report)
            fprintf(report, "%s %s\n", good ? "ok" : "failed", todo.items[i]);
    }
    if (report && fclose(report) != 0)
        die("cannot write", o->report);
    if (o->pattern)
        regfree(&pattern);
    release_names(&todo);
    release_names(&known);
    printf("%d passed, %d failed\n", passed, failed);
    return wrong > 0 || passed == 0;
}

int main(int argc, char **argv)
{
    options o = {0};
    bool bad = false;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--known") == 0 && i + 1 < argc)
            o.known = argv[++i];
        else if (strcmp(argv[i], "--report") == 0 && i + 1 < argc)
            o.report = argv[++i];
        else if (strcmp(argv[i], "--reference") == 0)
            o.reference = true;
        else if (strcmp(argv[i], "-v") == 0)
            o.verbose = true;
        else if (argv[i][0] == '-' || o.pattern)
            bad = true;
        else if (o.root)
            o.pattern = argv[i];
        else
            o.root = argv[i];
    }
    if (bad || !o.root) {
        fprintf(stderr,
                "usage: onnx-suite DIR [REGEX] [--known FILE] [--report FILE] [--reference] "
                "[-v]\n");
        return 2;
    }
    return run_all(&o);
}
