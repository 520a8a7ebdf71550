/* SPDX-License-Identifier: Apache-2.0 */
/* The sqlite connector: its settings and what it can do. */
#include "sqlite.h"

static const struct wh_enum journals[] = {
    {LITE_J_KEEP, "keep", "as the file says; a new file gets SQLite's rollback journal", NULL},
    {LITE_J_DELETE, "delete", "rollback journal: commits wait for readers", NULL},
    {LITE_J_WAL, "wal", "write-ahead log: readers and the writer do not wait for each other", NULL},
    {0},
};

static const struct wh_enum syncs[] = {
    {LITE_SYNC_KEEP, "keep", "SQLite's default: full", NULL},
    {LITE_SYNC_OFF, "off", "no fsync: a power cut may damage the file", NULL},
    {LITE_SYNC_NORMAL, "normal", "with wal, a power cut may undo committed units", NULL},
    {LITE_SYNC_FULL, "full", "committed is durable", NULL},
    {LITE_SYNC_EXTRA, "extra", "full, and the folder is synced as well", NULL},
    {0},
};

static const struct wh_option connection_rows[] = {
    WH_OPT_STR(struct lite_connection, path, .flags = WH_OPT_REQUIRED | WH_OPT_PATH,
               .aliases = "file,database", .group = "where", .help = "The database file",
               .since = "0.1"),
    WH_OPT_DURATION(struct lite_connection, lock_timeout, 0, 86400000, .def = "30s",
                    .flags = WH_OPT_RUNTIME, .aliases = "busy_timeout", .group = "waiting",
                    .help = "Longest wait for a lock that another process holds", .since = "0.1"),
    WH_OPT_SIZE(struct lite_connection, cache, 64 << 10, 1 << 30, .def = "8MiB",
                .flags = WH_OPT_ADVANCED, .aliases = "cache_size", .group = "memory",
                .help = "Page cache of each session", .since = "0.1"),
    WH_OPT_ENUM(struct lite_connection, journal_mode, journals, .def = "keep",
                .flags = WH_OPT_ADVANCED, .group = "durability",
                .help = "Journal of a file that is written to", .since = "0.1"),
    WH_OPT_ENUM(struct lite_connection, synchronous, syncs, .def = "keep", .flags = WH_OPT_ADVANCED,
                .group = "durability", .help = "How hard a commit is pressed to the disk",
                .since = "0.1"),
    WH_OPT_END};

const struct wh_options lite_connection_table = {connection_rows, sizeof(struct lite_connection),
                                                 "sqlite connection"};

static const struct wh_enum mismatches[] = {
    {LITE_MISMATCH_REJECT, "reject", "the row is dirty", NULL},
    {LITE_MISMATCH_NULL, "null", "the cell becomes NULL", NULL},
    {0},
};

static const struct wh_option from_rows[] = {
    WH_OPT_ENUM(struct lite_from, mismatch, mismatches, .def = "reject", .group = "types",
                .help = "A cell that does not fit its column's type", .since = "0.1"),
    WH_OPT_MAP(struct lite_from, read_as, .group = "types",
               .help = "Column types that overrule the declared ones, as in read_as.price=text",
               .since = "0.1"),
    WH_OPT_END};

const struct wh_options lite_from_table = {from_rows, sizeof(struct lite_from), "sqlite source"};

static const struct wh_enum u64s[] = {
    {LITE_U64_TEXT, "text", "exact: declared U64_TEXT", NULL},
    {LITE_U64_INTEGER, "integer", "INTEGER; values above 9223372036854775807 are dirty", NULL},
    {0},
};

static const struct wh_option to_rows[] = {
    WH_OPT_ENUM(struct lite_to, uint64, u64s, .def = "text", .group = "types",
                .help = "How unsigned 64-bit integers are stored in new tables", .since = "0.1"),
    WH_OPT_BOOL(struct lite_to, foreign_keys, .def = "false", .group = "constraints",
                .help = "Enforce foreign keys while loading", .since = "0.1"),
    WH_OPT_BOOL(struct lite_to, strict, .def = "false", .group = "types",
                .help = "New tables are STRICT: INTEGER, REAL, TEXT or BLOB columns",
                .since = "0.1"),
    WH_OPT_END};

const struct wh_options lite_to_table = {to_rows, sizeof(struct lite_to), "sqlite destination"};

static const struct wh_capabilities caps = {
    .flags = WH_CAP_MARKER | WH_CAP_WHOLE_DATABASE | WH_CAP_WHERE | WH_CAP_QUERY |
             WH_CAP_PROJECTION | WH_CAP_LIMIT | WH_CAP_STATEMENTS | WH_CAP_REPLACE_KEYS |
             WH_CAP_MARKER_TABLE | WH_CAP_LOCAL | WH_CAP_SPLIT_BY | WH_CAP_PARTS,
    .modes = (1 << WH_MODE_COUNT) - 1, /* all of them */
    .commit_class = WH_CLASS_T,
    .atomics = 1 << WH_ATOMIC_UNIT | 1 << WH_ATOMIC_TABLE,
    .snapshot = WH_SNAP_SESSIONS,
    .grade = "G1",
    .limits = "one writer at a time; a cell that does not fit its column's type is a dirty row",
};

static void libraries(wh_library_fn each, void *arg)
{
    each(arg, "sqlite", sqlite3_libversion());
}

static const char *const schemes[] = {"sqlite", "sqlite3", NULL};

WH_CONNECTOR(sqlite);
const struct wh_connector wh_connector_sqlite = {
    .abi = WH_ABI,
    .size = sizeof(struct wh_connector),
    .name = "sqlite",
    .title = "SQLite database files",
    .schemes = schemes,
    .url = WH_URL_PATH,
    .connection = &lite_connection_table,
    .from = &lite_from_table,
    .to = &lite_to_table,
    .caps = &caps,
    .ep_size = sizeof(struct lite_ep),
    .se_size = sizeof(struct lite_se),
    .endpoint = &lite_endpoint,
    .source = &lite_source,
    .sink = &lite_sink,
    .libraries = libraries,
};
