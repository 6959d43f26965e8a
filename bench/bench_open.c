/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What opening a model file costs: the time of ub_open(), and the largest resident memory of the
 * process, this program and its libraries included. Prints one JSON object.
 *
 *     bench_open MODEL
 */
#include <stdio.h>
#include <sys/resource.h>
#include <time.h>
#include <unbatch.h>

static double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: bench_open MODEL\n");
        return 2;
    }
    ub_error err = {0};
    ub_model *m = NULL;
    double start = now_ms();
    ub_status st = ub_open(&m, argv[1], &err);
    double ms = now_ms() - start;
    if (st != UB_OK) {
        fprintf(stderr, "bench_open: %s\n", err.message);
        return (int)st;
    }
    int layers = ub_model_layer_count(m);
    struct rusage use;
    getrusage(RUSAGE_SELF, &use);
    printf("{\"ms\": %.3f, \"rss_kb\": %ld, \"layers\": %d}\n", ms, use.ru_maxrss, layers);
    ub_model_free(m);
    return 0;
}
