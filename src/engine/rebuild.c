/* SPDX-License-Identifier: Apache-2.0 */
/* Origins and seeds of units, the memo of a run, and reading a memo back into records. */
#include "engine/rebuild.h"

#include "core/lz.h"
#include "core/tree.h"
#include "data/number.h"
#include "engine/plan_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    SEED_MOST = 1 << 20,
    MEMO_MOST = 256 << 20,
    MEMO_PART = 256 << 10, /* packed at a time */
};

#define MEMO_PACKED "z1" /* a memo that is not packed begins with '{' */

/* ---- origins and seeds -------------------------------------------------------------------------
 */

static int put_number(struct wh_buf *b, uint64_t v, int bytes)
{
    for (int i = 0; i < bytes; i++)
        WH_TRY(wh_buf_addc(b, (char)(v >> 8 * i)));
    return WH_OK;
}

static int put_bytes(struct wh_buf *b, struct wh_bytes v)
{
    WH_TRY(put_number(b, v.n, 4));
    return wh_buf_add(b, v.p, v.n);
}

static int taken(struct wh_buf *b, int st, struct wh_bytes *ret)
{
    if (st == WH_OK)
        st = wh_bytes_copy((struct wh_bytes){b->p, b->n}, ret);
    wh_buf_free(b);
    return st;
}

int wh_origin_drawn(struct wh_bytes before, struct wh_bytes after, struct wh_bytes *ret)
{
    struct wh_buf b = WH_BUF(SEED_MOST);
    int st = wh_buf_addc(&b, 'd');

    if (st == WH_OK)
        st = put_bytes(&b, before);
    if (st == WH_OK)
        st = put_bytes(&b, after);
    return taken(&b, st, ret);
}

int wh_origin_rest(int64_t parent, struct wh_bytes *ret)
{
    struct wh_buf b = WH_BUF(64);
    int st = wh_buf_addc(&b, 'r');

    if (st == WH_OK)
        st = put_number(&b, (uint64_t)parent, 8);
    return taken(&b, st, ret);
}

int wh_seed_encode(const struct wh_run_unit *u, struct wh_buf *b)
{
    size_t label = strlen(u->label);

    wh_buf_clear(b);
    if (u->origin.n == 0 || u->origin.n + u->splits.n + 256 > SEED_MOST)
        return WH_OK;
    WH_TRY(wh_buf_adds(b, "s1"));
    WH_TRY(put_bytes(b, u->origin));
    WH_TRY(put_number(b, u->group, 8));
    WH_TRY(put_number(b, u->seq, 8));
    WH_TRY(put_number(b, (uint64_t)u->est_rows, 8));
    WH_TRY(put_number(b, (uint64_t)u->est_bytes, 8));
    WH_TRY(put_number(b, (uint64_t)u->instant, 4));
    WH_TRY(put_bytes(b, (struct wh_bytes){u->label, label}));
    return put_bytes(b, u->splits);
}

/* ---- the memo ----------------------------------------------------------------------------------
 */

static int add_hex(struct wh_buf *b, const char *key, struct wh_bytes v)
{
    static const char digits[] = "0123456789abcdef";
    const uint8_t *p = v.p;

    WH_TRY(wh_buf_printf(b, ",\"%s\":\"", key));
    for (size_t i = 0; i < v.n; i++) {
        WH_TRY(wh_buf_addc(b, digits[p[i] >> 4]));
        WH_TRY(wh_buf_addc(b, digits[p[i] & 15]));
    }
    return wh_buf_addc(b, '"');
}

static int add_text(struct wh_buf *b, const char *key, const char *v)
{
    if (!v)
        return WH_OK;
    WH_TRY(wh_buf_printf(b, ",\"%s\":", key));
    return wh_buf_json(b, v, strlen(v));
}

static int add_flow(struct wh_buf *b, const struct wh_flow_record *f)
{
    WH_TRY(wh_buf_printf(b, "%s{\"flow\":\"%d\",\"moved\":\"%d\"", f->flow ? "," : "", f->flow,
                         (int)f->drawn));
    WH_TRY(add_text(b, "stream", f->stream));
    WH_TRY(add_text(b, "table", f->table));
    WH_TRY(add_text(b, "target", f->target));
    WH_TRY(add_text(b, "source_schema", f->source_schema));
    WH_TRY(add_text(b, "accept_schema", f->accept_schema));
    WH_TRY(add_text(b, "fingerprint", f->fingerprint));
    WH_TRY(add_hex(b, "bounds", f->bounds));
    WH_TRY(add_hex(b, "memo", f->memo));
    return wh_buf_addc(b, '}');
}

static int add_snapshot(struct wh_buf *b, const struct wh_snapshot_record *s, bool first)
{
    WH_TRY(wh_buf_printf(b,
                         "%s{\"endpoint\":\"%d\",\"kind\":\"%d\",\"instants\":\"%d\","
                         "\"provable\":\"%d\",\"taken_us\":\"%" PRId64 "\"",
                         first ? "" : ",", s->endpoint, s->kind, s->instants,
                         (int)s->unchanged_provable, s->taken_us));
    WH_TRY(add_text(b, "what", s->what));
    WH_TRY(add_hex(b, "token", s->token));
    return wh_buf_addc(b, '}');
}

/* Written piece by piece and packed: thousands of tables describe themselves in much the same
 * words.
 */
struct memo_out {
    struct wh_buf part, *out;
};

static int pack(struct memo_out *m, size_t least)
{
    if (m->part.n <= least)
        return WH_OK;
    for (size_t at = 0; at < m->part.n; at += WH_LZ_BLOCK) {
        size_t left = m->part.n - at;

        WH_TRY(wh_lz_pack(m->part.p + at, left < WH_LZ_BLOCK ? left : WH_LZ_BLOCK, m->out));
    }
    wh_buf_clear(&m->part);
    return WH_OK;
}

static int add_run(struct wh_buf *b, const struct wh_run_record *r)
{
    WH_TRY(wh_buf_printf(b, "{\"memo\":\"1\",\"created_us\":\"%" PRId64 "\",\"is_copy\":\"%d\"",
                         r->created_us, (int)r->is_copy));
    WH_TRY(add_text(b, "run", r->run));
    WH_TRY(add_text(b, "job", r->job));
    WH_TRY(add_text(b, "file", r->file));
    WH_TRY(add_text(b, "identity", r->identity));
    WH_TRY(add_text(b, "ends", r->ends));
    WH_TRY(add_text(b, "scheduled", r->scheduled));
    WH_TRY(add_text(b, "job_json", r->job_json));
    WH_TRY(add_text(b, "shape", r->shape));
    WH_TRY(add_text(b, "version", r->version));
    return wh_buf_adds(b, ",\"flows\":[");
}

static int add_flows(struct memo_out *m, struct wh_runtime *run, struct wh_error *reterr)
{
    struct wh_flow_text text WH_CLEANUP(wh_flow_text_free) = WH_FLOW_TEXT;

    for (size_t i = 0; i < run->n_flows; i++) {
        struct wh_flow_record f;

        WH_TRY(wh_flow_record(&run->flows[i], &text, &f, reterr));
        /* Moved: every unit is recorded, also those without rows, which leave no marker. */
        f.drawn = run->flows[i].stage >= WH_AT_MOVED && run->flows[i].stage <= WH_AT_DONE;
        WH_TRY(add_flow(&m->part, &f));
        WH_TRY(pack(m, MEMO_PART));
    }
    return WH_OK;
}

static int memo_text(struct wh_runtime *run, const struct wh_run_record *r,
                     const struct wh_snapshot_record *snaps, size_t n_snaps, struct memo_out *m,
                     struct wh_error *reterr)
{
    WH_TRY(wh_buf_adds(m->out, MEMO_PACKED));
    WH_TRY(add_run(&m->part, r));
    WH_TRY(add_flows(m, run, reterr));
    WH_TRY(wh_buf_adds(&m->part, "],\"snapshots\":["));
    for (size_t i = 0; i < n_snaps; i++)
        WH_TRY(add_snapshot(&m->part, &snaps[i], i == 0));
    WH_TRY(wh_buf_adds(&m->part, "]}"));
    return pack(m, 0);
}

int wh_rebuild_memo(struct wh_runtime *run, struct wh_buf *ret, struct wh_error *reterr)
{
    struct wh_arena *a WH_CLEANUP(wh_arena_freep) = wh_arena_new(MEMO_MOST);
    struct memo_out m = {.part = WH_BUF(MEMO_MOST), .out = ret};
    struct wh_run_record r = {0};
    struct wh_snapshot_record *snaps = NULL;
    size_t n_snaps = 0;
    int st;

    wh_buf_clear(ret);
    if (!a)
        return wh_fail(reterr, WH_E_NOMEM, "E8002", "memo of the run");
    WH_TRY(wh_state_run_get(run->state, run->id, a, &r, reterr));
    WH_TRY(wh_state_snapshots(run->state, run->id, a, &snaps, &n_snaps, reterr));
    st = memo_text(run, &r, snaps, n_snaps, &m, reterr);
    wh_buf_free(&m.part);
    return st == WH_OK ? WH_OK : wh_fail(reterr, WH_E_NOMEM, "E8002", "memo of the run");
}

static bool snapshot_to_keep(const struct wh_runtime *run)
{
    for (size_t i = 0; i < run->plan->n_endpoints; i++) {
        const struct wh_endpoint *ep = run->plan->endpoints[i];

        if (ep->snapshot_taken && ep->snapshot.kind != WH_SNAP_NONE &&
            (ep->snapshot.kind != WH_SNAP_SESSIONS || ep->snapshot.unchanged_provable))
            return true;
    }
    return false;
}

int wh_rebuild_remember(struct wh_runtime *run, struct wh_error *reterr)
{
    struct wh_buf memo WH_CLEANUP(wh_buf_free) = WH_BUF(MEMO_MOST);
    struct wh_fence fence = {.run = {run->id, strlen(run->id)}, .epoch = run->epoch};

    if (!snapshot_to_keep(run))
        return WH_OK;
    for (size_t i = 0; i < run->plan->n_endpoints; i++) {
        struct wh_endpoint *ep = run->plan->endpoints[i];
        const struct wh_endpoint_ops *ops = ep->connector->endpoint;
        void *se = NULL;
        int st;

        if (!ep->is_target || !ops->remember)
            continue;
        if (!memo.n)
            WH_TRY(wh_rebuild_memo(run, &memo, reterr));
        WH_TRY(wh_endpoint_control(ep, &se, reterr));
        wh_kill_point("remember-before");
        st = ops->remember(ep->ep, se, &fence, (struct wh_bytes){memo.p, memo.n}, reterr);
        if (st == WH_LOST)
            wh_endpoint_control_lost(ep);
        WH_TRY(st);
        wh_kill_point("remember-after");
    }
    return WH_OK;
}

/* ---- reading a memo ----------------------------------------------------------------------------
 */

static int damaged(struct wh_error *reterr, const char *run)
{
    return wh_fail(reterr, WH_E_STATE, "E7003",
                   "what run %s keeps at the destination cannot be read", run);
}

static int64_t number_of(const struct wh_node *n, const char *key)
{
    int64_t v = 0;
    const char *text = wh_node_text(wh_node_get(n, key), "");

    return wh_read_i64(text, strlen(text), &v) ? v : 0;
}

static int nibble(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool hex_of(struct wh_arena *a, const struct wh_node *n, const char *key,
                   struct wh_bytes *ret)
{
    const char *text = wh_node_text(wh_node_get(n, key), "");
    size_t len = strlen(text) / 2;
    uint8_t *p = wh_arena_alloc(a, len + 1);

    for (size_t i = 0; p && i < len; i++) {
        int hi = nibble(text[2 * i]), lo = nibble(text[2 * i + 1]);

        if (hi < 0 || lo < 0)
            return false;
        p[i] = (uint8_t)(hi << 4 | lo);
    }
    *ret = (struct wh_bytes){p, len};
    return p != NULL;
}

struct memo {
    struct wh_arena *arena;
    const struct wh_node *tree;
    struct wh_run_record run;
};

/* Older programs did not pack it. */
static int unpacked(struct wh_bytes *bytes, struct wh_buf *out)
{
    const size_t head = sizeof MEMO_PACKED - 1;

    if (bytes->n < head || memcmp(bytes->p, MEMO_PACKED, head) != 0)
        return WH_OK;
    WH_TRY(wh_lz_unpack((struct wh_bytes){(const char *)bytes->p + head, bytes->n - head}, out));
    *bytes = (struct wh_bytes){out->p, out->n};
    return WH_OK;
}

static int read_memo(struct memo *m, const char *run, struct wh_bytes bytes, uint32_t epoch,
                     struct wh_error *reterr)
{
    struct wh_buf text WH_CLEANUP(wh_buf_free) = WH_BUF(MEMO_MOST);
    struct wh_problems p = {.arena = m->arena};
    struct wh_node *tree = NULL;
    struct wh_run_record *r = &m->run;

    if (unpacked(&bytes, &text) != WH_OK ||
        wh_json_parse(m->arena, run, bytes.p, bytes.n, &tree, &p) != WH_OK)
        return damaged(reterr, run);
    m->tree = tree;
    *r = (struct wh_run_record){.run = wh_node_text(wh_node_get(tree, "run"), ""),
                                .job = wh_node_text(wh_node_get(tree, "job"), ""),
                                .file = wh_node_text(wh_node_get(tree, "file"), NULL),
                                .identity = wh_node_text(wh_node_get(tree, "identity"), ""),
                                .ends = wh_node_text(wh_node_get(tree, "ends"), NULL),
                                .is_copy = number_of(tree, "is_copy") != 0,
                                .scheduled = wh_node_text(wh_node_get(tree, "scheduled"), NULL),
                                .job_json = wh_node_text(wh_node_get(tree, "job_json"), ""),
                                .shape = wh_node_text(wh_node_get(tree, "shape"), ""),
                                .version = wh_node_text(wh_node_get(tree, "version"), ""),
                                .created_us = number_of(tree, "created_us"),
                                .epoch = epoch};
    return strcmp(r->run, run) == 0 && r->job_json[0] ? WH_OK : damaged(reterr, run);
}

static int put_flows(const struct memo *m, struct wh_state *state, uint32_t epoch,
                     struct wh_error *reterr)
{
    const struct wh_node *flows = wh_node_get(m->tree, "flows");

    for (size_t i = 0; flows && i < flows->n; i++) {
        const struct wh_node *f = flows->items[i];
        struct wh_flow_record r = {
            .flow = (int)number_of(f, "flow"),
            .generation = 1,
            .stream = wh_node_text(wh_node_get(f, "stream"), ""),
            .table = wh_node_text(wh_node_get(f, "table"), ""),
            .target = wh_node_text(wh_node_get(f, "target"), ""),
            .source_schema = wh_node_text(wh_node_get(f, "source_schema"), NULL),
            .accept_schema = wh_node_text(wh_node_get(f, "accept_schema"), NULL),
            .fingerprint = wh_node_text(wh_node_get(f, "fingerprint"), NULL),
            .next_unit = 1,
            .drawn = number_of(f, "moved") != 0,
            .exit_code = -1,
            .rows_before = -1};

        if (!hex_of(m->arena, f, "bounds", &r.bounds) || !hex_of(m->arena, f, "memo", &r.memo))
            return damaged(reterr, m->run.run);
        WH_TRY(wh_state_flow_put(state, m->run.run, epoch, &r, reterr));
    }
    return WH_OK;
}

static int put_snapshots(const struct memo *m, struct wh_state *state, uint32_t epoch,
                         struct wh_error *reterr)
{
    const struct wh_node *snaps = wh_node_get(m->tree, "snapshots");

    for (size_t i = 0; snaps && i < snaps->n; i++) {
        const struct wh_node *s = snaps->items[i];
        struct wh_snapshot_record r = {.endpoint = (int)number_of(s, "endpoint"),
                                       .kind = (int)number_of(s, "kind"),
                                       .instants = (int)number_of(s, "instants"),
                                       .unchanged_provable = number_of(s, "provable") != 0,
                                       .taken_us = number_of(s, "taken_us"),
                                       .what = wh_node_text(wh_node_get(s, "what"), NULL)};

        if (!hex_of(m->arena, s, "token", &r.token))
            return damaged(reterr, m->run.run);
        WH_TRY(wh_state_snapshot_put(state, m->run.run, epoch, &r, reterr));
    }
    return WH_OK;
}

/* ---- finding the run ---------------------------------------------------------------------------
 */

struct finding {
    struct wh_arena *arena;
    const char *wanted; /* or NULL */
    const char *where;
    char run[64], list[512];
    int n;
    uint32_t epoch;
    struct wh_bytes memo;
    char owner[160];
    bool alive;
};

static wh_status one_run(void *arg, const struct wh_recalled *r)
{
    struct finding *f = arg;
    size_t n = strlen(f->list);
    char run[64];

    snprintf(run, sizeof run, "%.*s", WH_STR_FMT(r->run));
    if (f->wanted && !wh_str_starts(r->run, f->wanted) &&
        (r->run.n < 2 || !wh_str_starts((struct wh_str){r->run.s + 2, r->run.n - 2}, f->wanted)))
        return WH_OK;
    if (strcmp(run, f->run) != 0) {
        snprintf(f->list + n, sizeof f->list - n, "%s%s", n ? ", " : "", run);
        f->n++;
    }
    snprintf(f->run, sizeof f->run, "%s", run);
    snprintf(f->owner, sizeof f->owner, "%.*s", WH_STR_FMT(r->owner));
    f->epoch = r->epoch > f->epoch ? r->epoch : f->epoch;
    f->alive = f->alive || r->alive;
    if (!r->memo.n)
        return WH_OK;
    WH_TRY(wh_plan_copy_bytes(f->arena, r->memo, &f->memo));
    return WH_OK;
}

static int ask(struct finding *f, struct wh_endpoint *ep, struct wh_error *reterr)
{
    const struct wh_endpoint_ops *ops = ep->connector->endpoint;
    void *se = NULL;

    f->where = ep->name;
    if (!ops->recall)
        return wh_fail(reterr, WH_E_UNSUPPORTED, "E1060",
                       "%s keeps nothing from which a state could be rebuilt", ep->name);
    WH_TRY(wh_endpoint_control(ep, &se, reterr));
    return ops->recall(ep->ep, se, NULL, one_run, f, reterr);
}

static int ask_job(struct finding *f, const struct wh_job *job, struct wh_services *services,
                   struct wh_error *reterr)
{
    struct wh_plan plan = {.arena = wh_arena_new(MEMO_MOST), .job = job, .run = ""};
    struct wh_planner planner = {
        .plan = &plan, .arena = plan.arena, .job = job, .services = services};
    int st = plan.arena ? WH_OK : wh_plan_no_memory(reterr);

    for (size_t i = 0; st == WH_OK && i < job->n_streams; i++) {
        size_t before = plan.n_endpoints;
        struct wh_endpoint *ep = NULL;

        st = wh_plan_endpoint(&planner, &job->streams[i].to, &ep, reterr);
        if (st == WH_OK && plan.n_endpoints > before)
            st = ask(f, ep, reterr);
    }
    for (size_t i = 0; i < plan.n_endpoints; i++)
        wh_plan_endpoint_free(plan.endpoints[i]);
    wh_arena_free(plan.arena);
    return st;
}

static int chosen(const struct finding *f, struct wh_state *state, struct wh_error *reterr)
{
    struct wh_run_record known = {0};
    struct wh_error ignored = {0};
    int st = WH_OK;

    if (f->n == 0)
        return wh_fail(reterr, WH_E_USAGE, "E7007", "%s has no unfinished run%s%s", f->where,
                       f->wanted ? " " : "", f->wanted ? f->wanted : "");
    if (f->n > 1) {
        st = wh_fail(reterr, WH_E_USAGE, "E7007", "%s has several unfinished runs: %s", f->where,
                     f->list);
        wh_error_hint(reterr, "name one: wherry resume %s --rebuild-state ...", f->run);
        return st;
    }
    if (wh_state_run_get(state, f->run, f->arena, &known, &ignored) == WH_OK &&
        known.state < WH_RUN_CLOSED) {
        st =
            wh_fail(reterr, WH_E_USAGE, "E7008", "the state knows run %s: nothing is lost", f->run);
        wh_error_hint(reterr, "wherry resume %s", f->run);
        return st;
    }
    if (known.run) {
        st = wh_fail(reterr, WH_E_USAGE, "E7008", "the state says that run %s is %s", f->run,
                     wh_run_state_name(known.state));
        return st;
    }
    if (f->alive) {
        st = wh_fail(reterr, WH_HELD_BY, "E7006", "run %s is alive: %s", f->run, f->owner);
        wh_error_hint(reterr, "its state is not lost; wherry resume %s where that is", f->run);
        return st;
    }
    if (!f->memo.n) {
        st = wh_fail(reterr, WH_E_STATE, "E7003", "run %s (%s) kept nothing at %s to rebuild from",
                     f->run, f->owner, f->where);
        wh_error_hint(reterr, "start anew: the same command with --fresh");
    }
    return st;
}

int wh_rebuild_records(struct wh_look *look, const struct wh_job *job, const char *run,
                       struct wh_services *services, struct wh_state *state, char ret_run[64],
                       uint32_t *ret_epoch, struct wh_error *reterr)
{
    struct wh_arena *a WH_CLEANUP(wh_arena_freep) = wh_arena_new(2 * MEMO_MOST);
    struct finding f = {.arena = a, .wanted = run, .where = "the destination"};
    struct memo m = {.arena = a};
    int st;

    if (!a)
        return wh_fail(reterr, WH_E_NOMEM, "E8002", "a lost state");
    WH_TRY(look ? ask(&f, wh_look_endpoint(look), reterr) : ask_job(&f, job, services, reterr));
    WH_TRY(chosen(&f, state, reterr));
    WH_TRY(read_memo(&m, f.run, f.memo, f.epoch, reterr));
    WH_TRY(wh_state_run_new(state, &m.run, reterr));
    st = wh_state_run_claim(state, f.run, 0, ret_epoch, reterr);
    if (st == WH_OK)
        st = put_flows(&m, state, *ret_epoch, reterr);
    if (st == WH_OK)
        st = put_snapshots(&m, state, *ret_epoch, reterr);
    if (st == WH_OK)
        st = wh_state_run_set(state, f.run, *ret_epoch, WH_RUN_CLAIMED, reterr);
    snprintf(ret_run, 64, "%s", f.run);
    return st;
}
