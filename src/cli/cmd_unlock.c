/* SPDX-License-Identifier: Apache-2.0 */
/* wherry unlock TARGET: who holds it. A living owner is never disturbed; the target of a dead one
 * belongs to its run, so freeing it gives that run up, and that needs consent. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"

/* The one held target that is meant: its whole identity, else a part of it that no other has. */
static const struct wh_target_record *meant(struct wh_cli *c, const char *word,
                                            const struct wh_target_record *v, size_t n)
{
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(1 << 20);
    const struct wh_target_record *found = NULL;
    size_t fit = 0;
    for (size_t i = 0; i < n; i++) {
        if (strcmp(v[i].identity, word) == 0)
            return &v[i];
        if (strstr(v[i].identity, word)) {
            found = &v[i];
            fit++;
        }
    }
    if (fit == 1)
        return found;
    for (size_t i = 0; i < n && b.n < 300; i++)
        if (!fit || strstr(v[i].identity, word))
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
    char question[400];
    snprintf(
        question, sizeof(question),
        "Run %s is unfinished and its process has gone. wherry resume %s goes on with it, wherry "
        "cancel %s --discard takes back what can be taken back. unlock does neither: the run is "
        "given up, its committed rows and stages stay where they are.",
        r->run, r->run, r->run);
    if (!wh_cli_consent(c, question))
        return 2;
    if (wh_start_write_off(c->store, r->run, &e) != WH_OK)
        return wh_cli_fail(c, &e);
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
