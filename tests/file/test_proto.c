/* SPDX-License-Identifier: Apache-2.0 */
/* Protobuf fields: the examples of protobuf.dev's encoding page, and what is damaged. */
#include "file/file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

/* 1: 150; 2: "testing"; 3: {1: 150}; 4: packed [3, 270, 86942]; 5: fixed32; 6: fixed64; 7: -2 */
static const uint8_t message[] = {
    0x08, 0x96, 0x01,                                                 /* 0 */
    0x12, 0x07, 't',  'e',  's',  't',  'i',  'n',  'g',              /* 3 */
    0x1a, 0x03, 0x08, 0x96, 0x01,                                     /* 12 */
    0x22, 0x06, 0x03, 0x8e, 0x02, 0x9e, 0xa7, 0x05,                   /* 17 */
    0x2d, 0x04, 0x03, 0x02, 0x01,                                     /* 25 */
    0x31, 0x08, 0x07, 0x06, 0x05, 0x04, 0x03, 0x02, 0x01,             /* 30 */
    0x38, 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01, /* 39 */
};

static ubp_proto whole(const uint8_t *bytes, size_t size)
{
    return (ubp_proto){bytes, bytes, bytes + size};
}

static void next(ubp_proto *p, ubp_proto_field *f)
{
    ub_error e;
    bool more = false;
    assert_int_equal(ubp_proto_next(p, f, &more, &e), UB_OK);
    assert_true(more);
}

static void reads_every_kind(void **state)
{
    (void)state;
    ub_error e;
    ubp_proto p = whole(message, sizeof(message));
    ubp_proto_field f;
    next(&p, &f);
    assert_true(f.number == 1 && f.wire == 0 && f.value == 150);
    next(&p, &f);
    assert_true(f.number == 2 && f.wire == 2 && f.size == 7);
    assert_ptr_equal(f.data, message + 5);
    next(&p, &f);
    ubp_proto sub = ubp_proto_sub(&p, &f);
    ubp_proto_field inner;
    next(&sub, &inner);
    assert_true(inner.number == 1 && inner.value == 150);
    next(&p, &f);
    ubp_proto packed = ubp_proto_sub(&p, &f);
    static const uint64_t want[] = {3, 270, 86942};
    for (int i = 0; i < 3; i++) {
        uint64_t v = 0;
        assert_int_equal(ubp_proto_varint(&packed, &v, &e), UB_OK);
        assert_int_equal(v, want[i]);
    }
    assert_ptr_equal(packed.at, packed.end);
    next(&p, &f);
    assert_true(f.number == 5 && f.wire == 5 && f.value == 0x01020304);
    next(&p, &f);
    assert_true(f.number == 6 && f.wire == 1 && f.value == 0x0102030405060708);
    next(&p, &f);
    assert_true(f.number == 7 && (int64_t)f.value == -2);
    bool more = true;
    assert_int_equal(ubp_proto_next(&p, &f, &more, &e), UB_OK);
    assert_false(more);
}

static void refuses(const uint8_t *bytes, size_t size, int64_t offset, const char *part)
{
    ub_error e;
    bool more = false;
    ubp_proto_field f;
    ubp_proto p = whole(bytes, size);
    ub_status status = UB_OK;
    do
        status = ubp_proto_next(&p, &f, &more, &e);
    while (status == UB_OK && more);
    assert_int_equal(status, UB_ERR_FILE);
    assert_int_equal(e.offset, offset);
    if (!strstr(e.message, part))
        fail_msg("'%s' has no '%s'", e.message, part);
}
#define REFUSES(offset, part, ...)                                                                 \
    do {                                                                                           \
        const uint8_t bytes_[] = {__VA_ARGS__};                                                    \
        refuses(bytes_, sizeof(bytes_), offset, part);                                             \
    } while (0)

static void refuses_damage(void **state)
{
    (void)state;
    REFUSES(0, "no field", 0x00);
    REFUSES(0, "no field", 0x80);
    REFUSES(0, "no field", 0xff, 0xff, 0xff, 0xff, 0xff, 0xff);
    REFUSES(2, "wire type 3", 0x08, 0x01, 0x0b, 0x0c);
    REFUSES(0, "wire type 4", 0x0c);
    REFUSES(0, "wire type 6", 0x0e);
    REFUSES(0, "wire type 7", 0x0f);
    REFUSES(0, "cut off", 0x08);
    REFUSES(0, "cut off", 0x0d, 1, 2, 3);
    REFUSES(0, "cut off", 0x09, 1, 2, 3, 4, 5, 6, 7);
    REFUSES(2, "too long", 0x08, 0x01, 0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
            0xff, 0x01);
    REFUSES(0, "length", 0x0a);
    REFUSES(0, "has 5 bytes, its message has only 1 left", 0x0a, 5, 1);
    REFUSES(0, "18446744073709551615 bytes", 0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
            0xff, 0x01);
}

/* Walks a message of its own size on the heap, so that a step too far is seen by ASan. */
static int walk(const uint8_t *bytes, size_t size)
{
    ub_error e;
    uint8_t *copy = malloc(size ? size : 1);
    memcpy(copy, bytes, size);
    ubp_proto p = whole(copy, size);
    int fields = 0;
    for (bool more = true; more; fields++) {
        ubp_proto_field f;
        const uint8_t *at = p.at;
        if (ubp_proto_next(&p, &f, &more, &e) != UB_OK) {
            assert_true(e.offset >= 0 && e.offset <= (int64_t)size);
            fields = -1;
            break;
        }
        assert_true(p.at > at || !more);
        if (f.wire == 2)
            assert_true(f.data >= copy && f.size <= size && f.data + f.size <= copy + size);
    }
    free(copy);
    return fields;
}

static void survives_cuts_and_flips(void **state)
{
    (void)state;
    static const size_t ends[] = {0, 3, 12, 17, 25, 30, 39, sizeof(message)};
    for (size_t n = 0; n <= sizeof(message); n++) {
        bool whole_fields = false;
        for (int i = 0; i < UBP_COUNT(ends); i++)
            whole_fields = whole_fields || ends[i] == n;
        assert_int_equal(walk(message, n) >= 0, whole_fields);
    }
    uint8_t changed[sizeof(message)];
    for (size_t i = 0; i < sizeof(message); i++)
        for (int v = 1; v < 256; v++) {
            memcpy(changed, message, sizeof(message));
            changed[i] ^= (uint8_t)v;
            walk(changed, sizeof(changed));
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_every_kind),
        cmocka_unit_test(refuses_damage),
        cmocka_unit_test(survives_cuts_and_flips),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
