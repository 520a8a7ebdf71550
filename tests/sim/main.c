/* SPDX-License-Identifier: Apache-2.0 */
/* Seeds one after the other, each in a process of its own (so that what a killed engine leaves does
 * not add up, and a crash is a failed seed):
 *
 *     sim --seeds 10000 [--from 1] [--mutant NAME] [--jobs 2]
 *     sim --seed 4711 --trace          replays one, telling what happens
 *     sim --mutants 10000              every planted fault must be found within so many seeds
 */
#include "world.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const char *const mutant_names[MUTANT_COUNT] = {
    "none",       "no-marker",  "no-fence",  "guess-done", "no-rest",     "found-parts",
    "step-twice", "no-archive", "loses-row", "early-show", "keeps-target"};

static char base[48];
static const char *program;
static char *template;
static size_t template_n;
static int report_fd = -1;

struct tally {
    int64_t kills, stops, jumps, processes, unknowns, twins, fences, lost, refused, cuts, turns;
};

void sim_fail(const char *fmt, ...)
{
    char text[600];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    sim_trace_tasks();
    fflush(stdout);
    dprintf(report_fd >= 0 ? report_fd : 2,
            "seed %llu: %s\n    replay: %s --seed %llu%s%s --trace\n",
            (unsigned long long)world.seed, text, program, (unsigned long long)world.seed,
            world.mutant ? " --mutant " : "", world.mutant ? mutant_names[world.mutant] : "");
    sim_exit(1);
}

/* ---- the state that every seed begins with -----------------------------------------------------
 */

static void make_template(void)
{
    struct wh_error err = {0};
    struct wh_state *state;
    char path[80];
    struct stat st;
    sqlite3 *db;
    int fd;

    snprintf(path, sizeof path, "%s/state.db", base);
    if (wh_state_open(path, 1000, &state, &err) != WH_OK) {
        fprintf(stderr, "no state: %s\n", err.message);
        exit(2);
    }
    wh_state_close(state);
    sqlite3_open(path, &db);
    sqlite3_exec(db, "pragma wal_checkpoint(truncate)", NULL, NULL, NULL);
    sqlite3_close(db);
    fd = open(path, O_RDONLY);
    fstat(fd, &st);
    template_n = (size_t)st.st_size;
    template = malloc(template_n + 1);
    if (read(fd, template, template_n) != (ssize_t)template_n)
        exit(2);
    close(fd);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
    return remove(path);
}

static void remove_all(const char *path)
{
    nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* ---- one seed, in its own process --------------------------------------------------------------
 */

static void run_seed(uint64_t seed, enum mutant mutant)
{
    struct tally t;
    int fd;

    world.seed = seed;
    world.mutant = mutant;
    snprintf(world.dir, sizeof world.dir, "%s/%llu", base, (unsigned long long)seed);
    snprintf(world.state, sizeof world.state, "%s/state.db", world.dir);
    mkdir(world.dir, 0700);
    fd = open(world.state, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (fd < 0 || write(fd, template, template_n) != (ssize_t)template_n)
        sim_fail("no state in %s", world.dir);
    close(fd);
    alarm(120);
    world_run(seed, mutant);
    t = (struct tally){world.kills,    world.stops,     world.jumps,  world.processes,
                       world.unknowns, world.twins,     world.fences, world.lost,
                       world.refused,  world.cuts_done, sim_switches};
    if (report_fd >= 0 && write(report_fd, &t, sizeof t) != (ssize_t)sizeof t)
        sim_exit(3);
    fflush(stdout);
    sim_exit(0);
}

struct slot {
    pid_t pid;
    int fd;
    uint64_t seed;
};

/* Takes in how a seed ended; whether it was well. */
static bool gather(struct slot *s, int how, struct tally *sum, bool quiet)
{
    char text[1400];
    ssize_t n = read(s->fd, text, sizeof text - 1);
    bool good = WIFEXITED(how) && WEXITSTATUS(how) == 0 && n == (ssize_t)sizeof(struct tally);
    char dir[80];

    close(s->fd);
    if (good) {
        int64_t *to = (int64_t *)sum, from[sizeof *sum / sizeof(int64_t)];

        memcpy(from, text, sizeof from);
        for (size_t i = 0; i < sizeof *sum / sizeof *to; i++)
            to[i] += from[i];
    } else if (!quiet) {
        text[n > 0 ? n : 0] = 0;
        if (n > 0)
            printf("%s", text);
        else
            printf("seed %llu: ended by %s %d\n    replay: %s --seed %llu --trace\n",
                   (unsigned long long)s->seed, WIFSIGNALED(how) ? "signal" : "exit",
                   WIFSIGNALED(how) ? WTERMSIG(how) : WEXITSTATUS(how), program,
                   (unsigned long long)s->seed);
        fflush(stdout);
    }
    snprintf(dir, sizeof dir, "%s/%llu", base, (unsigned long long)s->seed);
    remove_all(dir);
    s->pid = 0;
    return good;
}

static void launch(struct slot *s, uint64_t seed, enum mutant mutant)
{
    int fds[2];

    if (pipe(fds))
        exit(2);
    fflush(stdout);
    s->seed = seed;
    s->fd = fds[0];
    s->pid = fork();
    if (s->pid < 0)
        exit(2);
    if (s->pid == 0) {
        close(fds[0]);
        report_fd = fds[1];
        run_seed(seed, mutant);
    }
    close(fds[1]);
}

/* How many of the seeds are lost; stops at the first one if that is enough. */
static int64_t run_seeds(uint64_t from, int64_t n, enum mutant mutant, int jobs, bool first,
                         struct tally *sum, uint64_t *ret_seed)
{
    struct slot slots[16] = {{0}};
    int64_t begun = 0, over = 0, lost = 0;

    while (over < begun || (begun < n && !(first && lost))) {
        for (int i = 0; i < jobs && begun < n && !(first && lost); i++)
            if (!slots[i].pid)
                launch(&slots[i], from + (uint64_t)begun++, mutant);
        int how = 0;
        pid_t pid = wait(&how);

        for (int i = 0; i < jobs; i++)
            if (slots[i].pid == pid) {
                uint64_t seed = slots[i].seed;

                over++;
                if (!gather(&slots[i], how, sum, first)) {
                    if (!lost)
                        *ret_seed = seed;
                    lost++;
                }
            }
        if (lost > 20)
            break;
    }
    while (wait(NULL) > 0)
        ;
    return lost;
}

static double cpu_seconds(void)
{
    struct rusage u;

    getrusage(RUSAGE_CHILDREN, &u);
    return (double)u.ru_utime.tv_sec + (double)u.ru_stime.tv_sec +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) * 1e-6;
}

static int all_mutants(int64_t n, int jobs)
{
    int missed = 0;

    for (int m = 1; m < MUTANT_COUNT; m++) {
        if (m == MUTANT_FOUND_PARTS) /* too rare for so few seeds: tests/model/staged.pml has it */
            continue;
        struct tally sum = {0};
        uint64_t seed = 0;
        bool found = run_seeds(1, n, (enum mutant)m, jobs, true, &sum, &seed) > 0;

        printf("%-6s %-14s", found ? "found" : "MISSED", mutant_names[m]);
        if (found)
            printf(" by seed %llu", (unsigned long long)seed);
        putchar('\n');
        fflush(stdout);
        missed += !found;
    }
    printf("%d passed, %d failed, 0 skipped\n", MUTANT_COUNT - 2 - missed, missed);
    return missed != 0;
}

static enum mutant mutant_named(const char *name)
{
    for (int m = 0; m < MUTANT_COUNT; m++)
        if (strcmp(mutant_names[m], name) == 0)
            return (enum mutant)m;
    fprintf(stderr, "no planted fault '%s'\n", name);
    exit(2);
}

int main(int argc, char **argv)
{
    int64_t n = 200, mutants = 0;
    uint64_t from = 1, seed = 0;
    enum mutant mutant = MUTANT_NONE;
    int jobs = 1, code;
    bool one = false;
    struct tally t = {0};

    program = argv[0];
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";

        if (strcmp(argv[i], "--trace") == 0) {
            sim_tracing = true;
            continue;
        }
        if (strcmp(argv[i], "--seeds") == 0)
            n = strtoll(value, NULL, 10);
        else if (strcmp(argv[i], "--from") == 0)
            from = strtoull(value, NULL, 10);
        else if (strcmp(argv[i], "--seed") == 0)
            one = true, seed = strtoull(value, NULL, 10);
        else if (strcmp(argv[i], "--mutant") == 0)
            mutant = mutant_named(value);
        else if (strcmp(argv[i], "--mutants") == 0)
            mutants = strtoll(value, NULL, 10);
        else if (strcmp(argv[i], "--jobs") == 0)
            jobs = (int)strtol(value, NULL, 10);
        else
            return fprintf(stderr, "what is '%s'?\n", argv[i]), 2;
        i++;
    }
    jobs = jobs < 1 ? 1 : jobs > 16 ? 16 : jobs;
    snprintf(base, sizeof base, "%s/wherry-sim-XXXXXX",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    if (!mkdtemp(base))
        return 2;
    sqlite3_config(SQLITE_CONFIG_SINGLETHREAD); /* where it is linked in, its locks would be ours */
    make_template();
    if (mutants) {
        code = all_mutants(mutants, jobs);
    } else if (one) {
        uint64_t bad = 0;

        code = run_seeds(seed, 1, mutant, 1, false, &t, &bad) > 0;
        printf("seed %llu: %s\n", (unsigned long long)seed, code ? "lost" : "well");
    } else {
        uint64_t bad = 0;
        int64_t lost = run_seeds(from, n, mutant, jobs, false, &t, &bad);

        printf("%lld processes, %lld kills, %lld stops, %lld clock jumps, %lld unknown commits, "
               "%lld lost sessions, %lld twins, %lld fenced, %lld refusals, %lld cuts, %lld turns, "
               "%.1f CPU s\n",
               (long long)t.processes, (long long)t.kills, (long long)t.stops, (long long)t.jumps,
               (long long)t.unknowns, (long long)t.lost, (long long)t.twins, (long long)t.fences,
               (long long)t.refused, (long long)t.cuts, (long long)t.turns, cpu_seconds());
        printf("%lld passed, %lld failed, 0 skipped\n", (long long)(n - lost), (long long)lost);
        code = lost != 0;
    }
    remove_all(base);
    return code;
}
