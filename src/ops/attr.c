/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading a node's attributes: the default where an attribute is absent, a refusal that names node,
 * attribute and both kinds where it has another kind. Arrays are borrowed from the graph.
 */
#include "ops/ops.h"

static const char *kind_name(ubp_attr_kind kind)
{
    switch (kind) {
    case UBP_ATTR_INT:
        return "an integer";
    case UBP_ATTR_FLOAT:
        return "a float";
    case UBP_ATTR_STRING:
        return "a string";
    case UBP_ATTR_TENSOR:
        return "a tensor";
    case UBP_ATTR_GRAPH:
        return "a graph";
    case UBP_ATTR_INTS:
        return "integers";
    case UBP_ATTR_FLOATS:
        return "floats";
    case UBP_ATTR_STRINGS:
        return "strings";
    }
    return "something else";
}

/* *out is NULL when the attribute is absent. */
static ub_status find(const ubp_node *n, const char *name, ubp_attr_kind kind, const ubp_attr **out,
                      ub_error *err)
{
    const ubp_attr *a = ubp_node_attr(n, name);
    *out = a;
    if (!a || a->kind == kind)
        return UB_OK;
    return ubp_fail(err, UB_ERR_FILE, "node '%s' (%s): attribute '%s' is %s, expected %s", n->name,
                    n->op_type, name, kind_name(a->kind), kind_name(kind));
}

ub_status ubp_attr_int(const ubp_node *n, const char *name, int64_t def, int64_t *out,
                       ub_error *err)
{
    const ubp_attr *a;
    UBP_TRY(find(n, name, UBP_ATTR_INT, &a, err));
    *out = a ? a->i : def;
    return UB_OK;
}

ub_status ubp_attr_float(const ubp_node *n, const char *name, double def, double *out,
                         ub_error *err)
{
    const ubp_attr *a;
    UBP_TRY(find(n, name, UBP_ATTR_FLOAT, &a, err));
    *out = a ? a->f : def;
    return UB_OK;
}

ub_status ubp_attr_string(const ubp_node *n, const char *name, const char *def, const char **out,
                          ub_error *err)
{
    const ubp_attr *a;
    UBP_TRY(find(n, name, UBP_ATTR_STRING, &a, err));
    *out = a ? a->s : def;
    return UB_OK;
}

/* The count as an int; longer lists than any operator takes are refused. */
static ub_status list_count(const ubp_node *n, const ubp_attr *a, int *count, ub_error *err)
{
    enum { LONGEST = 1 << 24 };
    if (a->n > LONGEST)
        return ubp_fail(err, UB_ERR_FILE,
                        "node '%s' (%s): attribute '%s' has %zu elements, at most %d expected",
                        n->name, n->op_type, a->name, a->n, LONGEST);
    *count = (int)a->n;
    return UB_OK;
}

ub_status ubp_attr_ints(const ubp_node *n, const char *name, const int64_t **out, int *count,
                        ub_error *err)
{
    const ubp_attr *a;
    *out = NULL;
    *count = -1;
    UBP_TRY(find(n, name, UBP_ATTR_INTS, &a, err));
    if (!a)
        return UB_OK;
    *out = a->ints;
    return list_count(n, a, count, err);
}

ub_status ubp_attr_floats(const ubp_node *n, const char *name, const double **out, int *count,
                          ub_error *err)
{
    const ubp_attr *a;
    *out = NULL;
    *count = -1;
    UBP_TRY(find(n, name, UBP_ATTR_FLOATS, &a, err));
    if (!a)
        return UB_OK;
    *out = a->floats;
    return list_count(n, a, count, err);
}

ub_status ubp_attr_strings(const ubp_node *n, const char *name, const char *const **out, int *count,
                           ub_error *err)
{
    const ubp_attr *a;
    *out = NULL;
    *count = -1;
    UBP_TRY(find(n, name, UBP_ATTR_STRINGS, &a, err));
    if (!a)
        return UB_OK;
    *out = a->strings;
    return list_count(n, a, count, err);
}
