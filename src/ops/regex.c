/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Thompson's construction: a pattern becomes a small program, all of whose threads step through the
 * string together (Russ Cox, "Regular Expression Matching: the Virtual Machine Approach"). Nothing
 * backtracks. Parts are compiled in place; a repeated part is copied, which relative jumps allow;
 * the program's size is limited, so are depth and counts (RE2's own limit of 1000).
 *
 * Left out, and refused: \p classes and \C. Look-around and back references are not RE2's.
 */
#include "ops/regex.h"

#include "tensor/tensor.h"

#include <string.h>

enum { MAX_CODE = 1 << 16, MAX_RANGES = 1 << 16, MAX_DEPTH = 200, MAX_COUNT = 1000 };
enum { FOLD = 1, MULTI = 2, DOT_ALL = 4 }; /* flags i, m, s */

typedef enum op_kind {
    OP_CHAR,  /* x: the character; y: FOLD */
    OP_CLASS, /* x: first range, y: how many; flags in z */
    OP_ANY,   /* x: whether newline too */
    OP_SPLIT, /* go on at +x and at +y */
    OP_JUMP,  /* +x */
    OP_LINE_BEGIN,
    OP_LINE_END,
    OP_TEXT_BEGIN,
    OP_TEXT_END,
    OP_WORD_EDGE, /* x: whether there must be one */
    OP_NEVER,
    OP_MATCH
} op_kind;

enum { NEGATED = 8 };

typedef struct code {
    op_kind op;
    int32_t x, y, z;
} code;

typedef struct range {
    uint32_t low, high;
} range;

struct ubp_regex {
    const code *program;
    const range *ranges;
    int32_t size;
};

typedef struct compiler {
    const char *at;
    code *program;
    range *ranges;
    size_t cap_code, cap_ranges;
    int32_t size, n_ranges;
    int depth, flags;
    const char *why; /* NULL and failed: out of memory */
    bool failed;
} compiler;

static void fail(compiler *c, const char *why)
{
    if (!c->failed)
        c->why = why;
    c->failed = true;
}

static void emit(compiler *c, op_kind op, int32_t x, int32_t y, int32_t z)
{
    if (c->failed)
        return;
    if (c->size == MAX_CODE)
        fail(c, "it is too large");
    else if (ubp_grow((void **)&c->program, &c->cap_code, (size_t)c->size, sizeof *c->program,
                      NULL) != UB_OK)
        fail(c, NULL);
    else
        c->program[c->size++] = (code){op, x, y, z};
}

static void add_range(compiler *c, uint32_t low, uint32_t high)
{
    if (c->failed)
        return;
    if (c->n_ranges == MAX_RANGES)
        fail(c, "it is too large");
    else if (ubp_grow((void **)&c->ranges, &c->cap_ranges, (size_t)c->n_ranges, sizeof *c->ranges,
                      NULL) != UB_OK)
        fail(c, NULL);
    else
        c->ranges[c->n_ranges++] = (range){low, high};
}

/* Makes room for n instructions at `at`; those behind move, none of them jumps across. */
static void open_gap(compiler *c, int32_t at, int32_t n)
{
    const int32_t old = c->size;
    for (int32_t i = 0; i < n; i++)
        emit(c, OP_NEVER, 0, 0, 0);
    if (!c->failed)
        memmove(c->program + at + n, c->program + at, (size_t)(old - at) * sizeof *c->program);
}

static bool accept(compiler *c, char wanted)
{
    if (*c->at != wanted)
        return false;
    c->at++;
    return true;
}

static uint32_t next_char(compiler *c)
{
    uint32_t code_point;
    c->at += ubp_utf8_next(c->at, &code_point);
    return code_point;
}

/* ---- Classes -----------------------------------------------------------------------------------
 */

/* The ranges of \d, \s, \w (lower case), as pairs; NULL for other letters. */
static const char *perl_class(char letter)
{
    switch (letter) {
    case 'd':
        return "09";
    case 's':
        return "\t\n\f\r  ";
    case 'w':
        return "09AZ__az";
    default:
        return NULL;
    }
}

static const char *posix_class(const char *name, size_t n)
{
    static const struct {
        const char *name, *pairs;
    } known[] = {{"alnum", "09AZaz"},   {"alpha", "AZaz"},   {"blank", "\t\t  "},
                 {"digit", "09"},       {"lower", "az"},     {"upper", "AZ"},
                 {"punct", "!/:@[`{~"}, {"space", "\t\r  "}, {"word", "09AZ__az"},
                 {"xdigit", "09AFaf"},  {"graph", "!~"},     {"print", " ~"}};
    for (int i = 0; i < UBP_COUNT(known); i++)
        if (strlen(known[i].name) == n && memcmp(known[i].name, name, n) == 0)
            return known[i].pairs;
    return NULL;
}

/* The ranges of sorted pairs, or what lies between them. */
static void add_pairs(compiler *c, const char *pairs, bool negated)
{
    uint32_t from = 0;
    for (; *pairs; pairs += 2) {
        const uint32_t low = (uint8_t)pairs[0], high = (uint8_t)pairs[1];
        if (!negated)
            add_range(c, low, high);
        else if (low > from)
            add_range(c, from, low - 1);
        from = high + 1;
    }
    if (negated)
        add_range(c, from, 0x10ffff);
}

static int hex_digit(char ch)
{
    return ch >= '0' && ch <= '9'   ? ch - '0'
           : ch >= 'a' && ch <= 'f' ? ch - 'a' + 10
           : ch >= 'A' && ch <= 'F' ? ch - 'A' + 10
                                    : -1;
}

/* After "\x": two digits, or any in braces. */
static uint32_t hex_escape(compiler *c)
{
    uint32_t v = 0;
    const bool braces = accept(c, '{');
    int n = 0;
    for (; hex_digit(*c->at) >= 0 && (braces || n < 2) && v <= 0x10ffff; n++)
        v = v * 16 + (uint32_t)hex_digit(*c->at++);
    if (n == 0 || (!braces && n < 2) || v > 0x10ffff || (braces && !accept(c, '}')))
        fail(c, "\\x is not followed by a number");
    return v;
}

/* The character of an escape after its backslash. */
static uint32_t escaped(compiler *c)
{
    static const char letters[] = "afnrtv", values[] = "\a\f\n\r\t\v";
    const char ch = *c->at;
    const char *found = ch ? strchr(letters, ch) : NULL;
    if (found) {
        c->at++;
        return (uint8_t)values[found - letters];
    }
    if (ch == 'x') {
        c->at++;
        return hex_escape(c);
    }
    if (ch == '0' || (ch >= '1' && ch <= '7' && c->at[1] >= '0' && c->at[1] <= '7')) {
        uint32_t v = 0;
        for (int n = 0; n < 3 && *c->at >= '0' && *c->at <= '7'; n++)
            v = v * 8 + (uint32_t)(*c->at++ - '0');
        return v;
    }
    const bool word = (ch >= '0' && ch <= '9') || (ch >= 'a' && ch <= 'z') ||
                      (ch >= 'A' && ch <= 'Z') || ch == '_' || (ch & 0x80);
    if (!ch)
        fail(c, "it ends in a backslash");
    else if (ch == 'p' || ch == 'P')
        fail(c, "\\p classes are not supported");
    else if (ch == 'C')
        fail(c, "\\C is not supported");
    else if (word)
        fail(c, "an escape that RE2 does not have");
    return c->failed ? 0 : next_char(c);
}

/* [[:name:]] when that is what comes. */
static bool class_name(compiler *c)
{
    if (c->at[0] != '[' || c->at[1] != ':')
        return false;
    const char *name = c->at + 2, *end = strstr(name, ":]");
    if (!end)
        return false;
    const bool negated = *name == '^';
    name += negated;
    const char *pairs = posix_class(name, (size_t)(end - name));
    if (!pairs)
        fail(c, "a class [:...:] of unknown name");
    else
        add_pairs(c, pairs, negated);
    c->at = end + 2;
    return true;
}

/* \d and the like when that is what comes. */
static bool class_letter(compiler *c)
{
    if (c->at[0] != '\\' || !c->at[1])
        return false;
    const char letter = c->at[1];
    const bool upper = letter >= 'A' && letter <= 'Z';
    const char *pairs = perl_class(upper ? (char)(letter - 'A' + 'a') : letter);
    if (!pairs)
        return false;
    add_pairs(c, pairs, upper);
    c->at += 2;
    return true;
}

static uint32_t class_char(compiler *c)
{
    return accept(c, '\\') ? escaped(c) : next_char(c);
}

/* After '['. */
static void parse_class(compiler *c)
{
    const int32_t first = c->n_ranges;
    const bool negated = accept(c, '^');
    for (bool begin = true; !c->failed && (begin || *c->at != ']'); begin = false) {
        if (!*c->at) {
            fail(c, "a class without its ']'");
            return;
        }
        if (class_name(c) || class_letter(c))
            continue;
        const uint32_t low = class_char(c);
        uint32_t high = low;
        if (c->at[0] == '-' && c->at[1] && c->at[1] != ']') {
            c->at++;
            high = class_char(c);
        }
        if (high < low)
            fail(c, "a range that ends before it begins");
        add_range(c, low, high);
    }
    if (c->failed)
        return;
    c->at++;
    emit(c, OP_CLASS, first, c->n_ranges - first, (negated ? NEGATED : 0) | (c->flags & FOLD));
}

/* ---- Parts ------------------------------------------------------------------------------------
 */

static void parse_alternatives(compiler *c);

static void add_char(compiler *c, uint32_t ch)
{
    emit(c, OP_CHAR, (int32_t)ch, c->flags & FOLD, 0);
}

/* "ims-ims" after "(?"; true when a ':' and so a group follows, false when ')' ended it. */
static bool parse_flags(compiler *c)
{
    bool on = true;
    for (; !c->failed; c->at++) {
        const int flag = *c->at == 'i' ? FOLD : *c->at == 'm' ? MULTI : *c->at == 's' ? DOT_ALL : 0;
        if (*c->at == ')' || *c->at == ':')
            return *c->at++ == ':';
        if (*c->at == '-' && on)
            on = false;
        else if (flag)
            c->flags = on ? c->flags | flag : c->flags & ~flag;
        else if (*c->at != 'U') { /* greed decides nothing here */
            fail(c, "a group (?...) that RE2 does not have");
            return false;
        }
    }
    return false;
}

/* After '('. A flag set inside holds to the group's end. Returns whether it was a group, not flags
 * alone. */
static bool parse_group(compiler *c, int *flags)
{
    if (accept(c, '?')) {
        const bool named = (c->at[0] == 'P' && c->at[1] == '<') ||
                           (c->at[0] == '<' && c->at[1] != '=' && c->at[1] != '!');
        if (named) {
            while (*c->at && *c->at != '>')
                c->at++;
            if (!accept(c, '>'))
                fail(c, "a group's name without its '>'");
        } else if (!parse_flags(c)) {
            *flags = c->flags;
            return false;
        }
    }
    parse_alternatives(c);
    if (!c->failed && !accept(c, ')'))
        fail(c, "a '(' without its ')'");
    return true;
}

static void parse_escape(compiler *c)
{
    const int32_t first = c->n_ranges;
    switch (*c->at) {
    case 'A':
        emit(c, OP_TEXT_BEGIN, 0, 0, 0);
        break;
    case 'z':
        emit(c, OP_TEXT_END, 0, 0, 0);
        break;
    case 'b':
    case 'B':
        emit(c, OP_WORD_EDGE, *c->at == 'b', 0, 0);
        break;
    default:
        c->at--;
        if (class_letter(c)) {
            emit(c, OP_CLASS, first, c->n_ranges - first, c->flags & FOLD);
        } else {
            c->at++;
            add_char(c, escaped(c));
        }
        return;
    }
    c->at++;
}

/* One thing that may be repeated; false: nothing that may (flags). */
static bool parse_atom(compiler *c)
{
    const int outer = c->flags;
    int kept = outer;
    bool repeatable = true;
    switch (*c->at) {
    case '(':
        c->at++;
        repeatable = parse_group(c, &kept);
        c->flags = kept;
        return repeatable;
    case '[':
        c->at++;
        parse_class(c);
        return true;
    case '.':
        c->at++;
        emit(c, OP_ANY, (c->flags & DOT_ALL) != 0, 0, 0);
        return true;
    case '^':
        c->at++;
        emit(c, c->flags & MULTI ? OP_LINE_BEGIN : OP_TEXT_BEGIN, 0, 0, 0);
        return true;
    case '$':
        c->at++;
        emit(c, c->flags & MULTI ? OP_LINE_END : OP_TEXT_END, 0, 0, 0);
        return true;
    case '\\':
        c->at++;
        parse_escape(c);
        return true;
    case '*':
    case '+':
    case '?':
        fail(c, "a repetition of nothing");
        return false;
    default:
        add_char(c, next_char(c));
        return true;
    }
}

/* ---- Repetition --------------------------------------------------------------------------------
 */

/* {n}, {n,}, {n,m}; false when it is none and the brace is itself. most -1: no end. */
static bool read_counts(const char **at, int *least, int *most)
{
    const char *s = *at + 1;
    int v[2] = {-1, -1};
    for (int i = 0; i < 2; i++) {
        for (; *s >= '0' && *s <= '9'; s++)
            v[i] = v[i] < 0 ? *s - '0' : v[i] > MAX_COUNT ? v[i] : v[i] * 10 + *s - '0';
        if (i == 0 && *s == '}')
            v[1] = v[0];
        if (*s == '}' || (i == 0 && *s != ','))
            break;
        s += i == 0;
    }
    if (*s != '}' || v[0] < 0)
        return false;
    *least = v[0];
    *most = v[1];
    *at = s + 1;
    return true;
}

/* A copy of [from, from + n) at the end. */
static void copy_part(compiler *c, int32_t from, int32_t n)
{
    for (int32_t i = 0; i < n && !c->failed; i++) {
        const code one = c->program[from + i];
        emit(c, one.op, one.x, one.y, one.z);
    }
}

/* The part from `start` to the end, least to most times. */
static void repeat(compiler *c, int32_t start, int least, int most)
{
    const int32_t n = c->size - start;
    if (least > MAX_COUNT || most > MAX_COUNT || (most >= 0 && most < least)) {
        fail(c, "a count over 1000 or out of order");
        return;
    }
    if (least == 0 && most == 0) {
        c->size = c->failed ? c->size : start;
        return;
    }
    if (least == 0 && most < 0) { /* *: SPLIT part JUMP */
        open_gap(c, start, 1);
        if (!c->failed)
            c->program[start] = (code){OP_SPLIT, 1, n + 2, 0};
        emit(c, OP_JUMP, -(n + 1), 0, 0);
        return;
    }
    for (int i = 1; i < least; i++)
        copy_part(c, start, n);
    if (most < 0) { /* the last copy again and again */
        emit(c, OP_SPLIT, -n, 1, 0);
        return;
    }
    if (least == 0) { /* the first copy is optional too */
        open_gap(c, start, 1);
        if (!c->failed)
            c->program[start] = (code){OP_SPLIT, 1, n + 1 + (most - 1) * (n + 1), 0};
    }
    const int32_t from = least == 0 ? start + 1 : start;
    for (int left = most - (least ? least : 1); left > 0 && !c->failed; left--) {
        emit(c, OP_SPLIT, 1, left * (n + 1), 0);
        copy_part(c, from, n);
    }
}

static void parse_repeats(compiler *c, int32_t start)
{
    for (bool first = true; !c->failed; first = false) {
        int least = 0, most = 0;
        if (accept(c, '*'))
            most = -1;
        else if (accept(c, '+'))
            least = 1, most = -1;
        else if (accept(c, '?'))
            most = 1;
        else if (*c->at != '{' || !read_counts(&c->at, &least, &most))
            return;
        if (!first)
            fail(c, "a repetition of a repetition");
        (void)accept(c, '?'); /* lazy: the same strings match */
        repeat(c, start, least, most);
    }
}

/* \Q...\E: its characters as they are; *last: where the last one is, which may be repeated. */
static bool parse_quoted(compiler *c, int32_t *last)
{
    if (c->at[0] != '\\' || c->at[1] != 'Q')
        return false;
    c->at += 2;
    for (bool end = false; *c->at && !c->failed && !end;) {
        end = c->at[0] == '\\' && c->at[1] == 'E';
        if (end) {
            c->at += 2;
        } else {
            *last = c->size;
            add_char(c, next_char(c));
        }
    }
    return true;
}

static void parse_sequence(compiler *c)
{
    while (!c->failed && *c->at && *c->at != '|' && *c->at != ')') {
        int32_t start = c->size;
        if (parse_quoted(c, &start) || parse_atom(c))
            parse_repeats(c, start);
    }
}

/* a|b|c: SPLIT a JUMP SPLIT b JUMP c. */
static void parse_alternatives(compiler *c)
{
    const int flags = c->flags;
    const int32_t start = c->size;
    if (++c->depth > MAX_DEPTH)
        fail(c, "groups are nested too deep");
    int32_t branch = start, jumps = -1; /* the jumps to the end, a chain through x */
    parse_sequence(c);
    while (!c->failed && accept(c, '|')) {
        open_gap(c, branch, 1);
        emit(c, OP_JUMP, jumps, 0, 0);
        if (c->failed)
            return;
        c->program[branch] = (code){OP_SPLIT, 1, c->size - branch, 0};
        jumps = c->size - 1;
        branch = c->size;
        parse_sequence(c);
    }
    while (!c->failed && jumps >= 0) {
        const int32_t next = c->program[jumps].x;
        c->program[jumps].x = c->size - jumps;
        jumps = next;
    }
    c->flags = flags;
    c->depth--;
}

const ubp_regex *ubp_regex_make(const char *pattern, ubp_arena *arena, const char **why)
{
    compiler c = {.at = pattern};
    parse_alternatives(&c);
    if (!c.failed && *c.at)
        fail(&c, "a ')' without its '('");
    emit(&c, OP_MATCH, 0, 0, 0);
    ubp_regex *r = ubp_arena_alloc(arena, sizeof *r);
    code *program = ubp_arena_array(arena, (size_t)c.size + 1, sizeof *program);
    range *ranges = ubp_arena_array(arena, (size_t)c.n_ranges + 1, sizeof *ranges);
    *why = c.why;
    if (!c.failed && r && program && ranges) {
        memcpy(program, c.program, (size_t)c.size * sizeof *program);
        if (c.n_ranges > 0)
            memcpy(ranges, c.ranges, (size_t)c.n_ranges * sizeof *ranges);
        *r = (ubp_regex){program, ranges, c.size};
    } else {
        r = NULL;
    }
    ubp_free(c.program);
    ubp_free(c.ranges);
    return r;
}

/* ---- Matching ----------------------------------------------------------------------------------
 */

/* The instructions that wait for a character: each at most once. */
typedef struct threads {
    int32_t *at;    /* [size] */
    uint32_t *mark; /* [size]: the step in which it was added */
    int32_t n;
} threads;

typedef struct place {
    const char *text, *at;
    uint32_t before, after; /* characters around; 0 at an end */
    uint32_t step;
} place;

/* Of letters the case is dropped: ASCII, Latin-1, Greek and Cyrillic; the rest is left alone. */
static uint32_t fold(uint32_t c)
{
    if ((c >= 'A' && c <= 'Z') || (c >= 0xc0 && c <= 0xde && c != 0xd7) ||
        (c >= 0x391 && c <= 0x3a9) || (c >= 0x410 && c <= 0x42f))
        return c + 32;
    return c >= 0x400 && c <= 0x40f ? c + 80 : c;
}

static bool is_word(uint32_t c)
{
    return c == '_' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool assertion_holds(const code *one, const place *p)
{
    switch (one->op) {
    case OP_TEXT_BEGIN:
        return p->at == p->text;
    case OP_TEXT_END:
        return !*p->at;
    case OP_LINE_BEGIN:
        return p->at == p->text || p->before == '\n';
    case OP_LINE_END:
        return !*p->at || p->after == '\n';
    case OP_WORD_EDGE:
        return (is_word(p->before) != is_word(p->after)) == (one->x != 0);
    default:
        return false;
    }
}

/* Adds what is reached from pc without a character; stack: [2 * size]. */
static void follow(const ubp_regex *r, threads *t, int32_t pc, const place *p, int32_t *stack)
{
    int32_t n = 0;
    stack[n++] = pc;
    while (n > 0) {
        pc = stack[--n];
        if (t->mark[pc] == p->step)
            continue;
        t->mark[pc] = p->step;
        const code *one = &r->program[pc];
        if (one->op == OP_JUMP) {
            stack[n++] = pc + one->x;
        } else if (one->op == OP_SPLIT) {
            stack[n++] = pc + one->y;
            stack[n++] = pc + one->x;
        } else if (one->op == OP_CHAR || one->op == OP_CLASS || one->op == OP_ANY ||
                   one->op == OP_MATCH) {
            t->at[t->n++] = pc;
        } else if (assertion_holds(one, p)) {
            stack[n++] = pc + 1;
        }
    }
}

static bool in_class(const ubp_regex *r, const code *one, uint32_t c)
{
    bool found = false;
    for (int32_t i = 0; i < one->y && !found; i++) {
        const range *g = &r->ranges[one->x + i];
        found = c >= g->low && c <= g->high;
        if (one->z & FOLD)
            for (uint32_t k = g->low; k <= g->high && k < 0x500 && !found; k++)
                found = fold(k) == fold(c);
    }
    return found != ((one->z & NEGATED) != 0);
}

static bool takes(const ubp_regex *r, const code *one, uint32_t c)
{
    if (one->op == OP_ANY)
        return one->x || c != '\n';
    if (one->op == OP_CLASS)
        return in_class(r, one, c);
    if (one->op != OP_CHAR)
        return false;
    return (uint32_t)one->x == c || (one->y && fold((uint32_t)one->x) == fold(c));
}

/* memory: at, mark of two lists and the stack. */
static bool run(const ubp_regex *r, const char *s, uint32_t *memory)
{
    const size_t size = (size_t)r->size;
    int32_t *lists = (int32_t *)(memory + 2 * size), *stack = lists + 2 * size;
    threads now = {lists, memory, 0}, next = {lists + size, memory + size, 0};
    place p = {.text = s, .at = s, .step = 1};
    int width = ubp_utf8_next(s, &p.after);
    follow(r, &now, 0, &p, stack);
    while (*p.at && now.n > 0) {
        const uint32_t c = p.after;
        p.at += width;
        p.before = c;
        p.step++;
        width = ubp_utf8_next(p.at, &p.after);
        next.n = 0;
        for (int32_t i = 0; i < now.n; i++)
            if (takes(r, &r->program[now.at[i]], c))
                follow(r, &next, now.at[i] + 1, &p, stack);
        const threads done = now;
        now = next;
        next = done;
    }
    bool matched = false;
    for (int32_t i = 0; i < now.n && !*p.at; i++)
        matched = matched || r->program[now.at[i]].op == OP_MATCH;
    return matched;
}

bool ubp_regex_match(const ubp_regex *r, const char *s, bool *matched)
{
    /* Two lists and their marks, and a stack of twice the size and one more. */
    uint32_t *memory = ubp_calloc((size_t)r->size * 6 + 2, sizeof *memory);
    if (!memory)
        return false;
    *matched = run(r, s, memory);
    ubp_free(memory);
    return true;
}
