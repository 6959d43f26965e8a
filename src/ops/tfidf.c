/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TfIdfVectorizer: how often each n-gram of a pool occurs in a row of words or numbers, with up to
 * max_skip_count tokens left out between two; perhaps weighted. Tokens become numbers by their
 * place in the sorted pool, the pool a trie. ONNX opset 9.
 */
#include "ops/string_ops.h"

#include <stdlib.h>
#include <string.h>

typedef enum weighting { MODE_TF, MODE_IDF, MODE_TFIDF } weighting;

/* A step in the trie: from a node over a token to another. */
typedef struct edge {
    int32_t from, token, to; /* to 0: free */
} edge;

typedef struct tfidf_attr {
    weighting mode;
    int64_t shortest, longest, skip;
    const char *const *words; /* [n_pool], or NULL */
    const int64_t *numbers;   /* [n_pool], or NULL */
    int n_pool, n_index, n_counts, n_weights;
    const int64_t *index, *counts;
    const double *weights;
    int64_t width;  /* of the output */
    int32_t *order; /* [n_tokens] places in the pool of the different tokens, sorted */
    int32_t n_tokens;
    edge *edges; /* [slots] open addressing; slots is a power of two */
    uint32_t slots;
    int32_t *gram; /* [nodes] number of the n-gram that ends here, -1: none */
    int32_t nodes;
} tfidf_attr;

/* ---- Tokens -----------------------------------------------------------------------------------
 */

static int compare_to_pool(const tfidf_attr *a, const char *word, int64_t number, int32_t place)
{
    if (a->words)
        return strcmp(word ? word : "", a->words[place]);
    return (number > a->numbers[place]) - (number < a->numbers[place]);
}

/* The first place in order whose token is not less. */
static int32_t lower_bound(const tfidf_attr *a, const char *word, int64_t number)
{
    int32_t low = 0, high = a->n_tokens;
    while (low < high) {
        const int32_t middle = low + (high - low) / 2;
        if (compare_to_pool(a, word, number, a->order[middle]) > 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The number of a token, -1 when the pool does not have it. */
static int32_t token_of(const tfidf_attr *a, const char *word, int64_t number)
{
    const int32_t at = lower_bound(a, word, number);
    if (at == a->n_tokens || compare_to_pool(a, word, number, a->order[at]) != 0)
        return -1;
    return at;
}

static int compare_places(const tfidf_attr *a, int32_t i, int32_t k)
{
    return compare_to_pool(a, a->words ? a->words[i] : NULL, a->words ? 0 : a->numbers[i], k);
}

/* Heapsort: no state outside, and no bad case. */
static void sift(const tfidf_attr *a, int32_t *v, int32_t root, int32_t n)
{
    for (int32_t child; (child = 2 * root + 1) < n; root = child) {
        if (child + 1 < n && compare_places(a, v[child], v[child + 1]) < 0)
            child++;
        if (compare_places(a, v[root], v[child]) >= 0)
            return;
        const int32_t kept = v[root];
        v[root] = v[child];
        v[child] = kept;
    }
}

static void sort_tokens(tfidf_attr *a)
{
    int32_t *v = a->order, n = a->n_pool;
    for (int32_t i = 0; i < n; i++)
        v[i] = i;
    for (int32_t i = n / 2; i-- > 0;)
        sift(a, v, i, n);
    for (int32_t i = n; i-- > 1;) {
        const int32_t kept = v[0];
        v[0] = v[i];
        v[i] = kept;
        sift(a, v, 0, i);
    }
    for (int32_t i = 0; i < n; i++)
        if (a->n_tokens == 0 || compare_places(a, v[i], v[a->n_tokens - 1]) != 0)
            v[a->n_tokens++] = v[i];
}

/* ---- The trie ---------------------------------------------------------------------------------
 */

static edge *find_edge(const tfidf_attr *a, int32_t from, int32_t token)
{
    uint32_t h = (uint32_t)from * 0x9e3779b1u ^ (uint32_t)token * 0x85ebca6bu;
    h ^= h >> 15;
    for (;; h++) {
        edge *e = &a->edges[h & (a->slots - 1)];
        if (e->to == 0 || (e->from == from && e->token == token))
            return e;
    }
}

/* Node 0 is the root. */
static void add_gram(tfidf_attr *a, int first, int64_t size, int32_t gram)
{
    int32_t node = 0;
    for (int64_t i = 0; i < size; i++) {
        const int place = first + (int)i;
        const int32_t token =
            token_of(a, a->words ? a->words[place] : NULL, a->words ? 0 : a->numbers[place]);
        edge *e = find_edge(a, node, token);
        if (e->to == 0) {
            *e = (edge){node, token, a->nodes};
            a->gram[a->nodes++] = -1;
        }
        node = e->to;
    }
    a->gram[node] = gram;
}

static ub_status refuse(const ubp_node *node, ub_error *err, const char *why)
{
    return ubp_fail(err, UB_ERR_FILE, "node '%s' (%s): %s", node->name, node->op_type, why);
}

static ub_status build(tfidf_attr *a, const ubp_node *node, ubp_arena *arena, ub_error *err)
{
    int64_t gram = 0;
    for (a->slots = 16; a->slots < 2 * (uint32_t)a->n_pool + 2; a->slots *= 2)
        ;
    a->order = ubp_arena_array(arena, (size_t)a->n_pool + 1, sizeof *a->order);
    a->gram = ubp_arena_array(arena, (size_t)a->n_pool + 1, sizeof *a->gram);
    a->edges = ubp_arena_array(arena, a->slots, sizeof *a->edges);
    if (!a->order || !a->gram || !a->edges)
        return ubp_fail_memory(err, a->slots * sizeof *a->edges);
    sort_tokens(a);
    a->gram[a->nodes++] = -1;
    for (int i = 0; i < a->n_counts; i++) {
        const int64_t size = i + 1, first = a->counts[i];
        const int64_t end = i + 1 < a->n_counts ? a->counts[i + 1] : a->n_pool;
        if (first < 0 || end < first || end > a->n_pool || (end - first) % size != 0)
            return refuse(node, err, "ngram_counts does not divide the pool into n-grams");
        for (int64_t at = first; at < end; at += size, gram++) {
            if (gram >= a->n_index)
                return refuse(node, err, "ngram_indexes has fewer entries than there are n-grams");
            if (size >= a->shortest && size <= a->longest)
                add_gram(a, (int)at, size, (int32_t)gram);
        }
    }
    return UB_OK;
}

static ub_status read_mode(tfidf_attr *a, const ubp_node *node, ub_error *err)
{
    const char *mode;
    UBP_TRY(ubp_attr_string(node, "mode", "", &mode, err));
    a->mode = strcmp(mode, "IDF") == 0     ? MODE_IDF
              : strcmp(mode, "TFIDF") == 0 ? MODE_TFIDF
                                           : MODE_TF;
    return a->mode != MODE_TF || strcmp(mode, "TF") == 0
               ? UB_OK
               : refuse(node, err, "mode is none of TF, IDF and TFIDF");
}

static ub_status tfidf_attrs(const ubp_node *node, void *attr, ubp_arena *arena, ub_error *err)
{
    tfidf_attr *a = attr;
    int n_words, n_numbers;
    UBP_TRY(read_mode(a, node, err));
    UBP_TRY(ubp_attr_int(node, "min_gram_length", 1, &a->shortest, err));
    UBP_TRY(ubp_attr_int(node, "max_gram_length", 1, &a->longest, err));
    UBP_TRY(ubp_attr_int(node, "max_skip_count", 0, &a->skip, err));
    UBP_TRY(ubp_attr_strings(node, "pool_strings", &a->words, &n_words, err));
    UBP_TRY(ubp_attr_ints(node, "pool_int64s", &a->numbers, &n_numbers, err));
    UBP_TRY(ubp_attr_ints(node, "ngram_indexes", &a->index, &a->n_index, err));
    UBP_TRY(ubp_attr_ints(node, "ngram_counts", &a->counts, &a->n_counts, err));
    UBP_TRY(ubp_attr_floats(node, "weights", &a->weights, &a->n_weights, err));
    if ((n_words > 0) == (n_numbers > 0))
        return refuse(node, err, "expected one of pool_strings and pool_int64s");
    a->words = n_words > 0 ? a->words : NULL;
    a->n_pool = n_words > 0 ? n_words : n_numbers;
    if (a->shortest < 1 || a->longest < a->shortest || a->skip < 0)
        return refuse(node, err, "lengths of n-grams or max_skip_count make no sense");
    if (a->n_index < 1)
        return refuse(node, err, "ngram_indexes is missing");
    for (int i = 0; i < a->n_index; i++) {
        if (a->index[i] < 0 || a->index[i] == INT64_MAX)
            return refuse(node, err, "ngram_indexes has an entry outside of the output");
        a->width = a->index[i] >= a->width ? a->index[i] + 1 : a->width;
    }
    if (a->n_weights > 0 && a->mode != MODE_TF && a->n_weights < a->width)
        return refuse(node, err, "there are fewer weights than outputs");
    return build(a, node, arena, err);
}

/* ---- Shape, samples, kernel --------------------------------------------------------------------
 */

static ub_status tfidf_infer(const ubp_call *c)
{
    const tfidf_attr *a = c->attr;
    const ub_tensor *x = c->in[0];
    const bool fits = a->words ? x->dtype == UB_STRING : x->dtype == UB_I64 || x->dtype == UB_I32;
    UBP_TRY(ubp_want_rank(c, 0, 0, 2));
    if (!fits)
        return ubp_op_fail(c, UB_ERR_SHAPE, "input 0 is %s, the pool has %s",
                           ub_dtype_name(x->dtype), a->words ? "strings" : "integers");
    const int64_t dims[2] = {x->rank == 2 ? x->dims[0] : a->width, a->width};
    return ubp_set_out(c, 0, UB_F32, x->rank == 2 ? 2 : 1, dims);
}

static void tfidf_batch(ubp_batch *b)
{
    const int rank = b->call->in[0]->rank;
    if (rank > 0 && ubp_samples_mixes_axis(b, 0, 0, rank - 1, "n-grams along the batch axis"))
        return;
    ubp_samples_like(b, 0, 0, 0);
}

/* Counts the n-grams that begin at `start`, tokens `distance` apart. */
static void count_from(const tfidf_attr *a, const int32_t *tokens, int64_t n, int64_t start,
                       int64_t distance, int64_t shortest, float *y)
{
    int32_t node = 0;
    for (int64_t size = 1, at = start; size <= a->longest && at < n; size++) {
        const edge *e = tokens[at] < 0 ? NULL : find_edge(a, node, tokens[at]);
        if (!e || e->to == 0)
            return;
        node = e->to;
        if (size >= shortest && a->gram[node] >= 0)
            y[a->index[a->gram[node]]] += 1;
        if (at > n - distance)
            return;
        at += distance;
    }
}

/* tokens: [n], y: [width]. */
static void vectorize(const tfidf_attr *a, const int32_t *tokens, int64_t n, float *y)
{
    int64_t shortest = a->shortest;
    for (int64_t i = 0; i < a->width; i++)
        y[i] = 0;
    for (int64_t distance = 1; distance - 1 <= a->skip && distance <= n; distance++) {
        for (int64_t start = 0; start < n; start++)
            count_from(a, tokens, n, start, distance, shortest, y);
        /* One token has no distance: counted once. */
        if (shortest == 1 && ++shortest > a->longest)
            break;
    }
    for (int64_t i = 0; i < a->width && a->mode != MODE_TF; i++) {
        const float weight = a->n_weights > 0 ? (float)a->weights[i] : 1;
        const float count = a->mode == MODE_IDF && y[i] > 0 ? 1 : y[i];
        y[i] = count * weight;
    }
}

static ub_status tfidf_ref(const ubp_call *c)
{
    const tfidf_attr *a = c->attr;
    const ub_tensor *x = c->in[0];
    const int64_t rows = x->rank == 2 ? x->dims[0] : 1;
    const int64_t n = x->rank ? x->dims[x->rank - 1] : 1;
    const int64_t size = (int64_t)ub_dtype_size(x->dtype);
    float *y = c->out[0]->data; /* [rows][width] */
    int32_t *tokens = ubp_run_scratch(c, ((size_t)n + 1) * sizeof *tokens);
    if (!tokens)
        return UB_ERR_MEMORY;
    for (int64_t row = 0; row < rows; row++, y += a->width) {
        for (int64_t i = 0; i < n; i++) {
            const char *at = (const char *)x->data + (row * n + i) * size;
            tokens[i] = a->words ? token_of(a, ubp_string_at(at), 0)
                                 : token_of(a, NULL, ubp_read_i64(at, x->dtype));
        }
        vectorize(a, tokens, n, y);
        if (ubp_run_cancelled(c->run))
            return UBP_CANCELLED(c);
    }
    return UB_OK;
}

const ubp_op ubp_op_TfIdfVectorizer = {
    .name = "TfIdfVectorizer",
    .domain = "",
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .attr_size = sizeof(tfidf_attr),
    .attrs = tfidf_attrs,
    .infer = tfidf_infer,
    .batch = tfidf_batch,
    .ref = tfidf_ref,
};
