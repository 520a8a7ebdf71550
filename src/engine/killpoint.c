/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/killpoint.h"

#include "core/log.h"
#include "data/number.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct wh_kill_name names[] = {
    {"run-new", "prepare"},         /* the run is recorded, nobody owns it yet */
    {"run-owned", "prepare"},       /* the state knows us as its owner */
    {"targets-taken", "prepare"},   /* targets are held in the state */
    {"claim-before", "prepare"},    /* before claim at a destination */
    {"claim-after", "prepare"},     /* claimed there, not recorded here */
    {"claim-recorded", "prepare"},  /* run is CLAIMED */
    {"snapshot-before", "prepare"}, /* */
    {"snapshot-taken", "prepare"},  /* taken (a holder may live), not recorded */
    {"snapshot-recorded", "prepare"} /* */,
    {"remember-before", "prepare"},
    {"remember-after", "prepare"}, /* the run row knows the snapshot */
    {"prepare-step-before", "prepare"},
    {"prepare-step-intended", "prepare"},
    {"prepare-step-applied", "prepare"},
    {"prepare-step-recorded", "prepare"},
    {"draw-before", "move"}, /* splits are known in memory only */
    {"draw-after", "move"},
    {"lease-before", "move"},
    {"lease-after", "move"},
    {"reader-opened", "move"},
    {"first-batch", "move"},
    {"writer-opened", "move"}, /* the marker is inserted, nothing committed */
    {"batch-written", "move"},
    {"cut", "move"},
    {"seal-before", "commit"},
    {"seal-after", "commit"},
    {"archive-durable", "commit"},
    {"commit-before", "commit"},
    {"commit-after", "commit"}, /* committed there, not recorded here */
    {"record-after", "commit"},
    {"acknowledge-before", "commit"},
    {"acknowledge-after", "commit"},
    {"settle-step-before", "settle"},
    {"settle-step-intended", "settle"},
    {"settle-step-applied", "settle"},
    {"settle-step-recorded", "settle"},
    {"snapshot-released", "publish"},
    {"publish-step-before", "publish"},
    {"publish-step-intended", "publish"},
    {"publish-step-applied", "publish"},
    {"publish-step-recorded", "publish"},
    {"published", "publish"}, /* the flow is PUBLISHED */
    {"finish-step-before", "close"},
    {"finish-step-intended", "close"},
    {"finish-step-applied", "close"},
    {"finish-step-recorded", "close"},
    {"drop-step-before", "close"},
    {"drop-step-intended", "close"},
    {"drop-step-applied", "close"},
    {"drop-step-recorded", "close"},
    {"compare-before", "close"}, /* all tables are finished, both ends are to be compared */
    {"compared", "close"},
    {"compare-recorded", "close"}, /* that they differ is known here */
    {"closing-before", "close"},
    {"closing-recorded", "close"},
    {"run-close-before", "close"},
    {"run-close-after", "close"}, /* closed there, not recorded here */
    {"retire-before", "close"},   /* closed at every destination; sources know nothing of it */
    {"retire-after", "close"},
    {"closed-recorded", "close"},
    {"targets-released", "close"},
    {"run-ended", "close"},
};

const struct wh_kill_name *wh_kill_names(size_t *ret_n)
{
    *ret_n = sizeof names / sizeof *names;
    return names;
}

/* What the environment asks for; read once. */
static struct {
    pthread_once_t once;
    bool on;
    const char *log;
    struct {
        char name[64];
        int64_t nth;
        int signal;
        _Atomic int64_t seen;
    } at[2];
} kill_points = {.once = PTHREAD_ONCE_INIT};

static void read_one(int i, const char *variable, int signal)
{
    const char *text = getenv(variable);
    const char *colon = text ? strrchr(text, ':') : NULL;
    size_t n = colon ? (size_t)(colon - text) : text ? strlen(text) : 0;

    if (!text || !n || n >= sizeof kill_points.at[i].name)
        return;
    memcpy(kill_points.at[i].name, text, n);
    kill_points.at[i].nth = 1;
    if (colon && !wh_read_i64(colon + 1, strlen(colon + 1), &kill_points.at[i].nth))
        kill_points.at[i].nth = 1;
    kill_points.at[i].signal = signal;
    kill_points.on = true;
}

static void read_environment(void)
{
    read_one(0, "WH_TEST_KILL", SIGKILL);
    read_one(1, "WH_TEST_STOP", SIGSTOP);
    kill_points.log = getenv("WH_TEST_KILL_LOG");
    if (kill_points.log)
        kill_points.on = true;
}

static void log_name(const char *name)
{
    char line[80];
    size_t n = strlen(name);
    int fd = open(kill_points.log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);

    if (fd < 0 || n + 1 >= sizeof line) {
        if (fd >= 0)
            close(fd);
        return;
    }
    memcpy(line, name, n);
    line[n] = '\n';
    ssize_t done = write(fd, line, n + 1);
    (void)done; /* a lost line shows as a gap in the histogram */
    close(fd);
}

void wh_kill_point(const char *name)
{
    pthread_once(&kill_points.once, read_environment);
    if (wh_log_on(WH_LOG_DEBUG, "engine"))
        wh_log(WH_LOG_DEBUG, "engine", "at %s", name);
    if (!kill_points.on)
        return;
    if (kill_points.log)
        log_name(name);
    for (int i = 0; i < 2; i++)
        if (kill_points.at[i].signal && strcmp(kill_points.at[i].name, name) == 0 &&
            atomic_fetch_add(&kill_points.at[i].seen, 1) + 1 == kill_points.at[i].nth)
            raise(kill_points.at[i].signal); /* this very thread: it goes no step further */
}

void wh_kill_step(int phase, int at)
{
    static const char *const step_names[5][4] = {
        [WH_PREPARE] = {"prepare-step-before", "prepare-step-intended", "prepare-step-applied",
                        "prepare-step-recorded"},
        [WH_SETTLE] = {"settle-step-before", "settle-step-intended", "settle-step-applied",
                       "settle-step-recorded"},
        [WH_PUBLISH] = {"publish-step-before", "publish-step-intended", "publish-step-applied",
                        "publish-step-recorded"},
        [WH_FINISH] = {"finish-step-before", "finish-step-intended", "finish-step-applied",
                       "finish-step-recorded"},
        [WH_DROP] = {"drop-step-before", "drop-step-intended", "drop-step-applied",
                     "drop-step-recorded"},
    };

    wh_kill_point(step_names[phase][at]);
}
