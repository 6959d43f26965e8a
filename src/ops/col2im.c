/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Col2Im: blocks that were cut from images are put back, adding up where they overlap. Any number
 * of image axes. Follows ONNX opset 18.
 *
 * src [N][C * block elements][blocks]
 * dst [N][C][image]
 */
#include <string.h>

#include "ops/move.h"

typedef struct col2im_attr {
    const int64_t *strides, *pads, *dilations; /* NULL: all 1, 0, 1 */
    int n_strides, n_pads, n_dilations;
} col2im_attr;

static ub_status col2im_attrs(const ubp_node *node, void *attr, ubp_arena *arena, ub_error *err)
{
    col2im_attr *a = attr;
    (void)arena;
    UBP_TRY(ubp_attr_ints(node, "strides", &a->strides, &a->n_strides, err));
    UBP_TRY(ubp_attr_ints(node, "pads", &a->pads, &a->n_pads, err));
    return ubp_attr_ints(node, "dilations", &a->dilations, &a->n_dilations, err);
}

typedef struct fold_spec {
    int rank; /* of the image */
    int64_t image[UB_MAX_RANK], block[UB_MAX_RANK], stride[UB_MAX_RANK], dilation[UB_MAX_RANK];
    int64_t pad[UB_MAX_RANK];           /* before */
    int64_t blocks[UB_MAX_RANK];        /* along each axis */
    int64_t n_block, n_blocks, n_image; /* products */
} fold_spec;

/* How many blocks fit along axis i. */
static ub_status fold_axis(const ubp_call *c, fold_spec *s, int i, int64_t pad_end)
{
    int64_t limit = INT32_MAX;
    bool sane = s->image[i] > 0 && s->image[i] <= limit && s->block[i] > 0 &&
                s->block[i] <= limit && s->stride[i] > 0 && s->stride[i] <= limit &&
                s->dilation[i] > 0 && s->dilation[i] <= limit && s->pad[i] >= 0 &&
                s->pad[i] <= limit && pad_end >= 0 && pad_end <= limit;
    int64_t room = 0;
    if (sane)
        room = s->image[i] + s->pad[i] + pad_end - s->dilation[i] * (s->block[i] - 1) - 1;
    if (!sane || room < 0)
        return ubp_op_fail(c, UB_ERR_SHAPE,
                           "axis %d: an image of %lld with pads %lld and %lld has no room for a "
                           "block of %lld, dilation %lld, stride %lld",
                           i, (long long)s->image[i], (long long)s->pad[i], (long long)pad_end,
                           (long long)s->block[i], (long long)s->dilation[i],
                           (long long)s->stride[i]);
    s->blocks[i] = room / s->stride[i] + 1;
    return UB_OK;
}

static ub_status fold_parse(const ubp_call *c, fold_spec *s)
{
    const col2im_attr *attr = c->attr;
    const ub_tensor *in = c->in[0];
    int n;
    UBP_TRY(ubp_want_rank(c, 0, 3, 3));
    UBP_TRY(ubp_in_ints(c, 1, s->image, &s->rank, UB_MAX_RANK - 2));
    UBP_TRY(ubp_in_ints(c, 2, s->block, &n, UB_MAX_RANK - 2));
    if (n != s->rank || (attr->strides && attr->n_strides != n) ||
        (attr->dilations && attr->n_dilations != n) || (attr->pads && attr->n_pads != 2 * n))
        return ubp_op_fail(c, UB_ERR_SHAPE,
                           "an image of %d axes: block_shape, strides, dilations or pads differ in "
                           "number",
                           s->rank);
    s->n_block = s->n_blocks = s->n_image = 1;
    for (int i = 0; i < n; i++) {
        s->stride[i] = attr->strides ? attr->strides[i] : 1;
        s->dilation[i] = attr->dilations ? attr->dilations[i] : 1;
        s->pad[i] = attr->pads ? attr->pads[i] : 0;
        UBP_TRY(fold_axis(c, s, i, attr->pads ? attr->pads[n + i] : 0));
        if (!ubp_mul_i64(s->n_block, s->block[i], &s->n_block) ||
            !ubp_mul_i64(s->n_blocks, s->blocks[i], &s->n_blocks) ||
            !ubp_mul_i64(s->n_image, s->image[i], &s->n_image))
            return ubp_op_fail(c, UB_ERR_SHAPE, "the image is too large");
    }
    if (in->dims[1] % s->n_block != 0 || in->dims[2] != s->n_blocks)
        return ubp_op_fail(c, UB_ERR_SHAPE,
                           "input 0 has dims %lld and %lld, expected a multiple of %lld and %lld",
                           (long long)in->dims[1], (long long)in->dims[2], (long long)s->n_block,
                           (long long)s->n_blocks);
    return UB_OK;
}

static ub_status col2im_infer(const ubp_call *c)
{
    fold_spec s;
    int64_t dims[UB_MAX_RANK];
    if (!ubp_is_float(c->in[0]->dtype) && !ubp_is_integer(c->in[0]->dtype))
        return ubp_op_fail(c, UB_ERR_UNSUPPORTED, "Col2Im of %s", ub_dtype_name(c->in[0]->dtype));
    UBP_TRY(fold_parse(c, &s));
    dims[0] = c->in[0]->dims[0];
    dims[1] = c->in[0]->dims[1] / s.n_block;
    memcpy(dims + 2, s.image, (size_t)s.rank * sizeof *dims);
    return ubp_set_out(c, 0, c->in[0]->dtype, s.rank + 2, dims);
}

typedef struct fold_job {
    const fold_spec *s;
    const char *src; /* [planes][block elements][blocks] */
    char *dst;       /* [planes][image] */
} fold_job;

/* Where element `at` of block `block` goes in the image; -1: into the padding. */
static int64_t fold_place(const fold_spec *s, const int64_t *block, const int64_t *at)
{
    int64_t place = 0;
    for (int i = 0; i < s->rank; i++) {
        int64_t x = block[i] * s->stride[i] - s->pad[i] + at[i] * s->dilation[i];
        if (x < 0 || x >= s->image[i])
            return -1;
        place = place * s->image[i] + x;
    }
    return place;
}

/* One plane (sample and channel) per index. Unsigned arithmetic wraps. */
#define FOLD(name, type)                                                                           \
    static void name(void *arg, int64_t begin, int64_t end)                                        \
    {                                                                                              \
        const fold_job *j = arg;                                                                   \
        const fold_spec *s = j->s;                                                                 \
        for (int64_t plane = begin; plane < end; plane++) {                                        \
            const type *src = (const type *)j->src + plane * s->n_block * s->n_blocks;             \
            type *dst = (type *)j->dst + plane * s->n_image;                                       \
            int64_t at[UB_MAX_RANK] = {0};                                                         \
            memset(dst, 0, (size_t)s->n_image * sizeof *dst);                                      \
            for (int64_t e = 0; e < s->n_block; e++) {                                             \
                int64_t block[UB_MAX_RANK] = {0};                                                  \
                for (int64_t i = 0; i < s->n_blocks; i++) {                                        \
                    int64_t place = fold_place(s, block, at);                                      \
                    if (place >= 0)                                                                \
                        dst[place] = (type)(dst[place] + src[e * s->n_blocks + i]);                \
                    ubp_next_index(block, s->rank, s->blocks);                                     \
                }                                                                                  \
                ubp_next_index(at, s->rank, s->block);                                             \
            }                                                                                      \
        }                                                                                          \
    }

FOLD(fold_f32, float)
FOLD(fold_f64, double)
FOLD(fold_u8, uint8_t)
FOLD(fold_u16, uint16_t)
FOLD(fold_u32, uint32_t)
FOLD(fold_u64, uint64_t)

static ub_status col2im_ref(const ubp_call *c)
{
    ub_dtype dtype = c->in[0]->dtype;
    size_t size = ub_dtype_size(dtype);
    fold_spec s;
    UBP_TRY(fold_parse(c, &s));
    fold_job job = {&s, c->in[0]->data, c->out[0]->data};
    void (*fn)(void *, int64_t, int64_t) = dtype == UB_F32   ? fold_f32
                                           : dtype == UB_F64 ? fold_f64
                                           : size == 1       ? fold_u8
                                           : size == 2       ? fold_u16
                                           : size == 4       ? fold_u32
                                                             : fold_u64;
    ubp_run_parallel(c->run, c->out[0]->dims[0] * c->out[0]->dims[1], 1, fn, &job);
    return UB_OK;
}

static void col2im_batch(ubp_batch *b)
{
    if (!ubp_samples_plain(b, 1, 2, "sizes made from the samples"))
        return;
    if (ubp_has_samples(b, 0) && b->in[0].axis != 0)
        ubp_samples_couple(b, 0, "Col2Im adds blocks of different samples");
    else
        ubp_samples_keep(b, 0, 0);
    b->out[0].sized = b->out[0].positional = false;
}

const ubp_op ubp_op_col2im = {
    .name = "Col2Im",
    .domain = "",
    .min_in = 3,
    .max_in = 3,
    .min_out = 1,
    .max_out = 1,
    .flags = UBP_WIDEN,
    .attr_size = sizeof(col2im_attr),
    .attrs = col2im_attrs,
    .infer = col2im_infer,
    .batch = col2im_batch,
    .ref = col2im_ref,
};
