/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of verbs, help, messages, signals.
 */
#include "cli.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

typedef struct verb {
    const char *name;
    ub_status (*run)(const cli_options *o);
    const char *usage, *about, *examples;
} verb;

static const verb verbs[] = {
    {"summary", cmd_summary, "MODEL [WHAT] [-x [NAME=]INPUT | --shape [NAME=]32,3,224,224]",
     "layers, shapes, parameters, costs, and where the samples are",
     "  unbatch summary resnet50.onnx\n"
     "  unbatch summary resnet50.onnx 'layer3.*' --shape 32,3,224,224\n"},
    {"get", cmd_get, "MODEL WHAT... -x [NAME=]INPUT... [-o OUT]",
     "any layer's input or output, of any sample, computing only what that takes",
     "  unbatch get resnet50.onnx 'layer3.0.conv1:in[4]' -x batch.npy -o fifth.npy\n"
     "  unbatch get digits.onnx 'conv1[4, 0]' -x pictures/\n"
     "  unbatch get digits.onnx 'conv*' fc1:in -x digits.npy -o layers.npz\n"},
    {"run", cmd_run, "MODEL -x [NAME=]INPUT... [-o OUT] [--from WHAT=FILE]",
     "all outputs of the model; --from starts at an inner value",
     "  unbatch run digits.onnx -x pictures/ --top 1\n"
     "  unbatch run digits.onnx --from fc1=saved.npy -o logits.npy\n"},
    {"check", cmd_check, "MODEL invariance|coupling|nan [WHAT...] -x [NAME=]INPUT...",
     "whether a sample's bits are its own; where samples mix; where a NaN begins",
     "  unbatch check digits.onnx invariance -x digits.npy\n"
     "  unbatch check digits.onnx invariance -x digits.npy --against engine.npz\n"
     "  unbatch check digits.onnx coupling\n"
     "  unbatch check digits.onnx nan -x digits.npy\n"},
    {"bench", cmd_bench, "MODEL [WHAT...] -x [NAME=]INPUT... [-n RUNS]",
     "how long a run takes in a warm session",
     "  unbatch bench resnet50.onnx -x rand:1x3x224x224 -n 50\n"
     "  unbatch bench resnet50.onnx -x rand:1x3x224x224 --layers\n"
     "  unbatch bench resnet50.onnx -x batch.npy --compare onnxruntime --python venv/bin/python\n"},
};
enum { N_VERBS = sizeof verbs / sizeof verbs[0] };

/* ---- Messages ------------------------------------------------------------------------------- */

static bool progress_shown;

ub_status cli_fail(const ub_error *err)
{
    cli_progress_end();
    fprintf(stderr, "unbatch: %s\n", err->message);
    return err->code;
}

ub_status cli_error(ub_error *err, ub_status code, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    err->code = code;
    err->offset = -1;
    vsnprintf(err->message, sizeof err->message, fmt, args);
    va_end(args);
    return code;
}

bool cli_ends_with(const char *s, const char *end)
{
    size_t a = strlen(s), b = strlen(end);
    return a >= b && strcmp(s + a - b, end) == 0;
}

ub_status cli_usage(const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    fputs("unbatch: ", stderr);
    vfprintf(stderr, fmt, args);
    fputc('\n', stderr);
    va_end(args);
    return UB_ERR_ARGUMENT;
}

void cli_say(const cli_options *o, const char *fmt, ...)
{
    va_list args;
    if (!o->verbose)
        return;
    va_start(args, fmt);
    fputs("unbatch: ", stderr);
    vfprintf(stderr, fmt, args);
    fputc('\n', stderr);
    va_end(args);
}

double cli_now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

void cli_progress(double done, void *payload)
{
    static double start, last;
    double now = cli_now_ms();
    (void)payload;
    if (start == 0)
        start = last = now;
    /* Short runs show nothing. */
    if (now - start < 500 || now - last < 100)
        return;
    last = now;
    progress_shown = true;
    fprintf(stderr, "\r%3.0f %% [%-40.*s]", 100 * done, (int)(40 * done),
            "########################################");
    fflush(stderr);
}

void cli_progress_end(void)
{
    if (progress_shown)
        fprintf(stderr, "\r%*s\r", 50, "");
    progress_shown = false;
}

bool cli_stderr_is_terminal(void)
{
    return isatty(STDERR_FILENO) != 0;
}

/* ---- Signals -------------------------------------------------------------------------------- */

static volatile int cancel;

const volatile int *cli_cancel(void)
{
    return &cancel;
}

/* The first Ctrl-C asks the run to stop; the second ends the process. */
static void on_interrupt(int signal_number)
{
    cancel = 1;
    signal(signal_number, SIG_DFL);
}

static void set_signals(void)
{
    struct sigaction act = {.sa_handler = on_interrupt};
    sigemptyset(&act.sa_mask);
    sigaction(SIGINT, &act, NULL);
    sigaction(SIGTERM, &act, NULL);
    signal(SIGPIPE, SIG_IGN); /* a closed pipe is an error like any other */
    signal(SIGXFSZ, SIG_IGN); /* so is a file size limit */
}

/* ---- Help ----------------------------------------------------------------------------------- */

static void help_verb(FILE *to, const verb *v)
{
    fprintf(to, "usage: unbatch %s %s\n\n%s\n\n", v->name, v->usage, v->about);
    cli_options_help(to, v->name);
    fprintf(to, "\nexamples:\n%s", v->examples);
}

static void help_all(FILE *to)
{
    fputs("usage: unbatch VERB MODEL [WHAT...] [-x INPUT]... [-o OUT]\n\n"
          "Opens trained neural networks one sample at a time.\n\n",
          to);
    for (int i = 0; i < N_VERBS; i++)
        fprintf(to, "  %-8s %s\n", verbs[i].name, verbs[i].about);
    fputs("\nWHAT   NAME[#CALL][:in[K]|:out[K]][SLICE]: a layer, node or tensor, or a pattern "
          "(layer3.*,\n"
          "       **, @inputs, @outputs); the first index of SLICE is always the sample\n"
          "INPUT  FILE.npy, FILE.npz, FILE.png|jpg[size=224,mean=imagenet], a folder of pictures,\n"
          "       rand:32x3x224x224[:seed], zeros:SHAPE, none: (an optional), - (npy on stdin)\n"
          "OUT    FILE.npy, .npz, .json or .txt, - (npy on stdout)\n"
          "\nexamples:\n",
          to);
    for (int i = 0; i < N_VERBS; i++)
        fputs(verbs[i].examples, to);
    fputs("\nexit codes: 0 ok, 1 a check failed, 2 usage, 3 a file cannot be read or written,\n"
          "  4 unsupported, 5 shape or type mismatch, 6 memory, 130 interrupted\n"
          "\n'unbatch help VERB' says more; 'man unbatch' says all.\n",
          to);
}

static const verb *find_verb(const char *name)
{
    for (int i = 0; i < N_VERBS; i++)
        if (strcmp(verbs[i].name, name) == 0)
            return &verbs[i];
    return NULL;
}

/* ---- main ----------------------------------------------------------------------------------- */

/* Whatever was printed must have arrived; a failure that was told already is not told again. */
static int finish(ub_status code)
{
    cli_progress_end();
    if (code == UB_OK && cancel)
        code = UB_ERR_CANCELLED;
    const bool arrived = fflush(stdout) == 0 && !ferror(stdout);
    if (arrived || code != UB_OK)
        return (int)code;
    fprintf(stderr, "unbatch: cannot write to standard output: %s\n", strerror(errno));
    return UB_ERR_FILE;
}

/* A file opened later must not become the standard output or error that was closed. */
static void hold_standard_files(void)
{
    for (int fd = 0; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDONLY) != fd)
            _exit(UB_ERR_FILE);
}

int main(int argc, char **argv)
{
    hold_standard_files();
    set_signals();
    const char *name = argc > 1 ? argv[1] : "--help";
    if (strcmp(name, "--version") == 0 || strcmp(name, "version") == 0) {
        printf("unbatch %s\n", ub_version());
        return finish(UB_OK);
    }
    bool help = strcmp(name, "help") == 0 || strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0;
    if (help && argc < 3) {
        help_all(argc > 1 ? stdout : stderr);
        return finish(argc > 1 ? UB_OK : UB_ERR_ARGUMENT);
    }
    const verb *v = find_verb(help ? argv[2] : name);
    if (!v)
        return finish(cli_usage("no verb '%s'; there are summary, get, run, check, bench and help",
                                help ? argv[2] : name));
    if (help) {
        help_verb(stdout, v);
        return finish(UB_OK);
    }
    static cli_options o;
    if (cli_options_parse(&o, v->name, argc - 2, argv + 2) != UB_OK)
        return finish(UB_ERR_ARGUMENT);
    if (o.help) {
        help_verb(stdout, v);
        return finish(UB_OK);
    }
    if (!o.model)
        return finish(cli_usage("%s needs a model file; try 'unbatch help %s'", v->name, v->name));
    return finish(v->run(&o));
}
