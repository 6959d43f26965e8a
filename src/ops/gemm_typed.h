/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One element type's share of gemm.c, which includes this file once a type: GEMM_T is the element,
 * GEMM_V a vector of 32 bytes of it, GEMM_ADD(s, b, a) adds the vector b times the element a to s,
 * GEMM_(name) gives the functions their names.
 *
 * A tile is up to UBP_GEMM_ROWS rows by one panel of columns. Vectors are used for speed only:
 * every lane does the same scalar sum.
 */
enum { GEMM_(LANES) = (int)(sizeof(GEMM_V) / sizeof(GEMM_T)), GEMM_(COLS) = 2 * GEMM_(LANES) };

/* c[0..nn) = or += sum; then bias at the end. */
GEMM_INLINE void GEMM_(store)(const ubp_gemm *g, int64_t row, int64_t n0, int64_t nn,
                              const GEMM_V *sum, bool first, bool last)
{
    GEMM_T s[GEMM_(COLS)];
    GEMM_T *c = (GEMM_T *)g->c + row * g->c_row + n0 * g->c_col;
    memcpy(s, sum, sizeof s);
    if (!first)
        for (int64_t j = 0; j < nn; j++)
            s[j] = (GEMM_T)(c[j * g->c_col] + s[j]);
    if (last && g->bias) {
        GEMM_T bias = ((const GEMM_T *)g->bias)[row];
        for (int64_t j = 0; j < nn; j++)
            s[j] = (GEMM_T)(s[j] + bias);
    }
    if (g->c_col == 1 && nn == GEMM_(COLS))
        memcpy(c, s, sizeof s);
    else
        for (int64_t j = 0; j < nn; j++)
            c[j * g->c_col] = s[j];
}

/* Four rows by a panel; b: [kn][ldb]. */
GEMM_INLINE void GEMM_(rows4)(const GEMM_T *a, int64_t a_row, int64_t a_col, const GEMM_T *b,
                              int64_t ldb, int64_t kn, GEMM_V sum[4][2])
{
    GEMM_V s00 = {0}, s01 = {0}, s10 = {0}, s11 = {0}, s20 = {0}, s21 = {0}, s30 = {0}, s31 = {0};
    const GEMM_T *a1 = a + a_row, *a2 = a1 + a_row, *a3 = a2 + a_row;
    for (int64_t k = 0; k < kn; k++) {
        GEMM_V b0, b1;
        memcpy(&b0, b + k * ldb, sizeof b0);
        memcpy(&b1, b + k * ldb + GEMM_(LANES), sizeof b1);
        GEMM_ADD(s00, b0, a[k * a_col]);
        GEMM_ADD(s01, b1, a[k * a_col]);
        GEMM_ADD(s10, b0, a1[k * a_col]);
        GEMM_ADD(s11, b1, a1[k * a_col]);
        GEMM_ADD(s20, b0, a2[k * a_col]);
        GEMM_ADD(s21, b1, a2[k * a_col]);
        GEMM_ADD(s30, b0, a3[k * a_col]);
        GEMM_ADD(s31, b1, a3[k * a_col]);
    }
    sum[0][0] = s00, sum[0][1] = s01, sum[1][0] = s10, sum[1][1] = s11;
    sum[2][0] = s20, sum[2][1] = s21, sum[3][0] = s30, sum[3][1] = s31;
}

GEMM_INLINE void GEMM_(rows1)(const GEMM_T *a, int64_t a_col, const GEMM_T *b, int64_t ldb,
                              int64_t kn, GEMM_V sum[2])
{
    GEMM_V s0 = {0}, s1 = {0};
    for (int64_t k = 0; k < kn; k++) {
        GEMM_V b0, b1;
        memcpy(&b0, b + k * ldb, sizeof b0);
        memcpy(&b1, b + k * ldb + GEMM_(LANES), sizeof b1);
        GEMM_ADD(s0, b0, a[k * a_col]);
        GEMM_ADD(s1, b1, a[k * a_col]);
    }
    sum[0] = s0, sum[1] = s1;
}

static void GEMM_(pack)(const ubp_gemm *g, int64_t k0, int64_t kn, int64_t n0, int64_t nn,
                        GEMM_T *panel)
{
    const GEMM_T *b = (const GEMM_T *)g->b + k0 * g->b_row + n0 * g->b_col;
    for (int64_t k = 0; k < kn; k++) {
        GEMM_T *p = panel + k * GEMM_(COLS);
        for (int64_t j = 0; j < nn; j++)
            p[j] = b[k * g->b_row + j * g->b_col];
        for (int64_t j = nn; j < GEMM_(COLS); j++)
            p[j] = 0;
    }
}

GEMM_CLONES static void GEMM_(multiply)(const ubp_gemm *g, int64_t m0, int64_t m1, int64_t n0,
                                        int64_t k0, const GEMM_T *b, int64_t ldb)
{
    int64_t kn = g->k - k0 < UBP_GEMM_KB ? g->k - k0 : UBP_GEMM_KB;
    int64_t nn = g->n - n0 < GEMM_(COLS) ? g->n - n0 : GEMM_(COLS);
    bool first = k0 == 0, last = k0 + kn == g->k;
    int64_t m = m0;
    for (; m + 4 <= m1; m += 4) {
        GEMM_V sum[4][2];
        const GEMM_T *a = (const GEMM_T *)g->a + m * g->a_row + k0 * g->a_col;
        GEMM_(rows4)(a, g->a_row, g->a_col, b, ldb, kn, sum);
        for (int r = 0; r < 4; r++)
            GEMM_(store)(g, m + r, n0, nn, sum[r], first, last);
    }
    for (; m < m1; m++) {
        GEMM_V sum[2];
        const GEMM_T *a = (const GEMM_T *)g->a + m * g->a_row + k0 * g->a_col;
        GEMM_(rows1)(a, g->a_col, b, ldb, kn, sum);
        GEMM_(store)(g, m, n0, nn, sum, first, last);
    }
}

/* Rows [m0, m1) of the panel of columns that begins at n0. */
static void GEMM_(tile)(const ubp_gemm *g, int64_t m0, int64_t m1, int64_t n0)
{
    _Alignas(64) GEMM_T panel[UBP_GEMM_KB * GEMM_(COLS)];
    int64_t nn = g->n - n0 < GEMM_(COLS) ? g->n - n0 : GEMM_(COLS);
    /* With few rows a copy of B would cost more than it saves. */
    bool in_place = !g->pack && g->b_col == 1 && nn == GEMM_(COLS) && m1 - m0 <= 4;
    for (int64_t k0 = 0; k0 < g->k; k0 += UBP_GEMM_KB) {
        int64_t kn = g->k - k0 < UBP_GEMM_KB ? g->k - k0 : UBP_GEMM_KB;
        if (in_place) {
            GEMM_(multiply)(g, m0, m1, n0, k0, (const GEMM_T *)g->b + k0 * g->b_row + n0, g->b_row);
            continue;
        }
        if (g->pack)
            g->pack(g, k0, kn, n0, nn, panel);
        else
            GEMM_(pack)(g, k0, kn, n0, nn, panel);
        GEMM_(multiply)(g, m0, m1, n0, k0, panel, GEMM_(COLS));
    }
    if (g->k == 0) {
        const GEMM_V zero[2] = {{0}, {0}};
        for (int64_t m = m0; m < m1; m++)
            GEMM_(store)(g, m, n0, nn, zero, true, true);
    }
}

#undef GEMM_T
#undef GEMM_V
#undef GEMM_
