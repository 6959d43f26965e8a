/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ai.onnx.ml ZipMap: names for the columns of a classifier's scores. ONNX makes a sequence of maps
 * of it, one a row; here the scores stay the tensor that they are, and the names are asked for
 * beside it (ub_columns()). Opset 1.
 */
#include "ops/ml.h"

static ub_status zip_attrs(const ubp_node *n, void *attr, ubp_arena *arena, ub_error *err)
{
    ubp_ml_labels *labels = attr;
    (void)arena;
    UBP_TRY(ubp_ml_read_labels(n, "classlabels_int64s", "classlabels_strings", labels, err));
    if (labels->n > 0)
        return UB_OK;
    return ubp_fail(err, UB_ERR_FILE, "node '%s' (ZipMap): no class labels", n->name);
}

static ub_status zip_infer(const ubp_call *c)
{
    const ubp_ml_labels *labels = c->attr;
    UBP_TRY(ubp_want_rank(c, 0, 1, 2));
    UBP_TRY(ubp_want_float(c, 0));
    const ub_tensor *x = c->in[0];
    if (x->dims[x->rank - 1] != labels->n)
        return ubp_op_fail(c, UB_ERR_SHAPE, "%lld scores a row for %lld labels",
                           (long long)x->dims[x->rank - 1], (long long)labels->n);
    return ubp_set_like(c, 0, 0);
}

static bool zip_view(const ubp_call *c, int k, int64_t *offset)
{
    for (int a = 0; a < c->in[0]->rank; a++)
        c->out[k]->strides[a] = c->in[0]->strides[a];
    *offset = 0;
    return true;
}

static ub_status zip_ref(const ubp_call *c)
{
    ubp_tensor_move(c->out[0], c->in[0]);
    return UB_OK;
}

const ubp_op ubp_op_ZipMap = {
    .name = "ZipMap",
    .domain = "ai.onnx.ml",
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .flags = UBP_STRIDED,
    .attr_size = sizeof(ubp_ml_labels),
    .attrs = zip_attrs,
    .infer = zip_infer,
    .batch = ubp_batch_elementwise,
    .view = zip_view,
    .ref = zip_ref,
};
