/* SPDX-License-Identifier: Apache-2.0 */
/* wherry doctor: is everything here that is needed, and can it be used? */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "cli/cli.h"
#include "core/clock.h"
#include "core/errors.h"
#include "engine/registry.h"

struct findings {
    struct wh_cli *c;
    struct wh_buf b;
    int bad;
};

/* advice: what to do where it is not ok. */
static void say(struct findings *f, bool ok, const char *what, const char *detail,
                const char *advice)
{
    if (f->c->json) {
        wh_ignore(wh_buf_printf(&f->b, "{\"v\":1,\"check\":"));
        wh_ignore(wh_buf_json(&f->b, what, strlen(what)));
        wh_ignore(wh_buf_printf(&f->b, ",\"ok\":%s,\"detail\":", ok ? "true" : "false"));
        wh_ignore(wh_buf_json(&f->b, detail, strlen(detail)));
        if (!ok)
            wh_ignore(wh_buf_adds(&f->b, ",\"hint\":"));
        if (!ok)
            wh_ignore(wh_buf_json(&f->b, advice, strlen(advice)));
        wh_ignore(wh_buf_adds(&f->b, "}\n"));
    } else {
        wh_ignore(wh_buf_printf(&f->b, "%s  %-20s %s\n", ok ? "ok " : "BAD", what, detail));
        if (!ok)
            wh_ignore(wh_buf_printf(&f->b, "     %-20s %s\n", "", advice));
    }
    f->bad += !ok;
}

static wh_status module_ok(void *arg, const struct wh_connector *k)
{
    say(arg, true, k->name, k->title, "");
    return WH_OK;
}

static wh_status module_bad(void *arg, const char *name, const struct wh_error *e)
{
    say(arg, false, name, e->message,
        e->hint[0] ? e->hint
                   : "install it anew, of the version that 'wherry version' tells; other systems "
                     "work without it");
    return WH_OK;
}

static void state_check(struct findings *f)
{
    struct wh_state *s;
    struct wh_error e = {0};
    char line[512], page[400];
    int64_t from = wh_now_ns();
    if (wh_cli_state(f->c, &s, &e) != WH_OK) {
        say(f, false, "state", e.message,
            e.hint[0] ? e.hint : wh_error_next(e.code, page, sizeof(page)));
        return;
    }
    snprintf(line, sizeof(line), "%s, opened in %.1f ms", wh_state_dir(s),
             (double)(wh_now_ns() - from) / 1e6);
    say(f, true, "state", line, "");
    struct statvfs v;
    if (statvfs(wh_state_dir(s), &v) == 0) {
        double free_mb = (double)v.f_bavail * (double)v.f_frsize / 1e6;
        snprintf(line, sizeof(line), "%.0f MB free for the state and dirty rows", free_mb);
        say(f, free_mb > 100, "disk", line,
            "make space there, or name another place: --state PATH; 'wherry gc --dry-run' says "
            "what old runs keep");
    }
}

static void limits_check(struct findings *f)
{
    struct rlimit r;
    char line[128];
    if (getrlimit(RLIMIT_NOFILE, &r) == 0) {
        snprintf(line, sizeof(line), "%llu may be open", (unsigned long long)r.rlim_cur);
        say(f, r.rlim_cur >= 256, "files", line,
            "ulimit -n 4096 in the shell; LimitNOFILE=4096 in a systemd unit");
    }
    snprintf(line, sizeof(line), "%ld cores, %.0f MB of memory", sysconf(_SC_NPROCESSORS_ONLN),
             (double)sysconf(_SC_PHYS_PAGES) * (double)sysconf(_SC_PAGESIZE) / 1e6);
    say(f, true, "machine", line, "");
    char now[32];
    wh_format_utc(wh_wall_us(), now);
    say(f, wh_wall_us() > 1700000000000000, "clock", now,
        "set it (timedatectl set-ntp true): names of runs, schedules and locks go by it");
}

int wh_cmd_doctor(struct wh_cli *c)
{
    struct findings f = {.c = c, .b = WH_BUF(1 << 20)};
    say(&f, true, "wherry", WHERRY_VERSION, "");
    limits_check(&f);
    state_check(&f);
    wh_ignore(wh_registry_each(module_ok, &f, module_bad));
    bool ok = wh_cli_print(&f.b);
    wh_buf_free(&f.b);
    return ok && !f.bad ? 0 : 1;
}
