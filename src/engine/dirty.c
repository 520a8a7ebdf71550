/* SPDX-License-Identifier: Apache-2.0 */
/* The archive of dirty rows: one file of JSON lines per attempt, durable before its unit commits,
 * counted when that attempt wins. Folder dirty/<run>/ in the state's folder, for the owner only.
 */
#include "engine/runtime.h"

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
};

int wh_dirty_new(const char *state_dir, const char *run, const char *stream, const char *table,
                 int flow, int64_t unit, int32_t attempt, struct wh_dirty **ret,
                 struct wh_error *reterr)
{
    struct wh_dirty *d = wh_calloc(1, sizeof *d);

    if (!d)
        return wh_fail(reterr, WH_E_NOMEM, "E8002", "archive of dirty rows");
    pthread_mutex_init(&d->mutex, NULL);
    d->fd = -1;
    d->line = WH_BUF(LINE_MOST);
    d->cell = WH_BUF(LINE_MOST);
    d->run = run;
    d->stream = stream;
    d->table = table;
    d->unit = unit;
    d->attempt = attempt;
    snprintf(d->folder, sizeof d->folder, "%s/dirty/%s", state_dir, run);
    snprintf(d->path, sizeof d->path, "%s/f%d.u%lld.a%d.jsonl", d->folder, flow, (long long)unit,
             attempt);
    *ret = d;
    return WH_OK;
}

static int make_folder(const char *path, struct wh_error *reterr)
{
    if (mkdir(path, 0700) == 0 || errno == EEXIST)
        return WH_OK;
    return wh_fail_errno(reterr, errno, "E6015", "cannot make %s", path);
}

static int archive_open(struct wh_dirty *d, struct wh_error *reterr)
{
    char parent[sizeof d->folder];
    char *slash;

    if (d->fd >= 0)
        return WH_OK;
    memcpy(parent, d->folder, sizeof parent);
    slash = strrchr(parent, '/');
    if (slash)
        *slash = 0;
    WH_TRY(make_folder(parent, reterr));
    WH_TRY(make_folder(d->folder, reterr));
    d->fd = open(d->path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
    return d->fd >= 0 ? WH_OK : wh_fail_errno(reterr, errno, "E6015", "cannot make %s", d->path);
}

static int archive_flush(struct wh_dirty *d, struct wh_error *reterr)
{
    size_t at = 0;

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
        if (n < row->raw.n)
            WH_TRY(wh_buf_printf(b, ",\"raw_cut_from\":%zu", row->raw.n));
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

int wh_dirty_durable(struct wh_dirty *d, struct wh_error *reterr)
{
    int st = WH_OK;

    if (!d)
        return WH_OK;
    pthread_mutex_lock(&d->mutex);
    if (d->fd >= 0) {
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
    if (keep && d->fd >= 0 && d->line.n) /* the table ended before any commit made it durable */
        wh_ignore(wh_dirty_durable(d, NULL));
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

void wh_dirty_sweep(const char *state_dir, const char *run, int flow, int64_t unit,
                    int32_t last_attempt, int32_t winner)
{
    char path[480];

    for (int32_t a = 1; a <= last_attempt; a++) {
        if (a == winner)
            continue;
        snprintf(path, sizeof path, "%s/dirty/%s/f%d.u%lld.a%d.jsonl", state_dir, run, flow,
                 (long long)unit, a);
        unlink(path);
    }
}
