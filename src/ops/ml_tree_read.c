/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads the attributes of the tree operators into a forest; see ml_tree.h. In the older form nodes
 * and votes carry numbers of their tree and of their node in it, in any order: they are found by
 * sorting. All indices of the file are checked here.
 */
#include "ops/ml_tree.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static ub_status bad(const ubp_node *n, ub_error *err, const char *what, int64_t value)
{
    return ubp_fail(err, UB_ERR_FILE, "node '%s' (%s): %s %lld", n->name, n->op_type, what,
                    (long long)value);
}

static ub_status take(ubp_arena *arena, int64_t count, size_t size, void *out, ub_error *err)
{
    void *p = ubp_arena_array(arena, (size_t)count + 1, size);
    memcpy(out, &p, sizeof p);
    return p ? UB_OK : ubp_fail_memory(err, (size_t)count * size);
}

/* Integers that must be there, `want` of them. */
static ub_status list(const ubp_node *n, const char *name, int64_t want, const int64_t **out,
                      ub_error *err)
{
    int64_t count;
    UBP_TRY(ubp_ml_ints(n, name, out, &count, err));
    if (count == want)
        return UB_OK;
    return ubp_fail(err, UB_ERR_FILE, "node '%s' (%s): %lld numbers in '%s', expected %lld",
                    n->name, n->op_type, (long long)count, name, (long long)want);
}

/* Whether every node and root has at most one parent and roots have none: then it is trees. */
static ub_status check_trees(const ubp_node *n, const ubp_forest *f, ubp_arena *arena,
                             ub_error *err)
{
    uint8_t *seen;
    UBP_TRY(take(arena, f->n_nodes, 1, &seen, err));
    for (int64_t i = 0; i < f->n_roots; i++) {
        if (f->roots[i] >= 0 && seen[f->roots[i]]++)
            return bad(n, err, "two trees have the root", f->roots[i]);
    }
    for (int64_t i = 0; i < 2 * f->n_nodes; i++) {
        const ubp_tree_node *node = &f->nodes[i / 2];
        const int64_t child = i % 2 ? node->no : node->yes;
        if (child >= 0 && seen[child]++)
            return bad(n, err, "two parents, or a root as a child, for node", child);
    }
    return UB_OK;
}

static ub_status check_feature(const ubp_node *n, ubp_forest *f, int64_t feature, ub_error *err)
{
    if (feature < 0 || feature == INT64_MAX)
        return bad(n, err, "a feature of number", feature);
    if (feature >= f->features)
        f->features = feature + 1;
    return UB_OK;
}

/* ---- TreeEnsemble ------------------------------------------------------------------------------
 */

typedef struct new_form {
    const int64_t *features, *yes, *no, *yes_leaf, *no_leaf, *nan_yes, *targets, *roots;
    const double *splits, *modes, *weights;
    int64_t n_splits, n_modes, n_weights, n_nan, n_members;
} new_form;

static ub_status read_new_lists(const ubp_node *n, new_form *l, ubp_forest *f, ubp_arena *arena,
                                ub_error *err)
{
    UBP_TRY(ubp_ml_numbers(n, "nodes_splits", &l->splits, &l->n_splits, arena, err));
    UBP_TRY(ubp_ml_numbers(n, "nodes_modes", &l->modes, &l->n_modes, arena, err));
    UBP_TRY(ubp_ml_numbers(n, "leaf_weights", &l->weights, &l->n_weights, arena, err));
    UBP_TRY(ubp_ml_numbers(n, "membership_values", &f->members, &f->n_members, arena, err));
    if (l->n_modes != l->n_splits)
        return bad(n, err, "nodes_modes and nodes_splits differ in length:", l->n_modes);
    f->n_nodes = l->n_splits;
    f->n_leaves = f->n_votes = l->n_weights;
    UBP_TRY(list(n, "nodes_featureids", f->n_nodes, &l->features, err));
    UBP_TRY(list(n, "nodes_truenodeids", f->n_nodes, &l->yes, err));
    UBP_TRY(list(n, "nodes_falsenodeids", f->n_nodes, &l->no, err));
    UBP_TRY(list(n, "nodes_trueleafs", f->n_nodes, &l->yes_leaf, err));
    UBP_TRY(list(n, "nodes_falseleafs", f->n_nodes, &l->no_leaf, err));
    UBP_TRY(list(n, "leaf_targetids", f->n_leaves, &l->targets, err));
    UBP_TRY(ubp_ml_ints(n, "tree_roots", &l->roots, &f->n_roots, err));
    UBP_TRY(ubp_ml_ints(n, "nodes_missing_value_tracks_true", &l->nan_yes, &l->n_nan, err));
    if (l->n_nan != 0)
        UBP_TRY(list(n, "nodes_missing_value_tracks_true", f->n_nodes, &l->nan_yes, err));
    UBP_TRY(take(arena, f->n_nodes, sizeof *f->nodes, &f->nodes, err));
    UBP_TRY(take(arena, f->n_leaves, sizeof *f->leaves, &f->leaves, err));
    UBP_TRY(take(arena, f->n_votes, sizeof *f->votes, &f->votes, err));
    return take(arena, f->n_roots, sizeof *f->roots, &f->roots, err);
}

/* A child: a node, or a leaf. */
static ub_status child(const ubp_node *n, const ubp_forest *f, int64_t id, bool leaf, int64_t *out,
                       ub_error *err)
{
    if (id < 0 || id >= (leaf ? f->n_leaves : f->n_nodes))
        return bad(n, err, leaf ? "no leaf of number" : "no node of number", id);
    *out = leaf ? -id - 1 : id;
    return UB_OK;
}

/* The members of a node end with NaN; they stand in the order of the nodes. */
static ub_status take_members(const ubp_node *n, const ubp_forest *f, ubp_tree_node *node,
                              int64_t *next, ub_error *err)
{
    node->first_member = *next;
    while (*next < f->n_members && !isnan(f->members[*next]))
        (*next)++;
    if (*next == f->n_members)
        return bad(n, err, "membership_values end without NaN after", *next);
    node->n_members = *next - node->first_member;
    (*next)++;
    return UB_OK;
}

static ub_status build_new(const ubp_node *n, const new_form *l, ubp_forest *f, ub_error *err)
{
    int64_t next = 0;
    for (int64_t i = 0; i < f->n_nodes; i++) {
        ubp_tree_node *node = &f->nodes[i];
        if (!(l->modes[i] >= UBP_TREE_LEQ && l->modes[i] <= UBP_TREE_MEMBER))
            return bad(n, err, "an unknown mode of node", i);
        node->mode = (ubp_tree_mode)l->modes[i];
        node->feature = l->features[i];
        node->split = l->splits[i];
        node->nan_yes = l->n_nan && l->nan_yes[i];
        UBP_TRY(check_feature(n, f, node->feature, err));
        UBP_TRY(child(n, f, l->yes[i], l->yes_leaf[i] != 0, &node->yes, err));
        UBP_TRY(child(n, f, l->no[i], l->no_leaf[i] != 0, &node->no, err));
        if (node->mode == UBP_TREE_MEMBER)
            UBP_TRY(take_members(n, f, node, &next, err));
    }
    for (int64_t i = 0; i < f->n_leaves; i++) {
        if (l->targets[i] < 0 || l->targets[i] >= f->targets)
            return bad(n, err, "no target of number", l->targets[i]);
        f->leaves[i] = (ubp_tree_leaf){i, 1};
        f->votes[i] = (ubp_tree_vote){l->targets[i], l->weights[i]};
    }
    for (int64_t i = 0; i < f->n_roots; i++)
        UBP_TRY(child(n, f, l->roots[i], false, &f->roots[i], err));
    return UB_OK;
}

ub_status ubp_forest_read_new(const ubp_node *n, void *forest, ubp_arena *arena, ub_error *err)
{
    ubp_forest *f = forest;
    new_form l = {0};
    int64_t aggregate, transform;
    f->kind = UBP_FOREST_NEW;
    UBP_TRY(ubp_attr_int(n, "aggregate_function", UBP_TREE_SUM, &aggregate, err));
    UBP_TRY(ubp_attr_int(n, "post_transform", UBP_ML_NONE, &transform, err));
    UBP_TRY(ubp_attr_int(n, "n_targets", 1, &f->targets, err));
    if (aggregate < UBP_TREE_AVERAGE || aggregate > UBP_TREE_MAX || transform < UBP_ML_NONE ||
        transform > UBP_ML_PROBIT)
        return bad(n, err, "an unknown aggregate_function or post_transform:", aggregate);
    f->aggregate = (ubp_tree_aggregate)aggregate;
    f->transform = (ubp_ml_transform)transform;
    if (f->targets < 1 || f->targets > INT32_MAX)
        return bad(n, err, "n_targets is", f->targets);
    UBP_TRY(read_new_lists(n, &l, f, arena, err));
    UBP_TRY(build_new(n, &l, f, err));
    return check_trees(n, f, arena, err);
}

/* ---- The older form ----------------------------------------------------------------------------
 */

/* Where the node or vote of a tree stands in its list. */
typedef struct place {
    int64_t tree, node, at;
} place;

static int compare_places(const void *a, const void *b)
{
    const place *x = a, *y = b;
    if (x->tree != y->tree)
        return x->tree < y->tree ? -1 : 1;
    if (x->node != y->node)
        return x->node < y->node ? -1 : 1;
    return x->at < y->at ? -1 : x->at > y->at;
}

/* The list sorted by tree and node. */
static ub_status sort_places(const int64_t *trees, const int64_t *nodes, int64_t n, place **out,
                             ubp_arena *arena, ub_error *err)
{
    UBP_TRY(take(arena, n, sizeof **out, out, err));
    for (int64_t i = 0; i < n; i++)
        (*out)[i] = (place){trees[i], nodes[i], i};
    if (n > 0)
        qsort(*out, (size_t)n, sizeof **out, compare_places);
    return UB_OK;
}

/* The first place of (tree, node), or n. */
static int64_t find_place(const place *places, int64_t n, int64_t tree, int64_t node)
{
    int64_t low = 0, high = n;
    while (low < high) {
        const int64_t mid = low + (high - low) / 2;
        const place *p = &places[mid];
        if (p->tree < tree || (p->tree == tree && p->node < node))
            low = mid + 1;
        else
            high = mid;
    }
    return low < n && places[low].tree == tree && places[low].node == node ? low : n;
}

typedef struct old_form {
    const int64_t *trees, *ids, *features, *yes, *no, *nan_yes, *vote_trees, *vote_nodes,
        *vote_targets;
    const double *splits, *weights;
    const ubp_attr *modes;
    int64_t n, n_votes, n_nan;
    place *nodes, *votes; /* [n], [n_votes], sorted */
} old_form;

/* `vote` is "target" or "class". */
static ub_status read_old_lists(const ubp_node *n, const char *vote, old_form *l, ubp_arena *arena,
                                ub_error *err)
{
    char name[32];
    int64_t splits, weights;
    UBP_TRY(ubp_ml_ints(n, "nodes_treeids", &l->trees, &l->n, err));
    UBP_TRY(list(n, "nodes_nodeids", l->n, &l->ids, err));
    UBP_TRY(list(n, "nodes_featureids", l->n, &l->features, err));
    UBP_TRY(list(n, "nodes_truenodeids", l->n, &l->yes, err));
    UBP_TRY(list(n, "nodes_falsenodeids", l->n, &l->no, err));
    UBP_TRY(ubp_ml_ints(n, "nodes_missing_value_tracks_true", &l->nan_yes, &l->n_nan, err));
    if (l->n_nan != 0)
        UBP_TRY(list(n, "nodes_missing_value_tracks_true", l->n, &l->nan_yes, err));
    UBP_TRY(ubp_ml_numbers(n, "nodes_values", &l->splits, &splits, arena, err));
    l->modes = ubp_node_attr(n, "nodes_modes");
    if (splits != l->n || !l->modes || l->modes->kind != UBP_ATTR_STRINGS ||
        (int64_t)l->modes->n != l->n)
        return bad(n, err,
                   "nodes_modes or nodes_values do not have as many entries as nodes:", l->n);
    snprintf(name, sizeof name, "%s_treeids", vote);
    UBP_TRY(ubp_ml_ints(n, name, &l->vote_trees, &l->n_votes, err));
    snprintf(name, sizeof name, "%s_nodeids", vote);
    UBP_TRY(list(n, name, l->n_votes, &l->vote_nodes, err));
    snprintf(name, sizeof name, "%s_ids", vote);
    UBP_TRY(list(n, name, l->n_votes, &l->vote_targets, err));
    snprintf(name, sizeof name, "%s_weights", vote);
    UBP_TRY(ubp_ml_numbers(n, name, &l->weights, &weights, arena, err));
    if (weights != l->n_votes)
        return bad(n, err, "weights and ids of votes differ in length:", weights);
    UBP_TRY(sort_places(l->trees, l->ids, l->n, &l->nodes, arena, err));
    return sort_places(l->vote_trees, l->vote_nodes, l->n_votes, &l->votes, arena, err);
}

static ub_status read_mode(const ubp_node *n, const char *text, ubp_tree_mode *mode, bool *leaf,
                           ub_error *err)
{
    static const char *const names[] = {"BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE",
                                        "BRANCH_GT",  "BRANCH_EQ", "BRANCH_NEQ"};
    *leaf = strcmp(text, "LEAF") == 0;
    for (int i = 0; i < UBP_COUNT(names); i++)
        if (strcmp(text, names[i]) == 0) {
            *mode = (ubp_tree_mode)i;
            return UB_OK;
        }
    if (*leaf)
        return UB_OK;
    return ubp_fail(err, UB_ERR_FILE, "node '%s' (%s): the unknown mode '%.40s'", n->name,
                    n->op_type, text);
}

/* Node `id` of a tree as a child: leaves have their own numbers, those of their entry. */
static ub_status old_child(const ubp_node *n, const old_form *l, int64_t tree, int64_t id,
                           int64_t *out, ub_error *err)
{
    const int64_t at = find_place(l->nodes, l->n, tree, id);
    if (at == l->n)
        return bad(n, err, "no node of number", id);
    const int64_t entry = l->nodes[at].at;
    *out = strcmp(l->modes->strings[entry], "LEAF") == 0 ? -entry - 1 : entry;
    return UB_OK;
}

/* Votes become neighbours; leaves name their stretch. */
static ub_status build_votes(const ubp_node *n, const old_form *l, ubp_forest *f, ub_error *err)
{
    f->one_class = l->n_votes > 0;
    f->positive = true;
    for (int64_t i = 0; i < l->n_votes; i++) {
        const int64_t at = l->votes[i].at;
        if (l->vote_targets[at] < 0 || l->vote_targets[at] >= f->targets)
            return bad(n, err, "no target or class of number", l->vote_targets[at]);
        f->votes[i] = (ubp_tree_vote){l->vote_targets[at], l->weights[at]};
        f->one_class = f->one_class && l->vote_targets[at] == l->vote_targets[0];
        f->positive = f->positive && l->weights[at] >= 0;
    }
    for (int64_t i = 0; i < l->n; i++) {
        const int64_t first = find_place(l->votes, l->n_votes, l->trees[i], l->ids[i]);
        int64_t last = first;
        while (last < l->n_votes && l->votes[last].tree == l->trees[i] &&
               l->votes[last].node == l->ids[i])
            last++;
        f->leaves[i] = (ubp_tree_leaf){first, last - first};
    }
    return UB_OK;
}

static ub_status build_old(const ubp_node *n, const old_form *l, ubp_forest *f, ub_error *err)
{
    for (int64_t i = 0; i < l->n; i++) {
        ubp_tree_node *node = &f->nodes[i];
        bool leaf;
        *node = (ubp_tree_node){.yes = -1, .no = -1};
        UBP_TRY(read_mode(n, l->modes->strings[i], &node->mode, &leaf, err));
        if (i > 0 && l->nodes[i].tree == l->nodes[i - 1].tree &&
            l->nodes[i].node == l->nodes[i - 1].node)
            return bad(n, err, "a tree has twice the node", l->nodes[i].node);
        if (leaf)
            continue;
        node->feature = l->features[i];
        node->split = l->splits[i];
        node->nan_yes = l->n_nan && l->nan_yes[i];
        UBP_TRY(check_feature(n, f, node->feature, err));
        UBP_TRY(old_child(n, l, l->trees[i], l->yes[i], &node->yes, err));
        UBP_TRY(old_child(n, l, l->trees[i], l->no[i], &node->no, err));
    }
    /* The first entry of a tree is its root; trees stand in the order of their numbers. */
    for (int64_t i = 0; i < l->n;) {
        int64_t root = l->nodes[i].at, next = i;
        for (; next < l->n && l->nodes[next].tree == l->nodes[i].tree; next++)
            root = l->nodes[next].at < root ? l->nodes[next].at : root;
        const bool leaf = strcmp(l->modes->strings[root], "LEAF") == 0;
        f->roots[f->n_roots++] = leaf ? -root - 1 : root;
        i = next;
    }
    return build_votes(n, l, f, err);
}

static ub_status read_old(const ubp_node *n, const char *vote, ubp_forest *f, ubp_arena *arena,
                          ub_error *err)
{
    old_form l = {0};
    UBP_TRY(ubp_ml_read_transform(n, &f->transform, err));
    UBP_TRY(ubp_ml_numbers(n, "base_values", &f->base, &f->n_base, arena, err));
    UBP_TRY(read_old_lists(n, vote, &l, arena, err));
    f->n_nodes = f->n_leaves = l.n;
    f->n_votes = l.n_votes;
    UBP_TRY(take(arena, l.n, sizeof *f->nodes, &f->nodes, err));
    UBP_TRY(take(arena, l.n, sizeof *f->leaves, &f->leaves, err));
    UBP_TRY(take(arena, l.n_votes, sizeof *f->votes, &f->votes, err));
    UBP_TRY(take(arena, l.n, sizeof *f->roots, &f->roots, err));
    UBP_TRY(build_old(n, &l, f, err));
    return check_trees(n, f, arena, err);
}

ub_status ubp_forest_read_regressor(const ubp_node *n, void *forest, ubp_arena *arena,
                                    ub_error *err)
{
    static const char *const names[] = {"AVERAGE", "SUM", "MIN", "MAX"};
    ubp_forest *f = forest;
    const char *aggregate;
    int found = -1;
    f->kind = UBP_FOREST_NUMBERS;
    UBP_TRY(ubp_attr_string(n, "aggregate_function", "SUM", &aggregate, err));
    for (int i = 0; i < UBP_COUNT(names); i++)
        found = strcmp(aggregate, names[i]) == 0 ? i : found;
    if (found < 0)
        return ubp_fail(err, UB_ERR_FILE, "node '%s' (%s): aggregate_function '%.40s' is not known",
                        n->name, n->op_type, aggregate);
    f->aggregate = (ubp_tree_aggregate)found;
    UBP_TRY(ubp_attr_int(n, "n_targets", 1, &f->targets, err));
    if (f->targets < 1 || f->targets > INT32_MAX)
        return bad(n, err, "n_targets is", f->targets);
    return read_old(n, "target", f, arena, err);
}

ub_status ubp_forest_read_classifier(const ubp_node *n, void *forest, ubp_arena *arena,
                                     ub_error *err)
{
    ubp_forest *f = forest;
    f->kind = UBP_FOREST_CLASSES;
    f->aggregate = UBP_TREE_SUM;
    UBP_TRY(ubp_ml_read_labels(n, "classlabels_int64s", "classlabels_strings", &f->labels, err));
    f->targets = f->labels.n;
    if (f->targets < 2)
        return bad(n, err, "a classifier of at least two labels was expected, it has", f->targets);
    return read_old(n, "class", f, arena, err);
}
