/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The operators that this library does not know: "Foo (my.ops, opset 3), Bar (ai.onnx, opset 18)".
 */
#include "plan/plan.h"

static ub_status add_kind(ubp_text *out, ubp_table *told, ubp_arena *arena, const ubp_node *n,
                          ub_error *err)
{
    const char *domain = n->domain[0] ? n->domain : "ai.onnx";
    const char *kind = n->opset > 0 ? ubp_arena_printf(arena, "%s (%s, opset %lld)", n->op_type,
                                                       domain, (long long)n->opset)
                                    : ubp_arena_printf(arena, "%s (%s)", n->op_type, domain);
    if (!kind)
        return ubp_fail_memory(err, 1);
    if (ubp_table_find(told, kind) >= 0)
        return UB_OK;
    ubp_text_addf(out, "%s%s", out->len ? ", " : "", kind);
    return ubp_table_add(told, kind, 0, err);
}

ub_status ubp_unknown_ops(ubp_text *out, const ubp_graph *g, const bool *nodes, ub_error *err)
{
    ubp_arena arena = {0};
    ubp_table told = {0};
    ub_status st = UB_OK;
    for (size_t i = 0; i < g->n_nodes && st == UB_OK; i++)
        if ((!nodes || nodes[i]) && !g->nodes[i].op)
            st = add_kind(out, &told, &arena, &g->nodes[i], err);
    if (st == UB_OK && out->failed)
        st = ubp_fail_memory(err, out->len);
    ubp_table_release(&told);
    ubp_arena_release(&arena);
    return st;
}
