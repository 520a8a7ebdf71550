/* SPDX-License-Identifier: Apache-2.0 */
/* wherry check, discover, describe, preview: looking without moving. */
#include "engine/look.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <sys/stat.h>

#include "cli/cli.h"
#include "engine/object.h"
#include "core/errors.h"
#include "data/type.h"

static bool is_job(const char *word)
{
    struct wh_str w = wh_str(word);
    struct stat st;
    return (wh_str_ends(w, ".yaml") || wh_str_ends(w, ".yml") ||
            (wh_str_ends(w, ".json") && stat(word, &st) == 0)) &&
           strcmp(word, "-") != 0;
}

static int open_look(struct wh_cli *c, const char *object, struct wh_look **ret, struct wh_error *e)
{
    struct wh_services *services;
    WH_TRY(wh_cli_services(c, &services, e));
    return wh_look_open(object, wh_cli_connections(c), wh_node_get(c->settings, "from"), services,
                        ret, e);
}

/* Whoever looks touches nothing: what fails is refused. */
static int fail(struct wh_cli *c, const struct wh_error *e)
{
    int code = wh_cli_fail(c, e);
    return code == 1 ? wh_error_exit(e->code, false) : code;
}

static void text(struct wh_buf *b, const char *key, const char *value)
{
    if (value) {
        wh_ignore(wh_buf_printf(b, ",\"%s\":", key));
        wh_ignore(wh_buf_json(b, value, strlen(value)));
    }
}

/* ---- check ---- */

struct checks {
    struct wh_cli *c;
    struct wh_error worst;
};

static void bad_connection(const char *connection, const struct wh_error *e, struct wh_buf *b)
{
    wh_ignore(wh_buf_adds(b, "BAD  "));
    wh_text_line(b, connection);
    wh_ignore(wh_buf_printf(b, ": %s ", e->code));
    wh_text_line(b, e->message);
    wh_cli_next(e->hint, e->code, b);
    wh_ignore(wh_buf_addc(b, '\n'));
}

static wh_status checked(void *arg, const char *connection, const struct wh_error *e)
{
    struct checks *k = arg;
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(1 << 16);
    bool ok = !e || e->status == WH_OK;
    if (k->c->json) {
        wh_ignore(wh_buf_adds(&b, "{\"v\":1,\"connection\":"));
        wh_ignore(wh_buf_json(&b, connection, strlen(connection)));
        wh_ignore(wh_buf_printf(&b, ",\"ok\":%s", ok ? "true" : "false"));
        text(&b, "code", ok ? NULL : e->code);
        text(&b, "message", ok ? NULL : e->message);
        wh_ignore(wh_buf_adds(&b, "}\n"));
    } else if (ok) {
        wh_ignore(wh_buf_adds(&b, "ok   "));
        wh_text_line(&b, connection);
        wh_ignore(wh_buf_addc(&b, '\n'));
    } else {
        bad_connection(connection, e, &b);
    }
    if (!ok && !k->worst.status)
        k->worst = *e;
    return wh_cli_print(&b) ? WH_OK : WH_END;
}

static int check_job(struct wh_cli *c)
{
    struct wh_job *job = wh_cli_job(c, c->args.v[0]);
    struct wh_services *services;
    struct checks k = {.c = c};
    struct wh_error e = {0};
    if (!job)
        return 2;
    int st = wh_cli_services(c, &services, &e);
    if (st == WH_OK)
        st = wh_check_job(job, services, checked, &k, &e);
    wh_job_free(job);
    if (st != WH_OK && st != WH_END && !k.worst.status)
        return fail(c, &e);
    return k.worst.status ? wh_exit_code(&k.worst) : 0;
}

int wh_cmd_check(struct wh_cli *c)
{
    struct wh_look *look = NULL;
    struct wh_error e = {0};
    struct checks k = {.c = c};
    if (c->args.n != 1)
        return wh_cli_usage(c, "E1011", "wherry check JOB, or wherry check sqlite:out.db",
                            "check needs a job or a connection");
    if (is_job(c->args.v[0]))
        return check_job(c);
    int st = open_look(c, wh_cli_conn_word(c, c->args.v[0]), &look, &e);
    if (st == WH_OK)
        st = wh_look_check(look, &e);
    if (st == WH_OK)
        wh_ignore(checked(&k, wh_look_name(look), NULL));
    wh_look_close(look);
    return st == WH_OK ? 0 : fail(c, &e);
}

/* ---- discover ---- */

struct listing {
    struct wh_cli *c;
    struct wh_grid *grid;
    const char *glob;
    struct wh_matcher *regex; /* instead of the glob; NULL: none */
    struct wh_buf b;
    int64_t n;
};

static void number_cell(struct wh_grid *g, int64_t n, bool size)
{
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(64);
    if (n >= 0 && size)
        wh_text_size(&b, n);
    else if (n >= 0)
        wh_text_count(&b, n);
    wh_grid_cell(g, b.n ? b.p : "");
}

static bool fits(const struct listing *l, struct wh_str name)
{
    return l->regex ? wh_matcher_match(l->regex, name, false) : wh_glob_match(l->glob, name, false);
}

/* /regex/ or /regex/i: as in an object; anything else is a glob. */
static bool compile_pattern(struct wh_cli *c, struct listing *l)
{
    struct wh_part *part; /* borrowed by what is compiled */
    struct wh_error e = {0};
    const char *slash = l->glob && l->glob[0] == '/' ? strrchr(l->glob + 1, '/') : NULL;
    if (!slash || (slash[1] && strcmp(slash, "/i") != 0))
        return true;
    part = wh_arena_alloc(c->arena, sizeof(*part));
    if (!part)
        return false;
    if (!wh_part_parse(c->arena, wh_str(l->glob), "command line", part, &c->problems))
        return wh_cli_problems(c) == 0;
    if (wh_matcher_new(part, &l->regex, &e) == WH_OK)
        return true;
    wh_error_where(&e, "command line");
    wh_cli_fail(c, &e);
    return false;
}

static wh_status discovered(void *arg, const struct wh_seen_object *o)
{
    struct listing *l = arg;
    if (l->glob && !fits(l, wh_str(o->name)) && !fits(l, wh_str(o->table)))
        return WH_OK;
    l->n++;
    if (l->c->json) {
        wh_ignore(wh_buf_adds(&l->b, "{\"v\":1,\"name\":"));
        wh_ignore(wh_buf_json(&l->b, o->name, strlen(o->name)));
        wh_ignore(wh_buf_printf(&l->b,
                                ",\"kind\":\"%s\",\"est_rows\":%" PRId64 ",\"est_bytes\":%" PRId64
                                ",\"columns\":%" PRId64,
                                o->kind, o->est_rows, o->est_bytes, o->n_columns));
        text(&l->b, "comment", o->comment);
        wh_ignore(wh_buf_adds(&l->b, "}\n"));
        return wh_cli_print(&l->b) ? WH_OK : WH_END;
    }
    wh_grid_cell(l->grid, o->name);
    wh_grid_cell(l->grid, o->kind);
    number_cell(l->grid, o->n_columns, false);
    wh_grid_cell(l->grid, o->n_columns >= 0 ? "columns" : "");
    number_cell(l->grid, o->est_rows, false);
    wh_grid_cell(l->grid, o->est_rows >= 0 ? "rows about" : "");
    number_cell(l->grid, o->est_bytes, true);
    wh_grid_cell(l->grid, o->comment);
    return WH_OK;
}

int wh_cmd_discover(struct wh_cli *c)
{
    static const char nothing[] = "nothing is there, or nothing fits\n";
    struct listing l = {
        .c = c, .grid = wh_grid_new(c->arena, 8, "llrlrlrl"), .b = WH_BUF(16 << 20)};
    struct wh_look *look = NULL;
    struct wh_error e = {0};
    if (c->args.n < 1 || c->args.n > 2)
        return wh_cli_usage(c, "E1011", "wherry discover sqlite:out.db 'a*'",
                            "discover needs a connection, and takes a pattern");
    l.glob = c->args.n == 2 ? c->args.v[1] : NULL;
    if (!compile_pattern(c, &l))
        return 2;
    int st = open_look(c, wh_cli_conn_word(c, c->args.v[0]), &look, &e);
    if (st == WH_OK)
        st = wh_look_discover(look, discovered, &l, &e);
    if (st == WH_OK && !c->json) {
        wh_grid_print(l.grid, &l.b);
        wh_cli_print(&l.b);
        if (l.n == 0 && !c->quiet)
            wh_cli_write(STDERR_FILENO, nothing, sizeof nothing - 1);
    }
    wh_buf_free(&l.b);
    wh_matcher_free(l.regex);
    wh_look_close(look);
    return st == WH_OK || st == WH_END ? 0 : fail(c, &e);
}

/* ---- describe ---- */

static void describe_json(const struct wh_seen_table *t, struct wh_buf *b)
{
    wh_ignore(wh_buf_adds(b, "{\"v\":1,\"name\":"));
    wh_ignore(wh_buf_json(b, t->name, strlen(t->name)));
    text(b, "method", t->method);
    text(b, "note", t->note);
    wh_ignore(wh_buf_printf(b,
                            ",\"est_rows\":%" PRId64 ",\"est_bytes\":%" PRId64
                            ",\"sampled_rows\":%" PRId64 ",\"columns\":[",
                            t->est_rows, t->est_bytes, t->sampled_rows));
    for (int64_t i = 0; i < t->n_columns; i++) {
        const struct wh_seen_column *k = &t->columns[i];
        wh_ignore(wh_buf_adds(b, i ? ",{\"name\":" : "{\"name\":"));
        wh_ignore(wh_buf_json(b, k->name, strlen(k->name)));
        text(b, "type", k->type);
        text(b, "native", k->native);
        text(b, "default", k->def);
        text(b, "comment", k->comment);
        wh_ignore(wh_buf_printf(b, ",\"nullable\":%s,\"guessed\":%s,\"key\":%d}",
                                k->nullable ? "true" : "false", k->guessed ? "true" : "false",
                                k->key));
    }
    wh_ignore(wh_buf_adds(b, "]}\n"));
}

static void describe_text(struct wh_cli *c, const struct wh_seen_table *t, struct wh_buf *b)
{
    struct wh_grid *g = wh_grid_new(c->arena, 5, "lllll");
    char key[16];
    wh_ignore(wh_buf_printf(b, "%s", t->name));
    if (t->est_rows >= 0) {
        wh_ignore(wh_buf_adds(b, ", about "));
        wh_text_count(b, t->est_rows);
        wh_ignore(wh_buf_adds(b, " rows"));
    }
    if (t->est_bytes >= 0) {
        wh_ignore(wh_buf_adds(b, ", "));
        wh_text_size(b, t->est_bytes);
    }
    wh_ignore(wh_buf_printf(b, "; read by %s\n", t->method ? t->method : "one stream"));
    if (t->sampled_rows) {
        wh_ignore(wh_buf_adds(b, "types guessed from "));
        wh_text_count(b, t->sampled_rows);
        wh_ignore(wh_buf_adds(b, " rows\n"));
    }
    if (t->note && *t->note)
        wh_ignore(wh_buf_printf(b, "note: %s\n", t->note));
    for (int64_t i = 0; i < t->n_columns; i++) {
        const struct wh_seen_column *k = &t->columns[i];
        key[0] = 0;
        if (k->key)
            snprintf(key, sizeof(key), "key %d", k->key);
        wh_grid_cell(g, k->name);
        wh_grid_cell(g, k->type);
        wh_grid_cell(g, k->nullable ? "" : "not null");
        wh_grid_cell(g, key);
        wh_grid_cell(g, k->guessed ? "guessed" : k->native);
    }
    wh_grid_print(g, b);
}

int wh_cmd_describe(struct wh_cli *c)
{
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(16 << 20);
    struct wh_seen_table t;
    struct wh_look *look = NULL;
    struct wh_error e = {0};
    if (c->args.n != 1)
        return wh_cli_usage(c, "E1011", "wherry describe 'sqlite:out.db#planes'",
                            "describe needs one object");
    int st = open_look(c, c->args.v[0], &look, &e);
    if (st == WH_OK)
        st = wh_look_describe(look, &t, &e);
    if (st == WH_OK) {
        if (c->json)
            describe_json(&t, &b);
        else
            describe_text(c, &t, &b);
        wh_cli_print(&b);
    }
    wh_look_close(look);
    return st == WH_OK ? 0 : fail(c, &e);
}

/* ---- preview ---- */

struct preview {
    struct wh_cli *c;
    struct wh_grid *grid;
    const struct ArrowSchema *columns;
    struct wh_buf b;
    int64_t shown, more; /* columns */
    bool cut;            /* a value was cut */
};

enum {
    CELL_WIDTH = 40,
    COLUMNS_SHOWN = 32
};

static wh_status preview_head(void *arg, const struct ArrowSchema *columns)
{
    struct preview *p = arg;
    p->columns = columns;
    if (p->c->json)
        return WH_OK;
    p->shown = columns->n_children;
    if (p->shown > COLUMNS_SHOWN) {
        p->more = p->shown - COLUMNS_SHOWN;
        p->shown = COLUMNS_SHOWN;
    }
    p->grid = wh_grid_new(p->c->arena, (int)p->shown, NULL);
    if (!p->grid)
        return WH_E_NOMEM;
    for (int64_t i = 0; i < p->shown; i++)
        wh_grid_cell(p->grid, columns->children[i]->name);
    return WH_OK;
}

static void preview_json(struct preview *p, const struct wh_str *cells, int64_t n)
{
    wh_ignore(wh_buf_addc(&p->b, '{'));
    for (int64_t i = 0; i < n; i++) {
        const char *name = p->columns->children[i]->name;
        if (i)
            wh_ignore(wh_buf_addc(&p->b, ','));
        wh_ignore(wh_buf_json(&p->b, name, strlen(name)));
        wh_ignore(wh_buf_addc(&p->b, ':'));
        wh_ignore(cells[i].s ? wh_buf_json(&p->b, cells[i].s, cells[i].n)
                             : wh_buf_adds(&p->b, "null"));
    }
    wh_ignore(wh_buf_adds(&p->b, "}\n"));
}

/* Control characters would spoil the terminal; long values are cut. */
static void preview_cell(struct preview *p, struct wh_str cell)
{
    char out[CELL_WIDTH * 4 + 8];
    size_t n = 0;
    for (size_t i = 0; i < cell.n && n < CELL_WIDTH * 2; i++) {
        unsigned char ch = (unsigned char)cell.s[i];
        out[n++] = ch < 32 || ch == 127 ? ' ' : cell.s[i];
    }
    while (n && n < cell.n && ((unsigned char)cell.s[n] & 0xc0) == 0x80)
        n--; /* not in the middle of a character */
    if (n < cell.n && n && ((unsigned char)out[n - 1] & 0xc0) == 0xc0)
        n--;
    out[n] = 0;
    if (n < cell.n) {
        memcpy(out + n, "\xe2\x80\xa6", 4);
        p->cut = true;
    }
    wh_grid_cell(p->grid, cell.s ? out : "NULL");
}

static wh_status preview_row(void *arg, const struct wh_str *cells, int64_t n)
{
    struct preview *p = arg;
    if (p->c->json) {
        preview_json(p, cells, n);
        return wh_cli_print(&p->b) ? WH_OK : WH_END;
    }
    for (int64_t i = 0; i < n && i < p->shown; i++)
        preview_cell(p, cells[i]);
    return WH_OK;
}

/* For people: what the table above does not show. */
static void preview_left_out(const struct preview *p)
{
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(512);
    if (p->more > 0)
        wh_ignore(wh_buf_printf(&b, "%" PRId64 " more column%s", p->more, p->more == 1 ? "" : "s"));
    if (p->cut)
        wh_ignore(wh_buf_printf(&b, "%slong values are cut", b.n ? ", " : ""));
    if (b.n && !p->c->quiet) {
        wh_ignore(wh_buf_adds(&b, ": --json shows all\n"));
        wh_cli_write(STDERR_FILENO, b.p, b.n);
    }
}

static int preview_object(struct wh_cli *c, const struct wh_preview *how, struct wh_error *e)
{
    struct wh_look *look = NULL;
    int st = open_look(c, c->args.v[0], &look, e);
    if (st == WH_OK)
        st = wh_look_preview(look, how, e);
    wh_look_close(look);
    return st;
}

int wh_cmd_preview(struct wh_cli *c)
{
    struct preview p = {.c = c, .b = WH_BUF(64 << 20)};
    struct wh_preview how = {.arg = &p, .head = preview_head, .row = preview_row, .rows = 10};
    const char *limit = wh_node_text(wh_node_get(c->settings, "limit"), NULL);
    struct wh_services *services;
    struct wh_error e = {0};
    int st;
    if (c->args.n < 1)
        return wh_cli_usage(c, "E1011", "wherry preview planes.csv.gz --limit 5",
                            "preview needs an object or a job");
    if (limit && (!wh_parse_i64(limit, &how.rows) || how.rows < 1))
        return wh_cli_usage(c, "E1002", NULL, "--limit wants a number of rows, not '%s'", limit);
    if (c->args.n > 1 && !is_job(c->args.v[0]))
        return wh_cli_usage(c, "E1011", "wherry preview JOB [STREAM]", "'%s' is a word too many",
                            c->args.v[1]);
    if (is_job(c->args.v[0])) {
        struct wh_job *job = wh_cli_job(c, c->args.v[0]);
        if (!job)
            return 2;
        st = wh_cli_services(c, &services, &e);
        if (st == WH_OK)
            st = wh_preview_stream(job, c->args.n > 1 ? c->args.v[1] : NULL, services, &how, &e);
        wh_job_free(job);
    } else {
        st = preview_object(c, &how, &e);
    }
    if ((st == WH_OK || st == WH_END) && !c->json) {
        wh_grid_print(p.grid, &p.b);
        wh_cli_print(&p.b);
        preview_left_out(&p);
    }
    wh_buf_free(&p.b);
    return st == WH_OK || st == WH_END ? 0 : fail(c, &e);
}
