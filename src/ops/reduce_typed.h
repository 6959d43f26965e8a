/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One element type's share of reduce.c, which includes this file once a type: REDUCE_T is the
 * element, REDUCE_A what sums are kept in, REDUCE_C(add) and so on its arithmetic, REDUCE_(name)
 * gives the functions their names.
 */

/* acc[j] takes n elements of output j, which lie `step` apart; outputs lie `across` apart. */
static void REDUCE_(fold)(fold_kind kind, REDUCE_A *acc, const REDUCE_A *shift, const REDUCE_T *src,
                          int64_t width, int64_t across, int64_t n, int64_t step)
{
#define EACH(UPDATE)                                                                               \
    for (int64_t i = 0; i < n; i++)                                                                \
        for (int64_t j = 0; j < width; j++) {                                                      \
            REDUCE_A v = (REDUCE_A)src[i * step + j * across];                                     \
            UPDATE;                                                                                \
        }
    switch (kind) {
    case FOLD_SUM:
        EACH(acc[j] = REDUCE_C(add)(acc[j], v))
        break;
    case FOLD_ABS:
        EACH(acc[j] = REDUCE_C(add)(acc[j], REDUCE_C(abs)(v)))
        break;
    case FOLD_SQUARE:
        EACH(acc[j] = REDUCE_C(add)(acc[j], REDUCE_C(mul)(v, v)))
        break;
    case FOLD_PRODUCT:
        EACH(acc[j] = REDUCE_C(mul)(acc[j], v))
        break;
    case FOLD_MAX:
        EACH(acc[j] = v > acc[j] || REDUCE_C(nan)(v) ? v : acc[j])
        break;
    case FOLD_MIN:
        EACH(acc[j] = v < acc[j] || REDUCE_C(nan)(v) ? v : acc[j])
        break;
    case FOLD_EXP:
        EACH(acc[j] = REDUCE_C(add)(acc[j], REDUCE_C(exp)(v - shift[j])))
        break;
    }
#undef EACH
}

/* Outputs [o, o + width): neighbours along the last kept dim. */
static void REDUCE_(block)(const reduction *r, fold_kind kind, int64_t o, int64_t width,
                           REDUCE_A start, const REDUCE_A *shift, REDUCE_A *acc)
{
    const ubp_reduce *w = &r->walk;
    int64_t at[UB_MAX_RANK] = {0}, offset = 0;
    const REDUCE_T *src = (const REDUCE_T *)r->src + ubp_reduce_base(w, o);
    int64_t across = w->n_kept ? w->kept_step[w->n_kept - 1] : 0;
    for (int64_t j = 0; j < width; j++)
        acc[j] = start;
    if (w->reduced == 0)
        return;
    do
        REDUCE_(fold)
    (kind, acc, shift, src + offset, width, across, ubp_reduce_run(w), ubp_reduce_step(w));
    while (ubp_reduce_next(w, at, &offset))
        ;
}

static void REDUCE_(outputs)(const reduction *r, int64_t o, int64_t width)
{
    REDUCE_A acc[REDUCE_WIDTH], high[REDUCE_WIDTH];
    REDUCE_T *dst = (REDUCE_T *)r->dst + o;
    switch (r->kind) {
    case REDUCE_SUM:
    case REDUCE_MEAN:
    case REDUCE_LOG_SUM:
        REDUCE_(block)(r, FOLD_SUM, o, width, 0, NULL, acc);
        break;
    case REDUCE_L1:
        REDUCE_(block)(r, FOLD_ABS, o, width, 0, NULL, acc);
        break;
    case REDUCE_L2:
    case REDUCE_SUM_SQUARE:
        REDUCE_(block)(r, FOLD_SQUARE, o, width, 0, NULL, acc);
        break;
    case REDUCE_PROD:
        REDUCE_(block)(r, FOLD_PRODUCT, o, width, 1, NULL, acc);
        break;
    case REDUCE_MAX:
        REDUCE_(block)(r, FOLD_MAX, o, width, (REDUCE_A)REDUCE_LOWEST, NULL, acc);
        break;
    case REDUCE_MIN:
        REDUCE_(block)(r, FOLD_MIN, o, width, (REDUCE_A)REDUCE_HIGHEST, NULL, acc);
        break;
    case REDUCE_LOG_SUM_EXP:
        REDUCE_(block)(r, FOLD_MAX, o, width, (REDUCE_A)REDUCE_LOWEST, NULL, high);
        for (int64_t j = 0; j < width; j++)
            high[j] = isfinite((double)high[j]) ? high[j] : 0; /* inf - inf would be NaN */
        REDUCE_(block)(r, FOLD_EXP, o, width, 0, high, acc);
        break;
    }
    for (int64_t j = 0; j < width; j++) {
        if (r->kind == REDUCE_MEAN)
            dst[j] = (REDUCE_T)REDUCE_C(mean)(acc[j], r->walk.reduced);
        else if (r->kind == REDUCE_L2)
            dst[j] = (REDUCE_T)(REDUCE_A)sqrt((double)acc[j]);
        else if (r->kind == REDUCE_LOG_SUM)
            dst[j] = (REDUCE_T)(REDUCE_A)log((double)acc[j]);
        else if (r->kind == REDUCE_LOG_SUM_EXP)
            dst[j] = (REDUCE_T)(REDUCE_A)(log((double)acc[j]) + (double)high[j]);
        else
            dst[j] = (REDUCE_T)acc[j];
    }
}

#undef REDUCE_T
#undef REDUCE_
#undef REDUCE_LOWEST
#undef REDUCE_HIGHEST
