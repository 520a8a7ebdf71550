/* SPDX-License-Identifier: Apache-2.0 */
/* Columns by name, whatever else a dialect knows of them. */
#include "sql.h"

#include <string.h>

#include "data/type.h"

static const char *name_at(struct sql_names in, int i)
{
    const char *name;

    memcpy(&name, (const char *)in.cols + (size_t)i * in.size, sizeof name);
    return name;
}

int sql_find_column(struct sql_names in, const char *name)
{
    int loose = -1;

    for (int i = 0; i < in.n; i++) {
        if (strcmp(name_at(in, i), name) == 0)
            return i;
        if (loose < 0 && wh_str_ieqs(wh_str(name_at(in, i)), name))
            loose = i;
    }
    return loose;
}

wh_status sql_no_column(struct wh_arena *arena, struct sql_names in, const char *table,
                        const char *name, struct wh_error *reterr)
{
    const char **names = wh_arena_alloc(arena, (size_t)(in.n + 1) * sizeof *names);
    const char *near = NULL;

    for (int i = 0; names && i < in.n; i++)
        names[i] = name_at(in, i);
    if (names)
        near = wh_did_you_mean(wh_str(name), names);
    wh_ignore(wh_fail(reterr, WH_E_NOT_FOUND, "E3002", "%s has no column \"%s\"", table, name));
    if (near && reterr)
        wh_error_hint(reterr, "did you mean \"%s\"?", near);
    return WH_E_NOT_FOUND;
}

void sql_as_frozen(const struct wh_target *io, int64_t i, struct wh_type *t)
{
    struct wh_type was;

    if (io->frozen && i < io->frozen->n_children &&
        wh_type_of(io->frozen->children[i], &was, NULL) == WH_OK)
        *t = was;
}
