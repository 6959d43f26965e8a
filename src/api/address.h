/* SPDX-License-Identifier: Apache-2.0 */
/*
 * address: what users type, resolved against a graph.
 *
 *     NAME[#CALL][:in[K]|:out[K]][SLICE]        default :out, K = 0
 *
 * The whole string is tried as an exact name first (tensor names hold ':', '[' and '#'), then with
 * the slice taken off, then with the side, then with the call.
 */
#ifndef UBP_ADDRESS_H
#define UBP_ADDRESS_H

#include "graph/graph.h"

typedef struct ubp_address {
    int32_t value;     /* the value meant */
    int32_t layer;     /* the layer that was named, or -1 */
    int32_t node;      /* the node that was named, or -1 */
    bool is_input;     /* :in */
    int port;          /* K */
    const char *slice; /* "[4, :]" inside the parsed text, or NULL */
} ubp_address;

/* UB_ERR_ARGUMENT: unknown (with near names), ambiguous (with the candidates), K out of range.
 * UB_ERR_UNSUPPORTED: the file does not hold this value (folded); says why. */
ub_status ubp_address_parse(ubp_address *out, const ubp_graph *g, const char *text, ub_error *err);

/* Addresses a pattern stands for, in the model's order; each parses with ubp_address_parse. */
typedef struct ubp_address_list {
    char **items; /* owned */
    size_t n, cap;
} ubp_address_list;

/* "layer3.*", "conv*:in", "**", "@inputs", "@outputs", or one exact address; a slice behind the
 * pattern is put behind each match. `*` does not cross '.' or '/', `**` does. A pattern that
 * matches nothing is refused. */
ub_status ubp_address_match(ubp_address_list *out, const ubp_graph *g, const char *pattern,
                            ub_error *err);
void ubp_address_list_release(ubp_address_list *list);

#endif
