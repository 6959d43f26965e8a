/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Einsum's equations: terms of letters and at most one "..." each, separated by commas, then
 * perhaps "->" and the output's term. Without one the output has the dims of "..." and the letters
 * that occur once, in the order of their characters. Blanks mean nothing. ONNX: Einsum-12.
 */
#include "ops/einsum.h"

#include <string.h>

/* A term as written: from s to end; letters before and after "...". */
typedef struct written {
    int n;  /* letters */
    int at; /* letters before "...", or -1: there is none */
    uint8_t label[UB_MAX_RANK];
} written;

static ub_status bad(const ubp_call *call, const char *equation, const char *why)
{
    return ubp_op_fail(call, UB_ERR_SHAPE, "equation '%.200s': %s", equation, why);
}

static int letter(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    return c >= 'a' && c <= 'z' ? 26 + c - 'a' : -1;
}

/* One term; *s moves behind it, to ',', '-' or the end. */
static ub_status read_term(const ubp_call *call, const char *equation, const char **s, written *out)
{
    *out = (written){.at = -1};
    for (; **s && **s != ',' && **s != '-'; ++*s) {
        if (**s == ' ')
            continue;
        if (strncmp(*s, "...", 3) == 0 && out->at < 0) {
            out->at = out->n;
            *s += 2;
            continue;
        }
        int label = letter(**s);
        if (label < 0)
            return bad(call, equation, "only letters, ',', '->' and one '...' a term are expected");
        if (out->n == UB_MAX_RANK)
            return bad(call, equation, "a term has more letters than a tensor can have dims");
        out->label[out->n++] = (uint8_t)label;
    }
    return UB_OK;
}

/* The labels of a term whose "..." stands for `dots` of `most` dims. */
static void spell(const written *w, int dots, int most, ubp_einsum_term *out)
{
    out->rank = 0;
    for (int i = 0; i <= w->n; i++) {
        for (int k = 0; i == w->at && k < dots; k++)
            out->label[out->rank++] = (uint8_t)(UBP_EINSUM_LETTERS + most - dots + k);
        if (i < w->n)
            out->label[out->rank++] = w->label[i];
    }
}

/* A dim of 1 stretches, as in NumPy. */
static ub_status join_sizes(const ubp_call *call, const char *equation, ubp_einsum *e)
{
    memset(e->size, -1, sizeof e->size);
    for (int i = 0; i < e->n; i++) {
        for (int d = 0; d < e->in[i].rank; d++) {
            int64_t *size = &e->size[e->in[i].label[d]], dim = call->in[i]->dims[d];
            if (*size != -1 && *size != 1 && dim != 1 && *size != dim)
                return bad(call, equation, "dims of one letter have different sizes");
            if (*size == -1 || *size == 1)
                *size = dim;
        }
    }
    return UB_OK;
}

static void imply_output(const ubp_einsum *e, int most, written *out)
{
    int count[UBP_EINSUM_LETTERS] = {0};
    *out = (written){.at = most > 0 ? 0 : -1};
    for (int i = 0; i < e->n; i++)
        for (int d = 0; d < e->in[i].rank; d++)
            if (e->in[i].label[d] < UBP_EINSUM_LETTERS)
                count[e->in[i].label[d]]++;
    for (int l = 0; l < UBP_EINSUM_LETTERS; l++)
        if (count[l] == 1 && out->n < UB_MAX_RANK)
            out->label[out->n++] = (uint8_t)l;
}

static ub_status check_output(const ubp_call *call, const char *equation, const ubp_einsum *e,
                              const written *out, int most)
{
    bool seen[UBP_EINSUM_LETTERS] = {false};
    for (int i = 0; i < out->n; i++) {
        if (e->size[out->label[i]] == -1)
            return bad(call, equation, "the output has a letter that no input has");
        if (seen[out->label[i]])
            return bad(call, equation, "the output has a letter twice");
        seen[out->label[i]] = true;
    }
    if (out->n + (out->at >= 0 ? most : 0) > UB_MAX_RANK)
        return bad(call, equation, "the output has too many dims");
    return UB_OK;
}

ub_status ubp_einsum_parse(const ubp_call *call, const char *equation, ubp_einsum *e)
{
    written terms[UBP_EINSUM_OPERANDS], out;
    const char *s = equation;
    int most = 0;
    memset(e, 0, sizeof *e);
    for (bool more = true; more; e->n++) {
        if (e->n == UBP_EINSUM_OPERANDS || e->n == call->n_in)
            return bad(call, equation, "it has more terms than the node has inputs");
        UBP_TRY(read_term(call, equation, &s, &terms[e->n]));
        int dots = call->in[e->n]->rank - terms[e->n].n;
        if (dots < 0 || (dots > 0 && terms[e->n].at < 0))
            return bad(call, equation, "a term does not have as many letters as its input dims");
        most = dots > most ? dots : most;
        more = *s == ',';
        s += more;
    }
    if (e->n != call->n_in)
        return bad(call, equation, "it has fewer terms than the node has inputs");
    for (int i = 0; i < e->n; i++)
        spell(&terms[i], call->in[i]->rank - terms[i].n, most, &e->in[i]);
    UBP_TRY(join_sizes(call, equation, e));
    imply_output(e, most, &out);
    if (*s) {
        if (strncmp(s, "->", 2) != 0)
            return bad(call, equation, "'-' without '>'");
        s += 2;
        UBP_TRY(read_term(call, equation, &s, &out));
        if (*s)
            return bad(call, equation, "more than one output");
    }
    UBP_TRY(check_output(call, equation, e, &out, most));
    spell(&out, out.at >= 0 ? most : 0, most, &e->out);
    return UB_OK;
}
