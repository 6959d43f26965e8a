/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Networks built in C, one per case. For each NAME: reads NAME.x.npz (its inputs in order) and
 * NAME.weights.npz, where there is one, from the folder, and writes the outputs to NAME.out.npz.
 * nn_compare.py writes these files with the framework's layer of the same case and compares.
 */
#include "unbatch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct nn_case {
    const char *name;
    void (*build)(ub_nn *net);
} nn_case;

#define CASE(name, ...)                                                                            \
    static void name(ub_nn *net)                                                                   \
    {                                                                                              \
        __VA_ARGS__;                                                                               \
    }
#include "nn_case_list.h"
#undef CASE

static const nn_case cases[] = {
#define CASE(name, ...) {#name, name},
#include "nn_case_list.h"
#undef CASE
};

static int fail(const char *name, const ub_error *err)
{
    fprintf(stderr, "%s: %s\n", name, err->message);
    return 1;
}

/* The inputs in the order of the file. */
static ub_status give_inputs(ub_session *s, const ub_model *m, const ub_npz *z, ub_error *err)
{
    ub_status st = UB_OK;
    for (int i = 0; i < ub_npz_count(z) && st == UB_OK; i++)
        st = ub_session_set(s, ub_model_input(m, i)->name, ub_npz_tensor(z, i), err);
    return st;
}

/* The shape that was worked out while building must be that of the value; free sizes are -1. */
static ub_status check_shape(const ub_tensor *t, const ub_port *p, ub_error *err)
{
    bool same = t->rank == p->rank && t->dtype == p->dtype;
    for (int i = 0; i < t->rank && same; i++)
        same = p->dims[i] < 0 || p->dims[i] == t->dims[i];
    if (same)
        return UB_OK;
    err->code = UB_ERR_INTERNAL;
    snprintf(err->message, sizeof err->message, "output '%s' has another shape than was built",
             p->name);
    return UB_ERR_INTERNAL;
}

static ub_status save_outputs(ub_session *s, const ub_model *m, const char *path, ub_error *err)
{
    enum { MOST = 8 };
    const char *names[MOST];
    ub_tensor *values[MOST] = {0};
    ub_names *found = NULL;
    ub_status st = ub_match(&found, m, "@outputs", err);
    const int n = st == UB_OK ? ub_names_count(found) : 0;
    for (int i = 0; i < n && i < MOST; i++)
        names[i] = ub_names_at(found, i);
    if (st == UB_OK)
        st = ub_get_many(values, s, names, n, err);
    for (int i = 0; i < n && st == UB_OK; i++)
        st = check_shape(values[i], ub_model_output(m, i), err);
    if (st == UB_OK)
        st = ub_npz_save(path, names, (const ub_tensor *const *)values, n, err);
    for (int i = 0; i < n; i++)
        ub_tensor_free(values[i]);
    ub_names_free(found);
    return st;
}

static int run(const nn_case *c, const char *folder)
{
    char x[600], weights[600], out[600];
    ub_error err = {0};
    ub_model *model = NULL;
    ub_session *session = NULL;
    ub_npz *inputs = NULL;
    snprintf(x, sizeof x, "%s/%s.x.npz", folder, c->name);
    snprintf(weights, sizeof weights, "%s/%s.weights.npz", folder, c->name);
    snprintf(out, sizeof out, "%s/%s.out.npz", folder, c->name);
    ub_nn *net = ub_nn_new(1);
    if (access(weights, F_OK) == 0)
        ub_nn_weights(net, weights);
    c->build(net);
    ub_status st = ub_nn_model(&model, net, &err);
    if (st == UB_OK)
        st = ub_session_new(&session, model, NULL, &err);
    if (st == UB_OK)
        st = ub_npz_load(&inputs, x, &err);
    if (st == UB_OK)
        st = give_inputs(session, model, inputs, &err);
    if (st == UB_OK)
        st = save_outputs(session, model, out, &err);
    ub_session_free(session);
    ub_npz_free(inputs);
    ub_model_free(model);
    return st == UB_OK ? 0 : fail(c->name, &err);
}

/* nn_cases [FOLDER FRAMEWORK]. Without a folder: the names of all cases. */
int main(int argc, char **argv)
{
    int failed = 0;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        if (argc < 3)
            puts(cases[i].name);
        else if (strncmp(cases[i].name, argv[2], strlen(argv[2])) == 0)
            failed += run(&cases[i], argv[1]);
    }
    return failed > 0;
}
