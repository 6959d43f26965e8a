/* SPDX-License-Identifier: Apache-2.0 */
/*
 * unbatch check: invariance, coupling, nan. Exit code 1 when a check does not hold.
 */
#include "cli.h"

#include <string.h>

static const char *const words[] = {"ok", "FAIL", "mixes", "?"};

static const char *index_text(char *text, size_t size, const ub_finding *f)
{
    size_t n = 0;
    text[0] = '\0';
    for (int a = 0; a < f->rank && n < size; a++)
        n += (size_t)snprintf(text + n, size - n, "%s%lld", a ? ", " : "[", (long long)f->index[a]);
    if (f->rank > 0 && n < size)
        snprintf(text + n, size - n, "]");
    return text;
}

/* "samples 0, 3 to 5" */
static void print_samples(const ub_finding *f)
{
    int64_t shown = 0;
    for (int64_t i = 0; i < f->n_samples; i++) {
        if (!f->samples[i])
            continue;
        int64_t last = i;
        while (last + 1 < f->n_samples && f->samples[last + 1])
            last++;
        printf("%s%lld", shown ? ", " : ", samples ", (long long)i);
        if (last > i)
            printf(" to %lld", (long long)last);
        shown++;
        i = last;
    }
}

static void print_node(const ub_finding *f)
{
    char node[1024];
    if (f->node[0])
        printf("node '%s' (%s): ", cli_plain(node, sizeof node, f->node), f->op);
}

static void print_finding(const ub_finding *f, int width, const char *check)
{
    char what[1024], detail[1024], index[256];
    printf("%-5s  %-*s  ", words[f->verdict], width, cli_plain(what, sizeof what, f->what));
    print_node(f);
    if (strcmp(check, "nan") == 0) {
        printf("first at %s", index_text(index, sizeof index, f));
        print_samples(f);
        printf("; %s\n", cli_plain(detail, sizeof detail, f->detail));
        return;
    }
    if (f->detail[0])
        printf("%s%s", cli_plain(detail, sizeof detail, f->detail),
               f->compared || f->n_samples ? "; " : "");
    if (f->compared)
        printf("%lld of %lld elements equal", (long long)(f->compared - f->differing),
               (long long)f->compared);
    if (f->differing) {
        if (f->sample >= 0)
            printf(", first: sample %lld at %s", (long long)f->sample,
                   index_text(index, sizeof index, f));
        printf(", by up to %.3g (%.2g of the largest)", f->worst, f->relative);
        print_samples(f);
    } else if (f->n_samples && !f->compared) {
        if (f->sample >= 0)
            printf("samples move by up to %.3g %%", 100 * f->relative);
        else
            printf("no sample moves");
        print_samples(f);
    }
    putchar('\n');
}

static json_t *finding_json(const ub_finding *f)
{
    json_t *o = json_object(), *index = json_array(), *samples = json_array();
    json_object_set_new(o, "verdict", json_string(words[f->verdict]));
    json_object_set_new(o, "what", cli_json_text(f->what));
    json_object_set_new(o, "node", cli_json_text(f->node));
    json_object_set_new(o, "op", cli_json_text(f->op));
    json_object_set_new(o, "detail", cli_json_text(f->detail));
    json_object_set_new(o, "sample", f->sample < 0 ? json_null() : json_integer(f->sample));
    for (int a = 0; a < f->rank; a++)
        json_array_append_new(index, json_integer(f->index[a]));
    for (int64_t i = 0; i < f->n_samples; i++)
        if (f->samples[i])
            json_array_append_new(samples, json_integer(i));
    json_object_set_new(o, "index", index);
    json_object_set_new(o, "samples", samples);
    json_object_set_new(o, "compared", json_integer(f->compared));
    json_object_set_new(o, "differing", json_integer(f->differing));
    json_object_set_new(o, "worst", cli_json_number(f->worst));
    json_object_set_new(o, "relative", cli_json_number(f->relative));
    return o;
}

static ub_status print_json(const ub_report *report, const char *check, ub_error *err)
{
    json_t *root = json_object(), *findings = json_array();
    json_object_set_new(root, "unbatch", json_integer(CLI_JSON_VERSION));
    json_object_set_new(root, "check", json_string(check));
    json_object_set_new(root, "holds", json_boolean(ub_report_holds(report)));
    json_object_set_new(root, "findings", findings);
    for (int i = 0; i < ub_report_count(report); i++)
        json_array_append_new(findings, finding_json(ub_report_at(report, i)));
    return cli_json_print(root, err);
}

/* The last line: what it comes to. */
static void print_verdict(const ub_report *report, const char *check)
{
    const int n = ub_report_count(report);
    int count[4] = {0};
    int64_t compared = 0, differing = 0;
    for (int i = 0; i < n; i++) {
        const ub_finding *f = ub_report_at(report, i);
        count[f->verdict]++;
        compared += f->compared;
        differing += f->verdict == UB_BROKEN ? f->differing : 0;
    }
    if (strcmp(check, "nan") == 0) {
        puts(n ? "there are values that are not finite" : "all values are finite");
    } else if (strcmp(check, "coupling") == 0) {
        puts(count[UB_MIXES] ? "samples depend on their batch, see above"
                             : "no node mixes samples: each depends on itself alone");
    } else if (count[UB_BROKEN]) {
        printf("%d of %d values have other bits; %lld of %lld elements compared\n",
               count[UB_BROKEN], n, (long long)differing, (long long)compared);
    } else {
        printf("%d values, %lld elements compared: ", n, (long long)compared);
        puts(count[UB_MIXES] ? "the same bits wherever the model does not mix samples"
                             : "the same bits every way");
    }
}

static ub_status run_check(ub_report **report, const cli_run *r, const char *check, ub_error *err)
{
    const cli_options *o = r->o;
    if (strcmp(check, "coupling") == 0)
        return ub_check_coupling(report, r->session, err);
    if (strcmp(check, "nan") == 0)
        return ub_check_nan(report, r->session, err);
    if (o->against) {
        ub_npz *other;
        ub_status st = ub_npz_load(&other, o->against, err);
        if (st == UB_OK)
            st = ub_check_against(report, r->session, other, err);
        ub_npz_free(other);
        return st;
    }
    cli_wanted w = {0};
    ub_status st = cli_wanted_find(&w, r, o->what + 1, o->n_what - 1, err);
    if (st == UB_OK)
        st = ub_check_invariance(report, r->session, w.names, w.n, err);
    cli_wanted_release(&w);
    return st;
}

ub_status cmd_check(const cli_options *o)
{
    static const char *const checks[] = {"invariance", "coupling", "nan"};
    const char *check = o->n_what ? o->what[0] : "";
    bool known = false;
    for (int i = 0; i < 3; i++)
        known = known || strcmp(check, checks[i]) == 0;
    if (!known)
        return cli_usage("check needs what to check: invariance, coupling or nan%s%s%s",
                         *check ? ", not '" : "", check, *check ? "'" : "");
    if (o->n_what > 1 && strcmp(check, "invariance") != 0)
        return cli_usage("check %s looks at the whole model: leave '%s' out", check, o->what[1]);
    static cli_run r;
    ub_report *report = NULL;
    ub_error err = {0};
    ub_status st = cli_run_open(&r, o, strcmp(check, "coupling") == 0);
    if (st == UB_OK) {
        st = run_check(&report, &r, check, &err);
        cli_progress_end();
        if (st != UB_OK)
            cli_fail(&err);
    }
    if (st == UB_OK && o->json) {
        st = print_json(report, check, &err);
        if (st != UB_OK)
            cli_fail(&err);
    } else if (st == UB_OK) {
        int width = 5;
        for (int i = 0; i < ub_report_count(report); i++) {
            const int n = (int)strlen(ub_report_at(report, i)->what);
            width = n > width ? n : width;
        }
        for (int i = 0; i < ub_report_count(report); i++)
            print_finding(ub_report_at(report, i), width > 60 ? 60 : width, check);
        print_verdict(report, check);
    }
    if (st == UB_OK && !ub_report_holds(report))
        st = UB_ERR_CHECK;
    ub_report_free(report);
    cli_run_close(&r);
    return st;
}
