/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One call: a layer's input or output, of one sample of a batch, from a model file.
 *
 *     01_get digits.onnx 'conv1:in[4]' digits.npy
 */
#include "unbatch.h"

#include <stdio.h>

int main(int argc, char **argv)
{
    ub_tensor *x = NULL, *value = NULL;
    char *text = NULL;
    ub_error err = {0};
    if (argc != 4)
        return fprintf(stderr, "usage: 01_get MODEL WHAT BATCH.npy\n"), UB_ERR_ARGUMENT;
    if (ub_npy_load(&x, argv[3], &err) == UB_OK &&
        ub_get_file(&value, argv[1], argv[2], x, &err) == UB_OK &&
        ub_tensor_str(&text, value, &err) == UB_OK)
        puts(text);
    else
        fprintf(stderr, "01_get: %s\n", err.message);
    ub_string_free(text);
    ub_tensor_free(value);
    ub_tensor_free(x);
    return (int)err.code;
}
