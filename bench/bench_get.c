/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What one call from C costs: ub_get_many() of everything the patterns stand for, in a warm
 * session. For every number read from standard input it makes that many calls and prints their
 * times in milliseconds as one JSON list, so that compare.py can take turns between this and the
 * other engines.
 *
 *     bench_get MODEL INPUT.npy THREADS PATTERN...
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unbatch.h>

enum { WARM_UP = 3, MOST = 4096 };

typedef struct request {
    ub_session *session;
    ub_names *lists[MOST];
    int n_lists;
    const char *what[MOST]; /* [n] */
    ub_tensor *values[MOST];
    int n;
} request;

static double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* A pattern becomes addresses; what holds a slice is one already. */
static ub_status add(request *r, const ub_model *m, const char *pattern, ub_error *err)
{
    ub_status st = ub_match(&r->lists[r->n_lists], m, pattern, err);
    if (st != UB_OK) {
        r->what[r->n++] = pattern;
        return UB_OK;
    }
    const ub_names *names = r->lists[r->n_lists++];
    for (int i = 0; i < ub_names_count(names) && r->n < MOST; i++)
        r->what[r->n++] = ub_names_at(names, i);
    return UB_OK;
}

/* Giving the values back is part of the time, as it is in what the peers measure. */
static ub_status call(double *ms, request *r, ub_error *err)
{
    double start = now_ms();
    ub_status st = r->n == 1 ? ub_get(r->values, r->session, r->what[0], err)
                             : ub_get_many(r->values, r->session, r->what, r->n, err);
    for (int i = 0; i < r->n && st == UB_OK; i++)
        ub_tensor_free(r->values[i]);
    *ms = now_ms() - start;
    return st;
}

/* As many calls as asked for, again and again until standard input ends. */
static ub_status serve(request *r, ub_error *err)
{
    double ms;
    int n;
    for (int i = 0; i < WARM_UP; i++)
        if (call(&ms, r, err) != UB_OK)
            return err->code;
    printf("ready\n");
    fflush(stdout);
    while (scanf("%d", &n) == 1) {
        for (int i = 0; i < n; i++) {
            if (call(&ms, r, err) != UB_OK)
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
    static request r;
    if (argc < 5 || argc - 4 > MOST) {
        fprintf(stderr, "usage: bench_get MODEL INPUT.npy THREADS PATTERN...\n");
        return 2;
    }
    ub_error err = {0};
    ub_model *m = NULL;
    ub_tensor *x = NULL;
    ub_session_options options = UB_SESSION_OPTIONS_INIT;
    options.threads = atoi(argv[3]);
    ub_status st = ub_open(&m, argv[1], &err);
    if (st == UB_OK)
        st = ub_npy_load(&x, argv[2], &err);
    if (st == UB_OK)
        st = ub_session_new(&r.session, m, &options, &err);
    if (st == UB_OK)
        st = ub_session_set(r.session, NULL, x, &err);
    for (int i = 4; i < argc && st == UB_OK; i++)
        st = add(&r, m, argv[i], &err);
    if (st == UB_OK)
        st = serve(&r, &err);
    if (st != UB_OK)
        fprintf(stderr, "bench_get: %s\n", err.message);
    for (int i = 0; i < r.n_lists; i++)
        ub_names_free(r.lists[i]);
    ub_session_free(r.session);
    ub_tensor_free(x);
    ub_model_free(m);
    return (int)st;
}
