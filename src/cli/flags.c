/* SPDX-License-Identifier: Apache-2.0 */
/* Flags: one table. A flag that is a setting goes into the settings tree under its job key, so that
 * the option tables of the engine judge it like a line of a job file. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"

extern char **environ;

enum flag_kind {
    F_BOOL,     /* bool at `offset` */
    F_TEXT,     /* const char * at `offset` */
    F_TEXTS,    /* struct wh_list at `offset`, appended */
    F_KEY,      /* settings: key = value */
    F_KEY_ON,   /* settings: key = true */
    F_KEY_LIST, /* settings: key = list split at commas outside () */
    F_KEY_MAP,  /* settings: key = map of NAME=VALUE split at commas */
    F_KEY_KV,   /* settings: map `key` gets one NAME=VALUE; again = list */
    F_COLUMNS,  /* --columns 'id,new=old' */
};

struct flag {
    const char *name; /* without "--" */
    char letter;      /* 0 = none */
    uint32_t groups;
    enum flag_kind kind;
    size_t offset;
    const char *key, *argument, *help;
};

#define AT(f) offsetof(struct wh_cli, f)
#define COPY  (WH_G_COPY)
#define RUN   (WH_G_RUN)

static const struct flag flags[] = {
    {"mode", 0, COPY, F_KEY, 0, "write.mode", "MODE",
     "append, overwrite, truncate, upsert, replace, update, insert-ignore, delete-insert"},
    {"key", 0, COPY | WH_G_VALIDATE, F_KEY_LIST, 0, "write.keys", "a,b", "key columns"},
    {"replace-where", 0, COPY, F_KEY, 0, "write.replace.where", "SQL",
     "what delete-insert replaces"},
    {"replace-keys", 0, COPY, F_KEY_ON, 0, "write.replace.keys", NULL,
     "delete-insert replaces the rows whose key comes"},
    {"where", 0, COPY | WH_G_PREVIEW | WH_G_VALIDATE, F_KEY, 0, "where", "SQL",
     "rows, in the source's own language, pushed down"},
    {"filter", 0, COPY, F_KEY, 0, "filter", "EXPR", "rows, in our own expressions"},
    {"query", 0, COPY | WH_G_PREVIEW, F_KEY, 0, "query", "SQL", "a SELECT instead of a table"},
    {"limit", 0, COPY | WH_G_PREVIEW, F_KEY, 0, "limit", "N", "at most N rows"},
    {"columns", 0, COPY | WH_G_VALIDATE, F_COLUMNS, 0, "columns", "id,new=old",
     "columns and their order"},
    {"types", 0, COPY | WH_G_PREVIEW | WH_G_VALIDATE, F_KEY_MAP, 0, "types", "c=TYPE,...",
     "types instead of guessed or native ones"},
    {"create", 0, COPY, F_KEY, 0, "table.create", "WHEN", "if-missing, never, recreate"},
    {"evolve", 0, COPY, F_KEY, 0, "table.evolve", "HOW", "none, add, widen"},
    {"merge", 0, COPY, F_KEY, 0, "merge", "HOW", "many tables into one: same, union, common"},
    {"split", 0, COPY, F_KEY, 0, "split", "HOW",
     "auto, none, or by=c,range=1..9,parts=N (or target_rows, target_bytes)"},
    {"dirty", 0, COPY | RUN, F_KEY_MAP, 0, "dirty", "rows=N,ratio=R",
     "refused rows that are tolerated (default rows=0)"},
    {"dirty-archive", 0, COPY, F_KEY, 0, "dirty.archive", "OBJ", "where refused rows are kept"},
    {"atomic", 0, COPY, F_KEY, 0, "write.atomic", "WHAT", "rows show per unit, table, run"},
    {"validate", 0, COPY, F_KEY, 0, "validate", "LEVEL", "off, count, stats, checksum"},
    {"guard", 0, COPY | RUN, F_KEY_MAP, 0, "guard", "empty=allow,...",
     "what may replace rows: empty, min_rows, max_shrink"},
    {"accept-lossy", 0, COPY, F_KEY_LIST, 0, "accept_lossy", "c,d",
     "columns that may lose digits or zone"},
    {"marker", 0, COPY, F_KEY, 0, "write.marker", "TABLE|off",
     "table of the markers; off: none, at least once"},
    {"from", 0, COPY | WH_G_PREVIEW | WH_G_VALIDATE, F_KEY_KV, 0, "from", "KEY=VALUE",
     "an option of the source"},
    {"to", 0, COPY | WH_G_VALIDATE, F_KEY_KV, 0, "to", "KEY=VALUE", "an option of the destination"},
    {"consistent", 0, COPY, F_KEY, 0, "run.consistent", "HOW", "try, require, off"},
    {"parallel", 'j', COPY | RUN | WH_G_VALIDATE | WH_G_LIMIT, F_KEY, 0, "run.parallel", "N",
     "units in flight (default min(4, cores))"},
    {"rate", 0, COPY | RUN | WH_G_LIMIT, F_KEY, 0, "run.limits.rate", "20MB/s", "bytes per second"},
    {"rows-per-second", 0, COPY | RUN | WH_G_LIMIT, F_KEY, 0, "run.limits.rows_per_second", "N",
     "rows per second"},
    {"memory", 0, COPY | RUN | WH_G_LIMIT, F_KEY, 0, "run.limits.memory", "SIZE",
     "resident memory (default 256MB)"},
    {"max-duration", 0, COPY | RUN, F_KEY, 0, "run.limits.max_duration", "D",
     "stop after this long, resumable (exit 7)"},
    {"lock-wait", 0, COPY | RUN, F_KEY, 0, "run.lock_wait", "D", "wait for a living owner"},
    {"strict", 0, COPY | RUN, F_KEY_ON, 0, "run.strict", NULL, "dirty rows: exit 3 instead of 0"},
    {"error-on-empty", 0, COPY | RUN, F_KEY_ON, 0, "run.error_on_empty", NULL,
     "no rows at all: exit 8"},
    {"accept-mixed", 0, COPY | RUN, F_KEY_ON, 0, "run.accept_mixed", NULL,
     "go on at a second instant after a lost snapshot"},
    {"checksum", 0, COPY | RUN, F_KEY, 0, "run.checksum", "WHAT", "rows, bytes, off"},
    {"set", 0, WH_G_JOB, F_TEXTS, AT(set), NULL, "P=V", "a parameter of the job"},
    {"scheduled", 0, WH_G_JOB, F_TEXT, AT(scheduled), NULL, "TIME", "the planned time of the run"},
    {"select", 0, WH_G_SELECT, F_TEXTS, AT(select), NULL, "STREAM[/TABLE]",
     "only these of the job; failed: what failed in its last run"},
    {"run-id", 0, WH_G_START, F_TEXT, AT(run_id), NULL, "ID", "identity instead of name and time"},
    {"fresh", 0, WH_G_START, F_BOOL, AT(fresh), NULL, NULL, "give an unfinished run up first"},
    {"again", 0, WH_G_START, F_BOOL, AT(again), NULL, NULL, "run anew what is finished"},
    {"resume-first", 0, WH_G_FIRST, F_BOOL, AT(resume_first), NULL, NULL,
     "first go on with runs of this job that are unfinished"},
    {"plan", 0, WH_G_PLAN, F_TEXT, AT(plan_file), NULL, "FILE", "do exactly this plan"},
    {"dry-run", 0, COPY | WH_G_START, F_BOOL, AT(dry_run), NULL, NULL, "plan only"},
    {"save", 0, COPY, F_TEXT, AT(save), NULL, "FILE", "write the job file"},
    {"rebuild-state", 0, WH_G_REBUILD, F_TEXT, AT(rebuild), NULL, "WHERE",
     "the state is lost: make it again from destination or job"},
    {"discard", 0, WH_G_DISCARD, F_BOOL, AT(discard), NULL, NULL,
     "give it up: drop stages and parts"},
    {"level", 0, WH_G_VALIDATE, F_TEXT, AT(level), NULL, "LEVEL",
     "count, stats, checksum (default), rows"},
    {"ignore", 0, WH_G_VALIDATE, F_TEXT, AT(ignore), NULL, "a,b", "columns that are not compared"},
    {"sample", 0, WH_G_VALIDATE, F_TEXT, AT(sample), NULL, "1%|N[,seed=S]",
     "compare values of a part of the rows only; all are counted"},
    {"as-of", 0, WH_G_VALIDATE, F_TEXT, AT(as_of), NULL, "TIME",
     "the source as it was then, where it keeps its past"},
    {"lines", 'n', WH_G_VALIDATE, F_TEXT, AT(lines), NULL, "N",
     "--level rows: at most N rows (default 20)"},
    {"output", 'o', WH_G_OUT, F_TEXT, AT(output), NULL, "FILE", "write it there"},
    {"origin", 0, WH_G_ORIGIN, F_BOOL, AT(origin), NULL, NULL, "and where each value came from"},
    {"diff", 0, WH_G_DIFF, F_BOOL, AT(diff), NULL, NULL,
     "what differs: source and destination, or a plan FILE and now"},
    {"full", 0, WH_G_FULL, F_BOOL, AT(full), NULL, NULL, "everything"},
    {"status", 0, WH_G_LIST, F_TEXT, AT(status_filter), NULL, "S", "only failed, done, ..."},
    {"since", 0, WH_G_SINCE, F_TEXT, AT(since), NULL, "WHEN",
     "begun since then: 7d, 2026-11-01, 2026-11-01T02:00:00"},
    {"lines", 'n', WH_G_LIST, F_TEXT, AT(lines), NULL, "N", "at most N lines (default 20)"},
    {"lines", 'n', WH_G_TAIL, F_TEXT, AT(lines), NULL, "N", "only the last N lines"},
    {"lines", 'n', WH_G_DIRTY, F_TEXT, AT(lines), NULL, "N", "at most N rows"},
    {"side", 0, WH_G_DIRTY, F_TEXT, AT(side), NULL, "from|raw|to",
     "export: only rows as they were read, as they lay there, as the destination got them"},
    {"all", 0, WH_G_GC, F_BOOL, AT(all), NULL, NULL, "whatever its age (asks)"},
    {"older", 0, WH_G_GC, F_TEXT, AT(older), NULL, "D", "what ended so long ago (default 30d)"},
    {"dry-run", 0, WH_G_GC, F_BOOL, AT(dry_run), NULL, NULL, "only say it"},
    {"directory", 'C', WH_G_GLOBAL, F_TEXT, AT(dir), NULL, "DIR", "work in DIR"},
    {"state", 0, WH_G_GLOBAL, F_TEXT, AT(state), NULL, "PATH", "where runs are kept"},
    {"json", 0, WH_G_GLOBAL, F_BOOL, AT(json), NULL, NULL, "for programs: one object a line"},
    {"events", 0, WH_G_GLOBAL, F_TEXT, AT(events), NULL, "FILE|FD", "events there, too"},
    {"summary", 0, WH_G_GLOBAL, F_TEXT, AT(summary), NULL, "FILE", "the last event there, too"},
    {"log-format", 0, WH_G_GLOBAL, F_TEXT, AT(log_format), NULL, "text|json", "of messages"},
    {"log-file", 0, WH_G_GLOBAL, F_TEXT, AT(log_file), NULL, "F", "messages there"},
    {"debug", 0, WH_G_GLOBAL, F_TEXT, AT(debug), NULL, "COMP",
     "tell what it does: cli, plan, engine, sql, files, state, all"},
    {"stats", 0, WH_G_GLOBAL, F_TEXT, AT(stats), NULL, "10s", "how often progress is shown"},
    {"color", 0, WH_G_GLOBAL, F_TEXT, AT(color), NULL, "WHEN", "auto, always, never"},
    {"no-progress", 0, WH_G_GLOBAL, F_BOOL, AT(no_progress), NULL, NULL, "no progress"},
    {"yes", 'y', WH_G_GLOBAL, F_BOOL, AT(yes), NULL, NULL, "consent to what asks for it"},
    {"no-input", 0, WH_G_GLOBAL, F_BOOL, AT(no_input), NULL, NULL, "never ask"},
    {"quiet", 'q', WH_G_GLOBAL, F_BOOL, AT(quiet), NULL, NULL, "errors and summary only"},
    {"verbose", 'v', WH_G_GLOBAL, F_BOOL, AT(verbose), NULL, NULL, "say more"},
    {"help", 'h', WH_G_GLOBAL, F_BOOL, AT(help), NULL, NULL, "this text"},
    {NULL, 0, 0, F_BOOL, 0, NULL, NULL, NULL},
};

static bool takes_value(const struct flag *f)
{
    return f->kind != F_BOOL && f->kind != F_KEY_ON;
}

static const struct flag *find(struct wh_str name, uint32_t groups)
{
    for (const struct flag *f = flags; f->name; f++)
        if ((f->groups & groups) && wh_str_eqs(name, f->name))
            return f;
    return NULL;
}

static const struct flag *find_letter(char c, uint32_t groups)
{
    for (const struct flag *f = flags; f->name; f++)
        if ((f->groups & groups) && f->letter == c)
            return f;
    return NULL;
}

const char *const *wh_flag_names(uint32_t groups)
{
    static const char *names[sizeof(flags) / sizeof(flags[0])];
    size_t n = 0;
    for (const struct flag *f = flags; f->name; f++)
        if (f->groups & groups)
            names[n++] = f->name;
    names[n] = NULL;
    return names;
}

int wh_flags_before(int argc, char **argv)
{
    int i = 0;
    while (i < argc && argv[i][0] == '-' && argv[i][1]) {
        const char *word = argv[i], *eq = strchr(word, '=');
        bool is_long = word[1] == '-';
        size_t n = strlen(word + 2);
        const struct flag *f =
            is_long ? find((struct wh_str){word + 2, eq ? (size_t)(eq - word - 2) : n}, WH_G_GLOBAL)
                    : find_letter(word[1], WH_G_GLOBAL);
        bool inside = is_long ? eq != NULL : n > 0; /* --state=x, -Cx, -qv */
        if (!f)
            break;
        i += f->kind == F_BOOL || inside ? 1 : 2;
    }
    return i;
}

/* ---- the settings tree ---- */

static struct wh_node *scalar(struct wh_cli *c, const char *s, size_t n)
{
    char *text = wh_arena_strndup(c->arena, s, n);
    struct wh_node *node = text ? wh_node_scalar(c->arena, text) : NULL;
    if (node)
        node->quoted = true; /* what the shell passed is text, never a YAML null */
    return node;
}

/* The map that holds the last part of a dotted key; makes what is missing. */
static struct wh_node *descend(struct wh_cli *c, const char *key, const char **ret_last)
{
    struct wh_node *map = c->settings;
    const char *dot;
    while ((dot = strchr(key, '.')) != NULL) {
        char *part = wh_arena_strndup(c->arena, key, (size_t)(dot - key));
        struct wh_node *next = part ? wh_node_get(map, part) : NULL;
        if (part && (!next || next->kind != WH_NODE_MAP)) {
            next = wh_node_map(c->arena);
            if (!next || wh_node_put(c->arena, map, part, next) != WH_OK)
                return NULL;
        }
        if (!next)
            return NULL;
        map = next;
        key = dot + 1;
    }
    *ret_last = key;
    return map;
}

static bool put(struct wh_cli *c, const char *key, struct wh_node *value)
{
    const char *last;
    struct wh_node *map = value ? descend(c, key, &last) : NULL;
    return map && wh_node_put(c->arena, map, last, value) == WH_OK;
}

/* Next piece of a comma-separated text; commas inside () and quotes do not separate. */
static bool piece(const char **s, const char **ret, size_t *ret_n)
{
    if (!**s)
        return false;
    int depth = 0;
    char quote = 0;
    const char *p = *s;
    for (; *p && (depth || quote || *p != ','); p++) {
        if (quote)
            quote = *p == quote ? 0 : quote;
        else if (*p == '"' || *p == '\'')
            quote = *p;
        else
            depth += *p == '(' ? 1 : *p == ')' && depth ? -1 : 0;
    }
    *ret = *s;
    *ret_n = (size_t)(p - *s);
    while (*ret_n && **ret == ' ')
        (*ret)++, (*ret_n)--;
    while (*ret_n && (*ret)[*ret_n - 1] == ' ')
        (*ret_n)--;
    *s = *p ? p + 1 : p;
    return true;
}

static bool put_list(struct wh_cli *c, const struct flag *f, const char *text)
{
    struct wh_node *list = wh_node_list(c->arena);
    const char *p;
    size_t n;
    while (list && piece(&text, &p, &n)) {
        struct wh_node *item = scalar(c, p, n);
        if (!item || wh_node_push(c->arena, list, item) != WH_OK)
            return false;
    }
    return put(c, f->key, list);
}

static bool bad_pair(struct wh_cli *c, const struct flag *f, const char *text)
{
    char where[64];
    snprintf(where, sizeof(where), "--%s", f->name);
    wh_problem_add(&c->problems, "E1002", where, "write NAME=VALUE", "'%s' has no '='", text);
    return true;
}

static bool put_map(struct wh_cli *c, const struct flag *f, const char *text)
{
    const char *p;
    size_t n;
    const char *last;
    struct wh_node *parent = descend(c, f->key, &last), *map = NULL;
    if (parent)
        map = wh_node_get(parent, last);
    if (parent && (!map || map->kind != WH_NODE_MAP)) {
        map = wh_node_map(c->arena);
        if (!map || wh_node_put(c->arena, parent, last, map) != WH_OK)
            return false;
    }
    while (map && piece(&text, &p, &n)) {
        const char *eq = memchr(p, '=', n);
        if (!eq || eq == p)
            return bad_pair(c, f, p);
        char *key = wh_arena_strndup(c->arena, p, (size_t)(eq - p));
        struct wh_node *v = scalar(c, eq + 1, n - (size_t)(eq + 1 - p));
        if (!key || !v || wh_node_put(c->arena, map, key, v) != WH_OK)
            return false;
    }
    return map != NULL;
}

/* --from KEY=VALUE: nested keys by dots, the same key again makes a list. */
static bool put_kv(struct wh_cli *c, const struct flag *f, const char *text)
{
    const char *eq = strchr(text, '=');
    if (!eq || eq == text)
        return bad_pair(c, f, text);
    char *key = wh_arena_printf(c->arena, "%s.%.*s", f->key, (int)(eq - text), text);
    struct wh_node *v = scalar(c, eq + 1, strlen(eq + 1));
    const char *last;
    struct wh_node *map = key ? descend(c, key, &last) : NULL, *old, *list;
    if (!map || !v)
        return false;
    old = wh_node_get(map, last);
    if (!old)
        return wh_node_put(c->arena, map, last, v) == WH_OK;
    list = old->kind == WH_NODE_LIST ? old : wh_node_list(c->arena);
    if (!list || (list != old && wh_node_push(c->arena, list, old) != WH_OK) ||
        wh_node_push(c->arena, list, v) != WH_OK)
        return false;
    return wh_node_put(c->arena, map, last, list) == WH_OK;
}

static bool put_columns(struct wh_cli *c, const struct flag *f, const char *text)
{
    struct wh_node *list = wh_node_list(c->arena);
    const char *p;
    size_t n;
    while (list && piece(&text, &p, &n)) {
        const char *eq = p[0] == '"' ? NULL : memchr(p, '=', n);
        struct wh_node *item;
        if (eq) {
            struct wh_node *to = scalar(c, p, (size_t)(eq - p));
            struct wh_node *from = scalar(c, eq + 1, n - (size_t)(eq + 1 - p));
            item = wh_node_map(c->arena);
            if (!item || !to || !from || wh_node_put(c->arena, item, "from", from) != WH_OK ||
                wh_node_put(c->arena, item, "to", to) != WH_OK)
                return false;
        } else {
            item = scalar(c, p, n);
        }
        if (!item || wh_node_push(c->arena, list, item) != WH_OK)
            return false;
    }
    return put(c, f->key, list);
}

static bool append(struct wh_cli *c, struct wh_list *l, const char *text)
{
    if ((l->n & (l->n - 1)) == 0) { /* full: room for twice as many */
        const char **v = wh_arena_alloc(c->arena, (l->n ? l->n * 2 : 1) * sizeof(*v));
        if (!v)
            return false;
        if (l->n)
            memcpy(v, l->v, l->n * sizeof(*v));
        l->v = v;
    }
    l->v[l->n++] = text;
    return true;
}

/* Remembers who said it: the last one counts. */
static bool said(struct wh_cli *c, const struct flag *f, const char *value, const char *variable)
{
    const char *eq = f->kind == F_KEY_KV && value ? strchr(value, '=') : NULL;
    char *key = eq       ? wh_arena_printf(c->arena, "%s.%.*s", f->key, (int)(eq - value), value)
                : f->key ? wh_arena_strdup(c->arena, f->key)
                         : wh_arena_printf(c->arena, "--%s", f->name);
    char *by =
        variable ? wh_arena_strdup(c->arena, variable) : wh_arena_printf(c->arena, "--%s", f->name);
    struct wh_pair *v = wh_arena_alloc(c->arena, (c->said.n + 1) * sizeof(*v));
    if (!key || !by || !v)
        return false;
    for (char *p = key; eq && *p; p++)
        *p = *p == '-' ? '_' : *p;
    if (c->said.n)
        memcpy(v, c->said.v, c->said.n * sizeof(*v));
    v[c->said.n] = (struct wh_pair){key, by};
    c->said = (struct wh_map){v, c->said.n + 1};
    return true;
}

const char *wh_flag_origin(const struct wh_cli *c, const char *key)
{
    for (size_t i = c->said.n; i > 0; i--) {
        size_t n = strlen(c->said.v[i - 1].key);
        if (strncmp(c->said.v[i - 1].key, key, n) == 0 && (key[n] == '.' || !key[n]))
            return c->said.v[i - 1].value;
    }
    return NULL;
}

/* variable: the one of the environment that holds it, or NULL. */
static bool apply(struct wh_cli *c, const struct flag *f, const char *value, const char *variable)
{
    void *at = (char *)c + f->offset;
    if (value && takes_value(f) && !*value) {
        char where[64];
        snprintf(where, sizeof(where), "--%s", f->name);
        wh_problem_add(&c->problems, "E1008", where, "say 'none' if nothing is meant",
                       "--%s got an empty value (a shell variable that is not set?)", f->name);
        return true;
    }
    if (!said(c, f, value, variable))
        return false;
    switch (f->kind) {
    case F_BOOL:
        *(bool *)at = true;
        return true;
    case F_TEXT:
        *(const char **)at = value;
        return true;
    case F_TEXTS:
        return append(c, at, value);
    case F_KEY:
        return put(c, f->key, scalar(c, value, strlen(value)));
    case F_KEY_ON:
        return put(c, f->key, wh_node_scalar(c->arena, "true"));
    case F_KEY_LIST:
        return put_list(c, f, value);
    case F_KEY_MAP:
        return put_map(c, f, value);
    case F_KEY_KV:
        return put_kv(c, f, value);
    case F_COLUMNS:
        return put_columns(c, f, value);
    }
    return false;
}

/* ---- words ---- */

/* Flags of the interface that this version does not offer: what to do instead. */
static const struct {
    const char *name, *hint;
} later[] = {
    {"since", "'--where' with the bounds; 'wherry history --since' lists runs"},
    {"until", "'--where' with the bounds"},
    {"replace-partitions", "--replace-where SQL names the rows that are replaced"},
    {"server", "every run is a process of its own; wherry status and watch show it"},
    {NULL, NULL},
};

static bool not_offered(struct wh_cli *c, const struct wh_command *cmd, struct wh_str name)
{
    for (size_t i = 0; later[i].name; i++)
        if (wh_str_eqs(name, later[i].name)) {
            wh_problem_add(&c->problems, "E1014", "command line", later[i].hint,
                           "--%s of '%s' is not part of this version", later[i].name, cmd->name);
            return true;
        }
    return false;
}

static void unknown_flag(struct wh_cli *c, const struct wh_command *cmd, struct wh_str name)
{
    char hint[160] = "";
    const char *near = wh_did_you_mean(name, wh_flag_names(cmd->groups | WH_G_GLOBAL));
    if (not_offered(c, cmd, name))
        return;
    if (find(name, ~0u))
        snprintf(hint, sizeof(hint), "'wherry %s' does not take it; see wherry %s --help",
                 cmd->name, cmd->name);
    else if (near)
        snprintf(hint, sizeof(hint), "did you mean --%s?", near);
    else
        snprintf(hint, sizeof(hint), "wherry %s --help lists the flags", cmd->name);
    wh_problem_add(&c->problems, "E1010", "command line", hint, "unknown flag --%.*s",
                   WH_STR_FMT(name));
}

static bool long_flag(struct wh_cli *c, const struct wh_command *cmd, int argc, char **argv, int *i)
{
    const char *word = argv[*i] + 2, *eq = strchr(word, '=');
    char name[64];
    size_t n = eq ? (size_t)(eq - word) : strlen(word);
    snprintf(name, sizeof(name), "%.*s", (int)(n < 63 ? n : 63), word);
    for (char *p = name; *p; p++)
        if (*p == '_')
            *p = '-';
    const struct flag *f = find(wh_str(name), cmd->groups | WH_G_GLOBAL);
    if (!f) {
        unknown_flag(c, cmd, wh_str(name));
        return true;
    }
    const char *value = eq ? eq + 1 : NULL;
    if (takes_value(f) && !value) {
        if (*i + 1 >= argc) {
            wh_problem_add(&c->problems, "E1002", "command line", NULL, "--%s needs a value (%s)",
                           f->name, f->argument);
            return true;
        }
        value = argv[++*i];
    } else if (!takes_value(f) && value) {
        wh_problem_add(&c->problems, "E1002", "command line", NULL, "--%s takes no value", f->name);
        return true;
    }
    return apply(c, f, value, NULL);
}

static bool short_flags(struct wh_cli *c, const struct wh_command *cmd, int argc, char **argv,
                        int *i)
{
    for (const char *p = argv[*i] + 1; *p; p++) {
        const struct flag *f = find_letter(*p, cmd->groups | WH_G_GLOBAL);
        if (!f) {
            wh_problem_add(&c->problems, "E1010", "command line", "wherry --help lists the flags",
                           "unknown flag -%c", *p);
            return true;
        }
        if (!takes_value(f)) {
            if (!apply(c, f, NULL, NULL))
                return false;
            continue;
        }
        const char *value = p[1] ? p + 1 : *i + 1 < argc ? argv[++*i] : NULL;
        if (!value)
            wh_problem_add(&c->problems, "E1002", "command line", NULL, "-%c needs a value (%s)",
                           *p, f->argument);
        return value ? apply(c, f, value, NULL) : true;
    }
    return true;
}

/* WHERRY_<FLAG>: below flags, above everything else. */
static bool from_environment(struct wh_cli *c, const struct wh_command *cmd)
{
    for (char **e = environ; *e; e++) {
        if (strncmp(*e, "WHERRY_", 7) != 0)
            continue;
        char name[64];
        size_t n = strcspn(*e + 7, "=");
        if (n >= sizeof(name) || (*e)[7 + n] != '=')
            continue;
        for (size_t i = 0; i < n; i++) {
            char ch = (*e)[7 + i];
            name[i] = ch == '_' ? '-' : ch >= 'A' && ch <= 'Z' ? (char)(ch + 32) : ch;
        }
        name[n] = 0;
        const struct flag *f = find(wh_str(name), ~0u);
        if (!f && strcmp(name, "modules") != 0 && strcmp(name, "test-cache") != 0)
            wh_problem_warn(&c->problems, "E1010", "environment", NULL,
                            "%.*s is no setting of wherry", (int)(7 + n), *e);
        if (!f || !(f->groups & (cmd->groups | WH_G_GLOBAL)))
            continue;
        const char *value = *e + 8 + n;
        bool on = false;
        if (!takes_value(f) && (!wh_parse_bool(value, &on) || !on))
            continue;
        const char *variable = wh_arena_strndup(c->arena, *e, 7 + n);
        if (!variable || !apply(c, f, takes_value(f) ? value : NULL, variable))
            return false;
    }
    return true;
}

/* The variable, if that is where a problem of "key: ..." comes from. */
static const char *from_variable(const struct wh_cli *c, const char *message)
{
    for (size_t i = 0; i < c->said.n; i++) {
        const char *key = c->said.v[i].key, *dot = strrchr(key, '.');
        const char *last = dot ? dot + 1 : key;
        size_t n = strlen(last);
        if (strncmp(c->said.v[i].value, "WHERRY_", 7) == 0 && strncmp(message, last, n) == 0 &&
            message[n] == ':')
            return c->said.v[i].value;
    }
    return NULL;
}

void wh_flags_blame(struct wh_cli *c)
{
    for (size_t i = 0; i < c->problems.n; i++) {
        struct wh_problem *p = &c->problems.v[i];
        const char *variable =
            strcmp(p->where, "command line") == 0 ? from_variable(c, p->message) : NULL;
        if (variable)
            p->where = variable;
    }
}

bool wh_flags_parse(struct wh_cli *c, const struct wh_command *cmd, int argc, char **argv)
{
    bool ok = from_environment(c, cmd), only_words = false;
    for (int i = 0; i < argc && ok; i++) {
        if (!only_words && strcmp(argv[i], "--") == 0)
            only_words = true;
        else if (!only_words && strncmp(argv[i], "--", 2) == 0)
            ok = long_flag(c, cmd, argc, argv, &i);
        else if (!only_words && argv[i][0] == '-' && argv[i][1])
            ok = short_flags(c, cmd, argc, argv, &i);
        else
            ok = append(c, &c->args, argv[i]);
    }
    return ok;
}

bool wh_flag_at(const struct wh_cli *c, size_t i, uint32_t groups, struct wh_flag_seen *ret)
{
    const struct flag *f = flags;
    for (;; f++) {
        if (!f->name)
            return false;
        if ((f->groups & groups) && i-- == 0)
            break;
    }
    const void *at = (const char *)c + f->offset;
    *ret = (struct wh_flag_seen){.name = f->name,
                                 .key = f->key,
                                 .argument = f->argument,
                                 .help = f->help,
                                 .letter = f->letter,
                                 .global = f->groups & WH_G_GLOBAL,
                                 .takes_value = takes_value(f)};
    if (c && f->kind == F_TEXT)
        ret->value = *(const char *const *)at;
    else if (c && f->kind == F_BOOL)
        ret->value = *(const bool *)at ? "true" : NULL;
    return true;
}

void wh_flags_help(const struct wh_command *cmd, struct wh_buf *out)
{
    for (int global = 0; global < 2; global++) {
        uint32_t groups = global ? WH_G_GLOBAL : cmd->groups & ~(uint32_t)WH_G_GLOBAL;
        if (!groups)
            continue;
        wh_ignore(wh_buf_adds(out, global ? "\nEverywhere:\n" : "\nFlags:\n"));
        for (const struct flag *f = flags; f->name; f++) {
            char left[64];
            if (!(f->groups & groups))
                continue;
            snprintf(left, sizeof(left), "  %c%c%s --%s%s%s", f->letter ? '-' : ' ',
                     f->letter ? f->letter : ' ', f->letter ? "," : " ", f->name,
                     f->argument ? " " : "", f->argument ? f->argument : "");
            wh_ignore(wh_buf_printf(out, "%-36s %s\n", left, f->help));
        }
    }
}
