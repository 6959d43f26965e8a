/* SPDX-License-Identifier: Apache-2.0 */
/*
 * follow: for batch rules of operators that combine several inputs (products, convolutions,
 * recurrent operators). The rule says to which axis of the output the samples of each input go;
 * when two inputs disagree, the output is coupled.
 */
#ifndef UBP_FOLLOW_H
#define UBP_FOLLOW_H

#include "ops/ops.h"

typedef struct ubp_follow {
    ubp_batch *b;
    int k; /* the output */
    bool found;
    int axis;
    int64_t outer, inner;
} ubp_follow;

ubp_follow ubp_follow_begin(ubp_batch *b, int k);
/* Whether input i is given and has its samples on an axis. */
bool ubp_follow_has(const ubp_follow *f, int i);
/* The samples of an input go to this axis of the output. */
void ubp_follow_to(ubp_follow *f, int axis, int64_t outer, int64_t inner);
/* The same for input i as its map is. */
void ubp_follow_input(ubp_follow *f, int i, int axis);
/* Sets the output's map. */
void ubp_follow_end(ubp_follow *f);
/* Couples output k when input i, used as numbers, counts samples or numbers rows. */
void ubp_follow_data(ubp_batch *b, int k, int i);
/* Couples output k when input i, a parameter shared by all samples, has them on an axis or counts
 * them. */
void ubp_follow_shared(ubp_batch *b, int k, int i);

#endif
