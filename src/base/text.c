/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A growing string, the edit distance that finds near names, and globs. Names come from files: none
 * of these recurses, and matching takes at most length(pattern) * length(name) steps.
 */
#include "base/base.h"

#include <stdio.h>
#include <string.h>

/* Room for n more characters and the end; false when there is none. */
static bool text_reserve(ubp_text *t, size_t n)
{
    if (t->failed)
        return false;
    size_t need = 0;
    if (!ubp_add_size(t->len, n, &need) || !ubp_add_size(need, 1, &need)) {
        t->failed = true;
        return false;
    }
    if (need <= t->cap)
        return true;
    size_t cap = t->cap ? t->cap : 64;
    while (cap < need && cap <= SIZE_MAX / 2)
        cap *= 2;
    if (cap < need)
        cap = need;
    char *s = ubp_realloc(t->s, cap);
    if (!s) {
        t->failed = true;
        return false;
    }
    t->s = s;
    t->cap = cap;
    return true;
}

void ubp_text_addn(ubp_text *t, const char *s, size_t n)
{
    if (!text_reserve(t, n))
        return;
    if (n > 0)
        memcpy(t->s + t->len, s, n);
    t->len += n;
    t->s[t->len] = 0;
}

void ubp_text_add(ubp_text *t, const char *s)
{
    ubp_text_addn(t, s, strlen(s));
}

void ubp_text_addf(ubp_text *t, const char *fmt, ...)
{
    va_list args, again;
    va_start(args, fmt);
    va_copy(again, args);
    const int n = vsnprintf(NULL, 0, fmt, args);
    if (n < 0)
        t->failed = true;
    else if (text_reserve(t, (size_t)n)) {
        vsnprintf(t->s + t->len, (size_t)n + 1, fmt, again);
        t->len += (size_t)n;
    }
    va_end(again);
    va_end(args);
}

void ubp_text_free(ubp_text *t)
{
    ubp_free(t->s);
    *t = (ubp_text){0};
}

/*
 * Levenshtein's table, only the diagonals within `limit` of the main one:
 * d(i, j) = min(d(i-1, j) + 1, d(i, j-1) + 1, d(i-1, j-1) + (a[i-1] != b[j-1])), row[j - i +
 * limit].
 */
int ubp_distance(const char *a, const char *b, int limit)
{
    enum { MOST = 127 };
    if (limit < 0)
        limit = 0;
    if (limit > MOST)
        limit = MOST;
    const size_t la = strlen(a), lb = strlen(b);
    if ((la > lb ? la - lb : lb - la) > (size_t)limit)
        return limit + 1;
    int row[2 * MOST + 3];
    for (int k = 0; k <= 2 * limit + 1; k++)
        row[k] = k >= limit && k <= 2 * limit ? k - limit : limit + 1;
    for (size_t i = 1; i <= la; i++) {
        int best = limit + 1;
        for (int k = 0; k <= 2 * limit; k++) {
            const int64_t j = (int64_t)i + k - limit;
            int d = limit + 1;
            if (j >= 0 && j <= (int64_t)lb) {
                d = row[k + 1] + 1;
                if (j > 0 && row[k] + (a[i - 1] != b[j - 1]) < d)
                    d = row[k] + (a[i - 1] != b[j - 1]);
                if (k > 0 && row[k - 1] + 1 < d)
                    d = row[k - 1] + 1;
            }
            row[k] = d;
            best = d < best ? d : best;
        }
        if (best > limit)
            return limit + 1;
    }
    const int d = row[(int)((int64_t)lb - (int64_t)la) + limit];
    return d > limit ? limit + 1 : d;
}

/* Matches one character against the class that starts at p ('['): sets *end behind it. A '[' that
 * is never closed stands for itself. */
static bool class_match(const char *p, char c, const char **end)
{
    const char *q = p + 1;
    const bool negate = *q == '!' || *q == '^';
    if (negate)
        q++;
    const char *first = q;
    bool hit = false;
    for (; *q && (*q != ']' || q == first); q++) {
        const unsigned char low = (unsigned char)*q;
        unsigned char high = low;
        if (q[1] == '-' && q[2] && q[2] != ']') {
            high = (unsigned char)q[2];
            q += 2;
        }
        hit = hit || ((unsigned char)c >= low && (unsigned char)c <= high);
    }
    if (!*q) {
        *end = p + 1;
        return c == '[';
    }
    *end = q + 1;
    return hit != negate;
}

bool ubp_glob_match(const char *pattern, const char *name)
{
    const char *star = NULL, *retry = NULL; /* behind the last *, and where its run ends for now */
    const char *p = pattern, *s = name;
    while (*s) {
        const char *next = p + 1;
        bool hit = false;
        if (*p == '*') {
            star = ++p;
            retry = s;
            continue;
        }
        if (*p == '[')
            hit = class_match(p, *s, &next);
        else
            hit = *p && (*p == '?' || *p == *s);
        if (hit) {
            p = next;
            s++;
        } else if (star) {
            p = star;
            s = ++retry;
        } else {
            return false;
        }
    }
    while (*p == '*')
        p++;
    return !*p;
}
