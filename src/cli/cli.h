/* SPDX-License-Identifier: Apache-2.0 */
/* The command line: one struct of what was typed, one file per command. Knows no connector. */
#ifndef WHERRY_CLI_CLI_H
#define WHERRY_CLI_CLI_H

#include "core/options.h"
#include "engine/plan_file.h"
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
    WH_G_FULL = 1024,      /* --full */
    WH_G_REBUILD = 2048,   /* --rebuild-state */
    WH_G_ORIGIN = 4096,    /* --origin */
    WH_G_LIMIT = 8192,     /* -j, --rate ... of a running run */
    WH_G_TAIL = 16384,     /* -n, the last ones */
    WH_G_GC = 32768,       /* --older, --all, --dry-run */
    WH_G_DIRTY = 65536,    /* -n, how many rows */
    WH_G_SINCE = 131072,   /* --since */
    WH_G_PLAN = 262144,    /* --plan */
    WH_G_DIFF = 524288,    /* --diff */
    WH_G_FIRST = 1048576,  /* --resume-first */
    WH_G_SELECT = 2097152, /* --select */
};

struct wh_cli {
    struct wh_arena *arena;
    struct wh_problems problems;
    struct wh_list args;      /* what is no flag */
    struct wh_node *settings; /* MAP: the job keys that flags stand for */

    /* Global. */
    const char *dir, *state, *server, *events, *summary, *log_format, *log_file, *debug, *stats,
        *color;
    bool moved;     /* a run was begun: what it did counts more than what was printed of it */
    bool no_memory; /* for want of it alone nothing was begun: exit 5, not 2 */
    bool json, quiet, verbose, yes, no_input, no_progress, help;
    /* Which run. */
    const char *run_id, *scheduled, *plan_file, *output, *level, *ignore, *status_filter, *since,
        *lines, *save, *sample, *as_of, *side;
    const char *rebuild, *older;
    bool fresh, again, dry_run, discard, full, origin, all;
    struct wh_list set;    /* P=V */
    struct wh_list select; /* STREAM[/TABLE], failed */
    bool diff, resume_first;
    int folder;          /* in which relative names of ours are */
    bool starts, in_dir; /* the command may begin a run; -C is done */
    bool data_in_stdout; /* "-" is a destination: events go to standard error */
    /* summary.c */
    bool summarised; /* a run told its end */
    const char *job_name, *run_name, *resume;
    struct wh_error *errors;
    size_t n_errors;
    struct wh_plan_origin *came_from; /* filled by wh_cli_job where it is wanted; NULL */
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
/* Prints all problems; returns 2 if any is an error (5 by want of memory), else 0. */
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
/* screen.c: columns that valid UTF-8 takes on a terminal; the bytes of it that fit into so many. */
size_t wh_text_width(const char *, size_t n);
size_t wh_text_fits(const char *, size_t n, size_t columns);
/* A block of lines that is drawn over itself. fd: where; nothing happens if that is no terminal. */
struct wh_screen {
    int fd;
    bool terminal;
    size_t n; /* lines that stand there, each ended */
    uint16_t width[64];
};
void wh_screen_init(struct wh_screen *, int fd);
/* Whether this process is in the foreground of its terminal; only then it may draw. */
bool wh_screen_ours(const struct wh_screen *);
void wh_screen_erase(struct wh_screen *, struct wh_buf *);
/* The lines from `from` on, each ended, are cut to the window and remembered. */
void wh_screen_draw(struct wh_screen *, size_t from, struct wh_buf *);
struct wh_grid; /* columns aligned by their width on a terminal */
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
void wh_render_events(const struct wh_render *, int ret_fd[2]); /* -1: nowhere */
/* Where --summary says; -1 = nowhere, or it cannot be: that is said. */
int wh_cli_summary_open(struct wh_cli *);
void wh_cli_summary_close(const struct wh_cli *, int fd, bool written);
/* Of each run: begin; every error that is told; at its end, with its exit code. Where no run has
 * told its end then, one is made of the errors: for --summary, --json and --events. */
void wh_cli_summary_begin(struct wh_cli *);
void wh_cli_summary_note(struct wh_cli *, const struct wh_error *);
void wh_cli_summary_end(struct wh_cli *, int code);
/* An event that no run tells, to where events go. */
void wh_cli_event(struct wh_cli *, struct wh_buf *line);

wh_status wh_result_text(const struct wh_run_result *, struct wh_buf *);

/* One file per command. */
int wh_cmd_copy(struct wh_cli *);
int wh_cmd_run(struct wh_cli *);
int wh_cmd_plan(struct wh_cli *);
int wh_cmd_plan_diff(struct wh_cli *);
/* What differs between a plan in a file and the job of it, or of c->args, now: 4. */
int wh_cli_plan_against(struct wh_cli *, const char *plan_file);

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
/* Goes on with a run, with what flags may change of it. job: its job file, read again, or NULL. */
int wh_cli_resume_run(struct wh_cli *, const char *run, const struct wh_job *job);
int wh_cli_carry_out_plan(struct wh_cli *, struct wh_job *take, const struct wh_plan_file *);
/* plan_file.c: the files of `plan -o`. Each prints what is wrong; 0 or the exit code. */
int wh_cli_plan_write(struct wh_cli *, const struct wh_plan *, const char *path);
/* Whether that is what `plan -o` wrote. */
bool wh_cli_is_plan(struct wh_str text);
int wh_cli_plan_read(struct wh_cli *, const char *path, struct wh_plan_file *ret);
/* Its job. *ret_given: the job file that it came from, read again, or NULL; lives as long. */
int wh_cli_plan_job(struct wh_cli *, const struct wh_plan_file *, const char *job_file,
                    struct wh_job **ret, struct wh_job **ret_given);
/* The job file as it is now, with the time, run and parameters of the plan, unless --set or
 * --scheduled say others. NULL: printed. */
struct wh_job *wh_cli_planned_job(struct wh_cli *, const struct wh_plan_file *,
                                  const char *job_file);
int wh_cli_run_plan(struct wh_cli *);

/* .yaml, .yml, .json: a job, not a table, wherever both may stand. */
bool wh_cli_names_a_job(const char *);
/* How a run that was started ended: says what is to be said; the exit code. */
int wh_cli_started(struct wh_cli *, int st, const struct wh_outcome *, struct wh_render *,
                   const struct wh_error *);
/* INTERFACE 6: of two exit codes, the one that counts. */
int wh_cli_worse(int a, int b);
/* A new file, or with --yes the one that is there emptied; -1: said why not, *ret_code is set. */
int wh_cli_create(struct wh_cli *, const char *file, unsigned mode, int *ret_code);
/* Says that a file of -o cannot be written, and why; the exit code. */
int wh_cli_cannot_write(struct wh_cli *, const char *what, const char *path, int err);
/* The file of -o, whole or not at all; one that is there is replaced if it begins with the same
 * head_n bytes (at most 128), else with --yes only. mode 0600: whatever it was. Exit code. */
int wh_cli_put_whole(struct wh_cli *, const char *what, const char *path, const struct wh_buf *,
                     unsigned mode, size_t head_n);

#endif
