/* SPDX-License-Identifier: Apache-2.0 */
/* Option tables: one row per setting; parsing, ranges, help, schema, masking come from that row.
 *
 *     struct csv_options { const char *delimiter; int64_t skip_lines; bool header; };
 *     static const struct wh_option csv_rows[] = {
 *         WH_OPT_STR(struct csv_options, delimiter, .def = "auto", .help = "Field separator"),
 *         WH_OPT_I64(struct csv_options, skip_lines, 0, 1000000, .def = "0", .help = "..."),
 *         WH_OPT_END};
 *     const struct wh_options csv_table = {csv_rows, sizeof(struct csv_options), "csv"};
 *
 * A field whose C type does not fit the row's type does not compile. Nobody parses an option text
 * by hand. Text and lists live in the arena given to wh_options_init.
 */
#ifndef WHERRY_OPTION_H
#define WHERRY_OPTION_H

#include <wherry/status.h>

enum wh_option_type {
    WH_T_STRING,   /* const char *, NULL when unset */
    WH_T_SECRET,   /* struct wh_secret: masked everywhere, wiped when freed */
    WH_T_I64,      /* int64_t */
    WH_T_BOOL,     /* bool: true false yes no on off 1 0 */
    WH_T_DOUBLE,   /* double */
    WH_T_SIZE,     /* int64_t bytes: 64MB (10^6), 64MiB (2^20), 1e6 */
    WH_T_DURATION, /* int64_t milliseconds: 250ms 10s 5m 2h 1d */
    WH_T_ENUM,     /* int, one of values[] */
    WH_T_CHAR,     /* int: one byte 0..255, or -1 for "none"; names: tab comma ctrl-a \x01 ... */
    WH_T_LIST,     /* struct wh_list */
    WH_T_MAP,      /* struct wh_map */
    WH_T_COLUMNS,  /* struct wh_list of column names */
    WH_T_CRON,     /* const char *, checked */
};

enum {
    WH_OPT_REQUIRED = 1,
    WH_OPT_ADVANCED = 2,
    WH_OPT_RUNTIME = 4,      /* may change while running */
    WH_OPT_ROW_TEMPLATE = 8, /* takes {row.col} */
    WH_OPT_PATH = 16,        /* completion offers files */
    WH_OPT_ELSEWHERE = 32, /* a secret that may also come from the system's own places (PGPASSWORD,
                              .pgpass): a resume that does not know it goes without */
    WH_OPT_SECONDS = 128,  /* DURATION: a bare number, as the system itself takes it, is seconds */
    WH_OPT_ALIAS_MS = 256, /* DURATION: a bare number under an alias (a native name) is ms */
    WH_OPT_WRITING = 64, /* of a target: a source's option of that name means another thing, so what
                            is written with it is read back without it */
    WH_OPT_REFERENCE = 512, /* a secret that is never written out: only ${file:/p}, ${cred:x},
                               ${env:X} and their kin */
};

struct wh_secret {
    char *text; /* NULL when unset */
};

struct wh_list {
    const char **v;
    size_t n;
};

struct wh_pair {
    const char *key, *value;
};

struct wh_map {
    struct wh_pair *v;
    size_t n;
};

struct wh_enum {
    int value;
    const char *name; /* kebab-case; NULL ends the table */
    const char *help;
    const char *unavailable; /* why this build cannot, or NULL */
};

struct wh_option {
    const char *name; /* snake_case; NULL ends the table */
    enum wh_option_type type;
    uint32_t flags;
    size_t offset;
    int64_t min, max; /* I64, SIZE, DURATION; for DOUBLE see fmin, fmax */
    double fmin, fmax;
    const char *def; /* as a user would type it; NULL = zero / unset */
    const struct wh_enum *values;
    const char *aliases; /* "sslmode,tls_mode": read, never printed */
    const char *group, *help, *since;
};

struct wh_options {
    const struct wh_option *rows;
    size_t size;      /* of the struct that the rows fill */
    const char *what; /* "sqlite connection", for messages */
};

/* offset of T.f, which compiles only if the field has exactly that C type */
#define WH_OPT_OFF_(T, f, ctype)                                                                   \
    (offsetof(T, f) + 0 * sizeof(char[_Generic(((T *)0)->f, ctype : 1, default : -1)]))
#define WH_OPT_(T, f, kind, ctype, ...)                                                            \
    {                                                                                              \
        .name = #f, .type = (kind), .offset = WH_OPT_OFF_(T, f, ctype), __VA_ARGS__                \
    }
#define WH_OPT_STR(T, f, ...)    WH_OPT_(T, f, WH_T_STRING, const char *, __VA_ARGS__)
#define WH_OPT_SECRET(T, f, ...) WH_OPT_(T, f, WH_T_SECRET, struct wh_secret, __VA_ARGS__)
#define WH_OPT_I64(T, f, lo, hi, ...)                                                              \
    WH_OPT_(T, f, WH_T_I64, int64_t, .min = (lo), .max = (hi), __VA_ARGS__)
#define WH_OPT_BOOL(T, f, ...) WH_OPT_(T, f, WH_T_BOOL, bool, __VA_ARGS__)
#define WH_OPT_DOUBLE(T, f, lo, hi, ...)                                                           \
    WH_OPT_(T, f, WH_T_DOUBLE, double, .fmin = (lo), .fmax = (hi), __VA_ARGS__)
#define WH_OPT_SIZE(T, f, lo, hi, ...)                                                             \
    WH_OPT_(T, f, WH_T_SIZE, int64_t, .min = (lo), .max = (hi), __VA_ARGS__)
#define WH_OPT_DURATION(T, f, lo, hi, ...)                                                         \
    WH_OPT_(T, f, WH_T_DURATION, int64_t, .min = (lo), .max = (hi), __VA_ARGS__)
#define WH_OPT_ENUM(T, f, table, ...) WH_OPT_(T, f, WH_T_ENUM, int, .values = (table), __VA_ARGS__)
#define WH_OPT_CHAR(T, f, ...)        WH_OPT_(T, f, WH_T_CHAR, int, __VA_ARGS__)
#define WH_OPT_LIST(T, f, ...)        WH_OPT_(T, f, WH_T_LIST, struct wh_list, __VA_ARGS__)
#define WH_OPT_MAP(T, f, ...)         WH_OPT_(T, f, WH_T_MAP, struct wh_map, __VA_ARGS__)
#define WH_OPT_COLUMNS(T, f, ...)     WH_OPT_(T, f, WH_T_COLUMNS, struct wh_list, __VA_ARGS__)
#define WH_OPT_CRON(T, f, ...)        WH_OPT_(T, f, WH_T_CRON, const char *, __VA_ARGS__)
#define WH_OPT_END                                                                                 \
    {                                                                                              \
        .name = NULL                                                                               \
    }

#endif
