/* SPDX-License-Identifier: Apache-2.0 */
/* For tests: the N-th statement fails (WH_TEST_FAIL_SQL=N:CODE, an answer of SQLite); each one that
 * counts is a line of WH_TEST_SQL_LOG=FILE, the one that failed begins with '!'. Without the first
 * variable nothing is counted. */
#include "sqlite.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static struct {
    pthread_once_t once;
    long nth;
    int code;
    const char *log;
    atomic_long seen;
} fault = {.once = PTHREAD_ONCE_INIT};

static void read_environment(void)
{
    const char *what = getenv("WH_TEST_FAIL_SQL"), *log = getenv("WH_TEST_SQL_LOG");
    char *end = NULL;

    if (!what || !log)
        return;
    fault.nth = strtol(what, &end, 10);
    fault.code = *end == ':' ? (int)strtol(end + 1, NULL, 10) : SQLITE_ERROR;
    fault.log = log;
}

int lite_made_to_fail(const char *sql)
{
    char line[128];
    bool it;
    int fd, n;

    pthread_once(&fault.once, read_environment);
    if (!fault.log)
        return SQLITE_OK;
    it = atomic_fetch_add(&fault.seen, 1) + 1 == fault.nth;
    n = snprintf(line, sizeof line, "%c %.100s", it ? '!' : ' ', sql);
    for (int i = 0; i < n; i++)
        line[i] = line[i] == '\n' ? ' ' : line[i];
    line[n++] = '\n';
    fd = open(fault.log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (fd >= 0) {
        ssize_t done = write(fd, line, (size_t)n);

        (void)done; /* a lost line is a statement that is not tried */
        close(fd);
    }
    return it ? fault.code : SQLITE_OK;
}
