/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Errors: writes one line into the caller's ub_error. Names in messages come from files, so control
 * characters (new lines, terminal escapes) and what is no UTF-8 are replaced, and a message that is
 * too long is cut between characters and ends in "...".
 */
#include "base/base.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { MESSAGE_SIZE = sizeof(((ub_error *)0)->message) };

/* Cuts a text that vsnprintf shortened, not inside a UTF-8 character; len < MESSAGE_SIZE. */
static void mark_cut(char *text)
{
    size_t n = MESSAGE_SIZE - 4;
    while (n > 0 && ((unsigned char)text[n] & 0xC0) == 0x80)
        n--;
    memcpy(text + n, "...", 4);
}

/* Bytes of the UTF-8 character at s, 0 where there is none (Unicode 15, table 3-7). */
static size_t utf8_size(const char *s)
{
    const unsigned char *u = (const unsigned char *)s;
    const size_t size = u[0] < 0x80 ? 1 : u[0] < 0xC2 ? 0 : u[0] < 0xE0 ? 2 : u[0] < 0xF0 ? 3 : 4;
    if (u[0] > 0xF4 || (u[0] == 0xE0 && u[1] < 0xA0) || (u[0] == 0xED && u[1] > 0x9F) ||
        (u[0] == 0xF0 && u[1] < 0x90) || (u[0] == 0xF4 && u[1] > 0x8F))
        return 0;
    for (size_t i = 1; i < size; i++)
        if ((u[i] & 0xC0) != 0x80)
            return 0;
    return size;
}

/* The text as valid UTF-8 on one line. */
static void store(ub_error *err, const char *text)
{
    size_t n = 0;
    while (text[n] && n < MESSAGE_SIZE - 1) {
        const size_t size = utf8_size(text + n);
        const unsigned char c = (unsigned char)text[n];
        if (size <= 1) {
            err->message[n++] = size == 0 || c < 0x20 || c == 0x7F ? '?' : (char)c;
            continue;
        }
        if (n + size > MESSAGE_SIZE - 1)
            break;
        memcpy(err->message + n, text + n, size);
        n += size;
    }
    err->message[n] = 0;
}

/* The text is made beside err: the arguments may point into err->message. */
static void format(char *text, const char *fmt, va_list args)
{
    const int n = vsnprintf(text, MESSAGE_SIZE, fmt, args);
    if (n >= MESSAGE_SIZE)
        mark_cut(text);
    if (n <= 0)
        memcpy(text, "unknown error", sizeof("unknown error"));
}

ub_status ubp_fail(ub_error *err, ub_status code, const char *fmt, ...)
{
    if (!err)
        return code;
    char text[MESSAGE_SIZE];
    va_list args;
    va_start(args, fmt);
    format(text, fmt, args);
    va_end(args);
    store(err, text);
    err->code = code;
    err->offset = -1;
    return code;
}

ub_status ubp_fail_at(ub_error *err, ub_status code, int64_t offset, const char *fmt, ...)
{
    if (!err)
        return code;
    char text[MESSAGE_SIZE];
    va_list args;
    va_start(args, fmt);
    format(text, fmt, args);
    va_end(args);
    char where[40];
    const int n = snprintf(where, sizeof(where), " (at byte %" PRId64 ")", offset);
    if (strlen(text) + (size_t)n < MESSAGE_SIZE)
        strcat(text, where);
    store(err, text);
    err->code = code;
    err->offset = offset;
    return code;
}

ub_status ubp_fail_errno(ub_error *err, int number, const char *fmt, ...)
{
    if (!err)
        return UB_ERR_FILE;
    char text[MESSAGE_SIZE];
    va_list args;
    va_start(args, fmt);
    format(text, fmt, args);
    va_end(args);
    /* strerror is safe with threads in glibc (since 2.32) and musl. */
    return ubp_fail(err, UB_ERR_FILE, "%s: %s", text, strerror(number));
}

void ubp_error_prefix(ub_error *err, const char *fmt, ...)
{
    if (!err)
        return;
    char prefix[MESSAGE_SIZE];
    char text[MESSAGE_SIZE * 2 + 2];
    va_list args;
    va_start(args, fmt);
    format(prefix, fmt, args);
    va_end(args);
    const int n = snprintf(text, sizeof(text), "%s: %s", prefix, err->message);
    if (n >= MESSAGE_SIZE)
        mark_cut(text);
    store(err, text);
}

ub_status ubp_fail_memory(ub_error *err, size_t bytes)
{
    return ubp_fail(err, UB_ERR_MEMORY, "out of memory: %zu bytes were wanted", bytes);
}
