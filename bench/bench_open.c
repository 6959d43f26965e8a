/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What opening a model file costs: the time of ub_open(), and the largest resident memory of the
 * process, this program and its libraries included; with an input and an address, the time until
 * the plan is made and until the first result is there, both counted from the start of ub_open().
 * Prints one JSON object.
 *
 *     bench_open MODEL [INPUT.npy WHAT]
 */
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unbatch.h>

static double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

typedef struct times {
    double start, opened, planned, first; /* ms; input is read between opened and planned */
} times;

static ub_status first_result(times *t, const ub_model *m, const char *input, const char *what,
                              ub_error *err)
{
    ub_session *s = NULL;
    ub_names *names = NULL;
    ub_tensor *x = NULL, *y = NULL;
    ub_status st = ub_npy_load(&x, input, err);
    if (st == UB_OK)
        st = ub_match(&names, m, what, err);
    if (st == UB_OK)
        st = ub_session_new(&s, m, NULL, err);
    if (st == UB_OK)
        st = ub_session_set(s, NULL, x, err);
    what = names ? ub_names_at(names, 0) : what;
    if (st == UB_OK)
        st = ub_prepare(s, &what, 1, err);
    t->planned = now_ms();
    if (st == UB_OK)
        st = ub_get(&y, s, what, err);
    t->first = now_ms();
    ub_tensor_free(y);
    ub_session_free(s);
    ub_names_free(names);
    ub_tensor_free(x);
    return st;
}

int main(int argc, char **argv)
{
    if (argc != 2 && argc != 4) {
        fprintf(stderr, "usage: bench_open MODEL [INPUT.npy WHAT]\n");
        return 2;
    }
    ub_error err = {0};
    ub_model *m = NULL;
    times t = {.start = now_ms()};
    ub_status st = ub_open(&m, argv[1], &err);
    t.opened = t.planned = t.first = now_ms();
    if (st == UB_OK && argc == 4)
        st = first_result(&t, m, argv[2], argv[3], &err);
    if (st != UB_OK) {
        fprintf(stderr, "bench_open: %s\n", err.message);
        ub_model_free(m);
        return (int)st;
    }
    struct rusage use;
    getrusage(RUSAGE_SELF, &use);
    printf("{\"ms\": %.3f, \"planned_ms\": %.3f, \"first_ms\": %.3f, \"rss_kb\": %ld, "
           "\"layers\": %d}\n",
           t.opened - t.start, t.planned - t.start, t.first - t.start, use.ru_maxrss,
           ub_model_layer_count(m));
    ub_model_free(m);
    return 0;
}
