/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A session: the model is opened once, batches of different sizes go through it, several layers
 * come out of one run, and a sample is looked at as a view, without a copy.
 *
 *     02_session digits.onnx digits.npy
 */
#include "unbatch.h"

#include <stdio.h>

/* The largest of ten scores is the digit. */
static int best(const ub_tensor *scores)
{
    const float *v = scores->data;
    int k = 0;
    for (int i = 1; i < 10; i++)
        k = v[i] > v[k] ? i : k;
    return k;
}

/* The first n pictures: two layers in one run, then each sample of them. */
static ub_status read_digits(ub_session *s, const ub_tensor *pictures, int64_t n, ub_error *err)
{
    const char *what[] = {"conv1", "fc2"};
    ub_tensor batch, sample, *values[2];
    ub_status st = ub_tensor_slice(&batch, pictures, 0, 0, n, 1, err); /* pictures[0:n], a view */
    if (st == UB_OK)
        st = ub_session_set(s, NULL, &batch, err); /* NULL: the only input */
    if (st == UB_OK)
        st = ub_get_many(values, s, what, 2, err);
    ub_session_clear(s); /* batch goes; the values are ours */
    if (st != UB_OK)
        return st;
    printf("batch of %lld: conv1 gives %lld x %lld x %lld a sample; digits", (long long)n,
           (long long)values[0]->dims[1], (long long)values[0]->dims[2],
           (long long)values[0]->dims[3]);
    for (int64_t i = 0; i < n && st == UB_OK; i++) {
        st = ub_tensor_at(&sample, values[1], i, err); /* fc2[i], a view */
        if (st == UB_OK)
            printf(" %d", best(&sample));
    }
    putchar('\n');
    ub_tensor_free(values[0]);
    ub_tensor_free(values[1]);
    return st;
}

int main(int argc, char **argv)
{
    ub_model *model = NULL;
    ub_session *session = NULL;
    ub_tensor *pictures = NULL;
    ub_error err = {0};
    if (argc != 3)
        return fprintf(stderr, "usage: 02_session digits.onnx digits.npy\n"), UB_ERR_ARGUMENT;
    ub_status st = ub_open(&model, argv[1], &err);
    if (st == UB_OK)
        st = ub_session_new(&session, model, NULL, &err);
    if (st == UB_OK)
        st = ub_npy_load(&pictures, argv[2], &err);
    for (int64_t n = 1; n <= 16 && st == UB_OK; n *= 4)
        st = read_digits(session, pictures, n, &err);
    if (st != UB_OK)
        fprintf(stderr, "02_session: %s\n", err.message);
    ub_session_free(session); /* before what it borrowed: the pictures and the model */
    ub_tensor_free(pictures);
    ub_model_free(model);
    return (int)st;
}
