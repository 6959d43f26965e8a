/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ReverseSequence: the first entries of each sequence of a batch in reverse, the rest as they are.
 * Follows ONNX opset 28.
 */
#include "ops/move.h"

typedef struct reverse_attr {
    int64_t batch_axis, time_axis;
} reverse_attr;

static ub_status reverse_attrs(const ubp_node *node, void *attr, ubp_arena *arena, ub_error *err)
{
    reverse_attr *a = attr;
    (void)arena;
    UBP_TRY(ubp_attr_int(node, "batch_axis", 1, &a->batch_axis, err));
    UBP_TRY(ubp_attr_int(node, "time_axis", 0, &a->time_axis, err));
    if (a->batch_axis + a->time_axis != 1 || a->batch_axis < 0 || a->batch_axis > 1)
        return ubp_fail(err, UB_ERR_FILE,
                        "node '%s' (ReverseSequence): batch_axis %lld and time_axis %lld, expected "
                        "0 and 1 or 1 and 0",
                        node->name, (long long)a->batch_axis, (long long)a->time_axis);
    return UB_OK;
}

static ub_status reverse_infer(const ubp_call *c)
{
    const reverse_attr *attr = c->attr;
    UBP_TRY(ubp_want_rank(c, 0, 2, UB_MAX_RANK));
    UBP_TRY(ubp_want_rank(c, 1, 1, 1));
    UBP_TRY(ubp_want_index(c, 1));
    if (c->in[1]->dims[0] != c->in[0]->dims[attr->batch_axis])
        return ubp_op_fail(c, UB_ERR_SHAPE, "%lld lengths for %lld sequences",
                           (long long)c->in[1]->dims[0],
                           (long long)c->in[0]->dims[attr->batch_axis]);
    return ubp_set_like(c, 0, 0);
}

static ub_status reverse_ref(const ubp_call *c)
{
    const reverse_attr *attr = c->attr;
    const ub_tensor *in = c->in[0], *out = c->out[0];
    int batch = (int)attr->batch_axis, time = (int)attr->time_axis;
    int64_t *lengths, len = in->dims[time];
    UBP_TRY(ubp_index_data(c, 1, &lengths));
    for (int64_t i = 0; i < in->dims[batch]; i++) {
        int64_t n = lengths[i];
        if (n < 0 || n > len)
            return ubp_op_fail(c, UB_ERR_SHAPE, "sequence %lld is %lld long, expected 0 to %lld",
                               (long long)i, (long long)n, (long long)len);
        ub_tensor src = ubp_part(in, batch, i, 1, 1), dst = ubp_part(out, batch, i, 1, 1);
        if (n > 0) {
            ub_tensor from = ubp_part(&src, time, n - 1, -1, n);
            ub_tensor to = ubp_part(&dst, time, 0, 1, n);
            ubp_run_move(c->run, &to, &from);
        }
        src = ubp_part(&src, time, n, 1, len - n);
        dst = ubp_part(&dst, time, n, 1, len - n);
        ubp_run_move(c->run, &dst, &src);
    }
    return UB_OK;
}

static void reverse_batch(ubp_batch *b)
{
    const reverse_attr *attr = b->call->attr;
    const ubp_samples *data = &b->in[0], *lengths = &b->in[1];
    bool data_has = ubp_has_samples(b, 0), lengths_have = ubp_has_samples(b, 1);
    ubp_samples_words(b, 0, 0);
    b->out[0].positional = false;
    if (data_has)
        ubp_samples_axis(b, 0, 0, data->axis);
    else if (lengths_have)
        ubp_samples_axis(b, 0, 1, (int)attr->batch_axis);
    if (data_has && data->axis == attr->time_axis)
        ubp_samples_couple(b, 0, "ReverseSequence over the samples");
    else if (data_has && data->axis != attr->batch_axis && lengths_have)
        ubp_samples_couple(b, 0, "samples lie on different axes of sequences and lengths");
    else if (data_has && lengths_have && !ubp_same_folding(data, lengths))
        ubp_samples_couple(b, 0, "samples are folded in different ways");
    else if (!ubp_samples_single(b) && data_has != lengths_have &&
             (!data_has || data->axis == attr->batch_axis))
        ubp_samples_couple(b, 0, "a constant has a row per place in the batch");
    if (lengths->sized || lengths->positional)
        ubp_samples_couple(b, 0, "uses the number of samples as data");
    ubp_samples_fit(b, 0);
}

const ubp_op ubp_op_reverse_sequence = {
    .name = "ReverseSequence",
    .domain = "",
    .min_in = 2,
    .max_in = 2,
    .min_out = 1,
    .max_out = 1,
    .flags = UBP_STRIDED,
    .attr_size = sizeof(reverse_attr),
    .attrs = reverse_attrs,
    .infer = reverse_infer,
    .batch = reverse_batch,
    .ref = reverse_ref,
};
