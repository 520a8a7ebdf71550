/* SPDX-License-Identifier: Apache-2.0 */
/* What archives hold: lists of their members. No I/O of its own; bounded memory whatever the bytes
 * say. Errors: E4004 (cut), E4005 (damaged), E4011 (no such archive), E1014 (well-formed, but not
 * read here), each with the place in the archive. */
#ifndef WHERRY_FORMATS_ARCHIVE_H
#define WHERRY_FORMATS_ARCHIVE_H

#include "core/buf.h"

struct wh_archived {
    struct wh_str name;       /* as it stands there; borrowed for the call */
    bool is_folder, is_other; /* other: a link, a device; nothing with content of its own */
    const char *refused;      /* static: why its content is not read here, or NULL */
    int64_t offset;           /* tar: of the content; zip: of the member's own header */
    int64_t packed, size;     /* bytes */
    bool deflated;            /* zip */
    bool has_crc;             /* CRC-32 of the content */
    uint32_t crc;
};

typedef wh_status (*wh_archived_fn)(void *arg, const struct wh_archived *, struct wh_error *reterr);

/* ---- tar ---------------------------------------------------------------------------------------
 * ustar, with names and sizes of pax (POSIX.1-2001) and GNU. The archive's bytes are pushed in
 * order; content may be passed over. `each` is called at the end of a member's content. */

struct wh_tar;
/* NULL: no memory. */
struct wh_tar *wh_tar_new(wh_archived_fn each, void *arg);
void wh_tar_free(struct wh_tar *);
wh_status wh_tar_add(struct wh_tar *, const void *p, size_t n, struct wh_error *reterr);
/* Bytes that may be passed over from here on; then no CRC is told. */
int64_t wh_tar_ahead(const struct wh_tar *);
wh_status wh_tar_pass(struct wh_tar *, int64_t n, struct wh_error *reterr);
/* Nothing but zeros may come any more. */
bool wh_tar_ended(const struct wh_tar *);
/* Nothing comes behind what was given. */
wh_status wh_tar_end(struct wh_tar *, struct wh_error *reterr);

/* ---- zip ---------------------------------------------------------------------------------------
 * The directory at the end (APPNOTE.TXT of PKWARE), with or without zip64. Members that lie upon
 * one another, or not before the directory, make it a damaged one. */

/* Exactly n bytes at a place that lies in the archive. */
typedef wh_status (*wh_zip_read_fn)(void *arg, int64_t offset, void *p, size_t n,
                                    struct wh_error *reterr);
wh_status wh_zip_list(wh_zip_read_fn read, int64_t size, wh_archived_fn each, void *arg,
                      struct wh_error *reterr);
/* Where the content of a member begins: its own header must fit what the directory says. */
wh_status wh_zip_content(wh_zip_read_fn read, void *arg, int64_t offset, bool deflated,
                         int64_t *ret, struct wh_error *reterr);

#endif
