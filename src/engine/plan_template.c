/* SPDX-License-Identifier: Apache-2.0 */
/* Name templates of destinations: {source.schema}, {source.table|lower}, filters of INTERFACE 4. */
#include "engine/plan_internal.h"

#include <ctype.h>
#include <regex.h>
#include <string.h>

enum {
    NAME_MAX_BYTES = 4096
};

bool wh_template_in(struct wh_str text)
{
    return text.n && memmem(text.s, text.n, "{source.", 8);
}

/* ---- filters ----------------------------------------------------------------------------------
 */

struct filter {
    const char *name;
    int arguments;
    int (*apply)(struct wh_str in, struct wh_str a, struct wh_str b, struct wh_buf *out,
                 struct wh_error *reterr);
};

static int lower(struct wh_str in, struct wh_str a, struct wh_str b, struct wh_buf *out,
                 struct wh_error *reterr)
{
    for (size_t i = 0; i < in.n; i++)
        WH_TRY(wh_buf_addc(out, (char)tolower((unsigned char)in.s[i])));
    return WH_OK;
}

static int upper(struct wh_str in, struct wh_str a, struct wh_str b, struct wh_buf *out,
                 struct wh_error *reterr)
{
    for (size_t i = 0; i < in.n; i++)
        WH_TRY(wh_buf_addc(out, (char)toupper((unsigned char)in.s[i])));
    return WH_OK;
}

/* OrderItems, order-items, HTTPCode -> order_items, order_items, http_code */
static int snake(struct wh_str in, struct wh_str a, struct wh_str b, struct wh_buf *out,
                 struct wh_error *reterr)
{
    for (size_t i = 0; i < in.n; i++) {
        unsigned char c = (unsigned char)in.s[i], before = i ? (unsigned char)in.s[i - 1] : 0;
        unsigned char after = i + 1 < in.n ? (unsigned char)in.s[i + 1] : 0;
        bool start = isupper(c) &&
                     (islower(before) || isdigit(before) || (isupper(before) && islower(after)));
        bool joint = !isalnum(c) && c < 0x80;

        if ((start || joint) && out->n && out->p[out->n - 1] != '_')
            WH_TRY(wh_buf_addc(out, '_'));
        if (!joint)
            WH_TRY(wh_buf_addc(out, (char)tolower(c)));
    }
    return WH_OK;
}

static int replace(struct wh_str in, struct wh_str a, struct wh_str b, struct wh_buf *out,
                   struct wh_error *reterr)
{
    size_t i = 0;

    if (a.n == 0)
        return wh_buf_add(out, in.s, in.n);
    while (i < in.n) {
        if (in.n - i >= a.n && memcmp(in.s + i, a.s, a.n) == 0) {
            WH_TRY(wh_buf_add(out, b.s, b.n));
            i += a.n;
        } else {
            WH_TRY(wh_buf_addc(out, in.s[i++]));
        }
    }
    return WH_OK;
}

static int prefix(struct wh_str in, struct wh_str a, struct wh_str b, struct wh_buf *out,
                  struct wh_error *reterr)
{
    WH_TRY(wh_buf_add(out, a.s, a.n));
    return wh_buf_add(out, in.s, in.n);
}

static int suffix(struct wh_str in, struct wh_str a, struct wh_str b, struct wh_buf *out,
                  struct wh_error *reterr)
{
    WH_TRY(wh_buf_add(out, in.s, in.n));
    return wh_buf_add(out, a.s, a.n);
}

static int add_match(const char *text, const regmatch_t *m, struct wh_str with, struct wh_buf *out)
{
    for (size_t i = 0; i < with.n; i++) {
        if (with.s[i] != '\\' || i + 1 == with.n || !isdigit((unsigned char)with.s[i + 1])) {
            WH_TRY(wh_buf_addc(out, with.s[i]));
            continue;
        }
        const regmatch_t *group = &m[with.s[++i] - '0'];

        if (group->rm_so >= 0)
            WH_TRY(wh_buf_add(out, text + group->rm_so, (size_t)(group->rm_eo - group->rm_so)));
    }
    return WH_OK;
}

/* Every match replaced; \1 .. \9 are groups. */
static int add_replaced(const regex_t *re, const char *text, struct wh_str with, struct wh_buf *out)
{
    regmatch_t m[10];
    int flags = 0;

    while (regexec(re, text, 10, m, flags) == 0) {
        WH_TRY(wh_buf_add(out, text, (size_t)m[0].rm_so));
        WH_TRY(add_match(text, m, with, out));
        text += m[0].rm_eo;
        if (m[0].rm_eo == m[0].rm_so) {
            if (!*text)
                return WH_OK;
            WH_TRY(wh_buf_addc(out, *text++));
        }
        flags = REG_NOTBOL;
    }
    return wh_buf_adds(out, text);
}

static int regex(struct wh_str in, struct wh_str a, struct wh_str b, struct wh_buf *out,
                 struct wh_error *reterr)
{
    char text[NAME_MAX_BYTES + 1], given[NAME_MAX_BYTES + 1], pattern[WH_REGEX_MAX], why[160];
    regex_t re;

    if (in.n > NAME_MAX_BYTES || a.n > NAME_MAX_BYTES)
        return wh_fail(reterr, WH_E_USAGE, "E1020", "a name of more than %d bytes", NAME_MAX_BYTES);
    memcpy(text, in.s, in.n);
    text[in.n] = 0;
    memcpy(given, a.s, a.n);
    given[a.n] = 0;
    if (!wh_regex_posix(given, pattern) || !wh_regex_bounded(pattern))
        return wh_fail(reterr, WH_E_USAGE, "E1025", "regular expression '%s' is too complex",
                       given);
    int st = regcomp(&re, pattern, REG_EXTENDED);

    if (st != 0) {
        regerror(st, &re, why, sizeof why);
        return wh_fail(reterr, WH_E_USAGE, "E1025",
                       "regular expression '%s' of a name template: %s", given, why);
    }
    st = add_replaced(&re, text, b, out);
    regfree(&re);
    return st;
}

static const struct filter filters[] = {
    {"lower", 0, lower},   {"upper", 0, upper},   {"snake", 0, snake}, {"replace", 2, replace},
    {"prefix", 1, prefix}, {"suffix", 1, suffix}, {"regex", 2, regex}};
#define N_FILTERS (sizeof filters / sizeof filters[0])

/* ---- one template ------------------------------------------------------------------------------
 */

static struct wh_str trim(struct wh_str s)
{
    while (s.n && s.s[0] == ' ')
        s = (struct wh_str){s.s + 1, s.n - 1};
    while (s.n && s.s[s.n - 1] == ' ')
        s.n--;
    if (s.n >= 2 && (s.s[0] == '\'' || s.s[0] == '"') && s.s[s.n - 1] == s.s[0])
        s = (struct wh_str){s.s + 1, s.n - 2};
    return s;
}

static int unknown_filter(struct wh_str text, struct wh_error *reterr)
{
    const char *names[N_FILTERS + 1] = {NULL};

    for (size_t i = 0; i < N_FILTERS; i++)
        names[i] = filters[i].name;
    struct wh_str word = {text.s, 0};

    while (word.n < text.n && isalpha((unsigned char)text.s[word.n]))
        word.n++;
    const char *near = wh_did_you_mean(word, names);
    int st = wh_fail(reterr, WH_E_USAGE, "E1020", "'%.*s' is no filter of a name template",
                     WH_STR_FMT(text));

    if (near)
        wh_error_hint(reterr, "did you mean '%s'?", near);
    else
        wh_error_hint(reterr, "filters are lower upper snake replace(a,b) prefix(x) suffix(x) "
                              "regex(p,r)");
    return st;
}

static int apply_filter(struct wh_str text, struct wh_str in, struct wh_buf *out,
                        struct wh_error *reterr)
{
    text = trim(text);
    for (size_t i = 0; i < N_FILTERS; i++) {
        size_t n = strlen(filters[i].name);
        struct wh_str a = WH_STR(""), b = WH_STR("");

        if (!wh_str_starts(text, filters[i].name))
            continue;
        struct wh_str rest = {text.s + n, text.n - n};

        if (filters[i].arguments == 0 && rest.n == 0)
            return filters[i].apply(in, a, b, out, reterr);
        if (filters[i].arguments == 0 || rest.n < 2 || rest.s[0] != '(' ||
            rest.s[rest.n - 1] != ')')
            continue;
        a = (struct wh_str){rest.s + 1, rest.n - 2};
        if (filters[i].arguments == 2) {
            const char *comma = memrchr(a.s, ',', a.n);

            if (!comma)
                continue;
            b = (struct wh_str){comma + 1, a.n - (size_t)(comma + 1 - a.s)};
            a.n = (size_t)(comma - a.s);
        }
        return filters[i].apply(in, trim(a), trim(b), out, reterr);
    }
    return unknown_filter(text, reterr);
}

/* Length up to '|' outside of brackets. */
static size_t up_to_bar(struct wh_str s)
{
    int depth = 0;
    size_t i = 0;

    for (; i < s.n; i++) {
        depth += (s.s[i] == '(') - (s.s[i] == ')');
        if (s.s[i] == '|' && depth <= 0)
            break;
    }
    return i;
}

static int base_value(struct wh_arena *arena, struct wh_str what, const struct wh_name *source,
                      struct wh_str *ret, struct wh_error *reterr)
{
    static const char *const words[] = {"source.table", "source.schema", "source.database"};
    const char *table = wh_source_name(arena, source);

    for (int i = 0; i < 3; i++) {
        if (!wh_str_eqs(what, words[i]))
            continue;
        *ret = i == 0               ? wh_str(table)
               : source->n - 1 >= i ? source->part[source->n - 1 - i]
                                    : WH_STR("");
        if (ret->n)
            return WH_OK;
        int st =
            wh_fail(reterr, WH_E_USAGE, "E1020", "{%.*s}: this source has none", WH_STR_FMT(what));
        wh_error_hint(reterr, "{source.table} every source has; other words stand as they are");
        return st;
    }
    int st =
        wh_fail(reterr, WH_E_USAGE, "E1020", "{%.*s} is not known in a name", WH_STR_FMT(what));

    wh_error_hint(reterr, "there are {source.table}, {source.schema} and {source.database}");
    return st;
}

static int add_template(struct wh_arena *arena, struct wh_str inner, const struct wh_name *source,
                        struct wh_buf *out, struct wh_error *reterr)
{
    struct wh_str value;
    size_t n = up_to_bar(inner);

    WH_TRY(base_value(arena, trim((struct wh_str){inner.s, n}), source, &value, reterr));
    while (n < inner.n) {
        WH_CLEANUP(wh_buf_free) struct wh_buf next = WH_BUF(NAME_MAX_BYTES);

        inner = (struct wh_str){inner.s + n + 1, inner.n - n - 1};
        n = up_to_bar(inner);
        WH_TRY(apply_filter((struct wh_str){inner.s, n}, value, &next, reterr));
        WH_TRY(wh_plan_copy_str(arena, (struct wh_str){next.p ? next.p : "", next.n}, &value));
    }
    return wh_buf_add(out, value.s, value.n);
}

/* The '}' that ends a template, not one inside of a filter's brackets. */
static const char *template_end(const char *p, const char *end)
{
    int depth = 0;

    for (; p < end; p++) {
        depth += (*p == '(') - (*p == ')');
        if (*p == '}' && depth <= 0)
            return p;
    }
    return NULL;
}

int wh_template_expand(struct wh_arena *arena, struct wh_str text, const struct wh_name *source,
                       struct wh_str *ret, struct wh_error *reterr)
{
    WH_CLEANUP(wh_buf_free) struct wh_buf out = WH_BUF(NAME_MAX_BYTES);
    const char *p = text.s, *end = text.s + text.n;

    if (!p || !text.n || !memchr(text.s, '{', text.n)) {
        *ret = text;
        return WH_OK;
    }
    while (p < end) {
        const char *open = memmem(p, (size_t)(end - p), "{source", 7);
        const char *row = memmem(p, (size_t)(end - p), "{row.", 5);
        const char *close = open ? template_end(open, end) : NULL;

        if (row) {
            wh_ignore(wh_fail(reterr, WH_E_UNSUPPORTED, "E1014",
                              "{row...} in a destination is not offered by this build yet"));
            wh_error_hint(reterr, "write a stream for each destination, with 'where' for its rows; "
                                  "{source.table} and the like are taken");
            return WH_E_UNSUPPORTED;
        }
        if (!open) {
            WH_TRY(wh_buf_add(&out, p, (size_t)(end - p)));
            break;
        }
        if (!close)
            return wh_fail(reterr, WH_E_USAGE, "E1020", "'%.*s': { is not closed",
                           WH_STR_FMT(text));
        WH_TRY(wh_buf_add(&out, p, (size_t)(open - p)));
        WH_TRY(add_template(arena, (struct wh_str){open + 1, (size_t)(close - open - 1)}, source,
                            &out, reterr));
        p = close + 1;
    }
    if (wh_plan_copy_str(arena, (struct wh_str){out.p ? out.p : "", out.n}, ret) != WH_OK)
        return wh_plan_no_memory(reterr);
    return WH_OK;
}
