/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Out of memory while a network is built: the n-th allocation fails, for every n; each time
 * ub_nn_model() says so, and nothing leaks.
 */
#include "base/fault.h"
#include "unbatch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static ub_status build(ub_error *err)
{
    ub_model *m = NULL;
    ub_nn *net = ub_nn_new(1);
    ub_nn_value x = ub_keras_input(net, {8, 8, 2});
    ub_nn_begin(net, "keras.Functional", "inner");
    ub_nn_value y = ub_keras_conv2d(x, 2, {3}, .padding = "same", .activation = "relu");
    y = ub_keras_batch_normalization(y);
    ub_nn_end(net);
    x = ub_keras_add({x, y});
    ub_keras_reshape(x, {16, 8});
    ub_keras_lstm(net, 3, .return_sequences = true);
    ub_keras_multi_head_attention(net, 2, 2);
    ub_nn_output(ub_keras_flatten(net));
    const ub_status status = ub_nn_model(&m, net, err);
    ub_model_free(m);
    return status;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    const long live = fault_live();
    long n = 1;
    for (; fault_next(n); n++) {
        ub_error e = {0};
        const ub_status status = build(&e);
        if (fault_stop() && (status != UB_ERR_MEMORY || e.message[0] == 0))
            fail_msg("allocation %ld: %d, %s", n, (int)status, e.message);
        if (fault_live() != live)
            fail_msg("allocation %ld: %ld blocks leak", n, fault_live() - live);
    }
    assert_true(n > 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_allocation_may_fail)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
