/* SPDX-License-Identifier: Apache-2.0 */
/*
 * NonMaxSuppression: of boxes that overlap, the ones with the best scores, per image and class. How
 * many there are is only known from the data. Follows ONNX opset 11.
 *
 * boxes  [N][boxes][4] float32, two corners, or centre and size
 * scores [N][classes][boxes] float32
 * output [selected][3] int64: image, class, box
 */
#include "ops/move.h"

#include <stdlib.h>

typedef struct nms_attr {
    int64_t centered;
} nms_attr;

static ub_status nms_attrs(const ubp_node *node, void *attr, ubp_arena *arena, ub_error *err)
{
    nms_attr *a = attr;
    (void)arena;
    UBP_TRY(ubp_attr_int(node, "center_point_box", 0, &a->centered, err));
    if (a->centered != 0 && a->centered != 1)
        return ubp_fail(err, UB_ERR_FILE,
                        "node '%s' (NonMaxSuppression): center_point_box is %lld, expected 0 or 1",
                        node->name, (long long)a->centered);
    return UB_OK;
}

typedef struct candidate {
    float score;
    int64_t box;
} candidate;

typedef struct box {
    float y0, x0, y1, x1; /* y0 <= y1, x0 <= x1 */
} box;

/* Better first; of equal scores the lower box. */
static int by_score(const void *pa, const void *pb)
{
    const candidate *a = pa, *b = pb;
    if (a->score != b->score)
        return a->score > b->score ? -1 : 1;
    return a->box < b->box ? -1 : a->box > b->box;
}

static box read_box(const float *p, bool centered)
{
    if (centered)
        return (box){p[1] - p[3] / 2, p[0] - p[2] / 2, p[1] + p[3] / 2, p[0] + p[2] / 2};
    return (box){p[0] < p[2] ? p[0] : p[2], p[1] < p[3] ? p[1] : p[3], p[0] < p[2] ? p[2] : p[0],
                 p[1] < p[3] ? p[3] : p[1]};
}

static bool overlap(const box *a, const box *b, float limit)
{
    float x0 = a->x0 > b->x0 ? a->x0 : b->x0, x1 = a->x1 < b->x1 ? a->x1 : b->x1;
    float y0 = a->y0 > b->y0 ? a->y0 : b->y0, y1 = a->y1 < b->y1 ? a->y1 : b->y1;
    if (x1 <= x0 || y1 <= y0)
        return false;
    float both = (x1 - x0) * (y1 - y0);
    float area_a = (a->x1 - a->x0) * (a->y1 - a->y0), area_b = (b->x1 - b->x0) * (b->y1 - b->y0);
    float either = area_a + area_b - both;
    if (both <= 0 || area_a <= 0 || area_b <= 0 || either <= 0)
        return false;
    return both / either > limit;
}

/* What the inputs say, in plain form. */
typedef struct nms {
    const float *boxes, *scores; /* row-major */
    int64_t images, classes, n;
    int64_t max; /* selected per image and class */
    float overlap, least;
    bool has_least, centered;
    candidate *candidates; /* [n] */
    box *kept;             /* [n] */
} nms;

/* The boxes selected for one class of one image, into dst [][3] unless NULL; how many. */
static int64_t select_class(nms *m, int64_t image, int64_t class, int64_t *dst)
{
    const float *scores = m->scores + (image * m->classes + class) * m->n;
    const float *boxes = m->boxes + image * m->n * 4;
    int64_t count = 0, kept = 0;
    for (int64_t i = 0; i < m->n; i++)
        if (scores[i] == scores[i] && (!m->has_least || scores[i] > m->least))
            m->candidates[count++] = (candidate){scores[i], i};
    qsort(m->candidates, (size_t)count, sizeof *m->candidates, by_score);
    for (int64_t i = 0; i < count && kept < m->max; i++) {
        box b = read_box(boxes + m->candidates[i].box * 4, m->centered);
        bool free_standing = true;
        for (int64_t k = 0; k < kept && free_standing; k++)
            free_standing = !overlap(&b, &m->kept[k], m->overlap);
        if (!free_standing)
            continue;
        if (dst) {
            dst[kept * 3] = image;
            dst[kept * 3 + 1] = class;
            dst[kept * 3 + 2] = m->candidates[i].box;
        }
        m->kept[kept++] = b;
    }
    return kept;
}

static ub_status nms_check(const ubp_call *c)
{
    UBP_TRY(ubp_want_rank(c, 0, 3, 3));
    UBP_TRY(ubp_want_rank(c, 1, 3, 3));
    const ub_tensor *boxes = c->in[0], *scores = c->in[1];
    char text[UBP_SHAPE_TEXT], other[UBP_SHAPE_TEXT];
    if (boxes->dims[0] != scores->dims[0] || boxes->dims[1] != scores->dims[2] ||
        boxes->dims[2] != 4)
        return ubp_op_fail(c, UB_ERR_SHAPE,
                           "boxes are %s and scores %s, expected (N, boxes, 4) and (N, classes, "
                           "boxes)",
                           ubp_shape_text(text, 3, boxes->dims),
                           ubp_shape_text(other, 3, scores->dims));
    for (int i = 0; i < 5; i++) {
        ub_dtype want = i == 2 ? UB_I64 : UB_F32;
        if (!ubp_has_in(c, i))
            continue;
        if (c->in[i]->dtype != want)
            return ubp_op_fail(c, UB_ERR_SHAPE, "input %d is %s, expected %s", i,
                               ub_dtype_name(c->in[i]->dtype), ub_dtype_name(want));
        if (i >= 2 && ub_tensor_count(c->in[i]) != 1)
            return ubp_op_fail(c, UB_ERR_SHAPE, "input %d has %lld elements, expected one", i,
                               (long long)ub_tensor_count(c->in[i]));
        if (!c->in[i]->data && ub_tensor_count(c->in[i]) > 0)
            return UBP_NEEDS_DATA;
    }
    return UB_OK;
}

/* Selects; *count is how many. dst may be NULL. */
static ub_status nms_select(const ubp_call *c, int64_t *dst, int64_t *count)
{
    ub_tensor boxes, scores;
    void *own_boxes = NULL, *own_scores = NULL;
    *count = 0;
    nms m = {.images = c->in[1]->dims[0],
             .classes = c->in[1]->dims[1],
             .n = c->in[1]->dims[2],
             .centered = ((const nms_attr *)c->attr)->centered != 0,
             .has_least = ubp_has_in(c, 4)};
    if (ubp_has_in(c, 2))
        m.max = ubp_read_i64(c->in[2]->data, UB_I64);
    if (ubp_has_in(c, 3))
        m.overlap = (float)ubp_read_f64(c->in[3]->data, UB_F32);
    if (ubp_has_in(c, 4))
        m.least = (float)ubp_read_f64(c->in[4]->data, UB_F32);
    if (m.max <= 0 || ub_tensor_count(c->in[1]) == 0)
        return UB_OK;
    UBP_TRY(ubp_dense_input(c, 0, &boxes, &own_boxes));
    ub_status st = ubp_dense_input(c, 1, &scores, &own_scores);
    m.candidates = ubp_calloc((size_t)m.n, sizeof *m.candidates);
    m.kept = ubp_calloc((size_t)m.n, sizeof *m.kept);
    if (st == UB_OK && (!m.candidates || !m.kept))
        st = ubp_fail_memory(c->err, (size_t)m.n * sizeof *m.candidates);
    if (st == UB_OK) {
        m.boxes = boxes.data;
        m.scores = scores.data;
        for (int64_t i = 0; i < m.images * m.classes; i++)
            *count += select_class(&m, i / m.classes, i % m.classes, dst ? dst + *count * 3 : NULL);
    }
    ubp_free(m.candidates);
    ubp_free(m.kept);
    ubp_free(own_boxes);
    ubp_free(own_scores);
    return st;
}

static ub_status nms_infer(const ubp_call *c)
{
    int64_t dims[2] = {0, 3};
    UBP_TRY(nms_check(c));
    UBP_TRY(nms_select(c, NULL, &dims[0]));
    return ubp_set_out(c, 0, UB_I64, 2, dims);
}

static ub_status nms_ref(const ubp_call *c)
{
    int64_t count;
    return nms_select(c, c->out[0]->data, &count);
}

static void nms_batch(ubp_batch *b)
{
    if (ubp_samples_plain(b, 0, 4, "NonMaxSuppression lists the boxes of all samples together"))
        ubp_samples_fit(b, 0);
}

const ubp_op ubp_op_non_max_suppression = {
    .name = "NonMaxSuppression",
    .domain = "",
    .min_in = 2,
    .max_in = 5,
    .min_out = 1,
    .max_out = 1,
    .attr_size = sizeof(nms_attr),
    .attrs = nms_attrs,
    .infer = nms_infer,
    .batch = nms_batch,
    .ref = nms_ref,
};
