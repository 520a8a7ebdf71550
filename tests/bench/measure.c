/* SPDX-License-Identifier: Apache-2.0 */
/* measure REPORT PROGRAM ARG...: runs a program and writes to REPORT: wall seconds, user + system
 * seconds, peak resident kilobytes, exit status (128 + signal). A C program does it because a child
 * inherits the peak of the process that forks it: Python's would hide that of a small program. */
#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

extern char **environ;

static double seconds(struct timeval t)
{
    return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

int main(int argc, char **argv)
{
    struct timespec from, to;
    struct rusage use;
    int status;
    pid_t pid;

    if (argc < 3)
        return 2;
    clock_gettime(CLOCK_MONOTONIC, &from);
    if (posix_spawnp(&pid, argv[2], NULL, NULL, argv + 2, environ) != 0)
        return 127;
    while (wait4(pid, &status, 0, &use) < 0)
        if (errno != EINTR)
            return 126;
    clock_gettime(CLOCK_MONOTONIC, &to);

    FILE *report = fopen(argv[1], "w");

    if (!report)
        return 125;
    fprintf(report, "%.6f %.6f %ld %d\n",
            (double)(to.tv_sec - from.tv_sec) + (double)(to.tv_nsec - from.tv_nsec) / 1e9,
            seconds(use.ru_utime) + seconds(use.ru_stime), use.ru_maxrss,
            WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
    return fclose(report) ? 125 : 0;
}
