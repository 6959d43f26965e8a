/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Philox4x32-10 against the known answers of Random123 (tests/kat_vectors), and that value i hangs
 * on seed and i alone. The normal values are compared with NumPy's arithmetic by compare_numpy.py.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tensor/tensor.h"

#include <string.h>

static void known_answers(void **state)
{
    (void)state;
    static const struct {
        uint32_t counter[4], key[2], answer[4];
    } vectors[] = {
        {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
         {0xffffffff, 0xffffffff},
         {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
         {0xa4093822, 0x299f31d0},
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (int i = 0; i < UBP_COUNT(vectors); i++) {
        uint32_t out[4];
        ubp_philox4x32(out, vectors[i].counter, vectors[i].key);
        assert_memory_equal(out, vectors[i].answer, sizeof(out));
    }
}

static void parts_are_the_same(void **state)
{
    (void)state;
    ub_tensor *whole = NULL, *part = NULL, *other = NULL;
    assert_int_equal(ub_tensor_random_normal(&whole, 2, (const int64_t[]){32, 101}, 7, NULL),
                     UB_OK);
    assert_int_equal(ub_tensor_random_normal(&part, 3, (const int64_t[]){3, 101, 1}, 7, NULL),
                     UB_OK);
    assert_int_equal(ub_tensor_random_normal(&other, 1, (const int64_t[]){303}, 8, NULL), UB_OK);
    assert_int_equal(whole->dtype, UB_F32);
    assert_memory_equal(whole->data, part->data, 303 * sizeof(float));
    assert_int_not_equal(memcmp(part->data, other->data, 303 * sizeof(float)), 0);
    ub_tensor_free(whole);
    ub_tensor_free(part);
    ub_tensor_free(other);
    assert_int_equal(ub_tensor_random_normal(&whole, 1, (const int64_t[]){-3}, 7, NULL),
                     UB_ERR_SHAPE);
    assert_null(whole);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_answers),
        cmocka_unit_test(parts_are_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
