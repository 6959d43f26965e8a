/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base: what everything stands on. Errors, checked size arithmetic, memory, threads, strings,
 * a name table. Knows nothing of tensors or networks.
 */
#ifndef UBP_BASE_H
#define UBP_BASE_H

#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "unbatch.h"

#define UBP_COUNT(a)     ((int)(sizeof(a) / sizeof((a)[0])))
#define UBP_PRINTF(f, a) __attribute__((format(printf, f, a)))

/* ---- error.c: who detects an error writes it, who propagates adds nothing ------------------- */

/* Fills err (when not NULL) and returns code. */
ub_status ubp_fail(ub_error *err, ub_status code, const char *fmt, ...) UBP_PRINTF(3, 4);
/* The same with a byte offset in the file. */
ub_status ubp_fail_at(ub_error *err, ub_status code, int64_t offset, const char *fmt, ...)
    UBP_PRINTF(4, 5);
/* UB_ERR_FILE, ending in what the system says: "cannot open 'x': No such file or directory". */
ub_status ubp_fail_errno(ub_error *err, int number, const char *fmt, ...) UBP_PRINTF(3, 4);
/* Puts "prefix: " before the message: for ub_open (the file) and ub_get (the layer) only. */
void ubp_error_prefix(ub_error *err, const char *fmt, ...) UBP_PRINTF(2, 3);
/* Out of memory, saying how much was wanted. */
ub_status ubp_fail_memory(ub_error *err, size_t bytes);

/* Returns from the calling function when a call failed. */
#define UBP_TRY(call)                                                                              \
    do {                                                                                           \
        ub_status ubp_try_status_ = (call);                                                        \
        if (ubp_try_status_ != UB_OK)                                                              \
            return ubp_try_status_;                                                                \
    } while (0)

/* ---- Checked arithmetic: false on overflow, *out untouched then ------------------------------ */

static inline bool ubp_mul_size(size_t a, size_t b, size_t *out)
{
    return !__builtin_mul_overflow(a, b, out);
}
static inline bool ubp_add_size(size_t a, size_t b, size_t *out)
{
    return !__builtin_add_overflow(a, b, out);
}
static inline bool ubp_mul_i64(int64_t a, int64_t b, int64_t *out)
{
    return !__builtin_mul_overflow(a, b, out);
}
static inline bool ubp_add_i64(int64_t a, int64_t b, int64_t *out)
{
    return !__builtin_add_overflow(a, b, out);
}

/* ---- memory.c -------------------------------------------------------------------------------- */

/* All heap memory of the library comes through these. NULL when there is none; size 0 gives a
 * valid pointer. */
void *ubp_malloc(size_t size);
void *ubp_calloc(size_t count, size_t size); /* checks the product */
void *ubp_realloc(void *p, size_t size);
void ubp_free(void *p);
/* 64-byte aligned, for kernels; freed with ubp_free(). From 2 MB on it is on large pages where the
 * system has them. */
void *ubp_malloc_aligned(size_t size);

/* pages.c: blocks of memory side by side on large pages. Zeroed, it is empty; it is empty again
 * when every block was given back. */
typedef struct ubp_pages {
    struct ubp_pages_chunk *chunks;
} ubp_pages;

/* 64-byte aligned; NULL: out of memory. */
void *ubp_pages_take(ubp_pages *p, size_t size);
void ubp_pages_give(ubp_pages *p, const void *block); /* NULL is fine */

/* A bump allocator: everything in it dies together. Zero-filled memory, aligned to 16. */
typedef struct ubp_arena {
    struct ubp_arena_block *blocks;
    size_t used; /* bytes handed out */
    size_t cap;  /* 0: none */
} ubp_arena;

void *ubp_arena_alloc(ubp_arena *a, size_t size); /* NULL: out of memory or over the cap */
void *ubp_arena_array(ubp_arena *a, size_t count, size_t size); /* checks the product */
char *ubp_arena_strdup(ubp_arena *a, const char *s);
char *ubp_arena_strndup(ubp_arena *a, const char *s, size_t n);
char *ubp_arena_printf(ubp_arena *a, const char *fmt, ...) UBP_PRINTF(2, 3);
/* Forgets everything in it and keeps one block of ordinary size for the next use. */
void ubp_arena_reset(ubp_arena *a);
void ubp_arena_release(ubp_arena *a);

/* Makes room for one more element in a growing array: doubles *cap, reallocates *items. Pass
 * (void **)&array. */
ub_status ubp_grow(void **items, size_t *cap, size_t count, size_t item_size, ub_error *err);

/* ---- text.c: a growing string, and near names --------------------------------------------- */

typedef struct ubp_text {
    char *s; /* always terminated once something was added */
    size_t len, cap;
    bool failed; /* an allocation failed; s holds what fitted */
} ubp_text;

void ubp_text_add(ubp_text *t, const char *s);
void ubp_text_addn(ubp_text *t, const char *s, size_t n);
void ubp_text_addf(ubp_text *t, const char *fmt, ...) UBP_PRINTF(2, 3);
void ubp_text_free(ubp_text *t);
/* Edit distance (Levenshtein) of two names, at most limit + 1; a limit over 127 counts as 127. */
int ubp_distance(const char *a, const char *b, int limit);
/* Whether name matches a glob of * (any run of characters, dots and slashes too), ? and [abc],
 * [a-c], [!abc]. */
bool ubp_glob_match(const char *pattern, const char *name);

/* ---- table.c: name -> number ----------------------------------------------------------------- */

typedef struct ubp_table {
    struct ubp_table_slot *slots;
    size_t cap, count;
    uint64_t key[2]; /* of the hash, random */
} ubp_table;

/* The name is borrowed and must outlive the table. An existing name keeps its first number. */
ub_status ubp_table_add(ubp_table *t, const char *name, int32_t value, ub_error *err);
int32_t ubp_table_find(const ubp_table *t, const char *name); /* -1: none */
void ubp_table_release(ubp_table *t);

/* ---- threads.c ------------------------------------------------------------------------------- */

/* Cores this process may use. */
int ubp_core_count(void);
/* Calls fn(arg, begin, end) over parts of [0, n) on up to `threads` threads. Where the parts are
 * cut must not change any result: each index is computed on its own. grain: least indices worth a
 * thread. */
void ubp_parallel(int threads, int64_t n, int64_t grain,
                  void (*fn)(void *arg, int64_t begin, int64_t end), void *arg);
/* Calls fn(arg, member, team) on up to `threads` threads at once; all of them wait for each other
 * in ubp_team_wait(team), which all must reach equally often; one alone does not wait. */
void ubp_team(int threads, void (*fn)(void *arg, int member, int team), void *arg);
void ubp_team_wait(int team);
/* Sets how many threads OpenMP inside other libraries takes from this thread; returns the old
 * number. */
int ubp_threads_enter(int threads);
/* Whether an arithmetic operation was invalid (a NaN was met or made) in this thread since the last
 * call; the mark is lowered. Always true on machines that keep no such mark. */
bool ubp_invalid_here(void);
/* The same for all of `threads` threads, as ubp_parallel() and kernels use them. */
bool ubp_invalid_raised(int threads);
void ubp_threads_leave(int old);

/* Monotonic clock, milliseconds. */
double ubp_now_ms(void);

#endif
