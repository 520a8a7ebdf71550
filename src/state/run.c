/* SPDX-License-Identifier: Apache-2.0 */
/* Runs: records, ownership by lock file and epoch, beats, ends. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/clock.h"
#include "state/db.h"

enum {
    SWEEP_MOST = 256, /* files of dead owners that one claim looks at */
};

static const char *const run_states[] = {
    [WH_RUN_PLANNED] = "planned",     [WH_RUN_CLAIMED] = "claimed",
    [WH_RUN_MOVING] = "moving",       [WH_RUN_PUBLISHING] = "publishing",
    [WH_RUN_FINISHING] = "finishing", [WH_RUN_CLOSING] = "closing",
    [WH_RUN_CLOSED] = "closed",       [WH_RUN_DISCARDED] = "discarded",
};

const char *wh_run_state_name(enum wh_run_state s)
{
    return s <= WH_RUN_DISCARDED ? run_states[s] : "unknown";
}

#define RUN_COLUMNS                                                                                \
    "run, job, file, identity, is_copy, scheduled, job_json, shape, version, state, epoch,"        \
    "exit_code, finished, snapshot, created_us, started_us, ended_us, host, pid,"                  \
    "beat_us, limits, rows_read, rows_written, rows_dirty, rows_filtered, rows_skipped, folder, "  \
    "ends"

static int read_run(struct wh_arena *a, sqlite3_stmt *q, struct wh_run_record *r)
{
    int64_t n[26];
    for (int i = 0; i < 26; i++)
        n[i] = sqlite3_column_int64(q, i);
    *r = (struct wh_run_record){.is_copy = n[4],
                                .state = (enum wh_run_state)n[9],
                                .epoch = (uint32_t)n[10],
                                .exit_code = (int)n[11],
                                .finished = n[12],
                                .created_us = n[14],
                                .started_us = n[15],
                                .ended_us = n[16],
                                .pid = n[18],
                                .beat_us = n[19],
                                .rows_read = n[21],
                                .rows_written = n[22],
                                .rows_dirty = n[23],
                                .rows_filtered = n[24],
                                .rows_skipped = n[25]};
    const struct {
        int column;
        const char **to;
    } texts[] = {{0, &r->run},       {1, &r->job},      {2, &r->file},    {3, &r->identity},
                 {5, &r->scheduled}, {6, &r->job_json}, {7, &r->shape},   {8, &r->version},
                 {13, &r->snapshot}, {17, &r->host},    {20, &r->limits}, {26, &r->folder},
                 {27, &r->ends}};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        WH_TRY(wh_db_text(a, q, texts[i].column, texts[i].to));
    return WH_OK;
}

/* Counts are recorded with the end; of a run that did not get there its recorded units tell. */
static int count_units(struct wh_state *s, struct wh_run_record *r, struct wh_error *reterr)
{
    sqlite3_stmt *q;
    int64_t *const counts[] = {&r->rows_read, &r->rows_written, &r->rows_dirty, &r->rows_filtered,
                               &r->rows_skipped};
    if (r->state == WH_RUN_CLOSED)
        return WH_OK;
    WH_TRY(wh_db_query(s, &q, reterr,
                       "select sum(rows_read), sum(rows_written), sum(rows_dirty),"
                       " sum(rows_filtered), sum(rows_skipped) from unit where run = ? and"
                       " state = ?",
                       "sn", r->run, (int)WH_UNIT_RECORDED));
    WH_TRY(wh_db_step(s, q, reterr));
    for (int i = 0; i < 5; i++) {
        int64_t n = sqlite3_column_int64(q, i);
        *counts[i] = n > *counts[i] ? n : *counts[i];
    }
    sqlite3_reset(q);
    return WH_OK;
}

static const char *host_name(char out[128])
{
    if (gethostname(out, 127) != 0)
        return "localhost";
    out[127] = 0;
    return out;
}

int wh_state_run_new(struct wh_state *s, const struct wh_run_record *r, struct wh_error *reterr)
{
    WH_DB_GUARD(s);
    char host[128], folder[PATH_MAX];
    if (!getcwd(folder, sizeof(folder)))
        folder[0] = 0;
    WH_TRY(wh_db_begin(s, NULL, 0, reterr));
    int st = wh_db_run(s, NULL, reterr,
                       "insert into run(run, job, file, identity, is_copy, scheduled, job_json,"
                       "shape, version, state, epoch, exit_code, finished, created_us, host, pid,"
                       "beat_us, folder, ends) values (?,?,?,?,?,?,?,?,?,?,?,-1,0,?,?,?,?,?,?)",
                       "ssssnssssnuisiiss", r->run, r->job, r->file, r->identity, r->is_copy,
                       r->scheduled, r->job_json, r->shape, r->version, (int)WH_RUN_PLANNED,
                       r->epoch, r->created_us ? r->created_us : wh_wall_us(), host_name(host),
                       (int64_t)getpid(), (int64_t)0, *folder ? folder : NULL, r->ends);
    st = wh_db_end(s, st, reterr);
    if (st == WH_OK)
        wh_transition("run", r->run, "none", "planned");
    return st;
}

int wh_state_run_forget(struct wh_state *s, const char *run, struct wh_error *reterr)
{
    static const char *const each[] = {
        "delete from unit where run = ?",     "delete from step where run = ?",
        "delete from phase where run = ?",    "delete from flow where run = ?",
        "delete from snapshot where run = ?", "delete from target where run = ?",
        "delete from report where run = ?",   "delete from run where run = ?",
    };
    WH_DB_GUARD(s);
    WH_TRY(wh_db_begin(s, NULL, 0, reterr));
    int st = WH_OK;
    for (size_t i = 0; st == WH_OK && i < sizeof(each) / sizeof(each[0]); i++)
        st = wh_db_run(s, NULL, reterr, each[i], "s", run);
    return wh_db_end(s, st, reterr);
}

int wh_state_run_get(struct wh_state *s, const char *run, struct wh_arena *a,
                     struct wh_run_record *ret, struct wh_error *reterr)
{
    WH_DB_GUARD(s);
    char low[96], high[104];
    snprintf(low, sizeof(low), "%s%s", strncmp(run, "r-", 2) == 0 ? "" : "r-", run);
    snprintf(high, sizeof(high), "%s~", low);
    sqlite3_stmt *q;
    WH_TRY(wh_db_query(s, &q, reterr,
                       "select " RUN_COLUMNS " from run where run >= ? and run < ?"
                       " order by run limit 2",
                       "ss", low, high));
    int st = wh_db_step(s, q, reterr);
    if (st == WH_END) {
        st = wh_fail(reterr, WH_E_NOT_FOUND, "E7007", "the state has no run %s", run);
        wh_error_hint(reterr, "wherry history lists the runs of %s", s->path);
        return st;
    }
    WH_TRY(st);
    st = read_run(a, q, ret);
    int second = st == WH_OK && strcmp(ret->run, low) != 0 ? wh_db_step(s, q, reterr) : WH_END;
    sqlite3_reset(q);
    if (st == WH_OK && second == WH_OK) {
        st = wh_fail(reterr, WH_E_NOT_FOUND, "E7007", "more than one run begins with %s", run);
        wh_error_hint(reterr, "write more of its id; wherry history lists them");
    } else if (st == WH_E_NOMEM) {
        wh_ignore(wh_fail(reterr, st, "E8002", "no memory for a run record"));
    } else if (st == WH_OK) {
        st = count_units(s, ret, reterr);
    }
    return st;
}

int wh_state_run_find(struct wh_state *s, const char *identity, struct wh_arena *a,
                      const char **ret_unfinished, const char **ret_finished,
                      struct wh_error *reterr)
{
    WH_DB_GUARD(s);
    const char *found[2] = {NULL, NULL}; /* by `finished` */
    sqlite3_stmt *q;
    int st;
    WH_TRY(wh_db_query(s, &q, reterr,
                       "select run, finished, state from run where identity = ?"
                       " order by created_us desc",
                       "s", identity));
    while ((st = wh_db_step(s, q, reterr)) == WH_OK) {
        const char **to = &found[sqlite3_column_int(q, 1) != 0];
        if (sqlite3_column_int(q, 2) == WH_RUN_DISCARDED || *to)
            continue;
        if ((st = wh_db_text(a, q, 0, to)) != WH_OK) {
            sqlite3_reset(q);
            return wh_fail(reterr, st, "E8002", "no memory to look for a run");
        }
    }
    if (st != WH_END)
        return st;
    *ret_unfinished = found[0];
    *ret_finished = found[1];
    return WH_OK;
}

/* Pages by created time so that the callback may use the store. */
int wh_state_runs(struct wh_state *s, const char *job, const char *identity, bool unfinished_only,
                  wh_run_fn each, void *arg, struct wh_error *reterr)
{
    struct wh_arena *a WH_CLEANUP(wh_arena_freep) = wh_arena_new(64 << 20);
    int64_t before = INT64_MAX;
    const char *last = "~";
    int st = a ? WH_OK : wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory to list runs");
    while (st == WH_OK) {
        struct wh_run_record r;
        {
            WH_DB_GUARD(s);
            sqlite3_stmt *q;
            st = wh_db_query(s, &q, reterr,
                             "select " RUN_COLUMNS " from run where"
                             " (created_us < ?1 or (created_us = ?1 and run < ?2))"
                             " and (?3 is null or job = ?3) and (?4 is null or identity = ?4)"
                             " and (?5 = 0 or (finished = 0 and state < 7))"
                             " order by created_us desc, run desc limit 1",
                             "isssn", before, last, job, identity, (int)unfinished_only);
            if (st == WH_OK)
                st = wh_db_step(s, q, reterr);
            if (st == WH_OK) {
                st = read_run(a, q, &r);
                sqlite3_reset(q);
                if (st == WH_OK)
                    st = count_units(s, &r, reterr);
            }
        }
        if (st != WH_OK)
            break;
        before = r.created_us;
        last = r.run;
        st = each(arg, &r);
    }
    return st == WH_END ? WH_OK : st;
}

/* ---- ownership ---- */

static int lock_path(const struct wh_state *s, const char *run, uint32_t epoch, char *out, size_t n)
{
    return snprintf(out, n, "%s/locks/%s.e%u", s->dir, run, epoch) < (int)n ? WH_OK : WH_E_LIMIT;
}

/* 1 = its lock file is held, 0 = it is not (the process is gone), on this host. */
static int lock_held(const struct wh_state *s, const char *run, uint32_t epoch)
{
    char path[4352];
    if (lock_path(s, run, epoch, path, sizeof(path)) != WH_OK)
        return 0;
    for (struct wh_lock_file *l = s->locks; l; l = l->next)
        if (l->epoch == epoch && strcmp(l->run, run) == 0)
            return 1;
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return 0;
    int held = flock(fd, LOCK_SH | LOCK_NB) != 0; /* two that look do not see each other */
    close(fd);
    return held;
}

int wh_state_run_alive(struct wh_state *s, const struct wh_run_record *r, int64_t stale_ms)
{
    char host[128];
    bool stale = wh_wall_us() - r->beat_us > stale_ms * 1000;
    if (r->epoch == 0 || stale)
        return 0;
    if (r->host && strcmp(r->host, host_name(host)) == 0)
        return lock_held(s, r->run, r->epoch);
    return -1;
}

/* "pid (name) S ...": whether a process was stopped on purpose; one that cannot be seen was not. */
static bool is_stopped(int64_t pid)
{
    char path[64], text[512];
    snprintf(path, sizeof(path), "/proc/%" PRId64 "/stat", pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, text, sizeof(text) - 1) : -1;
    if (fd >= 0)
        close(fd);
    text[n > 0 ? n : 0] = 0;
    const char *p = strrchr(text, ')');
    return p && p[1] == ' ' && (p[2] == 'T' || p[2] == 't');
}

bool wh_state_run_there(struct wh_state *s, const struct wh_run_record *r)
{
    char host[128];
    return r->epoch && r->host && strcmp(r->host, host_name(host)) == 0 &&
           lock_held(s, r->run, r->epoch) > 0 && !is_stopped(r->pid);
}

static int take_lock(struct wh_state *s, const char *run, uint32_t epoch, struct wh_error *reterr)
{
    char path[4352];
    snprintf(path, sizeof(path), "%s/locks", s->dir);
    if (mkdir(path, 0700) != 0 && errno != EEXIST)
        return wh_fail_errno(reterr, errno, "E7014", "cannot make %s", path);
    WH_TRY(lock_path(s, run, epoch, path, sizeof(path)));
    struct wh_lock_file *l = wh_calloc(1, sizeof(*l));
    if (!l)
        return wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory for a lock");
    l->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (l->fd < 0 || flock(l->fd, LOCK_EX | LOCK_NB) != 0) {
        int st = wh_fail_errno(reterr, errno, "E7014", "cannot lock %s", path);
        if (l->fd >= 0)
            close(l->fd);
        wh_free(l);
        return st;
    }
    snprintf(l->run, sizeof(l->run), "%s", run);
    l->epoch = epoch;
    l->next = s->locks;
    s->locks = l;
    return WH_OK;
}

static void drop_lock(struct wh_state *s, const char *run, uint32_t epoch)
{
    char path[4352];
    for (struct wh_lock_file **l = &s->locks; *l; l = &(*l)->next)
        if ((*l)->epoch == epoch && strcmp((*l)->run, run) == 0) {
            struct wh_lock_file *gone = *l;
            *l = gone->next;
            if (lock_path(s, run, epoch, path, sizeof(path)) == WH_OK)
                unlink(path);
            close(gone->fd);
            wh_free(gone);
            return;
        }
}

/* What an owner that died left: nobody asks for its epoch any more. */
static void forget_lock(const struct wh_state *s, const char *run, uint32_t epoch)
{
    char path[4352];

    if (epoch && lock_path(s, run, epoch, path, sizeof(path)) == WH_OK)
        unlink(path);
}

/* Files of owners that were killed behind the end of their runs, which nobody will claim again. A
 * file that nobody locks says the same as none; they are made and locked under the state's write
 * lock alone, which is held here. */
static void sweep_locks(const struct wh_state *s)
{
    char path[4096];
    int left = SWEEP_MOST;

    snprintf(path, sizeof path, "%s/locks", s->dir);
    DIR *d = opendir(path);
    for (struct dirent *e; d && left > 0 && (e = readdir(d)) != NULL;) {
        int fd = e->d_name[0] == '.' ? -1 : openat(dirfd(d), e->d_name, O_RDWR | O_CLOEXEC);

        if (fd < 0)
            continue;
        left--;
        if (flock(fd, LOCK_EX | LOCK_NB) == 0)
            unlinkat(dirfd(d), e->d_name, 0);
        close(fd);
    }
    if (d)
        closedir(d);
}

static int claim_in_transaction(struct wh_state *s, const char *run, int64_t stale_ms,
                                struct wh_arena *a, uint32_t *ret_epoch, struct wh_error *reterr)
{
    sqlite3_stmt *q;
    struct wh_run_record r;
    char host[128], since[32];
    WH_TRY(wh_db_query(s, &q, reterr,
                       "select state, epoch, started_us, pid, beat_us, host from run where run = ?",
                       "s", run));
    int st = wh_db_step(s, q, reterr);
    if (st == WH_END)
        return wh_fail(reterr, WH_E_NOT_FOUND, "E7007", "the state has no run %s", run);
    WH_TRY(st);
    r = (struct wh_run_record){.run = run,
                               .state = (enum wh_run_state)sqlite3_column_int(q, 0),
                               .epoch = (uint32_t)sqlite3_column_int64(q, 1),
                               .started_us = sqlite3_column_int64(q, 2),
                               .pid = sqlite3_column_int64(q, 3),
                               .beat_us = sqlite3_column_int64(q, 4)};
    st = wh_db_text(a, q, 5, &r.host);
    sqlite3_reset(q);
    WH_TRY(st);
    if (r.state >= WH_RUN_CLOSED)
        return wh_fail(reterr, WH_E_STATE, "E7013", "run %s is %s: nothing is left to do", run,
                       wh_run_state_name(r.state));
    if (wh_state_run_alive(s, &r, stale_ms) != 0) {
        wh_format_utc(r.started_us, since);
        st = wh_fail(reterr, WH_HELD_BY, "E7006",
                     "run %s is being carried out by process %" PRId64 " on %s since %s", run,
                     r.pid, r.host ? r.host : "?", since);
        wh_error_hint(reterr, "wherry status %s shows it; --lock-wait 10m waits for its end", run);
        return st;
    }
    sweep_locks(s);
    WH_TRY(take_lock(s, run, r.epoch + 1, reterr));
    int64_t now = wh_wall_us();
    st = wh_db_run(s, NULL, reterr,
                   "update run set epoch = epoch + 1, host = ?2, pid = ?3, beat_us = ?4,"
                   " started_us = ?4, cancel = 0, state = case when state = ?5 then ?5"
                   " else state end where run = ?1",
                   "ssiin", run, host_name(host), (int64_t)getpid(), now, (int)WH_RUN_CLOSING);
    if (st != WH_OK) {
        drop_lock(s, run, r.epoch + 1);
        return st;
    }
    *ret_epoch = r.epoch + 1;
    return WH_OK;
}

int wh_state_run_claim(struct wh_state *s, const char *run, int64_t stale_ms, uint32_t *ret_epoch,
                       struct wh_error *reterr)
{
    WH_DB_GUARD(s);
    struct wh_arena *a WH_CLEANUP(wh_arena_freep) = wh_arena_new(16 << 20);
    if (!a)
        return wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory to claim a run");
    uint32_t epoch = 0;
    WH_TRY(wh_db_begin(s, NULL, 0, reterr));
    int st = wh_db_end(s, claim_in_transaction(s, run, stale_ms, a, &epoch, reterr), reterr);
    if (st == WH_OK) {
        *ret_epoch = epoch;
        forget_lock(s, run, epoch - 1);
    } else if (epoch) {
        drop_lock(s, run, epoch);
    }
    return st;
}

void wh_state_run_unclaim(struct wh_state *s, const char *run, uint32_t epoch)
{
    WH_DB_GUARD(s);
    drop_lock(s, run, epoch);
}

/* ---- changes ---- */

int wh_state_run_set(struct wh_state *s, const char *run, uint32_t epoch, enum wh_run_state to,
                     struct wh_error *reterr)
{
    WH_DB_GUARD(s);
    WH_TRY(wh_db_begin(s, run, epoch, reterr));
    int from = s->run_state;
    int st =
        wh_db_run(s, NULL, reterr, "update run set state = ? where run = ?", "ns", (int)to, run);
    st = wh_db_end(s, st, reterr);
    if (st == WH_OK && from != (int)to)
        wh_transition("run", run, wh_run_state_name((enum wh_run_state)from),
                      wh_run_state_name(to));
    return st;
}

int wh_state_run_beat(struct wh_state *s, const char *run, uint32_t epoch, struct wh_arena *a,
                      const char **ret_limits, int *ret_cancel, struct wh_error *reterr)
{
    WH_DB_GUARD(s);
    WH_TRY(wh_db_begin(s, run, epoch, reterr));
    int st = wh_db_run(s, NULL, reterr, "update run set beat_us = ? where run = ?", "is",
                       wh_wall_us(), run);
    sqlite3_stmt *q;
    if (st == WH_OK)
        st = wh_db_query(s, &q, reterr, "select limits, cancel from run where run = ?", "s", run);
    if (st == WH_OK)
        st = wh_db_step(s, q, reterr);
    if (st == WH_OK) {
        if (ret_cancel)
            *ret_cancel = sqlite3_column_int(q, 1);
        if (a && ret_limits)
            st = wh_db_text(a, q, 0, ret_limits);
        sqlite3_reset(q);
    }
    return wh_db_end(s, st, reterr);
}

/* ---- the report of its end ---- */

struct pieces {
    struct wh_state *s;
    const char *run;
    int kind, status;
    int64_t n;
    struct wh_error *reterr;
};

static void put_piece(struct pieces *p, const char *text, size_t n)
{
    if (p->status != WH_OK || n == 0)
        return;
    p->status = wh_db_run(p->s, NULL, p->reterr,
                          "insert into report(run, kind, n, piece) values (?,?,?,cast(? as text))",
                          "snib", p->run, p->kind, p->n++, (struct wh_bytes){text, n});
}

static void drain(void *arg, struct wh_buf *b)
{
    char last = b->p[b->n - 1];

    put_piece(arg, b->p, b->n - 1);
    wh_buf_clear(b);
    wh_ignore(wh_buf_addc(b, last));
}

/* What cannot be made is left out: the run has ended all the same. */
static int put_report(struct wh_state *s, const struct wh_run_record *r, struct wh_error *reterr)
{
    int st;

    if (!r->report)
        return WH_OK; /* what was told before stays */
    st = wh_db_run(s, NULL, reterr, "delete from report where run = ?", "s", r->run);
    for (int kind = WH_REPORT_JSON; kind <= WH_REPORT_TEXT && st == WH_OK; kind++) {
        struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(64 << 20);
        struct pieces p = {s, r->run, kind, WH_OK, 0, reterr};

        wh_ignore((kind == WH_REPORT_JSON ? r->report->json : r->report->text)(r->report->arg, &b,
                                                                               drain, &p));
        put_piece(&p, b.p, b.n);
        st = p.status;
    }
    return st;
}

static struct wh_str text_of(sqlite3_stmt *q, int column)
{
    const char *text = (const char *)sqlite3_column_text(q, column);

    return (struct wh_str){text ? text : "", text ? (size_t)sqlite3_column_bytes(q, column) : 0};
}

/* Stores of before have it in one text. */
static int old_report(struct wh_state *s, const char *run, enum wh_report_kind kind,
                      wh_status (*each)(void *arg, struct wh_str piece), void *arg,
                      struct wh_error *reterr)
{
    sqlite3_stmt *q;

    WH_TRY(wh_db_query(s, &q, reterr, "select summary, report from run where run = ?", "s", run));
    int st = wh_db_step(s, q, reterr);

    if (st == WH_OK && text_of(q, kind == WH_REPORT_TEXT).n)
        st = each(arg, text_of(q, kind == WH_REPORT_TEXT));
    sqlite3_reset(q);
    return st == WH_END ? WH_OK : st;
}

int wh_state_report(struct wh_state *s, const char *run, enum wh_report_kind kind,
                    wh_status (*each)(void *arg, struct wh_str piece), void *arg,
                    struct wh_error *reterr)
{
    WH_DB_GUARD(s);
    sqlite3_stmt *q;
    bool any = false;
    int st;

    WH_TRY(wh_db_query(s, &q, reterr,
                       "select piece from report where run = ? and kind = ? order by n", "sn", run,
                       (int)kind));
    while ((st = wh_db_step(s, q, reterr)) == WH_OK) {
        any = true;
        st = each(arg, text_of(q, 0));
        if (st != WH_OK)
            break;
    }
    sqlite3_reset(q);
    if (st != WH_END)
        return st;
    return any ? WH_OK : old_report(s, run, kind, each, arg, reterr);
}

int wh_state_run_end(struct wh_state *s, const struct wh_run_record *r, uint32_t epoch,
                     struct wh_error *reterr)
{
    WH_DB_GUARD(s);
    WH_TRY(wh_db_begin(s, r->run, epoch, reterr));
    int st = wh_db_run(s, NULL, reterr,
                       "update run set exit_code = ?2, finished = ?3, snapshot = ?4,"
                       " ended_us = ?5, rows_read = ?6, rows_written = ?7,"
                       " rows_dirty = ?8, rows_filtered = ?9, rows_skipped = ?10 where run = ?1",
                       "snnsiiiiii", r->run, r->exit_code, (int)r->finished, r->snapshot,
                       r->ended_us ? r->ended_us : wh_wall_us(), r->rows_read, r->rows_written,
                       r->rows_dirty, r->rows_filtered, r->rows_skipped);
    if (st == WH_OK)
        st = put_report(s, r, reterr);
    st = wh_db_end(s, st, reterr);
    if (st == WH_OK && r->finished && !lock_held(s, r->run, epoch))
        forget_lock(s, r->run, epoch);
    return st;
}

/* One column of a run that another process may be carrying out: no epoch to check. */
#define SET_COLUMN(s, run, sql, format, ...)                                                       \
    do {                                                                                           \
        WH_DB_GUARD(s);                                                                            \
        int64_t n_ = 0;                                                                            \
        WH_TRY(wh_db_begin(s, NULL, 0, reterr));                                                   \
        int st_ = wh_db_run(s, &n_, reterr, sql, format, __VA_ARGS__, run);                        \
        if (st_ == WH_OK && n_ == 0)                                                               \
            st_ = wh_fail(reterr, WH_E_NOT_FOUND, "E7007", "the state has no run %s", run);        \
        return wh_db_end(s, st_, reterr);                                                          \
    } while (0)

int wh_state_run_limit(struct wh_state *s, const char *run, const char *limits_json,
                       struct wh_error *reterr)
{
    SET_COLUMN(s, run, "update run set limits = ? where run = ?", "ss", limits_json);
}

int wh_state_run_cancel(struct wh_state *s, const char *run, bool discard, struct wh_error *reterr)
{
    SET_COLUMN(s, run, "update run set cancel = ? where run = ?", "ns", discard ? 2 : 1);
}

int wh_state_run_snapshot(struct wh_state *s, const char *run, uint32_t epoch, const char *snapshot,
                          struct wh_error *reterr)
{
    WH_DB_GUARD(s);
    WH_TRY(wh_db_begin(s, run, epoch, reterr));
    return wh_db_end(s,
                     wh_db_run(s, NULL, reterr, "update run set snapshot = ? where run = ?", "ss",
                               snapshot, run),
                     reterr);
}

int wh_state_snapshot_put(struct wh_state *s, const char *run, uint32_t epoch,
                          const struct wh_snapshot_record *r, struct wh_error *reterr)
{
    WH_DB_GUARD(s);
    WH_TRY(wh_db_begin(s, run, epoch, reterr));
    int st = wh_db_run(s, NULL, reterr,
                       "insert or replace into snapshot(run, endpoint, kind, instants, token, what,"
                       " provable, taken_us) values (?,?,?,?,?,?,?,?)",
                       "snnnbsni", run, r->endpoint, r->kind, r->instants, r->token, r->what,
                       (int)r->unchanged_provable, r->taken_us ? r->taken_us : wh_wall_us());
    return wh_db_end(s, st, reterr);
}

int wh_state_snapshots(struct wh_state *s, const char *run, struct wh_arena *a,
                       struct wh_snapshot_record **ret, size_t *ret_n, struct wh_error *reterr)
{
    WH_DB_GUARD(s);
    enum {
        MOST = 1024
    };
    struct wh_snapshot_record *v = wh_arena_alloc(a, MOST * sizeof(*v));
    sqlite3_stmt *q;
    size_t n = 0;
    if (!v)
        return wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory for snapshots");
    WH_TRY(wh_db_query(s, &q, reterr,
                       "select endpoint, kind, instants, token, what, provable, taken_us"
                       " from snapshot where run = ? order by endpoint",
                       "s", run));
    int st;
    while ((st = wh_db_step(s, q, reterr)) == WH_OK && n < MOST) {
        struct wh_snapshot_record *r = &v[n++];
        r->endpoint = sqlite3_column_int(q, 0);
        r->kind = sqlite3_column_int(q, 1);
        r->instants = sqlite3_column_int(q, 2);
        r->unchanged_provable = sqlite3_column_int(q, 5);
        r->taken_us = sqlite3_column_int64(q, 6);
        st = wh_db_blob(a, q, 3, &r->token);
        if (st == WH_OK)
            st = wh_db_text(a, q, 4, &r->what);
        if (st != WH_OK) {
            sqlite3_reset(q);
            return wh_fail(reterr, st, "E8002", "no memory for snapshots");
        }
    }
    if (st != WH_END)
        return st;
    *ret = v;
    *ret_n = n;
    return WH_OK;
}

/* ---- housekeeping ---- */

static void remove_archive(const struct wh_state *s, const char *run)
{
    char path[4352];
    snprintf(path, sizeof(path), "%s/dirty/%s", s->dir, run);
    unlink(path); /* a folder is emptied by the engine's gc; an empty one goes here */
    rmdir(path);
}

int wh_state_gc(struct wh_state *s, int64_t older_than_us, bool dry_run, int64_t *ret_runs,
                struct wh_error *reterr)
{
    WH_DB_GUARD(s);
    struct wh_arena *a WH_CLEANUP(wh_arena_freep) = wh_arena_new(16 << 20);
    sqlite3_stmt *q;
    int64_t n = 0;
    if (!a)
        return wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory to collect old runs");
    for (;;) {
        const char *run = NULL;
        WH_TRY(wh_db_query(s, &q, reterr,
                           "select run from run where finished = 1 and state >= ?"
                           " and ended_us < ? order by run limit 1 offset ?",
                           "nii", (int)WH_RUN_CLOSED, older_than_us, dry_run ? n : (int64_t)0));
        int st = wh_db_step(s, q, reterr);
        if (st == WH_END)
            break;
        WH_TRY(st);
        st = wh_db_text(a, q, 0, &run);
        sqlite3_reset(q);
        WH_TRY(st);
        n++;
        if (dry_run)
            continue;
        WH_TRY(wh_db_begin(s, NULL, 0, reterr));
        st = wh_db_run(s, NULL, reterr, "delete from unit where run = ?", "s", run);
        if (st == WH_OK)
            st = wh_db_run(s, NULL, reterr, "delete from step where run = ?", "s", run);
        if (st == WH_OK)
            st = wh_db_run(s, NULL, reterr, "delete from phase where run = ?", "s", run);
        if (st == WH_OK)
            st = wh_db_run(s, NULL, reterr, "delete from flow where run = ?", "s", run);
        if (st == WH_OK)
            st = wh_db_run(s, NULL, reterr, "delete from snapshot where run = ?", "s", run);
        if (st == WH_OK)
            st = wh_db_run(s, NULL, reterr, "delete from target where run = ?", "s", run);
        if (st == WH_OK)
            st = wh_db_run(s, NULL, reterr, "delete from report where run = ?", "s", run);
        if (st == WH_OK)
            st = wh_db_run(s, NULL, reterr, "delete from run where run = ?", "s", run);
        WH_TRY(wh_db_end(s, st, reterr));
        remove_archive(s, run);
    }
    *ret_runs = n;
    return WH_OK;
}
