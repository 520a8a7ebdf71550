/* SPDX-License-Identifier: Apache-2.0 */
#include "sql.h"

#include <string.h>

/* The lock is held. */
static wh_status add(const struct wh_ctx *ctx, struct sql_named **list, const char *name)
{
    size_t n = strlen(name) + 1;

    for (const struct sql_named *u = *list; u; u = u->next)
        if (strcmp(u->name, name) == 0)
            return WH_OK;
    struct sql_named *u = ctx->alloc(ctx, sizeof *u);
    char *own = ctx->alloc(ctx, n);

    if (!u || !own)
        return WH_E_NOMEM;
    *u = (struct sql_named){.next = *list, .name = memcpy(own, name, n)};
    *list = u;
    return WH_OK;
}

wh_status sql_name_add(const struct wh_ctx *ctx, pthread_mutex_t *lock, struct sql_named **list,
                       const char *name)
{
    pthread_mutex_lock(lock);
    int st = add(ctx, list, name);
    pthread_mutex_unlock(lock);
    return st;
}
