/* SPDX-License-Identifier: Apache-2.0 */
/*
 * StringNormalizer: a row of words without the stop words, in upper or lower case. The case of a
 * letter is Unicode's simple mapping (one character to one) as the C library has it; the attribute
 * `locale` changes nothing (docs/decisions/strings.md). ONNX opset 10.
 */
#include "ops/move.h"
#include "ops/string_ops.h"

#include <locale.h>
#include <string.h>
#include <wctype.h>
#ifdef __APPLE__
#include <xlocale.h>
#endif

typedef enum letter_case { CASE_KEEP, CASE_LOWER, CASE_UPPER } letter_case;

typedef struct normalizer_attr {
    letter_case change;
    bool sensitive;
    const char *const *stops; /* [n_stops] */
    int n_stops;
} normalizer_attr;

static ub_status normalizer_attrs(const ubp_node *node, void *attr, ubp_arena *arena, ub_error *err)
{
    normalizer_attr *a = attr;
    const char *change;
    int64_t sensitive;
    (void)arena;
    UBP_TRY(ubp_attr_string(node, "case_change_action", "NONE", &change, err));
    UBP_TRY(ubp_attr_int(node, "is_case_sensitive", 0, &sensitive, err));
    UBP_TRY(ubp_attr_strings(node, "stopwords", &a->stops, &a->n_stops, err));
    a->sensitive = sensitive != 0;
    a->change = strcmp(change, "LOWER") == 0   ? CASE_LOWER
                : strcmp(change, "UPPER") == 0 ? CASE_UPPER
                                               : CASE_KEEP;
    if (a->change != CASE_KEEP || strcmp(change, "NONE") == 0)
        return UB_OK;
    return ubp_fail(err, UB_ERR_FILE,
                    "node '%s' (%s): case_change_action is '%s', expected LOWER, UPPER or NONE",
                    node->name, node->op_type, change);
}

/* The letters' tables of Unicode: UTF-8's own locale, which needs no language to be installed. */
static locale_t unicode_locale(void)
{
    static const char *const names[] = {"C.UTF-8", "en_US.UTF-8", "UTF-8"};
    locale_t found = (locale_t)0;
    for (int i = 0; i < UBP_COUNT(names) && found == (locale_t)0; i++)
        found = newlocale(LC_CTYPE_MASK, names[i], (locale_t)0);
    return found;
}

static uint32_t change_case(uint32_t c, letter_case to, locale_t letters)
{
    return to == CASE_LOWER   ? (uint32_t)towlower_l((wint_t)c, letters)
           : to == CASE_UPPER ? (uint32_t)towupper_l((wint_t)c, letters)
                              : c;
}

static bool same_word(const char *a, const char *b, bool sensitive, locale_t letters)
{
    if (sensitive)
        return strcmp(a, b) == 0;
    while (*a && *b) {
        uint32_t x, y;
        a += ubp_utf8_next(a, &x);
        b += ubp_utf8_next(b, &y);
        if (change_case(x, CASE_LOWER, letters) != change_case(y, CASE_LOWER, letters))
            return false;
    }
    return *a == *b;
}

static bool is_stop(const normalizer_attr *a, const char *word, locale_t letters)
{
    bool found = false;
    for (int i = 0; i < a->n_stops && !found; i++)
        found = same_word(word, a->stops[i], a->sensitive, letters);
    return found;
}

static const char *changed(const ubp_call *c, const char *word, letter_case to, locale_t letters)
{
    enum { MOST = 4 }; /* bytes of a character, one byte of word at least */
    size_t size = strlen(word);
    char *text = to == CASE_KEEP || !ubp_mul_size(size, MOST, &size) ? NULL : ubp_run_text(c, size);
    if (!text)
        return to == CASE_KEEP ? word : NULL;
    char *at = text;
    while (*word) {
        uint32_t one;
        word += ubp_utf8_next(word, &one);
        at += ubp_utf8_put(at, change_case(one, to, letters));
    }
    *at = '\0';
    return text;
}

/* The words that stay, into to (NULL: only counted); -1 when memory ran out. */
static int64_t keep_words(const ubp_call *c, const ub_tensor *x, const char **to, locale_t letters)
{
    const normalizer_attr *a = c->attr;
    const char *const *words = x->data;
    int64_t n = 0;
    for (int64_t i = 0; i < ub_tensor_count(x); i++) {
        const char *word = ubp_string_at(&words[i]);
        if (is_stop(a, word, letters))
            continue;
        if (to && !(to[n] = changed(c, word, a->change, letters)))
            return -1;
        n++;
    }
    return n;
}

static ub_status no_letters(const ubp_call *c)
{
    return ubp_op_fail(c, UB_ERR_UNSUPPORTED, "the C library has no UTF-8 locale");
}

static ub_status normalizer_infer(const ubp_call *c)
{
    const ub_tensor *x = c->in[0];
    ub_tensor dense;
    void *owned;
    UBP_TRY(ubp_want_strings(c, 0));
    UBP_TRY(ubp_want_rank(c, 0, 1, 2));
    if (x->rank == 2 && x->dims[0] != 1)
        return ubp_op_fail(c, UB_ERR_SHAPE, "input 0 has %lld rows, expected 1",
                           (long long)x->dims[0]);
    if (!x->data && ub_tensor_count(x) > 0)
        return UBP_NEEDS_DATA;
    locale_t letters = unicode_locale();
    if (letters == (locale_t)0)
        return no_letters(c);
    ub_status status = ubp_dense_input(c, 0, &dense, &owned);
    if (status == UB_OK) {
        const int64_t n = keep_words(c, &dense, NULL, letters);
        const int64_t dims[2] = {n > 0 ? n : 1, n > 0 ? n : 1};
        const int64_t row[2] = {1, dims[0]};
        status = ubp_set_out(c, 0, UB_STRING, x->rank, x->rank == 2 ? row : dims);
        ubp_free(owned);
    }
    freelocale(letters);
    return status;
}

static ub_status normalizer_ref(const ubp_call *c)
{
    const char **to = c->out[0]->data; /* [kept] */
    locale_t letters = unicode_locale();
    if (letters == (locale_t)0)
        return no_letters(c);
    to[0] = NULL; /* where all words are dropped, one empty word is left */
    const int64_t n = keep_words(c, c->in[0], to, letters);
    freelocale(letters);
    return n < 0 ? UB_ERR_MEMORY : UB_OK;
}

static void normalizer_batch(ubp_batch *b)
{
    if (ubp_samples_plain(b, 0, 0, "StringNormalizer drops words of all samples together"))
        ubp_samples_fit(b, 0);
}

const ubp_op ubp_op_StringNormalizer = {
    .name = "StringNormalizer",
    .domain = "",
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .attr_size = sizeof(normalizer_attr),
    .attrs = normalizer_attrs,
    .infer = normalizer_infer,
    .batch = normalizer_batch,
    .ref = normalizer_ref,
};
