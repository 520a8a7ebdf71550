/* SPDX-License-Identifier: Apache-2.0 */
/* What finding files shares: the search, small files, sums of files. */
#ifndef WHERRY_FILES_FIND_H
#define WHERRY_FILES_FIND_H

#include "core/digest.h"
#include "files.h"

struct finding {
    const struct files_endpoint *ep;
    struct files_list *list;
    const struct files_from *opts; /* NULL: as they are */
    const char *pattern;           /* NULL: a folder's files */
    const char *prefix;            /* of names below the list's root: "" or "sub/" */
    struct wh_str said;            /* the folder as the user wrote it: "", "in/" */
    bool explicit_format;
    int64_t since_us, until_us; /* [since, until) */
    int64_t seen;
};

/* A folder that exists and a name in it, whatever characters it has. */
wh_status files_split_plain(const struct files_endpoint *, const char *path, char **ret_root,
                            char **ret_rest, struct wh_error *reterr);
/* All bytes of a file, at most `most`; *ret_root (may be NULL): its folder, the caller's to free.
 */
wh_status files_read_small(const struct files_endpoint *, const char *path, size_t most,
                           struct wh_buf *out, char **ret_root, struct wh_error *reterr);

/* ---- sums.c -----------------------------------------------------------------------------------
 */

/* Digest of a file's bytes as text. Heeds ctx->cancelled. */
wh_status files_digest(const struct files_storage *, const char *name, enum wh_digest_kind,
                       const struct wh_ctx *, char ret[WH_DIGEST_HEX], struct wh_error *reterr);
/* A file that holds sums of others: x.md5, x.sha256, MD5SUMS... */
bool files_is_sum(const char *name);
/* Every file has the sum that a file beside it tells; require: each must have one. */
wh_status files_verify_sums(const struct files_storage *, const struct files_list *, bool require,
                            const struct wh_ctx *, struct wh_error *reterr);

#endif
