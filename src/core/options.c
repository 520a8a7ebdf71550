/* SPDX-License-Identifier: Apache-2.0 */
#include "core/options.h"

#include "core/log.h"
#include "core/options_row.h"

#include <math.h>
#include <string.h>

/* One value on its way into its field. */
struct setting {
    const struct wh_option *row;
    void *field;
    struct wh_arena *arena;
    const char *where;
    struct wh_problems *problems;
    bool grows; /* a LIST or MAP keeps what it has: flags are repeated */
};

/* Bytes of a user's value that a message repeats. */
#define SHOWN 80

#define FIELD(s, type) (*(type *)(s)->field)

/* ---- names --------------------------------------------------------------------------------- */

bool wh_key_eq(struct wh_str a, const char *b)
{
    for (size_t i = 0; i < a.n; i++) {
        char x = a.s[i] == '-' ? '_' : a.s[i], y = b[i] == '-' ? '_' : b[i];

        if (!b[i] || x != y)
            return false;
    }
    return b[a.n] == 0;
}

static bool has_alias(const struct wh_option *row, struct wh_str key)
{
    const char *p = row->aliases;

    while (p && *p) {
        size_t n = strcspn(p, ",");

        if (n == key.n && strncmp(p, key.s, n) == 0)
            return true;
        p += n + (p[n] == ',');
    }
    return false;
}

const struct wh_option *wh_options_find(const struct wh_options *table, struct wh_str key)
{
    for (const struct wh_option *row = table->rows; row->name; row++)
        if (wh_key_eq(key, row->name))
            return row;
    for (const struct wh_option *row = table->rows; row->name; row++)
        if (has_alias(row, key))
            return row;
    return NULL;
}

static void unknown_key(const struct wh_options *table, const char *key, const char *where,
                        struct wh_problems *problems)
{
    const char *names[256], *hint = NULL;
    size_t n = 0;

    for (const struct wh_option *row = table->rows; row->name && n < 255; row++)
        names[n++] = row->name;
    names[n] = NULL;
    const char *near = wh_did_you_mean(wh_str(key), names);

    if (near)
        hint = wh_arena_printf(problems->arena, "did you mean '%s'?", near);
    wh_problem_add(problems, "E1001", where, hint, "unknown setting '%s' of %s", key, table->what);
}

/* ---- one value ----------------------------------------------------------------------------- */

static bool no_memory(const struct setting *s)
{
    wh_problem_add(s->problems, "E8002", s->where, NULL, "%s: out of memory", s->row->name);
    return false;
}

static bool not_a(const struct setting *s, const char *text, const char *what, const char *hint)
{
    struct wh_str shown = wh_str_clip(wh_str(text), SHOWN);

    wh_problem_add(s->problems, "E1002", s->where, hint, "%s: '%.*s' is not %s", s->row->name,
                   WH_STR_FMT(shown), what);
    return false;
}

/* Rows that say 0..0 have no range. Sizes and durations are named as people type them. */
static bool in_range(const struct setting *s, int64_t v)
{
    const struct wh_option *row = s->row;
    char text[3][32];

    if ((row->min == 0 && row->max == 0) || (v >= row->min && v <= row->max))
        return true;
    wh_option_number(row->type, v, text[0]);
    wh_option_number(row->type, row->min, text[1]);
    wh_option_number(row->type, row->max, text[2]);
    wh_problem_add(s->problems, "E1003", s->where, NULL, "%s: %s is outside of %s..%s", row->name,
                   text[0], text[1], text[2]);
    return false;
}

/* "none" stands for 0 where 0 is allowed: no limit, no timeout. */
static bool says_none(const struct setting *s, const char *text)
{
    return strcmp(text, "none") == 0 && s->row->min <= 0;
}

static bool set_i64(const struct setting *s, const char *text)
{
    int64_t v = 0;

    if (!says_none(s, text) && !wh_parse_i64(text, &v))
        return not_a(s, text, "a whole number", NULL);
    if (!in_range(s, v))
        return false;
    FIELD(s, int64_t) = v;
    return true;
}

static bool set_size(const struct setting *s, const char *text)
{
    int64_t v = 0;

    if (!says_none(s, text) && !wh_parse_size(text, &v))
        return not_a(s, text, "a size", "write 64MB (10^6 bytes), 64MiB (2^20) or plain bytes");
    if (!in_range(s, v))
        return false;
    FIELD(s, int64_t) = v;
    return true;
}

static bool set_duration(const struct setting *s, const char *text)
{
    int64_t v = 0;

    if (!says_none(s, text) && !wh_parse_duration(text, &v))
        return not_a(s, text, "a duration", "write 250ms, 10s, 5m, 2h or 1d");
    if (!in_range(s, v))
        return false;
    FIELD(s, int64_t) = v;
    return true;
}

static bool set_double(const struct setting *s, const char *text)
{
    double lo = s->row->fmin, hi = s->row->fmax, v;

    if (!wh_parse_double(text, &v))
        return not_a(s, text, "a number", NULL);
    if ((lo != 0 || hi != 0) && (v < lo || v > hi)) {
        wh_problem_add(s->problems, "E1003", s->where, NULL, "%s: %g is outside of %g..%g",
                       s->row->name, v, lo, hi);
        return false;
    }
    FIELD(s, double) = v;
    return true;
}

static bool set_bool(const struct setting *s, const char *text)
{
    bool v;

    if (!wh_parse_bool(text, &v))
        return not_a(s, text, "true or false", NULL);
    FIELD(s, bool) = v;
    return true;
}

static const char *list_choices(const struct setting *s)
{
    struct wh_buf buf WH_CLEANUP(wh_buf_free) = WH_BUF(1000);
    int st = wh_buf_adds(&buf, "one of");

    for (const struct wh_enum *e = s->row->values; e->name && st == WH_OK; e++)
        if (!e->unavailable)
            st = wh_buf_printf(&buf, "%s %s", buf.n > 6 ? "," : "", e->name);
    return st == WH_OK ? wh_arena_strdup(s->problems->arena, buf.p) : NULL;
}

static bool unknown_choice(const struct setting *s, const char *text)
{
    const char *names[64], *hint = list_choices(s);
    size_t n = 0;

    for (const struct wh_enum *e = s->row->values; e->name && n < 63; e++)
        names[n++] = e->name;
    names[n] = NULL;
    const char *near = wh_did_you_mean(wh_str(text), names);

    if (near && hint)
        hint = wh_arena_printf(s->problems->arena, "did you mean '%s'? %s", near, hint);
    struct wh_str shown = wh_str_clip(wh_str(text), SHOWN);

    wh_problem_add(s->problems, "E1002", s->where, hint, "%s: '%.*s' is not known", s->row->name,
                   WH_STR_FMT(shown));
    return false;
}

static bool set_enum(const struct setting *s, const char *text)
{
    for (const struct wh_enum *e = s->row->values; e->name; e++) {
        if (!wh_key_eq(wh_str(text), e->name))
            continue;
        if (e->unavailable) {
            wh_problem_add(s->problems, "E1004", s->where, list_choices(s),
                           "%s: '%s' is not available: %s", s->row->name, e->name, e->unavailable);
            return false;
        }
        FIELD(s, int) = e->value;
        return true;
    }
    return unknown_choice(s, text);
}

static bool set_char(const struct setting *s, const char *text)
{
    int v;

    if (!wh_parse_char(text, &v))
        return not_a(s, text, "one character",
                     "write it, or tab comma semicolon pipe space none ctrl-a \\t \\x01");
    FIELD(s, int) = v;
    return true;
}

static bool set_string(const struct setting *s, const char *text)
{
    int64_t max = s->row->max; /* characters; 0 = any */

    if (max > 0 && wh_utf8_chars(text, strlen(text)) > max) {
        wh_problem_add(s->problems, "E1003", s->where, NULL, "%s: longer than %lld characters",
                       s->row->name, (long long)max);
        return false;
    }
    const char *copy = wh_arena_strdup(s->arena, text);

    if (!copy)
        return no_memory(s);
    FIELD(s, const char *) = copy;
    return true;
}

static bool set_cron(const struct setting *s, const char *text)
{
    if (!wh_cron_valid(text))
        return not_a(s, text, "a cron line",
                     "five fields: minute hour day month weekday, as in '15 2 * * *'");
    return set_string(s, text);
}

static void wipe_secret(struct wh_secret *secret)
{
    if (secret->text)
        wh_wipe(secret->text, strlen(secret->text));
    wh_free(secret->text);
    secret->text = NULL;
}

static bool set_secret(const struct setting *s, const char *text)
{
    char *copy = wh_strdup(text);

    if (!copy)
        return no_memory(s);
    wh_log_secret(text);
    wipe_secret(&FIELD(s, struct wh_secret));
    FIELD(s, struct wh_secret).text = copy;
    return true;
}

/* ---- lists and maps ------------------------------------------------------------------------ */

static bool push(const struct setting *s, struct wh_list *list, const char *item, size_t n)
{
    const char **grown = wh_arena_alloc(s->arena, (list->n + 1) * sizeof *grown);
    const char *copy = wh_arena_strndup(s->arena, item, n);

    if (!grown || !copy)
        return no_memory(s);
    if (list->n)
        memcpy(grown, list->v, list->n * sizeof *grown);
    grown[list->n] = copy;
    *list = (struct wh_list){grown, list->n + 1};
    return true;
}

/* Length of the next item of "a,f(b,c),'d,e'". */
static size_t item_length(const char *p)
{
    int depth = 0;
    char quote = 0;
    size_t n = 0;

    for (; p[n]; n++) {
        if (quote)
            quote = p[n] == quote ? 0 : quote;
        else if (p[n] == '"' || p[n] == '\'')
            quote = p[n];
        else if (strchr("([{", p[n]))
            depth++;
        else if (strchr(")]}", p[n]))
            depth--;
        else if (p[n] == ',' && depth <= 0)
            break;
    }
    return n;
}

/* Calls `each` for every item between commas, blanks around it taken off. */
static bool split(const struct setting *s, const char *text,
                  bool (*each)(const struct setting *, void *, const char *, size_t), void *arg)
{
    for (;;) {
        text += strspn(text, " \t\n");
        size_t n = item_length(text), end = n;

        while (end > 0 && strchr(" \t\n", text[end - 1]))
            end--;
        if (end == 0) {
            wh_problem_add(s->problems, "E1008", s->where, NULL, "%s: an item is empty",
                           s->row->name);
            return false;
        }
        if (!each(s, arg, text, end))
            return false;
        if (!text[n])
            return true;
        text += n + 1;
    }
}

static bool push_item(const struct setting *s, void *arg, const char *item, size_t n)
{
    return push(s, arg, item, n);
}

static bool equals_default(const struct setting *s)
{
    return s->row->def && wh_option_is_default(s->row, s->field);
}

/* A flag that is given first replaces the default; given again it adds to what was given. */
static struct wh_list kept_list(const struct setting *s)
{
    return s->grows && !equals_default(s) ? FIELD(s, struct wh_list) : (struct wh_list){0};
}

static struct wh_map kept_map(const struct setting *s)
{
    return s->grows && !equals_default(s) ? FIELD(s, struct wh_map) : (struct wh_map){0};
}

static bool set_list(const struct setting *s, const char *text)
{
    struct wh_list list = kept_list(s);

    if (!push(s, &list, text, strlen(text)))
        return false;
    FIELD(s, struct wh_list) = list;
    return true;
}

static bool set_columns(const struct setting *s, const char *text)
{
    struct wh_list list = kept_list(s);

    if (!split(s, text, push_item, &list))
        return false;
    FIELD(s, struct wh_list) = list;
    return true;
}

static bool put(const struct setting *s, struct wh_map *map, const char *key, size_t key_n,
                const char *value, size_t value_n)
{
    const char *k = wh_arena_strndup(s->arena, key, key_n);
    const char *v = wh_arena_strndup(s->arena, value, value_n);

    if (!k || !v)
        return no_memory(s);
    for (size_t i = 0; i < map->n; i++) {
        if (strcmp(map->v[i].key, k) == 0) {
            map->v[i].value = v;
            return true;
        }
    }
    struct wh_pair *grown = wh_arena_alloc(s->arena, (map->n + 1) * sizeof *grown);

    if (!grown)
        return no_memory(s);
    if (map->n)
        memcpy(grown, map->v, map->n * sizeof *grown);
    grown[map->n] = (struct wh_pair){k, v};
    *map = (struct wh_map){grown, map->n + 1};
    return true;
}

static bool put_item(const struct setting *s, void *arg, const char *item, size_t n)
{
    const char *equals = memchr(item, '=', n);

    if (!equals || equals == item) {
        struct wh_str shown = wh_str_clip((struct wh_str){item, n}, SHOWN);

        wh_problem_add(s->problems, "E1002", s->where, "write key=value,key=value",
                       "%s: '%.*s' is not key=value", s->row->name, WH_STR_FMT(shown));
        return false;
    }
    size_t key_n = (size_t)(equals - item);

    return put(s, arg, item, key_n, equals + 1, n - key_n - 1);
}

static bool set_map(const struct setting *s, const char *text)
{
    struct wh_map map = kept_map(s);

    if (!split(s, text, put_item, &map))
        return false;
    FIELD(s, struct wh_map) = map;
    return true;
}

/* ---- from a document ----------------------------------------------------------------------- */

static bool (*const setters[])(const struct setting *, const char *text) = {
    [WH_T_STRING] = set_string,     [WH_T_SECRET] = set_secret, [WH_T_I64] = set_i64,
    [WH_T_BOOL] = set_bool,         [WH_T_DOUBLE] = set_double, [WH_T_SIZE] = set_size,
    [WH_T_DURATION] = set_duration, [WH_T_ENUM] = set_enum,     [WH_T_CHAR] = set_char,
    [WH_T_LIST] = set_list,         [WH_T_MAP] = set_map,       [WH_T_COLUMNS] = set_columns,
    [WH_T_CRON] = set_cron,
};

static bool wrong_kind(const struct setting *s, const struct wh_node *value)
{
    static const char *const kinds[] = {"nothing", "a text", "a list", "a map"};
    bool list = s->row->type == WH_T_LIST || s->row->type == WH_T_COLUMNS;
    const char *form = list                       ? "write [a, b]"
                       : s->row->type == WH_T_MAP ? "write { key: value }"
                                                  : "write one value; check the indentation";

    wh_problem_add(s->problems, "E1041", s->where, form, "%s: expected %s, found %s", s->row->name,
                   wh_option_type_name(s->row->type), kinds[value->kind]);
    return false;
}

static bool empty_value(const struct setting *s, const char *word)
{
    bool character = s->row->type == WH_T_CHAR;

    if (*word)
        wh_problem_add(s->problems, "E1008", s->where, "quote it, or remove the key",
                       "%s: %s without quotes is no value", s->row->name, word);
    else
        wh_problem_add(s->problems, "E1008", s->where,
                       character ? "quote the character; for no character write none"
                                 : "give a value, or remove the key",
                       "%s: the value is empty", s->row->name);
    return false;
}

static bool set_list_node(const struct setting *s, const struct wh_node *value)
{
    struct wh_list list = {0};

    for (size_t i = 0; i < value->n; i++) {
        const struct wh_node *item = value->items[i];

        if (item->kind == WH_NODE_NULL)
            return empty_value(s, item->text);
        if (item->kind != WH_NODE_SCALAR)
            return wrong_kind(s, item);
        if (!push(s, &list, item->text, strlen(item->text)))
            return false;
    }
    FIELD(s, struct wh_list) = list;
    return true;
}

static bool set_map_node(const struct setting *s, const struct wh_node *value)
{
    struct wh_map map = {0};

    for (size_t i = 0; i < value->n; i++) {
        const struct wh_node *key = value->keys[i], *item = value->items[i];

        if (item->kind == WH_NODE_NULL)
            return empty_value(s, item->text);
        if (item->kind != WH_NODE_SCALAR)
            return wrong_kind(s, item);
        if (!put(s, &map, key->text, strlen(key->text), item->text, strlen(item->text)))
            return false;
    }
    FIELD(s, struct wh_map) = map;
    return true;
}

static bool set_node(const struct setting *s, const struct wh_node *value)
{
    enum wh_option_type type = s->row->type;

    if (value->kind == WH_NODE_LIST)
        return type == WH_T_LIST || type == WH_T_COLUMNS ? set_list_node(s, value)
                                                         : wrong_kind(s, value);
    if (value->kind == WH_NODE_MAP)
        return type == WH_T_MAP ? set_map_node(s, value) : wrong_kind(s, value);
    /* `zero_date: null` can only mean the choice of that name. */
    bool choice = type == WH_T_ENUM && *value->text;

    if (value->kind == WH_NODE_NULL && !choice)
        return empty_value(s, value->text);
    if (!*value->text && !(type == WH_T_STRING && value->quoted))
        return empty_value(s, "");
    return setters[type](s, value->text);
}

static struct setting setting_of(const struct wh_option *row, void *out, struct wh_arena *arena,
                                 const char *where, struct wh_problems *problems)
{
    return (struct setting){.row = row,
                            .field = (char *)out + row->offset,
                            .arena = arena,
                            .where = where,
                            .problems = problems};
}

bool wh_options_set(const struct wh_options *table, void *out, struct wh_arena *arena,
                    const char *key, const struct wh_node *value, const char *where,
                    struct wh_problems *problems)
{
    const struct wh_option *row = wh_options_find(table, wh_str(key));

    if (!row) {
        unknown_key(table, key, where, problems);
        return false;
    }
    const struct setting s = setting_of(row, out, arena, where, problems);

    return set_node(&s, value);
}

bool wh_options_set_map(const struct wh_options *table, void *out, struct wh_arena *arena,
                        const struct wh_node *map, const char *file, struct wh_problems *problems)
{
    bool ok = true;

    if (!map || map->kind == WH_NODE_NULL)
        return true;
    if (map->kind != WH_NODE_MAP) {
        wh_problem_add(problems, "E1041", wh_node_where(problems->arena, file, map), NULL,
                       "the settings of %s are a map", table->what);
        return false;
    }
    for (size_t i = 0; i < map->n; i++) {
        const struct wh_node *key = map->keys[i];
        const struct wh_node *at = map->items[i]->line ? map->items[i] : key;

        if (strncmp(key->text, "x-", 2) == 0)
            continue;
        if (!wh_options_find(table, wh_str(key->text)))
            at = key;
        ok &= wh_options_set(table, out, arena, key->text, map->items[i],
                             wh_node_where(problems->arena, file, at), problems);
    }
    return ok;
}

/* "page.size" when `page` is a map: one pair of it. */
static const struct wh_option *find_map_part(const struct wh_options *table, const char *key,
                                             const char **ret_part)
{
    const char *dot = strchr(key, '.');
    const struct wh_option *row =
        dot ? wh_options_find(table, (struct wh_str){key, (size_t)(dot - key)}) : NULL;

    *ret_part = dot ? dot + 1 : NULL;
    return row && row->type == WH_T_MAP && dot[1] ? row : NULL;
}

bool wh_options_set_text(const struct wh_options *table, void *out, struct wh_arena *arena,
                         const char *key, const char *text, const char *where,
                         struct wh_problems *problems)
{
    const struct wh_option *row = wh_options_find(table, wh_str(key));
    const char *part = NULL;

    if (!row)
        row = find_map_part(table, key, &part);
    if (!row) {
        unknown_key(table, key, where, problems);
        return false;
    }
    struct setting s = setting_of(row, out, arena, where, problems);

    s.grows = true;
    if (!*text)
        return empty_value(&s, "");
    if (!part)
        return setters[row->type](&s, text);
    struct wh_map map = kept_map(&s);

    if (!put(&s, &map, part, strlen(part), text, strlen(text)))
        return false;
    FIELD(&s, struct wh_map) = map;
    return true;
}

/* ---- defaults, required, secrets ----------------------------------------------------------- */

/* What a required option without a default holds until it is set; pointers are NULL. */
#define UNSET_ENUM (-1)
#define UNSET_CHAR (-2)
#define UNSET_I64  INT64_MIN

static void mark_unset(const struct wh_option *row, void *field)
{
    switch (row->type) {
    case WH_T_ENUM:
        *(int *)field = UNSET_ENUM;
        break;
    case WH_T_CHAR:
        *(int *)field = UNSET_CHAR;
        break;
    case WH_T_I64:
    case WH_T_SIZE:
    case WH_T_DURATION:
        *(int64_t *)field = UNSET_I64;
        break;
    case WH_T_DOUBLE:
        *(double *)field = NAN;
        break;
    default:
        break;
    }
}

bool wh_option_is_unset(const struct wh_option *row, const void *field)
{
    bool marked = (row->flags & WH_OPT_REQUIRED) && !row->def;

    switch (row->type) {
    case WH_T_STRING:
    case WH_T_CRON:
        return *(const char *const *)field == NULL;
    case WH_T_SECRET:
        return ((const struct wh_secret *)field)->text == NULL;
    case WH_T_LIST:
    case WH_T_COLUMNS:
        return ((const struct wh_list *)field)->n == 0;
    case WH_T_MAP:
        return ((const struct wh_map *)field)->n == 0;
    case WH_T_ENUM:
        return marked && *(const int *)field == UNSET_ENUM;
    case WH_T_CHAR:
        return marked && *(const int *)field == UNSET_CHAR;
    case WH_T_DOUBLE:
        return marked && isnan(*(const double *)field);
    case WH_T_I64:
    case WH_T_SIZE:
    case WH_T_DURATION:
        return marked && *(const int64_t *)field == UNSET_I64;
    case WH_T_BOOL:
        return false;
    }
    return false;
}

int wh_options_init(const struct wh_options *table, void *out, struct wh_arena *arena)
{
    /* A list by itself: a table's own mistake must not appear among the user's. */
    struct wh_problems mistakes = {.arena = arena};

    for (const struct wh_option *row = table->rows; row->name; row++) {
        const struct setting s = setting_of(row, out, arena, table->what, &mistakes);

        if (!row->def && (row->flags & WH_OPT_REQUIRED))
            mark_unset(row, s.field);
        if (row->def && *row->def && !setters[row->type](&s, row->def))
            return mistakes.n && strcmp(mistakes.v[0].code, "E8002") != 0 ? WH_E_BUG : WH_E_NOMEM;
        if (row->def && !*row->def && row->type == WH_T_STRING)
            *(const char **)s.field = "";
    }
    return WH_OK;
}

void wh_options_finish(const struct wh_options *table, const void *out, const char *where,
                       struct wh_problems *problems)
{
    for (const struct wh_option *row = table->rows; row->name; row++) {
        const void *field = (const char *)out + row->offset;

        if ((row->flags & WH_OPT_REQUIRED) && wh_option_is_unset(row, field))
            wh_problem_add(problems, "E1005", where, row->help, "%s: required setting of %s",
                           row->name, table->what);
    }
}

void wh_options_wipe(const struct wh_options *table, void *out)
{
    for (const struct wh_option *row = table->rows; row->name; row++)
        if (row->type == WH_T_SECRET)
            wipe_secret((struct wh_secret *)((char *)out + row->offset));
}
