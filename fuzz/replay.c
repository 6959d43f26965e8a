/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs a fuzz target over files, without a fuzzer: for any compiler, and in the tests.
 * usage: replay_NAME FILE_OR_FOLDER...
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

/* The bytes lie in memory of their exact size, so that a sanitizer sees a read past the end. */
static int run_file(const char *path, size_t size)
{
    FILE *f = fopen(path, "rb");
    uint8_t *bytes = malloc(size ? size : 1);
    if (!f || !bytes || fread(bytes, 1, size, f) != size) {
        fprintf(stderr, "cannot read %s\n", path);
        if (f)
            fclose(f);
        free(bytes);
        return -1;
    }
    fclose(f);
    LLVMFuzzerTestOneInput(bytes, size);
    free(bytes);
    return 1;
}

/* Files run, or -1. */
static int run_path(const char *path)
{
    struct stat st;
    char inner[4096];
    int count = 0;
    if (stat(path, &st) != 0) {
        fprintf(stderr, "cannot read %s\n", path);
        return -1;
    }
    if (!S_ISDIR(st.st_mode))
        return run_file(path, (size_t)st.st_size);
    DIR *folder = opendir(path);
    for (struct dirent *e; folder && count >= 0 && (e = readdir(folder));) {
        snprintf(inner, sizeof(inner), "%s/%s", path, e->d_name);
        if (e->d_name[0] == '.' || stat(inner, &st) != 0 || !S_ISREG(st.st_mode))
            continue;
        count = run_file(inner, (size_t)st.st_size) < 0 ? -1 : count + 1;
    }
    if (folder)
        closedir(folder);
    return count;
}

int main(int argc, char **argv)
{
    int total = 0;
    for (int i = 1; i < argc; i++) {
        const int n = run_path(argv[i]);
        if (n < 0)
            return 1;
        total += n;
    }
    printf("%d files\n", total);
    return total == 0;
}
