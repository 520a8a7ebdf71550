/* SPDX-License-Identifier: Apache-2.0 */
/* Whether the process is alive that a run row names. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/alloc.h"
#include "core/clock.h"
#include "sql.h"

enum {
    STAT_MAX = 4096,
    CLOCK_SLACK_S = 2, /* clocks are set, and both times are cut to whole seconds */
};

/* Seconds since the epoch at which the process began; -1 = it is not there (or only its remains).
 */
static int64_t process_start(long pid)
{
    char text[STAT_MAX] = "";
    long hz = sysconf(_SC_CLK_TCK);
    struct timespec up;
    const char *p;
    ssize_t n;

    snprintf(text, sizeof text, "/proc/%ld/stat", pid);
    int fd WH_CLEANUP(wh_closep) = open(text, O_RDONLY | O_CLOEXEC);

    n = fd >= 0 ? read(fd, text, sizeof text - 1) : -1;
    if (n < 0)
        return -1;
    text[n] = 0;
    if (!(p = strrchr(text, ')')) || p[1] != ' ' || p[2] == 'Z' || p[2] == 'X')
        return -1;
    for (int field = 2; field < 22 && p; field++) /* starttime is the 22nd, in ticks since boot */
        p = strchr(p + 1, ' ');
    if (!p || hz <= 0 || clock_gettime(CLOCK_BOOTTIME, &up) != 0)
        return 0;
    return wh_wall_us() / 1000000 - up.tv_sec + strtoll(p, NULL, 10) / hz;
}

enum sql_owner sql_owner_of(const char *host, int64_t pid, int64_t claimed_at_s)
{
    char here[64] = "";
    int64_t start;

    wh_ignore(gethostname(here, sizeof here - 1));
    if (strcmp(here, host) != 0)
        return SQL_OWNER_ELSEWHERE;
    /* One process carries out one run at a time: an earlier one of ours is over. */
    if (pid == getpid())
        return SQL_OWNER_DEAD;
    start = pid > 0 && pid <= INT32_MAX ? process_start((long)pid) : -1;
    /* Not another one that got its number. */
    return start >= 0 && start <= claimed_at_s + CLOCK_SLACK_S ? SQL_OWNER_LIVES : SQL_OWNER_DEAD;
}
