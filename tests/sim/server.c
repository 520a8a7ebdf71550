/* SPDX-License-Identifier: Apache-2.0 */
/* The destination: a server with sessions, transactions, run rows and markers (class T), a folder
 * of parts (class P), or a table that takes rows as they come (class A). A session outlives its
 * client: it is ended by its client, by an eviction, or when the server notices. A commit whose
 * answer got lost was done, was not, or is still on its way and lands later. */
#include "sim.h"

#include "data/rowhash.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    SESSIONS = 4096,
    PARTS = 8192,
    SENDS = 512,
    KEEP_BYTES = 4096,
};

struct key {
    int run;
    uint32_t flow, generation;
    int64_t unit; /* steps: -(1000 * phase + id) */
};

struct rows {
    int64_t *id;
    int64_t n, cap;
};

/* What a transaction does when it commits. */
struct work {
    struct key key;
    struct rows rows;
    struct wh_marker m;
    uint8_t rest[KEEP_BYTES], end[64];
    int32_t attempt;
    enum wh_phase phase; /* of a step */
};

struct session {
    bool alive, open; /* at the server; the client has not closed it */
    bool interrupted, writes;
    struct proc *owner;
    int run;
    uint32_t epoch; /* of its tag; 0: it has not claimed */
    char ident[32];
    bool in_work; /* a transaction is open: holds the run row for share */
    struct work work;
    int64_t lands_at;  /* its commit is on its way; 0: it is not */
    int64_t orphan_at; /* when the server sees that nobody is there; 0: somebody is */
};

struct marker {
    struct key key;
    struct work *work;
};

struct run_row {
    char run[32];
    uint32_t epoch;
    bool open, closed;
};

struct part {
    int run;
    uint32_t flow, generation;
    int64_t unit;
    int32_t attempt;
    bool complete, dropped;
    struct work *work;
};

struct table {
    uint8_t *shows; /* per id: how often */
    uint8_t *stage[GENERATIONS];
    bool staged[GENERATIONS];
    bool published;
    int64_t published_parts;
};

static struct session *sessions[SESSIONS];
static int n_sessions;
static struct marker *markers;
static int n_markers, cap_markers;
static struct run_row runs[RUNS_MOST];
static int n_runs;
static struct part *parts;
static int n_parts, cap_parts;
static struct table tables[FLOWS_MOST];
static int held_by = -1; /* run that holds the targets */

void server_init(void)
{
    for (int f = 0; f < world.n_flows; f++) {
        tables[f].shows = calloc((size_t)world.flow[f].rows + 1, 1);
        for (int64_t id = 0; world.kind == KIND_CLEAR && id < world.flow[f].rows; id += 3)
            tables[f].shows[id] = 1; /* what was there before */
    }
}

bool server_has(int flow, int64_t id)
{
    struct table *t = &tables[flow];

    for (int i = 0; i < n_parts; i++)
        if (parts[i].flow == (uint32_t)flow && parts[i].complete)
            for (int64_t k = 0; k < parts[i].work->rows.n; k++)
                if (parts[i].work->rows.id[k] == id)
                    return true;
    for (int g = 0; g < GENERATIONS; g++)
        if (t->staged[g] && t->stage[g][id])
            return true;
    return t->shows[id] > 0;
}

const uint8_t *server_visible(int flow)
{
    return tables[flow].shows;
}

bool server_shows_early(void)
{
    if (world.kind != KIND_STAGE && world.kind != KIND_PARTS)
        return false;
    for (int f = 0; f < world.n_flows; f++)
        for (int64_t id = 0; !tables[f].published && id < world.flow[f].rows; id++)
            if (tables[f].shows[id])
                return true;
    return false;
}

static int run_at(struct wh_str run)
{
    for (int i = 0; i < n_runs; i++)
        if (strlen(runs[i].run) == run.n && memcmp(runs[i].run, run.s, run.n) == 0)
            return i;
    if (n_runs == RUNS_MOST)
        sim_fail("too many runs");
    snprintf(runs[n_runs].run, sizeof runs[0].run, "%.*s", WH_STR_FMT(run));
    return n_runs++;
}

const char *server_leftovers(void)
{
    static char text[160];

    for (int i = 0; i < n_runs; i++)
        if (runs[i].open) {
            snprintf(text, sizeof text, "run row of %s is open", runs[i].run);
            return text;
        }
    if (n_markers) {
        snprintf(text, sizeof text, "%d markers are left", n_markers);
        return text;
    }
    for (int i = 0; i < n_parts; i++)
        if (!parts[i].dropped && parts[i].complete) {
            snprintf(text, sizeof text, "part of unit %d, attempt %d is left", (int)parts[i].unit,
                     parts[i].attempt);
            return text;
        }
    for (int f = 0; f < world.n_flows; f++)
        for (int g = 0; g < GENERATIONS; g++)
            if (tables[f].staged[g]) {
                snprintf(text, sizeof text, "stage of table %d, generation %d is left", f, g);
                return text;
            }
    return held_by >= 0 && world.mutant != MUTANT_KEEPS_TARGET ? "the targets are held" : "";
}

/* ---- markers and transactions ------------------------------------------------------------------
 */

static bool same(const struct key *a, const struct key *b)
{
    return a->run == b->run && a->flow == b->flow && a->generation == b->generation &&
           a->unit == b->unit;
}

static struct marker *find(const struct key *k)
{
    if (world.mutant == MUTANT_NO_MARKER && k->unit > 0)
        return NULL;
    if (world.mutant == MUTANT_STEP_TWICE && k->unit < 0)
        return NULL;
    for (int i = 0; i < n_markers; i++)
        if (same(&markers[i].key, k))
            return &markers[i];
    return NULL;
}

static struct work *keep(const struct work *w)
{
    struct work *own = malloc(sizeof *own);

    *own = *w;
    own->rows.id = malloc((size_t)(w->rows.n + 1) * sizeof(int64_t));
    if (w->rows.n)
        memcpy(own->rows.id, w->rows.id, (size_t)w->rows.n * sizeof(int64_t));
    own->m.rest.p = own->rest;
    own->m.end.p = own->end;
    return own;
}

static void put_marker(const struct work *w)
{
    if (n_markers == cap_markers) {
        cap_markers = cap_markers ? cap_markers * 2 : 256;
        markers = realloc(markers, (size_t)cap_markers * sizeof *markers);
    }
    markers[n_markers++] = (struct marker){w->key, keep(w)};
}

static void set_marker(struct work *w, const struct wh_marker *m)
{
    w->m = *m;
    if (m->rest.n > sizeof w->rest || m->end.n > sizeof w->end)
        sim_fail("a marker's rest is too long for the simulation");
    if (m->rest.n)
        memcpy(w->rest, m->rest.p, m->rest.n);
    if (m->end.n)
        memcpy(w->end, m->end.p, m->end.n);
    if (world.mutant == MUTANT_NO_REST)
        w->m.rest.n = 0;
}

static void add_row(struct rows *r, int64_t id)
{
    if (r->n == r->cap) {
        r->cap = r->cap ? r->cap * 2 : 64;
        r->id = realloc(r->id, (size_t)r->cap * sizeof *r->id);
    }
    r->id[r->n++] = id;
}

static bool stale(int run, uint32_t epoch)
{
    if (world.mutant == MUTANT_NO_FENCE)
        return false;
    return !runs[run].open || runs[run].epoch != epoch;
}

static uint8_t *stage_of(int flow, uint32_t generation)
{
    struct table *t = &tables[flow];

    if (generation >= GENERATIONS)
        sim_fail("too many generations");
    if (!t->stage[generation])
        t->stage[generation] = calloc((size_t)world.flow[flow].rows + 1, 1);
    return t->stage[generation];
}

static void show_rows(const struct rows *r, uint8_t *to)
{
    for (int64_t i = 0; i < r->n; i++)
        if (to[r->id[i]] < 250)
            to[r->id[i]]++;
}

static void step_effect(const struct work *w)
{
    int flow = (int)w->key.flow;
    struct table *t = &tables[flow];
    uint32_t g = w->key.generation;

    if (w->phase == WH_PREPARE && world.kind == KIND_STAGE) {
        memset(stage_of(flow, g), 0, (size_t)world.flow[flow].rows + 1);
        t->staged[g] = true;
    } else if (w->phase == WH_PREPARE && world.kind == KIND_CLEAR) {
        memset(t->shows, 0, (size_t)world.flow[flow].rows + 1);
    } else if (w->phase == WH_PUBLISH && world.kind == KIND_STAGE) {
        if (!t->staged[g])
            sim_fail("table %d is swapped in although its stage is not there", flow);
        memcpy(t->shows, stage_of(flow, g), (size_t)world.flow[flow].rows + 1);
        t->staged[g] = false;
        t->published = true;
    } else if (w->phase == WH_DROP && world.kind == KIND_STAGE) {
        t->staged[g] = false;
    }
}

/* The commit, at the server. */
static void land(struct session *s)
{
    struct work *w = &s->work;
    int flow = (int)w->key.flow;

    s->in_work = false;
    s->lands_at = 0;
    sim_trace("  server: commit of table %d unit %lld, %lld rows (%s)", flow,
              (long long)w->key.unit, (long long)w->rows.n, s->ident);
    if (w->key.unit < 0)
        step_effect(w);
    else if (world.kind == KIND_STAGE && world.mutant != MUTANT_EARLY_SHOW) {
        if (!tables[flow].staged[w->key.generation])
            sim_fail("rows of table %d are committed to a stage that is not there", flow);
        show_rows(&w->rows, stage_of(flow, w->key.generation));
    } else
        show_rows(&w->rows, tables[flow].shows);
    put_marker(w);
}

static void end_session(struct session *s)
{
    if (!s->alive)
        return;
    s->alive = false;
    s->in_work = false;
    s->lands_at = 0;
}

int64_t server_next(void)
{
    int64_t first = INT64_MAX;

    for (int i = 0; i < n_sessions; i++) {
        const struct session *s = sessions[i];

        if (!s->alive)
            continue;
        if (s->lands_at && s->lands_at < first)
            first = s->lands_at;
        if (s->orphan_at && s->orphan_at < first)
            first = s->orphan_at;
    }
    return first;
}

void server_tick(void)
{
    for (int i = 0; i < n_sessions; i++) {
        struct session *s = sessions[i];

        if (s->alive && s->lands_at && s->lands_at <= sim_now)
            land(s);
        if (s->alive && s->orphan_at && s->orphan_at <= sim_now)
            end_session(s);
    }
    if (server_shows_early())
        sim_fail("rows show before they are published");
}

void server_orphans(struct proc *p)
{
    for (int i = 0; i < n_sessions; i++)
        if (sessions[i]->alive && sessions[i]->owner == p && !sessions[i]->orphan_at)
            sessions[i]->orphan_at = sim_now + sim_below(3) * sim_below(60 * S) + 1;
}

/* ---- endpoint ----------------------------------------------------------------------------------
 */

struct client {
    struct session *s;
};

static wh_status open_target(void *ep, const struct wh_ctx *ctx, enum wh_role role,
                             const void *opts, struct wh_error *reterr)
{
    return WH_OK;
}

static bool was_interrupted(void *arg)
{
    const struct session *s = arg;

    return s->interrupted;
}

/* The client gives the connection up; the server may see it later. */
static int lose(struct session *s, struct wh_error *reterr)
{
    if (s->alive && !s->orphan_at)
        s->orphan_at = sim_now + 1 + sim_below(2) * sim_below(90 * S);
    world.lost++;
    return wh_fail(reterr, WH_LOST, "E2008", "connection reset");
}

/* Before the work of a verb. */
static int trouble(void *se, bool may_hang, struct wh_error *reterr)
{
    struct session *s = ((struct client *)se)->s;

    sim_latency();
    if (!s->alive || s->interrupted || s->orphan_at) /* a connection that was lost stays lost */
        return lose(s, reterr);
    if (!sim_fault())
        return WH_OK;
    if (may_hang && sim_chance((int)world.hang_rate)) {
        sim_trace("destination hangs");
        world.hang_seen = true;
        wh_ignore(sim_wait(was_interrupted, s, INT64_MAX));
        return lose(s, reterr);
    }
    sim_trace("destination fails");
    if (sim_chance(600))
        return lose(s, reterr);
    wh_ignore(wh_fail(reterr, WH_E_REMOTE, "E5003", "too busy"));
    reterr->retriable = true;
    return WH_E_REMOTE;
}

/* "wherry/<run>/e<epoch>/<kind>" */
static uint32_t epoch_of(const char *tag)
{
    const char *e = tag ? strstr(tag, "/e") : NULL;

    return e ? (uint32_t)strtoul(e + 2, NULL, 10) : 0;
}

struct target_ep {
    const struct wh_ctx *ctx; /* the world fills it in */
};

static wh_status session_open(void *se, void *ep, enum wh_use use, struct wh_str *ident,
                              struct wh_error *reterr)
{
    const struct wh_ctx *of = ((struct target_ep *)ep)->ctx;
    struct client *c = se;
    struct session *s;

    if (n_sessions == SESSIONS)
        sim_fail("too many sessions");
    s = sessions[n_sessions++] = calloc(1, sizeof *s);
    c->s = s;
    s->alive = s->open = true;
    s->owner = proc_now();
    s->writes = use != WH_CONTROL;
    s->run = run_at((struct wh_str){of->run, strlen(of->run)});
    s->epoch = epoch_of(of->tag);
    snprintf(s->ident, sizeof s->ident, "s%d.e%u", n_sessions, s->epoch);
    WH_TRY(trouble(se, false, reterr));
    *ident = (struct wh_str){s->ident, strlen(s->ident)};
    return WH_OK;
}

static void interrupt(void *se)
{
    struct client *c = se;

    if (c->s)
        c->s->interrupted = true;
}

static void session_close(void *se)
{
    struct client *c = se;

    if (!c->s || !c->s->open)
        sim_fail("a session of the destination is closed twice");
    c->s->open = false;
    if (c->s->interrupted && c->s->alive)
        wh_ignore(lose(c->s, NULL));
    else if (!c->s->orphan_at)
        end_session(c->s);
}

static bool row_is_free(void *arg)
{
    int run = (int)(intptr_t)arg;

    if (world.mutant == MUTANT_NO_FENCE)
        return true;
    for (int i = 0; i < n_sessions; i++)
        if (sessions[i]->alive && sessions[i]->in_work && sessions[i]->work.key.run == run)
            return false;
    return true;
}

static bool classless(void)
{
    return world.kind == KIND_PARTS || world.kind == KIND_LEAST;
}

static wh_status claim(void *ep, void *se, const struct wh_fence *f, const struct wh_objects *o,
                       struct wh_error *reterr)
{
    int run = run_at(f->run);
    struct session *s = ((struct client *)se)->s;

    WH_TRY(trouble(se, false, reterr));
    if (classless())
        return WH_OK;
    if (runs[run].closed)
        return wh_fail(reterr, WH_FENCED, "E7017", "the run is closed there");
    if (runs[run].epoch > f->epoch)
        return wh_fail(reterr, WH_FENCED, "E7010", "epoch %u is there", runs[run].epoch);
    if (held_by >= 0 && held_by != run)
        return wh_fail(reterr, WH_HELD_BY, "E7005", "held by run %s", runs[held_by].run);
    if (!sim_wait(row_is_free, (void *)(intptr_t)run, sim_now + 2 * S))
        return wh_fail(reterr, WH_BLOCKED, "E5010", "the run's row is locked");
    if (!s->alive)
        return lose(s, reterr);
    if (runs[run].epoch > f->epoch)
        return wh_fail(reterr, WH_FENCED, "E7010", "epoch %u is there", runs[run].epoch);
    held_by = run;
    runs[run].open = true;
    runs[run].epoch = f->epoch;
    sim_trace("  server: claimed for epoch %u", f->epoch);
    if (sim_fault())
        return lose(s, reterr); /* done, and the answer is lost */
    return WH_OK;
}

static wh_status evict(void *ep, void *se, const struct wh_fence *f, const struct wh_str *ident,
                       struct wh_error *reterr)
{
    WH_TRY(trouble(se, false, reterr));
    world.evicted++;
    if (world.mutant == MUTANT_NO_FENCE)
        return WH_OK;
    for (int i = 0; i < n_sessions; i++) {
        struct session *s = sessions[i];
        bool named =
            ident && strlen(s->ident) == ident->n && memcmp(s->ident, ident->s, ident->n) == 0;

        if (named || (!ident && s->epoch && s->epoch < f->epoch))
            end_session(s);
    }
    return WH_OK;
}

static wh_status run_close(void *ep, void *se, const struct wh_fence *f, struct wh_error *reterr)
{
    int run = run_at(f->run), n = 0;
    struct session *s = ((struct client *)se)->s;

    WH_TRY(trouble(se, false, reterr));
    if (classless())
        return WH_OK;
    if (!runs[run].closed && runs[run].epoch != f->epoch && world.mutant != MUTANT_NO_FENCE &&
        runs[run].epoch > f->epoch)
        return wh_fail(reterr, WH_FENCED, "E7010", "epoch %u is there", runs[run].epoch);
    if (!sim_wait(row_is_free, (void *)(intptr_t)run, sim_now + 2 * S))
        return wh_fail(reterr, WH_BLOCKED, "E5010", "the run's row is locked");
    if (!s->alive)
        return lose(s, reterr);
    runs[run].open = false;
    runs[run].closed = true;
    for (int i = 0; i < n_markers; i++)
        if (markers[i].key.run != run)
            markers[n++] = markers[i];
    n_markers = n;
    if (held_by == run)
        held_by = -1;
    if (sim_fault())
        return lose(s, reterr);
    return WH_OK;
}

static void close_target(void *ep)
{
}

static const struct wh_endpoint_ops endpoint = {.size = sizeof(struct wh_endpoint_ops),
                                                .open = open_target,
                                                .session_open = session_open,
                                                .interrupt = interrupt,
                                                .session_close = session_close,
                                                .claim = claim,
                                                .evict = evict,
                                                .run_close = run_close,
                                                .close = close_target};

/* ---- target and steps --------------------------------------------------------------------------
 */

static wh_status target_open(void *fl, void *ep, void *se, struct wh_target *io,
                             struct wh_error *reterr)
{
    *(uint64_t *)fl = io->fence->flow;
    io->grain = world.grain;
    io->commit_class = world.kind == KIND_PARTS   ? WH_CLASS_P
                       : world.kind == KIND_LEAST ? WH_CLASS_A
                                                  : WH_CLASS_T;
    io->atomic_given =
        world.kind == KIND_STAGE || world.kind == KIND_PARTS ? WH_ATOMIC_TABLE : WH_ATOMIC_UNIT;
    io->existing_rows = world.kind == KIND_CLEAR ? -1 : 0;
    snprintf(io->identity, sizeof io->identity, "sim|t%u", io->fence->flow);
    return wh_schema_copy(&sim_schema, &io->accept);
}

static wh_status steps(void *fl, void *se, enum wh_phase phase, struct wh_receipts *receipts,
                       struct wh_step_sink *out, struct wh_error *reterr)
{
    struct wh_step s = {.id = 1, .phase = phase, .flags = WH_STEP_TRANSACTIONAL};
    bool staged = world.kind == KIND_STAGE || world.kind == KIND_PARTS;

    sim_point();
    s.say = WH_STR("step");
    if (phase == WH_PREPARE && world.kind != KIND_PARTS) {
        s.flags |= world.kind == KIND_CLEAR ? WH_STEP_DESTRUCTIVE : 0;
        return out->add(out, &s);
    }
    if (phase == WH_SETTLE || (!staged && (phase == WH_PUBLISH || phase == WH_DROP)))
        return WH_OK;
    return out->add(out, &s);
}

static wh_status publish_parts(int flow, const struct wh_fence *f, struct wh_receipts *receipts,
                               void *se, struct wh_error *reterr)
{
    struct table *t = &tables[flow];
    uint8_t *shows = calloc((size_t)world.flow[flow].rows + 1, 1);
    int run = run_at(f->run);
    struct wh_receipt r;
    int64_t n = 0;
    int st;

    while ((st = receipts->next(receipts, &r)) == WH_OK) {
        int32_t at = -1;

        if (r.receipt.n) /* a unit without rows has no part */
            memcpy(&at, r.receipt.p, sizeof at);
        if (at >= 0 && (at >= n_parts || !parts[at].complete || parts[at].dropped ||
                        parts[at].unit != r.unit || parts[at].flow != (uint32_t)flow)) {
            if (t->published) /* by somebody else, whose parts are gone */
                return free(shows), WH_OK;
            sim_fail("the receipt of unit %lld of table %d names no part of it", (long long)r.unit,
                     flow);
        }
        if (at >= 0 && world.mutant != MUTANT_FOUND_PARTS)
            show_rows(&parts[at].work->rows, shows);
        n++;
        sim_point(); /* here a process may die */
    }
    for (int i = 0; world.mutant == MUTANT_FOUND_PARTS && i < n_parts; i++)
        if (parts[i].run == run && parts[i].flow == (uint32_t)flow && parts[i].complete &&
            parts[i].generation == f->generation)
            show_rows(&parts[i].work->rows, shows);
    if (st == WH_END && !t->published) {
        memcpy(t->shows, shows, (size_t)world.flow[flow].rows + 1);
        t->published = true;
        t->published_parts = n;
    }
    free(shows);
    return st == WH_END ? WH_OK : st;
}

static wh_status parts_step(int flow, const struct wh_step *step, const struct wh_fence *f,
                            struct wh_receipts *receipts, void *se, struct wh_error *reterr)
{
    int run = run_at(f->run);

    if (step->phase == WH_PUBLISH)
        return publish_parts(flow, f, receipts, se, reterr);
    for (int i = 0; step->phase == WH_DROP && i < n_parts; i++)
        if (parts[i].run == run && parts[i].flow == (uint32_t)flow &&
            parts[i].generation <= f->generation)
            parts[i].dropped = true;
    return WH_OK;
}

static bool key_is_free(void *arg)
{
    const struct key *k = arg;

    for (int i = 0; i < n_sessions; i++)
        if (sessions[i]->alive && sessions[i]->in_work && same(&sessions[i]->work.key, k))
            return false;
    return true;
}

/* The first statement of every transaction of class T: locks the run row and inserts the marker. */
static int begin(struct session *s, const struct wh_fence *f, struct key key, int32_t attempt,
                 struct wh_error *reterr)
{
    if (stale(key.run, f->epoch)) {
        world.fences++;
        return wh_fail(reterr, WH_FENCED, "E7010", "epoch %u is not the one", f->epoch);
    }
    s->in_work = true; /* the row is locked for share, the insert waits */
    s->work = (struct work){.key = {key.run, key.flow, key.generation, INT64_MIN + s->epoch}};
    if (world.mutant != MUTANT_NO_MARKER && !sim_wait(key_is_free, &key, sim_now + 2 * S)) {
        s->in_work = false;
        return wh_fail(reterr, WH_BLOCKED, "E5010", "another session has the marker");
    }
    if (!s->alive || s->interrupted)
        return lose(s, reterr);
    if (find(&key)) {
        s->in_work = false;
        world.twins++;
        return WH_TWIN;
    }
    s->work = (struct work){.key = key, .attempt = attempt};
    return WH_OK;
}

/* The answer to a commit, which may get lost. */
static int commit(struct session *s, struct wh_error *reterr)
{
    sim_latency();
    if (!s->alive)
        return lose(s, reterr);
    if (!sim_fault() && !(world.faults > 0 && sim_chance(50) && world.faults-- > 0)) {
        land(s);
        return WH_OK;
    }
    world.unknowns++;
    switch (sim_below(4)) {
    case 0: /* done */
        land(s);
        break;
    case 1: /* on its way */
        s->lands_at = sim_now + 1 + sim_below(40 * S);
        break;
    case 2: /* did not get there, and nobody knows */
        break;
    default: /* did not get there, and the server says so */
        s->in_work = false;
        wh_ignore(wh_fail(reterr, WH_E_REMOTE, "E5003", "too busy"));
        reterr->retriable = true;
        return WH_E_REMOTE;
    }
    sim_trace("answer to a commit is lost");
    wh_ignore(lose(s, NULL));
    return wh_fail(reterr, WH_UNKNOWN, "E5003", "the answer got lost");
}

static wh_status apply(void *fl, void *se, const struct wh_step *step, const struct wh_fence *f,
                       struct wh_receipts *receipts, bool maybe_done, struct wh_bytes *receipt,
                       struct wh_error *reterr)
{
    int flow = (int)*(uint64_t *)fl;
    struct session *s = ((struct client *)se)->s;
    struct key key = {run_at(f->run), f->flow, f->generation,
                      -(1000 * (int64_t)step->phase + step->id)};
    int st;

    WH_TRY(trouble(se, false, reterr)); /* a step is waited for as long as it takes */
    if (world.kind == KIND_PARTS)
        return parts_step(flow, step, f, receipts, se, reterr);
    if (world.kind == KIND_LEAST)
        return WH_OK;
    WH_TRY(begin(s, f, key, 0, reterr));
    s->work.phase = step->phase;
    sim_latency();
    st = commit(s, reterr);
    return st;
}

/* ---- writer ------------------------------------------------------------------------------------
 */

struct send {
    int64_t number, n;
    int64_t *id;
    struct wh_u128 *hash;
    bool *off; /* refused by name, or to come again */
};

struct writer {
    struct session *s;
    struct wh_unit unit;
    struct send open[SENDS]; /* since the last ack */
    int n_open;
    struct rows rows;
    struct wh_u128 hash;
    struct wh_verdict bad[512];
    int part;
    int64_t dups;
};

static wh_status writer_open(void *wr, void *fl, void *se, const struct wh_ctx *attempt,
                             const struct wh_unit *unit, const struct wh_fence *f,
                             struct wh_error *reterr)
{
    struct writer *w = wr;
    struct key key = {run_at(f->run), unit->flow, unit->generation, unit->id};

    w->s = ((struct client *)se)->s;
    w->unit = *unit;
    WH_TRY(trouble(se, true, reterr));
    if (world.kind == KIND_LEAST)
        return WH_OK;
    if (world.kind != KIND_PARTS)
        return begin(w->s, f, key, unit->attempt, reterr);
    for (int i = 0; i < n_parts; i++)
        if (parts[i].run == key.run && parts[i].flow == unit->flow &&
            parts[i].generation == unit->generation && parts[i].unit == unit->id &&
            parts[i].attempt == unit->attempt && parts[i].complete)
            sim_fail("attempt %d at unit %lld is made twice", unit->attempt, (long long)unit->id);
    if (n_parts == cap_parts) {
        cap_parts = cap_parts ? cap_parts * 2 : 256;
        parts = realloc(parts, (size_t)cap_parts * sizeof *parts);
    }
    w->part = n_parts++;
    parts[w->part] = (struct part){.run = key.run,
                                   .flow = unit->flow,
                                   .generation = unit->generation,
                                   .unit = unit->id,
                                   .attempt = unit->attempt};
    return WH_OK;
}

static struct wh_u128 row_hash(const struct wh_view v[2], int32_t row)
{
    struct wh_rowsum sum = {0};

    if (wh_rowhash_add(&sum, v, 2, NULL, row, 1) != WH_OK)
        sim_fail("a row cannot be hashed");
    return sum.sum;
}

static void drop_sends(struct writer *w)
{
    for (int i = 0; i < w->n_open; i++) {
        free(w->open[i].id);
        free(w->open[i].hash);
        free(w->open[i].off);
    }
    w->n_open = 0;
}

/* Everything since the last ack holds now. */
static void hold(struct writer *w)
{
    for (int i = 0; i < w->n_open; i++)
        for (int64_t k = 0; k < w->open[i].n; k++) {
            int64_t id = w->open[i].id[k];

            if (w->open[i].off[k])
                continue;
            w->hash = wh_u128_add(w->hash, w->open[i].hash[k]);
            if (id_class_of((int)w->unit.flow, id) == ID_DUP) {
                w->dups++;
                continue;
            }
            add_row(&w->rows, id);
        }
    if (world.kind == KIND_LEAST) { /* it shows at once */
        struct table *t = &tables[w->unit.flow];

        show_rows(&(struct rows){.id = w->rows.id, .n = w->rows.n}, t->shows);
        w->rows.n = 0;
    }
    drop_sends(w);
}

static int judge(struct writer *w, struct wh_acks *ret, struct wh_error *reterr)
{
    bool refuse = false;

    for (int i = 0; i < w->n_open; i++)
        for (int64_t k = 0; k < w->open[i].n; k++) {
            struct send *o = &w->open[i];

            if (id_class_of((int)w->unit.flow, o->id[k]) != ID_BAD || world.seal_refuses)
                continue;
            if ((world.grain == WH_GRAIN_ROW || world.named) && ret->n_bad < 512) {
                o->off[k] = true;
                w->bad[ret->n_bad++] = (struct wh_verdict){.send = o->number,
                                                           .row = k,
                                                           .column = 0,
                                                           .code = "E6009",
                                                           .text = WH_STR("the check says no")};
            }
            refuse = refuse || world.grain != WH_GRAIN_ROW;
        }
    ret->bad = w->bad;
    if (refuse) {
        drop_sends(w);
        world.refused++;
        return wh_fail(reterr, WH_REFUSED, "E6009", "the check says no");
    }
    if (w->n_open)
        ret->upto_send = w->open[w->n_open - 1].number;
    hold(w);
    return WH_OK;
}

static wh_status writer_write(void *wr, const struct wh_batch *b, int64_t number,
                              const int32_t *rows, int64_t first, int64_t n, struct wh_acks *ret,
                              struct wh_error *reterr)
{
    struct writer *w = wr;
    struct client c = {w->s};
    struct wh_view v[2];
    struct send *o;

    WH_TRY(trouble(&c, true, reterr));
    if (w->n_open == SENDS)
        sim_fail("too many sends are not judged");
    if (wh_views_init(&sim_schema, &b->rows, v, NULL) != WH_OK)
        sim_fail("a batch cannot be looked at");
    o = &w->open[w->n_open++];
    *o = (struct send){.number = number,
                       .n = n,
                       .id = calloc((size_t)n + 1, sizeof(int64_t)),
                       .hash = calloc((size_t)n + 1, sizeof(struct wh_u128)),
                       .off = calloc((size_t)n + 1, 1)};
    for (int64_t k = 0; k < n; k++) {
        int32_t row = rows ? rows[k] : (int32_t)(first + k);

        o->id[k] = wh_view_i64(&v[0], row);
        o->hash[k] = row_hash(v, row);
        if (o->id[k] < 0 || o->id[k] >= world.flow[w->unit.flow].rows)
            sim_fail("row %lld is none of the source", (long long)o->id[k]);
    }
    if (world.late && !w->unit.careful && w->n_open < 4)
        return WH_OK;
    if (w->unit.careful && world.grain == WH_GRAIN_BATCH)
        return WH_OK; /* flush is the savepoint */
    return judge(w, ret, reterr);
}

static wh_status writer_flush(void *wr, int64_t deadline, struct wh_acks *ret,
                              struct wh_error *reterr)
{
    struct writer *w = wr;
    struct client c = {w->s};

    WH_TRY(trouble(&c, true, reterr));
    return judge(w, ret, reterr);
}

static wh_status writer_seal(void *wr, struct wh_tally *ret, struct wh_error *reterr)
{
    struct writer *w = wr;
    struct client c = {w->s};

    WH_TRY(trouble(&c, true, reterr));
    if (w->n_open)
        sim_fail("sealed with a send open");
    for (int64_t i = 0; i < w->rows.n; i++)
        if (id_class_of((int)w->unit.flow, w->rows.id[i]) == ID_BAD)
            return wh_fail(reterr, WH_REFUSED, "E6009", "the check at the end says no");
    ret->rows = world.kind == KIND_LEAST ? -1 : w->rows.n + w->dups;
    ret->unchanged = w->dups;
    ret->bytes = w->rows.n * 16;
    ret->has_hash = true;
    ret->hash[0] = w->hash.lo;
    ret->hash[1] = w->hash.hi;
    if (world.mutant == MUTANT_LOSES_ROW && w->rows.n > 3 && sim_chance(100))
        w->rows.n--;
    return WH_OK;
}

static wh_status writer_commit(void *wr, const struct wh_marker *m, struct wh_bytes *receipt,
                               struct wh_error *reterr)
{
    struct writer *w = wr;
    struct client c = {w->s};

    WH_TRY(trouble(&c, true, reterr));
    if (world.kind == KIND_LEAST)
        return WH_OK;
    w->s->work.rows = w->rows;
    set_marker(&w->s->work, m);
    if (world.kind != KIND_PARTS) {
        int st = commit(w->s, reterr);

        if (w->s->lands_at) /* it outlives the writer */
            w->s->work = *keep(&w->s->work);
        return st;
    }
    if (sim_fault() && sim_chance(500))
        return wh_fail(reterr, WH_UNKNOWN, "E5003", "the answer got lost");
    w->s->work.attempt = w->unit.attempt;
    parts[w->part].work = keep(&w->s->work);
    parts[w->part].complete = true;
    *receipt = (struct wh_bytes){&w->part, sizeof w->part};
    sim_trace("  folder: part %d of table %u unit %lld, %lld rows", w->part, w->unit.flow,
              (long long)w->unit.id, (long long)w->rows.n);
    if (sim_fault())
        return wh_fail(reterr, WH_UNKNOWN, "E5003", "the answer got lost");
    return WH_OK;
}

static wh_status lookup(void *fl, void *se, const struct wh_unit *u, struct wh_fate *ret,
                        struct wh_error *reterr)
{
    struct key key = {((struct client *)se)->s->run, u->flow, u->generation, u->id};
    struct marker *k;
    static int32_t at;

    WH_TRY(trouble(se, false, reterr));
    if (world.mutant == MUTANT_GUESS_DONE) {
        *ret = (struct wh_fate){.kind = WH_FATE_COMMITTED};
        return WH_OK;
    }
    if (world.kind == KIND_PARTS) {
        for (int i = n_parts - 1; i >= 0; i--)
            if (parts[i].flow == u->flow && parts[i].generation == u->generation &&
                parts[i].unit == u->id && parts[i].attempt <= u->attempt && parts[i].complete &&
                !parts[i].dropped && parts[i].run == key.run) {
                at = i;
                *ret = (struct wh_fate){.kind = WH_FATE_STAGED,
                                        .marker = parts[i].work->m,
                                        .attempt = parts[i].attempt,
                                        .receipt = {&at, sizeof at}};
                return WH_OK;
            }
        return WH_OK;
    }
    k = find(&key);
    if (k)
        *ret = (struct wh_fate){
            .kind = WH_FATE_COMMITTED, .marker = k->work->m, .attempt = k->work->attempt};
    else if (!key_is_free(&key))
        ret->kind = WH_FATE_IN_DOUBT;
    return WH_OK;
}

static void writer_close(void *wr)
{
    struct writer *w = wr;

    if (w->s && w->s->in_work && !w->s->lands_at && w->s->alive && !w->s->orphan_at)
        w->s->in_work = false; /* rolled back */
    drop_sends(w);
    free(w->rows.id);
}

static void target_close(void *fl)
{
}

#define SINK                                                                                       \
    .size = sizeof(struct wh_sink_ops), .fl_size = 8, .wr_size = sizeof(struct writer),            \
    .target_open = target_open, .steps = steps, .apply = apply, .writer_open = writer_open,        \
    .writer_write = writer_write, .writer_flush = writer_flush, .writer_seal = writer_seal,        \
    .writer_commit = writer_commit, .writer_close = writer_close, .target_close = target_close

static const struct wh_sink_ops sink = {SINK, .lookup = lookup}, sink_least = {SINK};
static const struct wh_capabilities caps = {.commit_class = WH_CLASS_T};

#define TARGET(ops)                                                                                \
    {                                                                                              \
        .abi = WH_ABI, .size = sizeof(struct wh_connector), .name = "simtarget",                   \
        .title = "scripted destination", .caps = &caps, .ep_size = sizeof(struct target_ep),       \
        .se_size = sizeof(struct client), .endpoint = &endpoint, .sink = &ops                      \
    }
const struct wh_connector sim_target = TARGET(sink), sim_target_least = TARGET(sink_least);
