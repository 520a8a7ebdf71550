/* SPDX-License-Identifier: Apache-2.0 */
/* wherry unlock TARGET: who holds it. A living owner is never disturbed; the target of a dead one
 * belongs to its run, so freeing it gives that run up, and that needs consent. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "engine/object.h"
#include "engine/service.h"

/* ---- what was typed ---------------------------------------------------------------------------
 */

/* "postgresql:7312.../16384#public.t" ends with the name, or with its last part. */
static bool names(const struct wh_objref *ref, const char *identity)
{
    const char *object = strrchr(identity, '#');
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(1 << 16);
    size_t n = object ? strlen(object) : 0;

    if (!object || ref->name.n == 0)
        return object != NULL;
    for (int i = ref->name.n > 2 ? ref->name.n - 2 : 0; i < ref->name.n; i++)
        if (wh_buf_printf(&b, "%s%.*s", b.n ? "." : "", WH_STR_FMT(ref->name.part[i])) != WH_OK)
            return false;
    return n > b.n && memcmp(object + n - b.n, b.p, b.n) == 0 && strchr("#.", object[n - b.n - 1]);
}

static bool same_option(const struct wh_objref *a, const struct wh_objref *b, const char *key)
{
    const char *x = a->connection ? wh_node_text(wh_node_get(a->connection, key), "") : "";
    const char *y = b->connection ? wh_node_text(wh_node_get(b->connection, key), "") : "";

    return strcmp(x, y) == 0;
}

static bool same_place(const struct wh_objref *a, const struct wh_objref *b)
{
    return a->connector == b->connector && same_option(a, b, "host") && same_option(a, b, "port") &&
           same_option(a, b, "database") && same_option(a, b, "service") &&
           same_option(a, b, "path");
}

/* Does the run write where that points to? No server is asked: it may be gone. */
static bool writes_there(struct wh_cli *c, const char *run, const struct wh_objref *ref)
{
    struct wh_problems p = {.arena = c->arena};
    struct wh_run_record r;
    struct wh_job *job = NULL;
    struct wh_error e = {0};
    bool found = false;

    if (wh_state_run_get(c->store, run, c->arena, &r, &e) != WH_OK || !r.job_json ||
        wh_job_read(r.run, r.job_json, strlen(r.job_json), NULL, r.scheduled, &job, &p) != WH_OK)
        return false;
    for (size_t i = 0; i < job->n_streams && !found; i++)
        found = same_place(&job->streams[i].to, ref);
    wh_job_free(job);
    return found;
}

/* As in the job or the copy: a connection's name or a URL, and an object. */
static const struct wh_target_record *as_typed(struct wh_cli *c, const char *word,
                                               const struct wh_target_record *v, size_t n,
                                               size_t *ret_fit)
{
    struct wh_problems p = {.arena = c->arena};
    const struct wh_target_record *found = NULL;
    struct wh_objref ref = {0};

    if (!wh_object_read(c->arena, word, "argument 1", WH_SIDE_TO, wh_cli_connections(c), &ref, &p))
        return NULL;
    for (size_t i = 0; i < n; i++)
        if (names(&ref, v[i].identity) && writes_there(c, v[i].run, &ref)) {
            found = &v[i];
            ++*ret_fit;
        }
    return found;
}

/* The one held target that is meant: of a run, its whole identity, a part of it that no other has,
 * or what was typed to write it. */
static const struct wh_target_record *meant(struct wh_cli *c, const char *word,
                                            const struct wh_target_record *v, size_t n)
{
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(1 << 20);
    const struct wh_target_record *found = NULL;
    size_t fit = 0;
    bool typed;
    for (size_t i = 0; i < n; i++) {
        if (strcmp(v[i].identity, word) == 0 || strcmp(v[i].run, word) == 0)
            return &v[i];
        if (strstr(v[i].identity, word)) {
            found = &v[i];
            fit++;
        }
    }
    typed = !fit;
    if (typed)
        found = as_typed(c, word, v, n, &fit);
    if (fit == 1)
        return found;
    for (size_t i = 0; i < n && b.n < 300; i++)
        if (!fit || typed || strstr(v[i].identity, word))
            wh_ignore(wh_buf_printf(&b, "%s%s", b.n ? ", " : "held: ", v[i].identity));
    wh_cli_usage(c, "E7007", b.n ? b.p : "nothing is held by any run",
                 fit ? "'%s' is part of more than one held target" : "no run holds '%s'", word);
    return NULL;
}

static void owner_line(struct wh_cli *c, const struct wh_target_record *t,
                       const struct wh_run_record *r, const char *word)
{
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(1 << 16);
    if (c->json) {
        wh_ignore(wh_buf_adds(&b, "{\"v\":1,\"target\":"));
        wh_ignore(wh_buf_json(&b, t->identity, strlen(t->identity)));
        wh_ignore(wh_buf_printf(&b, ",\"run\":\"%s\",\"job\":", r->run));
        wh_ignore(wh_buf_json(&b, r->job, strlen(r->job)));
        wh_ignore(wh_buf_printf(&b, ",\"status\":\"%s\",\"pid\":%" PRId64 "}\n", word, r->pid));
    } else {
        wh_text_line(&b, t->identity);
        wh_ignore(wh_buf_printf(&b, "\n  held by run %s of ", r->run));
        wh_text_line(&b, r->job);
        wh_ignore(wh_buf_printf(&b, " (%s), pid %" PRId64 " on %s, since ", word, r->pid,
                                r->host ? r->host : "?"));
        wh_text_time(&b, t->since_us);
        wh_ignore(wh_buf_addc(&b, '\n'));
    }
    wh_cli_print(&b);
}

static int give_up(struct wh_cli *c, const struct wh_run_record *r)
{
    struct wh_error e = {0};
    char question[600];
    snprintf(
        question, sizeof(question),
        "Run %s is unfinished and its process has gone. wherry resume %s goes on with it, wherry "
        "cancel %s --discard takes back what can be taken back. unlock does neither: the run is "
        "given up, its committed rows stay, and so do its stages (wherry_stage_..., .wherry-...) "
        "and markers (wherry_run ...), if what holds them is still there.",
        r->run, r->run, r->run);
    if (!wh_cli_consent(c, question))
        return 2;
    if (wh_start_write_off(c->store, r->run, &e) != WH_OK)
        return wh_cli_fail(c, &e);
    wh_holders_end(wh_state_dir(c->store), r->run);
    snprintf(
        question, sizeof(question),
        "run %s is given up here; where a destination keeps its own hold, the next run names it "
        "and needs --fresh --yes\n",
        r->run);
    if (!c->quiet)
        wh_cli_write(2, question, strlen(question));
    return 0;
}

int wh_cmd_unlock(struct wh_cli *c)
{
    struct wh_target_record *v = NULL;
    struct wh_state *state;
    struct wh_run_record r;
    struct wh_error e = {0};
    size_t n = 0;
    if (c->args.n != 1)
        return wh_cli_usage(c, "E1011", "wherry unlock out.db", "unlock needs a target");
    int st = wh_cli_state(c, &state, &e);
    if (st == WH_OK)
        st = wh_state_targets(state, c->arena, &v, &n, &e);
    if (st != WH_OK)
        return wh_cli_fail(c, &e);
    const struct wh_target_record *t = meant(c, c->args.v[0], v, n);
    if (!t)
        return 2;
    st = wh_state_run_get(state, t->run, c->arena, &r, &e);
    if (st != WH_OK)
        return wh_cli_fail(c, &e);
    bool alive = wh_state_run_alive(state, &r, 30000) != 0;
    owner_line(c, t, &r, alive ? "living" : "gone");
    if (!alive)
        return give_up(c, &r);
    wh_ignore(
        wh_fail(&e, WH_HELD_BY, "E7006", "%s is being written by run %s", t->identity, r.run));
    wh_error_hint(&e, "wherry watch %s shows it; wherry cancel %s stops it", r.run, r.run);
    return wh_cli_fail(c, &e);
}
