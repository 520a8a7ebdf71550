/* SPDX-License-Identifier: Apache-2.0 */
/* wherry dirty export: refused rows as JSON lines with all that is known of them, or (-o NAME.csv)
 * as the bare rows of one table, ready to be mended and copied. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "data/type.h"
#include "engine/refused.h"

enum {
    FLUSH_AT = 1 << 20,
    TABLES_TOLD = 5,
};

/* What a refused row is: as it was read, as it lay in the source where it could not be read, or
 * mapped for the destination. */
enum side {
    SIDE_FROM,
    SIDE_RAW,
    SIDE_TO,
    SIDES
};
static const char *const side_names[] = {"from", "raw", "to", NULL};

/* What is there, seen before the first row is written as CSV. */
struct survey {
    int64_t rows[SIDES], lines, votes[4]; /* lines: without names; votes: for a separator of them */
    struct wh_list tables;                /* the first ones */
    bool more_tables;
    struct wh_list names[2]; /* of the first row that has some: as it was read, as it was mapped */
    int flow;
    bool mapped, narrow; /* wh_refused_maps */
    bool uneven, broken; /* rows of one kind differ; JSON that cannot be read */
};

struct export
{
    struct wh_cli *c;
    struct wh_buf b;
    int fd;
    const char *file;
    int64_t rows, cut;
    int side; /* only that one; -1: all */
    /* CSV */
    struct wh_state *state;
    const char *run, *asked; /* asked: the table that was named, or NULL */
    struct survey seen;
    struct wh_list names;
    struct wh_list places; /* columns that tell where a row stood: no part of it */
    int64_t left_out;      /* rows of which only the beginning is kept */
    char left_at[160];     /* where the first of them stood */
    char delimiter;
    const char *refused; /* why it cannot be one CSV file */
    char hint[320];
    bool failed; /* writing */
};

static enum side side_of(const struct wh_refused *r)
{
    return r->raw.n ? SIDE_RAW : r->mapped ? SIDE_TO : SIDE_FROM;
}

static bool wanted(const struct export *x, const struct wh_refused *r)
{
    return x->side < 0 || x->side == (int)side_of(r);
}

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
    if (!wanted(x, r))
        return WH_OK;
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

static const char usual[] = ",;\t|";

static bool add_name(struct wh_arena *a, struct wh_list *l, const char *name, size_t n)
{
    if (l->n == 0)
        l->v = wh_arena_alloc(a, n * sizeof(*l->v));
    char *copy = l->v ? wh_arena_strdup(a, name) : NULL;
    if (!copy)
        return false;
    l->v[l->n++] = copy;
    return true;
}

static bool is_place(const struct export *x, const char *name)
{
    for (size_t i = 0; i < x->places.n; i++)
        if (strcmp(x->places.v[i], name) == 0)
            return true;
    return false;
}

/* Columns of the source: those of rows that have none of their own, and those that only tell where
 * a row stood. */
static bool source_names(struct export *x, struct wh_list *names)
{
    struct wh_arena *a WH_CLEANUP(wh_arena_freep) = wh_arena_new(256 << 20);
    struct wh_flow_record *flows;
    struct ArrowSchema s = {0};
    struct wh_str place;
    struct wh_error e;
    size_t n, flow = (size_t)x->seen.flow;
    if (!a || wh_state_flows(x->state, x->run, a, &flows, &n, &e) != WH_OK || flow >= n ||
        !flows[flow].source_schema ||
        wh_schema_from_json(flows[flow].source_schema, strlen(flows[flow].source_schema), &s, &e) !=
            WH_OK)
        return false;
    bool ok = true;
    for (int64_t i = 0; ok && i < s.n_children; i++)
        ok = add_name(x->c->arena,
                      wh_meta_get(s.children[i], WH_META_PLACE, &place) ? &x->places : names,
                      s.children[i]->name, (size_t)s.n_children);
    wh_schema_release(&s);
    return ok;
}

static bool holds(const struct wh_list *names, const char *name)
{
    for (size_t i = 0; i < names->n; i++)
        if (strcmp(names->v[i], name) == 0)
            return true;
    return false;
}

/* Without those that only tell a place. */
static bool same_names(const struct export *x, const struct wh_list *names,
                       const struct wh_list *others)
{
    bool same = true;
    for (size_t i = 0; same && i < names->n; i++)
        same = is_place(x, names->v[i]) || holds(others, names->v[i]);
    for (size_t i = 0; same && i < others->n; i++)
        same = is_place(x, others->v[i]) || holds(names, others->v[i]);
    return same;
}

static bool row_names(struct wh_arena *a, const struct wh_node *row, struct wh_list *ret)
{
    bool ok = true;
    *ret = (struct wh_list){0};
    for (size_t i = 0; ok && i < row->n; i++)
        ok = add_name(a, ret, row->keys[i]->text, row->n);
    return ok;
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

static bool see_table(struct export *x, const char *table)
{
    struct survey *s = &x->seen;
    for (size_t i = 0; i < s->tables.n; i++)
        if (strcmp(s->tables.v[i], table) == 0)
            return true;
    s->more_tables = s->tables.n == TABLES_TOLD;
    return s->more_tables || add_name(x->c->arena, &s->tables, table, TABLES_TOLD);
}

static bool see_names(struct export *x, const struct wh_refused *r, const struct wh_node *row,
                      struct wh_arena *a)
{
    struct survey *s = &x->seen;
    struct wh_list *first = &s->names[r->mapped], now;
    if (first->n == 0)
        return row_names(x->c->arena, row, first);
    if (!row_names(a, row, &now))
        return false;
    s->uneven |= !same_names(x, first, &now);
    return true;
}

static wh_status see_row(void *arg, const struct wh_refused *r)
{
    struct export *x = arg;
    struct survey *s = &x->seen;
    struct wh_arena *a WH_CLEANUP(wh_arena_freep) = wh_arena_new(256 << 20);
    const struct wh_node *row = a ? members(a, r) : NULL;
    bool ok = a && see_table(x, r->table);
    if (!wanted(x, r) || r->raw_cut_from)
        return ok ? WH_OK : WH_E_NOMEM;
    s->flow = r->flow;
    s->rows[side_of(r)]++;
    s->lines += !row;
    for (size_t i = 0; !row && i < r->raw.n; i++)
        for (size_t k = 0; k < 4; k++)
            s->votes[k] += ((const char *)r->raw.p)[i] == usual[k];
    s->broken |= !row && (!r->raw.n || ((const char *)r->raw.p)[0] == '{');
    return ok && (!row || see_names(x, r, row, a)) ? WH_OK : WH_E_NOMEM;
}

/* A word of a command line to be copied. */
static void shell_word(struct wh_buf *b, const char *text)
{
    static const char fine[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:";
    if (*text && text[strspn(text, fine)] == 0) {
        wh_ignore(wh_buf_adds(b, text));
        return;
    }
    wh_ignore(wh_buf_addc(b, '\''));
    for (; *text; text++)
        wh_ignore(*text == '\'' ? wh_buf_adds(b, "'\\''") : wh_buf_addc(b, *text));
    wh_ignore(wh_buf_addc(b, '\''));
}

/* "wherry dirty export RUN TABLE --side SIDE -o NAME.PART.csv" */
static void command(struct export *x, struct wh_buf *b, const char *table, const char *side)
{
    const char *out = x->c->output, *part = side ? side : table;
    int n = (int)strlen(out) - 4;
    wh_ignore(wh_buf_printf(b, "%swherry dirty export %s ", b->n ? "; " : "", x->run));
    if (table)
        shell_word(b, table);
    wh_ignore(
        wh_buf_printf(b, "%s%s%s -o ", table ? " " : "", side ? "--side " : "", side ? side : ""));
    const char *name = wh_arena_printf(x->c->arena, "%.*s.%s.csv", n, out, part);
    shell_word(b, name ? name : out);
}

static void refuse_tables(struct export *x)
{
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(64 << 10),
                    hint WH_CLEANUP(wh_buf_free) = WH_BUF(64 << 10);
    const struct survey *s = &x->seen;
    for (size_t i = 0; i < s->tables.n; i++)
        wh_ignore(wh_buf_printf(&b, "%s%s", i ? ", " : "", s->tables.v[i]));
    x->refused = wh_arena_printf(x->c->arena, "they are of several tables (%s%s)", b.n ? b.p : "?",
                                 s->more_tables ? ", ..." : "");
    for (size_t i = 0; i < s->tables.n && i < 2; i++)
        command(x, &hint, s->tables.v[i], NULL);
    snprintf(x->hint, sizeof(x->hint), "one file a table: %s%s", hint.n ? hint.p : "?",
             s->tables.n > 2 ? "; and so on" : "");
}

/* Rows of several kinds that are laid out differently: a file each. */
static void refuse_sides(struct export *x)
{
    static const char *const what[] = {"as they were read", "as they lay in the source",
                                       "as they were mapped for the destination"};
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(4096),
                    hint WH_CLEANUP(wh_buf_free) = WH_BUF(64 << 10);
    for (int i = 0; i < SIDES; i++) {
        if (x->seen.rows[i] == 0)
            continue;
        wh_ignore(
            wh_buf_printf(&b, "%s%lld %s", b.n ? ", " : "", (long long)x->seen.rows[i], what[i]));
        command(x, &hint, x->asked, side_names[i]);
    }
    x->refused = strchr(b.n ? b.p : "", ',') ? wh_arena_strdup(x->c->arena, b.p)
                                             : "the names of their columns were not read";
    snprintf(x->hint, sizeof(x->hint), "%s%s", strchr(b.n ? b.p : "", ',') ? "a file each: " : "",
             hint.n ? hint.p : "-o NAME.jsonl takes all rows as they are");
}

/* What stands at the top, if the rows make one file. */
static void choose_names(struct export *x, const struct wh_list *source, bool known)
{
    const struct survey *s = &x->seen;
    const struct wh_list *all = s->lines ? source : s->names[0].n ? &s->names[0] : &s->names[1];
    if (s->lines && !s->narrow && !known)
        x->refused = "its columns are not known";
    for (size_t i = 0; i < all->n && !x->refused && !(s->lines && s->narrow); i++) {
        if (is_place(x, all->v[i]))
            continue;
        if (!add_name(x->c->arena, &x->names, all->v[i], all->n))
            x->refused = "there is no memory for their columns";
        if (x->names.n > 1)
            wh_ignore(wh_buf_addc(&x->b, x->delimiter));
        csv_cell(x, all->v[i]);
    }
    if (x->names.n)
        wh_ignore(wh_buf_addc(&x->b, '\n'));
}

/* Rows of several kinds that one header does not fit. */
static bool differ(const struct export *x, const struct wh_list *source)
{
    const struct survey *s = &x->seen;
    const struct wh_list *any = s->names[0].n ? &s->names[0] : &s->names[1];
    if (s->uneven || (s->mapped && s->rows[SIDE_TO]) || (s->narrow && s->lines))
        return true;
    if (s->names[0].n && s->names[1].n && !same_names(x, &s->names[0], &s->names[1]))
        return true;
    return s->lines && source->n && any->n && !same_names(x, any, source);
}

/* Whether the rows make one CSV file, and what is at its top. */
static int survey(struct export *x, struct wh_error *e)
{
    struct survey *s = &x->seen;
    struct wh_list source = {0};
    WH_TRY(wh_refused_each(x->state, x->run, x->asked, see_row, x, NULL, e));
    if (s->tables.n > 1)
        refuse_tables(x);
    if (s->tables.n != 1)
        return WH_OK;
    WH_TRY(wh_refused_maps(x->state, x->run, s->tables.v[0], &s->mapped, &s->narrow, e));
    int kinds = (s->rows[SIDE_FROM] > 0) + (s->rows[SIDE_RAW] > 0) + (s->rows[SIDE_TO] > 0);
    bool known = s->rows[SIDE_FROM] + s->rows[SIDE_RAW] > 0 && source_names(x, &source);
    if (s->broken)
        x->refused = "one of them is text that was no row";
    else if ((kinds > 1 && differ(x, &source)) || (s->narrow && s->lines && x->side < 0))
        refuse_sides(x);
    else if (s->uneven)
        x->refused = "their columns differ";
    for (size_t k = 1, best = 0; k < 4; k++) {
        best = s->votes[k] > s->votes[best] ? k : best;
        x->delimiter = usual[best];
    }
    choose_names(x, &source, known);
    return WH_OK;
}

static bool fits(const struct export *x, const struct wh_node *row)
{
    bool same = true;
    for (size_t i = 0; same && i < row->n; i++)
        same = is_place(x, row->keys[i]->text) || holds(&x->names, row->keys[i]->text);
    for (size_t i = 0; same && i < x->names.n; i++)
        same = wh_node_get(row, x->names.v[i]) != NULL;
    return same;
}

static wh_status csv_row(void *arg, const struct wh_refused *r)
{
    struct export *x = arg;
    struct wh_arena *a WH_CLEANUP(wh_arena_freep) = wh_arena_new(256 << 20);
    const struct wh_node *row = a ? members(a, r) : NULL;
    if (!wanted(x, r))
        return WH_OK;
    if (r->raw_cut_from) {
        if (x->left_out++ == 0)
            snprintf(x->left_at, sizeof(x->left_at), "%s", r->position);
        return WH_OK;
    }
    if ((!row && !r->raw.n) || (row && !fits(x, row))) {
        x->refused = row ? "their columns differ" : "a row holds a character that CSV cannot";
        return WH_END;
    }
    x->rows++;
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

static const char *how_to_copy(const struct survey *s)
{
    if (s->lines && s->narrow)
        return "without a header: put the first line of the source before it, copy it like that\n";
    if (s->mapped && s->rows[SIDE_TO])
        return "in the destination's columns: copy it without 'columns'\n";
    return s->mapped ? "in the columns that were read: copy it with the 'columns' of the job\n"
                     : "";
}

static int done(struct export *x, int64_t missing)
{
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(4096);
    if (x->file)
        wh_ignore(wh_buf_printf(&b, "wrote %lld refused row%s to %s\n", (long long)x->rows,
                                x->rows == 1 ? "" : "s", x->file));
    else if (x->rows == 0 && missing == 0)
        wh_ignore(wh_buf_printf(&b, "run %s refused no row\n", x->run));
    if (x->file && x->rows)
        wh_ignore(wh_buf_adds(&b, how_to_copy(&x->seen)));
    if (x->cut)
        wh_ignore(wh_buf_printf(&b,
                                "%lld of them only begin there: they were longer than is kept\n",
                                (long long)x->cut));
    if (x->left_out)
        wh_ignore(
            wh_buf_printf(&b,
                          "%lld more %s left out: only the beginning is kept of a row that is "
                          "too large (%s); the source has it whole\n",
                          (long long)x->left_out, x->left_out == 1 ? "is" : "are", x->left_at));
    if (missing)
        wh_ignore(wh_buf_printf(&b, "%lld more are not kept any more\n", (long long)missing));
    if (b.n && !x->c->quiet && !x->c->json)
        wh_cli_write(STDERR_FILENO, b.p, b.n);
    return x->left_out ? 3 : 0;
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
        return wh_cli_usage(x->c, "E6032",
                            x->hint[0] ? x->hint : "-o NAME.jsonl takes all rows as they are",
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
                       .side = -1,
                       .delimiter = ',',
                       .state = c->store,
                       .run = r->run,
                       .asked = table};
    struct wh_error e = {0};
    int64_t missing = 0;
    int code = 1;
    while (c->side && ++x.side < SIDES && strcmp(side_names[x.side], c->side) != 0)
        ;
    if (x.side == SIDES)
        return wh_cli_usage(c, "E1002", "from, raw or to", "--side '%s' is none", c->side);
    if (file && (x.fd = wh_cli_create(c, c->output, 0600, &code)) < 0)
        return code;
    int st = csv ? survey(&x, &e) : WH_OK;
    if (st == WH_OK && !x.refused)
        st = wh_refused_each(c->store, r->run, table, csv ? csv_row : json_row, &x, &missing, &e);
    return end(&x, st, table ? 0 : missing, &e);
}
