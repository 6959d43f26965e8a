/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What one call from C costs: ub_get() of WHAT in a warm session. For every number read from
 * standard input it makes that many calls and prints their times in milliseconds as one JSON list,
 * so that compare.py can take turns between this and the other engines.
 *
 *     bench_conv MODEL INPUT.npy WHAT THREADS
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unbatch.h>

enum { WARM_UP = 5 };

static double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static ub_status call(double *ms, ub_session *s, const char *what, ub_error *err)
{
    ub_tensor *y = NULL;
    double start = now_ms();
    ub_status st = ub_get(&y, s, what, err);
    *ms = now_ms() - start;
    ub_tensor_free(y);
    return st;
}

/* As many calls as asked for, again and again until standard input ends. */
static ub_status serve(ub_session *s, const char *what, ub_error *err)
{
    double ms;
    int n;
    for (int i = 0; i < WARM_UP; i++)
        if (call(&ms, s, what, err) != UB_OK)
            return err->code;
    printf("ready\n");
    fflush(stdout);
    while (scanf("%d", &n) == 1) {
        for (int i = 0; i < n; i++) {
            if (call(&ms, s, what, err) != UB_OK)
                return err->code;
            printf("%s%.6f", i ? ", " : "[", ms);
        }
        printf("]\n");
        fflush(stdout);
    }
    return UB_OK;
}

int main(int argc, char **argv)
{
    if (argc != 5) {
        fprintf(stderr, "usage: bench_conv MODEL INPUT.npy WHAT THREADS\n");
        return 2;
    }
    ub_error err = {0};
    ub_model *m = NULL;
    ub_session *s = NULL;
    ub_tensor *x = NULL;
    ub_session_options options = UB_SESSION_OPTIONS_INIT;
    options.threads = atoi(argv[4]);
    ub_status st = ub_open(&m, argv[1], &err);
    if (st == UB_OK)
        st = ub_npy_load(&x, argv[2], &err);
    if (st == UB_OK)
        st = ub_session_new(&s, m, &options, &err);
    if (st == UB_OK)
        st = ub_session_set(s, NULL, x, &err);
    if (st == UB_OK)
        st = serve(s, argv[3], &err);
    if (st != UB_OK)
        fprintf(stderr, "bench_conv: %s\n", err.message);
    ub_session_free(s);
    ub_tensor_free(x);
    ub_model_free(m);
    return (int)st;
}
