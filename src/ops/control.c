/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Operators with bodies, and those of sequences and optionals. Here are only their names and
 * numbers of inputs: what they do with bodies and lists is exec/flow.c's and exec/lists.c's, since
 * an operator of this table knows tensors only.
 */
#include "ops/ops.h"

/* Nothing is known before they run. */
static ub_status flow_infer(const ubp_call *c)
{
    (void)c;
    return UBP_NEEDS_DATA;
}

static void flow_batch(ubp_batch *b)
{
    for (int k = 0; k < b->call->n_out; k++)
        ubp_samples_couple(b, k, "samples are followed through this operator only when it runs");
}

static ub_status flow_ref(const ubp_call *c)
{
    return ubp_op_fail(c, UB_ERR_INTERNAL, "cannot be run as a plain operator");
}

#define FLOW(op, least_in, most_in, most_out) FLOW_OF("", op, least_in, most_in, most_out)
#define FLOW_OF(own_domain, op, least_in, most_in, most_out)                                       \
    const ubp_op ubp_op_##op = {.name = #op,                                                       \
                                .domain = own_domain,                                              \
                                .min_in = least_in,                                                \
                                .max_in = most_in,                                                 \
                                .min_out = 1,                                                      \
                                .max_out = most_out,                                               \
                                .flags = UBP_FLOW,                                                 \
                                .infer = flow_infer,                                               \
                                .batch = flow_batch,                                               \
                                .ref = flow_ref}

enum { ANY = 127 };

FLOW(If, 1, 1, ANY);
FLOW(Loop, 0, ANY, ANY); /* trip count and condition may be left out */
FLOW(Scan, 0, ANY, ANY); /* opset 8 may leave out the lengths */
FLOW(SequenceMap, 1, ANY, ANY);
FLOW_OF("ai.onnx.preview", FlexAttention, 3, ANY, 1); /* bodies may read more */

FLOW(SequenceConstruct, 1, ANY, 1);
FLOW(SequenceEmpty, 0, 0, 1);
FLOW(SequenceAt, 2, 2, 1);
FLOW(SequenceInsert, 2, 3, 1);
FLOW(SequenceErase, 1, 2, 1);
FLOW(SequenceLength, 1, 1, 1);
FLOW(SplitToSequence, 1, 2, 1);
FLOW(ConcatFromSequence, 1, 1, 1);
FLOW(Optional, 0, 1, 1);
FLOW(OptionalHasElement, 0, 1, 1);
FLOW(OptionalGetElement, 1, 1, 1);
