/* SPDX-License-Identifier: Apache-2.0 */
/*
 * item: what a value is while a model runs step by step: a tensor, a sequence of them, or an
 * optional. Items do not change once made and are shared by counting, so that putting a tensor into
 * a sequence moves no element. Samples are known of each tensor by itself.
 */
#ifndef UBP_ITEM_H
#define UBP_ITEM_H

#include "ops/ops.h"

typedef enum ubp_item_kind { UBP_ITEM_TENSOR, UBP_ITEM_SEQUENCE, UBP_ITEM_OPTIONAL } ubp_item_kind;

typedef struct ubp_item {
    int refs; /* a run is of one thread */
    ubp_item_kind kind;
    ub_tensor *tensor;      /* an owned handle */
    ubp_samples samples;    /* of a list: whether its length hangs on several samples */
    struct ubp_item **list; /* [n] of a sequence: tensors; of an optional: [0 or 1] */
    int64_t n;
    size_t *live; /* where its bytes are counted, NULL: nowhere */
    size_t bytes;
} ubp_item;

/* No batch axis, nothing mixed. */
#define UBP_NO_SAMPLES ((ubp_samples){.outer = 1, .inner = 1, .culprit = UBP_NO_NODE})

/* A tensor whose handle is taken over, also on failure. samples NULL: none. */
ub_status ubp_item_take(ubp_item **out, ub_tensor *t, const ubp_samples *samples, ub_error *err);
/* A view: shares its buffer, or borrows memory that outlives the run. */
ub_status ubp_item_view(ubp_item **out, const ub_tensor *view, const ubp_samples *samples,
                        ub_error *err);
/* A list of n empty places. */
ub_status ubp_item_list(ubp_item **out, ubp_item_kind kind, int64_t n, ub_error *err);
/* One more owner; NULL is fine. */
ubp_item *ubp_item_ref(ubp_item *item);
void ubp_item_free(ubp_item *item);
/* "a tensor", "a sequence", "an optional". */
const char *ubp_item_word(const ubp_item *item);

#endif
