/* SPDX-License-Identifier: Apache-2.0 */
/* Threads: every index is visited once, whatever the number of threads and the grain. */
#include "base/base.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#ifdef _OPENMP
#include <omp.h>
#endif

enum { N = 1000 };

typedef struct visits {
    uint8_t seen[N];
    _Atomic int calls;
    int64_t least;
} visits;

static void visit(void *arg, int64_t begin, int64_t end)
{
    visits *v = arg;
    v->calls++;
    for (int64_t i = begin; i < end; i++)
        v->seen[i]++; /* parts do not overlap, so no two threads touch one element */
    if (end - begin < v->least)
        v->calls += N; /* a part smaller than the grain */
}

static void every_index_once(void **state)
{
    (void)state;
    static const int64_t sizes[] = {0, 1, 2, 3, 7, 64, 999, N}, grains[] = {-1, 0, 1, 3, 100, 5000};
    static const int threads[] = {-1, 0, 1, 2, 3, 5, 16};
    for (int s = 0; s < UBP_COUNT(sizes); s++)
        for (int g = 0; g < UBP_COUNT(grains); g++)
            for (int t = 0; t < UBP_COUNT(threads); t++) {
                visits v = {.least = sizes[s] < grains[g] ? 0 : grains[g]};
                ubp_parallel(threads[t], sizes[s], grains[g], visit, &v);
                for (int64_t i = 0; i < N; i++)
                    assert_int_equal(v.seen[i], i < sizes[s]);
                assert_true(v.calls <= (threads[t] < 1 ? 1 : threads[t]));
                assert_true(sizes[s] == 0 ? v.calls == 0 : v.calls >= 1);
            }
}

static void count_of_others_is_restored(void **state)
{
    (void)state;
    const int old = ubp_threads_enter(3);
#ifdef _OPENMP
    assert_int_equal(omp_get_max_threads(), 3);
    ubp_threads_leave(old);
    assert_int_equal(omp_get_max_threads(), old);
#else
    ubp_threads_leave(old);
#endif
}

static void knows_the_machine(void **state)
{
    (void)state;
    assert_true(ubp_core_count() >= 1);
    const double t = ubp_now_ms();
    assert_true(ubp_now_ms() >= t);
    assert_true(strlen(ub_version()) >= 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_index_once),
        cmocka_unit_test(count_of_others_is_restored),
        cmocka_unit_test(knows_the_machine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
