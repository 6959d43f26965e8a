/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Prepared recurrent operators: near the reference kernels, and the bits of a sample the same for
 * every batch, place in it, and number of threads: whether threads share the samples, the hidden
 * units, or nothing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "fast_case.h"
#include "ops/rnn.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const directions[] = {"forward", "reverse", "bidirectional"};

typedef struct network {
    const char *op;
    int64_t samples, steps, inputs, hidden;
    int direction;
    bool plain; /* no lengths, states, peepholes */
} network;

/* Weights of a trained network's size, so that the states do not saturate. */
static void weights(fast_case *c, int i, int64_t d, int64_t rows, int64_t columns)
{
    const int64_t dims[3] = {d, rows, columns};
    fc_input(c, i, 3, dims, false, true);
    for (int64_t k = 0; k < d * rows * columns; k++)
        ((float *)c->in[i].data)[k] *= 2 / sqrtf((float)columns);
}

static void check(const network *n)
{
    const bool lstm = strcmp(n->op, "LSTM") == 0, gru = strcmp(n->op, "GRU") == 0;
    const int64_t gates = ubp_rnn_gates(lstm ? UBP_LSTM : gru ? UBP_GRU : UBP_RNN) * n->hidden;
    const int64_t d = 1 + (n->direction == 2), x[3] = {n->samples, n->steps, n->inputs};
    const int64_t states[3] = {n->samples, d, n->hidden};
    const int64_t bias[2] = {d, 2 * gates}, peepholes[2] = {d, 3 * n->hidden};
    fast_case c;
    fc_begin(&c, n->op);
    snprintf(c.text, sizeof c.text, "%s of %lld, %lld x %lld steps, %s%s", n->op,
             (long long)n->hidden, (long long)n->samples, (long long)n->steps,
             directions[n->direction], n->plain ? "" : ", lengths");
    fc_int(&c, "hidden_size", n->hidden);
    fc_int(&c, "layout", 1);
    fc_text(&c, "direction", directions[n->direction]);
    if (gru)
        fc_int(&c, "linear_before_reset", 1);
    fc_input(&c, 0, 3, x, true, false);
    weights(&c, 1, d, gates, n->inputs);
    weights(&c, 2, d, gates, n->hidden);
    fc_input(&c, 3, 2, bias, false, true);
    if (!n->plain) {
        fc_lengths(&c, 4, n->samples, n->steps);
        fc_input(&c, 5, 3, states, true, false);
        if (lstm) {
            fc_input(&c, 6, 3, states, true, false);
            fc_input(&c, 7, 2, peepholes, false, true);
        }
    }
    c.optional = n->hidden % 8 || n->inputs % 8; /* SSE4.1 takes multiples of 8 only */
    fc_ready(&c);
    fc_check(&c, fc_session);
    fc_end(&c);
}

static void test_lstm(void **unused)
{
    (void)unused;
    check(&(network){"LSTM", 9, 6, 32, 256, 0, true}); /* samples, hidden units, or both */
    check(&(network){"LSTM", 9, 6, 32, 256, 1, false});
    check(&(network){"LSTM", 3, 5, 40, 200, 2, false}); /* parts of unequal size */
    check(&(network){"LSTM", 13, 3, 8, 24, 2, true});   /* too little to share */
}

static void test_gru(void **unused)
{
    (void)unused;
    check(&(network){"GRU", 9, 6, 32, 256, 0, false});
    check(&(network){"GRU", 3, 5, 24, 328, 2, true});
}

static void test_rnn(void **unused)
{
    (void)unused;
    check(&(network){"RNN", 9, 6, 32, 512, 0, true});
    check(&(network){"RNN", 4, 5, 16, 520, 2, false});
}

/* Every part of a cut once, whatever the numbers. */
static void test_cuts(void **unused)
{
    (void)unused;
    for (int parts = 1; parts <= 8; parts++)
        for (int64_t size = parts; size < 300; size++) {
            ubp_rnn_cut by_samples = {size, 7, parts, true},
                        by_units = {7, 16 * size, parts, false};
            int64_t samples = 0, units = 0;
            by_units.hidden += size % 16;
            for (int i = 0; i < parts; i++) {
                ubp_rnn_part p = ubp_rnn_part_of(&by_samples, i);
                assert_int_equal(p.sample, samples);
                assert_true(p.samples > 0 && p.unit == 0 && p.units == 7);
                samples += p.samples;
                p = ubp_rnn_part_of(&by_units, i);
                assert_int_equal(p.unit, units);
                assert_true(p.units > 0 && p.sample == 0 && p.samples == 7);
                units += p.units;
            }
            assert_int_equal(samples, size);
            assert_int_equal(units, by_units.hidden);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lstm),
        cmocka_unit_test(test_gru),
        cmocka_unit_test(test_rnn),
        cmocka_unit_test(test_cuts),
    };
    return cmocka_run_group_tests(tests, fc_setup, fc_teardown);
}
