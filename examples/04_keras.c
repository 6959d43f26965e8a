/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A network in the manner of Keras, and the fifth of 32 samples: what went in, what came out.
 *
 *     model = keras.Sequential([
 *         keras.Input((28, 28, 1)),
 *         keras.layers.Conv2D(32, (3, 3), activation="relu"),
 *     ])
 *     x = np.random.normal(size=(32, 28, 28, 1))
 *     print(x[4].shape, model(x)[4].shape)
 *
 *     04_keras [WEIGHTS.npz OUT.npz]
 */
#include "unbatch.h"

#include <stdio.h>

static void show(const char *what, const ub_tensor *t)
{
    printf("%s: (%lld, %lld, %lld)\n", what, (long long)t->dims[0], (long long)t->dims[1],
           (long long)t->dims[2]);
}

int main(int argc, char **argv)
{
    ub_model *model = NULL;
    ub_session *session = NULL;
    ub_tensor *x = NULL, *sample[2] = {NULL, NULL};
    ub_error err = {0};

    ub_nn *net = ub_nn_new(1);
    ub_keras_input(net, {28, 28, 1});
    ub_keras_conv2d(net, 32, {3, 3}, .activation = "relu");
    if (argc > 1)
        ub_nn_weights(net, argv[1]);

    if (ub_nn_model(&model, net, &err) == UB_OK &&
        ub_session_new(&session, model, NULL, &err) == UB_OK &&
        ub_tensor_random_normal(&x, 4, (int64_t[]){32, 28, 28, 1}, 7, &err) == UB_OK &&
        ub_session_set(session, NULL, x, &err) == UB_OK &&
        ub_get_many(sample, session, (const char *[]){"conv2d:in[4]", "conv2d[4]"}, 2, &err) ==
            UB_OK) {
        show("input of sample 5", sample[0]);
        show("output of sample 5", sample[1]);
        if (argc > 2)
            ub_npz_save(argv[2], (const char *[]){"in", "out"}, (const ub_tensor *const *)sample, 2,
                        &err);
    }
    if (err.code != UB_OK)
        fprintf(stderr, "04_keras: %s\n", err.message);
    ub_tensor_free(sample[0]);
    ub_tensor_free(sample[1]);
    ub_session_free(session);
    ub_tensor_free(x);
    ub_model_free(model);
    return (int)err.code;
}
