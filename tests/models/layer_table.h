/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads tests/data/captures/layers.tsv (make_models.py writes it): for every exported file, call of
 * a module and side, the tensors that PyTorch's hooks saw. One row per call and side.
 */
#ifndef LAYER_TABLE_H
#define LAYER_TABLE_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_TENSORS = 8 };

typedef struct seen {
    const char *key;   /* of the array in the network's npz */
    int axis;          /* where the batch is, -1: nowhere */
    int inner;         /* entries of a sample along it */
    const char *equal; /* " a b ": values of the file that are equal to it; " - ": none */
} seen;

typedef struct row {
    const char *file, *network, *layer;
    bool is_input;
    int n;
    seen tensors[MAX_TENSORS];
} row;

typedef struct table {
    char *text, *at;
} table;

static inline bool table_open(table *t, const char *path)
{
    FILE *f = fopen(path, "rb");
    if (!f)
        return false;
    fseek(f, 0, SEEK_END);
    const long size = ftell(f);
    rewind(f);
    t->text = t->at = calloc((size_t)size + 1, 1);
    const bool good = t->text && fread(t->text, 1, (size_t)size, f) == (size_t)size;
    fclose(f);
    return good;
}

/* The text up to a separator, which is overwritten; *at moves behind it. */
static inline char *cut_at(char **at, char separator)
{
    char *start = *at, *end = strchr(start, separator);
    if (end)
        *end++ = '\0';
    *at = end ? end : start + strlen(start);
    return start;
}

/* "key axis*inner name name": the names keep the space before and get one behind. */
static inline seen read_tensor(char *cell)
{
    seen s = {.axis = -1, .inner = 1};
    char *names = cell;
    s.key = cut_at(&names, ' ');
    char *axis = names;
    char *end = strchr(axis, ' ');
    if (*axis != '-')
        sscanf(axis, "%d*%d", &s.axis, &s.inner);
    s.equal = end;
    return s;
}

static inline bool table_next(table *t, row *r)
{
    if (!*t->at)
        return false;
    char *line = cut_at(&t->at, '\n');
    *r = (row){.file = cut_at(&line, '\t')};
    r->network = cut_at(&line, '\t');
    r->layer = cut_at(&line, '\t');
    r->is_input = strcmp(cut_at(&line, '\t'), "in") == 0;
    while (*line && r->n < MAX_TENSORS)
        r->tensors[r->n++] = read_tensor(cut_at(&line, '\t'));
    return true;
}

/* Whether a value of the file is equal to the tensor. */
static inline bool is_equal_value(const seen *s, const char *value)
{
    const size_t n = strlen(value);
    for (const char *at = s->equal; (at = strstr(at, value)); at++)
        if (at[-1] == ' ' && (at[n] == ' ' || at[n] == '\0'))
            return true;
    return false;
}

/* Whether an earlier tensor of the row is the same one: a module given x twice reads it once. */
static inline bool is_repeated(const row *r, int k)
{
    for (int i = 0; i < k; i++)
        if (strcmp(r->tensors[i].key, r->tensors[k].key) == 0)
            return true;
    return false;
}

#endif
