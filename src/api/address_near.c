/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What to say of a name that is none. In: the name and the graph. Out: one line that offers the
 * names it may have meant, or says what became of it.
 */
#include "api/address.h"

#include <string.h>

enum { MOST = 5 };

/* How well a name fits; less is better. */
enum { IS_END = 0, IS_PART = 1, IS_NEAR = 2, IS_FAR = 1000 };

typedef struct near {
    const char *names[MOST];
    int scores[MOST];
    int n;
    int n_ends; /* how many layers end in the wanted name */
} near;

/* ---- Candidates ------------------------------------------------------------------------------ */

/* "layer1.0.conv1" ends in "conv1". */
static bool ends_in(const char *name, const char *wanted)
{
    const size_t n = strlen(name), m = strlen(wanted);
    return n > m && strcmp(name + n - m, wanted) == 0 &&
           (name[n - m - 1] == '.' || name[n - m - 1] == '/');
}

static int score(const char *name, const char *wanted)
{
    const size_t n = strlen(wanted);
    if (ends_in(name, wanted))
        return IS_END;
    if (n >= 3 && strstr(name, wanted))
        return IS_PART;
    const int limit = n < 3 ? 1 : n < 12 ? 2 : n < 24 ? 3 : 5;
    const int distance = ubp_distance(name, wanted, limit);
    return distance <= limit ? IS_NEAR + distance : IS_FAR;
}

/* Keeps the best ones; of equals, the first. */
static void offer(near *out, const char *name, const char *wanted)
{
    const int s = *name ? score(name, wanted) : IS_FAR;
    if (s == IS_FAR)
        return;
    for (int i = 0; i < out->n; i++)
        if (strcmp(out->names[i], name) == 0)
            return;
    int at = out->n;
    while (at > 0 && out->scores[at - 1] > s)
        at--;
    if (at == MOST)
        return;
    out->n += out->n < MOST;
    for (int i = out->n - 1; i > at; i--) {
        out->names[i] = out->names[i - 1];
        out->scores[i] = out->scores[i - 1];
    }
    out->names[at] = name;
    out->scores[at] = s;
}

static void find_near(near *out, const ubp_graph *g, const char *wanted)
{
    *out = (near){.n = 0};
    for (size_t i = 0; i < g->n_layers; i++) {
        out->n_ends += ends_in(g->layers[i].name, wanted);
        offer(out, g->layers[i].name, wanted);
    }
    if (out->n == MOST)
        return;
    for (size_t i = 0; i < g->n_nodes; i++)
        offer(out, g->nodes[i].name, wanted);
    for (size_t i = 0; i < g->n_values; i++)
        offer(out, g->values[i].name, wanted);
}

/* Those whose score is at most `worst`. */
static void list_names(ubp_text *t, const near *n, int worst)
{
    for (int i = 0; i < n->n && n->scores[i] <= worst; i++)
        ubp_text_addf(t, "%s'%.120s'", i ? ", " : "", n->names[i]);
}

/* ---- Modules that are known, but are no layers ----------------------------------------------- */

/* Whether name is "module.something" without a value's own punctuation. */
static bool is_inside(const char *name, const char *module)
{
    const size_t n = strlen(module);
    return strncmp(name, module, n) == 0 && name[n] == '.';
}

/* ModuleList and the like: never called, but there are layers inside. */
static bool explain_container(ubp_text *t, const ubp_graph *g, const char *name)
{
    int n = 0;
    for (size_t i = 0; i < g->n_layers; i++) {
        const ubp_layer *l = &g->layers[i];
        if (!is_inside(l->path, name) || strchr(l->path + strlen(name) + 1, '.') || l->call > 0)
            continue;
        if (n == 0)
            ubp_text_addf(t, "'%.200s' is a container that is never called itself; inside are ",
                          name);
        if (n < MOST)
            ubp_text_addf(t, "%s'%.120s'", n ? ", " : "", l->name);
        n++;
    }
    if (n > MOST)
        ubp_text_addf(t, " and %d more", n - MOST);
    return n > 0;
}

/* A module whose weights others read (out_proj of MultiheadAttention). */
static bool explain_weights(ubp_text *t, const ubp_graph *g, const char *name)
{
    for (size_t i = 0; i < g->n_nodes; i++) {
        const ubp_node *n = &g->nodes[i];
        for (int k = 0; k < n->n_in; k++) {
            if (n->in[k] == UBP_NO_VALUE || !g->values[n->in[k]].constant ||
                !is_inside(g->values[n->in[k]].name, name))
                continue;
            ubp_text_addf(t,
                          "'%.200s' has weights in this file, but no operation of its own: ", name);
            if (n->layer >= 0)
                ubp_text_addf(t, "layer '%.200s' reads them", g->layers[n->layer].name);
            else
                ubp_text_addf(t, "node '%.200s' reads them", n->name);
            return true;
        }
    }
    return false;
}

static bool has_folded(const ubp_graph *g)
{
    for (size_t i = 0; i < g->n_layers; i++)
        if ((g->layers[i].no_out && strstr(g->layers[i].no_out, "BatchNorm")) ||
            (g->layers[i].no_in && strstr(g->layers[i].no_in, "BatchNorm")))
            return true;
    return false;
}

/* "conv1:input": a name with something else behind it. */
static bool explain_side(ubp_text *t, const ubp_graph *g, const char *name)
{
    const char *colon = strrchr(name, ':');
    if (!colon || colon == name)
        return false;
    const size_t n = (size_t)(colon - name);
    for (size_t i = 0; i < g->n_layers; i++) {
        if (strncmp(g->layers[i].name, name, n) != 0 || g->layers[i].name[n] != '\0')
            continue;
        ubp_text_addf(t,
                      "'%.200s' is a layer, but nothing called '%.100s' belongs to one: :in and"
                      " :out do, perhaps with a number",
                      g->layers[i].name, colon);
        return true;
    }
    return false;
}

/* ---- The message -------------------------------------------------------------------------------
 */

static void explain(ubp_text *t, const ubp_graph *g, const char *name)
{
    near n;
    if (explain_side(t, g, name) || explain_container(t, g, name) || explain_weights(t, g, name))
        return;
    find_near(&n, g, name);
    if (n.n_ends > 1) {
        ubp_text_addf(t, "'%.200s' is ambiguous, %d layers end in it: ", name, n.n_ends);
        list_names(t, &n, IS_END);
        if (n.n_ends > n.n)
            ubp_text_add(t, ", ...");
        ubp_text_add(t, "; give one in full");
    } else if (n.n > 0) {
        ubp_text_addf(t, "unknown name '%.200s'; near are ", name);
        list_names(t, &n, IS_FAR);
    } else {
        ubp_text_addf(t, "unknown name '%.200s'", name);
    }
    if (has_folded(g))
        ubp_text_add(t, "; a BatchNorm that the exporter folded is not in this file");
    ubp_text_add(t, "; `unbatch summary MODEL` lists all layers");
}

ub_status ubp_address_unknown(const ubp_graph *g, const char *name, ub_error *err)
{
    ubp_text t = {0};
    if (!err)
        return UB_ERR_ARGUMENT;
    explain(&t, g, name);
    const ub_status status = t.failed || !t.s
                                 ? ubp_fail(err, UB_ERR_ARGUMENT, "unknown name '%.200s'", name)
                                 : ubp_fail(err, UB_ERR_ARGUMENT, "%s", t.s);
    ubp_text_free(&t);
    return status;
}
