/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Threads, with OpenMP where the build has it and without any otherwise, and the clock.
 */
#include "base/base.h"

#include <sched.h>
#include <time.h>
#include <unistd.h>
#ifdef _OPENMP
#include <omp.h>
#endif
#ifdef __SSE__
#include <xmmintrin.h>
#endif

int ubp_core_count(void)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    if (sched_getaffinity(0, sizeof(set), &set) == 0 && CPU_COUNT(&set) > 0)
        return CPU_COUNT(&set);
    /* More cores than a cpu_set_t holds. */
    const long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n > 0 && n < INT32_MAX ? (int)n : 1;
}

void ubp_parallel(int threads, int64_t n, int64_t grain,
                  void (*fn)(void *arg, int64_t begin, int64_t end), void *arg)
{
    if (n <= 0)
        return;
    int64_t parts = n / (grain > 0 ? grain : 1);
    if (parts > threads)
        parts = threads;
#ifdef _OPENMP
    if (parts > 1) {
#pragma omp parallel num_threads((int)parts)
        {
            /* OpenMP may give fewer threads than asked for: the parts are those of the real team.
             * The first n % team parts have one index more. */
            const int64_t team = omp_get_num_threads(), id = omp_get_thread_num();
            const int64_t size = n / team, rest = n % team;
            const int64_t begin = id * size + (id < rest ? id : rest);
            const int64_t end = begin + size + (id < rest ? 1 : 0);
            if (begin < end)
                fn(arg, begin, end);
        }
        return;
    }
#endif
    fn(arg, 0, n);
}

void ubp_team(int threads, void (*fn)(void *arg, int member, int team), void *arg)
{
#ifdef _OPENMP
    if (threads > 1) {
#pragma omp parallel num_threads(threads)
        fn(arg, omp_get_thread_num(), omp_get_num_threads());
        return;
    }
#else
    (void)threads;
#endif
    fn(arg, 0, 1);
}

/* A team of one may be inside of a larger one, which is not to be waited for. */
void ubp_team_wait(int team)
{
    if (team < 2)
        return;
#ifdef _OPENMP
#pragma omp barrier
#endif
}

/* Kernels share their work out among the threads they were promised: one missing (OMP_DYNAMIC) and
 * its part would be left undone. The returned number is negative where that was switched off. */
int ubp_threads_enter(int threads)
{
#ifdef _OPENMP
    const int old = omp_get_max_threads();
    const bool dynamic = omp_get_dynamic() != 0;
    if (dynamic)
        omp_set_dynamic(0);
    omp_set_num_threads(threads > 0 ? threads : 1);
    return dynamic ? -old : old;
#else
    (void)threads;
    return 1;
#endif
}

void ubp_threads_leave(int old)
{
#ifdef _OPENMP
    if (old < 0)
        omp_set_dynamic(1);
    omp_set_num_threads(old < 0 ? -old : old);
#else
    (void)old;
#endif
}

bool ubp_invalid_here(void)
{
#ifdef __SSE__
    const unsigned csr = _mm_getcsr();
    if (!(csr & _MM_EXCEPT_INVALID))
        return false;
    _mm_setcsr(csr & ~(unsigned)_MM_EXCEPT_INVALID);
#endif
    return true;
}

bool ubp_invalid_raised(int threads)
{
#ifdef _OPENMP
    bool raised = false;
    if (threads > 1) {
#pragma omp parallel num_threads(threads) reduction(|| : raised)
        raised = ubp_invalid_here();
        return raised;
    }
#else
    (void)threads;
#endif
    return ubp_invalid_here();
}

double ubp_now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}
