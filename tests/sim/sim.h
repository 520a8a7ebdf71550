/* SPDX-License-Identifier: Apache-2.0 */
/* A world in one thread: engines (the real code, linked as it is) whose threads are coroutines, a
 * clock that only the world moves, a source and a destination that play what the seed says. The
 * linker puts ours in the place of pthread, poll, eventfd, the clocks and the random numbers that
 * the engine calls (--wrap), so that a seed decides every switch and every time, and replays.
 *
 * A *process* is one start of an engine: its tasks, its file locks, its signals. It is killed by
 * never running its tasks again; stopped and continued likewise. The state store is the real one.
 */
#ifndef WHERRY_TESTS_SIM_H
#define WHERRY_TESTS_SIM_H

#include "core/alloc.h"
#include "core/clock.h"
#include "engine/ctx.h"
#include "engine/run.h"
#include "state/state.h"

#include <stdbool.h>
#include <stdint.h>

#define MS 1000000LL
#define S  1000000000LL

enum {
    FLOWS_MOST = 3,
    PROCS_MOST = 40,
    RUNS_MOST = 40,
    GENERATIONS = 24,
};

/* ---- chance, time, tasks (sched.c) -------------------------------------------------------------
 */

void sim_seed(uint64_t);
uint64_t sim_rand(void);
int64_t sim_below(int64_t n); /* 0 .. n - 1; 0 for n <= 1 */
bool sim_chance(int in_1000);

extern int64_t sim_now;      /* what the monotonic clock says, ns */
extern int64_t sim_wall_off; /* wall clock = sim_now + this */
extern bool sim_tracing;
extern int64_t sim_switches;

void sim_trace(const char *fmt, ...) WH_PRINTF(1, 2);
void sim_trace_tasks(void); /* who waits for what */
/* The seed is lost: says why, with what replays it, and ends this seed's process. */
void sim_fail(const char *fmt, ...) WH_PRINTF(1, 2) __attribute__((noreturn));

/* Ends this seed's process itself. */
void sim_exit(int code) __attribute__((noreturn));

struct task;
struct proc;

/* Another task may run here, the process may die here; a little time passes. */
void sim_point(void);
void sim_sleep(int64_t ns);
/* Until ready, or the deadline (INT64_MAX: none). Whether it is ready. */
bool sim_wait(bool (*ready)(void *), void *arg, int64_t deadline);

struct keeper { /* of one process: keeper.c */
    int stop_level, stop_signal, stop_fd;
    int64_t stop_ns;
};
void keeper_save(struct keeper *);
void keeper_load(const struct keeper *);

enum proc_state {
    PROC_FREE,
    PROC_RUNS,
    PROC_STOPPED,
    PROC_DEAD,
    PROC_EXITED
};

struct proc {
    int id;
    enum proc_state state;
    struct keeper keeper;
    int64_t points;            /* how many it came by */
    const char *end_name;      /* kill point at which it is killed or stopped; NULL: none */
    int64_t end_nth;           /* for the how-manieth time, or which point if there is no name */
    bool end_stops;            /* SIGSTOP instead of SIGKILL */
    int64_t ended_at, wake_at; /* when; when it is continued */
    struct task *main;
    void *self; /* world.c */
};

extern struct proc procs[PROCS_MOST];
extern int n_procs;
struct proc *proc_now(void); /* NULL outside of tasks */

/* A process whose first task is body(arg). */
struct proc *proc_start(void (*body)(void *), void *arg);
/* Runs one task until it waits or gives up its turn; false: nobody can run before `next` (a time at
 * which something else happens, INT64_MAX: nothing will). */
bool sim_turn(int64_t next);

/* ---- what the seed decides (world.c) -----------------------------------------------------------
 */

enum kind {
    KIND_UNITS, /* class T, each unit shows when it commits */
    KIND_STAGE, /* class T, a stage that is swapped in at the end */
    KIND_CLEAR, /* class T, emptied first, then units */
    KIND_PARTS, /* class P */
    KIND_LEAST, /* class A */
    KIND_COUNT
};

/* Planted faults: each must be found, or the oracle is blind. */
enum mutant {
    MUTANT_NONE,
    MUTANT_NO_MARKER,    /* the destination forgets markers of units */
    MUTANT_NO_FENCE,     /* it does not compare epochs, and evicts nobody */
    MUTANT_GUESS_DONE,   /* an unknown outcome is taken for done */
    MUTANT_NO_REST,      /* what a cut left is not in the marker */
    MUTANT_FOUND_PARTS,  /* publish takes every part that it finds */
    MUTANT_STEP_TWICE,   /* steps forget that they were done */
    MUTANT_NO_ARCHIVE,   /* dirty rows are written nowhere */
    MUTANT_LOSES_ROW,    /* the encoder drops a row, and count and hash lie for it */
    MUTANT_EARLY_SHOW,   /* a stage shows before it is published */
    MUTANT_KEEPS_TARGET, /* a target is not let go of at the end */
    MUTANT_COUNT
};

struct flow_def {
    int64_t rows, batch;
    int splits;
    bool chained;
    int64_t shift;
    int64_t bad_every;  /* ids that the destination refuses; 0 = none */
    int64_t raw_every;  /* ids that never become a row at the source */
    int64_t dup_every;  /* ids that are there already: not written again (insert-ignore) */
    int64_t skip_every; /* a split with such a number tells of a row it gives twice */
};

struct world {
    uint64_t seed;
    enum mutant mutant;
    enum kind kind;
    enum wh_grain grain;
    int n_flows, lanes;
    struct flow_def flow[FLOWS_MOST];
    bool cuts, named, seal_refuses, late, snapshots, physical, two_engines;
    int64_t dirty_limit, unit_bytes;
    int faults;        /* how many may still happen */
    int fault_rate;    /* in 1000 calls */
    int slow_rate;     /* in 1000 calls: seconds instead of a moment */
    int64_t hang_rate; /* in 1000 faults: the call does not come back */
    char dir[64], state[96];
    bool fatal_seen, hang_seen, gone_seen;
    int kills, stops, jumps, processes, unknowns, twins, fences, lost, refused, evicted, cuts_done;
};

extern struct world world;

enum id_class {
    ID_GOOD,
    ID_BAD, /* refused by the destination */
    ID_RAW, /* refused at the source */
    ID_DUP  /* filtered */
};
enum id_class id_class_of(int flow, int64_t id);
int64_t skipped_of(int flow); /* rows that the source tells as given twice */

/* Whether something goes wrong in this call; counts it. */
bool sim_fault(void);
/* The time a call takes. */
void sim_latency(void);

/* ---- source (source.c) -------------------------------------------------------------------------
 */

extern const struct wh_connector sim_source;
extern struct ArrowSchema sim_schema;
void source_init(void);
int64_t source_early(void); /* rows that it was told are done before they were */

/* ---- destination (server.c) --------------------------------------------------------------------
 */

extern const struct wh_connector sim_target, sim_target_least;
void server_init(void);
int64_t server_next(void); /* when something happens there by itself */
void server_tick(void);
void server_orphans(struct proc *); /* its connections end some time */
const uint8_t *server_visible(int flow);
int server_visible_now(int flow, int64_t id); /* -1: the flow shows nothing yet, as it should */
/* Empty if all is as it should be after the end. */
const char *server_leftovers(void);
bool server_shows_early(void);
bool server_has(int flow, int64_t id);

#endif
