/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looking into a model: its layers, and what a pattern stands for.
 *
 *     03_layers digits.onnx 'conv*:in'
 */
#include "unbatch.h"

#include <stdio.h>

int main(int argc, char **argv)
{
    ub_model *model = NULL;
    ub_names *names = NULL;
    ub_error err = {0};
    if (argc != 3)
        return fprintf(stderr, "usage: 03_layers MODEL PATTERN\n"), UB_ERR_ARGUMENT;
    ub_status st = ub_open(&model, argv[1], &err);
    for (int i = 0; st == UB_OK && i < ub_model_layer_count(model); i++) {
        const ub_layer *l = ub_model_layer(model, i);
        printf("%-10s %-10s %lld parameters\n", l->name, l->type, (long long)l->n_params);
    }
    if (st == UB_OK)
        st = ub_match(&names, model, argv[2], &err);
    for (int i = 0; st == UB_OK && i < ub_names_count(names); i++)
        printf("%s matches %s\n", argv[2], ub_names_at(names, i));
    if (st != UB_OK)
        fprintf(stderr, "03_layers: %s\n", err.message);
    ub_names_free(names);
    ub_model_free(model);
    return (int)st;
}
