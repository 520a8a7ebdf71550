/* SPDX-License-Identifier: Apache-2.0 */
/* wherry copy SRC... DST */
#include <sys/stat.h>

#include "cli/cli.h"

static bool is_existing_file(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

/* `copy in_*.csv` without a destination: the shell made it file1 onto the last file. */
static bool shell_trap(struct wh_cli *c)
{
    const char *last = c->args.v[c->args.n - 1];
    struct wh_str l = wh_str(last);
    bool database =
        wh_str_ends(l, ".db") || wh_str_ends(l, ".sqlite") || wh_str_ends(l, ".sqlite3");
    if (database || !is_existing_file(last) || !is_existing_file(c->args.v[0]))
        return false;
    const struct wh_node *write = wh_node_get(c->settings, "write");
    const char *mode = write ? wh_node_text(wh_node_get(write, "mode"), NULL) : NULL;
    if (mode && c->args.n == 2)
        return false; /* overwrite was said, and two names were typed */
    wh_cli_usage(c, "E1026",
                 "did the shell expand a pattern? quote it ('in_*.csv') and name the destination; "
                 "to replace an existing file say --mode overwrite",
                 "the destination %s is an existing file, like the source", last);
    return true;
}

int wh_cmd_copy(struct wh_cli *c)
{
    if (c->args.n < 2)
        return wh_cli_usage(c, "E1011", "wherry copy planes.csv.gz out.db",
                            "copy needs a source and a destination");
    if (shell_trap(c))
        return 2;
    if (c->dry_run)
        return wh_cmd_plan(c);
    if (c->save)
        return wh_cli_save(c, c->save);
    struct wh_job *job = wh_cli_copy_job(c, 0);
    return job ? wh_cli_carry_out(c, job) : 2;
}
