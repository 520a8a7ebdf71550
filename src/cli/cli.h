/* SPDX-License-Identifier: Apache-2.0 */
/* The command line: one struct of what was typed, one file per command. Knows no connector. */
#ifndef WHERRY_CLI_CLI_H
#define WHERRY_CLI_CLI_H

#include "core/options.h"
#include "engine/start.h"
#include "state/state.h"

/* Which commands take a flag; a command's row in main.c names its groups. */
enum {
    WH_G_GLOBAL = 1,
    WH_G_COPY = 2,      /* settings of a copy: stream keys */
    WH_G_RUN = 4,       /* settings of a run that do not shape its result */
    WH_G_START = 8,     /* which run: --fresh --again --run-id ... */
    WH_G_JOB = 16,      /* --set --scheduled */
    WH_G_VALIDATE = 32, /* --level */
    WH_G_LIST = 64,     /* -n, --status */
    WH_G_OUT = 128,     /* -o */
    WH_G_PREVIEW = 256, /* --limit alone, --from */
    WH_G_DISCARD = 512,
    WH_G_FULL = 1024,    /* --full */
    WH_G_REBUILD = 2048, /* --rebuild-state */
    WH_G_ORIGIN = 4096,  /* --origin */
    WH_G_LIMIT = 8192,   /* -j, --rate ... of a running run */
    WH_G_TAIL = 16384,   /* -n, the last ones */
    WH_G_GC = 32768,     /* --older, --all, --dry-run */
    WH_G_DIRTY = 65536,  /* -n, how many rows */
    WH_G_SINCE = 131072, /* --since */
};

struct wh_cli {
    struct wh_arena *arena;
    struct wh_problems problems;
    struct wh_list args;      /* what is no flag */
    struct wh_node *settings; /* MAP: the job keys that flags stand for */

    /* Global. */
    const char *dir, *state, *server, *events, *summary, *log_format, *log_file, *debug, *stats,
        *color;
    bool moved; /* a run was begun: what it did counts more than what was printed of it */
    bool json, quiet, verbose, yes, no_input, no_progress, help;
    /* Which run. */
    const char *run_id, *scheduled, *plan_file, *output, *level, *ignore, *status_filter, *since,
        *lines, *save;
    const char *rebuild, *older;
    bool fresh, again, dry_run, discard, full, origin, all;
    struct wh_list set; /* P=V */
    struct wh_map said; /* job key, or "--flag" where there is none: "--mode", "WHERRY_MODE" */

    struct wh_node *connections; /* the user's own, read on first use: wh_cli_connections */
    struct wh_state *store;      /* opened on first use: wh_cli_state */
    struct wh_services *services;
};

struct wh_command {
    const char *name, *usage, *summary;
    uint32_t groups;
    int (*run)(struct wh_cli *); /* returns the exit code */
    bool hidden;
    const char *examples; /* NULL or lines */
};

/* flags.c */
bool wh_flags_parse(struct wh_cli *, const struct wh_command *, int argc, char **argv);
/* How many of these words are flags of every command (with their values) before the command. */
int wh_flags_before(int argc, char **argv);
void wh_flags_help(const struct wh_command *, struct wh_buf *);
const char *const *wh_flag_names(uint32_t groups); /* NULL-terminated, for "did you mean" */

/* Every flag in turn; returns false after the last. values: what may be written, "a, b", or NULL.
 */
struct wh_flag_seen {
    const char *name, *key, *argument, *help;
    char letter;
    bool global, takes_value;
    const char *value; /* as it is in force, of flags that are no key; NULL: not given */
};
bool wh_flag_at(const struct wh_cli *, size_t i, uint32_t groups, struct wh_flag_seen *ret);
/* Who said the key: "--mode", "WHERRY_MODE"; NULL: nobody. */
/* Problems of what WHERRY_ variables said get the variable as their place. */
void wh_flags_blame(struct wh_cli *);
const char *wh_flag_origin(const struct wh_cli *, const char *key);

/* main.c */
extern const struct wh_command wh_commands[];
const struct wh_command *wh_command_find(const char *name);
wh_status wh_cli_state(struct wh_cli *, struct wh_state **ret, struct wh_error *reterr);
wh_status wh_cli_services(struct wh_cli *, struct wh_services **ret, struct wh_error *reterr);
/* MAP of the named connections outside of jobs; NULL: no memory. What cannot be read is said. */
const struct wh_node *wh_cli_connections(struct wh_cli *);
/* What a command that takes a connection was given: its bare name (dw) is meant as dw: is. */
const char *wh_cli_conn_word(struct wh_cli *, const char *word);
/* Asks a person for consent, or takes --yes; false: refused, and the code to end with is 2. */
bool wh_cli_consent(struct wh_cli *, const char *question);
/* All of a descriptor; errno of what failed, EFBIG when the buffer's cap is reached. */
int wh_cli_read(int fd, struct wh_buf *);
/* "\n  " and what to do next: the hint, or what the page of the code says. */
void wh_cli_next(const char *hint, const char *code, struct wh_buf *);
/* Prints an error for people (stderr) or as a JSON line (--json), returns its exit code. */
int wh_cli_fail(struct wh_cli *, const struct wh_error *);
/* Prints all problems; returns 2 if any is an error, else 0. */
int wh_cli_problems(struct wh_cli *);
/* A usage error of our own: fills and prints; returns 2. */
int wh_cli_usage(struct wh_cli *, const char *code, const char *hint, const char *fmt, ...)
    WH_PRINTF(4, 5);
/* Writes all of it, retrying short writes; false when the reader has gone away. */
bool wh_cli_write(int fd, const char *p, size_t n);
bool wh_cli_print(struct wh_buf *); /* stdout, then clears */

/* text.c: numbers as people read them. Each appends and ignores a full buffer. */
void wh_text_count(struct wh_buf *, int64_t n);          /* 2,000,000 */
void wh_text_size(struct wh_buf *, int64_t bytes);       /* 412 MB */
void wh_text_seconds(struct wh_buf *, double s);         /* 4.1 s, 2 m 05 s */
void wh_text_rate(struct wh_buf *, int64_t n, double s); /* 488k rows/s */
void wh_text_time(struct wh_buf *, int64_t wall_us);     /* 2026-11-22 01:02:03Z, "-" for 0 */
/* Names and the words of others: one line, whatever is in them. */
void wh_text_line(struct wh_buf *, const char *text);
/* yaml.c: "key: value" lines that the job reader takes back as they are. */
wh_status wh_yaml_scalar(const char *, struct wh_buf *);
wh_status wh_yaml_member(const char *key, const struct wh_node *value, int indent, struct wh_buf *);
/* hide.c: passwords leave the list of processes; says so once. Before anything keeps words. */
void wh_cli_hide(struct wh_cli *, int argc, char **argv);
struct wh_grid; /* columns aligned by width in code points */
struct wh_grid *wh_grid_new(struct wh_arena *, int columns,
                            const char *right);        /* 'r' or 'l' each */
void wh_grid_cell(struct wh_grid *, const char *text); /* row-wise; NULL = "" */
void wh_grid_print(struct wh_grid *, struct wh_buf *);

/* run_log.c: the events of a run, kept beside the state for `logs`. */
struct wh_run_log {
    int fd; /* -1: not open */
    bool failed;
    int64_t bytes;
    const char *state_dir, *run; /* of the line under way */
};
bool wh_run_log_wants(const struct wh_run_log *, const struct wh_event *);
/* Before the pieces of a line that is wanted; then their sum is one line. */
void wh_run_log_begin(struct wh_run_log *, const char *state_dir, const char *run);
void wh_run_log_add(struct wh_run_log *, const char *text, size_t n);
const char *wh_run_log_path(struct wh_arena *, const char *state_dir, const char *run);
/* render.c: what people see of a run (stderr), and where its events for programs go. */
struct wh_render;
struct wh_render *wh_render_new(struct wh_cli *, bool stdout_is_data);
const struct wh_run_listener *wh_render_listener(struct wh_render *);
void wh_render_free(struct wh_render *);
/* Where --summary says; -1 = nowhere, or it cannot be: that is said. */
int wh_cli_summary_open(const struct wh_cli *);
void wh_cli_summary_close(const struct wh_cli *, int fd, bool written);
wh_status wh_result_text(const struct wh_run_result *, struct wh_buf *);

/* One file per command. */
int wh_cmd_copy(struct wh_cli *);
int wh_cmd_run(struct wh_cli *);
int wh_cmd_plan(struct wh_cli *);
int wh_cmd_resume(struct wh_cli *);
int wh_cmd_cancel(struct wh_cli *);
int wh_cmd_validate(struct wh_cli *);
int wh_cmd_check(struct wh_cli *);
int wh_cmd_grants(struct wh_cli *);
int wh_cmd_discover(struct wh_cli *);
int wh_cmd_describe(struct wh_cli *);
int wh_cmd_preview(struct wh_cli *);
int wh_cmd_connectors(struct wh_cli *);
int wh_cmd_status(struct wh_cli *);
int wh_cmd_units(struct wh_cli *);
int wh_cmd_history(struct wh_cli *);
int wh_cmd_explain(struct wh_cli *);
int wh_cmd_schema(struct wh_cli *);
int wh_cmd_config(struct wh_cli *);
int wh_cmd_completion(struct wh_cli *);
int wh_cmd_limit(struct wh_cli *);
int wh_cmd_watch(struct wh_cli *);
int wh_cmd_logs(struct wh_cli *);
int wh_cmd_unlock(struct wh_cli *);
int wh_cmd_gc(struct wh_cli *);
int wh_cmd_state(struct wh_cli *);
/* What `status` prints of one run; a word for its condition: "running", "failed" ... */
wh_status wh_cli_run_text(struct wh_cli *, const struct wh_run_record *, struct wh_buf *);
void wh_cli_run_json(struct wh_cli *, const struct wh_run_record *, struct wh_buf *);
const char *wh_cli_condition(struct wh_cli *, const struct wh_run_record *);
/* By its id or the beginning of one; a run that is not known gets "did you mean". Wants the state
 * to be open. */
wh_status wh_cli_run(struct wh_cli *, const char *word, struct wh_run_record *ret,
                     struct wh_error *reterr);
/* What there is to say instead of an empty list: for people, on standard error. */
void wh_cli_nothing(struct wh_cli *, const char *fmt, ...) WH_PRINTF(2, 3);
/* The newest run, or the newest unfinished one; NULL: there is none. */
const char *wh_cli_newest(struct wh_cli *, bool unfinished, struct wh_error *);
int wh_cmd_conn(struct wh_cli *);
int wh_cmd_secret(struct wh_cli *);
int wh_cmd_import(struct wh_cli *);
int wh_cmd_init(struct wh_cli *);
/* The job file of these arguments, to `file`; "-" is standard output. */
int wh_cli_save(struct wh_cli *, const char *file);
/* The candidates for the last word; asked by the shells. */
int wh_complete(struct wh_cli *, int argc, char **argv);
int wh_cmd_tables(struct wh_cli *);
int wh_cmd_dirty(struct wh_cli *);
int wh_cli_dirty_export(struct wh_cli *, const struct wh_run_record *, const char *table);
int wh_cmd_doctor(struct wh_cli *);
int wh_cmd_version(struct wh_cli *);
int wh_cmd_help(struct wh_cli *);

/* Shared by the commands that move: reads JOB or SRC DST into a job. NULL: problems are printed. */
struct wh_job *wh_cli_job(struct wh_cli *, const char *file);
struct wh_job *wh_cli_copy_job(struct wh_cli *, size_t first_arg);
int wh_cli_carry_out(struct wh_cli *, struct wh_job *take);
/* How a run that was started ended: says what is to be said; the exit code. */
int wh_cli_started(struct wh_cli *, int st, const struct wh_outcome *, const struct wh_error *);
/* INTERFACE 6: of two exit codes, the one that counts. */
int wh_cli_worse(int a, int b);
/* A new file, or with --yes the one that is there emptied; -1: said why not, *ret_code is set. */
int wh_cli_create(struct wh_cli *, const char *file, unsigned mode, int *ret_code);

#endif
