/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check: what the checks of unbatch.h share. A check looks at a list of values, in groups that fit
 * into memory, and writes a report of findings.
 */
#ifndef UBP_CHECK_H
#define UBP_CHECK_H

#include "api/api.h"

struct ub_report {
    ubp_arena arena; /* strings and lists of the findings */
    ub_finding *findings;
    size_t n, cap;
};

/* Distinct values with the address a user would type for each. */
typedef struct ubp_check_list {
    int32_t *values;
    const char **names;
    int n;
} ubp_check_list;

ub_status ubp_report_new(ub_report **out, ub_error *err);
/* A new finding with nothing in it: sample -1, rank -1. NULL: out of memory, *err filled. It moves
 * when the next one is added. */
ub_finding *ubp_report_add(ub_report *r, ub_error *err);

/* The values of these addresses (without slices); none: what crosses any layer's border, and the
 * model's outputs. Lives in arena. */
ub_status ubp_check_values(ubp_check_list *out, const ub_session *s, const char *const *what, int n,
                           ubp_arena *arena, ub_error *err);
/* Every value that a node on the way to the list's gives, in data-flow order. */
ub_status ubp_check_all_values(ubp_check_list *out, const ub_session *s, ubp_arena *arena,
                               ub_error *err);
/* A session with the same model, inputs and options but this number of threads. */
ub_status ubp_check_session(ub_session **out, const ub_session *s, int threads, ub_error *err);
/* How many values from `first` on may be held at once, for n samples; at least 1. */
int ubp_check_group(const ub_session *s, const ubp_check_list *list, int first, int64_t n);
/* The index in t of its element number `at` in row-major order. */
void ubp_check_index(ub_finding *f, const ub_tensor *t, int64_t at);
/* Two tensors of the same dtype and dims, bit for bit. */
typedef struct ubp_difference {
    int64_t compared, differing;
    int64_t first;  /* number of the first element that differs, row-major; -1: none */
    double worst;   /* the largest absolute difference; infinite where one is not a number */
    double largest; /* the largest finite magnitude in a */
} ubp_difference;

ub_status ubp_check_compare(ubp_difference *out, const ub_tensor *a, const ub_tensor *b,
                            ub_error *err);

#endif
