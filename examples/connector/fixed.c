/* SPDX-License-Identifier: Apache-2.0 */
/* The connector's face: options, capabilities, endpoint; layout and schema, which both sides use.
 */
#include "fixed.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- layout ---------------------------------------------------------------------------------- */

static wh_status read_column(const char *text, struct fixed_column *c, struct wh_error *reterr)
{
    const char *colon = strchr(text, ':');
    char *end = NULL;
    size_t n = colon ? (size_t)(colon - text) : 0;

    if (!n || n >= FIXED_NAME)
        return wh_fail(reterr, WH_E_USAGE, "E1002", "columns: '%s' is not NAME:WIDTH", text);
    memcpy(c->name, text, n);
    c->name[n] = 0;
    c->width = strtol(colon + 1, &end, 10);
    c->is_int = strcmp(end, ":int") == 0;
    if (c->width < 1 || c->width > FIXED_WIDTH || (*end && !c->is_int))
        return wh_fail(reterr, WH_E_USAGE, "E1002",
                       "columns: '%s' is neither NAME:WIDTH nor NAME:WIDTH:int", text);
    return WH_OK;
}

wh_status fixed_layout_read(const struct wh_list *list, struct fixed_layout *ret,
                            struct wh_error *reterr)
{
    *ret = (struct fixed_layout){.n = 0};
    if (list->n > FIXED_COLUMNS)
        return wh_fail(reterr, WH_E_LIMIT, "E3014", "columns: more than %d", FIXED_COLUMNS);
    for (size_t i = 0; i < list->n; i++) {
        struct fixed_column *c = &ret->v[ret->n];

        WH_TRY(read_column(list->v[i], c, reterr));
        for (int k = 0; k < ret->n; k++)
            if (strcmp(ret->v[k].name, c->name) == 0)
                return wh_fail(reterr, WH_E_TYPE, "E3008", "columns: '%s' twice", c->name);
        c->at = ret->record;
        ret->record += c->width;
        ret->n++;
    }
    ret->record++;
    return WH_OK;
}

/* ---- schema: one block of memory, freed at once -----------------------------------------------
 */

struct schema_block {
    struct ArrowSchema child[FIXED_COLUMNS], *children[FIXED_COLUMNS];
    char names[FIXED_COLUMNS][FIXED_NAME];
    char meta[FIXED_COLUMNS][64];
};

static void release_child(struct ArrowSchema *s)
{
    s->release = NULL;
}

static void release_schema(struct ArrowSchema *s)
{
    for (int64_t i = 0; i < s->n_children; i++)
        if (s->children[i]->release)
            s->children[i]->release(s->children[i]);
    free(s->private_data);
    s->release = NULL;
}

/* Arrow's metadata: number of pairs, then each text behind its length, in the machine's order. */
static void put_length(char meta[64], int64_t width)
{
    char value[24];
    int32_t pairs = 1, k = (int32_t)strlen(WH_META_LENGTH);
    int32_t v = (int32_t)snprintf(value, sizeof value, "%lld", (long long)width);

    memcpy(meta, &pairs, 4);
    memcpy(meta + 4, &k, 4);
    memcpy(meta + 8, WH_META_LENGTH, (size_t)k);
    memcpy(meta + 8 + k, &v, 4);
    memcpy(meta + 12 + k, value, (size_t)v);
}

wh_status fixed_schema(const struct fixed_layout *l, const int *order, bool limits,
                       struct ArrowSchema *ret)
{
    struct schema_block *b = calloc(1, sizeof *b);

    if (!b)
        return WH_E_NOMEM;
    for (int i = 0; i < l->n; i++) {
        const struct fixed_column *c = &l->v[order ? order[i] : i];

        memcpy(b->names[i], c->name, FIXED_NAME);
        if (limits && !c->is_int)
            put_length(b->meta[i], c->width);
        b->child[i] = (struct ArrowSchema){.format = c->is_int ? "l" : "u",
                                           .name = b->names[i],
                                           .metadata = limits && !c->is_int ? b->meta[i] : NULL,
                                           .flags = ARROW_FLAG_NULLABLE,
                                           .release = release_child};
        b->children[i] = &b->child[i];
    }
    *ret = (struct ArrowSchema){.format = "+s",
                                .name = "",
                                .n_children = l->n,
                                .children = b->children,
                                .release = release_schema,
                                .private_data = b};
    return WH_OK;
}

wh_status fixed_path(const struct wh_name *name, char ret[PATH_MAX], struct wh_error *reterr)
{
    char folder[PATH_MAX] = "";
    struct wh_str path = name && name->n ? name->part[0] : WH_STR("");

    if (!path.n)
        return wh_fail(reterr, WH_E_USAGE, "E1020", "fixed: which file? Write fixed:PATH");
    if (path.s[0] != '/' && !getcwd(folder, sizeof folder))
        return wh_fail_errno(reterr, errno, "E2012", "the current folder");
    int n = snprintf(ret, PATH_MAX, "%s%s%.*s", folder, *folder ? "/" : "", WH_STR_FMT(path));
    if (n >= PATH_MAX - 100) /* names beside it are longer */
        return wh_fail(reterr, WH_E_USAGE, "E2012", "the path is too long");
    return WH_OK;
}

/* ---- endpoint: there is nothing to connect to --------------------------------------------------
 */

static wh_status endpoint_open(void *ep, const struct wh_ctx *ctx, enum wh_role role,
                               const void *opts, struct wh_error *reterr)
{
    ((struct fixed_endpoint *)ep)->ctx = ctx;
    return WH_OK;
}

static wh_status session_open(void *se, void *ep, enum wh_use use, struct wh_str *ret_ident,
                              struct wh_error *reterr)
{
    *ret_ident = WH_STR("fixed");
    return WH_OK;
}

static void interrupt(void *se)
{
    atomic_store(&((struct fixed_session *)se)->interrupted, true);
}

/* The instant is the file itself: each reader compares inode, size and time with the plan's. */
static wh_status snapshot(void *ep, void *se, const struct wh_objects *pin, int sessions,
                          struct wh_snapshot *ret, struct wh_error *reterr)
{
    *ret = (struct wh_snapshot){
        .kind = WH_SNAP_POINT, .token = {"file", 4}, .unchanged_provable = true};
    snprintf(ret->what, sizeof ret->what, "the file's inode, size and time");
    return WH_OK;
}

static wh_status join(void *ep, const struct wh_snapshot *snap, struct wh_error *reterr)
{
    return WH_OK;
}

static void release(void *ep, const struct wh_snapshot *snap)
{
}

/* A block of records for each reader, one of encoded rows for each writer. */
static int64_t footprint(const void *opts)
{
    return 4 << 20;
}

static void session_close(void *se)
{
}

static void endpoint_close(void *ep)
{
}

static const struct wh_endpoint_ops endpoint_ops = {
    .size = sizeof(struct wh_endpoint_ops),
    .open = endpoint_open,
    .session_open = session_open,
    .interrupt = interrupt,
    .snapshot = snapshot,
    .join = join,
    .release = release,
    .footprint = footprint,
    .session_close = session_close,
    .close = endpoint_close,
};

/* ---- the connector -----------------------------------------------------------------------------
 */

static const struct wh_option rows[] = {
    WH_OPT_COLUMNS(struct fixed_options, columns, .flags = WH_OPT_REQUIRED,
                   .help = "The layout: NAME:WIDTH, or NAME:WIDTH:int, in the order of the record"),
    WH_OPT_END};
static const struct wh_options table = {rows, sizeof(struct fixed_options), "fixed file"};

static const struct wh_capabilities caps = {
    .flags = WH_CAP_LOCAL | WH_CAP_PATHS,
    .modes = 1u << WH_MODE_APPEND | 1u << WH_MODE_OVERWRITE,
    .commit_class = WH_CLASS_P,
    .atomics = 1u << WH_ATOMIC_TABLE,
    .snapshot = WH_SNAP_POINT,
    .grade = "G1",
    .limits = "text and integers; a text that ends with a space cannot be told from padding",
};

static const char *const schemes[] = {"fixed", NULL};

WH_CONNECTOR(fixed);
const struct wh_connector wh_connector_fixed = {
    .abi = WH_ABI,
    .size = sizeof(struct wh_connector),
    .name = "fixed",
    .title = "Text files with columns of fixed width",
    .schemes = schemes,
    .url = WH_URL_OBJECT,
    .from = &table,
    .to = &table,
    .caps = &caps,
    .ep_size = sizeof(struct fixed_endpoint),
    .se_size = sizeof(struct fixed_session),
    .endpoint = &endpoint_ops,
    .source = &fixed_source_ops,
    .sink = &fixed_sink_ops,
};
