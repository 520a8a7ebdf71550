/* SPDX-License-Identifier: Apache-2.0 */
/* Pass-through: rows of COPY BINARY go from one server to the other as they are.
 *
 * The format has no names and hardly any types: an int4 and a float4 are four bytes each, and a
 * receiving function rounds a numeric to its column's scale without a word. So columns pass only if
 * their types are in the table below, are the same on both sides (or text of the same form), and
 * the receiving one is as wide or wider in every modifier. An array names the type of its elements
 * by number, which is the same everywhere for types that are built in; an enum's bytes are its
 * label. Source: PostgreSQL 15 manual, COPY
 * ("Binary Format"); send and receive functions of the types. */
#include "pg.h"

/* ---- types as format_type() writes them --------------------------------------------------------
 */

/* What wider means. */
enum grow {
    PLAIN,    /* no modifier, or the same one */
    LENGTH,   /* (n): none, or n as large */
    FRACTION, /* (p) of seconds: none, or p as large */
    DECIMAL   /* (p,s): none, or no digit less on either side of the point */
};

static const struct passing {
    const char *name;
    enum grow grow;
    const char *also; /* another type of the same bytes that may receive it, without modifier */
} passing[] = {
    {"boolean", PLAIN, NULL},
    {"smallint", PLAIN, NULL},
    {"integer", PLAIN, NULL},
    {"bigint", PLAIN, NULL},
    {"oid", PLAIN, NULL},
    {"real", PLAIN, NULL},
    {"double precision", PLAIN, NULL},
    {"numeric", DECIMAL, NULL},
    {"text", PLAIN, "character varying"},
    {"character varying", LENGTH, "text"},
    {"character", PLAIN, NULL},
    {"bpchar", PLAIN, NULL},
    {"\"char\"", PLAIN, NULL},
    {"name", PLAIN, NULL},
    {"bytea", PLAIN, NULL},
    {"date", PLAIN, NULL},
    {"time without time zone", FRACTION, NULL},
    {"time with time zone", FRACTION, NULL},
    {"timestamp without time zone", FRACTION, NULL},
    {"timestamp with time zone", FRACTION, NULL},
    {"interval", PLAIN, NULL},
    {"uuid", PLAIN, NULL},
    {"json", PLAIN, NULL},
    {"jsonb", PLAIN, NULL},
    {"inet", PLAIN, NULL},
    {"cidr", PLAIN, NULL},
    {"macaddr", PLAIN, NULL},
    {"macaddr8", PLAIN, NULL},
    {"bit", PLAIN, NULL},
    {"bit varying", LENGTH, NULL},
    {"point", PLAIN, NULL},
    {"line", PLAIN, NULL},
    {"lseg", PLAIN, NULL},
    {"box", PLAIN, NULL},
    {"path", PLAIN, NULL},
    {"polygon", PLAIN, NULL},
    {"circle", PLAIN, NULL},
    {"tsvector", PLAIN, NULL},
    {"tsquery", PLAIN, NULL},
    {"pg_lsn", PLAIN, NULL},
    {"pg_snapshot", PLAIN, NULL},
    {"xid", PLAIN, NULL},
    {"xid8", PLAIN, NULL},
    {"tid", PLAIN, NULL},
    {"int4range", PLAIN, NULL},
    {"int8range", PLAIN, NULL},
    {"numrange", PLAIN, NULL},
    {"daterange", PLAIN, NULL},
    {"tsrange", PLAIN, NULL},
    {"tstzrange", PLAIN, NULL},
    {"int4multirange", PLAIN, NULL},
    {"int8multirange", PLAIN, NULL},
    {"nummultirange", PLAIN, NULL},
    {"datemultirange", PLAIN, NULL},
    {"tsmultirange", PLAIN, NULL},
    {"tstzmultirange", PLAIN, NULL},
};

struct words {
    char name[64]; /* without modifiers and brackets */
    bool array;
    int n_mods;     /* -1: more than a table of numbers */
    int64_t mod[2]; /* numeric(10,2), timestamp(3) */
};

/* "timestamp(3) without time zone" is the name "timestamp without time zone" and the modifier 3. */
static bool take_apart(struct wh_str text, struct words *ret)
{
    size_t n = 0;
    bool inside = false, minus = false;

    *ret = (struct words){0};
    if (text.n > 2 && memcmp(text.s + text.n - 2, "[]", 2) == 0) {
        ret->array = true;
        text.n -= 2;
    }
    for (size_t i = 0; i < text.n; i++) {
        char c = text.s[i];

        if (c == '(' && !inside && ret->n_mods == 0) {
            inside = true;
            ret->n_mods = 1;
        } else if (c == ')' && inside) {
            inside = false;
        } else if (inside && c == ',' && ret->n_mods == 1) {
            if (minus)
                return false;
            ret->n_mods = 2;
        } else if (inside && c == '-' && !minus) {
            minus = true;
        } else if (inside && c >= '0' && c <= '9' && ret->mod[ret->n_mods - 1] < INT32_MAX) {
            ret->mod[ret->n_mods - 1] = ret->mod[ret->n_mods - 1] * 10 + (c - '0');
        } else if (inside || c == '(' || c == ')' || c == '[' || n + 1 >= sizeof ret->name) {
            return false; /* "interval day to second(3)" with words behind, ... */
        } else {
            ret->name[n++] = c;
        }
    }
    if (minus) /* numeric(3,-2) */
        ret->mod[ret->n_mods - 1] = -ret->mod[ret->n_mods - 1];
    return !inside;
}

static bool same_modifiers(const struct words *a, const struct words *b)
{
    return a->n_mods == b->n_mods && a->mod[0] == b->mod[0] && a->mod[1] == b->mod[1];
}

static bool wide_enough(enum grow grow, const struct words *from, const struct words *to)
{
    if (to->n_mods == 0 && grow != PLAIN)
        return true;
    if (same_modifiers(from, to))
        return true;
    if (from->n_mods == 0 || grow == PLAIN)
        return false;
    if (grow == DECIMAL)
        return to->mod[1] >= from->mod[1] && to->mod[0] - to->mod[1] >= from->mod[0] - from->mod[1];
    return to->mod[0] >= from->mod[0];
}

static const struct passing *find(const char *name)
{
    for (size_t i = 0; i < sizeof passing / sizeof passing[0]; i++)
        if (strcmp(passing[i].name, name) == 0)
            return &passing[i];
    return NULL;
}

static const char *why_not(struct wh_str from, struct wh_str to)
{
    struct words a, b;
    const struct passing *p;

    if (!take_apart(from, &a) || !(p = find(a.name)))
        return "its type is not one that passes unchanged";
    if (!take_apart(to, &b) || !find(b.name))
        return "the destination's type is not one that passes unchanged";
    if (a.array != b.array || (a.array && strcmp(a.name, b.name) != 0))
        return "the destination's type is another one";
    if (strcmp(a.name, b.name) == 0)
        return wide_enough(p->grow, &a, &b) ? NULL : "the destination's type is narrower";
    if (!p->also || strcmp(p->also, b.name) != 0)
        return "the destination's type is another one";
    return b.n_mods == 0 ? NULL : "the destination's type is narrower";
}

bool pg_frame_types(struct wh_str from, struct wh_str to, const char **ret_why)
{
    const char *why = why_not(from, to);

    if (why && ret_why)
        *ret_why = why;
    return !why;
}

/* geometry or geography of PostGIS, whatever schema it is in: their bytes are EWKB, and what they
 * are received into checks its modifier (kind, SRID). What stands behind the schema. */
static bool spatial(struct wh_str type, struct wh_str shape, struct wh_str *ret)
{
    static const char *const names[] = {"geometry", "geography"};

    if (!wh_str_eqs(shape, "base of extension postgis") || !type.n || type.s[type.n - 1] == ']')
        return false;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        size_t open = 0, n = strlen(names[i]);

        while (open < type.n && type.s[open] != '(')
            open++;
        if (open < n || memcmp(type.s + open - n, names[i], n) != 0 ||
            (open > n && type.s[open - n - 1] != '.'))
            continue;
        *ret = (struct wh_str){type.s + open - n, type.n - (open - n)};
        return true;
    }
    return false;
}

static bool same_spatial(const struct pg_passes *from, const struct pg_passes *to)
{
    struct wh_str a, b;

    if (!spatial(from->type, from->shape, &a) || !spatial(to->type, to->shape, &b))
        return false;
    /* geometry(Point,4326) into the same, or into geometry. */
    return wh_str_eq(a, b) || (wh_str_starts(a, "geometry") && wh_str_eqs(b, "geometry")) ||
           (wh_str_starts(a, "geography") && wh_str_eqs(b, "geography"));
}

bool pg_frame_fits(const struct pg_passes *from, const struct pg_passes *to, const char **ret_why)
{
    if (pg_frame_label(from->type, from->shape) && pg_frame_label(to->type, to->shape))
        return true;
    return same_spatial(from, to) || pg_frame_types(from->type, to->type, ret_why);
}

bool pg_frame_label(struct wh_str type, struct wh_str shape)
{
    return wh_str_starts(shape, "enum (") && type.n && type.s[type.n - 1] != ']';
}

/* ---- rows --------------------------------------------------------------------------------------
 */

static inline uint32_t be32(const uint8_t *p)
{
    uint32_t v;

    memcpy(&v, p, 4);
    return __builtin_bswap32(v);
}

wh_status pg_frame_rows(struct wh_bytes frame, int n_cols, int64_t *ret_rows,
                        struct wh_error *reterr)
{
    const uint8_t *p = frame.p, *end = p + frame.n;
    int64_t rows = 0;

    while (p < end) {
        if (end - p < 2 || (p[0] << 8 | p[1]) != n_cols)
            return wh_fail(reterr, WH_E_DATA, "E4011",
                           "row %lld of a binary COPY does not have %d cells", (long long)rows + 1,
                           n_cols);
        p += 2;
        for (int i = 0; i < n_cols; i++) {
            uint32_t n;

            if (end - p < 4)
                return wh_fail(reterr, WH_E_DATA, "E4011", "row %lld of a binary COPY is cut off",
                               (long long)rows + 1);
            n = be32(p);
            p += 4;
            if (n == UINT32_MAX)
                continue;
            if (n > (size_t)(end - p))
                return wh_fail(reterr, WH_E_DATA, "E4011",
                               "cell %d in row %lld of a binary COPY is cut off", i + 1,
                               (long long)rows + 1);
            p += n;
        }
        rows++;
    }
    *ret_rows = rows;
    return WH_OK;
}
