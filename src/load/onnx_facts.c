/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Dtypes and ranks of values that the file does not describe, as far as simple rules give them.
 * Rewriting old opsets wants them now and then: where they are not known it falls back on nodes
 * that find out when the model runs. Nothing else uses them; the plan has shape rules of its own.
 */
#include "load/onnx.h"

#include <string.h>

/* How output 0 follows from the inputs. */
typedef enum rank_rule { R_NONE, R_LIKE_0, R_BROADCAST, R_TWO, R_ONE } rank_rule;
typedef enum type_rule { T_NONE, T_LIKE_0, T_BOOL, T_INT64, T_LIKE_1 } type_rule;

typedef struct rule {
    const char *op;
    type_rule type;
    rank_rule rank;
} rule;

/* Sorted by name. */
static const rule rules[] = {
    {"Abs", T_LIKE_0, R_LIKE_0},
    {"Add", T_LIKE_0, R_BROADCAST},
    {"And", T_BOOL, R_BROADCAST},
    {"AveragePool", T_LIKE_0, R_LIKE_0},
    {"BatchNormalization", T_LIKE_0, R_LIKE_0},
    {"Cast", T_NONE, R_LIKE_0},
    {"Clip", T_LIKE_0, R_LIKE_0},
    {"Concat", T_LIKE_0, R_LIKE_0},
    {"Conv", T_LIKE_0, R_LIKE_0},
    {"ConvTranspose", T_LIKE_0, R_LIKE_0},
    {"CumSum", T_LIKE_0, R_LIKE_0},
    {"DepthToSpace", T_LIKE_0, R_LIKE_0},
    {"DequantizeLinear", T_LIKE_1, R_LIKE_0},
    {"Div", T_LIKE_0, R_BROADCAST},
    {"Dropout", T_LIKE_0, R_LIKE_0},
    {"Elu", T_LIKE_0, R_LIKE_0},
    {"Equal", T_BOOL, R_BROADCAST},
    {"Erf", T_LIKE_0, R_LIKE_0},
    {"Exp", T_LIKE_0, R_LIKE_0},
    {"Expand", T_LIKE_0, R_NONE},
    {"Flatten", T_LIKE_0, R_TWO},
    {"Gather", T_LIKE_0, R_NONE},
    {"Gemm", T_LIKE_0, R_TWO},
    {"GlobalAveragePool", T_LIKE_0, R_LIKE_0},
    {"GlobalMaxPool", T_LIKE_0, R_LIKE_0},
    {"Greater", T_BOOL, R_BROADCAST},
    {"HardSigmoid", T_LIKE_0, R_LIKE_0},
    {"Identity", T_LIKE_0, R_LIKE_0},
    {"InstanceNormalization", T_LIKE_0, R_LIKE_0},
    {"LRN", T_LIKE_0, R_LIKE_0},
    {"LeakyRelu", T_LIKE_0, R_LIKE_0},
    {"Less", T_BOOL, R_BROADCAST},
    {"Log", T_LIKE_0, R_LIKE_0},
    {"LogSoftmax", T_LIKE_0, R_LIKE_0},
    {"MatMul", T_LIKE_0, R_NONE},
    {"Max", T_LIKE_0, R_BROADCAST},
    {"MaxPool", T_LIKE_0, R_LIKE_0},
    {"Mean", T_LIKE_0, R_BROADCAST},
    {"Min", T_LIKE_0, R_BROADCAST},
    {"Mul", T_LIKE_0, R_BROADCAST},
    {"Neg", T_LIKE_0, R_LIKE_0},
    {"Not", T_BOOL, R_LIKE_0},
    {"Or", T_BOOL, R_BROADCAST},
    {"PRelu", T_LIKE_0, R_LIKE_0},
    {"Pad", T_LIKE_0, R_LIKE_0},
    {"Pow", T_LIKE_0, R_BROADCAST},
    {"Reciprocal", T_LIKE_0, R_LIKE_0},
    {"ReduceMax", T_LIKE_0, R_NONE},
    {"ReduceMean", T_LIKE_0, R_NONE},
    {"ReduceSum", T_LIKE_0, R_NONE},
    {"Relu", T_LIKE_0, R_LIKE_0},
    {"Reshape", T_LIKE_0, R_NONE},
    {"Resize", T_LIKE_0, R_LIKE_0},
    {"Selu", T_LIKE_0, R_LIKE_0},
    {"Shape", T_INT64, R_ONE},
    {"Sigmoid", T_LIKE_0, R_LIKE_0},
    {"Slice", T_LIKE_0, R_LIKE_0},
    {"Softmax", T_LIKE_0, R_LIKE_0},
    {"Softplus", T_LIKE_0, R_LIKE_0},
    {"Softsign", T_LIKE_0, R_LIKE_0},
    {"Split", T_LIKE_0, R_LIKE_0},
    {"Sqrt", T_LIKE_0, R_LIKE_0},
    {"Squeeze", T_LIKE_0, R_NONE},
    {"Sub", T_LIKE_0, R_BROADCAST},
    {"Sum", T_LIKE_0, R_BROADCAST},
    {"Tanh", T_LIKE_0, R_LIKE_0},
    {"Transpose", T_LIKE_0, R_LIKE_0},
    {"Unsqueeze", T_LIKE_0, R_NONE},
    {"Where", T_LIKE_1, R_BROADCAST},
};

static const rule *find_rule(const char *op)
{
    size_t low = 0, high = UBP_COUNT(rules);
    while (low < high) {
        const size_t mid = (low + high) / 2;
        const int c = strcmp(op, rules[mid].op);
        if (c == 0)
            return &rules[mid];
        if (c < 0)
            high = mid;
        else
            low = mid + 1;
    }
    return NULL;
}

ubp_onnx_fact ubp_onnx_fact_of(const ubp_onnx_scope *s, int32_t value)
{
    ubp_onnx_fact fact = {UB_UNDEFINED, -1};
    if (value == UBP_NO_VALUE)
        return fact;
    if ((size_t)value < s->n_facts)
        fact = s->facts[value];
    const ubp_value *v = &s->g->values[value];
    if (v->dtype != UB_UNDEFINED)
        fact.dtype = v->dtype;
    if (v->rank >= 0)
        fact.rank = v->rank;
    return fact;
}

static ubp_onnx_fact input_fact(const ubp_onnx_scope *s, const ubp_node *n, int k)
{
    return ubp_onnx_fact_of(s, k < n->n_in ? n->in[k] : UBP_NO_VALUE);
}

/* The number of elements of input k when it is a list of known length, else -1. */
static int list_length(const ubp_onnx_scope *s, const ubp_node *n, int k)
{
    if (k >= n->n_in || n->in[k] == UBP_NO_VALUE)
        return -1;
    const ubp_value *v = &s->g->values[n->in[k]];
    const bool known = v->rank == 1 && v->dims[0] >= 0 && v->dims[0] <= UB_MAX_RANK;
    return known ? (int)v->dims[0] : -1;
}

static int broadcast_rank(const ubp_onnx_scope *s, const ubp_node *n)
{
    int rank = -1;
    for (int k = 0; k < n->n_in; k++) {
        const int r = input_fact(s, n, k).rank;
        if (r < 0)
            return -1;
        rank = r > rank ? r : rank;
    }
    return rank;
}

/* Ranks that follow from more than a copy. */
static int special_rank(const ubp_onnx_scope *s, const ubp_node *n)
{
    const int r0 = input_fact(s, n, 0).rank, r1 = input_fact(s, n, 1).rank;
    const int length = list_length(s, n, 1);
    if (strcmp(n->op_type, "Reshape") == 0)
        return length;
    if (strcmp(n->op_type, "Gather") == 0)
        return r0 > 0 && r1 >= 0 ? r0 + r1 - 1 : -1;
    if (strcmp(n->op_type, "MatMul") == 0)
        return r0 >= 2 && r1 >= 2 ? (r0 > r1 ? r0 : r1) : -1;
    if (strcmp(n->op_type, "Unsqueeze") == 0)
        return r0 >= 0 && length >= 0 ? r0 + length : -1;
    if (strcmp(n->op_type, "Squeeze") == 0)
        return r0 >= length && length >= 0 ? r0 - length : -1;
    if (strncmp(n->op_type, "Reduce", 6) == 0) {
        const ubp_attr *keep = ubp_node_attr(n, "keepdims");
        return !keep || keep->i != 0 ? r0 : -1;
    }
    return -1;
}

static int output_rank(const ubp_onnx_scope *s, const ubp_node *n, rank_rule how)
{
    switch (how) {
    case R_LIKE_0:
        return input_fact(s, n, 0).rank;
    case R_BROADCAST:
        return broadcast_rank(s, n);
    case R_TWO:
        return 2;
    case R_ONE:
        return 1;
    default:
        return special_rank(s, n);
    }
}

static ub_dtype output_dtype(const ubp_onnx_scope *s, const ubp_node *n, type_rule how)
{
    switch (how) {
    case T_LIKE_0:
        return input_fact(s, n, 0).dtype;
    case T_LIKE_1:
        return input_fact(s, n, 1).dtype;
    case T_BOOL:
        return UB_BOOL;
    case T_INT64:
        return UB_I64;
    default:
        break;
    }
    const ubp_attr *to = ubp_node_attr(n, "to"); /* Cast */
    const bool known = to && to->kind == UBP_ATTR_INT && to->i > 0 && to->i <= INT16_MAX;
    return known && ub_dtype_size((ub_dtype)to->i) > 0 ? (ub_dtype)to->i : UB_UNDEFINED;
}

ub_status ubp_onnx_fact_note(ubp_onnx_scope *s, const ubp_node *node)
{
    const rule *r = *node->domain ? NULL : find_rule(node->op_type);
    if (!r)
        return UB_OK;
    const ubp_onnx_fact fact = {output_dtype(s, node, r->type), output_rank(s, node, r->rank)};
    while (s->n_facts < s->g->n_values) {
        UBP_TRY(ubp_grow((void **)&s->facts, &s->cap_facts, s->n_facts, sizeof(ubp_onnx_fact),
                         s->onnx->err));
        s->facts[s->n_facts++] = (ubp_onnx_fact){UB_UNDEFINED, -1};
    }
    /* Outputs after the first: the other parts of Split; others (masks, indices) differ. */
    const int n_out = strcmp(node->op_type, "Split") == 0 ? node->n_out : node->n_out > 0;
    for (int k = 0; k < n_out; k++)
        if (node->out[k] != UBP_NO_VALUE)
            s->facts[node->out[k]] = fact;
    return UB_OK;
}
