/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Batches of different sizes through one model, and one function that takes any sample out of any
 * of them.
 *
 *     def get_sample(model, x, i):
 *         return x[i], model(x)[i]
 *
 *     for n in (16, 32):
 *         for i in (4, 9):
 *             before, after = get_sample(model, x[:n], i)
 *
 *     06_batches [WEIGHTS.npz OUT.npz]
 */
#include "unbatch.h"

#include <stdio.h>

/* Sample i of what goes into the layer and of what comes out of it, for this batch. */
static ub_status get_sample(ub_tensor **before, ub_tensor **after, ub_session *s,
                            const ub_tensor *batch, const char *layer, int i, ub_error *err)
{
    char in[64], out[64];
    ub_tensor *values[2] = {NULL, NULL};
    snprintf(in, sizeof in, "%s:in[%d]", layer, i);
    snprintf(out, sizeof out, "%s[%d]", layer, i);
    ub_status st = ub_session_set(s, NULL, batch, err);
    if (st == UB_OK)
        st = ub_get_many(values, s, (const char *[]){in, out}, 2, err);
    *before = values[0];
    *after = values[1];
    return st;
}

int main(int argc, char **argv)
{
    static const int sizes[] = {16, 32}, samples[] = {4, 9};
    static const char *const names[] = {"16_4_in", "16_4_out", "16_9_in", "16_9_out",
                                        "32_4_in", "32_4_out", "32_9_in", "32_9_out"};
    ub_model *model = NULL;
    ub_session *session = NULL;
    ub_tensor *x = NULL, batch, *values[8] = {NULL};
    ub_error err = {0};

    ub_nn *net = ub_nn_new(1);
    ub_keras_input(net, {28, 28, 1});
    ub_keras_conv2d(net, 32, {3, 3}, .activation = "relu");
    if (argc > 1)
        ub_nn_weights(net, argv[1]);

    ub_status st = ub_nn_model(&model, net, &err);
    if (st == UB_OK)
        st = ub_session_new(&session, model, NULL, &err);
    if (st == UB_OK)
        st = ub_tensor_random_normal(&x, 4, (int64_t[]){32, 28, 28, 1}, 7, &err);
    for (int k = 0; k < 4 && st == UB_OK; k++) {
        st = ub_tensor_slice(&batch, x, 0, 0, sizes[k / 2], 1, &err); /* x[:n], a view */
        if (st == UB_OK)
            st = get_sample(&values[2 * k], &values[2 * k + 1], session, &batch, "conv2d",
                            samples[k % 2], &err);
        if (st == UB_OK)
            printf("batch of %d, sample %d: (%lld, %lld, %lld) gives (%lld, %lld, %lld)\n",
                   sizes[k / 2], samples[k % 2] + 1, (long long)values[2 * k]->dims[0],
                   (long long)values[2 * k]->dims[1], (long long)values[2 * k]->dims[2],
                   (long long)values[2 * k + 1]->dims[0], (long long)values[2 * k + 1]->dims[1],
                   (long long)values[2 * k + 1]->dims[2]);
    }
    if (st == UB_OK && argc > 2)
        st = ub_npz_save(argv[2], names, (const ub_tensor *const *)values, 8, &err);
    if (st != UB_OK)
        fprintf(stderr, "06_batches: %s\n", err.message);
    for (int k = 0; k < 8; k++)
        ub_tensor_free(values[k]);
    ub_session_free(session);
    ub_tensor_free(x);
    ub_model_free(model);
    return (int)st;
}
