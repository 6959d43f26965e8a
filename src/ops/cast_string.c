/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cast to strings: what NumPy's str() of the number is ("0.1", "1e+20", "nan", "True"). Cast from
 * strings: decimal numbers, plain or with an exponent, and INF, NaN in any case; anything else is
 * refused. Numbers in text have a point whatever the locale is.
 */
#include "ops/string_ops.h"

#include <errno.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#ifdef __APPLE__
#include <xlocale.h>
#endif

typedef struct string_cast {
    const ubp_call *c;
    ub_dtype dst, src;
    locale_t plain; /* "C" */
    ub_status *status;
} string_cast;

static ub_status write_number(const string_cast *j, char *dst, const char *src)
{
    ub_tensor one = {.dtype = j->src, .data = (void *)(uintptr_t)src};
    char *text = NULL;
    UBP_TRY(ub_tensor_str(&text, &one, j->c->err));
    const char *kept = ubp_run_string(j->c, text, strlen(text));
    ub_string_free(text);
    ubp_string_put(dst, kept);
    return kept ? UB_OK : UB_ERR_MEMORY;
}

static ub_status refuse_text(const string_cast *j, const char *text)
{
    return ubp_op_fail(j->c, UB_ERR_ARGUMENT, "'%.100s' is no number, expected %s", text,
                       ub_dtype_name(j->dst));
}

static bool is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool ended(const char *at)
{
    while (is_blank(*at))
        at++;
    return !*at;
}

/* Exactly, where the text is an integer that fits. */
static bool read_integer(const string_cast *j, const char *s, char *dst)
{
    char *end;
    errno = 0;
    if (j->dst == UB_U64) {
        const uint64_t v = strtoull(s, &end, 10);
        ubp_convert(dst, j->dst, &v, UB_U64, 1);
    } else {
        const int64_t v = strtoll(s, &end, 10);
        ubp_convert(dst, j->dst, &v, UB_I64, 1);
    }
    return end != s && errno == 0 && ended(end);
}

static ub_status read_number(const string_cast *j, char *dst, const char *text)
{
    const char *s = text;
    while (is_blank(*s))
        s++;
    const bool whole = ubp_is_integer(j->dst) || ubp_is_narrow_integer(j->dst);
    if (j->dst == UB_BOOL && (strcasecmp(s, "true") == 0 || strcasecmp(s, "false") == 0)) {
        *dst = strcasecmp(s, "true") == 0;
        return UB_OK;
    }
    if (whole && read_integer(j, s, dst))
        return UB_OK;
    char *end;
    if (strpbrk(s, "xX")) /* hexadecimal to C, nothing to ONNX */
        return refuse_text(j, text);
    if (j->dst == UB_F32) {
        const float v = strtof_l(s, &end, j->plain);
        ubp_convert(dst, j->dst, &v, UB_F32, 1);
    } else {
        const double v = strtod_l(s, &end, j->plain);
        ubp_convert(dst, j->dst, &v, UB_F64, 1);
    }
    return end == s || !ended(end) ? refuse_text(j, text) : UB_OK;
}

static void cast_row(char *const *p, const int64_t *step, int64_t n, const void *arg)
{
    const string_cast *j = arg;
    for (int64_t i = 0; i < n && *j->status == UB_OK; i++) {
        char *dst = p[0] + i * step[0];
        const char *src = p[1] + i * step[1];
        *j->status = j->dst == UB_STRING ? write_number(j, dst, src)
                                         : read_number(j, dst, ubp_string_at(src));
    }
}

ub_status ubp_cast_strings(const ubp_call *c, const ub_tensor *dst, const ub_tensor *src)
{
    ub_status status = UB_OK;
    string_cast j = {c, dst->dtype, src->dtype, newlocale(LC_ALL_MASK, "C", (locale_t)0), &status};
    const ub_tensor *operands[] = {dst, src};
    if (j.plain == (locale_t)0)
        return ubp_fail_memory(c->err, 1);
    UBP_TRY(ubp_string_walk(c, 2, operands, cast_row, &j));
    freelocale(j.plain);
    return status;
}
