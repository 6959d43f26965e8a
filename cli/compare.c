/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench --compare: other engines on the same model, inputs and number of threads, each in a Python
 * process of its own (share/bench_peers.py, which is part of this program). The inputs go through a
 * temporary .npz.
 */
#include "cli.h"

#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

enum { MAX_INPUTS = 64, MAX_ENGINES = 8, TEXT = 4096 };

static const char *const known[] = {"onnxruntime", "openvino", "torch"};
enum { N_KNOWN = sizeof known / sizeof known[0] };

/* "a,b" -> engines[n]; text is cut up. */
static ub_status parse(char *text, const char **engines, int *n, ub_error *err)
{
    char *rest = text;
    *n = 0;
    for (char *name = strtok_r(text, ",", &rest); name; name = strtok_r(NULL, ",", &rest)) {
        int k = 0;
        while (k < N_KNOWN && strcmp(known[k], name) != 0)
            k++;
        if (k == N_KNOWN || *n == MAX_ENGINES)
            return cli_error(err, UB_ERR_ARGUMENT,
                             "--compare %s: expected some of onnxruntime, openvino, torch", name);
        engines[(*n)++] = known[k];
    }
    return UB_OK;
}

/* The session's inputs by name. */
static ub_status save_inputs(const char *path, const cli_run *r, ub_error *err)
{
    const char *names[MAX_INPUTS];
    ub_tensor *values[MAX_INPUTS] = {NULL};
    const int n = ub_model_input_count(r->model);
    if (n > MAX_INPUTS)
        return cli_error(err, UB_ERR_ARGUMENT, "--compare: more than %d inputs", MAX_INPUTS);
    ub_status st = UB_OK;
    for (int i = 0; i < n && st == UB_OK; i++) {
        names[i] = ub_model_input(r->model, i)->name;
        st = ub_get(&values[i], r->session, names[i], err);
    }
    if (st == UB_OK)
        st = ub_npz_save(path, names, (const ub_tensor *const *)values, n, err);
    for (int i = 0; i < n; i++)
        ub_tensor_free(values[i]);
    return st;
}

/* What a process prints, up to size - 1 bytes; its exit code, or -1 when it does not start. */
static int run(char *out, size_t size, char *const *argv)
{
    posix_spawn_file_actions_t actions;
    int ends[2], status = 0;
    pid_t pid;
    out[0] = '\0';
    if (pipe(ends) != 0)
        return -1;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    posix_spawn_file_actions_addclose(&actions, ends[0]);
    const int failed = posix_spawnp(&pid, argv[0], &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    size_t n = 0;
    for (ssize_t got = 1; !failed && got > 0;) {
        char waste[256];
        const bool room = n + 1 < size;
        got = read(ends[0], room ? out + n : waste, room ? size - 1 - n : sizeof waste);
        n += got > 0 && room ? (size_t)got : 0;
    }
    out[n] = '\0';
    close(ends[0]);
    if (failed || waitpid(pid, &status, 0) != pid)
        return -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

/* One engine's object: its times, or "missing". */
static ub_status one_engine(json_t **out, const cli_run *r, const char *engine, const char *inputs,
                            int runs, ub_error *err)
{
    char text[TEXT], threads[16], count[16];
    const char *python = r->o->python ? r->o->python : "python3";
    const long cores = sysconf(_SC_NPROCESSORS_ONLN);
    snprintf(threads, sizeof threads, "%d", r->o->threads ? r->o->threads : (int)cores);
    snprintf(count, sizeof count, "%d", runs);
    const char *argv[] = {python, "-c",    cli_bench_peers, engine, r->o->model,
                          inputs, threads, count,           NULL};
    const int code = run(text, sizeof text, (char *const *)(uintptr_t)argv);
    if (code < 0)
        return cli_error(err, UB_ERR_ARGUMENT, "--python %s: cannot be started", python);
    /* Libraries print banners: the object is the last line. */
    char *line = strrchr(text, '{');
    *out = line ? json_loads(line, 0, NULL) : NULL;
    if (code != 0 || !*out || !json_is_object(*out)) {
        json_decref(*out);
        *out = NULL;
        return cli_error(err, UB_ERR_ARGUMENT, "--compare %s: %s ended with code %d", engine,
                         python, code);
    }
    json_object_set_new(*out, "engine", json_string(engine));
    return UB_OK;
}

ub_status cli_compare_run(json_t **out, const cli_run *r, int runs, ub_error *err)
{
    const char *folder = getenv("TMPDIR"), *engines[MAX_ENGINES];
    char inputs[TEXT], names[256];
    int n = 0;
    *out = NULL;
    if (snprintf(names, sizeof names, "%s", r->o->compare) >= (int)sizeof names)
        return cli_error(err, UB_ERR_ARGUMENT, "--compare: the list is too long");
    ub_status st = parse(names, engines, &n, err);
    if (st != UB_OK)
        return st;
    snprintf(inputs, sizeof inputs, "%s/unbatch-XXXXXX.npz", folder ? folder : "/tmp");
    const int file = mkstemps(inputs, 4);
    if (file < 0)
        return cli_error(err, UB_ERR_FILE, "%s: cannot be made", inputs);
    close(file);
    *out = json_array();
    st = save_inputs(inputs, r, err);
    for (int i = 0; i < n && st == UB_OK; i++) {
        json_t *one = NULL;
        st = one_engine(&one, r, engines[i], inputs, runs, err);
        if (one)
            json_array_append_new(*out, one);
    }
    unlink(inputs);
    return st;
}
