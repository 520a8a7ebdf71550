/* SPDX-License-Identifier: Apache-2.0 */
/* What the plan freezes of a scan, as bytes: the list of files, what was found in them. */
#include <stdio.h>
#include <string.h>

#include "pack.h"
#include "scan.h"

enum {
    BOUNDS_VERSION = 3,
    BOUNDS_MEMBERS = 4, /* the same with members of archives at the end */
};

static wh_status no_memory(struct wh_error *reterr)
{
    return wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory for a scan of files");
}

static void pack_dialect(struct pack *k, const struct wh_csv_dialect *d)
{
    pack_bytes(k, d->delimiter, d->delimiter_n);
    pack_u64(k, (uint64_t)(d->quote + 1));
    pack_u64(k, (uint64_t)(d->escape + 1));
    pack_u64(k, (uint64_t)(d->comment + 1));
    pack_u64(k, (uint8_t)d->decimal);
    pack_u64(k, d->empty_null);
    pack_u64(k, d->max_row);
    pack_u64(k, d->n_nulls);
    for (int i = 0; i < d->n_nulls; i++)
        pack_bytes(k, d->nulls[i].text, d->nulls[i].n);
}

static bool unpack_dialect(struct unpack *u, struct wh_csv_dialect *d)
{
    *d = wh_csv_dialect_default();
    struct wh_str delimiter = unpack_bytes(u);
    if (!delimiter.n || delimiter.n > sizeof d->delimiter)
        return false;
    memcpy(d->delimiter, delimiter.s, delimiter.n);
    d->delimiter_n = (uint8_t)delimiter.n;
    d->quote = (int)unpack_u64(u) - 1;
    d->escape = (int)unpack_u64(u) - 1;
    d->comment = (int)unpack_u64(u) - 1;
    d->decimal = (char)unpack_u64(u);
    d->empty_null = unpack_u64(u) != 0;
    d->max_row = (size_t)unpack_u64(u);
    for (uint64_t n = unpack_u64(u); n && !u->bad; n--) {
        struct wh_str null = unpack_bytes(u);
        if (!null.n || !wh_csv_add_null(d, null))
            return false;
    }
    return !u->bad;
}

static void pack_member(struct pack *k, const struct files_member *m)
{
    pack_u64(k, m != NULL);
    if (!m)
        return;
    pack_text(k, m->archive);
    pack_u64(k, m->how);
    pack_u64(k, m->codec);
    pack_u64(k, (uint64_t)m->offset);
    pack_u64(k, (uint64_t)m->packed);
    pack_u64(k, (uint64_t)m->archive_size);
    pack_u64(k, m->lone);
    pack_u64(k, m->has_crc);
    pack_u64(k, m->crc);
}

static wh_status unpack_member(struct unpack *u, struct files_entry *e)
{
    if (!unpack_u64(u))
        return u->bad ? WH_E_STATE : WH_OK;
    struct wh_str archive = unpack_bytes(u);
    uint64_t how = unpack_u64(u), codec = unpack_u64(u);
    struct files_member *m = e->member = wh_calloc(1, sizeof *m);
    if (!m || !(m->archive = wh_strndup(archive.s, archive.n)))
        return WH_E_NOMEM;
    m->how = (enum files_how)how;
    m->codec = (enum wh_codec)codec;
    m->offset = (int64_t)unpack_u64(u);
    m->packed = (int64_t)unpack_u64(u);
    m->archive_size = (int64_t)unpack_u64(u);
    m->lone = unpack_u64(u) != 0;
    m->has_crc = unpack_u64(u) != 0;
    m->crc = (uint32_t)unpack_u64(u);
    bool fits = how <= FILES_HOW_STREAM && codec < WH_CODEC_COUNT && m->offset >= 0 &&
                m->packed >= 0 && e->size >= 0 && !u->bad;
    return fits ? WH_OK : WH_E_STATE;
}

static bool has_members(const struct files_list *l)
{
    bool any = false;
    for (size_t i = 0; i < l->n; i++)
        any |= l->v[i].member != NULL;
    return any;
}

wh_status files_freeze(struct files_scan *sc)
{
    struct pack k = {&sc->bounds, WH_OK};
    bool members = has_members(&sc->list);
    wh_buf_clear(&sc->bounds);
    pack_u64(&k, members ? BOUNDS_MEMBERS : BOUNDS_VERSION);
    pack_u64(&k, (uint64_t)sc->unit_bytes); /* what was drawn goes on in the same steps */
    pack_u64(&k, sc->list.is_stdin);
    pack_text(&k, sc->list.root);
    pack_u64(&k, sc->list.n);
    for (size_t i = 0; i < sc->list.n; i++) {
        pack_text(&k, sc->list.v[i].name);
        pack_text(&k, sc->list.v[i].shown);
        pack_text(&k, sc->list.v[i].etag);
        pack_u64(&k, (uint64_t)sc->list.v[i].size);
    }
    pack_text(&k, sc->encoding);
    pack_u64(&k, sc->kind.format);
    pack_u64(&k, (uint64_t)(sc->compression + 1));
    pack_u64(&k, (uint64_t)sc->md5);
    pack_u64(&k, sc->after);
    pack_text(&k, sc->after_folder);
    pack_dialect(&k, &sc->dialect);
    pack_u64(&k, sc->has_header);
    pack_u64(&k, (uint64_t)sc->skip_lines);
    pack_u64(&k, (uint64_t)sc->n_fields);
    pack_u64(&k, (uint64_t)sc->row_bytes);
    pack_u64(&k, (uint64_t)sc->unit_bytes); /* the cursor counts ranges */
    pack_u64(&k, (uint64_t)sc->n_names);
    for (int64_t i = 0; i < sc->n_names; i++)
        pack_text(&k, sc->names[i]);
    if (files_is_json(sc->kind.format)) {
        pack_u64(&k, sc->layout);
        pack_u64(&k, sc->refuse_unknown);
    }
    for (size_t i = 0; sc->kind.format == FILES_FORMAT_BINARY && i < sc->list.n; i++)
        pack_u64(&k, sc->list.v[i].said_n);
    for (size_t i = 0; members && i < sc->list.n; i++)
        pack_member(&k, sc->list.v[i].member);
    if (sc->key_check[0])
        pack_text(&k, sc->key_check);
    return k.st;
}

static wh_status thaw_list(struct files_scan *sc, struct unpack *u)
{
    struct files_list *l = &sc->list;
    l->is_stdin = unpack_u64(u) != 0;
    struct wh_str root = unpack_bytes(u);
    l->root = wh_strndup(root.s, root.n);
    uint64_t n = unpack_u64(u);
    if (u->bad || n > u->n)
        return WH_E_STATE;
    l->v = wh_calloc((size_t)n + 1, sizeof *l->v);
    if (!l->v || !l->root)
        return WH_E_NOMEM;
    l->cap = (size_t)n;
    for (; l->n < n && !u->bad; l->n++) {
        struct files_entry *e = &l->v[l->n];
        struct wh_str name = unpack_bytes(u), shown = unpack_bytes(u), etag = unpack_bytes(u);
        e->name = wh_strndup(name.s, name.n);
        e->shown = wh_strndup(shown.s, shown.n);
        snprintf(e->etag, sizeof e->etag, "%.*s", WH_STR_FMT(etag));
        e->size = (int64_t)unpack_u64(u);
        if (!e->name || !e->shown)
            return WH_E_NOMEM;
    }
    return WH_OK;
}

static wh_status thaw_rest(struct files_scan *sc, struct unpack *u, bool members)
{
    struct wh_str encoding = unpack_bytes(u);
    snprintf(sc->encoding_text, sizeof sc->encoding_text, "%.*s", WH_STR_FMT(encoding));
    sc->encoding = encoding.n ? sc->encoding_text : NULL;
    sc->kind.format = (enum files_format)unpack_u64(u);
    sc->compression = (int)unpack_u64(u) - 1;
    sc->md5 = (int)unpack_u64(u);
    uint64_t after = unpack_u64(u);
    struct wh_str folder = unpack_bytes(u);
    sc->after = (enum files_after)after;
    sc->after_folder = folder.n ? wh_strndup(folder.s, folder.n) : NULL;
    if (folder.n && !sc->after_folder)
        return WH_E_NOMEM;
    if (after > FILES_AFTER_MOVE || (after == FILES_AFTER_MOVE) != (folder.n > 0))
        return WH_E_STATE;
    if (!unpack_dialect(u, &sc->dialect))
        return WH_E_STATE;
    sc->has_header = unpack_u64(u) != 0;
    sc->skip_lines = (int64_t)unpack_u64(u);
    sc->n_fields = (int64_t)unpack_u64(u);
    sc->row_bytes = (int64_t)unpack_u64(u);
    sc->unit_bytes = (int64_t)unpack_u64(u);
    if (sc->unit_bytes <= 0)
        return WH_E_STATE;
    uint64_t n = unpack_u64(u);
    if (u->bad || n > WH_CSV_FIELDS_MAX)
        return WH_E_STATE;
    sc->names = wh_calloc((size_t)n + 1, sizeof *sc->names);
    if (!sc->names)
        return WH_E_NOMEM;
    for (; sc->n_names < (int64_t)n; sc->n_names++) {
        struct wh_str name = unpack_bytes(u);
        sc->names[sc->n_names] = wh_strndup(name.s, name.n);
        if (!sc->names[sc->n_names])
            return WH_E_NOMEM;
    }
    if (files_is_json(sc->kind.format)) {
        sc->layout = (enum wh_json_layout)unpack_u64(u);
        sc->refuse_unknown = unpack_u64(u) != 0;
    }
    for (size_t i = 0; sc->kind.format == FILES_FORMAT_BINARY && i < sc->list.n; i++) {
        sc->list.v[i].said_n = (size_t)unpack_u64(u);
        if (sc->list.v[i].said_n > strlen(sc->list.v[i].shown))
            return WH_E_STATE;
    }
    for (size_t i = 0; members && i < sc->list.n; i++)
        WH_TRY(unpack_member(u, &sc->list.v[i]));
    struct wh_str check = u->n && !u->bad ? unpack_bytes(u) : WH_STR("");
    snprintf(sc->key_check, sizeof sc->key_check, "%.*s", WH_STR_FMT(check));
    return u->bad ? WH_E_STATE : WH_OK;
}

wh_status files_thaw(struct files_scan *sc, struct wh_bytes bounds, struct wh_error *reterr)
{
    struct unpack u = unpack_of(bounds);
    uint64_t version = unpack_u64(&u);
    bool known = version == BOUNDS_VERSION || version == BOUNDS_MEMBERS;
    sc->unit_bytes = known ? (int64_t)unpack_u64(&u) : 0;
    int st = sc->unit_bytes > 0 ? thaw_list(sc, &u) : WH_E_STATE;
    if (st == WH_OK)
        st = thaw_rest(sc, &u, version == BOUNDS_MEMBERS);
    if (st == WH_E_NOMEM)
        return no_memory(reterr);
    if (st != WH_OK)
        return wh_fail(reterr, WH_E_STATE, "E7003", "the stored list of files cannot be read");
    return wh_buf_add(&sc->bounds, bounds.p, bounds.n);
}
