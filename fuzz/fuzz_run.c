/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes opened as a model and run: every output of it, for two samples, through the public header
 * alone. Inputs have the shapes that the model says, ones where it says nothing. A loop may run for
 * ever: after two seconds the run is cancelled, and has to end.
 */
#include "unbatch.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

enum { MAX_PORTS = 8, MAX_ELEMENTS = 4096, MEMORY = 8 << 20 };

static volatile int cancel;

static void on_time(int number)
{
    (void)number;
    cancel = 1;
}

/* libFuzzer has SIGALRM for itself. */
static timer_t start_clock(void)
{
    timer_t timer;
    struct sigaction action = {.sa_handler = on_time};
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN};
    const struct itimerspec seconds = {.it_value = {.tv_sec = 2}};
    cancel = 0;
    if (sigaction(SIGRTMIN, &action, NULL) || timer_create(CLOCK_MONOTONIC, &event, &timer) ||
        timer_settime(timer, 0, &seconds, NULL))
        abort();
    return timer;
}

/* A tensor for a port, or NULL where the model asks for a large one. */
static ub_tensor *make_input(const ub_port *port)
{
    int64_t dims[UB_MAX_RANK], count = 1;
    const int rank = port->rank < 0 ? 2 : port->rank;
    for (int i = 0; i < rank; i++) {
        dims[i] = port->rank < 0 ? 1 : port->dims[i];
        if (dims[i] < 0 || i == port->batch_axis)
            dims[i] = 2;
        if (dims[i] > MAX_ELEMENTS || (count *= dims[i]) > MAX_ELEMENTS)
            return NULL;
    }
    ub_tensor *random = NULL, *t = NULL;
    const ub_dtype dtype = port->dtype == UB_UNDEFINED ? UB_F32 : port->dtype;
    if (ub_tensor_random_normal(&random, rank, dims, 1, NULL) == UB_OK)
        (void)ub_tensor_cast(&t, random, dtype, NULL); /* NULL for dtypes without storage */
    ub_tensor_free(random);
    return t;
}

static void get(ub_session *s, const char *what)
{
    ub_tensor *out = NULL;
    ub_error err = {0};
    const ub_status status = ub_get(&out, s, what, &err);
    if (status == UB_ERR_INTERNAL || (status != UB_OK && strlen(err.message) == 0))
        abort();
    ub_tensor_free(out);
}

static void run(const ub_model *m)
{
    ub_session *s = NULL;
    ub_tensor *inputs[MAX_PORTS] = {0};
    ub_session_options options = UB_SESSION_OPTIONS_INIT;
    options.threads = 1;
    options.memory_limit = MEMORY;
    options.cancel = &cancel;
    if (ub_session_new(&s, m, &options, NULL) != UB_OK)
        return;
    for (int i = 0; i < ub_model_input_count(m) && i < MAX_PORTS; i++) {
        const ub_port *port = ub_model_input(m, i);
        inputs[i] = make_input(port);
        if (inputs[i])
            (void)ub_session_set(s, port->name, inputs[i], NULL);
    }
    ub_summary *summary = NULL;
    if (ub_summarize(&summary, s, NULL) == UB_OK)
        ub_summary_free(summary);
    for (int i = 0; i < ub_model_output_count(m) && i < MAX_PORTS; i++)
        get(s, ub_model_output(m, i)->name);
    if (ub_model_layer_count(m) > 0) {
        char what[256];
        const char *name = ub_model_layer(m, ub_model_layer_count(m) / 2)->name;
        if (strlen(name) < sizeof(what) - 16) {
            strcpy(what, name);
            get(s, strcat(what, ":in[1]"));
        }
    }
    ub_session_free(s);
    for (int i = 0; i < MAX_PORTS; i++)
        ub_tensor_free(inputs[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    ub_model *m = NULL;
    if (ub_open_memory(&m, bytes, size, NULL) != UB_OK)
        return 0;
    timer_t timer = start_clock();
    run(m);
    timer_delete(timer);
    ub_model_free(m);
    return 0;
}
