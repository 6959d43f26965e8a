/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Networks built in C: names and types of layers, mistakes and what is said of them, how weights
 * begin. Their values are compared with Keras and PyTorch by nn_compare.py.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "api/api.h"

#include <math.h>
#include <string.h>

static ub_model *finish(ub_nn *net)
{
    ub_error e = {0};
    ub_model *m = NULL;
    if (ub_nn_model(&m, net, &e) != UB_OK)
        fail_msg("%s", e.message);
    return m;
}

static void check_layer(const ub_model *m, int i, const char *name, const char *type, int depth)
{
    const ub_layer *l = ub_model_layer(m, i);
    assert_non_null(l);
    assert_string_equal(l->name, name);
    assert_string_equal(l->type, type);
    assert_int_equal(l->depth, depth);
}

static void keras_names(void **state)
{
    (void)state;
    ub_nn *net = ub_nn_new(1);
    ub_keras_input(net, {8, 8, 1});
    ub_keras_conv2d(net, 2, {3});
    ub_keras_conv2d(net, 2, {3});
    ub_keras_leaky_relu(net);
    ub_nn_begin(net, "keras.Functional", "head");
    ub_keras_flatten(net);
    ub_keras_dense(net, 3, .name = "scores");
    ub_nn_end(net);
    ub_model *m = finish(net);
    assert_int_equal(ub_model_layer_count(m), 6);
    check_layer(m, 0, "conv2d", "Conv2D", 1);
    check_layer(m, 1, "conv2d_1", "Conv2D", 1);
    check_layer(m, 2, "leaky_re_lu", "LeakyReLU", 1);
    check_layer(m, 3, "head", "Functional", 1);
    check_layer(m, 4, "head/flatten", "Flatten", 2);
    check_layer(m, 5, "head/scores", "Dense", 2);
    assert_int_equal(ub_model_layer(m, 0)->n_params, 20);
    assert_int_equal(ub_model_layer(m, 3)->n_params, 4 * 4 * 2 * 3 + 3);
    assert_int_equal(ub_model_layer(m, 3)->n_inputs, 1);
    assert_int_equal(ub_model_layer(m, 3)->n_outputs, 1);
    assert_string_equal(ub_model_input(m, 0)->name, "input_layer");
    assert_string_equal(ub_model_output(m, 0)->name, "head/scores");
    assert_int_equal(ub_model_output(m, 0)->dims[1], 3);
    ub_model_free(m);
}

static void torch_names(void **state)
{
    (void)state;
    ub_nn *net = ub_nn_new(1);
    ub_nn_value x = ub_torch_input(net, {4, 8, 8});
    ub_nn_begin(net, "torch.Sequential", NULL);
    ub_nn_value y = ub_torch_conv2d(x, 4, 4, {3}, .padding = {1});
    y = ub_torch_relu(y);
    ub_nn_end(net);
    y = ub_torch_add({x, y});
    ub_torch_linear(y, 8, 5, .name = "fc");
    ub_torch_flatten(net);
    ub_model *m = finish(net);
    assert_int_equal(ub_model_layer_count(m), 6);
    check_layer(m, 0, "0", "Sequential", 1);
    check_layer(m, 1, "0.0", "Conv2d", 2);
    check_layer(m, 2, "0.1", "ReLU", 2);
    check_layer(m, 3, "add", "add", 1);
    check_layer(m, 4, "fc", "Linear", 1);
    check_layer(m, 5, "2", "Flatten", 1);
    assert_true(ub_model_layer(m, 3)->is_node && !ub_model_layer(m, 4)->is_node);
    assert_int_equal(ub_model_layer(m, 3)->n_inputs, 2);
    ub_model_free(m);
}

static void any_sample_of_any_layer(void **state)
{
    (void)state;
    ub_error e = {0};
    ub_session *s = NULL;
    ub_tensor *x = NULL, *in = NULL, *one = NULL, *all = NULL, view;
    ub_nn *net = ub_nn_new(1);
    ub_keras_input(net, {28, 28, 1});
    ub_keras_conv2d(net, 32, {3, 3}, .activation = "relu");
    ub_keras_conv2d(net, 8, {3, 3});
    ub_model *m = finish(net);
    assert_int_equal(ub_session_new(&s, m, NULL, &e), UB_OK);
    assert_int_equal(ub_tensor_random_normal(&x, 4, (const int64_t[]){32, 28, 28, 1}, 3, &e),
                     UB_OK);
    assert_int_equal(ub_session_set(s, NULL, x, &e), UB_OK);
    assert_int_equal(ub_get(&in, s, "conv2d:in[4]", &e), UB_OK);
    assert_int_equal(ub_get(&one, s, "conv2d_1:in[4]", &e), UB_OK);
    assert_int_equal(ub_get(&all, s, "conv2d", &e), UB_OK);
    assert_true(in->rank == 3 && in->dims[0] == 28 && in->dims[1] == 28 && in->dims[2] == 1);
    assert_true(one->rank == 3 && one->dims[0] == 26 && one->dims[1] == 26 && one->dims[2] == 32);
    ub_tensor *copy = NULL, *copy_one = NULL;
    assert_int_equal(ub_tensor_at(&view, all, 4, &e), UB_OK);
    assert_int_equal(ub_tensor_copy(&copy, &view, &e), UB_OK);
    assert_int_equal(ub_tensor_copy(&copy_one, one, &e), UB_OK);
    assert_memory_equal(copy->data, copy_one->data, 26 * 26 * 32 * sizeof(float));
    ub_tensor_free(copy);
    ub_tensor_free(copy_one);
    ub_tensor_free(in);
    ub_tensor_free(one);
    ub_tensor_free(all);
    ub_session_free(s);
    ub_tensor_free(x);
    ub_model_free(m);
}

/* ---- Mistakes ----------------------------------------------------------------------------------
 */

static void refuse(ub_nn *net, ub_status code, const char *message)
{
    ub_error e = {0};
    ub_model *m = NULL;
    assert_int_equal(ub_nn_model(&m, net, &e), code);
    assert_null(m);
    assert_int_equal(e.code, code);
    if (!strstr(e.message, message))
        fail_msg("'%s' is not in '%s'", message, e.message);
}

#define REFUSE(code, message, ...)                                                                 \
    do {                                                                                           \
        ub_nn *net = ub_nn_new(1);                                                                 \
        __VA_ARGS__;                                                                               \
        refuse(net, code, message);                                                                \
    } while (0)

static void names_what_was_expected(void **state)
{
    (void)state;
    REFUSE(UB_ERR_SHAPE,
           "layer 'conv2d' (Conv2D): its input is (None, 28, 28), expected (batch, height, width,"
           " channels)",
           ub_keras_input(net, {28, 28});
           ub_keras_conv2d(net, 4, {3}); ub_keras_flatten(net));
    REFUSE(UB_ERR_SHAPE,
           "layer '0' (Conv2d): its input is (None, 3, 8, 8) with 3 channels, expected 4",
           ub_torch_input(net, {3, 8, 8});
           ub_torch_conv2d(net, 4, 8, {3}));
    REFUSE(UB_ERR_SHAPE,
           "layer '1' (Linear): its input is (None, 192) with 192 features, expected"
           " 191",
           ub_torch_input(net, {3, 8, 8});
           ub_torch_flatten(net); ub_torch_linear(net, 191, 2));
    REFUSE(UB_ERR_SHAPE, "smaller than the kernel's 9", ub_keras_input(net, {8, 8, 1});
           ub_keras_conv2d(net, 4, {9}));
    REFUSE(UB_ERR_SHAPE, "smaller than the window's 5", ub_torch_input(net, {1, 4});
           ub_torch_max_pool1d(net, {5}));
    REFUSE(UB_ERR_SHAPE, "(None, 5, 6) and (None, 4, 6) cannot be added",
           ub_nn_value x = ub_keras_input(net, {5, 6});
           ub_nn_value y = ub_keras_input(net, {4, 6}); ub_keras_add({x, y}));
    REFUSE(UB_ERR_SHAPE, "cannot become (7, None) for each sample", ub_keras_input(net, {4, 6});
           ub_keras_reshape(net, {7, -1}));
    REFUSE(UB_ERR_SHAPE, "3 groups do not divide 4 input and 6 output channels",
           ub_torch_input(net, {4, 8});
           ub_torch_conv1d(net, 4, 6, {1}, .groups = 3));
    REFUSE(UB_ERR_SHAPE, "but the size of axis 2 must be known", ub_keras_input(net, {4, -1});
           ub_keras_dense(net, 3));
    REFUSE(UB_ERR_SHAPE, "expected that it ends in (5, 4)", ub_torch_input(net, {5, 3});
           ub_torch_layer_norm(net, {5, 4}));
}

static void refuses_bad_arguments(void **state)
{
    (void)state;
    REFUSE(UB_ERR_ARGUMENT, "the network has no layers", (void)0);
    REFUSE(UB_ERR_ARGUMENT, "layer 'dense' (Dense): it is applied to nothing: begin with an input",
           ub_keras_dense(net, 3));
    REFUSE(UB_ERR_ARGUMENT, "units is 0, at least 1 was expected", ub_keras_input(net, {4});
           ub_keras_dense(net));
    REFUSE(UB_ERR_ARGUMENT, "there is no activation 'rleu'", ub_keras_input(net, {4});
           ub_keras_dense(net, 3, .activation = "rleu"));
    REFUSE(UB_ERR_ARGUMENT, "padding is 'some', 'valid' or 'same' was expected",
           ub_keras_input(net, {4, 4, 1});
           ub_keras_conv2d(net, 3, {2}, .padding = "some"));
    REFUSE(UB_ERR_ARGUMENT, "kernel_size: one number or 2, each at least 1",
           ub_keras_input(net, {4, 4, 1});
           ub_keras_conv2d(net, 3));
    REFUSE(UB_ERR_ARGUMENT, "kernel_size: one number or 3, each at least 1",
           ub_keras_input(net, {4, 4, 4, 1});
           ub_keras_conv3d(net, 3, {2, 2}));
    REFUSE(UB_ERR_ARGUMENT, "two layers are called 'a'", ub_keras_input(net, {4});
           ub_keras_dense(net, 3, .name = "a"); ub_keras_dense(net, 3, .name = "a"));
    REFUSE(UB_ERR_ARGUMENT, "has no ub_nn_end()", ub_keras_input(net, {4});
           ub_nn_begin(net, "keras.Sequential", NULL); ub_keras_dense(net, 3));
    REFUSE(UB_ERR_ARGUMENT, "without ub_nn_begin()", ub_nn_end(net));
    REFUSE(UB_ERR_ARGUMENT, "it has 1 outputs, there is no output 1", ub_keras_input(net, {4});
           ub_nn_other(ub_keras_dense(net, 3), 1));
    REFUSE(UB_ERR_ARGUMENT, "1 values, at least two were expected",
           ub_nn_value x = ub_keras_input(net, {4});
           ub_keras_add({x}));
    REFUSE(UB_ERR_ARGUMENT, "along which axis?", ub_nn_value x = ub_torch_input(net, {4});
           ub_torch_cat({x, x}));
    REFUSE(UB_ERR_ARGUMENT, "there is no layer 'keras.Lambda'", ub_nn_input none = {0};
           ub_nn_add(ub_nn_last(net), "keras.Lambda", &none));
    REFUSE(UB_ERR_UNSUPPORTED, "cannot be divided into 3 equal windows",
           ub_torch_input(net, {4, 8});
           ub_torch_adaptive_avg_pool1d(net, {3}));
    REFUSE(UB_ERR_FILE, "cannot open 'none.npz'", ub_keras_input(net, {4}); ub_keras_dense(net, 3);
           ub_nn_weights(net, "none.npz"));
    refuse(NULL, UB_ERR_MEMORY, "memory");
    ub_nn_free(NULL);
    ub_nn *a = ub_nn_new(1), *b = ub_nn_new(1);
    ub_nn_value x = ub_keras_input(a, {4}), y = ub_keras_input(b, {4});
    ub_keras_add({x, y});
    refuse(a, UB_ERR_ARGUMENT, "belongs to another network");
    ub_nn_free(b);
}

/* ---- How weights begin -------------------------------------------------------------------------
 */

/* The weight of that name, all of it. */
static const ub_tensor *weight(const ub_model *m, const char *name)
{
    const int32_t v = ubp_table_find(&m->graph->value_names, name);
    if (v < 0 || !m->graph->values[v].constant)
        fail_msg("no weight '%s'", name);
    return m->graph->values[v].constant;
}

typedef struct moments {
    double mean, variance, low, high;
} moments;

static moments measure(const ub_tensor *t)
{
    const float *v = t->data;
    const int64_t n = ub_tensor_count(t);
    moments m = {0, 0, INFINITY, -INFINITY};
    for (int64_t i = 0; i < n; i++) {
        m.mean += (double)v[i] / (double)n;
        m.low = fmin(m.low, (double)v[i]);
        m.high = fmax(m.high, (double)v[i]);
    }
    for (int64_t i = 0; i < n; i++)
        m.variance += ((double)v[i] - m.mean) * ((double)v[i] - m.mean) / (double)n;
    return m;
}

/* Uniform from -bound to bound: within it, near to it, and of its variance. */
static void check_uniform(const ub_model *m, const char *name, double bound)
{
    const ub_tensor *t = weight(m, name);
    const moments s = measure(t);
    const double n = (double)ub_tensor_count(t);
    assert_true(n >= 1000);
    if (!(s.low >= -bound && s.high <= bound && s.low < -0.98 * bound && s.high > 0.98 * bound &&
          fabs(s.mean) < 5 * bound / sqrt(3 * n) &&
          fabs(s.variance / (bound * bound / 3) - 1) < 5 / sqrt(n)))
        fail_msg("%s: %g to %g, mean %g, variance %g; bound %g", name, s.low, s.high, s.mean,
                 s.variance, bound);
}

static void check_all(const ub_model *m, const char *name, float value)
{
    const ub_tensor *t = weight(m, name);
    for (int64_t i = 0; i < ub_tensor_count(t); i++)
        if (((const float *)t->data)[i] != value)
            fail_msg("%s[%d] is not %g", name, (int)i, (double)value);
}

static void keras_begins(void **state)
{
    (void)state;
    ub_nn *net = ub_nn_new(11);
    ub_keras_input(net, {16, 24});
    ub_keras_conv1d(net, 40, {5});
    ub_keras_batch_normalization(net);
    ub_keras_multi_head_attention(net, 4, 12);
    ub_keras_lstm(net, 32, .return_sequences = true);
    ub_keras_gru(net, 24);
    ub_keras_dense(net, 100);
    ub_model *m = finish(net);
    check_uniform(m, "conv1d/kernel", sqrt(6.0 / (5 * 24 + 5 * 40)));
    check_uniform(m, "multi_head_attention/query/kernel", sqrt(6.0 / (40 * 4 + 40 * 12)));
    check_uniform(m, "multi_head_attention/attention_output/kernel", sqrt(6.0 / (4 * 12 + 4 * 40)));
    check_uniform(m, "lstm/lstm_cell/kernel", sqrt(6.0 / (40 + 128)));
    check_uniform(m, "gru/gru_cell/kernel", sqrt(6.0 / (32 + 72)));
    check_uniform(m, "dense/kernel", sqrt(6.0 / (24 + 100)));
    check_all(m, "conv1d/bias", 0);
    check_all(m, "gru/gru_cell/bias", 0);
    check_all(m, "batch_normalization/gamma", 1);
    check_all(m, "batch_normalization/moving_variance", 1);
    check_all(m, "batch_normalization/moving_mean", 0);
    const float *bias = weight(m, "lstm/lstm_cell/bias")->data;
    for (int i = 0; i < 128; i++)
        assert_true(bias[i] == (i >= 32 && i < 64 ? 1.0f : 0.0f));
    /* Orthogonal rows: R R^T = 1. */
    const float *r = weight(m, "lstm/lstm_cell/recurrent_kernel")->data; /* [32][128] */
    for (int i = 0; i < 32; i++)
        for (int j = 0; j < 32; j++) {
            double dot = 0;
            for (int k = 0; k < 128; k++)
                dot += (double)r[i * 128 + k] * (double)r[j * 128 + k];
            assert_true(fabs(dot - (i == j)) < 1e-5);
        }
    ub_model_free(m);
}

static void torch_begins(void **state)
{
    (void)state;
    ub_nn *net = ub_nn_new(11);
    ub_torch_input(net, {12}, .dtype = "int64");
    ub_torch_embedding(net, 100, 48);
    ub_torch_linear(net, 48, 1200);
    ub_torch_linear(net, 1200, 48);
    ub_torch_multihead_attention(net, 48, 4, .batch_first = true);
    ub_torch_lstm(net, 48, 300, .batch_first = true);
    ub_torch_reshape(net, {12, 10, 30});
    ub_torch_conv2d(net, 12, 64, {3, 2});
    ub_torch_conv_transpose2d(net, 64, 30, {3, 2});
    ub_model *m = finish(net);
    const moments e = measure(weight(m, "0.weight"));
    assert_true(fabs(e.mean) < 0.06 && fabs(e.variance - 1) < 0.1 && e.high > 3 && e.low < -3);
    check_uniform(m, "1.weight", 1 / sqrt(48));
    check_uniform(m, "1.bias", 1 / sqrt(48));
    check_uniform(m, "2.weight", 1 / sqrt(1200));
    check_uniform(m, "3.in_proj_weight", sqrt(6.0 / (4 * 48)));
    check_uniform(m, "3.out_proj.weight", 1 / sqrt(48));
    check_all(m, "3.in_proj_bias", 0);
    check_all(m, "3.out_proj.bias", 0);
    check_uniform(m, "4.weight_ih_l0", 1 / sqrt(300));
    check_uniform(m, "4.weight_hh_l0", 1 / sqrt(300));
    check_uniform(m, "4.bias_hh_l0", 1 / sqrt(300));
    check_uniform(m, "5.weight", 1 / sqrt(12 * 6));
    check_uniform(m, "6.weight", 1 / sqrt(30 * 6));
    ub_model_free(m);
}

static ub_model *small(uint64_t seed)
{
    ub_nn *net = ub_nn_new(seed);
    ub_torch_input(net, {48});
    ub_torch_linear(net, 48, 48);
    ub_torch_linear(net, 48, 48);
    return finish(net);
}

static void hangs_on_the_seed_alone(void **state)
{
    (void)state;
    ub_model *a = small(5), *b = small(5), *c = small(6);
    const size_t bytes = 48 * 48 * sizeof(float);
    const void *first = weight(a, "0.weight")->data;
    assert_memory_equal(first, weight(b, "0.weight")->data, bytes);
    assert_memory_equal(weight(a, "1.bias")->data, weight(b, "1.bias")->data, 48 * sizeof(float));
    assert_int_not_equal(memcmp(first, weight(c, "0.weight")->data, bytes), 0);
    assert_int_not_equal(memcmp(first, weight(a, "1.weight")->data, bytes), 0);
    ub_model_free(a);
    ub_model_free(b);
    ub_model_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keras_names),
        cmocka_unit_test(torch_names),
        cmocka_unit_test(any_sample_of_any_layer),
        cmocka_unit_test(names_what_was_expected),
        cmocka_unit_test(refuses_bad_arguments),
        cmocka_unit_test(keras_begins),
        cmocka_unit_test(torch_begins),
        cmocka_unit_test(hangs_on_the_seed_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
