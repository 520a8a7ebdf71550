/* SPDX-License-Identifier: Apache-2.0 */
/* Write modes: what follows from the mode alone, in every dialect. */
#include "sql.h"

#include <string.h>

#include "data/type.h"

bool sql_by_key(enum wh_mode m)
{
    return m == WH_MODE_UPSERT || m == WH_MODE_REPLACE || m == WH_MODE_UPDATE ||
           m == WH_MODE_INSERT_IGNORE;
}

bool sql_is_staged(const struct wh_target *io)
{
    return io->mode == WH_MODE_OVERWRITE || io->mode == WH_MODE_DELETE_INSERT ||
           (io->atomic_asked && io->atomic != WH_ATOMIC_UNIT);
}

static wh_status add_key(struct wh_arena *a, const char ***keys, size_t *n, const char *name,
                         struct wh_error *reterr)
{
    const char **more = wh_arena_alloc(a, (*n + 1) * sizeof *more);
    char *own = wh_arena_strdup(a, name);

    if (!more || !own)
        return wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory for a key");
    if (*n)
        memcpy(more, *keys, *n * sizeof *more);
    more[(*n)++] = own;
    *keys = more;
    return WH_OK;
}

wh_status sql_keys(struct wh_arena *a, const struct wh_target *io, const char *table,
                   const char *const *pk, size_t n_pk, const char ***ret, size_t *ret_n,
                   struct wh_error *reterr)
{
    *ret_n = 0;
    if (!sql_by_key(io->mode) && !io->replace_keys)
        return WH_OK;
    for (size_t i = 0; i < io->n_keys; i++) {
        if (wh_schema_find(io->source, wh_str(io->keys[i]), true) < 0)
            return wh_fail(reterr, WH_E_NOT_FOUND, "E3002",
                           "the key column \"%s\" is not delivered", io->keys[i]);
        WH_TRY(add_key(a, ret, ret_n, io->keys[i], reterr));
    }
    for (size_t i = 0; io->n_keys == 0 && i < n_pk; i++)
        WH_TRY(add_key(a, ret, ret_n, pk[i], reterr));
    for (int at = 1; io->n_keys == 0 && !pk && at <= io->source->n_children; at++)
        for (int64_t i = 0; i < io->source->n_children; i++)
            if (sql_key_position(io->source->children[i]) == at)
                WH_TRY(add_key(a, ret, ret_n, io->source->children[i]->name, reterr));
    if (*ret_n == 0 && io->mode != WH_MODE_INSERT_IGNORE) {
        wh_ignore(wh_fail(reterr, WH_E_USAGE, "E1062",
                          *table == '"' ? "%s has no primary key to go by"
                                        : "\"%s\" has no primary key to go by",
                          table));
        if (reterr)
            wh_error_hint(reterr, "name the columns: --key a,b");
        return WH_E_USAGE;
    }
    return WH_OK;
}

bool sql_unique_at_source(const struct wh_target *io, const char *const *keys, size_t n)
{
    int most = 0, found = 0;

    for (int64_t i = 0; i < io->source->n_children; i++) {
        int at = sql_key_position(io->source->children[i]);
        bool among = false;

        for (size_t k = 0; k < n && !among; k++)
            among = wh_str_ieqs(wh_str(keys[k]), io->source->children[i]->name);
        found += at > 0 && among;
        most = at > most ? at : most;
    }
    return most > 0 && found == most;
}
