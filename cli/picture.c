/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pictures as inputs: FILE.png[size=224,mean=imagenet,layout=nchw] and folders of them. What the
 * model says of its input (channels, layout, size) is the default of what the brackets may say.
 */
#include "cli.h"

#include <dirent.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

__attribute__((format(printf, 2, 3))) static ub_status refuse(ub_error *err, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    err->code = UB_ERR_ARGUMENT;
    err->offset = -1;
    vsnprintf(err->message, sizeof err->message, fmt, args);
    va_end(args);
    return err->code;
}

/* "0.5" or "0.485/0.456/0.406" into v[4]; one number stands for all channels. */
static bool parse_channels(const char *s, double *v)
{
    int n = 0;
    for (const char *at = s; n < 4; n++) {
        char *end;
        v[n] = strtod(at, &end);
        if (end == at || (*end && *end != '/'))
            return false;
        if (!*end) {
            n++;
            break;
        }
        at = end + 1;
    }
    for (int i = 1; n == 1 && i < 4; i++)
        v[i] = v[0];
    return n > 0;
}

static ub_status set_option(ub_image_options *o, const char *key, const char *value, ub_error *err)
{
    static const double imagenet_mean[] = {0.485, 0.456, 0.406, 0};
    static const double imagenet_std[] = {0.229, 0.224, 0.225, 1};
    bool ok = true;
    if (strcmp(key, "size") == 0) {
        char *end;
        long h = strtol(value, &end, 10), w = h;
        if (*end == 'x')
            w = strtol(end + 1, &end, 10);
        ok = !*end && h > 0 && w > 0 && h < 65536 && w < 65536;
        o->height = (int)h;
        o->width = (int)w;
    } else if (strcmp(key, "mean") == 0 && strcmp(value, "imagenet") == 0) {
        memcpy(o->mean, imagenet_mean, sizeof o->mean);
        memcpy(o->std, imagenet_std, sizeof o->std);
    } else if (strcmp(key, "mean") == 0) {
        ok = parse_channels(value, o->mean);
    } else if (strcmp(key, "std") == 0) {
        ok = parse_channels(value, o->std);
        for (int i = 0; i < 4; i++)
            ok = ok && o->std[i] != 0;
    } else if (strcmp(key, "scale") == 0) {
        char *end;
        o->scale = strtod(value, &end);
        ok = end != value && !*end;
    } else if (strcmp(key, "layout") == 0) {
        ok = strcmp(value, "nchw") == 0 || strcmp(value, "nhwc") == 0;
        o->channels_last = strcmp(value, "nhwc") == 0;
    } else if (strcmp(key, "channels") == 0) {
        ok = strcmp(value, "1") == 0 || strcmp(value, "3") == 0;
        o->channels = value[0] - '0';
    } else {
        return refuse(err,
                      "a picture has no option '%s'; there are size=224 or size=HxW, mean=, "
                      "std=, scale=, layout=nchw|nhwc, channels=1|3",
                      key);
    }
    return ok ? UB_OK : refuse(err, "%s=%s is not a value for a picture's %s", key, value, key);
}

/* What the model's own shape tells: (N, 1|3, H, W) or (N, H, W, 1|3). */
static void defaults(ub_image_options *o, const ub_port *port)
{
    if (!port || port->rank != 4)
        return;
    int64_t first = port->dims[1], last = port->dims[3];
    if (first == 1 || first == 3) {
        o->channels = (int)first;
    } else if (last == 1 || last == 3) {
        o->channels = (int)last;
        o->channels_last = true;
    }
}

/* The picture must have the model's height and width, or be told to take them. */
static ub_status check_size(const ub_tensor *t, const ub_image_options *o, const ub_port *port,
                            const char *path, ub_error *err)
{
    if (!port || port->rank != 4)
        return UB_OK;
    int h = o->channels_last ? 1 : 2;
    int64_t want_h = port->dims[h], want_w = port->dims[h + 1];
    if ((want_h < 0 || want_h == t->dims[h]) && (want_w < 0 || want_w == t->dims[h + 1]))
        return UB_OK;
    refuse(err,
           "%s: the picture is %lldx%lld (height x width), the model's '%s' wants %lldx%lld: "
           "resize it with [size=%lldx%lld]",
           path, (long long)t->dims[h], (long long)t->dims[h + 1], port->name, (long long)want_h,
           (long long)want_w, (long long)want_h, (long long)want_w);
    return err->code = UB_ERR_SHAPE;
}

ub_status cli_picture_load(ub_tensor **out, const char *path, const char *options,
                           const ub_port *port, bool folder, ub_error *err)
{
    ub_image_options o = UB_IMAGE_OPTIONS_INIT;
    char text[1024];
    if (strlen(options) >= sizeof text)
        return refuse(err, "%s: the options are too long", path);
    strcpy(text, options);
    defaults(&o, port);
    char *save = NULL;
    for (char *part = strtok_r(text, ",", &save); part; part = strtok_r(NULL, ",", &save)) {
        char *eq = strchr(part, '=');
        if (!eq)
            return refuse(err, "'%s': expected KEY=VALUE", part);
        *eq = '\0';
        ub_status st = set_option(&o, part, eq + 1, err);
        if (st != UB_OK)
            return st;
    }
    ub_status st =
        folder ? ub_image_load_folder(out, path, &o, err) : ub_image_load(out, path, &o, err);
    if (st != UB_OK)
        return st;
    st = check_size(*out, &o, port, path, err);
    if (st != UB_OK)
        ub_tensor_free(*out);
    return st;
}

static bool is_picture(const char *name)
{
    const char *dot = strrchr(name, '.');
    return name[0] != '.' && dot &&
           (strcasecmp(dot, ".png") == 0 || strcasecmp(dot, ".jpg") == 0 ||
            strcasecmp(dot, ".jpeg") == 0);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

char **cli_picture_names(const char *folder, int *count)
{
    char **names = NULL;
    int n = 0;
    DIR *d = opendir(folder);
    for (struct dirent *e = d ? readdir(d) : NULL; e; e = readdir(d)) {
        if (!is_picture(e->d_name))
            continue;
        char **more = realloc(names, ((size_t)n + 1) * sizeof *names);
        if (!more)
            break;
        names = more;
        names[n] = strdup(e->d_name);
        n += names[n] != NULL;
    }
    if (d)
        closedir(d);
    if (n)
        qsort(names, (size_t)n, sizeof *names, by_name);
    *count = n;
    return names;
}
