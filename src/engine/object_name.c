/* SPDX-License-Identifier: Apache-2.0 */
/* Names of objects: text to parts, patterns, and back. */
#include "engine/object.h"

#include <ctype.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    PARTS_MAX = 4,
    REPEAT_MAX = 1000
};

bool wh_part_is_pattern(const struct wh_part *part)
{
    return part->kind == WH_PART_GLOB || part->kind == WH_PART_REGEX || part->kind == WH_PART_LIST;
}

/* Position after a {template} that begins at `i`, or i if it never closes. */
static size_t skip_braces(struct wh_str text, size_t i)
{
    const char *close = memchr(text.s + i, '}', text.n - i);

    return close ? (size_t)(close - text.s) + 1 : i;
}

/* Where a quoted part or a regular expression that begins at `i` ends (past its closing character);
 * 0 if it never does. */
static size_t closing(struct wh_str text, size_t i)
{
    char quote = text.s[i];

    for (size_t j = i + 1; j < text.n; j++) {
        if (quote == '/' && text.s[j] == '\\') {
            j++;
            continue;
        }
        if (text.s[j] != quote)
            continue;
        if (quote == '"' && j + 1 < text.n && text.s[j + 1] == '"') {
            j++;
            continue;
        }
        return j + 1;
    }
    return 0;
}

static char *unquote(struct wh_arena *arena, struct wh_str inner)
{
    char *out = wh_arena_alloc(arena, inner.n + 1);
    size_t n = 0;

    for (size_t i = 0; out && i < inner.n; i++) {
        out[n++] = inner.s[i];
        if (inner.s[i] == '"')
            i++; /* doubled */
    }
    return out;
}

/* Checks that the expression compiles, so that a mistake is told with its place. */
static bool check_regex(const struct wh_part *part, const char *where, struct wh_problems *problems)
{
    struct wh_matcher *matcher;
    struct wh_error err;
    int st = wh_matcher_new(part, &matcher, &err);

    if (st == WH_OK)
        wh_matcher_free(matcher);
    else
        wh_problem_add(problems, "E1025", where,
                       "write regular expressions between slashes and in single quotes", "%s",
                       err.message);
    return st == WH_OK;
}

/* One part at text[*i]; moves *i behind it. */
static bool read_part(struct wh_arena *arena, struct wh_str text, size_t *i, bool dots,
                      const char *where, struct wh_part *ret, struct wh_problems *problems)
{
    size_t start = *i, end = start;
    char first = start < text.n ? text.s[start] : 0;

    *ret = (struct wh_part){.kind = WH_PART_NAME};
    if (first == '"' || first == '/') {
        end = closing(text, start);
        if (!end) {
            wh_problem_add(problems, "E1025", where, NULL, "%s in '%.*s' is not closed",
                           first == '"' ? "the quote" : "the regular expression", WH_STR_FMT(text));
            return false;
        }
        struct wh_str inner = {text.s + start + 1, end - start - 2};

        ret->kind = first == '"' ? WH_PART_QUOTED : WH_PART_REGEX;
        ret->text =
            first == '"' ? unquote(arena, inner) : wh_arena_strndup(arena, inner.s, inner.n);
        if (first == '/' && end < text.n && text.s[end] == 'i') {
            ret->ignore_case = true;
            end++;
        }
        if (ret->text && first == '/' && !check_regex(ret, where, problems))
            return false;
    } else {
        for (end = start; end < text.n && !(dots && text.s[end] == '.'); end++) {
            size_t after = text.s[end] == '{' ? skip_braces(text, end) : end;

            if (after > end)
                end = after - 1;
            else if (strchr("*?[", text.s[end]))
                ret->kind = WH_PART_GLOB;
        }
        ret->text = wh_arena_strndup(arena, text.s + start, end - start);
    }
    *i = end;
    if (!ret->text)
        wh_problem_add(problems, "E8002", where, NULL, "out of memory");
    return ret->text;
}

bool wh_part_parse(struct wh_arena *arena, struct wh_str text, const char *where,
                   struct wh_part *ret, struct wh_problems *problems)
{
    size_t i = 0;

    if (!read_part(arena, text, &i, false, where, ret, problems))
        return false;
    if (i < text.n) {
        wh_problem_add(problems, "E1020", where, NULL, "'%.*s': nothing may follow after the %s",
                       WH_STR_FMT(text), ret->kind == WH_PART_QUOTED ? "quoted name" : "pattern");
        return false;
    }
    return true;
}

bool wh_name_parse(struct wh_arena *arena, const char *text, const char *where,
                   struct wh_objref *ret, struct wh_problems *problems)
{
    struct wh_part *parts = wh_arena_alloc(arena, PARTS_MAX * sizeof *parts);
    struct wh_str t = wh_str(text);
    size_t i = 0;
    int n = 0;

    if (!parts) {
        wh_problem_add(problems, "E8002", where, NULL, "out of memory");
        return false;
    }
    ret->parts = parts;
    ret->name = (struct wh_name){.n = 0};
    for (; i < t.n || (n > 0 && i == t.n); i++) {
        if (n == PARTS_MAX) {
            wh_problem_add(problems, "E1020", where, "put names that hold dots into double quotes",
                           "'%s' has more than %d parts", text, PARTS_MAX);
            return false;
        }
        if (!read_part(arena, t, &i, true, where, &parts[n], problems))
            return false;
        if (!parts[n].text[0] || (i < t.n && t.s[i] != '.')) {
            wh_problem_add(
                problems, "E1020", where,
                "put names that hold special characters into double quotes", "%s in '%s'",
                parts[n].text[0] ? "a dot is missing after a quoted part" : "empty name", text);
            return false;
        }
        ret->name.part[n] = wh_str(parts[n].text);
        ret->pattern |= wh_part_is_pattern(&parts[n]);
        ret->name.n = ++n;
        if (i == t.n)
            break;
    }
    return true;
}

/* ---- matching ---------------------------------------------------------------------------------
 */

struct wh_matcher {
    const struct wh_part *part;
    regex_t regex;
    bool compiled;
    struct wh_matcher **items; /* LIST */
};

bool wh_regex_posix(const char *text, char out[WH_REGEX_MAX])
{
    size_t n = 0;
    bool in_class = false;

    for (const char *p = text; *p; p++) {
        const char *put = NULL;

        if (*p == '\\' && (p[1] == 'd' || (p[1] == 'D' && !in_class))) {
            put = in_class ? "0-9" : p[1] == 'd' ? "[0-9]" : "[^0-9]";
            p++;
        } else if (*p == '\\' && p[1] == '/') {
            put = "/";
            p++;
        } else if (*p == '\\' && p[1] && !in_class) {
            if (n + 2 >= WH_REGEX_MAX)
                return false;
            out[n++] = *p++;
        } else if (*p == '[') {
            in_class = true;
        } else if (*p == ']') {
            in_class = false;
        }
        size_t len = put ? strlen(put) : 1;

        if (n + len >= WH_REGEX_MAX)
            return false;
        memcpy(out + n, put ? put : p, len);
        n += len;
    }
    out[n] = 0;
    return true;
}

/* A group of an expression that is being measured, and the last thing in it, which a repetition
 * would repeat. */
struct level {
    long cost;       /* of what stands before the last thing */
    bool empty;      /* that can match nothing */
    bool any_empty;  /* as can one of the branches before this one */
    long item;       /* cost of the last thing, 0: none yet */
    bool item_empty; /* it can match nothing */
};

struct measure {
    struct level level[32];
    int depth;
    long repeated; /* states under repetitions */
};

static void next_item(struct level *l, long cost, bool empty)
{
    l->cost += l->item;
    l->empty &= l->item_empty;
    l->item = cost;
    l->item_empty = empty;
}

static void next_branch(struct level *l)
{
    next_item(l, 0, true);
    l->any_empty |= l->empty;
    l->empty = true;
    l->cost++;
}

static void close_group(struct measure *m)
{
    struct level *inner = &m->level[m->depth--];

    next_branch(inner);
    next_item(&m->level[m->depth], inner->cost, inner->any_empty);
}

/* The last byte of the [class] at `p`, or of the pattern. */
static const char *last_of_class(const char *p)
{
    p += 1 + (p[1] == '^');
    p += *p == ']';
    p += strcspn(p, "]");
    return *p ? p : p - 1;
}

/* A number of repetitions; what is far beyond any bound is only that. */
static long bound_at(const char *p)
{
    long n = strtol(p, NULL, 10);

    return n < 100000 ? n : 100000;
}

/* The repetition at `p`; false: it makes the expression too dear. */
static bool repeat(struct measure *m, const char *p)
{
    struct level *l = &m->level[m->depth];
    const char *comma = p + 1 + strspn(p + 1, "0123456789");
    bool bounds = *p == '{', open = bounds && comma[0] == ',' && !isdigit((unsigned char)comma[1]);
    long least = bounds ? bound_at(p + 1) : *p == '+';
    long times = !bounds                  ? 1 + (*p == '+')
                 : *comma == ',' && !open ? bound_at(comma + 1) + 1
                                          : least + 1;

    if (times > 300 || ((open || *p == '*' || *p == '+') && l->item_empty))
        return false;
    l->item = l->item * times + 1;
    l->item_empty |= least == 0;
    m->repeated += l->item;
    return m->repeated <= REPEAT_MAX;
}

/* Whether glibc can compile and match a pattern in reasonable time and memory. It copies what is
 * repeated, so that "a+++++" or nested bounds cost exponential memory; states under a repetition
 * cost their square for each byte of a name ("(a{0,255}b?){0,30}" takes a minute); and to compile a
 * loop around what can be empty, as in "(a*b?)*", has no bound, as matching back-references has
 * none. Plain text is cheap. */
bool wh_regex_bounded(const char *p)
{
    struct measure m = {.level[0] = {.empty = true, .item_empty = true}};

    for (; *p; p++) {
        struct level *l = &m.level[m.depth];

        if (*p == '(') {
            if (++m.depth == 32)
                return false;
            m.level[m.depth] = (struct level){.empty = true, .item_empty = true};
        } else if (*p == ')' && m.depth) {
            close_group(&m);
        } else if (*p == '|') {
            next_branch(l);
        } else if (strchr("*?+{", *p)) {
            if (!l->item)
                return true; /* regcomp says what is wrong */
            if (!repeat(&m, p))
                return false;
            p += *p == '{' ? strcspn(p, "}") - (p[strcspn(p, "}")] == 0) : 0;
        } else if (*p == '\\' && p[1]) {
            if (isdigit((unsigned char)*++p))
                return false;
            next_item(l, 1, strchr("bB<>`'", *p));
        } else {
            next_item(l, 1, *p == '^' || *p == '$');
            p = *p == '[' ? last_of_class(p) : p;
        }
    }
    return true;
}

static int compile(struct wh_matcher *m, struct wh_error *reterr)
{
    char text[WH_REGEX_MAX], why[160];

    if (!wh_regex_posix(m->part->text, text))
        return wh_fail(reterr, WH_E_USAGE, "E1025", "regular expression of more than %d bytes",
                       WH_REGEX_MAX);
    if (!wh_regex_bounded(text))
        return wh_fail(reterr, WH_E_USAGE, "E1025",
                       "regular expression /%s/ is too complex, or refers back (\\1)",
                       m->part->text);
    int st = regcomp(&m->regex, text, REG_EXTENDED | (m->part->ignore_case ? REG_ICASE : 0));

    if (st != 0) {
        regerror(st, &m->regex, why, sizeof why);
        return wh_fail(reterr, WH_E_USAGE, "E1025", "regular expression /%s/: %s", m->part->text,
                       why);
    }
    m->compiled = true;
    return WH_OK;
}

static int compile_items(struct wh_matcher *m, struct wh_error *reterr)
{
    m->items = wh_calloc(m->part->n + 1, sizeof *m->items);
    if (!m->items)
        return wh_fail(reterr, WH_E_NOMEM, "E8002", "out of memory");
    for (size_t i = 0; i < m->part->n; i++)
        WH_TRY(wh_matcher_new(&m->part->items[i], &m->items[i], reterr));
    return WH_OK;
}

int wh_matcher_new(const struct wh_part *part, struct wh_matcher **ret, struct wh_error *reterr)
{
    struct wh_matcher *m = wh_calloc(1, sizeof *m);
    int st = WH_OK;

    if (!m)
        return wh_fail(reterr, WH_E_NOMEM, "E8002", "out of memory");
    m->part = part;
    if (part->kind == WH_PART_REGEX)
        st = compile(m, reterr);
    else if (part->kind == WH_PART_LIST)
        st = compile_items(m, reterr);
    if (st != WH_OK) {
        wh_matcher_free(m);
        return st;
    }
    *ret = m;
    return WH_OK;
}

void wh_matcher_free(struct wh_matcher *m)
{
    if (!m)
        return;
    if (m->compiled)
        regfree(&m->regex);
    for (size_t i = 0; m->items && m->items[i]; i++)
        wh_matcher_free(m->items[i]);
    wh_free(m->items);
    wh_free(m);
}

/* REG_STARTEND is not everywhere; names are short, so a terminated copy is made. */
static bool match_regex(const struct wh_matcher *m, struct wh_str name)
{
    char text[1024];
    regmatch_t at;

    if (name.n >= sizeof text || memchr(name.s, 0, name.n))
        return false;
    memcpy(text, name.s, name.n);
    text[name.n] = 0;
    /* Leftmost-longest: if the whole name can match, this is the match that is found. */
    return regexec(&m->regex, text, 1, &at, 0) == 0 && at.rm_so == 0 && (size_t)at.rm_eo == name.n;
}

bool wh_matcher_match(const struct wh_matcher *m, struct wh_str name, bool ignore_case)
{
    switch (m->part->kind) {
    case WH_PART_NAME:
        return ignore_case ? wh_str_ieqs(name, m->part->text) : wh_str_eqs(name, m->part->text);
    case WH_PART_QUOTED:
        return wh_str_eqs(name, m->part->text);
    case WH_PART_GLOB:
        return wh_glob_match(m->part->text, name, ignore_case);
    case WH_PART_REGEX:
        return match_regex(m, name);
    case WH_PART_LIST:
        for (size_t i = 0; m->items[i]; i++)
            if (wh_matcher_match(m->items[i], name, ignore_case))
                return true;
        return false;
    }
    return false;
}

/* ---- back to text ------------------------------------------------------------------------------
 */

static bool plain_name(struct wh_str name)
{
    for (size_t i = 0; i < name.n; i++)
        if (strchr(".\"*?[/{ ", name.s[i]))
            return false;
    return name.n > 0;
}

int wh_name_print(const struct wh_name *name, struct wh_buf *out)
{
    for (int i = 0; i < name->n; i++) {
        if (i)
            WH_TRY(wh_buf_addc(out, '.'));
        if (plain_name(name->part[i]) || name->n == 1) { /* a path stays as it is */
            WH_TRY(wh_buf_add(out, name->part[i].s, name->part[i].n));
            continue;
        }
        WH_TRY(wh_buf_addc(out, '"'));
        for (size_t j = 0; j < name->part[i].n; j++) {
            if (name->part[i].s[j] == '"')
                WH_TRY(wh_buf_addc(out, '"'));
            WH_TRY(wh_buf_addc(out, name->part[i].s[j]));
        }
        WH_TRY(wh_buf_addc(out, '"'));
    }
    return WH_OK;
}

/* Longest known ending at the end of `name`, compared without case. */
static size_t ending(struct wh_str name)
{
    static const char *const endings[] = {
        ".enc",     ".gz",   ".zst",  ".bz2",   ".lz4", ".sz",  ".snappy", ".deflate", ".zip",
        ".tgz",     ".tbz2", ".tzst", ".tar",   ".csv", ".tsv", ".jsonl",  ".ndjson",  ".json",
        ".parquet", ".orc",  ".avro", ".arrow", ".txt", ".dat", ".db",     ".sqlite",  ".sqlite3"};

    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++) {
        size_t n = strlen(endings[i]);

        if (name.n > n && wh_str_ieqs((struct wh_str){name.s + name.n - n, n}, endings[i]))
            return n;
    }
    return 0;
}

/* What stands before a pattern, without the joint: orders_*.csv -> orders. */
static struct wh_str before_pattern(struct wh_str name)
{
    for (size_t i = 0; i < name.n; i++)
        if (strchr("*?[", name.s[i]))
            name.n = i;
    while (name.n > 1 && strchr("_-. ", name.s[name.n - 1]))
        name.n--;
    return name;
}

/* Cuts the last part off a path; *ret_rest is what stood before its slash. */
static struct wh_str last_part(struct wh_str path, struct wh_str *ret_rest)
{
    const char *slash = path.n ? memrchr(path.s, '/', path.n) : NULL;
    size_t n = slash ? (size_t)(slash - path.s) : 0;

    *ret_rest = (struct wh_str){path.s, n};
    return slash ? (struct wh_str){slash + 1, path.n - n - 1} : path;
}

const char *wh_source_name(struct wh_arena *arena, const struct wh_name *name)
{
    struct wh_str last = name->n ? name->part[name->n - 1] : WH_STR(""), rest;

    if (wh_str_eqs(last, "-"))
        return "stdin";
    if (name->n > 1)
        return wh_arena_strndup(arena, last.s, last.n);
    /* A folder, or nothing but a pattern, has the folder's name. */
    for (struct wh_str path = last; path.n; path = rest) {
        last = last_part(path, &rest);
        for (size_t n = ending(last); n; n = ending(last))
            last.n -= n;
        last = before_pattern(last);
        if (last.n && !wh_str_eqs(last, ".") && !wh_str_eqs(last, ".."))
            return wh_arena_strndup(arena, last.s, last.n);
    }
    return "data";
}

/* ---- braces ------------------------------------------------------------------------------------
 */

static bool push(struct wh_list *list, size_t cap, const char *text)
{
    if (list->n == cap)
        return false;
    list->v[list->n++] = text;
    return true;
}

static bool expand(struct wh_arena *arena, const char *text, size_t cap, struct wh_list *ret);

static bool join(struct wh_arena *arena, struct wh_str before, struct wh_str choice,
                 const char *after, size_t cap, struct wh_list *ret)
{
    char *text =
        wh_arena_printf(arena, "%.*s%.*s%s", WH_STR_FMT(before), WH_STR_FMT(choice), after);

    return text && expand(arena, text, cap, ret);
}

/* "01..64" with the width of its first number. */
static bool range(struct wh_str inner, long *lo, long *hi, int *width)
{
    char *end;
    const char *dots = inner.n < 40 ? memmem(inner.s, inner.n, "..", 2) : NULL;

    if (!dots || dots == inner.s || !isdigit((unsigned char)inner.s[0]) ||
        !isdigit((unsigned char)dots[2]))
        return false;
    *lo = strtol(inner.s, &end, 10);
    if (end != dots)
        return false;
    *hi = strtol(dots + 2, &end, 10);
    *width = inner.s[0] == '0' ? (int)(dots - inner.s) : 0;
    return end == inner.s + inner.n && *lo <= *hi;
}

static bool expand(struct wh_arena *arena, const char *text, size_t cap, struct wh_list *ret)
{
    const char *open = strchr(text, '{'), *close = open ? strchr(open, '}') : NULL;
    char number[24];
    long lo, hi;
    int width;

    if (!open)
        return push(ret, cap, text);
    if (!close)
        return false;
    struct wh_str before = {text, (size_t)(open - text)};
    struct wh_str inner = {open + 1, (size_t)(close - open - 1)};

    if (range(inner, &lo, &hi, &width)) {
        for (long v = lo; v <= hi; v++) {
            snprintf(number, sizeof number, "%0*ld", width, v);
            if (!join(arena, before, wh_str(number), close + 1, cap, ret))
                return false;
        }
        return true;
    }
    if (!memchr(inner.s, ',', inner.n))
        return false;
    for (size_t i = 0; i <= inner.n;) {
        const char *comma = memchr(inner.s + i, ',', inner.n - i);
        size_t n = comma ? (size_t)(comma - inner.s) - i : inner.n - i;

        if (!join(arena, before, (struct wh_str){inner.s + i, n}, close + 1, cap, ret))
            return false;
        i += n + 1;
    }
    return true;
}

bool wh_brace_expand(struct wh_arena *arena, const char *text, size_t cap, struct wh_list *ret)
{
    *ret = (struct wh_list){.v = wh_arena_alloc(arena, cap * sizeof(char *))};
    return ret->v && expand(arena, text, cap, ret);
}
