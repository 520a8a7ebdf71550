/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/refused.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/options.h"
#include "core/tree.h"

enum {
    LINE_MOST = 64 << 20,
    CHUNK = 64 << 10,
};

struct file {
    int flow;
    int64_t unit, attempt;
};

struct reading {
    struct wh_state *state;
    const char *run, *table;
    struct wh_run_record record;
    wh_refused_fn each;
    void *arg;
    struct wh_arena *arena; /* of the listing */
    struct wh_flow_record *flows;
    size_t n_flows;
    struct file *files;
    size_t n_files, cap;
    int64_t kept; /* rows of committed units that were seen */
};

/* ---- the files ---- */

static bool number(const char **p, const char *before, int64_t *ret)
{
    size_t n = strlen(before), digits;
    char text[24];

    if (strncmp(*p, before, n) != 0)
        return false;
    digits = strspn(*p + n, "0123456789");
    snprintf(text, sizeof text, "%.*s", (int)(digits < 20 ? digits : 20), *p + n);
    *p += n + digits;
    return wh_parse_i64(text, ret);
}

/* "f3.u17.a2.jsonl" */
static bool name_of(const char *name, struct file *ret)
{
    int64_t flow;

    if (!number(&name, "f", &flow) || flow > INT32_MAX || !number(&name, ".u", &ret->unit) ||
        !number(&name, ".a", &ret->attempt))
        return false;
    ret->flow = (int)flow;
    return strcmp(name, ".jsonl") == 0;
}

static int in_order(const void *x, const void *y)
{
    const struct file *a = x, *b = y;

    if (a->flow != b->flow)
        return a->flow < b->flow ? -1 : 1;
    if (a->unit != b->unit)
        return a->unit < b->unit ? -1 : 1;
    return a->attempt < b->attempt ? -1 : a->attempt > b->attempt;
}

static int add_file(struct reading *r, const struct file *f)
{
    if (r->n_files == r->cap) {
        size_t cap = r->cap ? r->cap * 2 : 64;
        struct file *more = wh_realloc(r->files, cap * sizeof *more);

        if (!more)
            return WH_E_NOMEM;
        r->files = more;
        r->cap = cap;
    }
    r->files[r->n_files++] = *f;
    return WH_OK;
}

static void folder_of(struct wh_state *state, const char *run, char out[4200])
{
    snprintf(out, 4200, "%s/dirty/%s", wh_state_dir(state), run);
}

static int list_files(struct reading *r, struct wh_error *reterr)
{
    char folder[4200];
    DIR *d;

    folder_of(r->state, r->record.run, folder);
    d = opendir(folder);
    if (!d && errno == ENOENT)
        return WH_OK;
    if (!d)
        return wh_fail_errno(reterr, errno, "E7001", "cannot look into %s", folder);
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        struct file f;

        if (name_of(e->d_name, &f) && add_file(r, &f) != WH_OK) {
            closedir(d);
            return wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory for the archive's files");
        }
    }
    closedir(d);
    if (r->n_files)
        qsort(r->files, r->n_files, sizeof *r->files, in_order);
    return WH_OK;
}

/* ---- a line ---- */

static int digit_of(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

static struct wh_bytes from_base64(struct wh_arena *a, const char *text)
{
    size_t len = strlen(text), n = 0;
    uint8_t *out = wh_arena_alloc(a, len / 4 * 3 + 3);
    uint32_t v = 0;
    int bits = 0;

    for (size_t i = 0; out && i < len && digit_of(text[i]) >= 0; i++) {
        v = v << 6 | (uint32_t)digit_of(text[i]);
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            out[n++] = (uint8_t)(v >> bits);
        }
    }
    return (struct wh_bytes){out, out ? n : 0};
}

static const char *word(const struct wh_node *line, const char *key)
{
    const struct wh_node *v = wh_node_get(line, key);

    return v && v->kind == WH_NODE_SCALAR ? v->text : NULL;
}

static int give_line(struct reading *r, const struct file *f, bool committed, const char *text,
                     size_t n, struct wh_arena *a)
{
    struct wh_problems problems = {.arena = a};
    struct wh_node *line = NULL;
    struct wh_refused row = {
        .flow = f->flow, .unit = f->unit, .committed = committed, .line = text, .line_n = n};
    const char *raw, *column, *cut;

    /* A text with a NUL cannot be parsed: the row is listed, its values are only in the line. */
    if (wh_json_parse(a, "archive", text, n, &line, &problems) != WH_OK)
        line = NULL;
    raw = word(line, "raw");
    column = word(line, "column");
    cut = word(line, "raw_cut_from");
    row.stream = wh_node_text(wh_node_get(line, "stream"), "?");
    row.table = wh_node_text(wh_node_get(line, "table"), "?");
    if (!line && (size_t)f->flow < r->n_flows) {
        row.stream = r->flows[f->flow].stream;
        row.table = r->flows[f->flow].table;
    }
    if (r->table && strcmp(r->table, row.table) != 0)
        return WH_OK;
    row.position = wh_node_text(wh_node_get(line, "position"), "?");
    row.column = column;
    row.code = wh_node_text(wh_node_get(line, "code"), "?");
    row.reason = wh_node_text(wh_node_get(line, "text"), "its record cannot be read");
    row.row = wh_node_get(line, "row");
    row.side_said = word(line, "side") != NULL;
    row.mapped = row.side_said && strcmp(word(line, "side"), "to") == 0;
    if (raw)
        row.raw = from_base64(a, raw);
    if (cut)
        wh_parse_i64(cut, &row.raw_cut_from);
    return r->each(r->arg, &row);
}

/* The next whole line from `at` on; false: more must be read. */
static bool whole_line(const struct wh_buf *b, size_t at, size_t *ret_n)
{
    const char *nl = b->n > at ? memchr(b->p + at, '\n', b->n - at) : NULL;

    if (nl)
        *ret_n = (size_t)(nl - b->p) - at;
    return nl != NULL;
}

/* What a kill left half written has no newline, and was never counted. */
static int give_lines(struct reading *r, const struct file *f, bool committed, int fd,
                      struct wh_error *reterr)
{
    struct wh_arena *a WH_CLEANUP(wh_arena_freep) = wh_arena_new((size_t)5 * LINE_MOST);
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(LINE_MOST + CHUNK);
    size_t at = 0, n;

    if (!a)
        return wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory for refused rows");
    for (;;) {
        while (whole_line(&b, at, &n)) {
            r->kept += committed;
            WH_TRY(give_line(r, f, committed, b.p + at, n, a));
            wh_arena_reset(a);
            at += n + 1;
        }
        if (at)
            memmove(b.p, b.p + at, b.n - at);
        b.n -= at;
        at = 0;
        if (wh_buf_reserve(&b, CHUNK) != WH_OK)
            return wh_fail(reterr, WH_E_LIMIT, "E7003", "a line of the archive has no end");
        ssize_t got = read(fd, b.p + b.n, CHUNK);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return wh_fail_errno(reterr, errno, "E7001", "cannot read the archive");
        if (got == 0)
            return WH_OK;
        b.n += (size_t)got;
    }
}

/* ---- all of them ---- */

/* Does the state's record of the unit name this file, and was it committed? */
static int belongs(struct reading *r, const struct file *f, bool *ret_committed, bool *ret,
                   struct wh_error *reterr)
{
    struct wh_arena *a WH_CLEANUP(wh_arena_freep) = wh_arena_new(64 << 20);
    struct wh_unit_record u;
    int st = a ? wh_state_unit_get(r->state, r->record.run, f->flow, f->unit, a, &u, reterr)
               : wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory for a unit");

    *ret = *ret_committed = false;
    if (st == WH_E_NOT_FOUND)
        return WH_OK; /* of a generation that was begun anew */
    if (st != WH_OK)
        return st;
    *ret_committed = u.state == WH_UNIT_RECORDED;
    *ret = u.attempt == f->attempt && (!*ret_committed || u.rows_dirty > 0);
    return WH_OK;
}

static int give_file(struct reading *r, const struct file *f, struct wh_error *reterr)
{
    char folder[4200], path[4300];
    bool committed, ours;
    int fd;

    WH_TRY(belongs(r, f, &committed, &ours, reterr));
    if (!ours)
        return WH_OK;
    folder_of(r->state, r->record.run, folder);
    snprintf(path, sizeof path, "%s/f%d.u%" PRId64 ".a%" PRId64 ".jsonl", folder, f->flow, f->unit,
             f->attempt);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return WH_OK; /* swept meanwhile: the run goes on */
    if (fd < 0)
        return wh_fail_errno(reterr, errno, "E7001", "cannot read %s", path);
    int st = give_lines(r, f, committed, fd, reterr);
    close(fd);
    return st;
}

int wh_refused_each(struct wh_state *state, const char *run, const char *table, wh_refused_fn each,
                    void *arg, int64_t *ret_missing, struct wh_error *reterr)
{
    struct wh_arena *a WH_CLEANUP(wh_arena_freep) = wh_arena_new(256 << 20);
    struct reading r = {
        .state = state, .run = run, .table = table, .each = each, .arg = arg, .arena = a};
    int64_t counted = 0;
    int st = a ? wh_state_run_get(state, run, a, &r.record, reterr)
               : wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory for refused rows");

    if (st == WH_OK)
        st = wh_state_flows(state, r.record.run, a, &r.flows, &r.n_flows, reterr);
    if (st == WH_OK)
        st = list_files(&r, reterr);
    for (size_t i = 0; st == WH_OK && i < r.n_files; i++)
        st = give_file(&r, &r.files[i], reterr);
    for (size_t i = 0; st == WH_OK && i < r.n_flows; i++) {
        struct wh_unit_sums s = {0};

        st = wh_state_unit_sums(state, r.record.run, r.flows[i].flow, &s, reterr);
        counted += s.rows_dirty;
    }
    wh_free(r.files);
    if (st == WH_OK && ret_missing)
        *ret_missing = counted > r.kept ? counted - r.kept : 0;
    return st == WH_END ? WH_OK : st;
}

/* ---- size and end ---- */

void wh_refused_size(struct wh_state *state, const char *run, int64_t *ret_files,
                     int64_t *ret_bytes)
{
    char folder[4200], path[4500];
    struct file f;
    struct stat st;
    DIR *d;

    *ret_files = *ret_bytes = 0;
    folder_of(state, run, folder);
    d = opendir(folder);
    for (struct dirent *e; d && (e = readdir(d)) != NULL;) {
        snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
        if (!name_of(e->d_name, &f) || stat(path, &st) != 0)
            continue;
        ++*ret_files;
        *ret_bytes += st.st_size;
    }
    if (d)
        closedir(d);
}

int wh_refused_drop(struct wh_state *state, const char *run, struct wh_error *reterr)
{
    char folder[4200], path[4500];
    struct file f;
    DIR *d;

    folder_of(state, run, folder);
    d = opendir(folder);
    if (!d && errno == ENOENT)
        return WH_OK;
    if (!d)
        return wh_fail_errno(reterr, errno, "E7001", "cannot look into %s", folder);
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
        if (!name_of(e->d_name, &f) || unlink(path) == 0 || errno == ENOENT)
            continue;
        int st = wh_fail_errno(reterr, errno, "E7001", "cannot remove %s", path);
        closedir(d);
        return st;
    }
    closedir(d);
    rmdir(folder); /* stays where something else lies in it */
    return WH_OK;
}
