/* SPDX-License-Identifier: Apache-2.0 */
/* Staged files in the server's folder. */
#include "hard_files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "data/number.h"

enum {
    FILE_MAX = 1 << 29,
    RECEIPT = 4096
};

wh_status hard_files_open(struct hard_files *fl, void *ep, void *se, struct wh_target *io,
                          struct wh_error *reterr)
{
    const char *key = io->n_keys > 0 ? io->keys[0] : "id";
    struct hard_endpoint *endpoint = ep;

    WH_TRY(hard_target_open(&fl->base, ep, se, io, reterr));
    const char *slash = strrchr(endpoint->db_path, '/');

    snprintf(fl->folder, sizeof fl->folder, "%.*s/files/%s", (int)(slash - endpoint->db_path),
             endpoint->db_path, fl->base.object);
    fl->base.marker = false; /* the file is the marker */
    fl->upsert = io->mode == WH_MODE_UPSERT;
    for (int64_t i = 0; i < fl->base.accept.n_children; i++)
        if (strcmp(fl->base.accept.children[i]->name, key) == 0)
            fl->key_column = (int)i;
    io->grain = WH_GRAIN_ATTEMPT;
    io->commit_class = WH_CLASS_P;
    io->atomic_given = WH_ATOMIC_TABLE;
    io->exists = access(fl->folder, F_OK) == 0;
    io->existing_rows = io->exists ? -1 : 0;
    snprintf(io->instant, sizeof io->instant, "all rows at once, when the run publishes");
    snprintf(io->on_kill, sizeof io->on_kill, "staged files stay, nothing is visible");
    return WH_OK;
}

void hard_files_prefix(const struct hard_files *fl, const struct wh_fence *fence,
                       char out[HARD_FILE])
{
    snprintf(out, HARD_FILE, "part-%.*s-f%u-g%u-", WH_STR_FMT(fence->run), fence->flow,
             fence->generation);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static wh_status join_names(char **names, size_t n, struct wh_buf *out)
{
    for (size_t i = 0; i < n; i++) {
        WH_TRY(wh_buf_adds(out, names[i]));
        WH_TRY(wh_buf_addc(out, '\n'));
    }
    return WH_OK;
}

wh_status hard_files_list(const char *folder, const char *prefix, struct wh_buf *out, size_t *ret_n,
                          struct wh_error *reterr)
{
    DIR *dir = opendir(folder);
    char **names = NULL;
    size_t n = 0, cap = 0;
    int st = WH_OK;

    *ret_n = 0;
    if (!dir)
        return errno == ENOENT ? WH_OK : wh_fail_errno(reterr, errno, "E4002", "%s", folder);
    for (struct dirent *e; st == WH_OK && (e = readdir(dir));) {
        if (strncmp(e->d_name, prefix, strlen(prefix)) != 0)
            continue;
        if (n == cap) {
            char **more = wh_realloc(names, (cap = cap ? cap * 2 : 64) * sizeof *names);

            if (!more)
                st = WH_E_NOMEM;
            else
                names = more;
        }
        if (st == WH_OK && !(names[n++] = wh_strdup(e->d_name)))
            st = WH_E_NOMEM;
    }
    closedir(dir);
    if (st == WH_OK && n > 0) {
        qsort(names, n, sizeof *names, by_name);
        st = join_names(names, n, out);
        *ret_n = n;
    }
    for (size_t i = 0; i < n; i++)
        wh_free(names[i]);
    wh_free(names);
    return st;
}

static bool write_all(int fd, const char *p, size_t n)
{
    while (n) {
        ssize_t k = write(fd, p, n);

        if (k < 0 && errno != EINTR)
            return false;
        p += k > 0 ? k : 0;
        n -= k > 0 ? (size_t)k : 0;
    }
    return fsync(fd) == 0;
}

wh_status hard_files_put(const char *folder, const char *name, const struct wh_buf *text,
                         bool exclusive, struct wh_error *reterr)
{
    char temporary[HARD_PATH * 2], final[HARD_PATH * 2];

    snprintf(temporary, sizeof temporary, "%s/%s.%d.tmp", folder, name, (int)getpid());
    snprintf(final, sizeof final, "%s/%s", folder, name);
    int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    if (fd < 0)
        return wh_fail_errno(reterr, errno, "E5001", "%s", temporary);
    bool ok = write_all(fd, text->p ? text->p : "", text->n);

    ok = close(fd) == 0 && ok;
    if (ok && exclusive) {
        int failed = link(temporary, final) ? errno : 0;

        unlink(temporary);
        if (failed == EEXIST)
            return WH_REFUSED;
        errno = failed;
        ok = !failed;
    } else if (ok) {
        ok = rename(temporary, final) == 0;
    }
    return ok ? WH_OK : wh_fail_errno(reterr, errno, "E5001", "%s", final);
}

wh_status hard_files_read(const char *folder, const char *name, struct wh_buf *out,
                          struct wh_error *reterr)
{
    char path[HARD_PATH * 2], chunk[65536];

    snprintf(path, sizeof path, "%s/%s", folder, name);
    int fd WH_CLEANUP(wh_closep) = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return wh_fail_errno(reterr, errno, "E4002", "%s", path);
    for (;;) {
        ssize_t n = read(fd, chunk, sizeof chunk);

        if (n < 0 && errno != EINTR)
            return wh_fail_errno(reterr, errno, "E4002", "%s", path);
        if (n == 0)
            return WH_OK;
        if (n > 0)
            WH_TRY(wh_buf_add(out, chunk, (size_t)n));
    }
}

/* ---------------------------------------------------------------------------------------- lines */

static wh_status add_value(struct wh_buf *b, const struct hard_value *v)
{
    if (v->kind == HARD_INT)
        return wh_buf_printf(b, "%lld", (long long)v->i);
    if (v->kind == HARD_TEXT)
        return wh_buf_json(b, v->text.s, v->text.n);
    return wh_buf_adds(b, "null");
}

wh_status hard_files_line(const struct hard_files *fl, const struct hard_value *row,
                          struct wh_buf *b)
{
    WH_TRY(add_value(b, &row[fl->key_column]));
    WH_TRY(wh_buf_adds(b, "\t["));
    for (int64_t i = 0; i < fl->base.accept.n_children; i++) {
        if (i)
            WH_TRY(wh_buf_addc(b, ','));
        WH_TRY(add_value(b, &row[i]));
    }
    return wh_buf_adds(b, "]\n");
}

static wh_status add_hex(struct wh_buf *b, struct wh_bytes v)
{
    WH_TRY(wh_buf_addc(b, 'x'));
    for (size_t i = 0; i < v.n; i++)
        WH_TRY(wh_buf_printf(b, "%02x", ((const uint8_t *)v.p)[i]));
    return wh_buf_addc(b, ' ');
}

wh_status hard_files_marker(const struct hard_writer *wr, const struct wh_marker *m,
                            struct wh_buf *b)
{
    WH_TRY(wh_buf_printf(b, "#marker %d %lld %lld %lld %lld %lld %llu %llu ", wr->unit.attempt,
                         (long long)m->rows, (long long)m->bytes, (long long)m->dirty,
                         (long long)m->filtered, (long long)m->skipped,
                         (unsigned long long)m->hash[0], (unsigned long long)m->hash[1]));
    WH_TRY(add_hex(b, m->rest));
    WH_TRY(add_hex(b, m->end));
    return wh_buf_addc(b, '\n');
}

static bool hex_bytes(const struct wh_ctx *ctx, const char *p, size_t n, struct wh_bytes *ret)
{
    static const char digits[] = "0123456789abcdef";
    uint8_t *out = n >= 2 && ctx ? ctx->alloc(ctx, n / 2) : NULL;

    *ret = (struct wh_bytes){out, n / 2};
    for (size_t i = 0; out && i < n / 2; i++) {
        const char *high = strchr(digits, p[2 * i]), *low = strchr(digits, p[2 * i + 1]);

        if (!high || !low)
            return false;
        out[i] = (uint8_t)((high - digits) << 4 | (low - digits));
    }
    return n == 0 || out;
}

/* "#marker attempt rows bytes dirty filtered skipped h0 h1 xREST xEND" */
static bool read_marker(const struct wh_ctx *ctx, char *line, struct wh_fate *ret)
{
    uint64_t number[8];
    struct wh_marker *m = &ret->marker;
    char *word = strsep(&line, " ");

    for (int i = 0; i < 8; i++) {
        word = strsep(&line, " ");
        if (!word || !wh_read_u64(word, strlen(word), &number[i]))
            return false;
    }
    ret->attempt = (int32_t)number[0];
    *m = (struct wh_marker){.rows = (int64_t)number[1],
                            .bytes = (int64_t)number[2],
                            .dirty = (int64_t)number[3],
                            .filtered = (int64_t)number[4],
                            .skipped = (int64_t)number[5],
                            .hash = {number[6], number[7]}};
    char *rest = strsep(&line, " "), *end = strsep(&line, " ");

    return rest && end && hex_bytes(ctx, rest + 1, strlen(rest) - 1, &m->rest) &&
           hex_bytes(ctx, end + 1, strlen(end) - 1, &m->end);
}

/* -------------------------------------------------------------------------------------- look-up */

static wh_status read_fate(const struct hard_files *fl, const char *name, struct wh_fate *ret,
                           struct wh_error *reterr)
{
    struct wh_buf text WH_CLEANUP(wh_buf_free) = WH_BUF(FILE_MAX);
    const struct wh_ctx *ctx = fl->base.ep->ctx;

    WH_TRY(hard_files_read(fl->folder, name, &text, reterr));
    char *at = text.p ? memmem(text.p, text.n, "#marker ", 8) : NULL;

    for (char *next = at; next;
         next = memmem(next + 8, text.n - (size_t)(next + 8 - text.p), "\n#marker ", 9))
        at = *next == '\n' ? next + 1 : next;
    if (!at || !read_marker(ctx, at, ret))
        return wh_fail(reterr, WH_E_DATA, "E7016", "%s has no marker", name);
    char *copy = ctx->alloc(ctx, strlen(name) + 1);

    if (!copy)
        return WH_E_NOMEM;
    memcpy(copy, name, strlen(name) + 1);
    ret->kind = WH_FATE_STAGED;
    ret->receipt = (struct wh_bytes){copy, strlen(copy)};
    return WH_OK;
}

wh_status hard_files_lookup(void *self, void *se, const struct wh_unit *unit, struct wh_fate *ret,
                            struct wh_error *reterr)
{
    struct hard_files *fl = self;
    struct wh_fence fence = {.run = wh_str(fl->base.ep->run[0] ? fl->base.ep->run : fl->base.run),
                             .flow = unit->flow,
                             .generation = unit->generation};
    struct wh_buf names WH_CLEANUP(wh_buf_free) = WH_BUF(FILE_MAX);
    char prefix[HARD_FILE], own[HARD_FILE + 32], latest[HARD_FILE + 64] = "";
    size_t n = 0;

    *ret = (struct wh_fate){.kind = WH_FATE_ABSENT};
    if (!fl->base.ep->opts->marker) /* the control: what was staged is forgotten */
        return WH_OK;
    hard_files_prefix(fl, &fence, prefix);
    snprintf(own, sizeof own, "%su%08lld-", prefix, (long long)unit->id);
    WH_TRY(hard_files_list(fl->folder, own, &names, &n, reterr));
    char *rest = names.p;

    for (size_t i = 0; i < n; i++) {
        const char *name = strsep(&rest, "\n");
        size_t len = strlen(name);

        if (len > 5 && len < sizeof latest && strcmp(name + len - 5, ".part") == 0 &&
            !strstr(name, "-k"))
            snprintf(latest, sizeof latest, "%s", name);
    }
    return *latest ? read_fate(fl, latest, ret, reterr) : WH_OK;
}

/* Every recorded receipt's file must still be there. */
wh_status hard_files_verify(void *self, void *se, struct wh_receipts *committed,
                            const struct wh_fence *fence, struct wh_error *reterr)
{
    struct hard_files *fl = self;
    struct wh_receipt r;

    while (committed && committed->next(committed, &r) == WH_OK) {
        char path[HARD_PATH * 2];

        snprintf(path, sizeof path, "%s/%.*s", fl->folder, (int)r.receipt.n,
                 (const char *)r.receipt.p);
        if (r.receipt.n && access(path, F_OK))
            return wh_fail(reterr, WH_E_STATE, "E7009", "%s is not there any more", path);
    }
    return WH_OK;
}

/* ---------------------------------------------------------------------------------------- steps */

wh_status hard_files_step(enum wh_phase phase, const char *say, const char *token, uint32_t id,
                          uint32_t flags, struct wh_step_sink *out)
{
    struct wh_step step = {.id = id,
                           .phase = phase,
                           .flags = flags,
                           .say = wh_str(say),
                           .token = {token, strlen(token)}};

    return out->add(out, &step);
}

wh_status hard_files_make_folder(const struct hard_files *fl, struct wh_error *reterr)
{
    char parent[sizeof fl->folder];

    snprintf(parent, sizeof parent, "%s", fl->folder);
    *strrchr(parent, '/') = 0;
    if (mkdir(parent, 0700) && errno != EEXIST)
        return wh_fail_errno(reterr, errno, "E5008", "%s", parent);
    if (mkdir(fl->folder, 0700) && errno != EEXIST)
        return wh_fail_errno(reterr, errno, "E5008", "%s", fl->folder);
    return WH_OK;
}

static wh_status remove_listed(const struct hard_files *fl, const char *prefix, const char *keep,
                               bool only_temporary, struct wh_error *reterr)
{
    struct wh_buf names WH_CLEANUP(wh_buf_free) = WH_BUF(FILE_MAX);
    char path[HARD_PATH * 2];
    size_t n = 0;

    WH_TRY(hard_files_list(fl->folder, prefix, &names, &n, reterr));
    char *rest = names.p;

    for (size_t i = 0; i < n; i++) {
        const char *name = strsep(&rest, "\n");
        size_t len = strlen(name);

        if ((keep && strstr(keep, name)) ||
            (only_temporary && (len < 4 || strcmp(name + len - 4, ".tmp") != 0)))
            continue;
        snprintf(path, sizeof path, "%s/%s", fl->folder, name);
        if (unlink(path) && errno != ENOENT)
            return wh_fail_errno(reterr, errno, "E5008", "%s", path);
    }
    return WH_OK;
}

/* Attempts that lost, and temporary files of killed ones. */
wh_status hard_files_sweep(const struct hard_files *fl, const struct wh_fence *fence,
                           const char *keep, struct wh_error *reterr)
{
    char prefix[HARD_FILE];

    hard_files_prefix(fl, fence, prefix);
    WH_TRY(remove_listed(fl, prefix, keep, false, reterr));
    return remove_listed(fl, "", NULL, true, reterr);
}
