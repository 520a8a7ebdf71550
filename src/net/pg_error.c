/* SPDX-License-Identifier: Apache-2.0 */
/* What the server or libpq says, as a status, a code and words. */
#include "net/pg_internal.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

struct sqlstate_row {
    const char *prefix; /* the first that fits counts */
    int status;
    const char *code;
    bool retriable;
};

static const struct sqlstate_row table[] = {
    {"28", WH_E_AUTH, "E2005", false},    /* password, pg_hba.conf */
    {"42501", WH_E_AUTH, "E2006", false}, /* insufficient_privilege */
    {"3D000", WH_E_NOT_FOUND, "E2012", false},
    {"3F000", WH_E_NOT_FOUND, "E3001", false},
    {"42P01", WH_E_NOT_FOUND, "E3001", false}, /* undefined_table */
    {"42704", WH_E_NOT_FOUND, "E3001", false}, /* undefined_object */
    {"42703", WH_E_NOT_FOUND, "E3002", false}, /* undefined_column */
    {"55P03", WH_BLOCKED, "E5010", true},      /* lock_not_available */
    {"25006", WH_E_AUTH, "E5014", false},      /* read_only_sql_transaction */
    {"40", WH_E_REMOTE, "E2016", true},        /* serialization, deadlock */
    {"53100", WH_E_REMOTE, "E5004", true},     /* disk_full */
    {"53300", WH_E_REMOTE, "E2007", true},     /* too_many_connections */
    {"53", WH_E_REMOTE, "E2016", true},
    {"57014", WH_E_REMOTE, "E2016", true}, /* query_canceled, statement_timeout */
    {"57P01", WH_LOST, "E2008", true},
    {"57P02", WH_LOST, "E2008", true},
    {"57P03", WH_E_REMOTE, "E2001", true}, /* cannot_connect_now: starting, shutting down */
    {"57P05", WH_LOST, "E2008", true},     /* idle_session_timeout */
    {"25P03", WH_LOST, "E2008", true},     /* idle_in_transaction_session_timeout */
    {"08", WH_LOST, "E2008", true},
    {"58", WH_E_REMOTE, "E2016", true}, /* system errors of the server */
    {"", WH_E_REMOTE, "E2015", false},
};

static const struct sqlstate_row *row_of(const char *sqlstate)
{
    const struct sqlstate_row *r = table;

    while (*r->prefix && strncmp(r->prefix, sqlstate, strlen(r->prefix)) != 0)
        r++;
    return r;
}

/* libpq's words end with a newline and may have several lines. */
static void one_line(const char *text, char *out, size_t size)
{
    size_t n = 0;

    for (; text && *text && n + 1 < size; text++) {
        bool blank = isspace((unsigned char)*text);

        if (blank && (n == 0 || out[n - 1] == ' '))
            continue;
        out[n++] = blank ? ' ' : *text;
    }
    while (n && out[n - 1] == ' ')
        n--;
    out[n] = 0;
}

static const char *field_of(const struct pg_conn *c, char field)
{
    const char *text = c->error ? PQresultErrorField(c->error, field) : NULL;

    return text ? text : "";
}

struct wh_str pg_said(const struct pg_conn *c, char field)
{
    return wh_str(c->error ? PQresultErrorField(c->error, field) : NULL);
}

static void say_where(const struct pg_conn *c, struct wh_error *reterr)
{
    if (reterr && !reterr->where[0] && c->who[0])
        wh_error_where(reterr, "%s", c->who);
}

int pg_lost(struct pg_conn *c, struct wh_error *reterr)
{
    char words[400];

    c->dead = true;
    one_line(c->pg ? PQerrorMessage(c->pg) : "", words, sizeof words);
    char *advice = strstr(words, " This probably means the server terminated");

    if (advice)
        *advice = 0;
    if (atomic_load(&c->interrupted))
        snprintf(words, sizeof words, "the session was interrupted");
    else if (!words[0])
        snprintf(words, sizeof words, "the connection is closed");
    wh_ignore(wh_fail(reterr, WH_LOST, "E2008", "%s", words));
    say_where(c, reterr);
    return WH_LOST;
}

int pg_misused(struct pg_conn *c, const char *what, struct wh_error *reterr)
{
    c->dead = true;
    return wh_fail(reterr, WH_E_BUG, "E9003", "postgresql client: %s", what);
}

static void fill(struct wh_error *reterr, const char *sqlstate, const struct sqlstate_row *row)
{
    if (!reterr)
        return;
    snprintf(reterr->sqlstate, sizeof reterr->sqlstate, "%.5s", sqlstate);
    reterr->retriable = row->retriable;
    if (row->status == WH_LOST)
        reterr->scope = WH_SCOPE_SESSION;
}

int pg_refused(struct pg_conn *c, PGresult *taken, struct wh_error *reterr)
{
    const struct sqlstate_row *row;
    const char *state, *severity, *detail, *hint, *context;
    char words[400];

    PQclear(c->error);
    c->error = taken;
    state = field_of(c, PG_DIAG_SQLSTATE);
    severity = field_of(c, PG_DIAG_SEVERITY_NONLOCALIZED);
    if (!*state || atomic_load(&c->interrupted))
        return pg_lost(c, reterr); /* libpq's own words: the connection broke */
    row = row_of(state);
    if (strcmp(severity, "FATAL") == 0 || strcmp(severity, "PANIC") == 0) {
        c->gone = c->dead = true;
        c->running = false;
        row = row_of("57P01");
    }
    one_line(field_of(c, PG_DIAG_MESSAGE_PRIMARY), words, sizeof words);
    detail = field_of(c, PG_DIAG_MESSAGE_DETAIL);
    context = field_of(c, PG_DIAG_CONTEXT);
    wh_ignore(wh_fail(reterr, row->status, row->code, "%s%s%s%s%.*s%s", words, *detail ? ": " : "",
                      detail, *context ? " (" : "", (int)strcspn(context, "\n"), context,
                      *context ? ")" : ""));
    fill(reterr, state, row);
    say_where(c, reterr);
    hint = field_of(c, PG_DIAG_MESSAGE_HINT);
    if (*hint)
        wh_error_hint(reterr, "the server's hint: %s", hint);
    else if (strcmp(row->code, "E2006") == 0)
        wh_error_hint(reterr, "'wherry grants' with this object prints what has to be granted");
    return row->status;
}

/* ---- connecting --------------------------------------------------------------------------------
 */

/* The last "SEVERITY:  28P01: words" of libpq's message, or "". */
static void find_sqlstate(const char *message, char out[6])
{
    out[0] = 0;
    for (const char *p = message; (p = strstr(p, ":  ")); p++) {
        const char *s = p + 3;
        int n = 0;

        while (n < 5 && (isdigit((unsigned char)s[n]) || isupper((unsigned char)s[n])))
            n++;
        if (n == 5 && s[5] == ':')
            snprintf(out, 6, "%.5s", s);
    }
}

struct words_row {
    const char *words;
    int status;
    const char *code, *hint;
};

/* libpq's own words, in English unless a locale was set, which Wherry never does. */
static const struct words_row spoken[] = {
    {"server does not support SSL", WH_E_AUTH, "E2004",
     "the server offers no TLS; 'tls: off' connects without it, in clear text"},
    {"certificate verify failed", WH_E_AUTH, "E2004",
     "give the certificate of the authority that signed the server's (tls_ca=FILE); "
     "'tls: insecure' gives up the proof"},
    {"does not match host name", WH_E_AUTH, "E2004",
     "connect by a name that the certificate has; 'tls: verify-ca' checks the authority alone"},
    {"root certificate file", WH_E_AUTH, "E2004",
     "give the certificate of the authority that signed the server's (tls_ca=FILE); "
     "'tls: insecure' gives up the proof"},
    {"could not get server's host name from server certificate", WH_E_AUTH, "E2004", NULL},
    /* A record of the handshake that was damaged on its way: the next one may arrive. */
    {"bad record mac", WH_E_IO, "E2008", NULL},
    {"SSL error", WH_E_AUTH, "E2004", NULL},
    {"private key file", WH_E_AUTH, "E2004", NULL},
    {"certificate file", WH_E_AUTH, "E2004", NULL},
    {"no password supplied", WH_E_AUTH, "E2005",
     "give a password: PGPASSWORD, a line in ~/.pgpass, or 'password: ${env:NAME}' in a "
     "connection; one that stood in a URL is not kept for resume"},
    {"authentication method", WH_E_AUTH, "E2005", NULL},
    {"could not translate host name", WH_E_IO, "E2003", "check the name: getent hosts NAME"},
    {"definition of service", WH_E_USAGE, "E1002", "look at ~/.pg_service.conf"},
    {"service file", WH_E_USAGE, "E1002", NULL},
    {"invalid connection option", WH_E_USAGE, "E1001", NULL},
    {"invalid port number", WH_E_USAGE, "E1002", NULL},
    {"invalid sslmode", WH_E_USAGE, "E1002", NULL},
    {"timeout expired", WH_E_IO, "E2002", NULL},
    {"", WH_E_IO, "E2001", "check host and port, and whether the server is up"},
};

static const struct words_row *words_of(const char *message)
{
    const struct words_row *r = spoken;

    while (*r->words && !strstr(message, r->words))
        r++;
    return r;
}

/* Without the lines "LOCATION:  auth_failed, auth.c:326" and the SQLSTATE, which we asked for, and
 * without libpq's own advice, on lines that begin with a tab. */
static void tidy(const char *message, const char *sqlstate, char *out, size_t size)
{
    char kept[1200];
    size_t n = 0;

    for (const char *line = message; *line;) {
        size_t len = strcspn(line, "\n");

        bool told =
            n >= len + 1 && memmem(kept, n, line, len) != NULL; /* tried with and without TLS */

        if (!told && *line != '\t' && strncmp(line, "LOCATION:", 9) != 0 &&
            n + len + 2 < sizeof kept) {
            memcpy(kept + n, line, len);
            n += len;
            kept[n++] = '\n';
        }
        line += len + (line[len] == '\n');
    }
    kept[n] = 0;
    for (char *p = kept; *sqlstate && (p = strstr(p, sqlstate));)
        if (p[5] == ':')
            memmove(p, p + 6, strlen(p + 6) + 1);
        else
            p++;
    one_line(kept, out, size);
}

/* What to do about a log-in that failed; the first that fits counts. */
static void say_next(const char *state, struct wh_error *reterr)
{
    static const struct {
        const char *state, *hint;
    } rows[] = {
        {"28P01", "check user and password (a password in the URL, PGPASSWORD, ~/.pgpass); special "
                  "characters in a URL are percent-encoded"},
        {"28", "the server's pg_hba.conf decides who may come from where, and how"},
        {"53300",
         "fewer lanes (-j N) take fewer connections: a lane has one at each end, and a run "
         "two more; or wait for other runs, or raise the server's max_connections or the "
         "role's limit"},
        {"3D000", "'psql -l' lists the databases; in a URL the name stands behind the '/'"},
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (strncmp(state, rows[i].state, strlen(rows[i].state)) == 0) {
            wh_error_hint(reterr, "%s", rows[i].hint);
            return;
        }
}

/* "no password supplied" does not say whose. */
static void name_user(const struct pg_conn *c, char *words, size_t size)
{
    const char *user = PQuser(c->pg);
    size_t n = strlen(words);

    if (user && *user && !strstr(words, user) && n < size)
        snprintf(words + n, size - n, " (user \"%.64s\")", user);
}

int pg_connect_error(struct pg_conn *c, struct wh_error *reterr)
{
    const char *message = PQerrorMessage(c->pg);
    const struct words_row *said;
    char state[6], words[600];
    int st;

    if (atomic_load(&c->interrupted))
        return pg_lost(c, reterr);
    c->dead = true;
    find_sqlstate(message, state);
    tidy(message, state, words, sizeof words);
    if (state[0]) {
        const struct sqlstate_row *row = row_of(state);
        const char *code = row->status == WH_LOST || !*row->prefix ? "E2001" : row->code;

        st = row->status == WH_LOST ? WH_E_IO : row->status;
        if (strcmp(code, "E2005") == 0)
            name_user(c, words, sizeof words);
        wh_ignore(wh_fail(reterr, st, code, "%s", words));
        fill(reterr, state, row);
        say_next(state, reterr);
        return st;
    }
    said = words_of(message);
    if (strcmp(said->code, "E2005") == 0)
        name_user(c, words, sizeof words);
    st = wh_fail(reterr, said->status, said->code, "%s", words);
    if (said->hint)
        wh_error_hint(reterr, "%s", said->hint);
    return st;
}
