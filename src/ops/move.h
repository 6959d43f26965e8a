/* SPDX-License-Identifier: Apache-2.0 */
/*
 * move: what the operators that only move elements share. They know an element by its size, never
 * by its dtype. move.c copies, move_batch.c helps their batch rules.
 */
#ifndef UBP_MOVE_H
#define UBP_MOVE_H

#include "ops/ops.h"

/* ---- move.c ------------------------------------------------------------------------------------
 */

/* dst[...] = src[...] like ubp_tensor_move(), large ones on several threads. */
void ubp_run_move(const ubp_run *run, const ub_tensor *dst, const ub_tensor *src);
/* Indices start, start + step, ... (count of them) of one axis, as a view. */
ub_tensor ubp_part(const ub_tensor *t, int axis, int64_t start, int64_t step, int64_t count);
/* A view of dims dims where every element is the one at value. */
ub_tensor ubp_repeated(ub_dtype dtype, int rank, const int64_t *dims, const void *value);
/* A ref kernel for operators that have op->view and always succeed with it:
 * copies each output from its view of input 0. */
ub_status ubp_ref_from_view(const ubp_call *c);
/* Product of dims[first .. last-1]; the tensor was described, so it fits unless a dim is 0: then
 * it is capped at INT64_MAX. */
int64_t ubp_span(const int64_t *dims, int first, int last);
/* One element. */
static inline void ubp_copy_element(void *dst, const void *src, size_t size)
{
    if (size == 4)
        __builtin_memcpy(dst, src, 4);
    else if (size == 8)
        __builtin_memcpy(dst, src, 8);
    else if (size == 2)
        __builtin_memcpy(dst, src, 2);
    else if (size == 1)
        __builtin_memcpy(dst, src, 1);
    else
        __builtin_memcpy(dst, src, size);
}
/* Attribute `axis` (or the like) of a tensor of that rank: -rank..rank-1 to 0..rank-1. */
ub_status ubp_want_axis(const ubp_call *c, int64_t axis, int rank, int *out);
/* Input `in` has integers. */
ub_status ubp_want_index(const ubp_call *c, int in);
/* All integers of input `in`, row-major, copied into run->scratch, so that they may be changed.
 * The call must have a run and the data. */
ub_status ubp_index_data(const ubp_call *c, int in, int64_t **out);
/* Input `in` row-major, for reading while inferring too: *dense is the input itself, or a copy
 * whose memory is *owned (freed with ubp_free(), NULL: nothing to free). The data must be there. */
ub_status ubp_dense_input(const ubp_call *c, int in, ub_tensor *dense, void **owned);
/* Steps `at` to the next element of dims, row-major. */
static inline void ubp_next_index(int64_t *at, int rank, const int64_t *dims)
{
    for (int i = rank; i-- > 0;) {
        if (++at[i] < dims[i])
            return;
        at[i] = 0;
    }
}
/* Keys of n numbers, `stride` bytes apart, whose unsigned order is that of the numbers: NaN above
 * all, -0 and 0 the same. */
void ubp_order_keys(uint64_t *keys, const void *src, int64_t stride, int64_t n, ub_dtype dtype);
/* idx in -dim..dim-1 to 0..dim-1, or an error. */
ub_status ubp_want_in_bounds(const ubp_call *c, int64_t *idx, int64_t n, int64_t dim, int axis);

/* gather_nd.c: n tuples of indices into dims[shared ..] become row numbers in place: index[i] for
 * the tuple at index[i * tuple]. Each index is checked. */
ub_status ubp_tuples_to_rows(const ubp_call *c, int64_t *index, int64_t n, const int64_t *dims,
                             int shared, int tuple);

/* ---- move_batch.c ------------------------------------------------------------------------------
 */

static inline bool ubp_has_samples(const ubp_batch *b, int i)
{
    return i < b->call->n_in && b->call->in[i] && b->in[i].kind == UBP_SAMPLES_AXIS;
}
/* Whether the two maps put the samples at the same indices; axes apart. */
static inline bool ubp_same_folding(const ubp_samples *a, const ubp_samples *b)
{
    return a->outer == b->outer && a->inner == b->inner;
}
/* Output k has the samples on `axis`, folded as in input i. */
void ubp_samples_axis(ubp_batch *b, int k, int i, int axis);
/* Output k is made of the elements of input i in another order: sized and positional integers stay
 * that. */
void ubp_samples_words(ubp_batch *b, int k, int i);
/* Index tuples along the last axis stay whole from input 0 to output k, whose last dim is the same.
 */
void ubp_samples_tuples(ubp_batch *b, int k);
/* Inputs [first, last] are sizes, indices or other settings: where one comes out of the samples
 * themselves, all outputs are coupled. Returns whether all are plain. */
bool ubp_samples_plain(ubp_batch *b, int first, int last, const char *why);
/* Whether index `in` names for each place of the batch only rows of its own, in an axis of `size`
 * that holds `entries` rows of each sample. */
bool ubp_samples_own_rows(const ubp_batch *b, int in, int64_t entries, int64_t size);
/* The last step of a rule: where the output's dims grow with the batch in another way than the map
 * says, the output is coupled. */
void ubp_samples_fit(ubp_batch *b, int k);
/* Couples all outputs. */
void ubp_samples_couple_all(ubp_batch *b, const char *why);
/* Whether an input without samples may stand at an axis where others have one entry per sample:
 * never for a batch, but in a model made for one sample it is that sample's. */
static inline bool ubp_samples_single(const ubp_batch *b)
{
    return b->n == 1 && !b->grown;
}
/* The batch of input i stays where it is: elementwise along it, whatever happens on other axes. */
void ubp_samples_keep(ubp_batch *b, int k, int i);

#endif
