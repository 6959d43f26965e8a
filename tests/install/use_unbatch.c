/* SPDX-License-Identifier: Apache-2.0 */
/* A program of somebody else's: the fifth digit's first layer, from the installed library. */
#include <unbatch.h>

#include <stdio.h>

int main(int argc, char **argv)
{
    ub_tensor *x = NULL, *t = NULL;
    ub_error err = {0};
    if (argc != 3 || ub_npy_load(&x, argv[2], &err) != UB_OK ||
        ub_get_file(&t, argv[1], "conv1[4]", x, &err) != UB_OK) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    const int right = t->rank == 3 && t->dims[0] == 32 && t->dims[1] == 26 && t->dims[2] == 26;
    ub_tensor_free(t);
    ub_tensor_free(x);
    return right ? 0 : 1;
}
