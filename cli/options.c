/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of options: what parses the command line also writes the help.
 */
#include "cli.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

typedef enum option_kind { FLAG, TEXT, LIST, NUMBER, BYTES } option_kind;

typedef struct option {
    const char *name;
    char letter;
    option_kind kind;
    size_t at, count_at; /* the fields of cli_options it fills */
    const char *arg, *about;
    const char *verbs; /* those that take it; NULL: all */
} option;

#define AT(field)      offsetof(cli_options, field), 0
#define LIST_AT(field) offsetof(cli_options, field), offsetof(cli_options, n_##field)

static const option options[] = {
    {"input", 'x', LIST, LIST_AT(inputs), "[NAME=]INPUT",
     "a model input (may be given several times)", NULL},
    {"shape", 0, LIST, LIST_AT(shapes), "[NAME=]SHAPE", "a model input's shape only: 32,3,224,224",
     "summary check"},
    {"from", 0, LIST, LIST_AT(from), "WHAT=FILE", "start at this inner value, given as .npy",
     "get run bench"},
    {"output", 'o', TEXT, AT(out), "OUT", "where to write: .npy .npz .json .txt, or - for npy",
     "get run"},
    {"top", 0, NUMBER, AT(top), "K", "the K largest entries of each sample's first output", "run"},
    {"labels", 0, TEXT, AT(labels), "FILE", "names for --top, one a line", "run"},
    {"weights", 0, TEXT, AT(weights), "FILE",
     "other weights for the model, by name: .safetensors or .npz", NULL},
    {"raw", 0, FLAG, AT(raw), NULL, "SLICE indexes the stored shape, not the samples", "get"},
    {"alone", 0, FLAG, AT(alone), NULL,
     "each sample as if run by itself, where the model mixes them", "get run"},
    {"against", 0, TEXT, AT(against), "FILE.npz",
     "audit what another engine gave: arrays NAME and NAME.alone", "check"},
    {"runs", 'n', NUMBER, AT(runs), "RUNS", "how many runs are timed (20)", "bench"},
    {"layers", 0, FLAG, AT(layers), NULL, "the time of every step, and how near the peak it is",
     "bench"},
    {"compare", 0, TEXT, AT(compare), "ENGINE,...",
     "the same beside onnxruntime, openvino, torch (.pt2)", "bench"},
    {"python", 0, TEXT, AT(python), "PATH", "the Python that has them (python3)", "bench"},
    {"json", 0, FLAG, AT(json), NULL, "machine-readable output", NULL},
    {"threads", 't', NUMBER, AT(threads), "N", "threads to use (all cores)", NULL},
    {"mem", 'm', BYTES, AT(memory), "BYTES", "memory limit, such as 2G", NULL},
    {"reference", 0, FLAG, AT(reference), NULL, "plain C kernels only", NULL},
    {"quiet", 'q', FLAG, AT(quiet), NULL, "no notes, no progress", NULL},
    {"verbose", 'v', FLAG, AT(verbose), NULL, "say what is being done", NULL},
    {"help", 'h', FLAG, AT(help), NULL, "this help", NULL},
};
enum { N_OPTIONS = sizeof options / sizeof options[0] };

static bool takes(const option *o, const char *verb)
{
    return !o->verbs || strstr(o->verbs, verb);
}

void cli_options_help(FILE *to, const char *verb)
{
    fputs("options:\n", to);
    for (int i = 0; i < N_OPTIONS; i++) {
        const option *o = &options[i];
        char left[64], letter[8] = "    ";
        if (!takes(o, verb))
            continue;
        if (o->letter)
            snprintf(letter, sizeof letter, "-%c, ", o->letter);
        snprintf(left, sizeof left, "%s--%s%s%s", letter, o->name, o->arg ? " " : "",
                 o->arg ? o->arg : "");
        fprintf(to, "  %-26s %s\n", left, o->about);
    }
}

/* "2G" -> bytes. */
static bool parse_bytes(const char *s, size_t *out)
{
    char *end;
    errno = 0;
    double v = strtod(s, &end);
    double unit = 1;
    if (*end && strchr("kK", *end))
        unit = 1e3, end++;
    else if (*end && strchr("mM", *end))
        unit = 1e6, end++;
    else if (*end && strchr("gG", *end))
        unit = 1e9, end++;
    if (*end == 'B')
        end++;
    if (end == s || *end || errno || !(v * unit >= 1) || v * unit > 1e18)
        return false;
    *out = (size_t)(v * unit);
    return true;
}

static bool parse_number(const char *s, int *out)
{
    char *end;
    errno = 0;
    long v = strtol(s, &end, 10);
    if (end == s || *end || errno || v < 1 || v > 1000000)
        return false;
    *out = (int)v;
    return true;
}

static bool add(const char **list, int *n, const char *value)
{
    if (*n == CLI_MAX_LIST)
        return false;
    list[(*n)++] = value;
    return true;
}

static ub_status apply(cli_options *o, const option *opt, const char *value)
{
    void *field = (char *)o + opt->at;
    switch (opt->kind) {
    case FLAG:
        *(bool *)field = true;
        return UB_OK;
    case TEXT:
        *(const char **)field = value;
        return UB_OK;
    case LIST:
        if (add(field, (int *)(void *)((char *)o + opt->count_at), value))
            return UB_OK;
        return cli_usage("--%s is given more than %d times", opt->name, CLI_MAX_LIST);
    case NUMBER:
        if (parse_number(value, field))
            return UB_OK;
        return cli_usage("--%s %s: expected a number from 1 up", opt->name, value);
    case BYTES:
        if (parse_bytes(value, field))
            return UB_OK;
    }
    return cli_usage("--%s %s: expected a size such as 500M or 2G", opt->name, value);
}

/* The option an argument names; *value is set for --name=value and -xvalue. */
static const option *find(const char *arg, const char *verb, const char **value)
{
    *value = NULL;
    for (int i = 0; i < N_OPTIONS; i++) {
        const option *o = &options[i];
        size_t n = strlen(o->name);
        if (!takes(o, verb))
            continue;
        if (arg[1] == '-' && strncmp(arg + 2, o->name, n) == 0 &&
            (arg[2 + n] == '\0' || arg[2 + n] == '=')) {
            *value = arg[2 + n] ? arg + 3 + n : NULL;
            return o;
        }
        if (arg[1] == o->letter && o->letter && (arg[2] == '\0' || o->kind != FLAG)) {
            *value = arg[2] ? arg + 2 : NULL;
            return o;
        }
    }
    return NULL;
}

ub_status cli_options_parse(cli_options *o, const char *verb, int argc, char **argv)
{
    bool ended = false;
    for (int i = 0; i < argc; i++) {
        const char *arg = argv[i], *value;
        if (!ended && strcmp(arg, "--") == 0) {
            ended = true;
            continue;
        }
        if (ended || arg[0] != '-' || arg[1] == '\0') {
            if (!o->model)
                o->model = arg;
            else if (!add(o->what, &o->n_what, arg))
                return cli_usage("more than %d values are asked for", CLI_MAX_LIST);
            continue;
        }
        const option *opt = find(arg, verb, &value);
        if (!opt)
            return cli_usage("%s has no option %s; try 'unbatch help %s'", verb, arg, verb);
        if (opt->kind == FLAG && value)
            return cli_usage("--%s takes no value", opt->name);
        if (opt->kind != FLAG && !value) {
            if (i + 1 == argc)
                return cli_usage("--%s needs %s", opt->name, opt->arg);
            value = argv[++i];
        }
        ub_status st = apply(o, opt, value);
        if (st != UB_OK)
            return st;
    }
    return UB_OK;
}
