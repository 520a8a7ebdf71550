/* SPDX-License-Identifier: Apache-2.0 */
/* The postgresql connector: its settings and what it can do. libpq's own names are aliases, so that
 * a URL or a conninfo that people have keeps its meaning. */
#include <stdio.h>

#include "pg.h"

static const struct wh_enum tls_modes[] = {
    {PG_TLS_AUTO, "auto", "verify-full; on loopback addresses and sockets as the server offers",
     NULL},
    {PG_TLS_VERIFY_FULL, "verify-full", "certificate and host name are proved", NULL},
    {PG_TLS_VERIFY_CA, "verify-ca", "the certificate is proved, not the name in it", NULL},
    {PG_TLS_REQUIRE, "require", "encrypted, to whoever answers", NULL},
    {PG_TLS_REQUIRE, "insecure", "the same as require", NULL},
    {PG_TLS_PREFER, "prefer", "encrypted if the server offers it", NULL},
    {PG_TLS_OFF, "off", "in clear text", NULL},
    {PG_TLS_OFF, "disable", "the same as off", NULL},
    {0},
};

#define C struct pg_connection
static const struct wh_option connection_rows[] = {
    WH_OPT_STR(C, host, .aliases = "hostaddr", .group = "where",
               .help = "Server, several with commas, or the folder of its socket (default: the "
                       "socket of this machine)",
               .since = "0.1"),
    WH_OPT_I64(C, port, 0, 65535, .def = "0", .group = "where",
               .help = "Port; 0 = PGPORT, the service's, or 5432", .since = "0.1"),
    WH_OPT_STR(C, database, .aliases = "dbname", .group = "where",
               .help = "Database (default: the name of the user)", .since = "0.1"),
    WH_OPT_STR(C, service, .group = "where",
               .help = "Section of ~/.pg_service.conf to take settings from", .since = "0.1"),
    WH_OPT_STR(C, service_file, .flags = WH_OPT_ADVANCED | WH_OPT_PATH, .aliases = "servicefile",
               .group = "where", .help = "Another service file", .since = "0.1"),
    WH_OPT_STR(C, target_session_attrs, .flags = WH_OPT_ADVANCED, .group = "where",
               .help = "Of several hosts, the one that is: any, read-write, primary, standby, "
                       "prefer-standby",
               .since = "0.1"),
    WH_OPT_STR(C, user, .aliases = "username", .group = "login",
               .help = "Role to log in as (default: the user of the system)", .since = "0.1"),
    WH_OPT_SECRET(C, password, .flags = WH_OPT_ELSEWHERE, .group = "login",
                  .help = "Its password; without it ~/.pgpass is looked at", .since = "0.1"),
    WH_OPT_STR(C, passfile, .flags = WH_OPT_ADVANCED | WH_OPT_PATH, .group = "login",
               .help = "Another password file than ~/.pgpass", .since = "0.1"),
    WH_OPT_STR(C, role, .flags = WH_OPT_ADVANCED, .group = "login",
               .help = "Role to take on after the log-in (set role)", .since = "0.1"),
    WH_OPT_ENUM(C, tls, tls_modes, .def = "auto", .aliases = "sslmode,tls_mode", .group = "tls",
                .help = "Encryption, and what of the server's certificate is proved",
                .since = "0.1"),
    WH_OPT_STR(C, tls_ca, .flags = WH_OPT_PATH, .aliases = "sslrootcert,ca", .group = "tls",
               .help = "Certificates of authorities to trust (default: ~/.postgresql/root.crt, "
                       "else the system's)",
               .since = "0.1"),
    WH_OPT_STR(C, tls_cert, .flags = WH_OPT_PATH, .aliases = "sslcert", .group = "tls",
               .help = "Certificate to log in with", .since = "0.1"),
    WH_OPT_STR(C, tls_key, .flags = WH_OPT_PATH, .aliases = "sslkey", .group = "tls",
               .help = "Its private key (only its owner may read the file)", .since = "0.1"),
    WH_OPT_DURATION(C, connect_timeout, 0, 3600000, .def = "10s", .flags = WH_OPT_SECONDS,
                    .group = "waiting",
                    .help = "Longest wait for a connection, all hosts together (a bare number: "
                            "seconds, as libpq has it)",
                    .since = "0.1"),
    WH_OPT_DURATION(C, network_timeout, 0, 86400000, .def = "30s", .flags = WH_OPT_ALIAS_MS,
                    .aliases = "tcp_user_timeout", .group = "waiting",
                    .help = "Longest silence of a network that should carry something; 0 = the "
                            "system's",
                    .since = "0.1"),
    WH_OPT_DURATION(C, lock_timeout, 0, 86400000, .def = "30s", .flags = WH_OPT_RUNTIME,
                    .group = "waiting",
                    .help = "Longest wait for a lock of somebody else; 0 = none", .since = "0.1"),
    WH_OPT_DURATION(C, statement_timeout, 0, 864000000, .def = "0", .flags = WH_OPT_RUNTIME,
                    .group = "waiting", .help = "Longest time of one statement; 0 = none",
                    .since = "0.1"),
    WH_OPT_STR(C, options, .flags = WH_OPT_ADVANCED, .group = "server",
               .help = "Settings of the server at log-in: -c work_mem=64MB", .since = "0.1"),
    WH_OPT_BOOL(C, row_security, .def = "false", .flags = WH_OPT_ADVANCED, .group = "server",
                .help = "Read tables with row-level security as this user sees them (else they "
                        "are refused where a policy hides rows)",
                .since = "0.1"),
    WH_OPT_END};
#undef C

const struct wh_options pg_connection_table = {connection_rows, sizeof(struct pg_connection),
                                               "postgresql connection"};

static const struct wh_option from_rows[] = {
    WH_OPT_STR(struct pg_from, schema, .group = "where",
               .help = "Schema of a table that is named without one (default: the search path)",
               .since = "0.1"),
    WH_OPT_SIZE(struct pg_from, split_bytes, 0, INT64_C(1) << 40, .def = "0",
                .flags = WH_OPT_ADVANCED, .group = "splitting",
                .help = "Wanted size of a unit; 0 = the engine's choice", .since = "0.1"),
    WH_OPT_BOOL(struct pg_from, frames, .def = "true", .flags = WH_OPT_ADVANCED,
                .group = "splitting",
                .help = "Rows may pass from PostgreSQL to PostgreSQL without being decoded",
                .since = "0.1"),
    WH_OPT_END};

const struct wh_options pg_from_table = {from_rows, sizeof(struct pg_from), "postgresql source"};

static const struct wh_option to_rows[] = {
    WH_OPT_STR(struct pg_to, schema, .group = "where",
               .help = "Schema of a table that is named without one (default: the first of the "
                       "search path)",
               .since = "0.1"),
    WH_OPT_STR(struct pg_to, tablespace, .flags = WH_OPT_ADVANCED, .group = "table",
               .help = "Tablespace of a new table", .since = "0.1"),
    WH_OPT_BOOL(struct pg_to, unlogged, .def = "false", .flags = WH_OPT_ADVANCED, .group = "table",
                .help = "A new table is UNLOGGED: faster, emptied by a crash of the server",
                .since = "0.1"),
    WH_OPT_BOOL(struct pg_to, sequences, .def = "true", .flags = WH_OPT_ADVANCED, .group = "table",
                .help = "Sequences of identity and serial columns that are loaded go on behind the "
                        "greatest value",
                .since = "0.1"),
    WH_OPT_BOOL(struct pg_to, triggers, .def = "true", .flags = WH_OPT_ADVANCED, .group = "table",
                .help = "Triggers fire while rows are loaded; false also skips foreign keys and "
                        "needs the right to set session_replication_role",
                .since = "0.1"),
    WH_OPT_STR(struct pg_to, marker_schema, .flags = WH_OPT_ADVANCED, .group = "commit",
               .help = "Schema of wherry_run, wherry_unit, wherry_target (default: the target's)",
               .since = "0.1"),
    WH_OPT_END};

const struct wh_options pg_to_table = {to_rows, sizeof(struct pg_to), "postgresql destination"};

static const char *const frames[] = {PG_FRAME, NULL};

static const struct wh_capabilities caps = {
    .flags = WH_CAP_MARKER | WH_CAP_WHOLE_DATABASE | WH_CAP_WHERE | WH_CAP_QUERY |
             WH_CAP_PROJECTION | WH_CAP_LIMIT | WH_CAP_STATEMENTS | WH_CAP_REPLACE_KEYS |
             WH_CAP_MARKER_TABLE | WH_CAP_SPLIT_BY | WH_CAP_PARTS,
    .frames = frames,
    .modes = (1 << WH_MODE_COUNT) - 1, /* all of them */
    .commit_class = WH_CLASS_T,
    .atomics = 1 << WH_ATOMIC_UNIT | 1 << WH_ATOMIC_TABLE,
    .snapshot = WH_SNAP_HELD,
    .grade = "G1",
    .limits = "tested against PostgreSQL 15; a row must fit into memory",
};

static void libraries(wh_library_fn each, void *arg)
{
    int v = pg_library_version();
    char text[32];

    snprintf(text, sizeof text, "%d.%d", v / 10000, v % 10000);
    each(arg, "libpq", text);
}

static const char *const schemes[] = {"postgresql", "postgres", "pg", NULL};

WH_CONNECTOR(postgresql);
const struct wh_connector wh_connector_postgresql = {
    .abi = WH_ABI,
    .size = sizeof(struct wh_connector),
    .name = "postgresql",
    .title = "PostgreSQL databases",
    .schemes = schemes,
    .url = WH_URL_SERVER,
    .connection = &pg_connection_table,
    .from = &pg_from_table,
    .to = &pg_to_table,
    .caps = &caps,
    .ep_size = sizeof(struct pg_ep),
    .se_size = sizeof(struct pg_se),
    .endpoint = &pg_endpoint,
    .source = &pg_source,
    .sink = &pg_sink,
    .hold = pg_hold,
    .libraries = libraries,
};
