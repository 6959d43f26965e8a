/* SPDX-License-Identifier: Apache-2.0 */
/*
 * address: what users type, resolved against a graph.
 *
 *     NAME[#CALL][:in[K]|:out[K]][SLICE]        default :out, K = 0
 *     NODE/then/NAME, NODE/else/NAME, NODE/K/NAME   inside bodies
 *     NAME/K                                    an element of a list
 *
 * The whole string is tried as an exact name first (tensor names hold ':', '[' and '#'), then with
 * the slice taken off, then with the side, then with the call.
 */
#ifndef UBP_ADDRESS_H
#define UBP_ADDRESS_H

#include "exec/exec.h"

/* Room for an address inside bodies; longer ones are not found. */
enum { UBP_ADDRESS_SIZE = 1024 };

typedef struct ubp_address {
    int32_t value;     /* the value meant */
    int32_t layer;     /* the layer that was named, or -1 */
    int32_t node;      /* the node that was named, or -1 */
    bool is_input;     /* :in */
    int port;          /* K */
    const char *slice; /* "[4, :]" inside the parsed text, or NULL */
    int64_t element;   /* of a list; -1: none was named */
    bool inside;       /* the value is in a body: tap says which; `value` is then one that the node
                          of the model's graph gives */
    ubp_tap tap;
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

/* ---- Between the files of address -------------------------------------------------------------
 */

/* An address in its parts, whether or not it means anything. */
typedef struct ubp_address_parts {
    size_t name_size; /* NAME[#CALL] is the first name_size bytes of the text */
    size_t side_size; /* of ":in2", behind the name; 0: none */
    bool is_input;
    int port;          /* INT_MAX for a number too large */
    const char *slice; /* inside the text, or NULL */
} ubp_address_parts;

/* Cuts a slice and a side off the end of the text. */
ubp_address_parts ubp_address_split(const char *text);

/* address_inner.c: a name inside bodies, or of a list's element. False: name is none; *out is as it
 * was then. *graph: where the value or node is, whose port is still to be picked. */
bool ubp_address_inner(ubp_address *out, const ubp_graph *g, const char *name,
                       const ubp_graph **graph, int32_t *index, bool *is_node);

/* The body that a step goes into, NULL when the node has none such. */
const ubp_graph *ubp_tap_body(const ubp_graph *g, const ubp_tap_step *step);

/* address_near.c: the error for a name that is none: UB_ERR_ARGUMENT, with near names. */
ub_status ubp_address_unknown(const ubp_graph *g, const char *name, ub_error *err);

#endif
