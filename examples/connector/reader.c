/* SPDX-License-Identifier: Apache-2.0 */
/* The source: splits are ranges of records; a reader turns one range into columns. */
#include "fixed.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    BOUNDS = PATH_MAX + 100,
    TOKEN = 64,
};

struct scan {
    struct fixed_layout layout;
    int64_t records, per_split;
    char path[PATH_MAX];
    char bounds[BOUNDS]; /* "inode size time path": what the plan freezes */
    char token[TOKEN], cursor[TOKEN];
};

/* ---- what the file was when the plan saw it
 * ------------------------------------------------------ */

static wh_status file_changed(const char *path, struct wh_error *reterr)
{
    return wh_fail(reterr, WH_E_DATA, "E4007", "'%s' is not the file that the plan saw", path);
}

static void describe(const struct stat *s, const char *path, char out[BOUNDS])
{
    snprintf(out, BOUNDS, "%llu %lld %lld.%09ld %s", (unsigned long long)s->st_ino,
             (long long)s->st_size, (long long)s->st_mtim.tv_sec, s->st_mtim.tv_nsec, path);
}

/* Opens the file and proves that it is the plan's (no bounds yet: makes them). */
static wh_status open_file(struct scan *sc, const char *path, int *ret_fd, int64_t *ret_size,
                           struct wh_error *reterr)
{
    char now[BOUNDS];
    struct stat s;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    if (fd < 0)
        return wh_fail_errno(reterr, errno, "E4001", "'%s'", path);
    int err = fstat(fd, &s) < 0 ? errno : 0;
    int st = err ? wh_fail_errno(reterr, err, "E4002", "'%s'", path) : WH_OK;

    if (st == WH_OK && !S_ISREG(s.st_mode))
        st = wh_fail(reterr, WH_E_USAGE, "E2014", "'%s' is not a file", path);
    if (st == WH_OK) {
        describe(&s, path, now);
        if (!sc->bounds[0])
            memcpy(sc->bounds, now, sizeof now);
        else if (strcmp(sc->bounds, now) != 0)
            st = file_changed(path, reterr);
    }
    if (st != WH_OK) {
        close(fd);
        return st;
    }
    *ret_fd = fd;
    *ret_size = (int64_t)s.st_size;
    return WH_OK;
}

/* ---- scan ---------------------------------------------------------------------------------------
 */

/* At a resume the plan's file is meant, wherever we are started. */
static wh_status take_path(struct scan *sc, const struct wh_scan *io, struct wh_error *reterr)
{
    const char *at;

    if (!io->bounds.n)
        return fixed_path(io->object, sc->path, reterr);
    if (io->bounds.n >= BOUNDS)
        return wh_fail(reterr, WH_E_STATE, "E7003", "the stored bounds cannot be read");
    memcpy(sc->bounds, io->bounds.p, io->bounds.n);
    at = sc->bounds;
    for (int i = 0; i < 3 && at; i++)
        at = (at = strchr(at, ' ')) ? at + 1 : NULL;
    if (!at || snprintf(sc->path, sizeof sc->path, "%s", at) >= (int)sizeof sc->path)
        return wh_fail(reterr, WH_E_STATE, "E7003", "the stored bounds cannot be read");
    return WH_OK;
}

static wh_status scan_open(void *self, void *ep, void *se, struct wh_scan *io,
                           struct ArrowSchema *ret, struct wh_error *reterr)
{
    struct scan *sc = self;
    const struct fixed_options *o = io->opts;
    int64_t size = 0;
    int fd = -1;

    WH_TRY(fixed_layout_read(&o->columns, &sc->layout, reterr));
    WH_TRY(take_path(sc, io, reterr));
    WH_TRY(open_file(sc, sc->path, &fd, &size, reterr));
    close(fd);
    if (size % sc->layout.record)
        return wh_fail(reterr, WH_E_DATA, "E4011",
                       "'%s' has %" PRId64 " bytes, not a multiple of the %" PRId64
                       " that a record has",
                       sc->path, size, sc->layout.record);
    sc->records = size / sc->layout.record;
    sc->per_split = io->unit_bytes / sc->layout.record;
    if (sc->per_split < 1)
        sc->per_split = 1;
    snprintf(io->method, sizeof io->method, "ranges of %" PRId64 " records", sc->per_split);
    io->ret_bounds = (struct wh_bytes){sc->bounds, strlen(sc->bounds)};
    io->physical = io->splittable = io->resumable = true;
    io->est_rows = sc->records;
    io->est_bytes = size;
    return fixed_schema(&sc->layout, NULL, false, ret);
}

/* A token is "first last+1", a cursor "first": texts, so that another process can read them. */
static struct wh_bytes token_of(char out[TOKEN], int64_t from, int64_t to)
{
    int n = snprintf(out, TOKEN, "%" PRId64 " %" PRId64, from, to);

    return (struct wh_bytes){out, (size_t)n};
}

static bool token_read(const struct wh_bytes *b, int64_t *from, int64_t *to)
{
    char text[TOKEN];

    if (!b || !b->n || b->n >= sizeof text)
        return false;
    memcpy(text, b->p, b->n);
    text[b->n] = 0;
    char *end = NULL;
    *from = strtoll(text, &end, 10);
    *to = strtoll(end, NULL, 10);
    return *from >= 0 && *to >= *from;
}

static wh_status split_next(void *self, void *se, const struct wh_bytes *cursor,
                            struct wh_split *ret, struct wh_bytes *ret_cursor,
                            struct wh_error *reterr)
{
    struct scan *sc = self;
    int64_t from = 0, to = 0;

    if (cursor && cursor->n && !token_read(cursor, &from, &to))
        return wh_fail(reterr, WH_E_STATE, "E7003", "the stored cursor cannot be read");
    if (from >= sc->records)
        return WH_END;
    to = from + sc->per_split < sc->records ? from + sc->per_split : sc->records;
    *ret = (struct wh_split){.token = token_of(sc->token, from, to),
                             .est_rows = to - from,
                             .est_bytes = (to - from) * sc->layout.record};
    snprintf(ret->label, sizeof ret->label, "records %" PRId64 "-%" PRId64, from + 1, to);
    *ret_cursor = token_of(sc->cursor, to, to);
    return WH_OK;
}

static void scan_close(void *self)
{
}

/* ---- one batch: one block of memory, released at once
 * ---------------------------------------------- */

struct column_out {
    uint8_t *valid;
    int64_t *numbers;
    int32_t *ends; /* n + 1 */
    char *text;
    int64_t nulls;
};

struct batch_block {
    struct ArrowArray *child, **children;
    const void **buffers;
    struct column_out *out;
};

static void release_child(struct ArrowArray *a)
{
    a->release = NULL;
}

static void release_batch(struct ArrowArray *a)
{
    free(a->private_data);
    a->release = NULL;
}

static size_t rounded(size_t n)
{
    return (n + 63) & ~(size_t)63;
}

/* Room for n rows of the layout. *ret_bytes: all of it. */
static struct batch_block *block_new(const struct fixed_layout *l, int64_t n, size_t *ret_bytes)
{
    size_t c = (size_t)l->n, rows = (size_t)n;
    size_t head =
        rounded(sizeof(struct batch_block) +
                c * (sizeof(struct ArrowArray) + sizeof(void *) * 4 + sizeof(struct column_out)) +
                sizeof(void *));
    size_t need = head + 64;

    for (int i = 0; i < l->n; i++)
        need += rounded(rows / 8 + 1) + rounded(l->v[i].is_int ? rows * 8 : (rows + 1) * 4) +
                rounded(l->v[i].is_int ? 0 : rows * (size_t)l->v[i].width);
    char *p = aligned_alloc(64, rounded(need)), *at = p + head;

    if (!p)
        return NULL;
    memset(p, 0, head);
    struct batch_block *b = (struct batch_block *)(void *)p;

    b->child = (struct ArrowArray *)(void *)(b + 1);
    b->out = (struct column_out *)(void *)(b->child + c);
    b->children = (struct ArrowArray **)(void *)(b->out + c);
    b->buffers = (const void **)(void *)(b->children + c);
    for (int i = 0; i < l->n; i++) {
        struct column_out *o = &b->out[i];

        o->valid = memset(at, 0, rows / 8 + 1);
        at += rounded(rows / 8 + 1);
        if (l->v[i].is_int) {
            o->numbers = (int64_t *)(void *)at;
            at += rounded(rows * 8);
        } else {
            o->ends = (int32_t *)(void *)at;
            o->ends[0] = 0;
            at += rounded((rows + 1) * 4);
            o->text = at;
            at += rounded(rows * (size_t)l->v[i].width);
        }
    }
    *ret_bytes = need;
    return b;
}

static void block_finish(struct batch_block *b, const struct fixed_layout *l, int64_t n,
                         struct ArrowArray *ret)
{
    for (int i = 0; i < l->n; i++) {
        const struct column_out *o = &b->out[i];
        const void **buffers = b->buffers + 1 + (size_t)i * 3;

        buffers[0] = o->nulls ? o->valid : NULL;
        buffers[1] = l->v[i].is_int ? (const void *)o->numbers : (const void *)o->ends;
        buffers[2] = o->text;
        b->child[i] = (struct ArrowArray){.length = n,
                                          .null_count = o->nulls,
                                          .n_buffers = l->v[i].is_int ? 2 : 3,
                                          .buffers = buffers,
                                          .release = release_child};
        b->children[i] = &b->child[i];
    }
    *ret = (struct ArrowArray){.length = n,
                               .n_buffers = 1,
                               .buffers = b->buffers,
                               .n_children = l->n,
                               .children = b->children,
                               .release = release_batch,
                               .private_data = b};
}

/* ---- one record
 * ------------------------------------------------------------------------------------ */

/* Bytes of a well-formed UTF-8 character, 0 if there is none. */
static int utf8_char(const unsigned char *p, int64_t n)
{
    int k = p[0] < 0x80   ? 1
            : p[0] < 0xc2 ? 0
            : p[0] < 0xe0 ? 2
            : p[0] < 0xf0 ? 3
            : p[0] < 0xf5 ? 4
                          : 0;

    if (k < 2 || k > n)
        return k > n ? 0 : k;
    for (int i = 1; i < k; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) ||
        (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f))
        return 0;
    return k;
}

static bool utf8_valid(const char *s, int64_t n)
{
    for (int64_t at = 0; at < n;) {
        int k = utf8_char((const unsigned char *)s + at, n - at);

        if (!k)
            return false;
        at += k;
    }
    return true;
}

static bool int_read(const char *s, int64_t n, int64_t *ret)
{
    char text[32], *end = NULL;

    while (n && *s == ' ')
        s++, n--;
    if (!n || n >= (int64_t)sizeof text || !(strchr("-0123456789", *s)))
        return false;
    memcpy(text, s, (size_t)n);
    text[n] = 0;
    errno = 0;
    *ret = strtoll(text, &end, 10);
    return !errno && end == text + n && end[-1] != '-';
}

/* Puts record `p` into row i. NULL: done; else why not (*ret_code, *ret_column say more). */
static const char *put_record(const struct fixed_layout *l, const char *p, struct batch_block *b,
                              int64_t i, const char **ret_code, int *ret_column)
{
    *ret_code = "E6014";
    *ret_column = -1;
    if (p[l->record - 1] != '\n')
        return "no line feed where the record ends";
    for (int k = 0; k < l->n; k++) {
        struct column_out *o = &b->out[k];
        const char *s = p + l->v[k].at;
        int64_t n = l->v[k].width;

        *ret_column = k;
        while (n && s[n - 1] == ' ')
            n--;
        *ret_code = l->v[k].is_int ? "E6006" : "E6005";
        if (l->v[k].is_int && n && !int_read(s, n, &o->numbers[i]))
            return "not an integer";
        if (!l->v[k].is_int && !utf8_valid(s, n))
            return "not UTF-8";
        if (!l->v[k].is_int) {
            memcpy(o->text + o->ends[i], s, (size_t)n);
            o->ends[i + 1] = o->ends[i] + (int32_t)n;
        } else if (!n) {
            o->numbers[i] = 0;
        }
    }
    /* Only now: a row that is given up leaves no trace. */
    for (int k = 0; k < l->n; k++) {
        const char *s = p + l->v[k].at;
        int64_t n = l->v[k].width;

        while (n && s[n - 1] == ' ')
            n--;
        if (n)
            b->out[k].valid[i / 8] |= (uint8_t)(1u << (i % 8));
        else
            b->out[k].nulls++;
    }
    return NULL;
}

/* ---- reader
 * ------------------------------------------------------------------------------------------ */

struct reader {
    struct scan *sc;
    const struct fixed_session *se;
    const struct wh_ctx *attempt;
    int fd; /* + 1 */
    int64_t begin, next, end;
    char *block; /* records [block_from, block_to) */
    int64_t block_from, block_to, block_rows;
    char rest[TOKEN], done[TOKEN];
};

static wh_status reader_open(void *self, void *scan, void *se, const struct wh_ctx *attempt,
                             const struct wh_split *split, struct ArrowSchema *ret_actual,
                             struct wh_error *reterr)
{
    struct reader *rd = self;
    int64_t size;
    int fd;

    rd->sc = scan;
    rd->se = se;
    rd->attempt = attempt;
    if (!token_read(&split->token, &rd->begin, &rd->end))
        return wh_fail(reterr, WH_E_STATE, "E7003", "the stored split cannot be read");
    rd->next = rd->begin;
    WH_TRY(open_file(rd->sc, rd->sc->path, &fd, &size, reterr));
    rd->fd = fd + 1;
    if (rd->end * rd->sc->layout.record > size)
        return file_changed(rd->sc->path, reterr);
    rd->block_rows = WH_BATCH_BYTES / rd->sc->layout.record;
    rd->block_rows = rd->block_rows < 1               ? 1
                     : rd->block_rows > WH_BATCH_ROWS ? WH_BATCH_ROWS
                                                      : rd->block_rows;
    rd->block = malloc((size_t)(rd->block_rows * rd->sc->layout.record));
    return rd->block ? WH_OK : wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory to read a file");
}

/* The block that holds record `next`. */
static wh_status fill(struct reader *rd, struct wh_error *reterr)
{
    int64_t record = rd->sc->layout.record, left = rd->end - rd->next;
    size_t want = (size_t)((left < rd->block_rows ? left : rd->block_rows) * record), got = 0;

    while (got < want) {
        ssize_t k = pread(rd->fd - 1, rd->block + got, want - got,
                          (off_t)(rd->next * record + (int64_t)got));

        if (k < 0 && errno != EINTR)
            return wh_fail_errno(reterr, errno, "E4002", "'%s'", rd->sc->path);
        if (k == 0)
            return file_changed(rd->sc->path, reterr);
        got += k > 0 ? (size_t)k : 0;
    }
    rd->block_from = rd->next;
    rd->block_to = rd->next + (int64_t)want / record;
    return WH_OK;
}

/* A record that is none of ours to judge: the engine archives and counts it. */
static wh_status reject(struct reader *rd, const char *p, int column, const char *code,
                        const char *why)
{
    char position[64];

    snprintf(position, sizeof position, "line %" PRId64, rd->next + 1);
    return rd->attempt->reject_raw(rd->attempt,
                                   (struct wh_bytes){p, (size_t)rd->sc->layout.record - 1}, 0,
                                   position, column, code, why);
}

/* A batch ends before a bad record, so that its rows are neighbours in the file. */
static wh_status reader_next(void *self, struct wh_batch *ret, struct wh_error *reterr)
{
    struct reader *rd = self;
    const struct fixed_layout *l = &rd->sc->layout;
    struct batch_block *b = NULL;
    const char *code, *why = NULL;
    size_t bytes = 0;
    int64_t n = 0, first = rd->next;
    int column, st = WH_OK;

    while (st == WH_OK && rd->next < rd->end) {
        if (atomic_load(&rd->se->interrupted))
            st = WH_LOST;
        else if (rd->next >= rd->block_to && n)
            break;
        else if (rd->next >= rd->block_to) {
            free(b); /* made for a block whose records were all bad */
            b = NULL;
            st = fill(rd, reterr);
        }
        if (st == WH_OK && !b && !(b = block_new(l, rd->block_to - rd->next, &bytes)))
            st = wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory for a batch");
        if (st != WH_OK)
            break;
        const char *p = rd->block + (rd->next - rd->block_from) * l->record;

        if (!(why = put_record(l, p, b, n, &code, &column))) {
            first = n++ ? first : rd->next;
        } else if (n) {
            break;
        } else {
            st = reject(rd, p, column, code, why);
        }
        rd->next += st == WH_OK;
    }
    if (st != WH_OK || !n) {
        free(b);
        return st == WH_OK ? WH_END : st;
    }
    block_finish(b, l, n, &ret->rows);
    ret->n_rows = n;
    ret->bytes = (int64_t)bytes;
    ret->source_bytes = n * l->record;
    ret->first = first - rd->begin;
    return WH_OK;
}

static wh_status reader_cut(void *self, struct wh_split *ret_rest, struct wh_split *ret_done,
                            struct wh_error *reterr)
{
    struct reader *rd = self;
    int64_t record = rd->sc->layout.record;

    if (rd->next >= rd->end)
        return WH_END;
    *ret_rest = (struct wh_split){.token = token_of(rd->rest, rd->next, rd->end),
                                  .est_rows = rd->end - rd->next,
                                  .est_bytes = (rd->end - rd->next) * record};
    snprintf(ret_rest->label, sizeof ret_rest->label, "records %" PRId64 "-%" PRId64, rd->next + 1,
             rd->end);
    if (ret_done)
        *ret_done = (struct wh_split){.token = token_of(rd->done, rd->begin, rd->next),
                                      .est_rows = rd->next - rd->begin,
                                      .est_bytes = (rd->next - rd->begin) * record};
    return WH_OK;
}

static void reader_close(void *self)
{
    struct reader *rd = self;

    free(rd->block);
    rd->block = NULL;
    if (rd->fd)
        close(rd->fd - 1);
    rd->fd = 0;
}

const struct wh_source_ops fixed_source_ops = {
    .size = sizeof(struct wh_source_ops),
    .sc_size = sizeof(struct scan),
    .rd_size = sizeof(struct reader),
    .scan_open = scan_open,
    .split_next = split_next,
    .reader_open = reader_open,
    .reader_next = reader_next,
    .reader_cut = reader_cut,
    .reader_close = reader_close,
    .scan_close = scan_close,
};
