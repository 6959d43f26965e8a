/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ub_match: a pattern becomes the addresses it stands for.
 */
#include "api/api.h"

struct ub_names {
    ubp_address_list list;
};

ub_status ub_match(ub_names **out, const ub_model *m, const char *pattern, ub_error *err)
{
    *out = NULL;
    ub_names *n = ubp_calloc(1, sizeof *n);
    if (!n)
        return ubp_fail_memory(err, sizeof *n);
    ub_status st = ubp_address_match(&n->list, m->graph, pattern, err);
    if (st != UB_OK) {
        ub_names_free(n);
        return st;
    }
    *out = n;
    return UB_OK;
}

void ub_names_free(ub_names *n)
{
    if (!n)
        return;
    ubp_address_list_release(&n->list);
    ubp_free(n);
}

int ub_names_count(const ub_names *n)
{
    return (int)n->list.n;
}

const char *ub_names_at(const ub_names *n, int i)
{
    return i < 0 || (size_t)i >= n->list.n ? NULL : n->list.items[i];
}
