/* SPDX-License-Identifier: Apache-2.0 */
/* wherry dirty export: refused rows as JSON lines with all that is known of them, or (-o NAME.csv)
 * as the bare rows of one table, ready to be mended and copied. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "data/type.h"
#include "engine/refused.h"

enum {
    FLUSH_AT = 1 << 20
};

struct export
{
    struct wh_cli *c;
    struct wh_buf b;
    int fd;
    const char *file;
    int64_t rows, cut;
    /* CSV */
    struct wh_state *state;
    const char *run, *table; /* table: of the first row */
    struct wh_list names;
    char delimiter;
    const char *refused; /* why it cannot be one CSV file */
    bool failed;         /* writing */
};

static bool flush(struct export *x)
{
    if (x->b.n && !x->failed) {
        errno = 0;
        x->failed = !wh_cli_write(x->fd, x->b.p, x->b.n);
    }
    wh_buf_clear(&x->b);
    return !x->failed;
}

/* ---- JSON lines ---- */

/* The kept line, but bytes that are text are given as text. */
static wh_status json_row(void *arg, const struct wh_refused *r)
{
    static const char key[] = ",\"raw\":\"";
    struct export *x = arg;
    const char *at = NULL;
    x->rows++;
    x->cut += r->raw_cut_from > 0;
    for (size_t i = 0; r->raw.n && i + sizeof(key) < r->line_n; i++)
        if (memcmp(r->line + i, key, sizeof(key) - 1) == 0)
            at = r->line + i; /* the last one: texts before it cannot hold a bare quote */
    if (!at) {
        wh_ignore(wh_buf_add(&x->b, r->line, r->line_n));
    } else {
        bool text = wh_utf8_valid((const char *)r->raw.p, r->raw.n);
        wh_ignore(wh_buf_add(&x->b, r->line, (size_t)(at - r->line)));
        wh_ignore(text ? wh_buf_adds(&x->b, ",\"raw\":")
                       : wh_buf_adds(&x->b, ",\"raw_base64\":\""));
        const char *value = at + sizeof(key) - 1;
        const char *rest = memchr(value, '"', r->line_n - (size_t)(value - r->line));
        if (!rest)
            return WH_OK;
        wh_ignore(text ? wh_buf_json(&x->b, (const char *)r->raw.p, r->raw.n)
                       : wh_buf_add(&x->b, value, (size_t)(rest + 1 - value)));
        wh_ignore(wh_buf_add(&x->b, rest + 1, r->line_n - (size_t)(rest + 1 - r->line)));
    }
    wh_ignore(wh_buf_addc(&x->b, '\n'));
    return x->b.n < FLUSH_AT || flush(x) ? WH_OK : WH_END;
}

/* ---- CSV ---- */

static void csv_cell(struct export *x, const char *text)
{
    bool plain = *text && !strchr(text, x->delimiter) && !strpbrk(text, "\"\r\n") &&
                 text[0] != ' ' && text[strlen(text) - 1] != ' ';
    if (plain) {
        wh_ignore(wh_buf_adds(&x->b, text));
        return;
    }
    wh_ignore(wh_buf_addc(&x->b, '"'));
    for (; *text; text++) {
        if (*text == '"')
            wh_ignore(wh_buf_addc(&x->b, '"'));
        wh_ignore(wh_buf_addc(&x->b, *text));
    }
    wh_ignore(wh_buf_addc(&x->b, '"'));
}

/* The separator of a record as it lay in its file: the commonest of the usual ones. */
static char delimiter_of(struct wh_bytes raw)
{
    static const char usual[] = ",;\t|";
    size_t best = 0;
    char found = ',';
    for (const char *u = usual; *u; u++) {
        size_t n = 0;
        for (size_t i = 0; i < raw.n; i++)
            n += ((const char *)raw.p)[i] == *u;
        if (n > best) {
            best = n;
            found = *u;
        }
    }
    return found;
}

static bool add_name(struct export *x, const char *name, size_t n)
{
    if (x->names.n == 0)
        x->names.v = wh_arena_alloc(x->c->arena, n * sizeof(*x->names.v));
    char *copy = x->names.v ? wh_arena_strdup(x->c->arena, name) : NULL;
    if (!copy)
        return false;
    x->names.v[x->names.n++] = copy;
    return true;
}

/* Columns of a row that has none of its own: those of its source. */
static bool source_names(struct export *x, int flow)
{
    struct wh_arena *a WH_CLEANUP(wh_arena_freep) = wh_arena_new(256 << 20);
    struct wh_flow_record *flows;
    struct ArrowSchema s = {0};
    struct wh_error e;
    size_t n;
    if (!a || wh_state_flows(x->state, x->run, a, &flows, &n, &e) != WH_OK || (size_t)flow >= n ||
        !flows[flow].source_schema ||
        wh_schema_from_json(flows[flow].source_schema, strlen(flows[flow].source_schema), &s, &e) !=
            WH_OK)
        return false;
    bool ok = true;
    for (int64_t i = 0; ok && i < s.n_children; i++)
        ok = add_name(x, s.children[i]->name, (size_t)s.n_children);
    wh_schema_release(&s);
    return ok;
}

static bool header(struct export *x, const struct wh_refused *r, const struct wh_node *row)
{
    x->table = wh_arena_strdup(x->c->arena, r->table);
    x->delimiter = row ? ',' : delimiter_of(r->raw);
    for (size_t i = 0; row && i < row->n; i++)
        if (!add_name(x, row->keys[i]->text, row->n))
            return false;
    if (!row && !source_names(x, r->flow))
        return false;
    for (size_t i = 0; i < x->names.n; i++) {
        if (i)
            wh_ignore(wh_buf_addc(&x->b, x->delimiter));
        csv_cell(x, x->names.v[i]);
    }
    return wh_buf_addc(&x->b, '\n') == WH_OK && x->table;
}

static bool same_names(const struct export *x, const struct wh_node *row)
{
    bool same = row->n == x->names.n;
    for (size_t i = 0; same && i < row->n; i++)
        same = wh_node_get(row, x->names.v[i]) != NULL;
    return same;
}

/* JSON text of a row that was refused whole: its members are the columns. */
static const struct wh_node *members(struct wh_arena *a, const struct wh_refused *r)
{
    struct wh_problems p = {.arena = a};
    struct wh_node *row = NULL;
    const char *text = r->raw.p;
    if (r->row && r->row->kind == WH_NODE_MAP)
        return r->row;
    if (!r->raw.n || text[0] != '{' || wh_json_parse(a, "row", text, r->raw.n, &row, &p) != WH_OK ||
        row->kind != WH_NODE_MAP)
        return NULL;
    return row;
}

static wh_status csv_row(void *arg, const struct wh_refused *r)
{
    struct export *x = arg;
    struct wh_arena *a WH_CLEANUP(wh_arena_freep) = wh_arena_new(256 << 20);
    const struct wh_node *row = a ? members(a, r) : NULL;
    if (!row && !r->raw.n) {
        x->refused = "a row holds a character that CSV cannot";
        return WH_END;
    }
    if (x->rows++ == 0 && !header(x, r, row)) {
        x->refused = "its columns are not known";
        return WH_END;
    }
    if (strcmp(r->table, x->table) != 0)
        x->refused = "the rows are of several tables: name one behind the run";
    else if (row && !same_names(x, row))
        x->refused = "some rows were refused before, some after their columns were mapped";
    if (x->refused)
        return WH_END;
    x->cut += r->raw_cut_from > 0;
    if (!row)
        wh_ignore(wh_buf_add(&x->b, r->raw.p, r->raw.n));
    for (size_t i = 0; row && i < x->names.n; i++) {
        const struct wh_node *v = wh_node_get(row, x->names.v[i]);
        if (i)
            wh_ignore(wh_buf_addc(&x->b, x->delimiter));
        if (v && v->kind == WH_NODE_SCALAR)
            csv_cell(x, v->text);
    }
    wh_ignore(wh_buf_addc(&x->b, '\n'));
    return x->b.n < FLUSH_AT || flush(x) ? WH_OK : WH_END;
}

/* ---- both ---- */

static bool is_csv(const char *file)
{
    return file && wh_str_ends(wh_str(file), ".csv");
}

static int done(struct export *x, int64_t missing)
{
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(4096);
    if (x->file)
        wh_ignore(wh_buf_printf(&b, "wrote %lld refused row%s to %s\n", (long long)x->rows,
                                x->rows == 1 ? "" : "s", x->file));
    else if (x->rows == 0 && missing == 0)
        wh_ignore(wh_buf_printf(&b, "run %s refused no row\n", x->run));
    if (x->cut)
        wh_ignore(wh_buf_printf(&b,
                                "%lld of them only begin there: they were longer than is kept\n",
                                (long long)x->cut));
    if (missing)
        wh_ignore(wh_buf_printf(&b, "%lld more are not kept any more\n", (long long)missing));
    if (b.n && !x->c->quiet && !x->c->json)
        wh_cli_write(STDERR_FILENO, b.p, b.n);
    return 0;
}

static int end(struct export *x, int st, int64_t missing, struct wh_error *e)
{
    bool ok = st == WH_OK && !x->refused && flush(x);
    if (st == WH_OK && x->failed && x->file)
        wh_ignore(wh_fail_errno(e, errno, "E5001", "cannot write %s", x->file));
    if (x->file && close(x->fd) != 0 && ok) {
        wh_ignore(wh_fail_errno(e, errno, "E5001", "cannot write %s", x->file));
        ok = false;
    }
    wh_buf_free(&x->b);
    if (ok)
        return done(x, missing);
    if (x->file)
        unlink(x->file);
    if (x->refused)
        return wh_cli_usage(x->c, "E6032", "-o NAME.jsonl takes all rows as they are",
                            "these rows do not make one CSV file: %s", x->refused);
    return e->status ? wh_cli_fail(x->c, e) : 1;
}

int wh_cli_dirty_export(struct wh_cli *c, const struct wh_run_record *r, const char *table)
{
    bool file = c->output && strcmp(c->output, "-") != 0, csv = is_csv(c->output);
    struct export x = {.c = c,
                       .b = WH_BUF(256 << 20),
                       .fd = STDOUT_FILENO,
                       .file = file ? c->output : NULL,
                       .state = c->store,
                       .run = r->run};
    struct wh_error e = {0};
    int64_t missing = 0;
    int code = 1;
    if (file && (x.fd = wh_cli_create(c, c->output, 0600, &code)) < 0)
        return code;
    int st = wh_refused_each(c->store, r->run, table, csv ? csv_row : json_row, &x, &missing, &e);
    return end(&x, st, table ? 0 : missing, &e);
}
