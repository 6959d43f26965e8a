/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli: the command line tool. One file per verb, a table of verbs in main.c, a table of options in
 * options.c from which the help is made. Sees unbatch.h only. stdout is data, stderr is messages.
 */
#ifndef CLI_H
#define CLI_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <jansson.h>

#include "unbatch.h"

enum { CLI_JSON_VERSION = 1, CLI_MAX_LIST = 256 };

/* What the command line said. */
typedef struct cli_options {
    const char *model;
    const char *what[CLI_MAX_LIST];
    int n_what;
    const char *inputs[CLI_MAX_LIST]; /* [NAME=]INPUT */
    int n_inputs;
    const char *from[CLI_MAX_LIST]; /* WHAT=FILE */
    int n_from;
    const char *shapes[CLI_MAX_LIST]; /* [NAME=]32,3,224,224 */
    int n_shapes;
    const char *out;     /* file, "-" or NULL */
    const char *labels;  /* file with a name per line */
    const char *against; /* npz of another engine, or NULL */
    const char *weights; /* .safetensors or .npz, or NULL */
    const char *compare; /* engines, by commas, or NULL */
    const char *python;  /* to run them in; NULL: python3 */
    int threads, runs, top;
    size_t memory;
    bool json, quiet, verbose, raw, alone, reference, layers, help;
} cli_options;

/* Fills o from the arguments behind the verb. On failure a line is on stderr already. */
ub_status cli_options_parse(cli_options *o, const char *verb, int argc, char **argv);
/* Prints the options a verb takes. */
void cli_options_help(FILE *to, const char *verb);

/* A model, a session with its inputs given, and what they hang on. */
typedef struct cli_run {
    const cli_options *o;
    ub_model *model;
    ub_session *session;
    ub_tensor *tensors[4 * CLI_MAX_LIST]; /* owned */
    int n_tensors;
    ub_npz *archives[CLI_MAX_LIST]; /* owned */
    int n_archives;
    char **files; /* names of the pictures of a folder, in order; owned */
    int n_files;
    double open_ms;
} cli_run;

/* What patterns stand for, in the order asked. */
typedef struct cli_wanted {
    ub_names *lists[CLI_MAX_LIST];
    int n_lists;
    const char **names;  /* [n], borrowed from lists */
    bool *is_list;       /* [n] */
    ub_tensor **values;  /* [n]; NULL until computed, and of lists */
    ub_list **sequences; /* [n]; NULL until computed, and of tensors */
    ub_names **columns;  /* [n]; NULL where the columns have no names */
    int n;
} cli_wanted;

/* Opens the model and gives the inputs. shapes_only: inputs may be left out. */
ub_status cli_run_open(cli_run *r, const cli_options *o, bool shapes_only);
void cli_run_close(cli_run *r);

/* wanted.c: w is zero at first. */
ub_status cli_wanted_find(cli_wanted *w, const cli_run *r, const char *const *patterns, int n,
                          ub_error *err);
ub_status cli_wanted_compute(cli_wanted *w, const cli_run *r, ub_error *err);
void cli_wanted_release(cli_wanted *w);

/* peak.c: what the machine does at most with this many threads (0: all cores). */
typedef struct cli_peak {
    double gflops, gbytes; /* a second */
} cli_peak;
ub_status cli_peak_measure(cli_peak *p, int threads, ub_error *err);

/* compare.c: an object for each engine of --compare: its times, or "missing": why there are none.
 * *out is released by the caller, also on failure. */
extern const char cli_bench_peers[]; /* share/bench_peers.py, made into text by CMake */
ub_status cli_compare_run(json_t **out, const cli_run *r, int runs, ub_error *err);

/* top.c: names of classes; *out is NULL when path is, and freed with free(). */
typedef struct cli_labels cli_labels;
ub_status cli_labels_read(cli_labels **out, const char *path, ub_error *err);
/* The same from the names of columns. */
ub_status cli_labels_of(cli_labels **out, const ub_names *names, ub_error *err);
/* The largest entries of each sample of t: (samples, classes). labels may be NULL. */
ub_status cli_top_show(const cli_labels *labels, const cli_run *r, const ub_tensor *t,
                       ub_error *err);

/* input.c: one [NAME=]INPUT, given to the session. */
ub_status cli_input_give(cli_run *r, const char *spec, ub_error *err);
/* One [NAME=]SHAPE. */
ub_status cli_shape_give(cli_run *r, const char *spec, ub_error *err);
/* One WHAT=FILE. */
ub_status cli_from_give(cli_run *r, const char *spec, ub_error *err);

/* picture.c: FILE.png[size=224,...] or a folder of pictures. */
ub_status cli_picture_load(ub_tensor **out, const char *path, const char *options,
                           const ub_port *port, bool folder, ub_error *err);
/* The picture files of a folder in the order ub_image_load_folder takes them. */
char **cli_picture_names(const char *folder, int *count);

/* output.c: whether these values can be written to -o OUT; NULL: yes. For use before they are
 * computed.
 */
ub_status cli_write_check(const char *out, const cli_wanted *w, ub_error *err);
/* The values to where -o says. */
ub_status cli_write(const char *out, const cli_wanted *w, ub_error *err);
/* The values to where -o says, or as JSON, or for a person to read, on stdout. */
ub_status cli_show(const cli_options *o, const cli_wanted *w, ub_error *err);
/* Prints a JSON object to stdout and releases it. */
ub_status cli_json_print(json_t *j, ub_error *err);
/* A number, or the strings "NaN", "Infinity" and "-Infinity", which JSON has no numbers for. */
json_t *cli_json_number(double v);
/* Text; what is not UTF-8 in it is replaced. */
json_t *cli_json_text(const char *s);
/* A name from a file, without what could move a terminal's cursor; in text, cut to size. */
const char *cli_plain(char *text, size_t size, const char *name);
/* "(1, 28, 28)" */
const char *cli_shape_text(char *text, size_t size, int rank, const int64_t *dims);

/* main.c */
const volatile int *cli_cancel(void);
/* Prints "unbatch: message" on stderr and returns the code. */
ub_status cli_fail(const ub_error *err);
/* Fills err as the library does and returns code. */
ub_status cli_error(ub_error *err, ub_status code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
bool cli_ends_with(const char *s, const char *end);
ub_status cli_usage(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* A line on stderr with --verbose. */
void cli_say(const cli_options *o, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Progress on a terminal; payload: cli_options. */
void cli_progress(double done, void *payload);
void cli_progress_end(void);
bool cli_stderr_is_terminal(void);
double cli_now_ms(void);

ub_status cmd_summary(const cli_options *o);
ub_status cmd_get(const cli_options *o);
ub_status cmd_run(const cli_options *o);
ub_status cmd_bench(const cli_options *o);
ub_status cmd_check(const cli_options *o);

#endif
