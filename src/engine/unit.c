/* SPDX-License-Identifier: Apache-2.0 */
/* Units in memory and their stored form: a list of splits, and what a cut leaves of it.
 *
 * Stored form, little endian: "u1", u32 number of splits, then for each split u32 token bytes, the
 * token, u8 label bytes, the label, i64 estimates of rows and bytes, u64 group, u64 sequence.
 * A rest: "r1", u32 index of the first split that is left, u8 whether a split follows which
 * replaces it, that split.
 */
#include "engine/runtime.h"

#include <string.h>

enum {
    TOKEN_MOST = 64 << 10,
    SPLITS_ARENA = 256 << 20,
};

int wh_bytes_copy(struct wh_bytes from, struct wh_bytes *ret)
{
    void *p = NULL;

    if (from.n && !(p = wh_alloc(from.n)))
        return WH_E_NOMEM;
    if (from.n)
        memcpy(p, from.p, from.n);
    *ret = (struct wh_bytes){p, from.n};
    return WH_OK;
}

void wh_bytes_free(struct wh_bytes *b)
{
    union {
        const void *in;
        void *out;
    } u = {b->p};

    wh_free(u.out);
    *b = (struct wh_bytes){0};
}

struct wh_run_unit *wh_unit_new(int64_t id, struct wh_bytes take_splits)
{
    struct wh_run_unit *u = wh_calloc(1, sizeof *u);

    if (!u) {
        wh_bytes_free(&take_splits);
        return NULL;
    }
    u->id = id;
    u->splits = take_splits;
    u->instant = 1;
    return u;
}

void wh_unit_free(struct wh_run_unit *u)
{
    if (!u)
        return;
    wh_bytes_free(&u->splits);
    wh_find_forget(u);
    wh_bytes_free(&u->origin);
    wh_free(u->refused);
    wh_free(u);
}

/* ---- writing -----------------------------------------------------------------------------------
 */

static int put_u32(struct wh_buf *b, size_t v)
{
    uint8_t p[4] = {(uint8_t)v, (uint8_t)(v >> 8), (uint8_t)(v >> 16), (uint8_t)(v >> 24)};

    return wh_buf_add(b, p, sizeof p);
}

static int put_u64(struct wh_buf *b, uint64_t v)
{
    uint8_t p[8];

    for (int i = 0; i < 8; i++)
        p[i] = (uint8_t)(v >> (8 * i));
    return wh_buf_add(b, p, sizeof p);
}

static int put_split(struct wh_buf *b, const struct wh_split *s)
{
    size_t label = strnlen(s->label, sizeof s->label - 1);

    if (s->token.n > TOKEN_MOST)
        return WH_E_LIMIT;
    WH_TRY(put_u32(b, s->token.n));
    WH_TRY(wh_buf_add(b, s->token.p, s->token.n));
    WH_TRY(wh_buf_addc(b, (char)label));
    WH_TRY(wh_buf_add(b, s->label, label));
    WH_TRY(put_u64(b, (uint64_t)s->est_rows));
    WH_TRY(put_u64(b, (uint64_t)s->est_bytes));
    WH_TRY(put_u64(b, s->order_group));
    return put_u64(b, s->order_seq);
}

int wh_splits_encode(const struct wh_split *v, size_t n, struct wh_buf *b)
{
    WH_TRY(wh_buf_add(b, "u1", 2));
    WH_TRY(put_u32(b, n));
    for (size_t i = 0; i < n; i++)
        WH_TRY(put_split(b, &v[i]));
    return WH_OK;
}

int wh_rest_encode(size_t index, const struct wh_split *rest, struct wh_buf *b)
{
    WH_TRY(wh_buf_add(b, "r1", 2));
    WH_TRY(put_u32(b, index));
    WH_TRY(wh_buf_addc(b, rest ? 1 : 0));
    return rest ? put_split(b, rest) : WH_OK;
}

/* ---- reading -----------------------------------------------------------------------------------
 */

struct cursor {
    const uint8_t *p;
    size_t n;
};

static bool get(struct cursor *c, void *to, size_t n)
{
    if (c->n < n)
        return false;
    if (to)
        memcpy(to, c->p, n);
    c->p += n;
    c->n -= n;
    return true;
}

static bool get_number(struct cursor *c, int bytes, uint64_t *ret)
{
    uint8_t p[8] = {0};

    if (!get(c, p, (size_t)bytes))
        return false;
    *ret = 0;
    for (int i = bytes - 1; i >= 0; i--)
        *ret = *ret << 8 | p[i];
    return true;
}

static bool get_split(struct cursor *c, struct wh_split *s)
{
    uint64_t token, label, rows, bytes;

    *s = (struct wh_split){0};
    if (!get_number(c, 4, &token) || token > TOKEN_MOST || c->n < token)
        return false;
    s->token = (struct wh_bytes){c->p, token};
    wh_ignore(get(c, NULL, token));
    if (!get_number(c, 1, &label) || label >= sizeof s->label || !get(c, s->label, label))
        return false;
    if (!get_number(c, 8, &rows) || !get_number(c, 8, &bytes) ||
        !get_number(c, 8, &s->order_group) || !get_number(c, 8, &s->order_seq))
        return false;
    s->est_rows = (int64_t)rows;
    s->est_bytes = (int64_t)bytes;
    return true;
}

static int damaged(struct wh_error *reterr, const char *what)
{
    return wh_fail(reterr, WH_E_STATE, "E7003", "the stored %s of a unit cannot be read", what);
}

/* The splits' tokens point into an own copy of the bytes. */
int wh_splits_decode(struct wh_bytes bytes, struct wh_splits *ret, struct wh_error *reterr)
{
    struct wh_arena *arena = wh_arena_new(SPLITS_ARENA);
    struct cursor c = {NULL, bytes.n};
    uint64_t n = 0;
    uint8_t *copy = arena ? wh_arena_alloc(arena, bytes.n + 1) : NULL;

    *ret = (struct wh_splits){.arena = arena};
    if (!copy) {
        wh_splits_free(ret);
        return wh_fail(reterr, WH_E_NOMEM, "E8002", "splits of a unit");
    }
    if (bytes.n)
        memcpy(copy, bytes.p, bytes.n);
    c.p = copy;
    if (c.n < 2 || memcmp(c.p, "u1", 2) != 0 || !get(&c, NULL, 2) || !get_number(&c, 4, &n) ||
        n > c.n) {
        wh_splits_free(ret);
        return damaged(reterr, "splits");
    }
    ret->v = wh_arena_alloc(arena, (n + 1) * sizeof *ret->v);
    if (!ret->v) {
        wh_splits_free(ret);
        return wh_fail(reterr, WH_E_NOMEM, "E8002", "splits of a unit");
    }
    for (ret->n = 0; ret->n < n; ret->n++)
        if (!get_split(&c, &ret->v[ret->n])) {
            wh_splits_free(ret);
            return damaged(reterr, "splits");
        }
    return WH_OK;
}

void wh_splits_free(struct wh_splits *s)
{
    wh_arena_free(s->arena);
    *s = (struct wh_splits){0};
}

int wh_rest_index(struct wh_bytes rest, size_t *ret_index, struct wh_error *reterr)
{
    struct cursor c = {rest.p, rest.n};
    uint64_t index;

    if (c.n < 2 || memcmp(c.p, "r1", 2) != 0 || !get(&c, NULL, 2) || !get_number(&c, 4, &index))
        return damaged(reterr, "rest");
    *ret_index = index;
    return WH_OK;
}

int wh_rest_apply(struct wh_bytes rest, struct wh_bytes splits, struct wh_buf *ret,
                  struct wh_error *reterr)
{
    struct cursor c = {rest.p, rest.n};
    struct wh_splits all = {0};
    struct wh_split first;
    uint64_t index, has;
    int st;

    wh_buf_clear(ret);
    if (c.n < 2 || memcmp(c.p, "r1", 2) != 0 || !get(&c, NULL, 2) || !get_number(&c, 4, &index) ||
        !get_number(&c, 1, &has) || (has && !get_split(&c, &first)))
        return damaged(reterr, "rest");
    WH_TRY(wh_splits_decode(splits, &all, reterr));
    if (index > all.n || (has && index == all.n)) {
        wh_splits_free(&all);
        return damaged(reterr, "rest");
    }
    if (has)
        all.v[index] = first;
    st = index < all.n ? wh_splits_encode(all.v + index, all.n - index, ret) : WH_OK;
    wh_splits_free(&all);
    return st == WH_OK ? WH_OK : wh_fail(reterr, st, "E8002", "rest of a unit");
}
