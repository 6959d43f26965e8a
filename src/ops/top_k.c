/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TopK: the k largest (or smallest) entries of every line along an axis, in order, and where they
 * were. Of equal entries the one with the lower index comes first; NaN counts as largest, as in
 * NumPy and PyTorch. Follows ONNX opset 24.
 */
#include "ops/move.h"

typedef struct top_k_attr {
    int64_t axis, largest, sorted;
} top_k_attr;

static ub_status top_k_attrs(const ubp_node *node, void *attr, ubp_arena *arena, ub_error *err)
{
    top_k_attr *a = attr;
    (void)arena;
    UBP_TRY(ubp_attr_int(node, "axis", -1, &a->axis, err));
    UBP_TRY(ubp_attr_int(node, "largest", 1, &a->largest, err));
    return ubp_attr_int(node, "sorted", 1, &a->sorted, err);
}

static ub_status top_k_infer(const ubp_call *c)
{
    const top_k_attr *attr = c->attr;
    const ub_tensor *in = c->in[0];
    int64_t k;
    int n, axis = 0;
    UBP_TRY(ubp_want_rank(c, 0, 1, UB_MAX_RANK));
    UBP_TRY(ubp_want_axis(c, attr->axis, in->rank, &axis));
    if (!ubp_is_float(in->dtype) && !ubp_is_integer(in->dtype))
        return ubp_op_fail(c, UB_ERR_SHAPE, "input 0 is %s, expected numbers",
                           ub_dtype_name(in->dtype));
    UBP_TRY(ubp_in_ints(c, 1, &k, &n, 1));
    if (n != 1 || k < 0 || k > in->dims[axis])
        return ubp_op_fail(c, UB_ERR_SHAPE, "k is %lld for an axis of %lld entries",
                           n == 1 ? (long long)k : -1LL, (long long)in->dims[axis]);
    ub_tensor part = ubp_part(in, axis, 0, 1, k);
    UBP_TRY(ubp_set_out(c, 0, in->dtype, in->rank, part.dims));
    return ubp_set_out(c, 1, UB_I64, in->rank, part.dims);
}

typedef struct entry {
    uint64_t key; /* larger: earlier in the output */
    int64_t index;
} entry;

static bool later(const entry *a, const entry *b)
{
    return a->key != b->key ? a->key < b->key : a->index > b->index;
}

/* A heap with the latest entry on top. */
static void sift(entry *heap, int64_t n, int64_t at)
{
    entry moved = heap[at];
    for (int64_t child; (child = 2 * at + 1) < n; at = child) {
        if (child + 1 < n && later(&heap[child + 1], &heap[child]))
            child++;
        if (!later(&heap[child], &moved))
            break;
        heap[at] = heap[child];
    }
    heap[at] = moved;
}

typedef struct top_k_job {
    const ub_tensor *in;
    char *values;     /* [before][k][after]; NULL: not wanted */
    int64_t *indices; /* [before][k][after]; NULL: not wanted */
    entry *heaps;     /* [lines][k] */
    int64_t len, k, after;
    uint64_t flip; /* all ones for the smallest */
} top_k_job;

/* The k best of a line; the heap keeps the latest of them on top. */
static void fill_heap(entry *heap, const top_k_job *j, const char *src, int64_t stride)
{
    enum { CHUNK = 256 };
    uint64_t keys[CHUNK];
    for (int64_t start = 0; start < j->len; start += CHUNK) {
        int64_t n = j->len - start < CHUNK ? j->len - start : CHUNK;
        ubp_order_keys(keys, src + start * stride, stride, n, j->in->dtype);
        for (int64_t c = 0; c < n; c++) {
            entry e = {keys[c] ^ j->flip, start + c};
            if (e.index < j->k) {
                heap[e.index] = e;
                for (int64_t at = e.index == j->k - 1 ? j->k / 2 : 0; at-- > 0;)
                    sift(heap, j->k, at);
            } else if (e.key > heap[0].key) { /* of equal ones the earlier stays */
                heap[0] = e;
                sift(heap, j->k, 0);
            }
        }
    }
}

static void top_k_lines(void *arg, int64_t begin, int64_t end)
{
    const top_k_job *j = arg;
    size_t size = ub_dtype_size(j->in->dtype);
    for (int64_t line = begin; line < end; line++) {
        int64_t before = line / j->after, column = line % j->after;
        const char *src = (const char *)j->in->data +
                          (size_t)(before * j->len * j->after + column) * size; /* [len][after] */
        entry *heap = j->heaps + line * j->k;
        fill_heap(heap, j, src, j->after * (int64_t)size);
        for (int64_t n = j->k; n-- > 0;) {
            int64_t to = (before * j->k + n) * j->after + column;
            if (j->values)
                ubp_copy_element(j->values + (size_t)to * size,
                                 src + (size_t)(heap[0].index * j->after) * size, size);
            if (j->indices)
                j->indices[to] = heap[0].index;
            heap[0] = heap[n];
            sift(heap, n, 0);
        }
    }
}

static ub_status top_k_ref(const ubp_call *c)
{
    const top_k_attr *attr = c->attr;
    const ub_tensor *in = c->in[0];
    int64_t k;
    int n, axis = 0;
    UBP_TRY(ubp_want_axis(c, attr->axis, in->rank, &axis));
    UBP_TRY(ubp_in_ints(c, 1, &k, &n, 1));
    if (k == 0 || ub_tensor_count(in) == 0)
        return UB_OK;
    top_k_job job = {.in = in,
                     .values = ubp_has_out(c, 0) ? c->out[0]->data : NULL,
                     .indices = ubp_has_out(c, 1) ? c->out[1]->data : NULL,
                     .len = in->dims[axis],
                     .k = k,
                     .after = ubp_span(in->dims, axis + 1, in->rank),
                     .flip = attr->largest ? 0 : UINT64_MAX};
    int64_t lines = ub_tensor_count(in) / job.len;
    size_t bytes;
    if (!ubp_mul_size((size_t)(lines * k), sizeof(entry), &bytes))
        return ubp_fail_memory(c->err, SIZE_MAX);
    job.heaps = ubp_run_scratch(c, bytes);
    if (!job.heaps)
        return UB_ERR_MEMORY;
    ubp_run_parallel(c->run, lines, 4096 / job.len + 1, top_k_lines, &job);
    return UB_OK;
}

static void top_k_batch(ubp_batch *b)
{
    const top_k_attr *attr = b->call->attr;
    int axis = 0;
    if (!ubp_samples_plain(b, 1, 1, "a k made from the samples") ||
        ubp_want_axis(b->call, attr->axis, b->call->in[0]->rank, &axis) != UB_OK)
        return;
    for (int k = 0; k < b->call->n_out; k++) {
        if (ubp_samples_mixes_axis(b, k, 0, axis, "TopK over the samples"))
            continue;
        if (ubp_has_samples(b, 0))
            ubp_samples_axis(b, k, 0, b->in[0].axis);
        b->out[k].sized = b->in[0].sized;
        ubp_samples_fit(b, k);
    }
}

const ubp_op ubp_op_top_k = {
    .name = "TopK",
    .domain = "",
    .min_in = 2,
    .max_in = 2,
    .min_out = 1,
    .max_out = 2,
    .attr_size = sizeof(top_k_attr),
    .attrs = top_k_attrs,
    .infer = top_k_infer,
    .batch = top_k_batch,
    .ref = top_k_ref,
};
