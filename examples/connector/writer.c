/* SPDX-License-Identifier: Apache-2.0 */
/* The destination, class P: each attempt writes a part beside the target, durable before the unit
 * is recorded; PUBLISH joins the recorded parts and gives the result its name at one instant; DROP
 * removes parts. A part that no recorded receipt names is never published, so an attempt that was
 * killed leaves nothing but a file for DROP. */
#include "fixed.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    BLOCK = 1 << 20,
    RECEIPT = 160,
    STEP_PUBLISH = 1,
    STEP_DROP,
};

struct target {
    struct fixed_layout layout;
    int order[FIXED_COLUMNS]; /* column of the rows -> column of the layout */
    bool append;
    char path[PATH_MAX], say[PATH_MAX + 32];
};

/* ---- names: TARGET.wherry-<hash of the run>.f<flow>.g<generation>...
 * -------------------------------- */

static uint64_t hash_more(uint64_t h, const void *p, size_t n) /* FNV-1a */
{
    for (size_t i = 0; i < n; i++)
        h = (h ^ ((const unsigned char *)p)[i]) * 0x100000001b3u;
    return h;
}
#define HASH_START 0xcbf29ce484222325u

static void stage_name(const struct target *fl, const struct wh_fence *f, const char *more,
                       char out[PATH_MAX])
{
    snprintf(out, PATH_MAX, "%.*s.wherry-%012llx.f%u.g%u.%s", PATH_MAX - 100, fl->path,
             (unsigned long long)(hash_more(HASH_START, f->run.s, f->run.n) >> 16), f->flow,
             f->generation, more);
}

/* What a rename or link needs to survive a power cut. */
static wh_status sync_folder(const char *path, struct wh_error *reterr)
{
    char folder[PATH_MAX];
    size_t n = (size_t)(strrchr(path, '/') - path);

    snprintf(folder, sizeof folder, "%.*s/", (int)n, path);
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int err = fd < 0 || fsync(fd) < 0 ? errno : 0;

    if (fd >= 0)
        close(fd);
    return err ? wh_fail_errno(reterr, err, "E5001", "folder '%s'", folder) : WH_OK;
}

static wh_status write_error(int err, const char *name, struct wh_error *reterr)
{
    return wh_fail_errno(reterr, err, err == ENOSPC || err == EDQUOT ? "E5004" : "E5001", "'%s'",
                         name);
}

static wh_status put(int fd, const char *name, const char *p, size_t n, struct wh_error *reterr)
{
    while (n) {
        ssize_t k = write(fd, p, n);

        if (k < 0 && errno != EINTR)
            return write_error(errno, name, reterr);
        p += k > 0 ? k : 0;
        n -= k > 0 ? (size_t)k : 0;
    }
    return WH_OK;
}

/* ---- target
 * ------------------------------------------------------------------------------------------- */

/* Every column of the rows has its place in the record, and the other way round. */
static wh_status match_columns(struct target *fl, const struct ArrowSchema *rows,
                               struct wh_error *reterr)
{
    const struct fixed_layout *l = &fl->layout;

    for (int64_t i = 0; i < rows->n_children; i++) {
        int k = 0;

        while (k < l->n && strcmp(l->v[k].name, rows->children[i]->name) != 0)
            k++;
        if (k == l->n || i >= FIXED_COLUMNS)
            return wh_fail(reterr, WH_E_TYPE, "E3002", "the layout has no column '%s'",
                           rows->children[i]->name);
        fl->order[i] = k;
    }
    if (rows->n_children != l->n)
        return wh_fail(reterr, WH_E_TYPE, "E3005", "the layout has %d columns, the rows have %d",
                       l->n, (int)rows->n_children);
    return WH_OK;
}

static wh_status look(struct target *fl, struct wh_target *io, struct wh_error *reterr)
{
    struct stat s;

    if (lstat(fl->path, &s) < 0)
        return errno == ENOENT ? WH_OK : wh_fail_errno(reterr, errno, "E2013", "'%s'", fl->path);
    io->exists = true;
    io->existing_rows = fl->append ? 0 : -1;
    if (!S_ISREG(s.st_mode))
        return wh_fail(reterr, WH_E_USAGE, "E2014", "'%s' is not a file", fl->path);
    if (fl->append && !io->memo.n) { /* with a memo: a run that goes on, maybe published already */
        int st = wh_fail(reterr, WH_E_USAGE, "E5007",
                         "'%s' exists, and append never changes a file", fl->path);
        wh_error_hint(reterr, "--mode overwrite replaces it");
        return st;
    }
    return WH_OK;
}

static void answer(struct target *fl, struct wh_target *io)
{
    io->grain = WH_GRAIN_ROW;
    io->commit_class = WH_CLASS_P;
    io->atomic_given = WH_ATOMIC_TABLE;
    io->ret_memo = (struct wh_bytes){fl->path, strlen(fl->path)};
    io->ret_object = (struct wh_name){.part = {{fl->path, strlen(fl->path)}}, .n = 1};
    snprintf(fl->say, sizeof fl->say, "new file %s", fl->path);
    io->say_create = (struct wh_str){fl->say, strlen(fl->say)};
    snprintf(io->identity, sizeof io->identity, "fixed:%016llx:%.250s",
             (unsigned long long)hash_more(HASH_START, fl->path, strlen(fl->path)), fl->path);
    snprintf(io->instant, sizeof io->instant,
             "at once, when the finished file gets its name after the last unit");
    snprintf(io->on_kill, sizeof io->on_kill,
             "nothing shows before the last unit; parts wait beside the target for resume");
}

static wh_status target_open(void *self, void *ep, void *se, struct wh_target *io,
                             struct wh_error *reterr)
{
    struct target *fl = self;
    const struct fixed_options *o = io->opts;

    fl->append = io->mode == WH_MODE_APPEND;
    WH_TRY(fixed_layout_read(&o->columns, &fl->layout, reterr));
    WH_TRY(match_columns(fl, io->source, reterr));
    if (!io->memo.n)
        WH_TRY(fixed_path(io->object, fl->path, reterr));
    else if (io->memo.n < sizeof fl->path)
        memcpy(fl->path, io->memo.p, io->memo.n);
    WH_TRY(look(fl, io, reterr));
    answer(fl, io);
    return fixed_schema(&fl->layout, fl->order, true, &io->accept);
}

static void target_close(void *self)
{
}

/* ---- writer
 * --------------------------------------------------------------------------------------------- */

struct writer {
    const struct target *fl;
    const struct fixed_session *se;
    int fd; /* + 1 */
    char name[PATH_MAX];
    char *block; /* whole records, not yet in the file */
    size_t used, cap;
    struct wh_verdict *bad;
    int64_t sent, rows, bytes;
    uint64_t hash;
    char receipt[RECEIPT];
};

static wh_status writer_open(void *self, void *target, void *se, const struct wh_ctx *attempt,
                             const struct wh_unit *unit, const struct wh_fence *fence,
                             struct wh_error *reterr)
{
    struct writer *wr = self;
    char more[64];

    wr->fl = target;
    wr->se = se;
    wr->hash = HASH_START;
    wr->cap = BLOCK > wr->fl->layout.record ? BLOCK : (size_t)wr->fl->layout.record;
    wr->block = malloc(wr->cap);
    if (!wr->block)
        return wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory to write a file");
    snprintf(more, sizeof more, "u%" PRId64 ".a%d", unit->id, unit->attempt);
    stage_name(wr->fl, fence, more, wr->name);
    int fd = open(wr->name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);

    if (fd < 0)
        return write_error(errno, wr->name, reterr);
    wr->fd = fd + 1;
    return WH_OK;
}

static wh_status drain(struct writer *wr, struct wh_error *reterr)
{
    WH_TRY(put(wr->fd - 1, wr->name, wr->block, wr->used, reterr));
    wr->hash = hash_more(wr->hash, wr->block, wr->used);
    wr->bytes += (int64_t)wr->used;
    wr->used = 0;
    return WH_OK;
}

static bool is_null(const struct ArrowArray *a, int64_t i)
{
    const uint8_t *valid = a->null_count ? a->buffers[0] : NULL;

    return valid && !(valid[(a->offset + i) / 8] >> ((a->offset + i) % 8) & 1);
}

/* One value into its place. NULL: done; else why it cannot be told apart or does not fit. */
static const char *put_value(const struct fixed_column *c, const struct ArrowArray *a, int64_t i,
                             char *to, const char **ret_code)
{
    char text[32];
    const char *s = text;
    int64_t n;

    if (c->is_int) {
        n = snprintf(text, sizeof text, "%" PRId64,
                     ((const int64_t *)a->buffers[1])[a->offset + i]);
    } else {
        const int32_t *ends = (const int32_t *)a->buffers[1] + a->offset + i;
        s = (const char *)a->buffers[2] + ends[0];
        n = ends[1] - ends[0];
    }
    *ret_code = c->is_int ? "E6003" : "E6004";
    if (n > c->width)
        return c->is_int ? "the number is wider than its column"
                         : "the text has more bytes than its column";
    *ret_code = n ? "E6009" : "E6020";
    if (!n)
        return "an empty text would be read as NULL";
    if (s[n - 1] == ' ')
        return "a space at the end would be read as padding";
    memcpy(to + (c->is_int ? c->width - n : 0), s, (size_t)n);
    return NULL;
}

/* Rows that cannot be written are named; the others of the same send stand. */
static bool put_row(struct writer *wr, const struct wh_batch *b, int64_t row,
                    struct wh_verdict *ret)
{
    const struct fixed_layout *l = &wr->fl->layout;
    char *to = wr->block + wr->used;

    memset(to, ' ', (size_t)l->record - 1);
    to[l->record - 1] = '\n';
    for (int k = 0; k < l->n; k++) {
        const struct fixed_column *c = &l->v[wr->fl->order[k]];
        const struct ArrowArray *a = b->rows.children[k];
        const char *code, *why = is_null(a, row) ? NULL : put_value(c, a, row, to + c->at, &code);

        if (why) {
            *ret = (struct wh_verdict){.column = k, .text = {why, strlen(why)}};
            memcpy(ret->code, code, sizeof ret->code);
            return false;
        }
    }
    wr->used += (size_t)l->record;
    wr->rows++;
    return true;
}

static wh_status writer_write(void *self, const struct wh_batch *b, int64_t send,
                              const int32_t *rows, int64_t first, int64_t n, struct wh_acks *ret,
                              struct wh_error *reterr)
{
    struct writer *wr = self;

    *ret = (struct wh_acks){.upto_send = wr->sent};
    free(wr->bad);
    wr->bad = malloc((size_t)n * sizeof *wr->bad);
    if (!wr->bad)
        return wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory for verdicts");
    size_t n_bad = 0;

    for (int64_t i = 0; i < n; i++) {
        if (atomic_load(&wr->se->interrupted))
            return WH_LOST;
        if (wr->cap - wr->used < (size_t)wr->fl->layout.record)
            WH_TRY(drain(wr, reterr));
        if (!put_row(wr, b, rows ? rows[i] : first + i, &wr->bad[n_bad])) {
            wr->bad[n_bad].send = send;
            wr->bad[n_bad++].row = i;
        }
    }
    wr->sent = send;
    *ret = (struct wh_acks){.upto_send = send, .bad = wr->bad, .n_bad = n_bad};
    return WH_OK;
}

/* Every send was judged when it came: there is never anything to wait for. */
static wh_status writer_flush(void *self, int64_t deadline_ns, struct wh_acks *ret,
                              struct wh_error *reterr)
{
    *ret = (struct wh_acks){.upto_send = ((struct writer *)self)->sent};
    return WH_OK;
}

static wh_status writer_seal(void *self, struct wh_tally *ret, struct wh_error *reterr)
{
    struct writer *wr = self;

    WH_TRY(drain(wr, reterr));
    *ret = (struct wh_tally){
        .rows = wr->rows, .bytes = wr->bytes, .inserted = -1, .updated = -1, .unchanged = -1};
    return WH_OK;
}

/* Durable first: once the engine has recorded the receipt, nobody writes these rows again. */
static wh_status writer_commit(void *self, const struct wh_marker *marker,
                               struct wh_bytes *ret_receipt, struct wh_error *reterr)
{
    struct writer *wr = self;

    if (fsync(wr->fd - 1) < 0)
        return write_error(errno, wr->name, reterr);
    WH_TRY(sync_folder(wr->name, reterr));
    const char *from = strstr(wr->name + strlen(wr->fl->path), ".wherry-");
    int n = snprintf(wr->receipt, sizeof wr->receipt, "%" PRId64 " %016llx %s", wr->bytes,
                     (unsigned long long)wr->hash, from);

    *ret_receipt = (struct wh_bytes){wr->receipt, (size_t)n};
    return WH_OK;
}

static void writer_close(void *self)
{
    struct writer *wr = self;

    if (wr->fd)
        close(wr->fd - 1);
    free(wr->block);
    free(wr->bad);
    wr->fd = 0;
    wr->block = NULL;
    wr->bad = NULL;
}

/* Absent, always: only what the engine has recorded counts, and a unit that it has not is written
 * again, into a part of another name. */
static wh_status lookup(void *fl, void *se, const struct wh_unit *unit, struct wh_fate *ret,
                        struct wh_error *reterr)
{
    *ret = (struct wh_fate){.kind = WH_FATE_ABSENT};
    return WH_OK;
}

/* ---- publishing
 * ---------------------------------------------------------------------------------------------- */

struct part {
    int64_t size;
    uint64_t hash;
    char name[PATH_MAX];
};

static wh_status next_part(const struct target *fl, struct wh_receipts *receipts, struct part *ret,
                           struct wh_error *reterr)
{
    struct wh_receipt r;
    char text[RECEIPT], *end;

    WH_TRY(receipts->next(receipts, &r)); /* END too */
    snprintf(text, sizeof text, "%.*s", (int)r.receipt.n, (const char *)r.receipt.p);
    ret->size = strtoll(text, &end, 10);
    ret->hash = strtoull(end, &end, 16);
    if (strncmp(end, " .wherry-", 9) != 0 || strchr(end, '/'))
        return wh_fail(reterr, WH_E_STATE, "E7016", "the receipt of a unit cannot be read");
    snprintf(ret->name, sizeof ret->name, "%.*s%s", PATH_MAX - RECEIPT, fl->path, end + 1);
    return WH_OK;
}

/* Reads `size` bytes from fd, hashes them, writes them to `out` unless that is negative. */
static wh_status pass_on(int fd, int64_t size, uint64_t want, int out, const char *out_name,
                         bool *ret_same, struct wh_error *reterr)
{
    uint64_t hash = HASH_START;
    char *block = malloc(BLOCK);
    int st = block ? WH_OK : wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory to publish a file");

    while (st == WH_OK && size > 0) {
        ssize_t k = read(fd, block, size < BLOCK ? (size_t)size : BLOCK);

        if (k <= 0 && !(k < 0 && errno == EINTR))
            break;
        k = k > 0 ? k : 0;
        hash = hash_more(hash, block, (size_t)k);
        size -= k;
        st = out >= 0 ? put(out, out_name, block, (size_t)k, reterr) : WH_OK;
    }
    free(block);
    *ret_same = size == 0 && hash == want;
    return st;
}

/* Is the target what the receipts say? Compared byte for byte, never trusted. */
static wh_status published(const struct target *fl, struct wh_receipts *receipts, bool *ret,
                           struct wh_error *reterr)
{
    struct part p;
    char one;
    int fd = open(fl->path, O_RDONLY | O_CLOEXEC), st = WH_OK;

    *ret = fd >= 0;
    if (fd < 0)
        return WH_OK;
    if (receipts)
        receipts->rewind(receipts);
    while (*ret && st == WH_OK && receipts && (st = next_part(fl, receipts, &p, reterr)) == WH_OK)
        st = pass_on(fd, p.size, p.hash, -1, NULL, ret, reterr);
    *ret = *ret && read(fd, &one, 1) == 0;
    close(fd);
    return st == WH_END ? WH_OK : st;
}

static wh_status join_one(const struct part *p, int out, const char *name, struct wh_error *reterr)
{
    bool same = false;
    int fd = open(p->name, O_RDONLY | O_CLOEXEC);
    int st = fd < 0 ? WH_OK : pass_on(fd, p->size, p->hash, out, name, &same, reterr);

    if (fd >= 0)
        close(fd);
    if (st == WH_OK && !same)
        st = wh_fail(reterr, WH_E_STATE, "E7009",
                     "the part '%s' of a committed unit is gone or was changed", p->name);
    return st;
}

/* All parts behind one another, in the order of the source, under a name of ours. */
static wh_status join_parts(const struct target *fl, struct wh_receipts *receipts, const char *name,
                            struct wh_error *reterr)
{
    struct part p;
    int out = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666), st = WH_OK;

    if (out < 0)
        return write_error(errno, name, reterr);
    if (receipts)
        receipts->rewind(receipts);
    while (st == WH_OK && receipts && (st = next_part(fl, receipts, &p, reterr)) == WH_OK)
        st = join_one(&p, out, name, reterr);
    if (st == WH_END)
        st = WH_OK;
    if (st == WH_OK && fsync(out) < 0)
        st = write_error(errno, name, reterr);
    close(out);
    return st;
}

static wh_status publish(const struct target *fl, const struct wh_fence *fence,
                         struct wh_receipts *receipts, bool maybe_done, struct wh_error *reterr)
{
    char name[PATH_MAX];
    bool done = false;

    if (maybe_done)
        WH_TRY(published(fl, receipts, &done, reterr));
    if (done)
        return sync_folder(fl->path, reterr);
    stage_name(fl, fence, "publish", name);
    WH_TRY(join_parts(fl, receipts, name, reterr));
    if ((fl->append ? link : rename)(name, fl->path) == 0)
        return sync_folder(fl->path, reterr);
    int err = errno;

    if (err != EEXIST)
        return write_error(err, fl->path, reterr);
    WH_TRY(published(fl, receipts, &done, reterr));
    return done ? WH_OK
                : wh_fail(reterr, WH_E_STATE, "E5012", "'%s' was made by somebody else meanwhile",
                          fl->path);
}

/* Removes this flow's files, of the fence's generation and those before it. */
static wh_status drop(const struct target *fl, const struct wh_fence *fence,
                      struct wh_error *reterr)
{
    char name[PATH_MAX], folder[PATH_MAX];
    const char *base = strrchr(fl->path, '/') + 1;
    size_t n = (size_t)(base - fl->path);

    stage_name(fl, fence, "", name);
    const char *mark = strstr(name + strlen(fl->path), ".g") + 2; /* what follows: a generation */
    size_t prefix = (size_t)(mark - name) - n;

    snprintf(folder, sizeof folder, "%.*s", (int)n, fl->path);
    DIR *dir = opendir(folder);
    int err = dir ? 0 : errno;

    for (struct dirent *e = dir ? readdir(dir) : NULL; e && !err; e = readdir(dir))
        if (strncmp(e->d_name, name + n, prefix) == 0 &&
            strtoul(e->d_name + prefix, NULL, 10) <= fence->generation &&
            unlinkat(dirfd(dir), e->d_name, 0) < 0 && errno != ENOENT)
            err = errno;
    if (dir)
        closedir(dir);
    return err ? wh_fail_errno(reterr, err, "E5001", "cannot remove parts in '%s'", folder) : WH_OK;
}

static wh_status add(struct wh_step_sink *out, enum wh_phase phase, uint8_t what, uint32_t flags,
                     const char *say)
{
    struct wh_step s = {
        .id = 1, .phase = phase, .flags = flags, .say = {say, strlen(say)}, .token = {&what, 1}};

    return out->add(out, &s);
}

static wh_status steps(void *self, void *se, enum wh_phase phase, struct wh_receipts *receipts,
                       struct wh_step_sink *out, struct wh_error *reterr)
{
    const struct target *fl = self;
    char say[PATH_MAX + 64];

    if (phase == WH_PUBLISH) {
        snprintf(say, sizeof say, "join parts, %s to %s", fl->append ? "link" : "rename", fl->path);
        return add(out, phase, STEP_PUBLISH, fl->append ? 0 : WH_STEP_DESTRUCTIVE, say);
    }
    if (phase == WH_DROP) {
        snprintf(say, sizeof say, "remove parts %s.wherry-*", fl->path);
        return add(out, phase, STEP_DROP, 0, say);
    }
    return WH_OK;
}

static wh_status apply(void *fl, void *se, const struct wh_step *step, const struct wh_fence *fence,
                       struct wh_receipts *receipts, bool maybe_done, struct wh_bytes *ret_receipt,
                       struct wh_error *reterr)
{
    int what = step->token.n == 1 ? *(const uint8_t *)step->token.p : 0;

    *ret_receipt = (struct wh_bytes){NULL, 0};
    if (what == STEP_PUBLISH)
        return publish(fl, fence, receipts, maybe_done, reterr);
    if (what == STEP_DROP)
        return drop(fl, fence, reterr);
    return wh_fail(reterr, WH_E_BUG, "E9003", "no step %u here", step->id);
}

/* At a resume: are the parts of committed units still there, or published already? */
static wh_status verify(void *self, void *se, struct wh_receipts *committed,
                        const struct wh_fence *fence, struct wh_error *reterr)
{
    const struct target *fl = self;
    struct part p;
    struct stat s;
    bool there = true, done = false;
    int st = WH_OK;

    committed->rewind(committed);
    while (there && (st = next_part(fl, committed, &p, reterr)) == WH_OK)
        there = stat(p.name, &s) == 0 && s.st_size == p.size;
    if (st != WH_OK && st != WH_END)
        return st;
    if (!there)
        WH_TRY(published(fl, committed, &done, reterr));
    return there || done ? WH_OK
                         : wh_fail(reterr, WH_E_STATE, "E7009",
                                   "the part '%s' of a committed unit is gone", p.name);
}

const struct wh_sink_ops fixed_sink_ops = {
    .size = sizeof(struct wh_sink_ops),
    .fl_size = sizeof(struct target),
    .wr_size = sizeof(struct writer),
    .target_open = target_open,
    .steps = steps,
    .apply = apply,
    .writer_open = writer_open,
    .writer_write = writer_write,
    .writer_flush = writer_flush,
    .writer_seal = writer_seal,
    .writer_commit = writer_commit,
    .lookup = lookup,
    .verify = verify,
    .writer_close = writer_close,
    .target_close = target_close,
};
