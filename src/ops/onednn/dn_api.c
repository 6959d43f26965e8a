/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The calls that differ between oneDNN 2 and oneDNN 3, behind one set of names: memory
 * descriptors, and from a spec to a primitive descriptor whose implementation the caller accepts.
 */
#include "ops/onednn/onednn.h"

#include <string.h>

dnnl_status_t ubp_dn_memory_new(dnnl_memory_t *out, dnnl_engine_t engine, ubp_dn_const d,
                                void *data)
{
    *out = NULL;
    return dnnl_memory_create(out, d, engine, data);
}

dnnl_status_t ubp_dn_reorder_new(dnnl_primitive_t *out, dnnl_engine_t engine, ubp_dn_const from,
                                 ubp_dn_const to)
{
    dnnl_primitive_desc_t desc = NULL;
    *out = NULL;
    dnnl_status_t st = dnnl_reorder_primitive_desc_create(&desc, from, engine, to, engine, NULL);
    if (st == dnnl_success)
        st = dnnl_primitive_create(out, desc);
    if (desc)
        dnnl_primitive_desc_destroy(desc);
    return st;
}

static bool is_any(const ubp_dn_operand *o)
{
    if (o->block)
        return false;
    for (int64_t i = 0; i < o->rank; i++)
        if (o->strides[i] != 0)
            return false;
    return true;
}

/* Images in blocks of UBP_DN_BLOCK channels. */
static dnnl_format_tag_t blocks(const ubp_dn_operand *o)
{
    return o->rank == 3 ? dnnl_nCw8c : o->rank == 4 ? dnnl_nChw8c : dnnl_nCdhw8c;
}

/* The name of the implementation that a descriptor stands for. */
static const char *name_of(const_dnnl_primitive_desc_t desc)
{
    const char *name = NULL;
    if (dnnl_primitive_desc_query(desc, dnnl_query_impl_info_str, 0, (void *)&name) !=
            dnnl_success ||
        !name)
        return "";
    return name;
}

static float number(int64_t bits)
{
    const int32_t low = (int32_t)bits;
    float f;
    memcpy(&f, &low, sizeof f);
    return f;
}

ubp_dn_operand ubp_dn_channels(const ubp_dn_spec *s)
{
    ubp_dn_operand o = {.rank = s->dst.rank};
    for (int64_t i = 0; i < o.rank; i++) {
        o.dims[i] = i == 1 ? s->dst.dims[1] : 1;
        o.strides[i] = i == 0 ? s->dst.dims[1] : 1;
    }
    return o;
}

static dnnl_status_t append_affine(dnnl_post_ops_t posts, const ubp_dn_spec *s)
{
    const ubp_dn_operand o = ubp_dn_channels(s);
    ubp_dn_desc d = NULL;
    dnnl_status_t st = ubp_dn_desc_new(&d, &o);
    if (st == dnnl_success)
        st = dnnl_post_ops_append_binary(posts, dnnl_binary_mul, d);
    if (st == dnnl_success)
        st = dnnl_post_ops_append_binary(posts, dnnl_binary_add, d);
    ubp_dn_desc_free(d);
    return st;
}

static dnnl_status_t append(dnnl_post_ops_t posts, const ubp_dn_spec *s)
{
    dnnl_status_t st = s->affine ? append_affine(posts, s) : dnnl_success;
#if DNNL_VERSION_MAJOR >= 3
    if (st == dnnl_success && s->sum)
        st = dnnl_post_ops_append_sum(posts, 1.0F, 0, dnnl_data_type_undef);
    if (st == dnnl_success && s->act)
        st = dnnl_post_ops_append_eltwise(posts, (dnnl_alg_kind_t)s->act, number(s->act_alpha),
                                          number(s->act_beta));
#else
    if (st == dnnl_success && s->sum)
        st = dnnl_post_ops_append_sum(posts, 1.0F);
    if (st == dnnl_success && s->act)
        st = dnnl_post_ops_append_eltwise(posts, 1.0F, (dnnl_alg_kind_t)s->act,
                                          number(s->act_alpha), number(s->act_beta));
#endif
    return st;
}

static dnnl_status_t attributes(dnnl_primitive_attr_t *out, const ubp_dn_spec *s)
{
    dnnl_post_ops_t posts = NULL;
    dnnl_status_t st = dnnl_primitive_attr_create(out);
    if (st == dnnl_success)
        st = dnnl_primitive_attr_set_scratchpad_mode(*out, dnnl_scratchpad_mode_user);
    if (st != dnnl_success || (!s->sum && !s->affine && !s->act))
        return st;
    st = dnnl_post_ops_create(&posts);
    if (st == dnnl_success)
        st = append(posts, s);
    if (st == dnnl_success)
        st = dnnl_primitive_attr_set_post_ops(*out, posts);
    if (posts)
        dnnl_post_ops_destroy(posts);
    return st;
}

/* The descriptors of a spec's operands; NULL where there is none. */
typedef struct descs {
    ubp_dn_desc src, weights, bias, dst;
} descs;

static dnnl_status_t descs_new(descs *m, const ubp_dn_spec *s)
{
    memset(m, 0, sizeof *m);
    dnnl_status_t st = ubp_dn_desc_new(&m->src, &s->src);
    if (st == dnnl_success)
        st = ubp_dn_desc_new(&m->dst, &s->dst);
    if (st == dnnl_success && s->weights.rank)
        st = ubp_dn_desc_new(&m->weights, &s->weights);
    if (st == dnnl_success && s->bias.rank)
        st = ubp_dn_desc_new(&m->bias, &s->bias);
    return st;
}

static void descs_free(descs *m)
{
    ubp_dn_desc_free(m->src);
    ubp_dn_desc_free(m->weights);
    ubp_dn_desc_free(m->bias);
    ubp_dn_desc_free(m->dst);
}

/* The window in arrays of the length oneDNN declares. */
typedef struct window {
    dnnl_dims_t kernel, stride, dilation, begin, end;
} window;

static void window_of(window *w, const ubp_dn_spec *s)
{
    memset(w, 0, sizeof *w);
    memcpy(w->kernel, s->kernel, sizeof s->kernel);
    memcpy(w->stride, s->stride, sizeof s->stride);
    memcpy(w->dilation, s->dilation, sizeof s->dilation);
    memcpy(w->begin, s->begin, sizeof s->begin);
    memcpy(w->end, s->end, sizeof s->end);
}

static unsigned norm_flags(const ubp_dn_spec *s)
{
    return (unsigned)dnnl_use_scale | (s->bias.rank ? (unsigned)dnnl_use_shift : 0);
}

static dnnl_alg_kind_t pooling(const ubp_dn_spec *s)
{
    return s->kind == UBP_DN_AVERAGE_POOL ? dnnl_pooling_avg_exclude_padding
                                          : dnnl_pooling_avg_include_padding;
}

#if DNNL_VERSION_MAJOR >= 3

dnnl_status_t ubp_dn_desc_new(ubp_dn_desc *out, const ubp_dn_operand *o)
{
    dnnl_dims_t dims = {0}, strides = {0};
    memcpy(dims, o->dims, sizeof o->dims);
    memcpy(strides, o->strides, sizeof o->strides);
    *out = NULL;
    if (is_any(o))
        return dnnl_memory_desc_create_with_tag(out, (int)o->rank, dims, dnnl_f32,
                                                dnnl_format_tag_any);
    if (o->block)
        return dnnl_memory_desc_create_with_tag(out, (int)o->rank, dims, dnnl_f32, blocks(o));
    return dnnl_memory_desc_create_with_strides(out, (int)o->rank, dims, dnnl_f32, strides);
}

dnnl_status_t ubp_dn_desc_copy(ubp_dn_desc *out, ubp_dn_const d)
{
    *out = NULL;
    return dnnl_memory_desc_clone(out, d);
}

void ubp_dn_desc_free(ubp_dn_desc d)
{
    if (d)
        dnnl_memory_desc_destroy(d);
}

static dnnl_status_t first(dnnl_primitive_desc_t *out, dnnl_engine_t engine, const ubp_dn_spec *s,
                           const descs *m, const_dnnl_primitive_attr_t attr)
{
    window w;
    window_of(&w, s);
    if (s->kind == UBP_DN_MATMUL)
        return dnnl_matmul_primitive_desc_create(out, engine, m->src, m->weights, m->bias, m->dst,
                                                 attr);
    if (s->kind == UBP_DN_LAYER_NORM)
        return dnnl_layer_normalization_forward_primitive_desc_create(
            out, engine, dnnl_forward_inference, m->src, m->dst, NULL, number(s->epsilon),
            norm_flags(s), attr);
    if (s->kind == UBP_DN_CONV)
        return dnnl_convolution_forward_primitive_desc_create(
            out, engine, dnnl_forward_inference, dnnl_convolution_direct, m->src, m->weights,
            m->bias, m->dst, w.stride, w.dilation, w.begin, w.end, attr);
    return dnnl_pooling_forward_primitive_desc_create(out, engine, dnnl_forward_inference,
                                                      pooling(s), m->src, m->dst, w.stride,
                                                      w.kernel, w.dilation, w.begin, w.end, attr);
}

static dnnl_status_t search(dnnl_primitive_desc_t *out, dnnl_engine_t engine, const ubp_dn_spec *s,
                            const descs *m, const_dnnl_primitive_attr_t attr,
                            bool (*takes)(const char *name))
{
    dnnl_primitive_desc_t desc = NULL;
    dnnl_status_t st = first(&desc, engine, s, m, attr);
    while (st == dnnl_success) {
        if (takes(name_of(desc))) {
            *out = desc;
            return st;
        }
        st = dnnl_primitive_desc_next_impl(desc);
    }
    if (desc)
        dnnl_primitive_desc_destroy(desc);
    return st == dnnl_last_impl_reached ? dnnl_success : st;
}

#else

dnnl_status_t ubp_dn_desc_new(ubp_dn_desc *out, const ubp_dn_operand *o)
{
    dnnl_dims_t dims = {0}, strides = {0};
    memcpy(dims, o->dims, sizeof o->dims);
    memcpy(strides, o->strides, sizeof o->strides);
    *out = ubp_malloc(sizeof **out);
    if (!*out)
        return dnnl_out_of_memory;
    dnnl_format_tag_t tag = o->block ? blocks(o) : dnnl_format_tag_any;
    dnnl_status_t st =
        o->block || is_any(o)
            ? dnnl_memory_desc_init_by_tag(*out, (int)o->rank, dims, dnnl_f32, tag)
            : dnnl_memory_desc_init_by_strides(*out, (int)o->rank, dims, dnnl_f32, strides);
    if (st != dnnl_success) {
        ubp_free(*out);
        *out = NULL;
    }
    return st;
}

dnnl_status_t ubp_dn_desc_copy(ubp_dn_desc *out, ubp_dn_const d)
{
    *out = ubp_malloc(sizeof **out);
    if (!*out)
        return dnnl_out_of_memory;
    **out = *d;
    return dnnl_success;
}

void ubp_dn_desc_free(ubp_dn_desc d)
{
    ubp_free(d);
}

/* One of oneDNN 2's operation descriptors. */
typedef union operation {
    dnnl_convolution_desc_t conv;
    dnnl_pooling_v2_desc_t pool;
    dnnl_matmul_desc_t matmul;
    dnnl_layer_normalization_desc_t norm;
} operation;

static dnnl_status_t describe(operation *op, const ubp_dn_spec *s, const descs *m)
{
    window w;
    window_of(&w, s);
    if (s->kind == UBP_DN_MATMUL)
        return dnnl_matmul_desc_init(&op->matmul, m->src, m->weights, m->bias, m->dst);
    if (s->kind == UBP_DN_LAYER_NORM)
        return dnnl_layer_normalization_forward_desc_init(&op->norm, dnnl_forward_inference, m->src,
                                                          NULL, number(s->epsilon), norm_flags(s));
    if (s->kind == UBP_DN_CONV)
        return dnnl_dilated_convolution_forward_desc_init(
            &op->conv, dnnl_forward_inference, dnnl_convolution_direct, m->src, m->weights, m->bias,
            m->dst, w.stride, w.dilation, w.begin, w.end);
    return dnnl_pooling_v2_forward_desc_init(&op->pool, dnnl_forward_inference, pooling(s), m->src,
                                             m->dst, w.stride, w.kernel, w.dilation, w.begin,
                                             w.end);
}

static dnnl_status_t search(dnnl_primitive_desc_t *out, dnnl_engine_t engine, const ubp_dn_spec *s,
                            const descs *m, const_dnnl_primitive_attr_t attr,
                            bool (*takes)(const char *name))
{
    operation op;
    memset(&op, 0, sizeof op);
    dnnl_primitive_desc_iterator_t it = NULL;
    dnnl_status_t st = describe(&op, s, m);
    if (st == dnnl_success)
        st = dnnl_primitive_desc_iterator_create(&it, &op, attr, engine, NULL);
    while (st == dnnl_success) {
        dnnl_primitive_desc_t desc = dnnl_primitive_desc_iterator_fetch(it);
        if (!desc) {
            st = dnnl_out_of_memory;
            break;
        }
        if (takes(name_of(desc))) {
            *out = desc;
            break;
        }
        dnnl_primitive_desc_destroy(desc);
        st = dnnl_primitive_desc_iterator_next(it);
    }
    if (it)
        dnnl_primitive_desc_iterator_destroy(it);
    return st == dnnl_iterator_ends ? dnnl_success : st;
}

#endif

dnnl_status_t ubp_dn_find(dnnl_primitive_desc_t *out, dnnl_engine_t engine, const ubp_dn_spec *spec,
                          bool (*takes)(const char *name))
{
    dnnl_primitive_attr_t attr = NULL;
    descs m;
    *out = NULL;
    dnnl_status_t st = descs_new(&m, spec);
    if (st == dnnl_success)
        st = attributes(&attr, spec);
    if (st == dnnl_success)
        st = search(out, engine, spec, &m, attr, takes);
    if (attr)
        dnnl_primitive_attr_destroy(attr);
    descs_free(&m);
    /* What oneDNN does not have, or refuses to describe, is left to the reference kernels. */
    return st == dnnl_unimplemented || st == dnnl_invalid_arguments ? dnnl_success : st;
}
