/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Prints where the samples are in every named value of a model, as the planner works it out: a line
 * of JSON each, with the dims for a batch of N; then the axes of what crosses the border of each
 * layer, -1 where there are none. Free dims of the inputs are the batch.
 * usage: sample_map MODEL N
 */
#include "load/load.h"
#include "plan/plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void print_text(const char *s)
{
    putchar('"');
    for (; *s; s++)
        if (*s == '"' || *s == '\\' || (unsigned char)*s < 32)
            printf("\\u%04x", (unsigned)(unsigned char)*s);
        else
            putchar(*s);
    putchar('"');
}

static void print_value(const ubp_value *v, const ubp_fact *f)
{
    const ubp_samples *s = &f->samples;
    printf("{\"name\": ");
    print_text(v->name);
    printf(", \"known\": %s", f->known ? "true" : "false");
    if (f->known) {
        printf(", \"dims\": [");
        for (int a = 0; a < f->t.rank; a++)
            printf("%s%lld", a ? ", " : "", (long long)f->t.dims[a]);
        printf("], \"axis\": %d, \"outer\": %lld, \"inner\": %lld",
               s->kind == UBP_SAMPLES_NONE ? -1 : s->axis, (long long)s->outer,
               (long long)s->inner);
        printf(", \"constant\": %s", f->t.data ? "true" : "false");
        if (s->positional || s->row_numbers)
            printf(", \"numbers\": true"); /* of the batch's rows: sample 1 has another alone */
        if (s->coupled) {
            printf(", \"coupled\": ");
            print_text(s->why ? s->why : "");
        }
    }
    puts("}");
}

static void print_axes(const char *side, int n, const int32_t *values, const ubp_facts *f)
{
    printf(", \"%s\": [", side);
    for (int k = 0; k < n; k++) {
        const ubp_samples *s = &f->values[values[k]].samples;
        printf("%s%d", k ? ", " : "", s->kind == UBP_SAMPLES_NONE ? -1 : s->axis);
    }
    printf("]");
}

static void print_layer(const ubp_layer *l, const ubp_facts *f)
{
    printf("{\"layer\": ");
    print_text(l->name);
    print_axes("in", l->n_in, l->in, f);
    print_axes("out", l->n_out, l->out, f);
    puts("}");
}

static int fail(const char *what, const ub_error *err)
{
    fprintf(stderr, "%s: %s\n", what, err->message);
    return 1;
}

/* The facts for a batch of n, of every value that a node makes. shapes[n_inputs], given[n_inputs]
 * are filled in. */
static ub_status work_out(ubp_facts **f, const ubp_graph *g, int64_t n, ub_tensor *shapes,
                          ubp_given *given, ub_error *err)
{
    int32_t *wanted = calloc(g->n_values + 1, sizeof(*wanted));
    int *axes = calloc((size_t)g->n_inputs + 1, sizeof(*axes));
    int n_wanted = 0;
    ub_status status = wanted && axes ? UB_OK : UB_ERR_MEMORY;
    ubp_arena scratch = {0};
    const ubp_run run = {.threads = 1, .scratch = &scratch};
    if (status == UB_OK)
        ubp_input_axes(g, axes);
    for (int i = 0; i < g->n_inputs && status == UB_OK; i++) {
        const ubp_value *v = &g->values[g->inputs[i]];
        int64_t dims[UB_MAX_RANK];
        for (int a = 0; a < v->rank; a++)
            dims[a] = v->dims[a] < 0 ? n : v->dims[a];
        status = ubp_tensor_describe(&shapes[i], v->dtype, v->rank, dims, err);
        given[i] = (ubp_given){.value = g->inputs[i], .tensor = &shapes[i], .batch_axis = axes[i]};
    }
    for (size_t i = 0; i < g->n_values && status == UB_OK; i++)
        if (g->values[i].producer >= 0)
            wanted[n_wanted++] = (int32_t)i;
    const ubp_ask ask = {.graph = g,
                         .wanted = wanted,
                         .n_wanted = n_wanted,
                         .given = given,
                         .n_given = g->n_inputs,
                         .n = n,
                         .partial = true,
                         .run = &run};
    if (status == UB_OK)
        status = ubp_facts_new(f, &ask, err);
    ubp_arena_release(&scratch);
    free(axes);
    free(wanted);
    return status;
}

int main(int argc, char **argv)
{
    ubp_loaded l;
    ub_error err = {0};
    ubp_facts *f = NULL;
    const long n = argc == 3 ? strtol(argv[2], NULL, 10) : 0;
    if (n < 1)
        return fputs("usage: sample_map MODEL N\n", stderr), 2;
    if (ubp_load(&l, argv[1], NULL, 0, &err))
        return fail(argv[1], &err);
    const ubp_graph *g = l.graph;
    ub_tensor *shapes = calloc((size_t)g->n_inputs + 1, sizeof(*shapes));
    ubp_given *given = calloc((size_t)g->n_inputs + 1, sizeof(*given));
    const ub_status status =
        shapes && given ? work_out(&f, g, n, shapes, given, &err) : UB_ERR_MEMORY;
    for (size_t i = 0; i < g->n_values && status == UB_OK; i++)
        if (*g->values[i].name && g->values[i].producer >= 0)
            print_value(&g->values[i], &f->values[i]);
    for (size_t i = 0; i < g->n_layers && status == UB_OK; i++)
        print_layer(&g->layers[i], f);
    ubp_facts_free(f);
    free(given);
    free(shapes);
    ubp_loaded_release(&l);
    return status == UB_OK ? 0 : fail(argv[1], &err);
}
