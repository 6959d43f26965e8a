/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a view of a (32, 3, 224, 224) batch costs: x[4, :, :, :] by ub_tensor_at(), x[:, :, 10:20]
 * by ub_tensor_slice(), and x[4, :, :, :] from text by ub_tensor_index(). For every number read
 * from standard input it prints as many times of one call, in nanoseconds, as one JSON list.
 *
 *     bench_view at|slice|index
 */
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unbatch.h>

enum { CALLS = 100000 };

typedef ub_status view_call(const ub_tensor *x, int64_t i, uintptr_t *sum, ub_error *err);

static double now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* The numbers change from call to call, and what comes out is summed, so that every call is made.
 */
static ub_status by_at(const ub_tensor *x, int64_t i, uintptr_t *sum, ub_error *err)
{
    ub_tensor v;
    ub_status st = ub_tensor_at(&v, x, i & 31, err);
    *sum += st == UB_OK ? (uintptr_t)v.data : 0;
    return st;
}

static ub_status by_slice(const ub_tensor *x, int64_t i, uintptr_t *sum, ub_error *err)
{
    ub_tensor v;
    ub_status st = ub_tensor_slice(&v, x, 2, 10 + (i & 31), 20 + (i & 31), 1, err);
    *sum += st == UB_OK ? (uintptr_t)v.data : 0;
    return st;
}

static ub_status by_index(const ub_tensor *x, int64_t i, uintptr_t *sum, ub_error *err)
{
    ub_tensor *v = NULL;
    ub_status st = ub_tensor_index(&v, x, i & 1 ? "[4, :, :, :]" : "[5, :, :, :]", err);
    *sum += st == UB_OK ? (uintptr_t)v->data : 0;
    ub_tensor_free(v);
    return st;
}

static ub_status round_of(view_call *call, int n, const ub_tensor *x, uintptr_t *sum, ub_error *err)
{
    for (int k = 0; k < n; k++) {
        double start = now_ns();
        for (int64_t i = 0; i < CALLS; i++) {
            ub_status st = call(x, i, sum, err);
            if (st != UB_OK)
                return st;
        }
        printf("%s%.3f", k ? ", " : "[", (now_ns() - start) / CALLS);
    }
    printf("]\n");
    fflush(stdout);
    return UB_OK;
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        view_call *call;
    } kinds[] = {{"at", by_at}, {"slice", by_slice}, {"index", by_index}};
    view_call *call = NULL;
    for (size_t i = 0; argc == 2 && i < sizeof kinds / sizeof *kinds; i++)
        call = strcmp(argv[1], kinds[i].name) == 0 ? kinds[i].call : call;
    if (!call) {
        fprintf(stderr, "usage: bench_view at|slice|index\n");
        return 2;
    }
    ub_error err = {0};
    ub_tensor *x = NULL;
    uintptr_t sum = 0;
    int n;
    ub_status st = ub_tensor_new(&x, UB_F32, 4, (const int64_t[]){32, 3, 224, 224}, &err);
    printf("ready\n");
    fflush(stdout);
    while (st == UB_OK && scanf("%d", &n) == 1)
        st = round_of(call, n, x, &sum, &err);
    if (st != UB_OK)
        fprintf(stderr, "bench_view: %s\n", err.message);
    ub_tensor_free(x);
    return st != UB_OK ? (int)st : sum == 0;
}
