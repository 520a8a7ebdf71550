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
#include "engine/archive.h"
#include "engine/runtime.h"

enum {
    LINE_MOST = 64 << 20,
    CHUNK = 64 << 10,
};

/* Archives outside of the state's folder, each once. */
struct places {
    struct wh_job *job; /* as it was stored; NULL: there are none */
    struct wh_archive **v;
    const char **shown;
    size_t n;
};

struct file {
    int flow;
    int64_t generation, unit, attempt;
    struct wh_archive *at; /* NULL: the state's folder */
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
    struct places places;
    struct wh_archive *looking; /* while one is listed */
    int64_t kept;               /* rows of committed units that were seen */
};

/* ---- archives outside ---- */

static void places_free(struct places *p)
{
    for (size_t i = 0; i < p->n; i++)
        wh_archive_close(p->v[i]);
    wh_free(p->v);
    wh_job_free(p->job);
    *p = (struct places){0};
}

static int open_place(struct places *p, const struct wh_objref *ref, struct wh_error *reterr)
{
    for (size_t i = 0; i < p->n; i++)
        if (!ref->connector || strcmp(p->shown[i], ref->text) == 0)
            return WH_OK;
    if (!ref->connector)
        return WH_OK;
    WH_TRY(wh_archive_open(ref, &p->v[p->n], reterr));
    p->shown[p->n++] = ref->text;
    return WH_OK;
}

/* The stored job knows where: its text is only read when the word is in it. */
static int places_open(const struct wh_run_record *run, struct wh_arena *a, struct places *ret,
                       struct wh_error *reterr)
{
    struct wh_problems problems = {.arena = a};
    const char *json = run->job_json;
    int st = WH_OK;

    *ret = (struct places){0};
    if (!json || !strstr(json, "\"archive\""))
        return WH_OK;
    if (wh_job_read(run->run, json, strlen(json), NULL, run->scheduled, &ret->job, &problems) !=
        WH_OK)
        return wh_fail(reterr, WH_E_STATE, "E7003", "the kept job of run %s cannot be read: %s",
                       run->run, problems.n ? problems.v[0].message : "?");
    ret->v = wh_calloc(ret->job->n_streams + 1, sizeof *ret->v);
    ret->shown = wh_arena_alloc(a, (ret->job->n_streams + 1) * sizeof *ret->shown);
    if (!ret->v || !ret->shown)
        st = wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory for archives");
    for (size_t i = 0; st == WH_OK && i < ret->job->n_streams; i++)
        st = open_place(ret, &ret->job->streams[i].dirty_archive, reterr);
    if (st != WH_OK)
        places_free(ret);
    return st;
}

static bool narrows(const struct wh_stream *s)
{
    for (size_t i = 0; i < s->n_columns; i++)
        if (s->columns[i].kind == WH_MAP_PACKED ||
            (s->columns[i].kind == WH_MAP_REST && s->columns[i].except.n == 0))
            return false;
    return s->n_columns > 0;
}

static void add_mapping(const struct wh_stream *s, bool *maps, bool *narrow)
{
    *maps = *maps || s->n_columns > 0 || s->merge > 1;
    *narrow = *narrow || narrows(s) || s->merge > 1;
    for (size_t i = 0; i < s->n_overrides; i++)
        if (s->overrides[i].stream)
            add_mapping(s->overrides[i].stream, maps, narrow);
}

int wh_refused_maps(struct wh_state *state, const char *run, const char *table, bool *ret_maps,
                    bool *ret_narrows, struct wh_error *reterr)
{
    struct wh_arena *a WH_CLEANUP(wh_arena_freep) = wh_arena_new(256 << 20);
    struct wh_problems problems = {.arena = a};
    struct wh_run_record r;
    struct wh_flow_record *flows;
    struct wh_job *job = NULL;
    size_t n;

    if (!a)
        return wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory for a job");
    WH_TRY(wh_state_run_get(state, run, a, &r, reterr));
    WH_TRY(wh_state_flows(state, r.run, a, &flows, &n, reterr));
    if (!r.job_json || wh_job_read(r.run, r.job_json, strlen(r.job_json), NULL, r.scheduled, &job,
                                   &problems) != WH_OK)
        return wh_fail(reterr, WH_E_STATE, "E7003", "the kept job of run %s cannot be read: %s",
                       r.run, problems.n ? problems.v[0].message : "?");
    *ret_maps = *ret_narrows = false;
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < job->n_streams && strcmp(flows[i].table, table) == 0; k++)
            if (strcmp(job->streams[k].name, flows[i].stream) == 0)
                add_mapping(&job->streams[k], ret_maps, ret_narrows);
    wh_job_free(job);
    return WH_OK;
}

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

/* "f3.g1.u17.a2.jsonl" */
static bool name_of(const char *name, struct file *ret)
{
    int64_t flow;

    if (!number(&name, "f", &flow) || flow > INT32_MAX || !number(&name, ".g", &ret->generation) ||
        !number(&name, ".u", &ret->unit) || !number(&name, ".a", &ret->attempt))
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
    if (a->generation != b->generation)
        return a->generation < b->generation ? -1 : 1;
    return a->attempt < b->attempt ? -1 : a->attempt > b->attempt;
}

/* One folder under two names is listed twice. */
static void drop_twins(struct reading *r)
{
    size_t n = 0;

    for (size_t i = 0; i < r->n_files; i++)
        if (n == 0 || in_order(&r->files[n - 1], &r->files[i]) != 0)
            r->files[n++] = r->files[i];
    r->n_files = n;
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

static int list_state(struct reading *r, struct wh_error *reterr)
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
        struct file f = {0};

        if (name_of(e->d_name, &f) && add_file(r, &f) != WH_OK) {
            closedir(d);
            return wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory for the archive's files");
        }
    }
    closedir(d);
    return WH_OK;
}

/* Behind "_dirty.RUN." */
static const char *file_part(const char *run, const char *name)
{
    char begin[WH_ARCHIVE_NAME_MAX];

    wh_archive_name(run, "", begin);
    return name + strlen(begin);
}

static wh_status list_one(void *arg, const char *name, bool temporary, int64_t size)
{
    struct reading *r = arg;
    struct file f = {.at = r->looking};

    if (temporary || !name_of(file_part(r->record.run, name), &f))
        return WH_OK;
    return add_file(r, &f);
}

static int list_files(struct reading *r, struct wh_error *reterr)
{
    WH_TRY(list_state(r, reterr));
    for (size_t i = 0; i < r->places.n; i++) {
        r->looking = r->places.v[i];
        WH_TRY(wh_archive_list(r->looking, r->record.run, list_one, r, reterr));
    }
    if (r->n_files)
        qsort(r->files, r->n_files, sizeof *r->files, in_order);
    drop_twins(r);
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

static int read_some(const struct file *f, int fd, char *p, int64_t from, size_t *ret_n,
                     struct wh_error *reterr)
{
    ssize_t got;

    if (f->at)
        return wh_archive_read(f->at, p, CHUNK, from, ret_n, reterr);
    do
        got = read(fd, p, CHUNK);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return wh_fail_errno(reterr, errno, "E7001", "cannot read the archive");
    *ret_n = (size_t)got;
    return WH_OK;
}

/* What a kill left half written has no newline, and was never counted. */
static int give_lines(struct reading *r, const struct file *f, bool committed, int fd,
                      struct wh_error *reterr)
{
    int64_t from = 0;
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
        size_t got = 0;

        WH_TRY(read_some(f, fd, b.p + b.n, from, &got, reterr));
        if (got == 0)
            return WH_OK;
        b.n += got;
        from += (int64_t)got;
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
    *ret = u.generation == f->generation && u.attempt == f->attempt &&
           (!*ret_committed || u.rows_dirty > 0);
    return WH_OK;
}

static int give_state_file(struct reading *r, const struct file *f, const char *name,
                           bool committed, struct wh_error *reterr)
{
    char folder[4200], path[4300];
    int fd;

    folder_of(r->state, r->record.run, folder);
    snprintf(path, sizeof path, "%s/%s", folder, name);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return WH_OK; /* swept meanwhile: the run goes on */
    if (fd < 0)
        return wh_fail_errno(reterr, errno, "E7001", "cannot read %s", path);
    int st = give_lines(r, f, committed, fd, reterr);
    close(fd);
    return st;
}

static int give_file(struct reading *r, const struct file *f, struct wh_error *reterr)
{
    char name[WH_DIRTY_NAME_MAX], full[WH_ARCHIVE_NAME_MAX];
    bool committed, ours;

    WH_TRY(belongs(r, f, &committed, &ours, reterr));
    if (!ours)
        return WH_OK;
    wh_dirty_name(&(struct wh_dirty_of){.flow = f->flow,
                                        .generation = (uint32_t)f->generation,
                                        .unit = f->unit,
                                        .attempt = (int32_t)f->attempt},
                  name);
    if (!f->at)
        return give_state_file(r, f, name, committed, reterr);
    wh_archive_name(r->record.run, name, full);
    int st = wh_archive_read_open(f->at, full, reterr);
    if (st == WH_E_NOT_FOUND)
        return WH_OK;
    WH_TRY(st);
    st = give_lines(r, f, committed, -1, reterr);
    wh_archive_read_close(f->at);
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
        st = places_open(&r.record, a, &r.places, reterr);
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
    places_free(&r.places);
    if (st == WH_OK && ret_missing)
        *ret_missing = counted > r.kept ? counted - r.kept : 0;
    return st == WH_END ? WH_OK : st;
}

/* ---- size and end ---- */

struct sizing {
    int64_t files, bytes;
    const char *run;
    struct wh_buf names; /* each with its NUL */
};

static wh_status size_one(void *arg, const char *name, bool temporary, int64_t size)
{
    struct sizing *z = arg;
    struct file f;

    if (!name_of(file_part(z->run, name), &f))
        return WH_OK;
    z->files += !temporary;
    z->bytes += temporary || size < 0 ? 0 : size;
    return wh_buf_add(&z->names, name, strlen(name) + 1);
}

static int remove_listed(struct wh_archive *a, const struct sizing *z, struct wh_error *reterr)
{
    for (size_t at = 0; at < z->names.n; at += strlen(z->names.p + at) + 1)
        WH_TRY(wh_archive_remove(a, z->names.p + at, reterr));
    wh_archive_leave(a, z->run);
    return WH_OK;
}

/* Of the archives outside; those of a run that refused nothing are not asked. */
static int outside(struct wh_state *state, const char *run, bool drop, struct sizing *z,
                   struct wh_error *reterr)
{
    struct wh_arena *a WH_CLEANUP(wh_arena_freep) = wh_arena_new(64 << 20);
    struct wh_run_record record;
    struct places places = {0};
    int st = a ? wh_state_run_get(state, run, a, &record, reterr)
               : wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory for an archive");

    if (st != WH_OK || (record.finished && record.rows_dirty == 0 && !drop))
        return st;
    st = places_open(&record, a, &places, reterr);
    for (size_t i = 0; st == WH_OK && i < places.n; i++) {
        z->run = record.run;
        wh_buf_clear(&z->names);
        st = wh_archive_list(places.v[i], record.run, size_one, z, reterr);
        if (st == WH_OK && drop)
            st = remove_listed(places.v[i], z, reterr);
    }
    places_free(&places);
    return st;
}

int wh_refused_outside(struct wh_state *state, const char *run, bool drop, int64_t *ret_files,
                       int64_t *ret_bytes, struct wh_error *reterr)
{
    struct sizing z = {.names = WH_BUF(64 << 20)};
    int st = outside(state, run, drop, &z, reterr);

    wh_buf_free(&z.names);
    *ret_files = z.files;
    *ret_bytes = z.bytes;
    return st;
}

void wh_refused_size(struct wh_state *state, const char *run, int64_t *ret_files,
                     int64_t *ret_bytes)
{
    char folder[4200], path[4500];
    struct wh_error ignored;
    struct file f;
    struct stat st;
    DIR *d;

    wh_ignore(wh_refused_outside(state, run, false, ret_files, ret_bytes, &ignored));
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
    int64_t files, bytes;
    struct file f;
    DIR *d;

    WH_TRY(wh_refused_outside(state, run, true, &files, &bytes, reterr));
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
