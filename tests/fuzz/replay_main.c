/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a fuzz target over files and folders, with any compiler:
 *
 *     replay_NAME [FILE | DIR]...      one input per file, folders are walked
 *
 * "@CORPORA@" in an argument is $WH_TEST_CORPORA, or ../shared/corpora. What is absent is named and
 * passed over. Exit 1 if there was no input at all: then nothing was tested. A target that dies
 * leaves the name of its input as the last line.
 */
#include <dirent.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int fuzz_all = 1; /* see fuzz.h */

#define MARK "@CORPORA@"

static int inputs, failures;

static void replay_file(const char *path, size_t size)
{
    FILE *file = fopen(path, "rb");
    uint8_t *data = malloc(size ? size : 1); /* exact size: overruns must be seen */

    if (!file || !data || fread(data, 1, size, file) != size) {
        printf("%s: cannot read\n", path);
        failures++;
    } else {
        printf("%s\n", path);
        fflush(stdout);
        LLVMFuzzerTestOneInput(data, size);
        inputs++;
    }
    free(data);
    if (file)
        fclose(file);
}

static void replay(const char *path)
{
    struct stat st;
    char child[4096];

    if (stat(path, &st) != 0) {
        printf("%s: absent, passed over\n", path);
        return;
    }
    if (!S_ISDIR(st.st_mode)) {
        replay_file(path, (size_t)st.st_size);
        return;
    }
    struct dirent **entries;
    int n = scandir(path, &entries, NULL, alphasort);

    for (int i = 0; i < n; i++) {
        if (entries[i]->d_name[0] != '.') {
            snprintf(child, sizeof child, "%s/%s", path, entries[i]->d_name);
            replay(child);
        }
        free(entries[i]);
    }
    if (n >= 0)
        free(entries);
}

int main(int argc, char **argv)
{
    const char *corpora = getenv("WH_TEST_CORPORA");
    char path[4096];

    for (int i = 1; i < argc; i++) {
        bool marked = strncmp(argv[i], MARK, sizeof MARK - 1) == 0;

        snprintf(path, sizeof path, "%s%s",
                 !marked   ? ""
                 : corpora ? corpora
                           : "../shared/corpora",
                 argv[i] + (marked ? sizeof MARK - 1 : 0));
        replay(path);
    }
    printf("%d inputs replayed, %d could not be read\n", inputs, failures);
    return failures || !inputs;
}
