/* SPDX-License-Identifier: Apache-2.0 */
/*
 * NumPy's str() of an array with default print options (arrayprint.py of NumPy 2.3): precision 8,
 * lines of 75, over 1000 elements only the 3 first and last of each axis. Two walks over the
 * elements shown: the first finds how wide they are, the second writes them. bfloat16 and
 * the floats of eight bits and less are printed as the float32 they stand for.
 */
#include "tensor/float_text.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { PRECISION = 8, LINE_WIDTH = 75, THRESHOLD = 1000, EDGE = 3 };

/* ---- The elements that are shown ---------------------------------------------------------------
 */

typedef struct shown {
    const ub_tensor *t;
    bool summary;               /* axes over 2*EDGE show EDGE, "...", EDGE */
    int64_t dims[UB_MAX_RANK];  /* of what is shown */
    int64_t index[UB_MAX_RANK]; /* within dims */
} shown;

static void shown_start(shown *s, const ub_tensor *t)
{
    s->t = t;
    s->summary = ub_tensor_count(t) > THRESHOLD;
    for (int i = 0; i < t->rank; i++) {
        s->dims[i] = s->summary && t->dims[i] > 2 * EDGE ? 2 * EDGE : t->dims[i];
        s->index[i] = 0;
    }
}

/* Whether axis i leaves elements out just before its present index. */
static bool shown_gap(const shown *s, int i)
{
    return s->dims[i] < s->t->dims[i] && s->index[i] == EDGE;
}

static const void *shown_element(const shown *s)
{
    const char *at = s->t->data;
    for (int i = 0; i < s->t->rank; i++) {
        bool tail = s->dims[i] < s->t->dims[i] && s->index[i] >= EDGE;
        at += (s->index[i] + (tail ? s->t->dims[i] - s->dims[i] : 0)) * s->t->strides[i];
    }
    return at;
}

/* Steps to the next element; returns the axis that moved on, -1 at the end. */
static int shown_next(shown *s)
{
    for (int i = s->t->rank - 1; i >= 0; i--) {
        if (++s->index[i] < s->dims[i])
            return i;
        s->index[i] = 0;
    }
    return -1;
}

/* ---- One element -------------------------------------------------------------------------------
 */

typedef struct style {
    ub_dtype dtype;
    ub_dtype as; /* the float type whose digits are printed */
    bool scientific;
    int width;         /* integers */
    int left, right;   /* characters before and after the point */
    int exponent_size; /* digits of the exponent */
} style;

static bool has_fraction(ub_dtype d)
{
    return ubp_is_float(d) || ubp_is_narrow_float(d);
}

static double read_float(const style *f, const void *p)
{
    return ubp_read_f64(p, f->dtype);
}

static int exponent_digits(int exponent)
{
    return exponent <= -100 || exponent >= 100 ? 3 : 2;
}

static void add_repeated(ubp_text *out, char c, int n)
{
    for (int i = 0; i < n; i++)
        ubp_text_addn(out, &c, 1);
}

static void add_exponent(ubp_text *out, int exponent, int size)
{
    ubp_text_addf(out, "e%c%0*d", exponent < 0 ? '-' : '+', size,
                  exponent < 0 ? -exponent : exponent);
}

static int whole_size(const ubp_decimal *d, bool scientific)
{
    int digits = scientific || d->exponent < 0 ? 1 : d->exponent + 1;
    return digits + (d->negative ? 1 : 0);
}

static int fraction_size(const ubp_decimal *d, bool scientific)
{
    int size = scientific ? d->count - 1 : d->count - 1 - d->exponent;
    return size > 0 ? size : 0;
}

/* The digits before the point, the point, and those after it. */
static void add_positional(ubp_text *out, const ubp_decimal *d)
{
    if (d->negative)
        ubp_text_addn(out, "-", 1);
    int whole = d->exponent + 1; /* digits before the point */
    if (whole <= 0) {
        ubp_text_addn(out, "0.", 2);
        if (d->digits[0] != '0')
            add_repeated(out, '0', -whole);
        ubp_text_addn(out, d->digits, (size_t)d->count);
        return;
    }
    int given = d->count < whole ? d->count : whole;
    ubp_text_addn(out, d->digits, (size_t)given);
    add_repeated(out, '0', whole - given);
    ubp_text_addn(out, ".", 1);
    ubp_text_addn(out, d->digits + given, (size_t)(d->count - given));
}

static void add_float(ubp_text *out, const style *f, double v)
{
    if (!isfinite(v)) {
        const char *word = isnan(v) ? "nan" : v < 0 ? "-inf" : "inf";
        add_repeated(out, ' ', f->left + 1 + f->right - (int)strlen(word));
        ubp_text_add(out, word);
        return;
    }
    ubp_decimal d;
    if (!f->scientific) {
        ubp_decimal_of(&d, v, f->as, (ubp_cut){true, PRECISION, 0});
        add_repeated(out, ' ', f->left - whole_size(&d, false));
        add_positional(out, &d);
        add_repeated(out, ' ', f->right - fraction_size(&d, false));
        return;
    }
    int fraction = f->right - f->exponent_size - 2;
    ubp_decimal_of(&d, v, f->as, (ubp_cut){false, fraction + 1, fraction + 1});
    add_repeated(out, ' ', f->left - whole_size(&d, true));
    ubp_text_addf(out, "%s%c.", d.negative ? "-" : "", d.digits[0]);
    ubp_text_addn(out, d.digits + 1, (size_t)d.count - 1);
    add_repeated(out, '0', fraction - fraction_size(&d, true));
    add_exponent(out, d.exponent, f->exponent_size);
}

/* As Python's repr(): in the quotes that spare a backslash, what does not print as an escape. */
static void add_quoted(ubp_text *out, const char *s)
{
    const char quote = strchr(s, '\'') && !strchr(s, '"') ? '"' : '\'';
    ubp_text_addn(out, &quote, 1);
    while (*s) {
        uint32_t c;
        const int size = ubp_utf8_next(s, &c);
        const char *letter = c == '\n' ? "\\n" : c == '\r' ? "\\r" : c == '\t' ? "\\t" : NULL;
        if (letter)
            ubp_text_add(out, letter);
        else if (c == '\\' || c == (uint32_t)(uint8_t)quote)
            ubp_text_addf(out, "\\%c", (char)c);
        else if (c < 0x20 || (c >= 0x7f && c < 0xa1) || c == 0xad)
            ubp_text_addf(out, "\\x%02x", (unsigned)c);
        else if (c == 0xfffd) /* perhaps a byte that is no UTF-8 */
            ubp_text_add(out, "\xef\xbf\xbd");
        else
            ubp_text_addn(out, s, (size_t)size);
        s += size;
    }
    ubp_text_addn(out, &quote, 1);
}

static void add_element(ubp_text *out, const style *f, const void *p)
{
    if (f->dtype == UB_STRING)
        add_quoted(out, ubp_string_at(p));
    else if (has_fraction(f->dtype))
        add_float(out, f, read_float(f, p));
    else if (f->dtype == UB_BOOL)
        ubp_text_add(out, ubp_read_i64(p, f->dtype) ? " True" : "False");
    else if (f->dtype == UB_U64)
        ubp_text_addf(out, "%*" PRIu64, f->width, (uint64_t)ubp_read_i64(p, f->dtype));
    else
        ubp_text_addf(out, "%*" PRId64, f->width, ubp_read_i64(p, f->dtype));
}

/* A tensor without dims prints as NumPy's scalar: all digits it takes, "1.0", "1e-05". */
static void add_scalar(ubp_text *out, style *f, const void *p)
{
    double v = has_fraction(f->dtype) ? read_float(f, p) : 0;
    if (f->dtype == UB_STRING) {
        ubp_text_add(out, ubp_string_at(p));
    } else if (f->dtype == UB_BOOL) {
        ubp_text_add(out, ubp_read_i64(p, f->dtype) ? "True" : "False");
    } else if (!has_fraction(f->dtype) || !isfinite(v)) {
        f->width = 0;
        f->left = f->right = 0;
        add_element(out, f, p);
    } else {
        ubp_decimal d;
        ubp_decimal_of(&d, v, f->as, (ubp_cut){false, -1, 0});
        double most = f->as == UB_F16 ? 1e3 : f->as == UB_F32 ? 1e6 : 1e16;
        if (v == 0 || (fabs(v) < most && fabs(v) >= 1e-4)) {
            add_positional(out, &d);
            if (fraction_size(&d, false) == 0)
                ubp_text_add(out, "0");
        } else {
            ubp_text_addf(out, "%s%c%s", d.negative ? "-" : "", d.digits[0],
                          d.count > 1 ? "." : "");
            ubp_text_addn(out, d.digits + 1, (size_t)d.count - 1);
            add_exponent(out, d.exponent, exponent_digits(d.exponent));
        }
    }
}

/* ---- Widths ------------------------------------------------------------------------------------
 */

static void find_integer_width(style *f, const ub_tensor *t)
{
    shown s;
    shown_start(&s, t);
    f->width = 0;
    do {
        char digits[24];
        int64_t v = ubp_read_i64(shown_element(&s), t->dtype);
        int width = t->dtype == UB_U64 ? snprintf(digits, sizeof(digits), "%" PRIu64, (uint64_t)v)
                                       : snprintf(digits, sizeof(digits), "%" PRId64, v);
        f->width = width > f->width ? width : f->width;
    } while (shown_next(&s) >= 0);
}

/* NumPy compares in the array's own type: the limits and the quotient are rounded to it. */
static bool wants_exponent(ub_dtype as, double least, double most)
{
    if (as == UB_F16) {
        double tiny = (double)ubp_f16_to_f32(ubp_f64_to_f16(0.0001));
        double ratio = (double)ubp_f16_to_f32(ubp_f32_to_f16((float)most / (float)least));
        return most >= 1e3 || least < tiny || ratio > 1000;
    }
    if (as == UB_F32)
        return most >= 1e6 || least < (double)0.0001f || (float)most / (float)least > 1000.0f;
    return most >= 1e8 || least < 0.0001 || most / least > 1000;
}

static void choose_exponent(style *f, const ub_tensor *t)
{
    double least = INFINITY, most = 0;
    shown s;
    shown_start(&s, t);
    do {
        double v = fabs(read_float(f, shown_element(&s)));
        if (isfinite(v) && v != 0) {
            least = v < least ? v : least;
            most = v > most ? v : most;
        }
    } while (shown_next(&s) >= 0);
    f->scientific = most > 0 && wants_exponent(f->as, least, most);
}

static int larger(int a, int b)
{
    return a > b ? a : b;
}

static void find_float_widths(style *f, const ub_tensor *t)
{
    choose_exponent(f, t);
    int words = 0; /* width of nan, inf or -inf */
    bool finite = false;
    ubp_cut cut = {!f->scientific, PRECISION + (f->scientific ? 1 : 0), 0};
    shown s;
    shown_start(&s, t);
    do {
        double v = read_float(f, shown_element(&s));
        if (!isfinite(v)) {
            words = larger(words, v < 0 ? 4 : 3);
            continue;
        }
        ubp_decimal d;
        ubp_decimal_of(&d, v, f->as, cut);
        finite = true;
        f->left = larger(f->left, whole_size(&d, f->scientific));
        f->right = larger(f->right, fraction_size(&d, f->scientific));
        f->exponent_size = larger(f->exponent_size, exponent_digits(d.exponent));
    } while (shown_next(&s) >= 0);
    if (finite && f->scientific)
        f->right += f->exponent_size + 2;
    f->left = larger(f->left, words - f->right - 1);
}

/* ---- Layout ------------------------------------------------------------------------------------
 */

/* Adds a word to a row, on a new line where it would not fit; *line is the length of the present
 * line, rows are indented by indent. */
static void add_word(ubp_text *out, const ubp_text *word, size_t *line, size_t indent)
{
    size_t width = LINE_WIDTH - indent; /* of each axis one character is kept for its bracket */
    size_t length = 0;
    for (size_t i = 0; i < word->len; i++)
        length += (word->s[i] & 0xc0) != 0x80; /* characters of UTF-8 */
    if (*line + length > width && *line > indent) {
        while (out->len > 0 && out->s[out->len - 1] == ' ')
            out->s[--out->len] = '\0';
        ubp_text_add(out, "\n");
        add_repeated(out, ' ', (int)indent);
        *line = indent;
    }
    ubp_text_addn(out, word->s ? word->s : "", word->len);
    *line += length;
}

/* Between two rows: axis is the one that moved on. */
static void add_row_break(ubp_text *out, const shown *s, int axis)
{
    int below = s->t->rank - 1 - axis;
    add_repeated(out, ']', below);
    add_repeated(out, '\n', below);
    add_repeated(out, ' ', axis + 1);
    if (shown_gap(s, axis)) {
        ubp_text_add(out, "...");
        add_repeated(out, '\n', below);
        add_repeated(out, ' ', axis + 1);
    }
    add_repeated(out, '[', below);
}

static void add_array(ubp_text *out, const style *f, const ub_tensor *t)
{
    ubp_text word = {0}, dots = {0};
    ubp_text_add(&dots, "...");
    int last = t->rank - 1;
    size_t indent = (size_t)t->rank, line = indent;
    shown s;
    shown_start(&s, t);
    add_repeated(out, '[', t->rank);
    int moved = -1;
    do {
        if (s.index[last] > 0) {
            ubp_text_add(out, " ");
            line++;
        }
        if (shown_gap(&s, last)) {
            add_word(out, &dots, &line, indent);
            ubp_text_add(out, " ");
            line++;
        }
        word.len = 0;
        add_element(&word, f, shown_element(&s));
        add_word(out, &word, &line, indent);
        moved = shown_next(&s);
        if (moved >= 0 && moved < last) {
            add_row_break(out, &s, moved);
            line = indent;
        }
    } while (moved >= 0 && !out->failed);
    add_repeated(out, ']', t->rank);
    out->failed = out->failed || word.failed || dots.failed;
    ubp_text_free(&word);
    ubp_text_free(&dots);
}

ub_status ub_tensor_str(char **out, const ub_tensor *t, ub_error *err)
{
    *out = NULL;
    if (ub_dtype_size(t->dtype) == 0)
        return ubp_fail(err, UB_ERR_UNSUPPORTED, "a tensor of %s cannot be printed",
                        ub_dtype_name(t->dtype));
    UBP_TRY(ubp_tensor_need_data(t, err));
    ubp_text text = {0};
    style f = {.dtype = t->dtype, .as = t->dtype};
    if (t->dtype == UB_BF16 || ubp_is_narrow_float(t->dtype))
        f.as = UB_F32;
    if (ub_tensor_count(t) == 0) {
        ubp_text_add(&text, "[]");
    } else if (t->rank == 0) {
        add_scalar(&text, &f, t->data);
    } else {
        if (has_fraction(t->dtype))
            find_float_widths(&f, t);
        else if (t->dtype != UB_BOOL && t->dtype != UB_STRING)
            find_integer_width(&f, t);
        add_array(&text, &f, t);
    }
    if (text.failed) {
        ubp_text_free(&text);
        return ubp_fail_memory(err, text.len);
    }
    *out = text.s;
    return UB_OK;
}

void ub_string_free(char *s)
{
    ubp_free(s);
}
