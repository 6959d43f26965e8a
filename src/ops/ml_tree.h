/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ml_tree: a forest of decision trees as ml_tree.c walks it. Both forms of the file (TreeEnsemble
 * of opset 5; the older regressor and classifier) become this one, checked: every child exists, no
 * node has two parents, so that a walk always ends.
 */
#ifndef UBP_ML_TREE_H
#define UBP_ML_TREE_H

#include "ops/ml.h"

typedef enum ubp_tree_mode {
    UBP_TREE_LEQ,
    UBP_TREE_LT,
    UBP_TREE_GTE,
    UBP_TREE_GT,
    UBP_TREE_EQ,
    UBP_TREE_NEQ,
    UBP_TREE_MEMBER
} ubp_tree_mode;

typedef enum ubp_tree_aggregate {
    UBP_TREE_AVERAGE,
    UBP_TREE_SUM,
    UBP_TREE_MIN,
    UBP_TREE_MAX
} ubp_tree_aggregate;

typedef enum ubp_forest_kind {
    UBP_FOREST_NEW,
    UBP_FOREST_NUMBERS,
    UBP_FOREST_CLASSES
} ubp_forest_kind;

typedef struct ubp_tree_node {
    int64_t feature;
    double split;
    int64_t yes, no; /* nodes, or leaf k as -k - 1 */
    int64_t first_member, n_members;
    ubp_tree_mode mode;
    bool nan_yes;
} ubp_tree_node;

typedef struct ubp_tree_leaf {
    int64_t first_vote, n_votes;
} ubp_tree_leaf;

typedef struct ubp_tree_vote {
    int64_t target;
    double weight;
} ubp_tree_vote;

typedef struct ubp_forest {
    ubp_forest_kind kind;
    ubp_tree_node *nodes;  /* [n_nodes] */
    ubp_tree_leaf *leaves; /* [n_leaves] */
    ubp_tree_vote *votes;  /* [n_votes] */
    int64_t *roots;        /* [n_roots]: nodes, or leaves as above */
    const double *members; /* [n_members] */
    const double *base;    /* [n_base]: added at the end */
    ubp_ml_labels labels;  /* [targets] of a classifier */
    int64_t n_nodes, n_leaves, n_votes, n_roots, n_members, n_base;
    int64_t targets, features; /* features: at least so many are read */
    ubp_tree_aggregate aggregate;
    ubp_ml_transform transform;
    bool one_class; /* all votes are for one class */
    bool positive;  /* no vote is negative */
} ubp_forest;

ub_status ubp_forest_read_new(const ubp_node *n, void *forest, ubp_arena *arena, ub_error *err);
ub_status ubp_forest_read_regressor(const ubp_node *n, void *forest, ubp_arena *arena,
                                    ub_error *err);
ub_status ubp_forest_read_classifier(const ubp_node *n, void *forest, ubp_arena *arena,
                                     ub_error *err);

#endif
