/* SPDX-License-Identifier: Apache-2.0 */
/* Endpoint and sessions: where to, how encrypted, and what every session sets. */
#include "pg.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/log.h"

enum {
    KEYS_MAX = 24,
    SETUP_MAX = 8 << 10
};

/* ---- where to ----------------------------------------------------------------------------------
 */

struct keys {
    const char *k[KEYS_MAX + 1], *v[KEYS_MAX + 1];
    int n;
    char port[16], tag[64], ca[512], host[512];
};

static void add(struct keys *w, const char *key, const char *value)
{
    if (value && *value && w->n < KEYS_MAX) {
        w->k[w->n] = key;
        w->v[w->n++] = value;
    }
}

/* One item of a list of hosts: this machine, whatever its name service says? */
static bool is_local(const char *host, size_t n)
{
    return n == 0 || host[0] == '/' || host[0] == '@' ||
           (n == 9 && strncasecmp(host, "localhost", 9) == 0) ||
           (n >= 4 && strncmp(host, "127.", 4) == 0 && strspn(host, "0123456789.") >= n) ||
           (n == 3 && strncmp(host, "::1", 3) == 0);
}

static bool all_local(const char *hosts)
{
    for (;;) {
        size_t n = strcspn(hosts, ",");

        if (!is_local(hosts, n))
            return false;
        if (!hosts[n])
            return true;
        hosts += n + 1;
    }
}

/* libpq 15 wants a file of authorities and only looks for ~/.postgresql/root.crt. */
static const char *authorities(struct keys *w)
{
    static const char *const bundles[] = {"/etc/ssl/certs/ca-certificates.crt",
                                          "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"};
    const char *home = getenv("HOME");

    if (getenv("PGSSLROOTCERT"))
        return NULL;
    if (home &&
        snprintf(w->ca, sizeof w->ca, "%s/.postgresql/root.crt", home) < (int)sizeof w->ca &&
        access(w->ca, R_OK) == 0)
        return NULL; /* its own default */
    for (size_t i = 0; i < sizeof bundles / sizeof *bundles; i++)
        if (access(bundles[i], R_OK) == 0)
            return bundles[i];
    return NULL;
}

/* tls: auto. What the user told libpq (PGSSLMODE, the service) counts; else certificate and name
 * are proved, but on this machine, where the server's default has no certificate to prove and
 * nobody is in between, it is as the server offers. */
static const char *auto_mode(struct keys *w, const struct pg_connection *o)
{
    char mode[32];

    if (getenv("PGSSLMODE"))
        return NULL;
    if (o->service || getenv("PGSERVICE")) {
        if (pg_effective(w->k, w->v, "sslmode", mode, sizeof mode) && strcmp(mode, "prefer") != 0)
            return NULL;
        if (pg_effective(w->k, w->v, "host", w->host, sizeof w->host))
            return all_local(w->host) ? "prefer" : "verify-full";
    }
    if (o->host && *o->host)
        return all_local(o->host) ? "prefer" : "verify-full";
    return !getenv("PGHOST") || all_local(getenv("PGHOST")) ? "prefer" : "verify-full";
}

static const char *tls_word(struct keys *w, const struct pg_connection *o)
{
    switch ((enum pg_tls)o->tls) {
    case PG_TLS_VERIFY_FULL:
        return "verify-full";
    case PG_TLS_VERIFY_CA:
        return "verify-ca";
    case PG_TLS_REQUIRE:
        return "require";
    case PG_TLS_PREFER:
        return "prefer";
    case PG_TLS_OFF:
        return "disable";
    default:
        return auto_mode(w, o);
    }
}

static void add_tls(struct keys *w, const struct pg_connection *o)
{
    const char *mode = tls_word(w, o);

    add(w, "sslmode", mode);
    if (o->tls_ca)
        add(w, "sslrootcert", o->tls_ca);
    else if (mode && strncmp(mode, "verify", 6) == 0)
        add(w, "sslrootcert", authorities(w));
    add(w, "sslcert", o->tls_cert);
    add(w, "sslkey", o->tls_key);
}

/* The tag of the context is the endpoint's: "wherry/<run>/e<epoch>/c0"; each session has its kind
 * and number. */
static void make_tag(const struct wh_ctx *ctx, const char *kind, int number, char out[64])
{
    const char *tag = ctx->tag ? ctx->tag : "wherry", *slash = strrchr(tag, '/');

    snprintf(out, 64, "%.*s/%s%d", slash ? (int)(slash - tag) : (int)strlen(tag), tag, kind,
             number);
}

static void where_to(struct keys *w, const struct pg_connection *o)
{
    if (o->port)
        snprintf(w->port, sizeof w->port, "%lld", (long long)o->port);
    add(w, "host", o->host);
    add(w, "port", w->port);
    add(w, "dbname", o->database);
    add(w, "user", o->user);
    add(w, "service", o->service);
    add(w, "options", o->options);
}

static void collect_keys(struct keys *w, const struct pg_connection *o)
{
    where_to(w, o);
    add(w, "password", o->password.text);
    add(w, "passfile", o->passfile);
    add(w, "target_session_attrs", o->target_session_attrs);
    add_tls(w, o);
    add(w, "application_name", w->tag);
}

/* ---- what every session sets -------------------------------------------------------------------
 */

struct setting {
    int since; /* server version that knows it */
    const char *name, *value;
};

static const struct setting settings[] = {
    {0, "timezone", "UTC"},
    {0, "datestyle", "ISO, YMD"},
    {0, "intervalstyle", "postgres"},
    {0, "extra_float_digits", "3"},
    {0, "bytea_output", "hex"},
    {0, "standard_conforming_strings", "on"},
    {0, "array_nulls", "on"}, /* off: {NULL} would become the word */
    {0, "xmloption", "content"},
    {0, "quote_all_identifiers", "off"}, /* names inside of values: regclass */
    {0, "default_transaction_isolation", "read committed"},
    {0, "search_path", ""},
    /* A session of ours may wait for the other end; who ends it is the engine or a newer epoch. */
    {90600, "idle_in_transaction_session_timeout", "0"},
    {140000, "idle_session_timeout", "0"},
};

static int add_settings(struct wh_buf *sql, const struct pg_connection *o, const char *kind,
                        int version)
{
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++)
        if (version >= settings[i].since)
            WH_TRY(wh_buf_printf(sql, "set %s to '%s';", settings[i].name, settings[i].value));
    WH_TRY(wh_buf_printf(sql, "set lock_timeout to %lld;set statement_timeout to %lld;",
                         (long long)o->lock_timeout, (long long)o->statement_timeout));
    if (version >= 90500)
        WH_TRY(wh_buf_printf(sql, "set row_security to %s;", o->row_security ? "on" : "off"));
    if (version >= 110000 && *kind != 'r')
        WH_TRY(wh_buf_adds(sql, "set jit to off;")); /* short statements of ours */
    if (o->role && *o->role) {
        struct wh_str role = wh_str(o->role);

        WH_TRY(sql_add(sql, "set role %i;", &role));
    }
    return WH_OK;
}

/* A database of no encoding: the server would end a COPY at the first text that is no UTF-8. It
 * sends the bytes as they are instead, and the decoder looks at each text. */
static int add_encoding(struct wh_buf *sql, const struct pg_conn *c, const char *kind)
{
    const char *encoding = pg_parameter(c, "server_encoding");

    if (*kind != 'r' || !encoding || strcmp(encoding, "SQL_ASCII") != 0)
        return WH_OK;
    return wh_buf_adds(sql, "set client_encoding to 'SQL_ASCII';");
}

/* A role that is not there, or is not ours to take, is a log-in that failed. */
static wh_status run_set_up(struct pg_conn *c, const char *sql, const struct pg_connection *o,
                            struct wh_error *reterr)
{
    struct wh_error err = {0};
    int st = pg_exec(c, sql, &err);

    if (st == WH_OK)
        return WH_OK;
    if (o->role && *o->role && (strcmp(err.sqlstate, "22023") == 0 || st == WH_E_AUTH)) {
        st = err.status = WH_E_AUTH;
        snprintf(err.code, sizeof err.code, "E2005");
        wh_error_hint(&err, "%s cannot take on the role \"%s\": grant it, or leave role= away",
                      pg_who(c), o->role);
    }
    if (reterr)
        *reterr = err;
    return st;
}

static wh_status set_up(struct pg_conn *c, const struct pg_connection *o, const char *kind,
                        struct wh_error *reterr)
{
    struct wh_buf sql WH_CLEANUP(wh_buf_free) = WH_BUF(SETUP_MAX);
    int version = pg_server_version(c);

    if (version < 90600)
        return wh_fail(reterr, WH_E_UNSUPPORTED, "E2009",
                       "the server is PostgreSQL %d.%d; 9.6 is the oldest that can be used",
                       version / 10000, version / 100 % 100);
    if (add_settings(&sql, o, kind, version) != WH_OK || add_encoding(&sql, c, kind) != WH_OK)
        return wh_fail(reterr, WH_E_NOMEM, "E8002", "settings of a session");
    /* What the server acknowledges is recorded as done, here and in what we print: a commit that a
     * crash may still undo is none. */
    if (*kind != 'r' && *kind != 'h' &&
        wh_buf_adds(&sql, "select pg_catalog.set_config('synchronous_commit', 'on', false) where "
                          "pg_catalog.current_setting('synchronous_commit') = 'off';") != WH_OK)
        return wh_fail(reterr, WH_E_NOMEM, "E8002", "settings of a session");
    /* A server that works for a client that is gone (killed, or its machine is) notices within a
     * second. Not every system of a server can. */
    if (version >= 140000 &&
        wh_buf_adds(&sql, "select pg_catalog.set_config('client_connection_check_interval', '1s', "
                          "false) where pg_catalog.version() like '%linux%'") != WH_OK)
        return wh_fail(reterr, WH_E_NOMEM, "E8002", "settings of a session");
    return run_set_up(c, sql.p, o, reterr);
}

/* TCP ends a connection whose bytes are not taken for so long; a server that waits for a lock does
 * not take them, and that is no fault of the network. */
static struct pg_times times_of(const struct pg_connection *o)
{
    struct pg_times t = {.connect = o->connect_timeout, .network = o->network_timeout};

    if (t.network > 0)
        t.network += o->lock_timeout > 0 ? o->lock_timeout : 600000;
    return t;
}

wh_status pg_dial_on(struct pg_conn *c, struct pg_ep *ep, const struct pg_connection *o,
                     const struct wh_ctx *ctx, const char *kind, struct wh_error *reterr)
{
    struct pg_times times = times_of(o);
    struct keys w = {.n = 0};

    make_tag(ctx, kind, ep ? atomic_fetch_add(&ep->session_no, 1) : 0, w.tag);
    collect_keys(&w, o);
    WH_TRY(pg_connect(c, w.k, w.v, &times, reterr));
    return set_up(c, o, kind, reterr);
}

wh_status pg_dial(struct pg_ep *ep, const struct pg_connection *o, const struct wh_ctx *ctx,
                  const char *kind, struct pg_conn **ret, struct wh_error *reterr)
{
    struct pg_conn *c = pg_new(ctx);
    int st;

    if (!c)
        return wh_fail(reterr, WH_E_NOMEM, "E8002", "a connection");
    st = pg_dial_on(c, ep, o, ctx, kind, reterr);
    if (st == WH_OK)
        *ret = c;
    else
        pg_free(c);
    return st;
}

/* ---- endpoint ----------------------------------------------------------------------------------
 */

/* libpq 15 has no keyword for it and reads it from the environment: one for the whole process. Here
 * no session of this endpoint runs yet. */
static wh_status use_service_file(const struct pg_connection *o, struct wh_error *reterr)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static char *ours;
    int st = WH_OK;

    if (!o->service_file || !*o->service_file)
        return WH_OK;
    pthread_mutex_lock(&lock);
    if (ours && strcmp(ours, o->service_file) != 0) {
        st = wh_fail(reterr, WH_E_USAGE, "E1007",
                     "service_file is %s, and another connection of this process has %s: libpq "
                     "reads one only",
                     o->service_file, ours);
        if (reterr)
            wh_error_hint(reterr, "put both services into one file");
    } else if (!ours) {
        ours = wh_strdup(o->service_file);
        if (!ours || setenv("PGSERVICEFILE", ours, 1) != 0)
            st = wh_fail(reterr, WH_E_NOMEM, "E8002", "the service file");
    }
    pthread_mutex_unlock(&lock);
    return st;
}

static wh_status ep_open(void *self, const struct wh_ctx *ctx, enum wh_role role, const void *opts,
                         struct wh_error *reterr)
{
    struct pg_ep *ep = self;

    pthread_mutex_init(&ep->lock, NULL);
    ep->ctx = ctx;
    ep->role = role;
    ep->o = opts;
    if (!ep->o->tls_cert != !ep->o->tls_key)
        return wh_fail(reterr, WH_E_USAGE, "E1007", "%s is given without %s",
                       ep->o->tls_cert ? "tls_cert" : "tls_key",
                       ep->o->tls_cert ? "tls_key" : "tls_cert");
    return use_service_file(ep->o, reterr);
}

static void ep_close(void *self)
{
    struct pg_ep *ep = self;

    pg_expect_nothing(ep);
    wh_free(TAKE_PTR(ep->heirs));
    if (ep->o)
        pthread_mutex_destroy(&ep->lock);
}

/* libpq's buffers: 16 kB each to begin with; the outgoing one holds a few messages of COPY, the
 * incoming one grows to the widest row. OpenSSL has its own. */
static int64_t footprint(const void *opts)
{
    return 1 << 20;
}

/* PGHOST, PGDATABASE, a service file and their kin. */
static void place(const void *opts, char *ret_words, size_t n)
{
    struct keys w = {.n = 0};
    struct wh_error ignored;

    wh_ignore(use_service_file(opts, &ignored));
    where_to(&w, opts);
    pg_place(w.k, w.v, ret_words, n);
}

/* ---- sessions ----------------------------------------------------------------------------------
 */

static const char *kind_of(enum wh_use use)
{
    static const char *const kinds[] = {
        [WH_CONTROL] = "c", [WH_READ] = "r", [WH_WRITE] = "w", [WH_STEP] = "s"};

    return kinds[use];
}

/* What a session of a unit works under: triggers, defaults and checks of the table name what they
 * mean as its owner wrote them. */
static wh_status keep_path(struct pg_se *se, struct wh_str path, struct wh_error *reterr)
{
    if (se->use != WH_WRITE)
        return WH_OK;
    wh_free(TAKE_PTR(se->path));
    se->path = wh_strndup(path.s ? path.s : "", path.n);
    return se->path ? WH_OK : wh_fail(reterr, WH_E_NOMEM, "E8002", "a session");
}

static wh_status take_ident(struct pg_se *se, struct wh_error *reterr)
{
    struct pg_rows *rows WH_CLEANUP(pg_rows_freep) = NULL;
    struct wh_str v;

    WH_TRY(pg_query(se->c,
                    se->use == WH_WRITE
                        ? "select pid || '/' || (extract(epoch from backend_start) * "
                          "1000000)::bigint, (select reset_val from pg_catalog.pg_settings where "
                          "name = 'search_path') from "
                          "pg_catalog.pg_stat_get_activity(pg_catalog.pg_backend_pid())"
                        : "select pid || '/' || (extract(epoch from backend_start) * "
                          "1000000)::bigint, '' from "
                          "pg_catalog.pg_stat_get_activity(pg_catalog.pg_backend_pid())",
                    0, NULL, &rows, reterr));
    if (pg_n_rows(rows) != 1)
        return wh_fail(reterr, WH_E_REMOTE, "E2015", "the server does not know its own session");
    v = pg_cell(rows, 0, 0);
    snprintf(se->ident, sizeof se->ident, "%.*s", WH_STR_FMT(v));
    return keep_path(se, pg_cell(rows, 0, 1), reterr);
}

/* Identity of the database. Not every role may ask for the system's number (a managed server may
 * keep it); then the address must do. */
static void take_system(struct pg_se *se)
{
    struct pg_rows *rows WH_CLEANUP(pg_rows_freep) = NULL;
    struct pg_ep *ep = se->ep;
    const char *const ask[] = {
        "select (select system_identifier from pg_catalog.pg_control_system()) || '/' || oid "
        "from pg_catalog.pg_database where datname = pg_catalog.current_database()",
        "select pg_catalog.inet_server_addr() || ':' || pg_catalog.inet_server_port() || '/' || "
        "oid from pg_catalog.pg_database where datname = pg_catalog.current_database()"};
    char found[sizeof ep->system] = "";

    for (int i = 0; i < 2 && !found[0]; i++) {
        struct wh_error err;
        struct wh_str v = {NULL, 0};

        pg_rows_freep(&rows);
        if (pg_query(se->c, ask[i], 0, NULL, &rows, &err) == WH_OK && pg_n_rows(rows) == 1)
            v = pg_cell(rows, 0, 0);
        snprintf(found, sizeof found, "%.*s", WH_STR_FMT(v));
    }
    if (!found[0])
        snprintf(found, sizeof found, "%s", pg_who(se->c));
    pthread_mutex_lock(&ep->lock);
    if (!ep->system[0])
        memcpy(ep->system, found, sizeof found);
    pthread_mutex_unlock(&ep->lock);
}

void pg_identity(const struct pg_ep *ep, const char *schema, const char *table, char *out,
                 size_t size)
{
    snprintf(out, size, "postgresql:%.90s#%.63s.%.63s", ep->system, schema, table);
}

static wh_status session_open(void *self, void *endpoint, enum wh_use use, struct wh_str *ret_ident,
                              struct wh_error *reterr)
{
    struct pg_se *se = self;
    struct pg_ep *ep = endpoint;
    bool snapped;

    se->ep = ep;
    se->ctx = ep->ctx;
    se->use = use;
    se->c = pg_new(ep->ctx);
    if (!se->c)
        return wh_fail(reterr, WH_E_NOMEM, "E8002", "a connection");
    /* From here on interrupt reaches it; what came before is made up for. */
    atomic_store(&se->live, se->c);
    if (atomic_load(&se->stopped))
        pg_interrupt(se->c);
    WH_TRY(pg_dial_on(se->c, ep, ep->o, ep->ctx, kind_of(use), reterr));
    WH_TRY(take_ident(se, reterr));
    if (!ep->system[0])
        take_system(se);
    *ret_ident = wh_str(se->ident);
    pthread_mutex_lock(&ep->lock);
    snapped = ep->snapped;
    pthread_mutex_unlock(&ep->lock);
    return use == WH_READ && snapped ? pg_enter(se, reterr) : WH_OK;
}

static void interrupt(void *self)
{
    struct pg_se *se = self;
    struct pg_conn *c;

    atomic_store(&se->stopped, true);
    c = atomic_load(&se->live);
    if (c)
        pg_interrupt(c);
}

static void session_close(void *self)
{
    struct pg_se *se = self;

    atomic_store(&se->live, NULL);
    wh_free(TAKE_PTR(se->path));
    pg_free(TAKE_PTR(se->c));
}

/* ---- check -------------------------------------------------------------------------------------
 */

static wh_status check(void *self, void *session, struct wh_error *reterr)
{
    struct pg_rows *rows WH_CLEANUP(pg_rows_freep) = NULL;
    struct pg_ep *ep = self;
    struct pg_se *se = session;
    struct wh_str version, user;

    WH_TRY(pg_query(se->c,
                    "select pg_catalog.current_setting('server_version'), current_user, "
                    "pg_catalog.pg_is_in_recovery()",
                    0, NULL, &rows, reterr));
    version = pg_cell(rows, 0, 0);
    user = pg_cell(rows, 0, 1);
    ep->ctx->log(ep->ctx, WH_LOG_INFO, "PostgreSQL %.*s at %s, acting as %.*s, %s%s",
                 WH_STR_FMT(version), pg_who(se->c), WH_STR_FMT(user),
                 pg_uses_tls(se->c) ? "with TLS" : "without TLS",
                 pg_cell_bool(rows, 0, 2) ? "; a standby: it can only be read" : "");
    return WH_OK;
}

const struct wh_endpoint_ops pg_endpoint = {
    .size = sizeof(struct wh_endpoint_ops),
    .open = ep_open,
    .check = check,
    .session_open = session_open,
    .interrupt = interrupt,
    .snapshot = pg_snapshot,
    .join = pg_join,
    .release = pg_release,
    .tick = pg_tick,
    .catalog = pg_catalog,
    .claim = pg_claim,
    .evict = pg_evict,
    .run_close = pg_run_close,
    .remember = pg_remember,
    .recall = pg_recall,
    .disown = pg_disown,
    .footprint = footprint,
    .grants = pg_grants,
    .expect = pg_expect,
    .working = pg_working,
    .place = place,
    .session_close = session_close,
    .close = ep_close,
};
