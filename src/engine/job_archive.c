/* SPDX-License-Identifier: Apache-2.0 */
/* `dirty.archive`: a folder of a files connection that keeps refused rows. */
#include "engine/job_internal.h"

#include <limits.h>
#include <string.h>
#include <unistd.h>

static bool refuse(struct wh_job_reading *r, const struct wh_node *node, const char *code,
                   const char *hint, const char *why)
{
    wh_problem_add(r->problems, code, wh_job_where(r, node), hint, "'dirty.archive': %s", why);
    return false;
}

static bool globs(struct wh_str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (strchr("*?[", s.s[i]))
            return true;
    return false;
}

static bool check(struct wh_job_reading *r, const struct wh_node *node, const struct wh_objref *ref)
{
    const struct wh_storage_ops *ops = ref->connector->storage;

    if (!ops || !ops->put_open || !ops->publish)
        return refuse(r, node, "E1060", "a folder, or CONNECTION:FOLDER/ of a files connection",
                      wh_arena_printf(r->arena, "%s holds no files", ref->connector->name));
    if (ref->pattern || ref->query_file || ref->name.n > 1 || ref->options->n ||
        (ref->name.n && (wh_str_eqs(ref->name.part[0], "-") || globs(ref->name.part[0]))))
        return refuse(r, node, "E1020", "a folder, or CONNECTION:FOLDER/ of a files connection",
                      "one folder is wanted here");
    if (strstr(ref->text, "***"))
        return refuse(r, node, "E1020", "put the secret into a connection: wherry conn add",
                      "a secret in a URL is not kept, and the archive is read later");
    return true;
}

static bool is_relative(const char *root)
{
    return root[0] && !strchr("/~$", root[0]);
}

/* A path of this host means the same from every folder, also when the rows are looked for later.
 * One that climbs stays below its root, and is refused there. */
static bool from_anywhere(struct wh_job_reading *r, struct wh_node *node, struct wh_objref *ref)
{
    char here[PATH_MAX];
    const char *path, *root = wh_node_text(wh_node_get(ref->connection, "root"), NULL);
    struct wh_str rest = ref->name.n ? ref->name.part[0] : (struct wh_str){"", 0};

    if (!(ref->connector->caps->flags & WH_CAP_LOCAL) || (rest.n && rest.s[0] == '/') ||
        (root && (!is_relative(root) || memmem(rest.s, rest.n, "..", 2))))
        return true;
    if (!getcwd(here, sizeof here))
        return refuse(r, node, "E2012", NULL, "the current folder has no name");

    while (rest.n > 1 && rest.s[0] == '.' && rest.s[1] == '/')
        rest = (struct wh_str){rest.s + 2, rest.n - 2};
    path = wh_arena_printf(r->arena, "%s/%s%s%.*s", here, root ? root : "", root ? "/" : "",
                           WH_STR_FMT(rest));
    if (!path)
        return wh_job_no_memory(r);
    ref->name = (struct wh_name){.part = {wh_str(path)}, .n = 1};
    ref->text = ref->conn ? wh_arena_printf(r->arena, "%s:%s", ref->conn, path) : path;
    if (!ref->text)
        return wh_job_no_memory(r);
    if (!strstr(ref->text, "${"))
        node->text = ref->text; /* in the tree, that is what is stored */
    return true;
}

bool wh_job_archive(struct wh_job_reading *r, struct wh_node *node, struct wh_stream *s)
{
    const char *text = wh_node_text(node, NULL);
    struct wh_objref *ref = &s->dirty_archive;

    *ref = (struct wh_objref){0};
    if (!text)
        return refuse(r, node, "E1041", NULL, "a folder is wanted here");
    if (!wh_object_read(r->arena, text, wh_job_where(r, node), WH_SIDE_TO, r->job->connections, ref,
                        r->problems) ||
        !check(r, node, ref) || !from_anywhere(r, node, ref)) {
        ref->connector = NULL;
        return false;
    }
    return true;
}
