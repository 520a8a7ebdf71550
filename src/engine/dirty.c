/* SPDX-License-Identifier: Apache-2.0 */
/* The archive of dirty rows: one file of JSON lines per attempt, durable before its unit commits,
 * counted when that attempt wins. Folder dirty/<run>/ in the state's folder, or any folder of a
 * files connection (`dirty.archive`); for the owner only.
 */
#include "engine/archive.h"
#include "engine/runtime.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    LINE_MOST = 64 << 20,
    RAW_MOST = 16 << 20, /* of a row that is no row yet: its beginning tells which it was */
    FLUSH_AT = 64 << 10,
};

struct wh_dirty {
    pthread_mutex_t mutex;
    char folder[400], path[480];
    const char *run, *stream, *table;
    int64_t unit;
    int32_t attempt;
    int fd;
    struct wh_buf line, cell;
    const struct wh_objref *ref; /* NULL: the state's folder */
    struct wh_archive *outside;
    char name[WH_ARCHIVE_NAME_MAX]; /* there */
    bool finished;
};

void wh_dirty_name(const struct wh_dirty_of *of, char *out)
{
    snprintf(out, WH_DIRTY_NAME_MAX, "f%d.g%u.u%lld.a%d.jsonl", of->flow, of->generation,
             (long long)of->unit, of->attempt);
}

int wh_dirty_new(const char *state_dir, const struct wh_dirty_of *of, const char *stream,
                 const char *table, struct wh_dirty **ret, struct wh_error *reterr)
{
    char name[WH_DIRTY_NAME_MAX];
    struct wh_dirty *d = wh_calloc(1, sizeof *d);

    if (!d)
        return wh_fail(reterr, WH_E_NOMEM, "E8002", "archive of dirty rows");
    pthread_mutex_init(&d->mutex, NULL);
    d->fd = -1;
    d->line = WH_BUF(LINE_MOST);
    d->cell = WH_BUF(LINE_MOST);
    d->run = of->run;
    d->stream = stream;
    d->table = table;
    d->unit = of->unit;
    d->attempt = of->attempt;
    wh_dirty_name(of, name);
    snprintf(d->folder, sizeof d->folder, "%s/dirty/%s", state_dir, of->run);
    snprintf(d->path, sizeof d->path, "%s/%s", d->folder, name);
    *ret = d;
    return WH_OK;
}

void wh_dirty_outside(struct wh_dirty *d, const struct wh_objref *ref)
{
    d->ref = ref && ref->connector ? ref : NULL;
}

static int sync_folder(const char *path, struct wh_error *reterr)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int st = WH_OK;

    if (fd < 0 || fsync(fd))
        st = wh_fail_errno(reterr, errno, "E6015", "cannot sync %s", path);
    if (fd >= 0)
        close(fd);
    return st;
}

/* One that is new is in its parent for good. */
static int make_folder(const char *parent, const char *path, struct wh_error *reterr)
{
    if (mkdir(path, 0700) == 0)
        return sync_folder(parent, reterr);
    return errno == EEXIST ? WH_OK : wh_fail_errno(reterr, errno, "E6015", "cannot make %s", path);
}

static int outside_open(struct wh_dirty *d, struct wh_error *reterr)
{
    if (d->outside)
        return d->finished ? wh_fail(reterr, WH_E_BUG, "E9003", "a row for a finished archive")
                           : WH_OK;
    wh_archive_name(d->run, strrchr(d->path, '/') + 1, d->name);
    WH_TRY(wh_archive_open(d->ref, &d->outside, reterr));
    int st = wh_archive_put_open(d->outside, d->name, reterr);

    if (st != WH_OK) {
        wh_archive_close(d->outside);
        d->outside = NULL;
    }
    return st;
}

static void up(const char *path, char out[400])
{
    const char *slash = strrchr(path, '/');

    snprintf(out, 400, "%.*s", slash ? (int)(slash - path) : 0, path);
}

static int archive_open(struct wh_dirty *d, struct wh_error *reterr)
{
    char parent[sizeof d->folder], state[sizeof d->folder];

    if (d->ref)
        return outside_open(d, reterr);
    if (d->fd >= 0)
        return WH_OK;
    up(d->folder, parent);
    up(parent, state);
    WH_TRY(make_folder(state, parent, reterr));
    WH_TRY(make_folder(parent, d->folder, reterr));
    d->fd = open(d->path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
    return d->fd >= 0 ? WH_OK : wh_fail_errno(reterr, errno, "E6015", "cannot make %s", d->path);
}

static int archive_flush(struct wh_dirty *d, struct wh_error *reterr)
{
    size_t at = 0;

    if (d->outside) {
        WH_TRY(wh_archive_put(d->outside, d->line.p, d->line.n, reterr));
        wh_buf_clear(&d->line);
        return WH_OK;
    }
    while (at < d->line.n) {
        ssize_t n = write(d->fd, d->line.p + at, d->line.n - at);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return wh_fail_errno(reterr, errno, "E6015", "cannot write %s", d->path);
        at += (size_t)n;
    }
    wh_buf_clear(&d->line);
    return WH_OK;
}

static int add_base64(struct wh_buf *b, const uint8_t *p, size_t n)
{
    static const char digit[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    for (size_t i = 0; i < n; i += 3) {
        uint32_t v = (uint32_t)p[i] << 16;
        char out[4];

        if (i + 1 < n)
            v |= (uint32_t)p[i + 1] << 8;
        if (i + 2 < n)
            v |= p[i + 2];
        for (int k = 0; k < 4; k++)
            out[k] = digit[v >> (18 - 6 * k) & 63];
        if (i + 2 >= n)
            out[3] = '=';
        if (i + 1 >= n)
            out[2] = '=';
        WH_TRY(wh_buf_add(b, out, 4));
    }
    return WH_OK;
}

static int add_text(struct wh_buf *b, const char *key, const char *text)
{
    WH_TRY(wh_buf_printf(b, ",\"%s\":", key));
    return text ? wh_buf_json(b, text, strlen(text)) : wh_buf_adds(b, "null");
}

/* "infinity" where the column's least and greatest value stand for it; NULL: it is none. */
static const char *infinite_text(const struct wh_dirty_row *row, int64_t i)
{
    const struct wh_flow *f = row->flow;
    const struct wh_view *v = &row->views[i];
    bool kept =
        f && (row->columns == &f->tgt.accept ? f->columns[i].infinite
                                             : f->infinite && f->infinite[i] == WH_INFINITE_KEEP);

    if (!kept || (v->type.kind != WH_K_DATE32 && v->type.kind != WH_K_TIMESTAMP))
        return NULL;
    int64_t most = v->type.kind == WH_K_DATE32 ? INT32_MAX : INT64_MAX;
    int64_t n = wh_view_i64(v, row->row);

    return n == most ? "infinity" : n == -most - 1 ? "-infinity" : NULL;
}

/* All values as canonical text; null stays null. */
static int add_values(struct wh_dirty *d, const struct wh_dirty_row *row)
{
    struct wh_buf *b = &d->line;

    WH_TRY(wh_buf_adds(b, ",\"row\":{"));
    for (int64_t i = 0; i < row->columns->n_children; i++) {
        const char *name = row->columns->children[i]->name;

        if (i)
            WH_TRY(wh_buf_addc(b, ','));
        WH_TRY(wh_buf_json(b, name, strlen(name)));
        WH_TRY(wh_buf_addc(b, ':'));
        if (wh_view_null(&row->views[i], row->row)) {
            WH_TRY(wh_buf_adds(b, "null"));
            continue;
        }
        const char *infinite = infinite_text(row, i);

        wh_buf_clear(&d->cell);
        WH_TRY(infinite ? wh_buf_adds(&d->cell, infinite)
                        : wh_view_text(&row->views[i], row->row, &d->cell));
        WH_TRY(wh_buf_json(b, d->cell.n ? d->cell.p : "", d->cell.n));
    }
    return wh_buf_addc(b, '}');
}

static int add_line(struct wh_dirty *d, const struct wh_dirty_row *row)
{
    struct wh_buf *b = &d->line;

    WH_TRY(wh_buf_adds(b, "{\"run\":"));
    WH_TRY(wh_buf_json(b, d->run, strlen(d->run)));
    WH_TRY(add_text(b, "stream", d->stream));
    WH_TRY(add_text(b, "table", d->table));
    WH_TRY(wh_buf_printf(b, ",\"unit\":%lld,\"attempt\":%d", (long long)d->unit, d->attempt));
    WH_TRY(add_text(b, "position", row->position));
    WH_TRY(add_text(b, "column", row->column));
    WH_TRY(add_text(b, "code", row->code));
    WH_TRY(add_text(b, "text", row->text));
    if (row->columns) {
        bool mapped = row->flow && row->columns == &row->flow->tgt.accept;

        WH_TRY(add_text(b, "side", mapped ? "to" : "from"));
        WH_TRY(add_values(d, row));
    } else {
        size_t n = row->raw.n < RAW_MOST ? row->raw.n : RAW_MOST;

        WH_TRY(wh_buf_adds(b, ",\"raw\":\""));
        WH_TRY(add_base64(b, row->raw.p, n));
        WH_TRY(wh_buf_addc(b, '"'));
        if (n < row->raw.n || row->raw_of > (int64_t)n)
            WH_TRY(wh_buf_printf(b, ",\"raw_cut_from\":%lld",
                                 row->raw_of > (int64_t)row->raw.n ? (long long)row->raw_of
                                                                   : (long long)row->raw.n));
    }
    return wh_buf_adds(b, "}\n");
}

int wh_dirty_add(struct wh_dirty *d, const struct wh_dirty_row *row, struct wh_error *reterr)
{
    size_t from;
    int st;

    pthread_mutex_lock(&d->mutex);
    from = d->line.n;
    st = archive_open(d, reterr);
    if (st == WH_OK && (st = add_line(d, row)) != WH_OK) {
        d->line.n = from;
        st = wh_fail(reterr, st, "E6015", "a dirty row could not be written down");
    }
    if (st == WH_OK && d->line.n >= FLUSH_AT)
        st = archive_flush(d, reterr);
    pthread_mutex_unlock(&d->mutex);
    return st;
}

int wh_dirty_durable(struct wh_dirty *d, struct wh_error *reterr)
{
    int st = WH_OK;

    if (!d)
        return WH_OK;
    pthread_mutex_lock(&d->mutex);
    if (d->outside && !d->finished) {
        st = archive_flush(d, reterr);
        if (st == WH_OK)
            st = wh_archive_put_finish(d->outside, reterr);
        d->finished = st == WH_OK;
    } else if (d->fd >= 0) {
        st = archive_flush(d, reterr);
        if (st == WH_OK && fsync(d->fd))
            st = wh_fail_errno(reterr, errno, "E6015", "cannot sync %s", d->path);
        if (st == WH_OK)
            st = sync_folder(d->folder, reterr);
    }
    pthread_mutex_unlock(&d->mutex);
    return st;
}

void wh_dirty_close(struct wh_dirty *d, bool keep)
{
    if (!d)
        return;
    /* The table ended before any commit made it durable. */
    if (keep && (d->outside ? !d->finished : d->fd >= 0 && d->line.n))
        wh_ignore(wh_dirty_durable(d, NULL));
    if (d->outside && !keep && d->finished)
        wh_ignore(wh_archive_remove(d->outside, d->name, NULL));
    wh_archive_close(d->outside); /* throws away what is not finished */
    if (d->fd >= 0) {
        close(d->fd);
        if (!keep)
            unlink(d->path);
    }
    wh_buf_free(&d->line);
    wh_buf_free(&d->cell);
    pthread_mutex_destroy(&d->mutex);
    wh_free(d);
}

/* Only a killed process leaves something: whoever ends an attempt takes its file away. */
static void sweep_outside(const struct wh_objref *ref, const struct wh_dirty_of *last,
                          int32_t winner)
{
    char name[WH_DIRTY_NAME_MAX], full[WH_ARCHIVE_NAME_MAX];
    struct wh_archive *a = NULL;
    struct wh_error err;

    if (last->attempt < 2 || wh_archive_open(ref, &a, &err) != WH_OK)
        return;
    for (struct wh_dirty_of of = *last; of.attempt > 0; of.attempt--) {
        wh_dirty_name(&of, name);
        wh_archive_name(of.run, name, full);
        if (of.attempt != winner)
            wh_ignore(wh_archive_remove(a, full, &err));
    }
    wh_archive_close(a);
}

void wh_dirty_sweep(const char *state_dir, const struct wh_objref *ref,
                    const struct wh_dirty_of *last, int32_t winner)
{
    char name[WH_DIRTY_NAME_MAX], path[4300];

    if (ref && ref->connector) {
        sweep_outside(ref, last, winner);
        return;
    }
    for (struct wh_dirty_of of = *last; of.attempt > 0; of.attempt--) {
        if (of.attempt == winner)
            continue;
        wh_dirty_name(&of, name);
        snprintf(path, sizeof path, "%s/dirty/%s/%s", state_dir, of.run, name);
        unlink(path);
    }
}

/* ---- a generation that was begun anew ---------------------------------------------------------
 */

struct listed {
    const char *begin; /* "f0.g1." behind what stands before it in that place */
    struct wh_buf names;
};

static wh_status list_begun(void *arg, const char *name, bool temporary, int64_t size)
{
    struct listed *l = arg;

    (void)temporary;
    (void)size;
    return strncmp(name, l->begin, strlen(l->begin)) == 0
               ? wh_buf_add(&l->names, name, strlen(name) + 1)
               : WH_OK;
}

static void drop_outside(const struct wh_objref *ref, const char *run, const char *begin)
{
    char full[WH_ARCHIVE_NAME_MAX];
    struct listed l = {.begin = full, .names = WH_BUF(64 << 20)};
    struct wh_archive *a = NULL;
    struct wh_error err;

    wh_archive_name(run, begin, full);
    if (wh_archive_open(ref, &a, &err) == WH_OK &&
        wh_archive_list(a, run, list_begun, &l, &err) == WH_OK)
        for (size_t at = 0; at < l.names.n; at += strlen(l.names.p + at) + 1)
            wh_ignore(wh_archive_remove(a, l.names.p + at, &err));
    wh_archive_close(a);
    wh_buf_free(&l.names);
}

void wh_dirty_drop_generation(const char *state_dir, const struct wh_objref *ref,
                              const struct wh_dirty_of *of)
{
    char begin[WH_DIRTY_NAME_MAX], folder[4200];
    const struct dirent *e;

    snprintf(begin, sizeof begin, "f%d.g%u.", of->flow, of->generation);
    if (ref && ref->connector) {
        drop_outside(ref, of->run, begin);
        return;
    }
    snprintf(folder, sizeof folder, "%s/dirty/%s", state_dir, of->run);
    DIR *d = opendir(folder);
    while (d && (e = readdir(d)))
        if (strncmp(e->d_name, begin, strlen(begin)) == 0)
            unlinkat(dirfd(d), e->d_name, 0);
    if (d)
        closedir(d);
}
