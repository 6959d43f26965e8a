/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the samples are in a model's inputs. The file does not say it outright, but free dims carry
 * names, and the inputs that have the batch share its name. Rule: the batch is the free dim called
 * "batch", "batch_size", "N" or the like wherever it stands; failing that, the name of the first
 * free leading dim; failing that, the samples are on axis 0, as many as the first input whose
 * leading dim is fixed says: an input with another fixed leading dim has none. Where an input's
 * leading dim is free without a name, one whose leading dim is fixed has the samples on its only
 * free axis, or none (the state of a recurrent network: (2, ?, 128)).
 */
#include "plan/plan.h"

#include <string.h>
#include <strings.h>

static bool is_batch_word(const char *s)
{
    static const char *const words[] = {"n", "b", "bs", "bsz", "nbatch", "num_samples"};
    for (int i = 0; i < UBP_COUNT(words); i++)
        if (strcasecmp(s, words[i]) == 0)
            return true;
    return strncasecmp(s, "batch", 5) == 0;
}

/* The name of the batch dim among the inputs, or NULL. */
static const char *batch_name(const ubp_graph *g)
{
    const char *leading = NULL;
    for (int i = 0; i < g->n_inputs; i++) {
        const ubp_value *v = &g->values[g->inputs[i]];
        for (int a = 0; a < v->rank; a++) {
            if (v->dims[a] >= 0 || !v->dim_names[a])
                continue;
            if (is_batch_word(v->dim_names[a]))
                return v->dim_names[a];
            if (a == 0 && !leading)
                leading = v->dim_names[a];
        }
    }
    return leading;
}

/* The axis that carries the name, or -1. */
static int named_axis(const ubp_value *v, const char *name)
{
    for (int a = 0; name && a < v->rank; a++)
        if (v->dims[a] < 0 && v->dim_names[a] && strcmp(v->dim_names[a], name) == 0)
            return a;
    return -1;
}

/* The only axis whose dim is free, or -1. */
static int only_free_axis(const ubp_value *v)
{
    int axis = -1;
    for (int a = 0; a < v->rank; a++) {
        if (v->dims[a] >= 0)
            continue;
        if (axis >= 0)
            return -1;
        axis = a;
    }
    return axis;
}

static bool leads_free(const ubp_value *v)
{
    return v->rank > 0 && v->dims[0] < 0 && !v->dim_names[0];
}

void ubp_input_axes(const ubp_graph *g, int *axes)
{
    const char *name = batch_name(g);
    int64_t fixed = -1;
    bool any_free = false;
    for (int i = 0; i < g->n_inputs; i++)
        any_free = any_free || leads_free(&g->values[g->inputs[i]]);
    for (int i = 0; i < g->n_inputs; i++) {
        const ubp_value *v = &g->values[g->inputs[i]];
        int axis = named_axis(v, name);
        /* An input without the batch's name has no samples (a sampling rate) when another input
         * has it; not so when its leading dim is free without any name. */
        bool free_lead = v->rank < 0 || leads_free(v);
        if (axis < 0 && v->rank != 0 && (!name || free_lead))
            axis = 0;
        if (axis == 0 && v->rank > 0 && v->dims[0] >= 0 && any_free && !name)
            axis = only_free_axis(v);
        if (axis == 0 && v->rank > 0 && v->dims[0] >= 0) {
            if (fixed < 0)
                fixed = v->dims[0];
            if (v->dims[0] != fixed)
                axis = -1;
        }
        axes[i] = axis;
    }
}

int ubp_value_axis(const ubp_graph *g, int32_t value)
{
    const ubp_value *v = &g->values[value];
    int axis = named_axis(v, batch_name(g));
    return v->rank == 0 ? -1 : axis < 0 ? 0 : axis;
}
