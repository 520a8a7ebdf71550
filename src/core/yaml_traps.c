/* SPDX-License-Identifier: Apache-2.0 */
#include "core/yaml_traps.h"

#include <stdio.h>
#include <string.h>

/* Characters that people's editors put where punctuation of YAML belongs. */
#define FULL_WIDTH_COLON "\xEF\xBC\x9A"
static const char *const curly_quotes[] = {"\xE2\x80\x9C", "\xE2\x80\x9D", "\xE2\x80\x98",
                                           "\xE2\x80\x99"};
#define N_CURLY (sizeof curly_quotes / sizeof curly_quotes[0])

/* ---- places -------------------------------------------------------------------------------- */

/* As much of a line as is looked at on each side of a mark. */
#define WINDOW 400

/* Bytes of the line end at p (libyaml also breaks at NEL, LS and PS), 0 if there is none. */
static size_t line_end(const char *p, size_t n)
{
    if (*p == '\n' || *p == '\r')
        return 1;
    if (n > 1 && memcmp(p, "\xC2\x85", 2) == 0)
        return 2;
    if (n > 2 && (memcmp(p, "\xE2\x80\xA8", 3) == 0 || memcmp(p, "\xE2\x80\xA9", 3) == 0))
        return 3;
    return 0;
}

static bool inside_character(const struct yaml_source *source, size_t byte)
{
    return byte < source->n && ((unsigned char)source->text[byte] & 0xC0) == 0x80;
}

/* Byte offset of a mark. */
static size_t seek(struct yaml_source *source, const yaml_mark_t *mark)
{
    while (source->at_char < mark->index && source->at_byte < source->n) {
        source->at_char++;
        do
            source->at_byte++;
        while (inside_character(source, source->at_byte));
    }
    while (source->at_char > mark->index && source->at_byte > 0) {
        source->at_char--;
        do
            source->at_byte--;
        while (inside_character(source, source->at_byte));
    }
    return source->at_byte;
}

struct wh_str yaml_rest(struct yaml_source *source, const yaml_mark_t *mark)
{
    const char *p = source->text + seek(source, mark);
    size_t max = source->n - (size_t)(p - source->text), n = 0, limit;

    while (n < max && (p[n] == ' ' || p[n] == '\t'))
        n++;
    limit = n + WINDOW < max ? n + WINDOW : max;
    while (n < limit && !line_end(p + n, max - n))
        n++;
    while (n > 0 && n < max && ((unsigned char)p[n] & 0xC0) == 0x80)
        n--;
    return (struct wh_str){p, n};
}

struct wh_str yaml_line(struct yaml_source *source, const yaml_mark_t *mark)
{
    struct wh_str rest = yaml_rest(source, mark);
    const char *p = rest.s;

    /* LS and PS end in a byte that is no ASCII: found as long as p stands behind it. */
    while (p > source->text && rest.s - p < WINDOW && !line_end(p - 1, 1) &&
           !(p - source->text >= 2 && line_end(p - 2, 2) == 2) &&
           !(p - source->text >= 3 && line_end(p - 3, 3) == 3))
        p--;
    while (inside_character(source, (size_t)(p - source->text)))
        p++;
    return (struct wh_str){p, rest.n + (size_t)(rest.s - p)};
}

static bool contains(struct wh_str text, const char *part)
{
    return text.n && memmem(text.s, text.n, part, strlen(part)) != NULL;
}

static struct wh_str trim(struct wh_str text)
{
    while (text.n && (text.s[text.n - 1] == ' ' || text.s[text.n - 1] == '\t'))
        text.n--;
    while (text.n && (*text.s == ' ' || *text.s == '\t')) {
        text.s++;
        text.n--;
    }
    return text;
}

/* As much of the user's text goes into a hint; whole characters. */
static struct wh_str clip(struct wh_str text)
{
    return wh_str_clip(text, 60);
}

/* The text that begins at `start` up to where its item ends, if a bracket is open before it. */
static struct wh_str item_at(struct wh_str line, const char *start)
{
    struct wh_str item = {start, (size_t)(line.s + line.n - start)};
    bool flow = false;

    for (const char *p = line.s; p < start; p++)
        flow |= *p == '[' || *p == '{';
    for (size_t i = 0; i < item.n; i++)
        if ((flow && strchr(",]}", item.s[i])) || (i && item.s[i] == '#' && item.s[i - 1] == ' '))
            item.n = i;
    return item;
}

/* "quote it: '...'", doubling the single quotes inside as YAML wants it. */
static const char *quote_hint(struct doc *doc, struct wh_str text)
{
    char quoted[160], *out = quoted;

    text = clip(trim(text));
    if (text.n == 0)
        return "put the whole value in single quotes";
    for (size_t i = 0; i < text.n; i++) {
        *out++ = text.s[i];
        if (text.s[i] == '\'')
            *out++ = '\'';
    }
    return wh_arena_printf(doc->arena, "quote it: '%.*s'", (int)(out - quoted), quoted);
}

/* ---- scalars that parse -------------------------------------------------------------------- */

struct scalar {
    struct doc *doc;
    struct yaml_source *source;
    const yaml_event_t *event;
    const struct yaml_place *place;
    struct wh_str text;
    bool plain;
    int line, column;
};

static bool tagged(const struct scalar *s)
{
    const char *tag = (const char *)s->event->data.scalar.tag;

    if (tag)
        yaml_refuse_tag(s->doc, s->event, tag);
    return tag != NULL;
}

static bool holds_nul(const struct scalar *s)
{
    if (s->text.n == 0 || !memchr(s->text.s, 0, s->text.n))
        return false;
    doc_problem(s->doc, "E1031", s->line, s->column, NULL, "a text holds the character NUL");
    return true;
}

/* `delimiter: |` */
static bool empty_block(const struct scalar *s)
{
    yaml_scalar_style_t style = s->event->data.scalar.style;
    bool literal = style == YAML_LITERAL_SCALAR_STYLE;

    if ((!literal && style != YAML_FOLDED_SCALAR_STYLE) || s->text.n > 0)
        return false;
    doc_problem(s->doc, "E1037", s->line, s->column, literal ? "quote it: '|'" : "quote it: '>'",
                "'%c' begins a block of text, and there is none", literal ? '|' : '>');
    return true;
}

/* A comment mark in the middle of SQL. Between SQL and '#' any blank counts; the values of from and
 * to are short names, so there two blanks before '#' are taken for a comment that was meant. */
static bool cut_by_comment(const struct scalar *s)
{
    static const char *const sql[] = {"where", "filter", "query", "expr", "source_expr", NULL};
    struct wh_str rest = yaml_rest(s->source, &s->event->end_mark), comment = trim(rest);
    bool cut = false;

    if (!s->plain || !s->place->key || comment.n == 0 || *comment.s != '#')
        return false;
    const char *key = s->place->key->text;

    for (size_t i = 0; sql[i]; i++)
        cut |= strcmp(key, sql[i]) == 0;
    if (strcmp(key, "from") == 0 || strcmp(key, "to") == 0)
        cut = comment.s - rest.s == 1;
    if (!cut)
        return false;
    comment = clip(comment);
    doc_problem(s->doc, "E1036", s->line, s->column,
                "put the whole value in quotes, or the comment on a line of its own",
                "'%.*s' is read as a comment and would not belong to '%s'", WH_STR_FMT(comment),
                key);
    return true;
}

/* `[mask(3,4)]`: the comma ends the first item. */
static bool split_by_comma(const struct scalar *s)
{
    int open = 0;

    for (size_t i = 0; i < s->text.n; i++)
        open += (s->text.s[i] == '(') - (s->text.s[i] == ')');
    if (!s->plain || !s->place->flow || open <= 0)
        return false;
    struct wh_str rest = yaml_rest(s->source, &s->event->start_mark);
    const char *close = rest.n ? memchr(rest.s, ')', rest.n) : NULL;

    if (close)
        rest.n = (size_t)(close - rest.s) + 1;
    doc_problem(s->doc, "E1037", s->line, s->column, quote_hint(s->doc, rest),
                "inside [ ] and { } a comma ends the value, so it is only '%.*s'",
                WH_STR_FMT(clip(s->text)));
    return true;
}

static bool curly_quoted(const struct scalar *s)
{
    for (size_t i = 0; i < N_CURLY && s->plain; i++) {
        if (!wh_str_starts(s->text, curly_quotes[i]))
            continue;
        doc_problem(s->doc, "E1038", s->line, s->column, "write ' or \"",
                    "curly quotes are ordinary characters for YAML");
        return true;
    }
    return false;
}

/* `mode： append` on a line of its own: one word, where a key and a value were meant. A value
 * behind a real `key: ` may hold such colons. */
static bool full_width_colon(const struct scalar *s)
{
    const char *colon =
        s->text.n ? memmem(s->text.s, s->text.n, FULL_WIDTH_COLON, sizeof FULL_WIDTH_COLON - 1)
                  : NULL;
    size_t word = 0;

    while (word < s->text.n &&
           (wh_str_ieqs((struct wh_str){s->text.s + word, 1}, "_") || s->text.s[word] == '-' ||
            s->text.s[word] == '.' || (s->text.s[word] >= '0' && s->text.s[word] <= '9') ||
            ((s->text.s[word] | 32) >= 'a' && (s->text.s[word] | 32) <= 'z')))
        word++;
    bool same_line = s->place->key && !s->place->is_key && s->place->key->line == s->line;

    if (!s->plain || !colon || same_line)
        return false;
    if (!s->place->is_key && (word == 0 || colon != s->text.s + word))
        return false;
    doc_problem(s->doc, "E1038", s->line, s->column, "write an ordinary ':' and a blank",
                "a full-width colon does not separate key and value");
    return true;
}

/* `to: null` */
static bool null_destination(const struct scalar *s)
{
    if (!s->plain || !s->place->key || s->place->is_key || strcmp(s->place->key->text, "to") != 0)
        return false;
    if (!wh_str_eqs(s->text, "null") && !wh_str_eqs(s->text, "NULL") &&
        !wh_str_eqs(s->text, "Null"))
        return false;
    doc_problem(s->doc, "E1037", s->line, s->column, "write to: 'null:'",
                "this null is YAML's nothing, not the destination that counts and drops");
    return true;
}

bool yaml_check_scalar(struct doc *doc, struct yaml_source *source, const yaml_event_t *event,
                       const struct yaml_place *place)
{
    static bool (*const traps[])(const struct scalar *) = {
        tagged,         holds_nul,    empty_block,      cut_by_comment,
        split_by_comma, curly_quoted, full_width_colon, null_destination,
    };
    const struct scalar s = {
        .doc = doc,
        .source = source,
        .event = event,
        .place = place,
        .text = {(const char *)event->data.scalar.value, event->data.scalar.length},
        .plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE,
        .line = (int)event->start_mark.line + 1,
        .column = (int)event->start_mark.column + 1,
    };

    for (size_t i = 0; i < sizeof traps / sizeof traps[0]; i++)
        if (traps[i](&s))
            return false;
    return true;
}

void yaml_refuse_lone_key(struct doc *doc, const struct wh_node *key, bool colon, size_t entries)
{
    struct wh_str name = clip(wh_str(key->text));

    if (colon) {
        const char *hint =
            wh_arena_printf(doc->arena, "quote it: %.*s: ','; or remove it", WH_STR_FMT(name));

        doc_problem(doc, "E1037", key->line, key->column, hint,
                    "'%s' has no value: inside { } a comma or bracket ends it", key->text);
    } else if (entries == 1) {
        const char *hint = wh_arena_printf(doc->arena, "quote it: '{%.*s}'", WH_STR_FMT(name));

        doc_problem(doc, "E1037", key->line, key->column, hint,
                    "{%s} without quotes is a map with a key and no value", key->text);
    } else {
        doc_problem(doc, "E1037", key->line, key->column,
                    "write 'key: value', and quote texts that hold a comma",
                    "'%s' has no value inside { }", key->text);
    }
}

void yaml_refuse_tag(struct doc *doc, const yaml_event_t *event, const char *tag)
{
    static const char core[] = "tag:yaml.org,2002:"; /* what !! stands for */
    bool short_form = wh_str_starts(wh_str(tag), core);

    doc_problem(doc, "E1034", (int)event->start_mark.line + 1, (int)event->start_mark.column + 1,
                "put the whole value in single quotes", "'%s%s' is read as a YAML tag, not as text",
                short_form ? "!!" : "", short_form ? tag + sizeof core - 1 : tag);
}

void yaml_refuse_alias(struct doc *doc, struct yaml_source *source, const yaml_event_t *event)
{
    struct wh_str line = yaml_line(source, &event->start_mark);
    struct wh_str rest = yaml_rest(source, &event->start_mark);

    doc_problem(doc, "E1035", (int)event->start_mark.line + 1, (int)event->start_mark.column + 1,
                quote_hint(doc, item_at(line, rest.s)),
                "'*%s' is read as a YAML alias, and no anchor &%s exists",
                (const char *)event->data.alias.anchor, (const char *)event->data.alias.anchor);
}

/* ---- text that does not parse -------------------------------------------------------------- */

struct stop {
    struct doc *doc;
    struct yaml_source *source;
    const yaml_parser_t *parser;
    const char *said; /* libyaml's own words */
    struct wh_str line, before, rest;
    char here; /* the character at the mark, 0 at the end of the line */
};

struct explanation {
    const char *code, *hint;
};

static bool said(const struct stop *s, const char *words)
{
    return strstr(s->said, words) != NULL ||
           (s->parser->context && strstr(s->parser->context, words) != NULL);
}

static bool by_tab(const struct stop *s, struct explanation *ret)
{
    size_t i = 0;

    while (i < s->line.n && s->line.s[i] == ' ')
        i++;
    if (s->here != '\t' && (i == s->line.n || s->line.s[i] != '\t'))
        return false;
    *ret = (struct explanation){"E1031", "indent with spaces; YAML does not take tabs"};
    return true;
}

static bool by_punctuation(const struct stop *s, struct explanation *ret)
{
    struct wh_str part = s->line; /* the mistake may be up to two lines above */
    bool found;

    for (int breaks = 0; part.s > s->source->text && part.n < 3 * WINDOW; part.s--, part.n++) {
        breaks += part.s[-1] == '\n';
        if (breaks > 2)
            break;
    }
    found = contains(part, FULL_WIDTH_COLON);
    for (size_t k = 0; k < N_CURLY; k++)
        found |= contains(part, curly_quotes[k]);
    if (!found)
        return false;
    *ret = (struct explanation){
        "E1038", "full-width colons and curly quotes are ordinary characters: write : ' \""};
    return true;
}

/* `query: @q.sql`, `%x`, a back-tick. */
static bool by_first_character(const struct stop *s, struct explanation *ret)
{
    if (!s->here || !strchr("@`%", s->here) || !said(s, "cannot start any token"))
        return false;
    *ret = (struct explanation){"E1037", quote_hint(s->doc, s->rest)};
    return true;
}

/* Cron lines and `* except (a)`: the mark is behind the star. */
static bool by_star(const struct stop *s, struct explanation *ret)
{
    if (!said(s, "alias"))
        return false;
    const char *star = s->before.n ? memrchr(s->before.s, '*', s->before.n) : s->rest.s;

    *ret = (struct explanation){"E1035", star ? quote_hint(s->doc, item_at(s->line, star))
                                              : "quote a value that begins with *"};
    return true;
}

static bool by_tag(const struct stop *s, struct explanation *ret)
{
    if (!said(s, "tag"))
        return false;
    *ret = (struct explanation){"E1034",
                                "'!' begins a YAML tag: put the whole value in single quotes"};
    return true;
}

static bool by_escape(const struct stop *s, struct explanation *ret)
{
    if (!said(s, "unknown escape character"))
        return false;
    *ret = (struct explanation){
        "E1031", "inside double quotes a backslash begins an escape: use single quotes"};
    return true;
}

static bool by_open_quote(const struct stop *s, struct explanation *ret)
{
    if (!said(s, "quoted scalar"))
        return false;
    *ret = (struct explanation){
        "E1031", wh_arena_printf(s->doc->arena, "the quote that opens in line %zu never closes",
                                 s->parser->context_mark.line + 1)};
    return true;
}

/* ${x} and other brackets inside [ ] or { }. */
static bool by_bracket_in_flow(const struct stop *s, struct explanation *ret)
{
    if (!said(s, "',' or"))
        return false;
    if (s->parser->context_mark.line < s->parser->problem_mark.line && !contains(s->line, "${")) {
        *ret = (struct explanation){
            "E1031", wh_arena_printf(s->doc->arena, "close the bracket that opens in line %zu",
                                     s->parser->context_mark.line + 1)};
        return true;
    }
    *ret = (struct explanation){
        "E1037", contains(s->line, "${")
                     ? "inside [ ] and { } a macro must be quoted: '${...}'"
                     : "inside [ ] and { } put texts with brackets, commas or ': ' in single "
                       "quotes"};
    return true;
}

/* `to: pg2:`, `a: b: c`. */
static bool by_second_colon(const struct stop *s, struct explanation *ret)
{
    if (!said(s, "mapping values are not allowed"))
        return false;
    const char *colon = s->line.n ? memmem(s->line.s, s->line.n, ": ", 2) : NULL;
    struct wh_str value = s->line;

    if (colon && colon < s->rest.s) {
        value.n -= (size_t)(colon + 2 - value.s);
        value.s = colon + 2;
        *ret = (struct explanation){"E1037", quote_hint(s->doc, value)};
    } else {
        *ret = (struct explanation){
            "E1031", "check the indentation; a text that holds ': ' or ends in ':' needs quotes"};
    }
    return true;
}

/* `where: "Status" <> 1`: the quoted text is the whole value. */
static bool by_text_after_quote(const struct stop *s, struct explanation *ret)
{
    struct wh_str before = trim(s->before);

    if (!said(s, "did not find expected") || before.n == 0 ||
        !strchr("\"'}]", before.s[before.n - 1]))
        return false;
    *ret = (struct explanation){
        "E1037", "the value ends at its closing quote or bracket: put all of it in single quotes"};
    return true;
}

static bool by_indentation(const struct stop *s, struct explanation *ret)
{
    if (!said(s, "did not find expected") && !said(s, "could not find expected"))
        return false;
    *ret = (struct explanation){
        "E1031", "check indentation, the blank after ':' and unquoted texts in the lines before"};
    return true;
}

void yaml_explain(struct doc *doc, struct yaml_source *source, const yaml_parser_t *parser)
{
    static bool (*const causes[])(const struct stop *, struct explanation *) = {
        by_tab,          by_first_character,  by_star,        by_tag,
        by_escape,       by_open_quote,       by_punctuation, by_bracket_in_flow,
        by_second_colon, by_text_after_quote, by_indentation,
    };
    const yaml_mark_t *mark = &parser->problem_mark;
    struct stop s = {.doc = doc, .source = source, .parser = parser};
    struct explanation why = {"E1031", NULL};

    s.said = parser->problem ? parser->problem : "not understood";
    s.line = yaml_line(source, mark);
    s.rest = yaml_rest(source, mark);
    s.before = (struct wh_str){s.line.s, s.line.n - s.rest.n};
    s.here = s.rest.n ? *s.rest.s : 0;
    for (size_t i = 0; i < sizeof causes / sizeof causes[0]; i++)
        if (causes[i](&s, &why))
            break;
    doc_problem(doc, why.code, (int)mark->line + 1, (int)mark->column + 1, why.hint, "%s%s%s",
                parser->context ? parser->context : "", parser->context ? ": " : "", s.said);
}
