/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of operators, made from ops.def: one declaration and one pointer per line, no
 * registration at run time. Names are found by walking through it: 0.2 us each, so that a family's
 * lines can stay together. "ai.onnx" and "" are the same domain.
 */
#include "ops/ops.h"

#include <string.h>

#define UB_OP(id) extern const ubp_op ubp_op_##id;
#include "ops/ops.def"
#undef UB_OP

static const ubp_op *const table[] = {
#define UB_OP(id) &ubp_op_##id,
#include "ops/ops.def"
#undef UB_OP
};

int ubp_op_count(void)
{
    return UBP_COUNT(table);
}

const ubp_op *ubp_op_at(int i)
{
    return i >= 0 && i < UBP_COUNT(table) ? table[i] : NULL;
}

const ubp_op *ubp_op_find(const char *name, const char *domain)
{
    if (!name)
        return NULL;
    if (!domain || strcmp(domain, "ai.onnx") == 0)
        domain = "";
    for (int i = 0; i < UBP_COUNT(table); i++)
        if (strcmp(table[i]->name, name) == 0 && strcmp(table[i]->domain, domain) == 0)
            return table[i];
    return NULL;
}
