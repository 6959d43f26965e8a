/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The n-th allocation fails, for every n: each function says "out of memory", gives nothing back
 * and loses nothing. Linked with --wrap, see CMakeLists.txt.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tensor/tensor.h"

#include <stdlib.h>

static long allowed; /* allocations left before one fails; negative: all succeed */
static long held;    /* allocations not freed yet, made while counting */
static bool counting;

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *p, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
void __real_free(void *p);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *p, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);
void __wrap_free(void *p);

static bool refuse(void)
{
    return counting && allowed >= 0 && allowed-- == 0;
}

static void *note(void *p)
{
    held += counting && p;
    return p;
}

void *__wrap_malloc(size_t size)
{
    return refuse() ? NULL : note(__real_malloc(size));
}

void *__wrap_calloc(size_t count, size_t size)
{
    return refuse() ? NULL : note(__real_calloc(count, size));
}

void *__wrap_realloc(void *p, size_t size)
{
    if (refuse())
        return NULL;
    void *moved = __real_realloc(p, size);
    return p ? moved : note(moved);
}

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
    return refuse() ? NULL : note(__real_aligned_alloc(alignment, size));
}

void __wrap_free(void *p)
{
    held -= counting && p;
    __real_free(p);
}

typedef ub_status (*action)(const ub_tensor *t, ub_error *err);

static ub_status finish(ub_tensor *out, ub_status status)
{
    if (status != UB_OK && out)
        return UB_ERR_INTERNAL;
    ub_tensor_free(out);
    return status;
}

static ub_status by_text(const ub_tensor *t, ub_error *err)
{
    ub_tensor *out = NULL;
    ub_status status = ub_tensor_index(
        &out, t, "[[[0], [1]], :, [True, False, True, False, True], None, [0, 1, 3]]", err);
    return finish(out, status);
}

static ub_status by_view(const ub_tensor *t, ub_error *err)
{
    ub_tensor *out = NULL;
    const ub_status status = ub_tensor_index(&out, t, "[4, :, 1:3]", err);
    return finish(out, status);
}

static ub_status reshaping(const ub_tensor *t, ub_error *err)
{
    ub_tensor view, *out = NULL;
    UBP_TRY(ub_tensor_permute(&view, t, NULL, err));
    const ub_status status = ub_tensor_reshape(&out, &view, 1, (const int64_t[]){-1}, err);
    return finish(out, status);
}

static ub_status casting(const ub_tensor *t, ub_error *err)
{
    ub_tensor *out = NULL;
    const ub_status status = ub_tensor_cast(&out, t, UB_F16, err);
    return finish(out, status);
}

static ub_status printing(const ub_tensor *t, ub_error *err)
{
    char *text = NULL;
    ub_status status = ub_tensor_str(&text, t, err);
    if (status != UB_OK && text)
        return UB_ERR_INTERNAL;
    ub_string_free(text);
    return status;
}

static ub_status drawing(const ub_tensor *t, ub_error *err)
{
    ub_tensor *out = NULL;
    const ub_status status = ub_tensor_random_normal(&out, t->rank, t->dims, 1, err);
    return finish(out, status);
}

static void every_allocation_fails_once(void **state)
{
    (void)state;
    static const action actions[] = {by_text, by_view, reshaping, casting, printing, drawing};
    static const int least[] = {8, 1, 3, 3, 2, 3}; /* allocations each makes at least */
    ub_tensor *t = NULL;
    assert_int_equal(ub_tensor_new(&t, UB_F32, 4, (const int64_t[]){6, 3, 5, 4}, NULL), UB_OK);
    for (int i = 0; i < UBP_COUNT(actions); i++) {
        ub_status status = UB_ERR_MEMORY;
        int n = 0;
        for (; status != UB_OK; n++) {
            ub_error err = {0};
            held = 0;
            allowed = n;
            counting = true;
            status = actions[i](t, &err);
            counting = false;
            assert_int_equal(held, 0);
            if (status != UB_OK) {
                assert_int_equal(status, UB_ERR_MEMORY);
                assert_int_equal(err.code, UB_ERR_MEMORY);
                assert_true(err.message[0]);
            }
        }
        assert_true(n > least[i]);
    }
    ub_tensor_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_allocation_fails_once)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
