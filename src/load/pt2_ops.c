/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of ATen's operators: all families by name.
 */
#include "load/pt2.h"

static const ubp_pt2_op *const families[] = {
    ubp_pt2_ops_math,    ubp_pt2_ops_act,       ubp_pt2_ops_nn,     ubp_pt2_ops_product,
    ubp_pt2_ops_arrange, ubp_pt2_ops_pool,      ubp_pt2_ops_move,   ubp_pt2_ops_join,
    ubp_pt2_ops_make,    ubp_pt2_ops_reduce,    ubp_pt2_ops_index,  ubp_pt2_ops_scatter,
    ubp_pt2_ops_rnn,     ubp_pt2_ops_attention, ubp_pt2_ops_resize,
};
enum { MOST_ROWS = 1 << 12 };

ub_status ubp_pt2_op_table(ubp_pt2 *p)
{
    for (int f = 0; f < UBP_COUNT(families); f++)
        for (int i = 0; families[f][i].name; i++)
            UBP_TRY(ubp_table_add(&p->ops, families[f][i].name, f * MOST_ROWS + i, p->err));
    return UB_OK;
}

const ubp_pt2_op *ubp_pt2_op_find(const ubp_pt2 *p, const char *base)
{
    const int32_t at = ubp_table_find(&p->ops, base);
    return at < 0 ? NULL : &families[at / MOST_ROWS][at % MOST_ROWS];
}
