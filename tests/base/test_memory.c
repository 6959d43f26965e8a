/* SPDX-License-Identifier: Apache-2.0 */
/* Memory, arenas and growing arrays: sizes at their limits, alignment, zeroes, caps. */
#include "base/base.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

static void sizes(void **state)
{
    (void)state;
    void *p = ubp_malloc(0);
    assert_non_null(p);
    ubp_free(p);
    p = ubp_calloc(0, 8);
    assert_non_null(p);
    p = ubp_realloc(p, 0);
    assert_non_null(p);
    ubp_free(p);
    assert_null(ubp_calloc(SIZE_MAX / 2, 3));
    assert_null(ubp_malloc_aligned(SIZE_MAX - 10));
    ubp_free(NULL);
    for (size_t n = 0; n < 300; n += 7) {
        p = ubp_malloc_aligned(n);
        assert_non_null(p);
        assert_int_equal((uintptr_t)p % 64, 0);
        memset(p, 1, n);
        ubp_free(p);
    }
}

static void large_blocks(void **state)
{
    (void)state;
    const size_t sizes[] = {(2 << 20) - 1, 2 << 20, (2 << 20) + 1, 5 << 20};
    for (int i = 0; i < 4; i++) {
        char *p = ubp_malloc_aligned(sizes[i]);
        assert_non_null(p);
        assert_int_equal((uintptr_t)p % 64, 0);
        memset(p, 1, sizes[i]);
        ubp_free(p);
    }
}

/* Blocks of all sizes, given back in another order: nothing overlaps, nothing stays. */
static void pages_hold_blocks(void **state)
{
    (void)state;
    enum { N = 60 };
    ubp_pages p = {0};
    uint8_t *blocks[N];
    size_t sizes[N];
    for (size_t round = 0; round < 2; round++) {
        for (size_t i = 0; i < N; i++) {
            sizes[i] = i % 20 == 7 ? (size_t)40 << 20 : (i * i * i * 97) % 3000000;
            blocks[i] = ubp_pages_take(&p, sizes[i]);
            assert_non_null(blocks[i]);
            assert_int_equal((uintptr_t)blocks[i] % 64, 0);
            for (size_t k = 0; k < sizes[i]; k += 4096)
                blocks[i][k] = (uint8_t)(i + 1);
            if (sizes[i])
                blocks[i][sizes[i] - 1] = (uint8_t)(i + 1);
        }
        for (size_t i = 0; i < N; i++) {
            const size_t at = i * 37 % N; /* 37 and 60 have no common divisor */
            for (size_t k = 0; k < sizes[at]; k += 4096)
                assert_int_equal(blocks[at][k], at + 1);
            if (sizes[at])
                assert_int_equal(blocks[at][sizes[at] - 1], at + 1);
            ubp_pages_give(&p, blocks[at]);
        }
        assert_null(p.chunks);
    }
    ubp_pages_give(&p, NULL);
    assert_null(ubp_pages_take(&p, SIZE_MAX));
    assert_null(p.chunks);
}

static void arena_gives_zeroed_aligned_memory(void **state)
{
    (void)state;
    ubp_arena a = {0};
    uint8_t *parts[2000];
    for (size_t i = 0; i < 2000; i++) {
        const size_t n = i % 97 == 0 ? 50000 + i : i % 130;
        parts[i] = ubp_arena_alloc(&a, n);
        assert_non_null(parts[i]);
        assert_int_equal((uintptr_t)parts[i] % 16, 0);
        for (size_t k = 0; k < n; k++)
            assert_int_equal(parts[i][k], 0);
        memset(parts[i], (int)(i % 255), n);
    }
    /* Nothing overlaps. */
    for (size_t i = 0; i < 2000; i++)
        for (size_t k = 0; k < (i % 97 == 0 ? 50000 + i : i % 130); k++)
            assert_int_equal(parts[i][k], i % 255);
    ubp_arena_release(&a);
    assert_int_equal(a.used, 0);
    ubp_arena_release(&a);
}

static void arena_has_a_cap(void **state)
{
    (void)state;
    ubp_arena a = {.cap = 1000};
    assert_non_null(ubp_arena_alloc(&a, 600));
    assert_null(ubp_arena_alloc(&a, 600));
    assert_non_null(ubp_arena_alloc(&a, 300));
    assert_true(a.used <= a.cap);
    assert_null(ubp_arena_alloc(&a, SIZE_MAX));
    assert_null(ubp_arena_array(&a, SIZE_MAX / 4, 8));
    ubp_arena_release(&a);
}

static void arena_copies_text(void **state)
{
    (void)state;
    ubp_arena a = {0};
    char *s = ubp_arena_strdup(&a, "conv1");
    assert_string_equal(s, "conv1");
    assert_string_equal(ubp_arena_strndup(&a, "layer1.conv", 6), "layer1");
    assert_string_equal(ubp_arena_strndup(&a, NULL, 0), "");
    assert_string_equal(ubp_arena_printf(&a, "%s.%d", s, 7), "conv1.7");
    ubp_arena_release(&a);
}

static void arrays_grow(void **state)
{
    (void)state;
    int64_t *items = NULL;
    size_t cap = 0;
    ub_error e;
    for (size_t i = 0; i < 10000; i++) {
        assert_int_equal(ubp_grow((void **)&items, &cap, i, sizeof(*items), &e), UB_OK);
        assert_true(cap > i);
        items[i] = (int64_t)i;
    }
    for (size_t i = 0; i < 10000; i++)
        assert_int_equal(items[i], i);
    cap = SIZE_MAX / 8;
    assert_int_equal(ubp_grow((void **)&items, &cap, cap, sizeof(*items), &e), UB_ERR_MEMORY);
    assert_int_equal(cap, SIZE_MAX / 8);
    ubp_free(items);
}

static void arithmetic_is_checked(void **state)
{
    (void)state;
    size_t s = 7;
    int64_t i = 7;
    assert_false(ubp_mul_size(SIZE_MAX, 2, &s));
    assert_false(ubp_add_size(SIZE_MAX, 1, &s));
    assert_false(ubp_mul_i64(INT64_MIN, -1, &i));
    assert_false(ubp_add_i64(INT64_MAX, 1, &i));
    assert_true(ubp_mul_size(SIZE_MAX, 1, &s) && s == SIZE_MAX);
    assert_true(ubp_add_i64(INT64_MIN, INT64_MAX, &i) && i == -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes),
        cmocka_unit_test(large_blocks),
        cmocka_unit_test(pages_hold_blocks),
        cmocka_unit_test(arena_gives_zeroed_aligned_memory),
        cmocka_unit_test(arena_has_a_cap),
        cmocka_unit_test(arena_copies_text),
        cmocka_unit_test(arrays_grow),
        cmocka_unit_test(arithmetic_is_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
