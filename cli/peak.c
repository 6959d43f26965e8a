/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this machine can do at most, for `bench --layers`: the library's own matrix product, large
 * enough to be nothing but arithmetic, and its own Relu over more than the caches hold.
 */
#include "cli.h"

enum { SIDE = 1024, FLOATS = 1 << 24, RUNS = 5 };

/* The best time of a network's first step, in milliseconds. */
static ub_status best_of(double *ms, ub_nn *net, const char *what, int64_t rows, int threads,
                         ub_error *err)
{
    ub_model *m = NULL;
    ub_session *s = NULL;
    ub_tensor *x = NULL;
    ub_session_options o = UB_SESSION_OPTIONS_INIT;
    o.threads = threads;
    ub_status st = ub_nn_model(&m, net, err);
    if (st == UB_OK)
        st = ub_session_new(&s, m, &o, err);
    if (st == UB_OK)
        st = ub_tensor_new(&x, UB_F32, 2, (const int64_t[]){rows, SIDE}, err);
    if (st == UB_OK)
        st = ub_session_set(s, NULL, x, err);
    *ms = 1e300;
    for (int i = 0; i < RUNS && st == UB_OK; i++) {
        ub_tensor *y = NULL;
        ub_session_profile(s, true);
        st = ub_get(&y, s, what, err);
        if (st == UB_OK && ub_session_step_count(s) > 0 && ub_session_step(s, 0)->ms < *ms)
            *ms = ub_session_step(s, 0)->ms;
        ub_tensor_free(y);
    }
    ub_session_free(s);
    ub_tensor_free(x);
    ub_model_free(m);
    return st;
}

ub_status cli_peak_measure(cli_peak *p, int threads, ub_error *err)
{
    double ms;
    ub_nn *product = ub_nn_new(1);
    ub_torch_input(product, {SIDE});
    ub_torch_linear(product, SIDE, SIDE, .no_bias = true);
    ub_status st = best_of(&ms, product, "0", SIDE, threads, err);
    if (st != UB_OK)
        return st;
    p->gflops = 2e-6 * SIDE * SIDE * SIDE / ms;
    ub_nn *pass = ub_nn_new(1);
    ub_torch_input(pass, {SIDE});
    ub_torch_relu(pass);
    ub_torch_linear(pass, SIDE, 1); /* so that the Relu's result is no fresh memory */
    st = best_of(&ms, pass, "1", FLOATS / SIDE, threads, err);
    if (st == UB_OK)
        p->gbytes = 2e-6 * FLOATS * sizeof(float) / ms;
    return st;
}
