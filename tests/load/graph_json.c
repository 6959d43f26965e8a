/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Prints the graph of an ONNX file as the loader made it, as JSON, so that a script can rebuild it
 * as an ONNX model of the newest opset and run it elsewhere. Bodies of If, Loop and Scan are left
 * out. usage: graph_json MODEL
 */
#include "load/load.h"

#include <stdio.h>

static void print_string(const char *s, size_t n)
{
    putchar('"');
    for (size_t i = 0; i < n; i++) {
        const unsigned char c = (unsigned char)s[i];
        if (c == '"' || c == '\\' || c < 32)
            printf("\\u%04x", c);
        else
            putchar(c);
    }
    putchar('"');
}

static void print_name(const ubp_graph *g, int32_t value)
{
    char made_up[32];
    const char *name = value == UBP_NO_VALUE ? "" : g->values[value].name;
    size_t n = 0;
    if (value != UBP_NO_VALUE && !*name) {
        snprintf(made_up, sizeof(made_up), "made_up:%d", (int)value);
        name = made_up;
    }
    while (name[n])
        n++;
    print_string(name, n);
}

static void print_names(const ubp_graph *g, const char *key, int n, const int32_t *values)
{
    printf("\"%s\": [", key);
    for (int i = 0; i < n; i++) {
        fputs(i ? ", " : "", stdout);
        print_name(g, values[i]);
    }
    fputs("]", stdout);
}

static void print_tensor(const ub_tensor *t)
{
    const unsigned char *bytes = t->data;
    printf("{\"dtype\": %d, \"dims\": [", (int)t->dtype);
    for (int i = 0; i < t->rank; i++)
        printf("%s%lld", i ? ", " : "", (long long)t->dims[i]);
    fputs("], \"hex\": \"", stdout);
    for (size_t i = 0; i < ubp_tensor_bytes(t); i++)
        printf("%02x", bytes[i]);
    fputs("\"}", stdout);
}

static void print_list(const ubp_attr *a)
{
    putchar('[');
    for (size_t i = 0; i < a->n; i++) {
        fputs(i ? ", " : "", stdout);
        if (a->kind == UBP_ATTR_INTS)
            printf("%lld", (long long)a->ints[i]);
        else if (a->kind == UBP_ATTR_FLOATS)
            printf("%.17g", a->floats[i]);
        else
            printf("\"%s\"", a->strings[i]);
    }
    putchar(']');
}

static void print_attr(const ubp_attr *a)
{
    static const char *const kinds[] = {"int",   "float", "string", "tensor",
                                        "graph", "ints",  "floats", "strings"};
    printf("{\"name\": \"%s\", \"kind\": \"%s\", \"value\": ", a->name, kinds[a->kind]);
    switch (a->kind) {
    case UBP_ATTR_INT:
        printf("%lld", (long long)a->i);
        break;
    case UBP_ATTR_FLOAT:
        printf("%.17g", a->f);
        break;
    case UBP_ATTR_STRING:
        print_string(a->s, a->s_size);
        break;
    case UBP_ATTR_TENSOR:
        print_tensor(a->tensor);
        break;
    case UBP_ATTR_GRAPH:
        fputs("null", stdout);
        break;
    default:
        print_list(a);
    }
    putchar('}');
}

static void print_node(const ubp_graph *g, const ubp_node *n)
{
    printf("{\"name\": \"%s\", \"op\": \"%s\", \"domain\": \"%s\", \"helper\": %d, ", n->name,
           n->op_type, n->domain, n->helper);
    print_names(g, "in", n->n_in, n->in);
    fputs(", ", stdout);
    print_names(g, "out", n->n_out, n->out);
    fputs(", \"attrs\": [", stdout);
    for (int i = 0; i < n->n_attrs; i++) {
        fputs(i ? ", " : "", stdout);
        print_attr(&n->attrs[i]);
    }
    fputs("]}", stdout);
}

static void print_graph(const ubp_graph *g)
{
    const char *comma = "";
    printf("{");
    print_names(g, "inputs", g->n_inputs, g->inputs);
    fputs(",\n", stdout);
    print_names(g, "outputs", g->n_outputs, g->outputs);
    fputs(",\n\"nodes\": [", stdout);
    for (size_t i = 0; i < g->n_nodes; i++) {
        fputs(i ? ",\n" : "\n", stdout);
        print_node(g, &g->nodes[i]);
    }
    fputs("],\n\"constants\": {", stdout);
    for (size_t i = 0; i < g->n_values; i++) {
        if (!g->values[i].constant)
            continue;
        printf("%s\n", comma);
        print_name(g, (int32_t)i);
        fputs(": ", stdout);
        print_tensor(g->values[i].constant);
        comma = ",";
    }
    puts("}}");
}

int main(int argc, char **argv)
{
    ubp_loaded l;
    ub_error err;
    if (argc != 2)
        return fprintf(stderr, "usage: graph_json MODEL\n"), 2;
    const ub_status status = ubp_load(&l, argv[1], NULL, 0, &err);
    if (status != UB_OK)
        return fprintf(stderr, "%s\n", err.message), (int)status;
    print_graph(l.graph);
    ubp_loaded_release(&l);
    return 0;
}
