/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wide: loops that are compiled several times, for wider and wider vectors, and chosen when they
 * run by what the processor has. The operations are the same in each (nothing is contracted, fused
 * multiply-adds are written as such, sums have an order of their own), so the bits are.
 */
#ifndef UBP_WIDE_H
#define UBP_WIDE_H

#if defined(__x86_64__) && defined(__GNUC__)
#define UBP_AVX2 __attribute__((target("avx2,fma")))
#if defined(__clang__)
#define UBP_AVX512 __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,fma")))
#else
#define UBP_AVX512                                                                                 \
    __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,fma,prefer-vector-width=512")))
#endif
#define UBP_HAS_AVX512                                                                             \
    (__builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&                   \
     __builtin_cpu_supports("avx512vl"))
#define UBP_HAS_AVX2 (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
/* DEFINE(name, ...) must define the function `name`. */
#define UBP_WIDE_VARIANTS(DEFINE, name, ...)                                                       \
    DEFINE(name##_base, __VA_ARGS__)                                                               \
    UBP_AVX2 DEFINE(name##_avx2, __VA_ARGS__)                                                      \
    UBP_AVX512 DEFINE(name##_avx512, __VA_ARGS__)
#define UBP_WIDE_CALL(name, ...)                                                                   \
    do {                                                                                           \
        if (UBP_HAS_AVX512)                                                                        \
            name##_avx512(__VA_ARGS__);                                                            \
        else if (UBP_HAS_AVX2)                                                                     \
            name##_avx2(__VA_ARGS__);                                                              \
        else                                                                                       \
            name##_base(__VA_ARGS__);                                                              \
    } while (0)
#else
#define UBP_WIDE_VARIANTS(DEFINE, name, ...) DEFINE(name##_base, __VA_ARGS__)
#define UBP_WIDE_CALL(name, ...)             name##_base(__VA_ARGS__)
#endif

#endif
