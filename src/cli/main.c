/* SPDX-License-Identifier: Apache-2.0 */
/* wherry: finds the command, reads its flags, runs it, gives its exit code. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "core/errors.h"
#include "core/log.h"
#include "engine/ctx.h"
#include "engine/killpoint.h"
#include "engine/macro.h"
#include "engine/own.h"
#include "engine/registry.h"

static int cmd_hold(struct wh_cli *c)
{
    return wh_cli_usage(c, "E1009", NULL, "'hold' is for wherry itself");
}

static int cmd_kill_points(struct wh_cli *c)
{
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(1 << 20);
    size_t n;
    const struct wh_kill_name *v = wh_kill_names(&n);
    for (size_t i = 0; i < n; i++)
        wh_ignore(wh_buf_printf(&b, "%s %s\n", v[i].name, v[i].phase));
    wh_cli_print(&b);
    return 0;
}

#define MOVES (WH_G_COPY | WH_G_RUN | WH_G_START | WH_G_JOB)

const struct wh_command wh_commands[] = {
    {"copy", "SRC... DST", "one copy without a file", MOVES, wh_cmd_copy, false,
     "  wherry copy planes.csv.gz out.db\n"
     "  wherry copy 'sqlite:out.db#planes' planes.csv --where 'seats > 100'\n"
     "  wherry copy 'gen:lineitem?rows=2e6' null:\n"},
    {"run", "JOB...", "job files; safe to repeat",
     WH_G_RUN | WH_G_START | WH_G_JOB | WH_G_PLAN | WH_G_FIRST | WH_G_SELECT, wh_cmd_run, false,
     "  wherry run nightly.yaml\n  wherry run nightly.yaml --scheduled 2026-11-21\n"
     "  wherry run --plan tonight.json\n"},
    {"plan", "JOB | SRC... DST", "resolve all, touch nothing",
     MOVES | WH_G_OUT | WH_G_FULL | WH_G_DIFF | WH_G_SELECT, wh_cmd_plan, false,
     "  wherry plan nightly.yaml\n  wherry plan in.csv out.db\n"
     "  wherry plan nightly.yaml -o tonight.json\n  wherry plan nightly.yaml --diff\n"
     "  wherry plan nightly.yaml --diff tonight.json\n"},
    {"resume", "[RUN]", "go on with an unfinished run",
     WH_G_RUN | WH_G_START | WH_G_JOB | WH_G_REBUILD, wh_cmd_resume, false,
     "  wherry resume\n  wherry resume r-20261122-7f3a\n"
     "  wherry resume --rebuild-state out.db\n"},
    {"cancel", "RUN [--discard]", "stop a run; --discard gives it up", WH_G_DISCARD, wh_cmd_cancel,
     false, "  wherry cancel r-20261122-7f3a\n"},
    {"validate", "JOB | A B", "are both ends equal?", WH_G_VALIDATE | WH_G_JOB, wh_cmd_validate,
     false, "  wherry validate planes.csv.gz 'sqlite:out.db#planes'\n"},
    {"check", "JOB | CONN", "reach, login, rights", WH_G_JOB, wh_cmd_check, false,
     "  wherry check nightly.yaml\n  wherry check sqlite:out.db\n"},
    {"discover", "CONN [GLOB]", "what is there", WH_G_PREVIEW, wh_cmd_discover, false,
     "  wherry discover sqlite:out.db\n  wherry discover 'in/*.csv'\n"},
    {"describe", "OBJ", "columns with types and keys", WH_G_PREVIEW, wh_cmd_describe, false,
     "  wherry describe planes.csv.gz\n"},
    {"preview", "OBJ | JOB [STREAM]", "the first rows", WH_G_PREVIEW | WH_G_JOB, wh_cmd_preview,
     false, "  wherry preview planes.csv.gz --limit 5\n"},
    {"grants", "CONN | OBJ", "the least rights, as SQL", WH_G_PREVIEW, wh_cmd_grants, false,
     "  wherry grants postgresql://etl@db1/shop\n"
     "  wherry grants 'postgresql://etl@db1/shop#sales.orders'\n"},
    {"init", "SRC... DST", "write the job file of a copy, and move nothing",
     WH_G_COPY | WH_G_RUN | WH_G_OUT, wh_cmd_init, false,
     "  wherry init planes.csv.gz out.db -o planes.yaml\n"
     "  wherry init 'shop:sales.*' 'dw:ods.{source.table}' --mode upsert\n"},
    {"import", "KIND FILE...", "job files of datax, cdm or sling as ours", WH_G_OUT, wh_cmd_import,
     false,
     "  wherry import datax orders.json -o jobs\n"
     "  wherry import sling replication.yaml\n"},
    {"conn", "VERB [NAME] [URL]", "named connections: list, show, test, add, rm", 0, wh_cmd_conn,
     false,
     "  wherry conn add shop postgresql://etl@db1.example/shop\n"
     "  wherry conn test shop\n  wherry copy shop:sales.orders orders.csv\n"},
    {"secret", "VERB [NAME]", "passwords for ${secret:NAME}: list, set, rm", 0, wh_cmd_secret,
     false, "  wherry secret set shop.password < password.txt\n"},
    {"connectors", "[NAME]", "what can be read and written, and every setting", 0,
     wh_cmd_connectors, false, "  wherry connectors\n  wherry connectors file\n"},
    {"status", "[RUN]", "how far a run is", 0, wh_cmd_status, false, NULL},
    {"units", "[RUN]", "the units of a run", WH_G_LIST, wh_cmd_units, false, NULL},
    {"history", "[JOB]", "runs, newest first", WH_G_LIST | WH_G_SINCE, wh_cmd_history, false,
     "  wherry history nightly --status failed --since 7d\n"},
    {"config", "[JOB | SRC... DST]", "every setting, its value, and who said so",
     WH_G_COPY | WH_G_RUN | WH_G_JOB | WH_G_ORIGIN, wh_cmd_config, false,
     "  wherry config --origin\n  wherry config nightly.yaml --origin -j 2\n"},
    {"schema", "", "JSON Schema of the job file, for editors", WH_G_OUT, wh_cmd_schema, false,
     "  wherry schema -o wherry-job.schema.json\n"},
    {"completion", "SHELL", "the script that completes words in bash, zsh or fish", 0,
     wh_cmd_completion, false,
     "  eval \"$(wherry completion bash)\"\n  wherry completion fish > "
     "~/.config/fish/completions/wherry.fish\n"},
    {"watch", "[RUN]", "a run as it goes, until it ends; its exit code", 0, wh_cmd_watch, false,
     "  wherry watch\n  wherry watch r-20261122-7f3a --stats 5s\n"},
    {"logs", "[RUN]", "what happened in a run, line by line", WH_G_TAIL, wh_cmd_logs, false,
     "  wherry logs\n  wherry logs r-20261122-7f3a -n 20\n"},
    {"dirty", "VERB [RUN] [TABLE]", "refused rows: list, export, replay, drop",
     WH_G_OUT | WH_G_DIRTY, wh_cmd_dirty, false,
     "  wherry dirty list\n  wherry dirty list r-20261122-7f3a\n"
     "  wherry dirty export r-20261122-7f3a orders -o bad.csv\n"
     "  wherry dirty replay r-20261122-7f3a\n"},
    {"limit", "RUN", "slow a run down or let it go, while it runs", WH_G_LIMIT, wh_cmd_limit, false,
     "  wherry limit r-20261122-7f3a --rate 20MB/s -j 2\n"
     "  wherry limit r-20261122-7f3a --rate none\n"},
    {"unlock", "TARGET", "who holds a target; frees it where nothing else can", 0, wh_cmd_unlock,
     false, "  wherry unlock out.db\n"},
    {"state", "VERB [JOB]", "what is remembered of jobs: show", 0, wh_cmd_state, false,
     "  wherry state show\n"},
    {"gc", "", "removes old runs with their logs and archives", WH_G_GC, wh_cmd_gc, false,
     "  wherry gc --dry-run\n  wherry gc --older 7d\n"},
    {"explain", "CODE", "what an error code or an exit code means", 0, wh_cmd_explain, false,
     "  wherry explain E7005\n  wherry explain 5\n"},
    {"doctor", "", "is everything here that is needed?", 0, wh_cmd_doctor, false, NULL},
    {"version", "", "version of program and libraries", 0, wh_cmd_version, false, NULL},
    {"help", "[COMMAND]", "this list, or one command", 0, wh_cmd_help, false, NULL},
    {"hold", "", "keeps a snapshot for a run (internal)", 0, cmd_hold, true, NULL},
    {"tables", "", "what documents are made from (internal)", 0, wh_cmd_tables, true, NULL},
    {"kill-points", "", "names for WH_TEST_KILL (internal)", 0, cmd_kill_points, true, NULL},
    {NULL, NULL, NULL, 0, NULL, false, NULL},
};

const struct wh_command *wh_command_find(const char *name)
{
    for (const struct wh_command *c = wh_commands; c->name; c++)
        if (strcmp(c->name, name) == 0)
            return c;
    return NULL;
}

/* ---- output ---- */

static int stdout_error; /* errno of the first write to standard output that failed */

bool wh_cli_write(int fd, const char *p, size_t n)
{
    while (n) {
        ssize_t w = write(fd, p, n);
        if (w < 0 && errno == EINTR)
            continue;
        if (w <= 0) {
            if (fd == STDOUT_FILENO && !stdout_error)
                stdout_error = w < 0 ? errno : EIO;
            return false;
        }
        p += w;
        n -= (size_t)w;
    }
    return true;
}

bool wh_cli_print(struct wh_buf *b)
{
    bool ok = b->n == 0 || wh_cli_write(STDOUT_FILENO, b->p, b->n);
    wh_buf_clear(b);
    return ok;
}

/* Colour only where a person looks, unless it was asked for. */
static const char *who(const struct wh_cli *c, bool warning)
{
    const char *term = getenv("TERM"), *no = getenv("NO_COLOR");
    bool always = c->color && strcmp(c->color, "always") == 0;
    bool never = c->color && strcmp(c->color, "never") == 0;
    bool shown = isatty(STDERR_FILENO) && !(no && *no) && term && strcmp(term, "dumb") != 0;
    if (never || (!always && !shown))
        return "wherry:";
    return warning ? "\033[1;33mwherry:\033[0m" : "\033[1;31mwherry:\033[0m";
}

void wh_cli_next(const char *hint, const char *code, struct wh_buf *b)
{
    char page[400];

    if (!hint || !*hint)
        hint = wh_error_next(code, page, sizeof(page));
    if (!*hint)
        return;
    wh_ignore(wh_buf_adds(b, "\n  "));
    wh_text_line(b, hint);
}

static void error_text(const struct wh_cli *c, const struct wh_error *e, struct wh_buf *b)
{
    const char *silent = e->status == WH_E_NOMEM ? "E8002" : "E9001";
    wh_ignore(wh_buf_printf(b, "%s %s ", who(c, false), e->code[0] ? e->code : silent));
    if (e->where[0]) {
        wh_text_line(b, e->where);
        wh_ignore(wh_buf_adds(b, ": "));
    }
    wh_text_line(b, e->message);
    wh_cli_next(e->hint, e->code, b);
    wh_ignore(wh_buf_addc(b, '\n'));
    if (e->code[0])
        wh_ignore(wh_buf_printf(b, "  (wherry explain %s)\n", e->code));
}

int wh_cli_fail(struct wh_cli *c, const struct wh_error *e)
{
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(1 << 16);
    wh_cli_summary_note(c, e);
    struct wh_event ev = {.type = WH_EV_ERROR, .error = e};
    wh_ignore(wh_event_json(&ev, &b));
    wh_cli_event(c, &b);
    if (!c->json) {
        wh_buf_clear(&b);
        error_text(c, e, &b);
        if (b.n) {
            wh_log_mask(b.p);
            wh_cli_write(STDERR_FILENO, b.p, b.n);
        }
    }
    c->no_memory |= e->status == WH_E_NOMEM;
    return wh_exit_code(e);
}

enum {
    PROBLEMS_SHOWN = 50 /* more than that nobody reads at once */
};

static void problem_text(const struct wh_cli *c, const struct wh_problem *p, struct wh_buf *b)
{
    wh_ignore(
        wh_buf_printf(b, "%s %s%s ", who(c, p->warning), p->warning ? "warning " : "", p->code));
    if (p->where) {
        wh_text_line(b, p->where);
        wh_ignore(wh_buf_adds(b, ": "));
    }
    wh_text_line(b, p->message);
    wh_cli_next(p->hint, p->warning ? "" : p->code, b);
    wh_ignore(wh_buf_addc(b, '\n'));
}

int wh_cli_problems(struct wh_cli *c)
{
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(1 << 20);
    wh_flags_blame(c);
    for (size_t i = 0; i < c->problems.n; i++) {
        const struct wh_problem *p = &c->problems.v[i];
        c->no_memory |= !p->warning && strcmp(p->code, "E8002") == 0;
        struct wh_error e = {0};
        wh_ignore(wh_fail(&e, WH_E_USAGE, p->code, "%s", p->message));
        wh_error_where(&e, "%s", p->where ? p->where : "");
        wh_error_hint(&e, "%s", p->hint ? p->hint : "");
        if (!p->warning)
            wh_cli_summary_note(c, &e);
        struct wh_buf line WH_CLEANUP(wh_buf_free) = WH_BUF(1 << 16);
        struct wh_event ev = {.type = p->warning ? WH_EV_WARNING : WH_EV_ERROR, .error = &e};
        wh_ignore(wh_event_json(&ev, &line));
        wh_cli_event(c, &line);
        if (!c->json && i < PROBLEMS_SHOWN)
            problem_text(c, p, &b);
    }
    if (!c->json && c->problems.n > PROBLEMS_SHOWN)
        wh_ignore(wh_buf_printf(&b, "wherry: and %zu more; mend these first\n",
                                c->problems.errors > PROBLEMS_SHOWN
                                    ? c->problems.errors - PROBLEMS_SHOWN
                                    : c->problems.n - PROBLEMS_SHOWN));
    if (b.n) {
        wh_log_mask(b.p);
        wh_cli_write(STDERR_FILENO, b.p, b.n);
    }
    int code = !c->problems.errors ? 0 : c->no_memory ? 5 : 2;
    c->problems.n = c->problems.errors = 0;
    return code;
}

int wh_cli_usage(struct wh_cli *c, const char *code, const char *hint, const char *fmt, ...)
{
    struct wh_error e = {0};
    va_list ap;
    va_start(ap, fmt);
    wh_ignore(wh_failv(&e, WH_E_USAGE, code, fmt, ap));
    va_end(ap);
    if (hint)
        wh_error_hint(&e, "%s", hint);
    return wh_cli_fail(c, &e);
}

/* ---- what commands share ---- */

int wh_cli_state(struct wh_cli *c, struct wh_state **ret, struct wh_error *reterr)
{
    if (!c->store)
        WH_TRY(wh_state_open(c->state, 10000, &c->store, reterr));
    wh_log(WH_LOG_DEBUG, "cli", "the state is in %s", wh_state_dir(c->store));
    *ret = c->store;
    return WH_OK;
}

int wh_cli_services(struct wh_cli *c, struct wh_services **ret, struct wh_error *reterr)
{
    if (!c->services)
        WH_TRY(wh_services_new(c->store ? wh_state_dir(c->store) : NULL, "wherry", &c->services,
                               reterr));
    *ret = c->services;
    return WH_OK;
}

const struct wh_node *wh_cli_connections(struct wh_cli *c)
{
    if (!c->connections && wh_connections_load(c->arena, &c->connections, &c->problems) != WH_OK)
        return NULL;
    return c->connections;
}

const char *wh_cli_conn_word(struct wh_cli *c, const char *word)
{
    const struct wh_node *all = wh_cli_connections(c);
    const char *name = wh_node_get(all, word) ? wh_arena_printf(c->arena, "%s:", word) : NULL;
    return name ? name : word;
}

bool wh_cli_consent(struct wh_cli *c, const char *question)
{
    char line[16] = "";
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(4096);
    if (c->yes)
        return true;
    if (c->no_input || c->json || !isatty(STDIN_FILENO) || !isatty(STDERR_FILENO)) {
        wh_cli_usage(c, "E1012", "say --yes if that is meant", "%s", question);
        return false;
    }
    wh_ignore(wh_buf_printf(&b, "%s Go on? [y/N] ", question));
    wh_cli_write(STDERR_FILENO, b.p, b.n);
    ssize_t n = read(STDIN_FILENO, line, sizeof(line) - 1);
    return n > 0 && (line[0] == 'y' || line[0] == 'Y');
}

static volatile sig_atomic_t stops;

static void on_signal(int sig)
{
    static const char text[] = "\nwherry: interrupted\n";
    stops = stops + 1;
    if (!wh_run_is_kept()) { /* looking or planning: nothing is to be saved */
        ssize_t n = write(STDERR_FILENO, text, sizeof(text) - 1);
        (void)n; /* nobody to tell */
        _exit(128 + sig);
    }
    wh_run_stop(stops > 1 ? 2 : 1, sig);
}

static void catch_signals(void)
{
    struct sigaction sa = {.sa_handler = on_signal};
    sigemptyset(&sa.sa_mask);
    sigaction(SIGINT, &sa, NULL);
    sigaction(SIGTERM, &sa, NULL);
    struct sigaction before; /* nohup: the terminal may go */
    if (sigaction(SIGHUP, NULL, &before) == 0 && before.sa_handler != SIG_IGN)
        sigaction(SIGHUP, &sa, NULL);
    sa.sa_handler = SIG_IGN;
    sigaction(SIGPIPE, &sa, NULL);
    sigaction(SIGXFSZ, &sa, NULL); /* a limit on the size of files is told by errno */
}

static int short_help(void)
{
    static const char text[] =
        "wherry copies tables and files from anything it reads to anything it writes.\n"
        "  wherry copy planes.csv.gz out.db              one table into SQLite\n"
        "  wherry plan planes.csv.gz out.db              everything it would do, nothing done\n"
        "  wherry validate planes.csv.gz 'out.db#planes' are both ends equal?\n"
        "wherry help lists the commands.\n";
    return wh_cli_write(STDOUT_FILENO, text, sizeof(text) - 1) ? 0 : 1;
}

/* Commands of other versions: what there is instead. */
static const struct {
    const char *name, *why, *hint;
} later[] = {
    {"serve", "there is no server: every run is a process of its own",
     "schedule 'wherry run JOB' with cron or systemd (docs/guide/nightly.md); wherry status, watch "
     "and history --json tell the rest"},
    {"worker", "a run has one process, its lanes are threads",
     "-j N takes more lanes; several jobs may run side by side on several machines"},
    {"submit", "nothing is handed to Slurm, Kubernetes or YARN",
     "submit 'wherry run JOB' itself as the batch's command: exit codes 5, 7 and 10 mean start it "
     "again"},
};

static int unknown_command(struct wh_cli *c, const char *word)
{
    const char *names[64];
    size_t n = 0;
    for (size_t i = 0; i < sizeof(later) / sizeof(later[0]); i++)
        if (strcmp(later[i].name, word) == 0)
            return wh_cli_usage(c, "E1014", later[i].hint,
                                "'wherry %s' is not part of this version: %s", word, later[i].why);
    for (const struct wh_command *k = wh_commands; k->name; k++)
        if (!k->hidden)
            names[n++] = k->name;
    names[n] = NULL;
    char hint[128] = "wherry help lists the commands";
    const char *near = wh_did_you_mean(wh_str(word), names);
    if (near)
        snprintf(hint, sizeof(hint), "did you mean 'wherry %s'?", near);
    return wh_cli_usage(c, "E1009", hint, "unknown command '%s'", word);
}

int wh_cmd_help(struct wh_cli *c)
{
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(1 << 20);
    const struct wh_command *one = c->args.n ? wh_command_find(c->args.v[0]) : NULL;
    if (c->args.n && !one)
        return unknown_command(c, c->args.v[0]);
    if (one) {
        wh_ignore(wh_buf_printf(&b, "wherry %s %s\n  %s\n", one->name, one->usage, one->summary));
        if (one->examples)
            wh_ignore(wh_buf_printf(&b, "\nExamples:\n%s", one->examples));
        wh_flags_help(one, &b);
    } else {
        wh_ignore(wh_buf_adds(&b, "wherry COMMAND [FLAGS]\n\n"));
        for (const struct wh_command *k = wh_commands; k->name; k++) {
            char left[64];
            snprintf(left, sizeof(left), "%s %s", k->name, k->usage);
            if (!k->hidden)
                wh_ignore(wh_buf_printf(&b, "  %-24s %s\n", left, k->summary));
        }
        wh_ignore(wh_buf_adds(&b, "\nwherry COMMAND --help tells more; wherry connectors lists "
                                  "systems and their settings.\n"));
    }
    return wh_cli_print(&b) ? 0 : 1;
}

/* Words that the flags of every command may be given. */
static bool one_of(struct wh_cli *c, const char *flag, const char *value, const char *a,
                   const char *b, const char *third)
{
    if (!value || strcmp(value, a) == 0 || strcmp(value, b) == 0 ||
        (third && strcmp(value, third) == 0))
        return true;
    char hint[80];
    snprintf(hint, sizeof(hint), third ? "%s, %s or %s" : "%s or %s", a, b, third);
    wh_cli_usage(c, "E1002", hint, "%s does not know '%s'", flag, value);
    return false;
}

static void cannot_make(struct wh_error *e, int err, const char *flag, const char *path)
{
    wh_ignore(wh_fail_errno(e, err, "E5001", "%s %s", flag, path));
    wh_error_hint(e, "name a file in a folder that is there and may be written to");
}

/* The old summary stays until the new one is there. */
static bool good_summary(struct wh_cli *c)
{
    struct wh_error e = {0};
    if (!c->summary)
        return true;
    int fd = open(c->summary, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0) {
        cannot_make(&e, errno, "--summary", c->summary);
        wh_cli_fail(c, &e);
        return false;
    }
    close(fd);
    return true;
}

/* A descriptor that is not open, or a file that cannot be made, is told before anything moves. */
static bool good_events(struct wh_cli *c)
{
    int64_t fd;
    struct wh_error e = {0};
    if (!c->events)
        return true;
    bool number = wh_parse_i64(c->events, &fd);
    int probe = number ? fcntl((int)fd, F_GETFD)
                       : open(c->events, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (probe < 0)
        cannot_make(&e, errno, "--events", c->events);
    if (!number && probe >= 0)
        close(probe);
    if (e.status)
        wh_cli_fail(c, &e);
    return !e.status;
}

/* What --debug may name: these, several with commas, or a connector. */
static const char *const components[] = {"cli",   "plan",  "engine", "sql",
                                         "files", "state", "all",    NULL};

static bool known_component(struct wh_str word)
{
    for (size_t i = 0; components[i]; i++)
        if (wh_str_eqs(word, components[i]))
            return true;
    return wh_registry_is_scheme(word);
}

static bool good_components(struct wh_cli *c)
{
    char hint[200];

    for (const char *p = c->debug; p && *p;) {
        size_t n = strcspn(p, ",");
        struct wh_str word = {p, n};

        if (!known_component(word)) {
            const char *near = wh_did_you_mean(word, components);

            snprintf(hint, sizeof hint,
                     "%s%s%scli, plan, engine, sql, files, state, all, or a connector",
                     near ? "did you mean '" : "", near ? near : "", near ? "'? " : "");
            wh_cli_usage(c, "E1002", hint, "--debug does not know '%.*s'", WH_STR_FMT(word));
            return false;
        }
        p += n + (p[n] == ',');
    }
    return !c->debug || *c->debug ||
           (wh_cli_usage(c, "E1002", "--debug sql,engine", "--debug names no component"), false);
}

static bool good_flags(struct wh_cli *c)
{
    int64_t ms;
    if (!one_of(c, "--color", c->color, "auto", "always", "never") ||
        !one_of(c, "--log-format", c->log_format, "text", "json", NULL))
        return false;
    if (c->stats && (!wh_parse_duration(c->stats, &ms) || ms < 1)) {
        wh_cli_usage(c, "E1002", "write 10s", "--stats '%s' is no duration", c->stats);
        return false;
    }
    return good_components(c) && good_events(c) && good_summary(c);
}

static bool open_log(struct wh_cli *c)
{
    int fd = STDERR_FILENO;
    if (c->log_file) {
        fd = open(c->log_file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        if (fd < 0) {
            struct wh_error e = {0};
            cannot_make(&e, errno, "--log-file", c->log_file);
            wh_cli_fail(c, &e);
            return false;
        }
    }
    bool json = c->log_format ? strcmp(c->log_format, "json") == 0 : c->json;
    wh_log_open(fd, json,
                c->debug     ? WH_LOG_DEBUG
                : c->verbose ? WH_LOG_INFO
                : c->quiet   ? WH_LOG_ERROR
                             : WH_LOG_WARN,
                c->debug);
    return true;
}

/* wherry -C DIR run JOB = wherry run -C DIR JOB */
static void command_first(int argc, char **argv)
{
    int before = wh_flags_before(argc - 1, argv + 1);
    if (before && before + 1 < argc) {
        char *word = argv[before + 1];
        memmove(argv + 2, argv + 1, (size_t)before * sizeof(*argv));
        argv[1] = word;
    }
}

/* How many words a command takes at most, as its usage says: "JOB | A B" is two. */
static size_t most_words(const char *usage)
{
    size_t most = 0, n = 0;
    for (const char *p = usage; *p;) {
        size_t len = strcspn(p, " ");
        if (len > 3 && strncmp(p + len - 3, "...", 3) == 0)
            return SIZE_MAX;
        if (len == 1 && *p == '|')
            n = 0;
        else if (strncmp(p, "[-", 2) != 0)
            n++;
        most = n > most ? n : most;
        p += len + (p[len] == ' ');
    }
    return most;
}

static int no_memory(struct wh_cli *c)
{
    struct wh_error e;
    wh_ignore(wh_fail(&e, WH_E_NOMEM, "E8002", "no memory for the command line"));
    return wh_cli_fail(c, &e);
}

static int dispatch(struct wh_cli *c, int argc, char **argv)
{
    command_first(argc, argv);
    const char *word = argv[1];
    if (strcmp(word, "--version") == 0)
        word = "version";
    else if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0)
        word = "help";
    const struct wh_command *cmd = wh_command_find(word);
    if (!cmd)
        return unknown_command(c, word);
    c->starts = cmd->groups & WH_G_START && cmd->run != wh_cmd_plan;
    wh_cli_hide(c, argc - 2, argv + 2);
    c->settings = wh_node_map(c->arena);
    if (!c->settings || !wh_flags_parse(c, cmd, argc - 2, argv + 2))
        return no_memory(c);
    if (c->help) {
        c->args.n = 1;
        c->args.v = (const char **)wh_arena_alloc(c->arena, sizeof(char *));
        if (!c->args.v)
            return no_memory(c);
        c->args.v[0] = cmd->name;
        return wh_cmd_help(c);
    }
    c->data_in_stdout = c->starts && c->args.n > 1 && strcmp(c->args.v[c->args.n - 1], "-") == 0;
    int code = wh_cli_problems(c);
    if (code)
        return code;
    if (c->args.n > most_words(cmd->usage)) {
        char hint[160];
        snprintf(hint, sizeof(hint), "wherry %s%s%s", cmd->name, *cmd->usage ? " " : "",
                 cmd->usage);
        return wh_cli_usage(c, "E1011", hint, "'%s' is a word too many",
                            c->args.v[most_words(cmd->usage)]);
    }
    if (c->server)
        return wh_cli_usage(c, "E1014",
                            "leave it out: every command works on the state of this machine "
                            "(--state PATH)",
                            "--server is not part of this version");
    if (c->dir && chdir(c->dir) != 0) {
        struct wh_error e;
        wh_ignore(wh_fail_errno(&e, errno, "E2012", "cannot work in %s", c->dir));
        return wh_cli_fail(c, &e);
    }
    c->in_dir = true;
    if (c->summary && *c->summary != '/') /* a run may go on in a folder of its own */
        c->folder = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (!good_flags(c) || !open_log(c))
        return 2;
    wh_log(WH_LOG_DEBUG, "cli", "wherry %s: %s, process %ld", WHERRY_VERSION, cmd->name,
           (long)getpid());
    int ended = cmd->run(c);
    wh_log(WH_LOG_DEBUG, "cli", "%s ends with %d", cmd->name, ended);
    return ended;
}

/* What was printed did not get through. A closed pipe is no error; what a run did counts more than
 * its words. */
static int after_stdout(struct wh_cli *c, int code)
{
    struct wh_error e = {0};

    if (!stdout_error)
        return code;
    if (stdout_error == EPIPE)
        return code == 0 || code == 1 ? 128 + SIGPIPE : code;
    wh_ignore(wh_fail_errno(&e, stdout_error, stdout_error == ENOSPC ? "E5004" : "E5001",
                            "cannot write to standard output"));
    wh_error_hint(&e, "make space where the output goes, then run it again");
    c->json = false;
    int failed = wh_cli_fail(c, &e);
    return c->moved || code > 1 ? code : failed;
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "hold") == 0)
        return wh_hold_main(argc, argv);
    catch_signals();
    if (argc < 2)
        return short_help();
    struct wh_cli c = {.arena = wh_arena_new(64 << 20), .folder = AT_FDCWD};
    if (!c.arena)
        return no_memory(&c);
    c.problems.arena = c.arena;
    bool asked = strcmp(argv[1], "complete") == 0;
    wh_commands_allow(!asked); /* a key of the keyboard starts nothing */
    int code = asked ? wh_complete(&c, argc - 2, argv + 2) : dispatch(&c, argc, argv);
    if (code == 2 && c.no_memory)
        code = 5; /* nothing is wrong with what was asked */
    if (c.starts)
        wh_cli_summary_end(&c, code);
    if (!asked)
        code = after_stdout(&c, code);
    wh_services_free(c.services);
    wh_state_close(c.store);
    wh_arena_free(c.arena);
    return code;
}
